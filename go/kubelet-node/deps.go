//go:build deps

// Package deps names what the patched kubelet needs beside what the kubelet itself needs, for `go mod tidy`.
package deps

import (
	_ "github.com/crigc/crigc/go"
	_ "github.com/go-logr/logr"
)
