#!/bin/sh
# Boots a systemd in namespaces and a cgroup of its own, with the units in /run/test/units alone, and exits like test.service.
# Everything outside of /run, /var/lib and /var/log is read-only, so that nothing of the machine changes.
set -eu
tree=$(findmnt --noheadings --types cgroup2 --output TARGET | head -n 1)
group=$tree/crigc-test.$$
mkdir "$group"
trap 'find "$group" -depth -type d -exec rmdir {} +' EXIT

# shellcheck disable=SC2016 # expanded by the inner shell
inner='
set -eu
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /tmp
mount -t tmpfs none /var/tmp
: >/run/test/console
mount --bind /run/test/console /dev/console
for place in / /sys /dev; do mount -o remount,bind,ro "$place"; done
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
export container=test SYSTEMD_UNIT_PATH=/run/test/units SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=info
exec /lib/systemd/systemd --system --unit=test.service </dev/null'

code=0
# shellcheck disable=SC2016
setpriv --pdeathsig KILL sh -euc 'echo $$ >"$1/cgroup.procs"; exec unshare --pid --fork --kill-child --mount --mount-proc --uts --ipc --net --cgroup sh -c "$2"' \
    sh "$group" "$inner" || code=$?
exit "$code"
