#!/bin/bash
# All tests of the Go package, crigc beside the kubelet over a few hundred random nodes, and what deploy/kubernetes builds. Says so where
# there is no Go for it.
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
# What `make install` leaves, in a place of its own, is what the tag crigc_pkgconfig links: the static library, or with crigc_shared the
# shared one.
installed() {
    local prefix status=0 tags
    prefix=$(mktemp -d)
    make --no-print-directory -C .. install PREFIX="$prefix" >/dev/null || status=1
    for tags in crigc_pkgconfig crigc_pkgconfig,crigc_shared; do
        # Go asks pkg-config only where it builds, and takes what it built for an earlier place; a definition nobody reads names this one.
        CGO_CPPFLAGS="-DCRIGC_IN_$(basename "$prefix" | tr . _)" PKG_CONFIG_PATH="$prefix/lib/pkgconfig" LD_LIBRARY_PATH="$prefix/lib" \
            go test -count=1 -v -tags "$tags" -run '^(TestVersions|TestDryRun)' . | tee "$prefix/out"
        for test in TestVersions TestDryRun; do
            grep -q "^--- PASS: $test" "$prefix/out" || status=1
        done
    done
    rm -rf "$prefix"
    return $status
}
# A program without any shared library.
static() {
    local out
    out=$(go test -count=1 -v -ldflags '-extldflags -static' -run '^TestVersions' . 2>&1)
    echo "$out"
    grep -q '^--- PASS: TestVersions' <<<"$out"
}
# Without cgo the compiler says what is missing.
without_cgo() {
    local out
    for environment in CGO_ENABLED=0 GOARCH=arm64; do
        out=$(env -u CC "$environment" go build . 2>&1) && return 1
        grep -q 'crigc_needs_cgo' <<<"$out" || { echo "$environment: $out"; return 1; }
    done
}
MODULES='. comparison manifests' run ./lint.sh
run go test -count=1 -race -v ./...
GODEBUG=cgocheck=1 run go test -count=1 ./...
GOEXPERIMENT=cgocheck2 run go test -count=1 ./...
run static
run without_cgo
if command -v pkg-config >/dev/null 2>&1; then
    run installed
else
    echo "skipped: the installed library, for there is no pkg-config"
    [ "${CI:-}" != true ] || failed=1
fi
for module in comparison comparison/latest comparison/oldest manifests; do
    run go test -C $module -count=1 -timeout 30m -v ./...
done
exit $failed
