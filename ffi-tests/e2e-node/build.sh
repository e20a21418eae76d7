#!/bin/sh
# Builds the kubelet's own node tests into target/kubelet-node/e2e_node.test, beside the kubelets, and installs what a node for them needs of
# Debian. Needs Go, and ten minutes of CPU time for the first time.
set -eu
cd "$(dirname "$0")/../.."
. tests/need.sh
need ip iproute2
need busybox busybox-static
need /usr/lib/cni/bridge containernetworking-plugins
echo "building the kubelet's node tests" >&2
# To vet all that they import takes longer than to build it.
go test -C go/kubelet-node -c -vet=off -o "$PWD/target/kubelet-node/e2e_node.test" k8s.io/kubernetes/test/e2e_node
