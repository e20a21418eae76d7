#!/bin/sh
# packaging/object.sh FROM TO: makes an archive TO of cargo's archive FROM, of objects in which gc_* alone are global. So a program may link
# other Rust libraries, too: what each of them brings along of Rust's standard library does not clash. LD, AR, READELF and OBJCOPY name
# other tools.
#
# The functions of `apart` lie in an object of their own, with a copy of all that they need. A program that does not call them does not
# link that object, also without --gc-sections. Each object has its own static and thread-local data, so those functions must need none.
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
$READELF -sW "$1" | awk '$4 == "FUNC" && $5 == "GLOBAL" && $7 != "UND" && $8 ~ /^gc_/ { print $8 }' >"$work/functions"
[ -s "$work/functions" ] || { echo "$1 has no function gc_*" >&2; exit 1; }

apart='gc_config_load gc_metrics gc_report_explain'
for function in $apart; do
    grep -x "$function" "$work/functions" >>"$work/apart" || true
done
grep -vxFf "$work/apart" "$work/functions" >"$work/crigc"

for object in crigc apart; do
    [ -s "$work/$object" ] || continue
    # What these functions do not need is left out.
    # shellcheck disable=SC2046 # a list of flags
    $LD -r --gc-sections $(sed 's/^/-u /' "$work/$object") --whole-archive "$1" -o "$work/all.o"

    # Weak symbols that only the left out parts refer to are still there. objcopy would make them strong, and then a program lacks them if
    # another library refers to them weakly.
    $READELF -sW "$work/all.o" | awk '$5 == "LOCAL" && $7 == "UND" && $8 != "" { print "--strip-symbol=" $8 }' >"$work/unused"

    # rust_eh_personality is reached through a weak symbol that bfd cannot do without. Binutils 2.40 abort on the bitcode of std's objects,
    # and the debug information is that of std alone.
    $OBJCOPY $(sed 's/^/--keep-global-symbol=/' "$work/$object") --keep-global-symbol=DW.ref.rust_eh_personality "@$work/unused" \
        --strip-debug -R .llvmbc -R .llvmcmd "$work/all.o" "$work/$object.o"
done

# shellcheck disable=SC2046 # those that there are
$AR crsD "$work/crigc.a" $(ls "$work/crigc.o" "$work/apart.o" 2>/dev/null)
mv -f "$work/crigc.a" "$2"
