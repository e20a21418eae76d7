//! When each image was first seen and last used, how old it is, and for how long it has been unused (S5.1, S5.5, S5.7).

use super::in_use::InUse;
use crate::config::duration::nanoseconds;
use crate::node::{Image, ImageRecord, ImageRecords};
use std::collections::HashMap;
use std::time::Duration;

/// The time of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    /// Wall time; ns since the epoch.
    wall: i64,
    /// By CLOCK_MONOTONIC, which stands still while the machine sleeps.
    awake: Duration,
    /// By CLOCK_BOOTTIME, which goes on while it sleeps.
    boot: i64,
}

/// The records of all images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    kept: ImageRecords,
    looked: bool,
    last: Option<Moment>,
}

impl Records {
    /// The records of an earlier engine.
    pub fn restored(kept: ImageRecords) -> Records {
        Records {
            kept,
            looked: true,
            last: None,
        }
    }

    /// The records that are left for the next engine.
    pub fn kept(&self) -> &ImageRecords {
        &self.kept
    }

    /// Takes in the records of an earlier engine, which could not be read until now. What this engine has seen itself still holds: an
    /// image that came, or one that was used. An image that was there at its first look, and that the earlier engine does not know, came
    /// after that engine's last look.
    pub fn take_over(&mut self, older: Records, now: i64) {
        if !self.looked {
            *self = older;
            return;
        }
        let later = |unused_since: Duration| older.kept.watched.saturating_add(unused_since);
        for (key, record) in &mut self.kept.images {
            let old = older.kept.images.get(key);
            match old.filter(|_| record.first_detected.is_none()) {
                Some(old) => {
                    record.first_detected = old.first_detected;
                    record.detected_boot = None;
                    record.unused_since = match record.last_used {
                        Some(_) => later(record.unused_since),
                        None => old.unused_since,
                    };
                    record.last_used = record.last_used.max(old.last_used);
                }
                None => {
                    record.first_detected = record.first_detected.or(Some(now));
                    record.unused_since = later(record.unused_since);
                }
            }
        }
        self.kept.watched = later(self.kept.watched);
    }

    /// Whether there has been a look.
    pub fn has_looked(&self) -> bool {
        self.looked
    }

    /// What is known of an image.
    pub fn get(&self, image: &Image) -> Option<&ImageRecord> {
        self.kept.images.get(&image.key())
    }

    /// How long an image has been unused, without the time in which no engine looked (S5.5).
    pub fn unused_for(&self, image: &Image) -> Duration {
        self.get(image).map_or(Duration::ZERO, |record| {
            self.kept.watched.saturating_sub(record.unused_since)
        })
    }

    /// How long ago an image was first detected, ns; within the life of an engine by the clock that went less far (S5.7). `None` = in the
    /// past.
    pub fn age(&self, image: &Image, now: i64) -> Option<i64> {
        let record = self.get(image)?;
        let by_wall = now.saturating_sub(record.first_detected?);
        let clocks = self.last.zip(record.detected_boot);
        let by_boot = clocks.map(|(last, detected)| last.boot.saturating_sub(detected));
        Some(by_boot.map_or(by_wall, |by_boot| by_boot.min(by_wall)))
    }

    /// A look is taken: the time since the last one counts as watched, by the clock that went less far.
    pub fn watch(&mut self, wall: i64, awake: Duration, boot: Duration) {
        let boot = nanoseconds(boot);
        if let Some(last) = self.last {
            let by_wall = u64::try_from(wall.saturating_sub(last.wall)).unwrap_or(0);
            let passed = awake.saturating_sub(last.awake);
            let passed = passed.min(Duration::from_nanos(by_wall));
            self.kept.watched = self.kept.watched.saturating_add(passed);
        }
        self.last = Some(Moment { wall, awake, boot });
        // From here on a leap of the wall clock does not make the records of an earlier engine older.
        for record in self.kept.images.values_mut() {
            if let (Some(detected), None) = (record.first_detected, record.detected_boot) {
                let age = wall.saturating_sub(detected).max(0);
                record.detected_boot = Some(boot.saturating_sub(age));
            }
        }
    }

    /// Takes in the images of a look. Those of the first look were detected in the past; records of images that are gone are dropped
    /// (S5.1).
    pub fn look(&mut self, images: &[Image], in_use: &InUse, now: i64) {
        let detected = self.looked.then_some(now);
        let boot = detected.and(self.last).map(|last| last.boot);
        let mut next = HashMap::with_capacity(images.len());
        for image in images {
            let key = image.key();
            let mut record = self.begun(image, detected, boot);
            if let Some(known) = self.kept.images.get(&key) {
                // A clock that was ahead and came back must not protect an image for the whole leap.
                let past = |time: Option<i64>| time.map(|time| time.min(now));
                record.first_detected = past(known.first_detected);
                record.detected_boot = known.detected_boot;
                record.last_used = past(known.last_used);
                record.unused_since = known.unused_since;
            }
            if in_use.uses(image) {
                record.last_used = Some(now);
                record.unused_since = self.kept.watched;
            }
            next.insert(key, record);
        }
        self.kept.images = next;
        self.looked = true;
    }

    /// Records which images are used now, between two looks.
    pub fn note_uses(&mut self, images: &[Image], in_use: &InUse, now: i64) {
        for image in images.iter().filter(|image| in_use.uses(image)) {
            if let Some(record) = self.kept.images.get_mut(&image.key()) {
                record.last_used = record.last_used.max(Some(now));
                record.unused_since = self.kept.watched;
            }
        }
    }

    /// The record of an image that was detected then, and that no container has used since.
    fn begun(&self, image: &Image, detected: Option<i64>, boot: Option<i64>) -> ImageRecord {
        ImageRecord {
            first_detected: detected,
            detected_boot: boot,
            last_used: None,
            unused_since: self.kept.watched,
            size: image.size,
            pinned: image.pinned,
        }
    }

    /// A removed image is still there, or there again: its record begins as if it had come now (S5.12).
    pub fn begin_anew(&mut self, image: &Image, now: i64, boot: Duration) {
        let record = self.begun(image, Some(now), Some(nanoseconds(boot)));
        self.kept.images.insert(image.key(), record);
    }

    /// Forgets an image that has been removed: if it is pulled again before the next look, it is a new one.
    pub fn forget(&mut self, image: &Image) {
        self.kept.images.remove(&image.key());
    }
}
