#!/bin/sh
# Builds a containerd 2 from its Go module into target/containerd2, where `PATH=target/containerd2:$PATH` finds it. Needs Go.
set -eu
cd "$(dirname "$0")/.."
. tests/need.sh
need runc runc
need cc gcc libc6-dev
bin=$PWD/target/containerd2
module=github.com/containerd/containerd/v2/cmd
mkdir -p "$bin"
cd ffi-tests/containerd2
go build -o "$bin/" "$module/containerd" "$module/containerd-shim-runc-v2" "$module/ctr"
"$bin/containerd" --version
