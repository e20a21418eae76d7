//! When each image was first seen and last used (S5.1).

use super::in_use::InUse;
use crate::node::{Image, Text};
use std::collections::HashMap;

/// What is remembered of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// ns since the epoch; `None` = in the past, before everything else.
    pub first_detected: Option<i64>,
    /// ns since the epoch; `None` = never.
    pub last_used: Option<i64>,
    /// Bytes.
    pub size: u64,
    /// The runtime says that it must stay.
    pub pinned: bool,
}

/// The records of all images, by ID and runtime handler.
#[derive(Clone, Debug, Default)]
pub struct Records {
    images: HashMap<(Text, Text), Record>,
    looked: bool,
}

impl Records {
    /// Whether there has been a look.
    pub fn has_looked(&self) -> bool {
        self.looked
    }

    /// What is known of an image.
    pub fn get(&self, image: &Image) -> Option<&Record> {
        self.images.get(&(image.id.clone(), image.handler.clone()))
    }

    /// Takes in a look: what the first one finds was detected in the past; what is gone is forgotten.
    pub fn look(&mut self, images: &[Image], in_use: &InUse, now: i64) {
        let detected = self.looked.then_some(now);
        let mut next = HashMap::with_capacity(images.len());
        for image in images {
            let key = (image.id.clone(), image.handler.clone());
            let known = self.images.get(&key);
            let record = Record {
                first_detected: known.map_or(detected, |known| known.first_detected),
                last_used: match in_use.uses(image) {
                    true => Some(now),
                    false => known.and_then(|known| known.last_used),
                },
                size: image.size,
                pinned: image.pinned,
            };
            next.insert(key, record);
        }
        self.images = next;
        self.looked = true;
    }
}
