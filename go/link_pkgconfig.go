//go:build crigc_pkgconfig && !crigc_shared

package crigc

// The static library of an installation, by `make install`.

// #cgo pkg-config: crigc-static
import "C"
