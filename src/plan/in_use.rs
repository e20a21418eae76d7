//! Which images containers use (S5.2).

use crate::node::{Container, Image};
use std::collections::HashSet;

/// All references of containers to images.
#[derive(Clone, Debug, Default)]
pub struct InUse(HashSet<String>);

/// A reference without the prefixes that runtimes use (S5.2).
pub fn bare(reference: &str) -> &str {
    let reference = reference
        .strip_prefix("docker-pullable://")
        .or_else(|| reference.strip_prefix("docker://"))
        .unwrap_or(reference);
    reference.strip_prefix("sha256:").unwrap_or(reference)
}

/// The ID, digests and tags of an image, without these prefixes.
pub fn names(image: &Image) -> impl Iterator<Item = &str> {
    std::iter::once(&image.id)
        .chain(&image.digests)
        .chain(&image.tags)
        .map(|name| bare(name))
        .filter(|name| !name.is_empty())
}

impl InUse {
    /// The references of containers in any state, and of their image volumes.
    pub fn new<'a>(
        containers: impl IntoIterator<Item = &'a Container>,
        mounted: impl IntoIterator<Item = &'a str>,
    ) -> InUse {
        let mut references = HashSet::new();
        for c in containers {
            for reference in [&c.image_id, &c.image_ref, &c.image] {
                if !references.contains(bare(reference)) {
                    references.insert(bare(reference).to_owned());
                }
            }
        }
        references.extend(mounted.into_iter().map(|image| bare(image).to_owned()));
        InUse(references)
    }

    /// Whether some container refers to the image by its ID, a digest or a tag.
    pub fn uses(&self, image: &Image) -> bool {
        names(image).any(|name| self.0.contains(name))
    }
}
