#!/bin/sh
# install.sh install | uninstall
# Puts what `make library` built, with all that belongs to it, below $DESTDIR$PREFIX, or removes it. One list for both. LIBDIR, INCLUDEDIR
# and DATADIR name other folders than lib, include and share of PREFIX. Builds and fetches nothing.
set -eu
cd "$(dirname "$0")/.."
PREFIX=${PREFIX:-/usr/local}
LIBDIR=${LIBDIR:-$PREFIX/lib} INCLUDEDIR=${INCLUDEDIR:-$PREFIX/include} DATADIR=${DATADIR:-$PREFIX/share} DESTDIR=${DESTDIR:-}
built=${CARGO_TARGET_DIR:-target}/library
version=$(sed -n 's/^#define GC_VERSION "\(.*\)"$/\1/p' include/crigc.h)
abi=$(sed -n 's/^#define GC_ABI \([0-9]*\)u$/\1/p' include/crigc.h)
private="-lpthread -ldl -lm"

for folder in "$PREFIX" "$LIBDIR" "$INCLUDEDIR" "$DATADIR"; do
    case $folder in
    /*) ;;
    *) echo "$folder is not an absolute path; give PREFIX, LIBDIR, INCLUDEDIR and DATADIR as absolute ones" >&2; exit 1 ;;
    esac
done

# What to take, its mode, and where it goes. A link has the mode "link", and what it leads to in place of a file.
list() {
    doc=$DATADIR/doc/crigc
    cat <<LIST
$built/libcrigc.a|644|$LIBDIR/libcrigc.a
$built/libcrigc.so.$abi|755|$LIBDIR/libcrigc.so.$abi
libcrigc.so.$abi|link|$LIBDIR/libcrigc.so
$work/crigc.pc|644|$LIBDIR/pkgconfig/crigc.pc
$work/crigc-static.pc|644|$LIBDIR/pkgconfig/crigc-static.pc
$work/crigc-config.cmake|644|$LIBDIR/cmake/crigc/crigc-config.cmake
$work/crigc-config-version.cmake|644|$LIBDIR/cmake/crigc/crigc-config-version.cmake
include/crigc.h|644|$INCLUDEDIR/crigc.h
include/crigc.hpp|644|$INCLUDEDIR/crigc.hpp
python/crigc.py|644|$DATADIR/crigc/python/crigc.py
python/crigc_cffi.py|644|$DATADIR/crigc/python/crigc_cffi.py
$(for file in go/*.go go/example/collect/*.go go/shim.[ch] go/go.mod go/LICENSE; do
    case $file in *_test.go) ;; *) echo "$file|644|$DATADIR/crigc/$file" ;; esac
done)
packaging/crigc.3|644|$DATADIR/man/man3/crigc.3
LICENSE|644|$doc/LICENSE
packaging/THIRD-PARTY-NOTICES|644|$doc/THIRD-PARTY-NOTICES
$work/bill-of-materials.json|644|$doc/bill-of-materials.json
CHANGELOG.md|644|$doc/CHANGELOG.md
examples-c/collect.c|644|$doc/examples-c/collect.c
examples-c/collect.cpp|644|$doc/examples-c/collect.cpp
examples-c/connect.c|644|$doc/examples-c/connect.c
examples-c/tour.c|644|$doc/examples-c/tour.c
python/examples/collect.py|644|$doc/python/examples/collect.py
python/examples/collect_cffi.py|644|$doc/python/examples/collect_cffi.py
packaging/valgrind.supp|644|$doc/valgrind.supp
$work/configuration.md|644|$doc/docs/configuration.md
$work/linking.md|644|$doc/docs/linking.md
docs/reasons.md|644|$doc/docs/reasons.md
$work/metrics.md|644|$doc/docs/metrics.md
$work/rules.md|644|$doc/docs/rules.md
$work/compatibility.md|644|$doc/docs/compatibility.md
LIST
}

# The templates, with paths relative to where they go: the tree may be moved.
fill() {
    relative() { realpath -m --relative-to="$1" "$2"; }
    pc=$LIBDIR/pkgconfig
    for name in crigc.pc crigc-static.pc; do
        sed -e "s|@UP@|$(relative "$pc" "$PREFIX")|" -e "s|@LIBDIR@|\${prefix}/$(relative "$PREFIX" "$LIBDIR")|" \
            -e "s|@INCLUDEDIR@|\${prefix}/$(relative "$PREFIX" "$INCLUDEDIR")|" -e "s|@VERSION@|$version|" -e "s|@PRIVATE@|$private|" \
            "packaging/$name.in" >"$work/$name"
    done
    # Links to what is not installed lead to where the project is.
    for page in configuration linking metrics rules compatibility; do
        sed -E -e "s#\]\(\.\./(python/crigc|go/|deploy/|examples-c/README|[A-Z])#](https://github.com/crigc/crigc/blob/main/\1#g" \
            -e "s#\]\((differences|reliability|benchmarks|pod-starts|architecture|field|node-tests)#](https://github.com/crigc/crigc/blob/main/docs/\1#g" \
            "docs/$page.md" >"$work/$page.md"
    done
    sed "s|@RUST@|$(sed -n 's/^rustc \([^ ]*\).*/\1/p' "$built/built-with")|" packaging/bill-of-materials.json >"$work/bill-of-materials.json"
    for name in crigc-config.cmake crigc-config-version.cmake; do
        sed -e "s|@INCLUDEDIR@|$(relative "$LIBDIR/cmake/crigc" "$INCLUDEDIR")|" -e "s|@ABI@|$abi|" -e "s|@VERSION@|$version|" \
            -e "s|@PRIVATE@|$(echo "$private" | sed 's/-l//g; s/ /;/g')|" "packaging/$name.in" >"$work/$name"
    done
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case ${1:-} in
install)
    [ -f "$built/libcrigc.so.$abi" ] || { echo "$built has no library of interface version $abi; run \`make library\` first" >&2; exit 1; }
    fill
    list | while IFS='|' read -r from mode to; do
        install -d "$(dirname "$DESTDIR$to")"
        if [ "$mode" = link ]; then ln -sfn "$from" "$DESTDIR$to"; else install -m "$mode" "$from" "$DESTDIR$to"; fi
    done
    echo "installed below $DESTDIR$PREFIX: libraries in $LIBDIR, headers in $INCLUDEDIR, everything else in $DATADIR"
    [ -n "$DESTDIR" ] || echo "programs with the shared library find it once ldconfig has run, or with LD_LIBRARY_PATH=$LIBDIR"
    ;;
