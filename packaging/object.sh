#!/bin/sh
# packaging/object.sh FROM TO: makes an archive TO of cargo's archive FROM, one object in which gc_* alone are global. So a program may link
# other Rust libraries, too: what each of them brings along of Rust's standard library does not clash. LD, AR, READELF and OBJCOPY name
# other tools.
set -eu
LD=${LD:-ld} OBJCOPY=${OBJCOPY:-objcopy} READELF=${READELF:-readelf} AR=${AR:-ar}

for tool in "$LD" "$OBJCOPY" "$READELF" "$AR"; do
    if ! command -v "${tool%% *}" >/dev/null; then
        echo "$tool is missing; install binutils, or name another one by LD, OBJCOPY, READELF or AR" >&2
        exit 1
    fi
done

work=$(mktemp -d "$(dirname "$2")/new.XXXXXX")
trap 'rm -rf "$work"' EXIT

# nm would hand the objects with bitcode to a compiler's plugin, which aborts if it is older than rustc.
$READELF -sW "$1" | awk '$4 == "FUNC" && $5 == "GLOBAL" && $7 != "UND" && $8 ~ /^gc_/ { print "-u", $8 }' >"$work/functions"
[ -s "$work/functions" ] || { echo "$1 has no function gc_*" >&2; exit 1; }

# What no function of crigc needs is left out.
# shellcheck disable=SC2046 # a list of flags
$LD -r --gc-sections $(cat "$work/functions") --whole-archive "$1" -o "$work/all.o"

# Weak symbols that only the left out parts refer to are still there. objcopy would make them strong, and then a program lacks them if
# another library refers to them weakly.
$READELF -sW "$work/all.o" | awk '$5 == "LOCAL" && $7 == "UND" && $8 != "" { print "--strip-symbol=" $8 }' >"$work/unused"

# rust_eh_personality is reached through a weak symbol that bfd cannot do without. Binutils 2.40 abort on the bitcode of std's objects, and
# the debug information is that of std alone.
$OBJCOPY --wildcard --keep-global-symbol='gc_*' --keep-global-symbol=DW.ref.rust_eh_personality "@$work/unused" \
    --strip-debug -R .llvmbc -R .llvmcmd "$work/all.o" "$work/crigc.o"

$AR crsD "$work/crigc.a" "$work/crigc.o"
mv -f "$work/crigc.a" "$2"
