#!/bin/bash
# All tests of the Go package, and crigc beside the kubelet over a few hundred random nodes. Says so where there is no Go for it.
set -u -o pipefail
cd "$(dirname "$0")"
wanted=1.26
found=$(go env GOVERSION 2>/dev/null | sed 's/^go//')
if [ "$(printf '%s\n' "$wanted" "${found:-0}" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "skipped: the tests of the Go package need Go $wanted or later (there is ${found:-none})"
    [ "${CI:-}" != true ]
    exit
fi
failed=0
run() {
    echo "--- $*"
    "$@" || failed=1
}
# What `make install` leaves, in a place of its own, is what the tag crigc_pkgconfig links.
installed() {
    local prefix status
    prefix=$(mktemp -d)
    # Go asks pkg-config only where it builds, and takes what it built for an earlier place; a definition nobody reads names this one.
    make --no-print-directory -C .. install PREFIX="$prefix" >/dev/null &&
        CGO_CPPFLAGS="-DCRIGC_IN_$(basename "$prefix" | tr . _)" PKG_CONFIG_PATH="$prefix/lib/pkgconfig" go test -count=1 -v -tags crigc_pkgconfig -run '^TestVersions' . |
        tee "$prefix/out" && grep -q '^--- PASS: TestVersions' "$prefix/out"
    status=$?
    rm -rf "$prefix"
    return $status
}
MODULES='. comparison' run ./lint.sh
run go test -count=1 -race -v ./...
GODEBUG=cgocheck=1 run go test -count=1 ./...
GOEXPERIMENT=cgocheck2 run go test -count=1 ./...
if command -v pkg-config >/dev/null 2>&1; then
    run installed
else
    echo "skipped: the installed library, for there is no pkg-config"
    [ "${CI:-}" != true ] || failed=1
fi
for module in comparison comparison/latest comparison/oldest; do
    run go test -C $module -count=1 -timeout 30m -v ./...
done
exit $failed
