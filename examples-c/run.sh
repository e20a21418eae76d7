#!/bin/sh
# Shows crigc at work. Without ENDPOINT it makes a simulated node in a temporary folder, reports in a dry run, then collects.
# With ENDPOINT=unix://... it makes a dry run of a real node; APPLY=1 collects that node. `run.sh node` keeps the simulated node until Ctrl-C.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/examples-c/simulated.sh"

if [ -n "${ENDPOINT:-}" ]; then
    set -- --once --container-runtime-endpoint "$ENDPOINT"
    if [ -d /var/lib/kubelet/pods ]; then
        set -- "$@" --kubelet-dir /var/lib/kubelet
    else
        echo "no /var/lib/kubelet/pods here: only limits and thresholds apply"
    fi
    [ -d /var/log/pods ] || set -- "$@" --pod-logs-dir=
    if [ "${APPLY:-}" = 1 ]; then set -- "$@" --apply; fi
    exec "$agent" "$@"
fi

start_node --pods 300 --dead-containers 2000 --images 60 --fill 92 --remove-delay-ms 2

if [ "${1:-}" = node ]; then
    keys="pod-logs-dir=$node/pods container-logs-dir=$node/containers"
    echo "a simulated node, until Ctrl-C; a dry run of it by a program of the README, and a pass that removes:"
    echo "    ./collect unix://$node/cri.sock $keys"
    echo "    ./collect unix://$node/cri.sock $keys dry-run=false"
    wait "$pid"
    exit
fi

# The state of the node, which crisim writes after a signal.
picture() {
    rm -f "$node/state.json"
    kill -USR1 "$pid"
    while [ ! -f "$node/state.json" ]; do
        kill -0 "$pid"
        sleep 0.05
    done
    "$crisim" --summary "$node/state.json"
    printf 'log files    %5d\nlog links    %5d\n' "$(find "$node/pods" -type f | wc -l)" "$(find "$node/containers" -type l | wc -l)"
}

echo "== a simulated node, before"
picture >"$node/before"
cat "$node/before"
echo
echo "== what crigc would do (dry run)"
agent_on_node --once --now
echo
echo "== crigc collects"
agent_on_node --once --now --apply
echo
echo "== the node's own state, before and after"
picture >"$node/after"
# One row for each kind of object: a name, the state before, the state after.
paste -d '|' "$node/before" "$node/after" | awk -F '|' '
    BEGIN { printf "%-11s  %-32s  %s\n", "", "  before", "  after" }
    { printf "%-11s  %-32s  %s\n", substr($1, 1, 11), substr($1, 14), substr($2, 14) }'
