#!/bin/bash
# Breaks each rule's code on purpose, and says within how many random nodes the differential test finds it. Each patch in
# mutations/ is applied to a copy of the sources; one that is not found, or that does not apply any more, fails.
# Usage: mutations.sh [RULE...]; SEEDS (default 600) nodes at most for each, against the newest kubelet.
set -u -o pipefail
cd "$(dirname "$0")/../.."
root=$PWD
work=$root/target/mutations
seeds=${SEEDS:-600}
rm -rf "$work/sources"
mkdir -p "$work/sources"
# With times of now, so that cargo sees what is patched and what is patched back.
git ls-files -z Cargo.toml Cargo.lock build.rs cbindgen.toml proto src include crisim ffi-tests panic-tests tests benches |
    tar --null -T - -cf - | tar -xmf - -C "$work/sources"

library() { # optimised for building fast
    (cd "$work/sources" && CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
        CARGO_PROFILE_RELEASE_INCREMENTAL=true RUSTFLAGS=-Awarnings cargo rustc -q -p crigc --release --crate-type staticlib --target-dir "$work/build")
}

# The linker's arguments name the rule: Go does not see that a library has changed.
differential() { # name
    mkdir -p "$work/$1" && cp "$work/build/release/libcrigc.a" "$work/$1/" &&
        (cd go/comparison/latest && CGO_LDFLAGS="-L$work/$1" go test -c -o "$work/$1/latest.test" .) &&
        CRISIM="$root/target/debug/crisim" CRIGC_SHRINK=no CRIGC_SEEDS=0..$seeds "$work/$1/latest.test" \
            -test.run TestSameDecisions >"$work/$1/out" 2>&1
}

failed=0
library || exit 1
if ! differential unbroken; then
    cat "$work/unbroken/out"
    echo "the unbroken library fails already"
    exit 1
fi
echo "unbroken: $seeds nodes alike"
rm -rf "$work/unbroken"
for patch in go/comparison/mutations/*.patch; do
    rule=$(basename "$patch" .patch)
    [ $# = 0 ] || [[ " $* " == *" $rule "* ]] || continue
    if ! patch -s -p1 -d "$work/sources" <"$patch" || ! library; then
        echo "$rule: its patch does not apply or build any more; renew it"
        failed=1
    elif differential "$rule"; then
        echo "$rule: NOT FOUND in $seeds nodes"
        failed=1
    elif grep -q 'leave different nodes' "$work/$rule/out"; then
        echo "$rule: found after $(grep -o '([0-9]* went well' "$work/$rule/out" | tr -dc 0-9) nodes:$(grep -A2 'leave different' "$work/$rule/out" | tail -1 | cut -c1-110)"
    elif grep -q 'no node showed' "$work/$rule/out"; then
        # Safer rules, broken, do as the kubelet: that is seen at the end, where nothing was kept by them.
        echo "$rule: found after all $seeds nodes: $(grep -o 'no node showed.*' "$work/$rule/out" | cut -c1-110)"
    else
        echo "$rule: the test ends otherwise:"
        tail -5 "$work/$rule/out"
        failed=1
    fi
    rm -rf "${work:?}/$rule"
    patch -s -R -p1 -d "$work/sources" <"$patch" || exit 1
done
exit $failed
