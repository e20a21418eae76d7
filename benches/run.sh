#!/bin/bash
# `make bench`: builds all that is measured, and measures it. Arguments are those of the program (`benches/run.sh --help` lists them).
# Needs Go 1.26 for the kubelet's own code and for crictl.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/target/bench
flags=(-O2 -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Werror)
mkdir -p "$bin"
make -s --no-print-directory library
cargo build -q --release -p crisim -p pass-cost
cc "${flags[@]}" benches/pass-cost/drivers/command.c -o "$bin/bench-command"
cc "${flags[@]}" -Iinclude benches/pass-cost/drivers/crigc.c target/library/libcrigc.a -Wl,--gc-sections -o "$bin/bench-crigc"
go build -C go/comparison/latest -o "$bin/" ./cmd/bench-kubelet
go build -C ffi-tests/crictl -o "$bin/" github.com/kubernetes-sigs/cri-tools/cmd/crictl
exec target/release/pass-cost "$@"
