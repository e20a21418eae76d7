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
            // A clock that was ahead and came back must not protect an image for the whole leap.
            let past = |time: Option<i64>| time.map(|time| time.min(now));
            let record = Record {
                first_detected: known.map_or(detected, |known| past(known.first_detected)),
                last_used: match in_use.uses(image) {
                    true => Some(now),
                    false => known.and_then(|known| past(known.last_used)),
                },
                size: image.size,
                pinned: image.pinned,
            };
            next.insert(key, record);
        }
        self.images = next;
        self.looked = true;
    }

    /// Notes who is used now, between two looks.
    pub fn note_uses(&mut self, images: &[Image], in_use: &InUse, now: i64) {
        for image in images.iter().filter(|image| in_use.uses(image)) {
            let key = (image.id.clone(), image.handler.clone());
            if let Some(record) = self.images.get_mut(&key) {
                record.last_used = Some(now);
            }
        }
    }

    /// Forgets an image that has been removed: if it is pulled again before the next look, it is a new one.
    pub fn forget(&mut self, image: &Image) {
        self.images
            .remove(&(image.id.clone(), image.handler.clone()));
    }
}
