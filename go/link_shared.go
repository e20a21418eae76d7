//go:build crigc_pkgconfig && crigc_shared

package crigc

// The shared library of an installation, by `make install`.

// #cgo pkg-config: crigc
import "C"
