#!/bin/sh
# Builds a CRI-O from its Go module into target/crio, where `PATH=target/crio:$PATH` finds it, and installs what it needs of Debian. Needs Go.
set -eu
cd "$(dirname "$0")/.."
. tests/need.sh
need conmon conmon
need runc runc
need skopeo skopeo
need pkg-config pkg-config
[ -e /usr/include/seccomp.h ] || need files-of-libseccomp libseccomp-dev
need cc gcc libc6-dev
bin=$PWD/target/crio
mkdir -p "$bin"
cd ffi-tests/crio
tags="containers_image_openpgp containers_image_ostree_stub exclude_graphdriver_btrfs exclude_graphdriver_devicemapper seccomp"
go build -tags "$tags" -o "$bin/" github.com/cri-o/cri-o/cmd/crio
source=$(go list -m -f '{{.Dir}}' github.com/cri-o/cri-o)/pinns/src
cc -O2 -std=c99 -o "$bin/pinns" "$source/pinns.c" "$source/sysctl.c"
