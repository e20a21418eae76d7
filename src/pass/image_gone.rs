//! Whether images that were removed are gone, and what goes in another way where they are not (S5.12).

use super::fate::Fate;
use super::gate::Gate;
use super::image_look::{ImageLook, ImageMemory, Key, Services, key};
use super::run::{Run, wall_time};
use crate::host::clock::Boot;
use crate::node::Image;
use crate::quiet;
use crate::report::{Reason, visible};
use std::collections::HashSet;

/// What was removed since the last look at what is really gone (S5.12).
#[derive(Default)]
pub(super) struct Round {
    /// Places in the plan, in the order in which the runtime said so.
    pub(super) places: Vec<usize>,
    /// No image of the last round was gone in truth.
    pub(super) removed_nothing: bool,
    /// Others are to go in the place of what is still there.
    pub(super) is_another_due: bool,
}

impl Round {
    /// So many of all are still there. The place of the first round that removed nothing is taken by one more: a single image that
    /// stays must not hold up the others, and a runtime that removes nothing is not to be asked for everything.
    pub(super) fn lost(&mut self, stay: usize, all: usize) {
        let removed_nothing = stay == all;
        self.is_another_due = stay > 0 && !(removed_nothing && self.removed_nothing);
        self.removed_nothing = removed_nothing;
    }
}

/// S5.12: an image that was still there after it was removed by its ID goes by its one tag, if it has one.
pub(super) fn name_to_ask_by(
    look: &ImageLook,
    memory: &ImageMemory,
    image: &Image,
) -> Option<String> {
    let is_still_there = memory.still_listed.contains(&key(image));
    match look.latest(image)?.tags.as_slice() {
        [tag] if is_still_there => Some(tag.to_string()),
        _ => None,
    }
}

/// Removes an image by its ID, or by a tag, if that still stands for it. The look that it rests on is good until then.
pub(super) async fn remove(
    run: &Run<'_>,
    services: &Services<'_>,
    image: &Image,
    tag: Option<String>,
    until: Boot,
    gate: Gate<'_>,
) -> Fate {
    if run.dry_run {
        return Fate::Removed;
    }
    let images = &services.images;
    let name = match tag {
        None => image.id.to_string(),
        // It may stand for another image by now.
        Some(tag) => match images.image_named(&tag).await {
            // Who uses it was asked too long ago by now (S5.2).
            Ok(_) if Boot::now() > until => return Fate::Kept(Reason::NotReached),
            Ok(found) => {
                if let Some(reason) = gate.objection() {
                    return Fate::Kept(reason);
                }
                match found {
                    Some(found) if found.id == image.id => tag,
                    _ => image.id.to_string(),
                }
            }
            Err(e) => {
                let doing = format!("cannot ask for image {}", visible(&tag));
                return Fate::of(&e, &doing, images.endpoint);
            }
        },
    };
    match images.remove_image(&name, &image.handler).await {
        Ok(()) => Fate::Removed,
        Err(e) => {
            let doing = format!("cannot remove image {}", visible(&image.id));
            Fate::of(&e, &doing, images.endpoint)
        }
    }
}

/// S5.12: what became of images that the runtime said it removed.
pub(super) async fn confirm(
    run: &Run<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
    told: &[&Image],
) -> Vec<Fate> {
    let as_told = || told.iter().map(|_| Fate::Removed).collect();
    if told.is_empty() || run.dry_run || run.stop.cause().is_some() {
        return as_told();
    }
    let listed = quiet::caught_async(services.images.list_images()).await;
    let listed: HashSet<Key> = match listed.and_then(|listed| listed) {
        Ok(listed) => listed.iter().map(key).collect(),
        Err(e) => {
            // What ended the pass is told at its end.
            if run.stop.cause().is_none() {
                run.fail(e);
            }
            return as_told();
        }
    };
    // The host's clock may have been set back meanwhile, or be broken.
    let now = quiet::caught(|| wall_time(run.hooks)).unwrap_or_else(|defect| {
        run.fail(defect);
        run.now
    });
    let now = now.max(run.now);
    let mut confirmed = Vec::with_capacity(told.len());
    for image in told {
        let key = key(image);
        confirmed.push(match listed.contains(&key) {
            false => {
                memory.still_listed.remove(&key);
                Fate::Removed
            }
            true => {
                memory.still_listed.insert(key);
                let boot = Boot::now().since_boot();
                memory.records.begin_anew(image, now, boot);
                Fate::Failed(format!(
                    "image {} is still listed, though the runtime said that it removed it; see the log of {}",
                    visible(&image.id),
                    services.images.endpoint
                ))
            }
        });
    }
    confirmed
}
