#!/bin/sh
# Builds the agent's image from a static program: image.sh PROGRAM VERSION ARCHIVE. ARCHIVE is an OCI archive (a tar file), which podman,
# skopeo and `ctr images import` read. Needs buildah and no network. The same program gives the same image.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# = 3 ] || { echo "usage: image.sh PROGRAM VERSION ARCHIVE" >&2; exit 2; }
program=$1 version=$2 archive=$3
command -v buildah >/dev/null || { echo "image.sh: buildah is not installed; install the package buildah" >&2; exit 1; }

# buildah keeps images and temporary files here, and not among those of the machine.
work=$(mktemp -d "${TMPDIR:-/tmp}/crigc-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'trap "" INT TERM; exit 130' INT TERM
mkdir "$work/context" "$work/tmp"
install -m 755 "$program" "$work/context/crigc-agent"
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$work/storage" "$work/run" >"$work/storage.conf"
export CONTAINERS_STORAGE_CONF="$work/storage.conf" TMPDIR="$work/tmp"

buildah build --quiet --isolation chroot --timestamp "${SOURCE_DATE_EPOCH:-0}" --build-arg "VERSION=$version" \
    --file "$here/Containerfile" --tag "crigc-agent:$version" "$work/context" >"$work/id"
buildah push --quiet "crigc-agent:$version" "oci-archive:$work/archive:localhost/crigc-agent:$version"
mv -f "$work/archive" "$archive"
echo "$archive: localhost/crigc-agent:$version, $(stat -c %s "$program") bytes, $(stat -c %s "$archive") packed"