uninstall)
    removed=$(list | while IFS='|' read -r _ _ to; do
        if [ -e "$DESTDIR$to" ] || [ -L "$DESTDIR$to" ]; then rm -f "$DESTDIR$to" && echo "$DESTDIR$to"; fi
    done)
    rm -f "$DESTDIR$DATADIR"/crigc/python/__pycache__/crigc*.pyc
    # Folders of crigc's own that are empty now, from the inside out. All others stay: somebody else may have made them.
    list | while IFS='|' read -r _ _ to; do
        folder=$(dirname "$to")
        while [ "$folder" != / ]; do
            case $folder in
            "$DATADIR/doc/crigc" | "$DATADIR/doc/crigc"/* | "$DATADIR/crigc" | "$DATADIR/crigc"/* | "$LIBDIR/cmake/crigc") echo "$folder" ;;
            esac
            folder=$(dirname "$folder")
        done
    done | sort -ru | while read -r folder; do
        rmdir --ignore-fail-on-non-empty "$DESTDIR$folder/__pycache__" "$DESTDIR$folder" 2>/dev/null || true
    done
    if [ -n "$removed" ]; then
        echo "removed $(echo "$removed" | wc -l) files below $DESTDIR$PREFIX: those in $LIBDIR, $INCLUDEDIR and $DATADIR"
    else
        echo "nothing found below $DESTDIR$PREFIX; give the variables that \`make install\` was given"
    fi
    ;;
*) echo "usage: install.sh install | uninstall" >&2; exit 2 ;;
esac
