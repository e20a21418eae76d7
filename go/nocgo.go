//go:build !cgo

package crigc

// The build ends here, and the name that is not defined says why: without cgo there is no package crigc. Go switches cgo off if
// CGO_ENABLED is 0, if it builds for another architecture and CC does not name a C compiler for that one, and if there is no C compiler.
var _ = crigc_needs_cgo___set_CGO_ENABLED_to_1_and_CC_to_a_C_compiler_for_this_architecture
