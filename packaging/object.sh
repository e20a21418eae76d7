#!/bin/sh
# packaging/object.sh FROM TO: makes an archive TO of cargo's archive FROM, one object in which gc_* alone are global. So a program may link
# other Rust libraries, too: what each of them brings along of Rust's standard library does not clash. LD, AR, NM and OBJCOPY name other
# tools.
set -eu
LD=${LD:-ld} OBJCOPY=${OBJCOPY:-objcopy} NM=${NM:-nm} AR=${AR:-ar}

work=$(mktemp -d "$(dirname "$2")/new.XXXXXX")
trap 'rm -rf "$work"' EXIT
$NM -g --defined-only "$1" 2>/dev/null | awk '$2 == "T" && $3 ~ /^gc_/ { print "-u", $3 }' >"$work/functions"

# What no function of crigc needs is left out.
# shellcheck disable=SC2046 # a list of flags
$LD -r --gc-sections $(cat "$work/functions") --whole-archive "$1" -o "$work/all.o"

# rust_eh_personality is reached through a weak symbol that bfd cannot do without. Binutils 2.40 abort on the bitcode of std's objects, and
# the debug information is that of std alone.
$OBJCOPY --wildcard --keep-global-symbol='gc_*' --keep-global-symbol=DW.ref.rust_eh_personality \
    --strip-debug -R .llvmbc -R .llvmcmd "$work/all.o" "$work/crigc.o"

$AR crsD "$work/crigc.a" "$work/crigc.o"
mv -f "$work/crigc.a" "$2"
