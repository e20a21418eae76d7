#!/bin/bash
# vet and staticcheck over the package, its example and the checks. STATICCHECK names the version.
set -eu
cd "$(dirname "$0")"
staticcheck=honnef.co/go/tools/cmd/staticcheck@${STATICCHECK:-v0.8.2}
unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "not formatted: $unformatted"; exit 1; }
for module in ${MODULES:-. comparison comparison/latest comparison/oldest kubelet-node manifests}; do
    echo "$module"
    (cd "$module" && go vet ./... && go run "$staticcheck" ./...)
done
