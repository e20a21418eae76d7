//! Whether images that were removed are gone, and what goes in another way where they are not (S5.12).

use super::context::{Context, wall_time};
use super::defects::stage;
use super::fate::Fate;
use super::gate::Gate;
use super::image_snapshot::{ImageMemory, ImageSnapshot, Services};
use crate::clock::BootInstant;
use crate::cri::CallError;
use crate::node::{Image, ImageKey};
use crate::report::{Reason, visible};
use std::collections::HashSet;

/// What the last looks at what is really gone came to (S5.12).
#[derive(Default)]
pub(super) struct Rounds {
    /// No image of the last round was gone in truth.
    pub(super) removed_nothing: bool,
    /// Nothing more is tried.
    pub(super) gave_up: bool,
}

impl Rounds {
    /// So many of all are still there. The place of the first round that removed nothing is taken by one more: a single image that
    /// stays must not hold up the others, and a runtime that removes nothing is not to be asked for everything.
    pub(super) fn ended(&mut self, stay: usize, all: usize) {
        let removed_nothing = stay == all;
        self.gave_up = removed_nothing && self.removed_nothing;
        self.removed_nothing = removed_nothing;
    }
}

/// S5.12: an image that was still there after it was removed by its ID goes by its one tag, if it has one.
pub(super) fn name_to_ask_by(
    snapshot: &ImageSnapshot,
    memory: &ImageMemory,
    image: &Image,
) -> Option<String> {
    let is_still_there = memory.still_listed.contains(&image.key());
    match snapshot.latest(image)?.tags.as_slice() {
        [tag] if is_still_there => Some(tag.to_string()),
        _ => None,
    }
}

/// Removes an image by its ID, or by a tag, if that still stands for it. The look that it rests on is good until then.
pub(super) async fn remove_image(
    ctx: &Context<'_>,
    services: &Services<'_>,
    image: &Image,
    tag: Option<String>,
    until: BootInstant,
    gate: Gate<'_>,
) -> Result<Fate, Fate> {
    if ctx.dry_run {
        return Ok(Fate::Removed);
    }
    let images = &services.images;
    let failed = |e: &CallError, doing: &str, name: &str| {
        let doing = format!("cannot {doing} image {}", visible(name));
        Fate::of(e, &doing, images.endpoint)
    };
    let mut name = image.id.to_string();
    if let Some(tag) = tag {
        // It may stand for another image by now.
        let found = images.image_named(&tag).await;
        let found = found.map_err(|e| failed(&e, "ask for", &tag))?;
        // Who uses it was asked too long ago by now (S5.2).
        if BootInstant::now() > until {
            return Err(Fate::Kept(Reason::NotReached));
        }
        gate.still_open()?;
        if found.is_some_and(|found| found.id == image.id) {
            name = tag;
        }
    }
    let removed = images.remove_image(&name, &image.handler).await;
    removed.map_err(|e| failed(&e, "remove", &image.id))?;
    Ok(Fate::Removed)
}

/// S5.12: what became of images that the runtime said it removed.
pub(super) async fn confirm(
    ctx: &Context<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
    told: &[&Image],
) -> Vec<Fate> {
    let as_told = || told.iter().map(|_| Fate::Removed).collect();
    if told.is_empty() || ctx.dry_run || ctx.stop.cause().is_some() {
        return as_told();
    }
    let listed: HashSet<ImageKey> = match services.images.list_images().await {
        Ok(listed) => listed.iter().map(Image::key).collect(),
        Err(e) => {
            // What ended the pass is told at its end.
            if ctx.stop.cause().is_none() {
                ctx.fail(e);
            }
            return as_told();
        }
    };
    // The host's clock may have been set back meanwhile.
    let now = stage(ctx, async { wall_time(ctx.hooks) }).await;
    let now = now.unwrap_or(ctx.now).max(ctx.now);
    let mut confirmed = Vec::with_capacity(told.len());
    for image in told {
        let key = image.key();
        let fate = if listed.contains(&key) {
            memory.still_listed.insert(key);
            let boot = BootInstant::now().since_boot();
            memory.records.begin_anew(image, now, boot);
            Fate::Failed(format!(
                "image {} is still listed, though the runtime said that it removed it; see the log of {}",
                visible(&image.id),
                services.images.endpoint
            ))
        } else {
            memory.still_listed.remove(&key);
            Fate::Removed
        };
        confirmed.push(fate);
    }
    confirmed
}
