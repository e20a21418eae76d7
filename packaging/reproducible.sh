#!/bin/sh
# Builds and packs the last commit twice, in two folders of other names and depths, and compares the archives: `make test-dist`.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for folder in one another/deeper; do
    git clone -q . "$work/$folder"
    (unset CARGO_TARGET_DIR && cd "$work/$folder" && make -s --no-print-directory dist)
done
one=$(cd "$work/one/target/dist" && sha256sum -- *.tar.gz)
other=$(cd "$work/another/deeper/target/dist" && sha256sum -- *.tar.gz)
echo "$one"
[ "$one" = "$other" ] || { echo "the other one: $other" >&2; exit 1; }
