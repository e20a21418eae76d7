#!/bin/sh
# Builds libcrigc.a and libcrigc.so, for people to link, in $CARGO_TARGET_DIR/library (target/library). CARGO_BUILD_TARGET names another
# target; CC, and the variables of packaging/object.sh, name its tools.
set -eu
cd "$(dirname "$0")/.."
CC=${CC:-cc}
out=${CARGO_TARGET_DIR:-target}/library
archive=$out/cargo/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}library/libcrigc.a
[ -f "$archive" ] || echo "building the library of crigc in $out; this takes a minute or two" >&2

# The folders of whoever builds are no part of a library. One flag after the other, with \037 between them.
separator=$(printf '\037')
flags=${CARGO_ENCODED_RUSTFLAGS-$(printf '%s' "${RUSTFLAGS:-}" | tr -s ' ' "$separator")}
for folder in "$PWD=/crigc" "${CARGO_HOME:-$HOME/.cargo}=/cargo" "$(rustc --print sysroot)=/rust"; do
    flags="${flags:+$flags$separator}--remap-path-prefix=$folder"
done
CARGO_ENCODED_RUSTFLAGS=$flags cargo rustc --quiet --locked -p crigc --profile library --crate-type staticlib --target-dir "$out/cargo"

abi=$(sed -n 's/^pub const GC_ABI: u32 = \([0-9]*\);$/\1/p' src/ffi/engine.rs)
tools=$(rustc --version; echo "TARGET=${CARGO_BUILD_TARGET:-} CC=$CC LD=${LD:-} AR=${AR:-} OBJCOPY=${OBJCOPY:-} READELF=${READELF:-}")
is_fresh() {
    [ "$(cat "$out/built-with" 2>/dev/null)" = "$tools" ] || return 1
    for made in libcrigc.a libcrigc.so "libcrigc.so.$abi" built-with; do
        for of in "$archive" packaging/library.sh packaging/object.sh packaging/crigc.map; do
            [ "$out/$made" -nt "$of" ] || return 1
        done
    done
}
if is_fresh; then exit; fi

work=$(mktemp -d "$out/new.XXXXXX")
trap 'rm -rf "$work"' EXIT
packaging/object.sh "$archive" "$work/libcrigc.a"

# One object is enough for a shared library. One whose threads and thread-local data may still be there is not unloaded.
$CC -shared -Wl,--whole-archive "$archive" -Wl,--no-whole-archive -Wl,--version-script=packaging/crigc.map \
    -Wl,-soname,"libcrigc.so.$abi" -Wl,--gc-sections -Wl,-z,defs -Wl,-z,relro -Wl,-z,now -Wl,-z,nodelete -lpthread -ldl -lm -s \
    -o "$work/libcrigc.so.$abi"
ln -s "libcrigc.so.$abi" "$work/libcrigc.so"
echo "$tools" >"$work/built-with"
mv -f "$work/built-with" "$work/libcrigc.a" "$work/libcrigc.so" "$work/libcrigc.so.$abi" "$out/"
