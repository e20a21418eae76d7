#!/bin/sh
# Builds two kubelets into target/kubelet-node: `stock`, and `crigc`, which is patched as go/KUBELET.md says. Needs Go and `make library`,
# and ten to twenty minutes of CPU time for the first of them.
set -eu
cd "$(dirname "$0")"
. ../../tests/need.sh
need mkfs.ext4 e2fsprogs
need unshare util-linux
need mount mount
mkdir -p ../../target/kubelet-node
out=$(cd ../../target/kubelet-node && pwd)
# Go overlays no files of its module cache, so the tree replaces the module by another name.
tree=$(go list -m -f '{{.Dir}}' k8s.io/kubernetes)
[ -n "$tree" ] || tree=$(go mod download -json k8s.io/kubernetes | sed -n 's/^.*"Dir": "\(.*\)",$/\1/p')
ln -sfn "$tree" "$out/tree"
go run ./patch ../KUBELET.md "$out/tree" "$out/patched"
echo "building the kubelet as it is" >&2
go build -o "$out/stock" k8s.io/kubernetes/cmd/kubelet
echo "building the kubelet with crigc" >&2
cp go.mod "$out/go.mod"
cp go.sum "$out/go.sum"
go mod edit -modfile="$out/go.mod" -replace "k8s.io/kubernetes=$out/tree"
go build -modfile="$out/go.mod" -overlay "$out/patched/overlay.json" -o "$out/crigc" k8s.io/kubernetes/cmd/kubelet
