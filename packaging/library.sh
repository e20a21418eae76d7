#!/bin/sh
# Builds libcrigc.a and libcrigc.so, for people to link, in $CARGO_TARGET_DIR/library (target/library). cargo's archive becomes one object
# in which gc_* alone are global. So a program may link other Rust libraries, too: what each of them brings along of Rust's standard
# library does not clash. CC, LD, AR, NM and OBJCOPY name other tools.
set -eu
cd "$(dirname "$0")/.."
LD=${LD:-ld} OBJCOPY=${OBJCOPY:-objcopy} NM=${NM:-nm} AR=${AR:-ar} CC=${CC:-cc}
out=${CARGO_TARGET_DIR:-target}/library

# The folders of whoever builds are no part of a library. One flag after the other, with \037 between them.
separator=$(printf '\037')
flags=$(printf '%s' "${RUSTFLAGS:-}" | tr -s ' ' "$separator")
for folder in "$PWD=/crigc" "${CARGO_HOME:-$HOME/.cargo}=/cargo" "$(rustc --print sysroot)=/rust"; do
    flags="${flags:+$flags$separator}--remap-path-prefix=$folder"
done
CARGO_ENCODED_RUSTFLAGS=$flags cargo rustc --quiet --locked -p crigc --profile library --crate-type staticlib --target-dir "$out/cargo"

archive=$out/cargo/library/libcrigc.a
abi=$(sed -n 's/^pub const GC_ABI: u32 = \([0-9]*\);$/\1/p' src/ffi/engine.rs)
if [ "$out/libcrigc.so.$abi" -nt "$archive" ] && [ "$out/libcrigc.so.$abi" -nt packaging/library.sh ]; then
    exec touch "$out/libcrigc.a"
fi

work=$(mktemp -d "$out/new.XXXXXX")
trap 'rm -rf "$work"' EXIT
$NM -g --defined-only "$archive" 2>/dev/null | awk '$2 == "T" && $3 ~ /^gc_/ { print "-u", $3 }' >"$work/functions"

# What no function of crigc needs is left out.
# shellcheck disable=SC2046 # a list of flags
$LD -r --gc-sections $(cat "$work/functions") --whole-archive "$archive" -o "$work/all.o"

# rust_eh_personality is reached through a weak symbol that bfd cannot do without. Binutils 2.40 abort on the bitcode of std's objects, and
# the debug information is that of std alone.
$OBJCOPY --wildcard --keep-global-symbol='gc_*' --keep-global-symbol=DW.ref.rust_eh_personality \
    --strip-debug -R .llvmbc -R .llvmcmd "$work/all.o" "$work/crigc.o"

$AR crsD "$work/libcrigc.a" "$work/crigc.o"
# A library whose threads and thread-local data may still be there is not unloaded.
$CC -shared "$work/crigc.o" -Wl,--version-script=packaging/crigc.map -Wl,-soname,"libcrigc.so.$abi" -Wl,--gc-sections -Wl,-z,defs \
    -Wl,-z,relro -Wl,-z,now -Wl,-z,nodelete -lpthread -ldl -lm -s -o "$work/libcrigc.so.$abi"
ln -s "libcrigc.so.$abi" "$work/libcrigc.so"
rustc --version >"$work/built-with"
mv -f "$work/built-with" "$work/libcrigc.a" "$work/libcrigc.so" "$work/libcrigc.so.$abi" "$out/"
