#!/bin/sh
# Runs the agent over a simulated node, which is removed again: try.sh [OPTION OF CRISIM]... -- [OPTION OF THE AGENT]...
# `make agent crisim` builds both. Ends with the exit code of the agent. docs/features.md has examples.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/examples-c/simulated.sh"
options=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    options="$options $1"
    shift
done
if [ $# -eq 0 ]; then
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
fi
shift
# shellcheck disable=SC2086 # crisim's options are single words.
start_node $options
agent_on_node "$@"
