//! Helpers for the tests of the C interface: building the static library and C programs, starting crisim and containerd.
