#!/bin/sh
# Runs a program of an unpacked image as a container runtime does: in-image.sh ROOT MOUNT... -- PROGRAM ARGUMENT... The image's files are
# read-only and all that the program sees, beside /proc and the mounts, each `PATH:ro` or `PATH:rw`. The program has no capability.
set -eu
root=$1
shift
mount --bind "$root" "$root"
mkdir -p "$root/proc"
mount -t proc none "$root/proc"
while [ "$1" != -- ]; do
    path=${1%:*}
    mkdir -p "$root$path"
    mount --bind "$path" "$root$path"
    mount -o "remount,bind,${1##*:}" "$root$path"
    shift
done
mount -o remount,bind,ro "$root"
program=$2
shift 2
exec capsh --chroot="$root" --drop=all --no-new-privs --shell="$program" -- "$@"
