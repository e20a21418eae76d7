#!/bin/sh
# The tests against a real containerd once more, with a containerd 2 from its Go module. Needs Go, root and runc.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/target/containerd2
module=github.com/containerd/containerd/v2/cmd
(cd ffi-tests/containerd2 && mkdir -p "$bin" &&
    go build -o "$bin/" "$module/containerd" "$module/containerd-shim-runc-v2" "$module/ctr")
PATH="$bin:$PATH"
export PATH
containerd --version
CI=true cargo test -q -p ffi-tests --test containerd --test crisim_answers_like_containerd
