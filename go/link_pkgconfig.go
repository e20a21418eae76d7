//go:build crigc_pkgconfig

package crigc

// An installed library, as `make install` leaves it.

// #cgo pkg-config: --static crigc
import "C"
