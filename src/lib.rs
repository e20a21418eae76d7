//! crigc: the kubelet's garbage collection of containers, sandboxes, logs and images, as a library with a C interface.

pub(crate) mod cri;
