#!/bin/sh
# Runs a command on a simulated node that has its files where real nodes have them: node.sh FOLDER CRISIM COMMAND..., in a mount
# namespace of its own. FOLDER/log, lib and run become /var/log, /var/lib and /run. Writes before.json and after.json, the runtime's
# state, into FOLDER/run/test, and exits like the command.
set -eu
folder=$1 crisim=$2
shift 2

for place in /var/log /var/lib /run; do
    mkdir -p "$folder/${place##*/}"
    mount --bind "$folder/${place##*/}" "$place"
done
# Programs and settings of the node.
mount --bind "$folder/bin" /usr/local/bin
mount --bind "$folder/default" /etc/default
mkdir -p /run/test /run/containerd /var/lib/containerd /var/log/pods /var/log/containers
# An image filesystem that is empty, however full the disk of this machine is.
mount -t tmpfs -o size=16G none /var/lib/containerd

: >/run/test/crisim
setpriv --pdeathsig KILL "$crisim" --socket /run/containerd/containerd.sock --pods 40 --dead-containers 200 --images 20 --fill 92 \
    --mountpoint /var/lib/containerd --pod-logs-dir /var/log/pods --container-logs-dir /var/log/containers \
    --kubelet-dir-out /var/lib/kubelet --usage-file /run/test/fill --state-out /run/test/state.json >/run/test/crisim 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null || true' EXIT
until grep -q listening /run/test/crisim; do
    kill -0 "$pid" || { cat /run/test/crisim >&2; exit 125; }
    sleep 0.05
done
# As old as what wrote them.
find /var/log/pods -exec touch -h -d '-1 hour' {} +

# crisim writes its state after a signal, and then says so once more.
state() { # name, how many times it was asked
    kill -USR1 "$pid"
    until [ "$(grep -c written /run/test/crisim)" = "$2" ]; do
        kill -0 "$pid"
        sleep 0.05
    done
    mv /run/test/state.json "/run/test/$1.json"
}

state before 1
code=0
setpriv --pdeathsig KILL "$@" || code=$?
state after 2
exit "$code"
