# For scripts: `start_node [OPTION OF CRISIM]...` makes a simulated node in the temporary folder $node, which is removed when the script
# ends, and `agent_on_node [OPTION OF THE AGENT]...` runs the agent there. $top is the top of the tree. CRISIM and AGENT name programs.
crisim=${CRISIM:-${CARGO_TARGET_DIR:-$top/target}/debug/crisim}
agent=${AGENT:-${CARGO_TARGET_DIR:-$top/target}/agent}
node=
pid=

end_node() {
    if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; fi
    rm -rf "$node"
}

start_node() {
    node=$(mktemp -d "${TMPDIR:-/tmp}/crigc-run.XXXXXX")
    trap end_node EXIT
    # A second signal while the folder is removed, as make sends one on to its children, must not end that.
    trap 'trap "" INT TERM; exit 130' INT TERM
    true >"$node/out"
    "$crisim" --socket "$node/cri.sock" --pod-logs-dir "$node/pods" --container-logs-dir "$node/containers" \
        --kubelet-dir-out "$node/kubelet" --usage-file "$node/fill" --state-out "$node/state.json" "$@" >"$node/out" &
    pid=$!
    tries=0
    until grep -q listening "$node/out"; do
        tries=$((tries + 1))
        if [ $tries -gt 600 ] || ! kill -0 "$pid" 2>/dev/null; then echo "crisim did not start" >&2; exit 1; fi
        sleep 0.1
    done
}

agent_on_node() {
    "$agent" --container-runtime-endpoint "unix://$node/cri.sock" --pod-logs-dir "$node/pods" \
        --container-logs-dir "$node/containers" --kubelet-dir "$node/kubelet" --image-fs-file "$node/fill" \
        --image-records-file "$node/image-records" "$@"
}
