//go:build crigc_pkgconfig

package crigc

// An installed library, by `make install`.

// #cgo pkg-config: --static crigc
import "C"
