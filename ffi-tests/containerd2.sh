#!/bin/sh
# Builds a containerd 2 from its Go module into target/NAME, where `PATH=target/NAME:$PATH` finds it: the newest for the NAME containerd2, the
# last 2.1 for containerd21. Needs Go.
set -eu
name=$1
cd "$(dirname "$0")/.."
. tests/need.sh
need runc runc
need cc gcc libc6-dev
bin=$PWD/target/$name
module=github.com/containerd/containerd/v2/cmd
mkdir -p "$bin"
cd "ffi-tests/$name"
go build -o "$bin/" "$module/containerd" "$module/containerd-shim-runc-v2" "$module/ctr"
"$bin/containerd" --version
