//! For `fuzz/` only: reads the bytes of a runtime's list as a pass does.

use crate::cri::lists::rows_of;
use crate::node::{Container, Image, Sandbox};

/// Reads a ListContainersResponse that arrives in pieces of `cut` bytes.
pub fn containers(message: &[u8], cut: usize) -> Option<Vec<Container>> {
    rows_of(message, cut)
}

/// Reads a ListPodSandboxResponse.
pub fn sandboxes(message: &[u8], cut: usize) -> Option<Vec<Sandbox>> {
    rows_of(message, cut)
}

/// Reads a ListImagesResponse.
pub fn images(message: &[u8], cut: usize) -> Option<Vec<Image>> {
    rows_of(message, cut)
}
