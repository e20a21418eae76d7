//go:build !crigc_pkgconfig

package crigc

// The build tree of a checkout first, then the C compiler's own directories.

// #cgo CFLAGS: -I${SRCDIR}/../include
// #cgo LDFLAGS: -L${SRCDIR}/../target/library -l:libcrigc.a -lpthread -ldl -lm
import "C"
