#!/bin/sh
# Looks at a simulated node with crictl, built from its Go module: what it lists has to be what the node holds. Needs Go.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/target/crictl
(cd ffi-tests/crictl && mkdir -p "$bin" && go build -o "$bin/" github.com/kubernetes-sigs/cri-tools/cmd/crictl)
cargo build -q -p crisim
node=$(mktemp -d "${TMPDIR:-/tmp}/crigc-crictl.XXXXXX")
target/debug/crisim --socket "$node/cri.sock" --pods 10 --dead-containers 40 --images 8 >"$node/out" &
pid=$!
trap 'kill "$pid"; wait "$pid" || true; rm -rf "$node"' EXIT
until grep -q listening "$node/out"; do
    kill -0 "$pid"
    sleep 0.1
done

# How many rows crictl prints for a list.
rows() {
    "$bin/crictl" --runtime-endpoint "unix://$node/cri.sock" --image-endpoint "unix://$node/cri.sock" "$@" -q | wc -l
}
expect() { # rows command...
    want=$1
    shift
    got=$(rows "$@")
    echo "crictl $*: $got"
    [ "$got" = "$want" ]
}
expect 48 ps -a
expect 8 ps
expect 8 pods --state Ready
expect 8 images
