#!/bin/sh
# Packs what `make install` installs as $CARGO_TARGET_DIR/dist/crigc-VERSION-ARCH-linux-gnu.tar.gz, with the
# checksums of all files inside and that of the archive beside it. The same sources and tools give the same bytes.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^#define GC_VERSION "\(.*\)"$/\1/p' include/crigc.h)
out=${CARGO_TARGET_DIR:-target}/dist
arch=${CARGO_BUILD_TARGET:-$(uname -m)}
arch=${arch%%-*}
name=crigc-$version-$arch-linux-gnu
# Of the files in the archive; without a date of the sources 1 January 1980.
date=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 315532800)}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/new.XXXXXX")
trap 'rm -rf "$work"' EXIT

DESTDIR=$work PREFIX=/$name LIBDIR=/$name/lib INCLUDEDIR=/$name/include DATADIR=/$name/share packaging/install.sh install >/dev/null
cat >"$work/$name/README" <<README
crigc $version for $arch GNU/Linux: the kubelet's garbage collection as a library. This folder may stand anywhere.

    export PKG_CONFIG_PATH=\$PWD/lib/pkgconfig
    cc share/doc/crigc/examples-c/collect.c \$(pkg-config --cflags --libs crigc-static) -o collect
    ./collect container-runtime-endpoint=unix:///run/containerd/containerd.sock

In the same way from Python, and from Go 1.26 with cgo:

    PYTHONPATH=\$PWD/share/crigc/python CRIGC_LIBRARY=\$PWD/lib/libcrigc.so python3 share/doc/crigc/python/examples/collect.py unix:///run/containerd/containerd.sock
    go build -C share/crigc/go -tags crigc_pkgconfig -o "\$PWD/collect-go" ./example/collect
    ./collect-go -container-runtime-endpoint unix:///run/containerd/containerd.sock

These are dry runs; with --apply (Go: -apply) the programs remove. CMake finds crigc::static and crigc::shared by find_package(crigc CONFIG)
and -DCMAKE_PREFIX_PATH=\$PWD. Python has what it needs in share/crigc/python; a program in Go requires the module in share/crigc/go by a
replace in its go.mod. The libraries need glibc 2.34 or later and libgcc_s. include/crigc.h is the manual, and man -M \$PWD/share/man 3 crigc is the same.
share/doc/crigc/docs/linking.md tells how to link from C, C++, Python and Go, which compilers and linkers were tried, and what does not
work. sha256sum -c SHA256SUMS checks the files.
README
(cd "$work/$name" && find . -type f | LC_ALL=C sort | xargs sha256sum >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)
chmod -R u=rwX,go=rX "$work/$name"
tar -C "$work" --sort=name --format=gnu --mtime="@$date" --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -n9 >"$work/$name.tar.gz"
(cd "$work" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
mv "$work/$name.tar.gz" "$work/$name.tar.gz.sha256" "$out/"
echo "$out/$name.tar.gz"
