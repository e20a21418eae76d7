#!/bin/sh
# Runs a command as root on a node of its own, for tests that start a kubelet with all that it changes: mounts, network, host name, processes
# and cgroups are the node's own, /run, /var/lib and /var/log are empty, and TMPDIR is removed at the end. The network is loopback, and a pair
# of devices that leads nowhere, for a default route. When the command has ended, or this was interrupted, all its processes are killed, and
# the node is removed with them.
#
#     node.sh COMMAND ARGUMENTS...
set -eu

hierarchies() { awk '$2 ~ "^/sys/fs/cgroup" && $3 ~ "^cgroup2?$" { print $2 }' /proc/self/mounts; }

# The controllers of a cgroup of version 2 for those below it. Only the machine's root passes them on while it has processes; a container's
# processes are moved.
pass_on() { # cgroup
    [ -e "$1/cgroup.controllers" ] && [ -n "$(cat "$1/cgroup.controllers")" ] || return 0
    enable="sed 's/[a-z_]*/+&/g' $1/cgroup.controllers >$1/cgroup.subtree_control"
    sh -c "$enable" 2>/dev/null && return
    mkdir -p "$1/others"
    while read -r id; do
        # It may have ended.
        sh -c "echo $id >$1/others/cgroup.procs" 2>/dev/null || :
    done <"$1/cgroup.procs"
    sh -c "$enable"
}

# Makes the cgroup NAME in each hierarchy, and puts this process there.
enter() { # name
    for hierarchy in $(hierarchies); do
        pass_on "$hierarchy"
        mkdir "$hierarchy/$1"
        if [ -e "$hierarchy/cpuset.mems" ] && [ -e "$hierarchy/$1/cgroup.clone_children" ]; then
            for file in cpuset.cpus cpuset.mems; do
                cat "$hierarchy/$file" >"$hierarchy/$1/$file"
            done
            echo 1 >"$hierarchy/$1/cgroup.clone_children"
        fi
        echo 0 >"$hierarchy/$1/cgroup.procs"
    done
}

# Leaves the node's root without processes, so that it can pass on controllers.
step_down() { # name
    for hierarchy in $(hierarchies); do
        mkdir "$hierarchy/$1/init"
        echo 0 >"$hierarchy/$1/init/cgroup.procs"
    done
}

# The kernel takes a moment until a cgroup is empty of killed processes.
remove() { # name
    for hierarchy in $(hierarchies); do
        for _ in $(seq 100); do
            [ -d "$hierarchy/$1" ] || break
            find "$hierarchy/$1" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
        done
    done
}

furnish() { # name
    for folder in /run /var/lib /var/log; do
        mount -t tmpfs none "$folder"
    done
    mkdir /run/cgroup
    for hierarchy in $(hierarchies); do
        mount --bind "$hierarchy/$1" /run/cgroup
        umount "$hierarchy"
        mount --move /run/cgroup "$hierarchy"
    done
    # Settings of the whole machine that a kubelet writes: it gets copies.
    for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys \
        kernel/keys/root_maxbytes; do
        copy=/run/$(basename "$setting")
        cat "/proc/sys/$setting" >"$copy"
        mount --bind "$copy" "/proc/sys/$setting"
    done
    echo node >/proc/sys/kernel/hostname
    # Without it each look-up of the own name waits ten seconds for a server of names.
    printf '127.0.0.1 localhost\n10.99.0.2 node\n' >/run/hosts
    mount --bind /run/hosts /etc/hosts
    ip link set lo up
    ip link add node0 type veth peer name node1
    ip address add 10.99.0.2/24 dev node0
    ip link set node0 up
    ip link set node1 up
    ip route add default via 10.99.0.1
}

case $1 in
--entered)
    # Its cgroups are the node's root from here on.
    step_down "$2"
    shift
    exec unshare --mount --propagation private --net --uts --pid --fork --kill-child --mount-proc "$0" --inside "$@"
    ;;
--inside)
    furnish "$2"
    shift 2
    # As the first process of the node this shell also waits for all that nobody else waits for.
    "$@" &
    wait $!
    exit
    ;;
esac

name=crigc-node-$$
child=
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/$name.XXXXXX")
export TMPDIR
trap 'remove "$name"; rm -rf "$TMPDIR"' EXIT
# unshare blocks all that it could handle while it waits.
trap '[ -z "$child" ] || kill -KILL "$child"; exit 130' INT TERM HUP
(
    enter "$name"
    exec unshare --cgroup "$0" --entered "$name" "$@"
) &
child=$!
wait "$child"
