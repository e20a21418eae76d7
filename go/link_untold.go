//go:build crigc_shared && !crigc_pkgconfig

package crigc

// The build ends here: only an installation has the shared library.
var _ = crigc_shared_needs___the_tag_crigc_pkgconfig_beside_it
