//! Which images containers use (S5.2).

use super::keep_least;
use crate::node::{Container, Image, Text};
use std::collections::HashMap;

/// All references of containers to images, each with the ID of a container that has it.
#[derive(Clone, Debug, Default)]
pub struct InUse(HashMap<String, Text>);

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
    /// The references of containers in any state, and of image volumes with the IDs of their containers.
    pub fn new<'a>(
        containers: impl IntoIterator<Item = &'a Container>,
        mounted: impl IntoIterator<Item = (&'a Text, &'a Text)>,
    ) -> InUse {
        let mut references: HashMap<String, Text> = HashMap::new();
        for c in containers {
            for reference in [&c.image_id, &c.image_ref, &c.image] {
                // Most have been seen before, which needs no new text.
                match references.get_mut(bare(reference)) {
                    Some(user) if *user <= c.id => {}
                    Some(user) => *user = c.id.clone(),
                    None => drop(references.insert(bare(reference).to_owned(), c.id.clone())),
                }
            }
        }
        for (id, image) in mounted {
            keep_least(&mut references, bare(image).to_owned(), id.clone());
        }
        InUse(references)
    }

    /// Whether some container refers to the image by its ID, a digest or a tag.
    pub fn uses(&self, image: &Image) -> bool {
        self.user(image).is_some()
    }

    /// The ID of a container that does.
    pub fn user(&self, image: &Image) -> Option<&Text> {
        names(image).find_map(|name| self.0.get(name))
    }
}
