//go:build deps

// Package deps names what is built beside the kubelet, and what the patched one needs more, for `go mod tidy`.
package deps

import (
	_ "github.com/crigc/crigc/go"
	_ "github.com/go-logr/logr"
	_ "k8s.io/kubernetes/test/e2e_node"
)
