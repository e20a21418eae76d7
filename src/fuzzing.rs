//! The way in for `fuzz/`: bytes of a runtime's answer as what a look makes of them. In no other build.

use crate::cri::lists::rows_of;
use crate::node::{Container, Image, Sandbox};

/// A ListContainersResponse that comes in pieces of `cut` bytes.
pub fn containers(message: &[u8], cut: usize) -> Option<Vec<Container>> {
    rows_of(message, cut)
}

/// A ListPodSandboxResponse.
pub fn sandboxes(message: &[u8], cut: usize) -> Option<Vec<Sandbox>> {
    rows_of(message, cut)
}

/// A ListImagesResponse.
pub fn images(message: &[u8], cut: usize) -> Option<Vec<Image>> {
    rows_of(message, cut)
}
