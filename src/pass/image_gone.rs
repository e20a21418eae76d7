//! Whether removed images are still listed, and how they are removed in another way then (S5.12).

use super::context::{Context, wall_time};
use super::defects::stage;
use super::fate::Fate;
use super::gate::Gate;
use super::image_snapshot::{ImageMemory, ImageSnapshot, Services};
use super::pace::timed;
use crate::clock::BootInstant;
use crate::cri::CallError;
use crate::node::{Image, ImageKey};
use crate::report::{Kind, Reason, visible};
use std::collections::HashSet;

/// What the closing lists showed (S5.12).
#[derive(Default)]
pub(super) struct Rounds {
    /// All images of the last round are still listed.
    pub(super) removed_nothing: bool,
    /// Two rounds in a row removed nothing, so no image is removed any more.
    pub(super) gave_up: bool,
}

impl Rounds {
    /// A round has ended. One that removed nothing is followed by one more: a single image that is still listed must not hold up the
    /// others, and a runtime that removes nothing must not be asked to remove every image.
    pub(super) fn ended(&mut self, removed_nothing: bool) {
        self.gave_up = removed_nothing && self.removed_nothing;
        self.removed_nothing = removed_nothing;
    }
}

/// The one tag of an image that was still listed after a removal by its ID: it is removed by that tag (S5.12).
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

/// Removes an image by its ID, or by this tag, if the tag still names it. `until`: how long the last lists are fresh enough.
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
        // The tag may name another image now.
        let found = images.image_named(&tag).await;
        let found = found.map_err(|e| failed(&e, "ask for", &tag))?;
        // The lists of who uses the image have grown old meanwhile (S5.2).
        if BootInstant::now() > until {
            return Err(Fate::kept(Reason::NotReached));
        }
        gate.still_open()?;
        if found.is_some_and(|found| found.id == image.id) {
            name = tag;
        }
    }
    let call = images.remove_image(&name, &image.handler);
    let removed = timed(ctx, Kind::Image, true, call).await;
    removed.map_err(|e| failed(&e, "remove", &image.id))?;
    Ok(Fate::Removed)
}

/// Lists the images that the runtime said it removed once more: what became of them (S5.12).
pub(super) async fn confirm(
    ctx: &Context<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
    removed: &[&Image],
) -> Vec<Fate> {
    // Without another list the runtime's answers count.
    let by_answers = vec![Fate::Removed; removed.len()];
    if removed.is_empty() || ctx.dry_run || ctx.stop.cause().is_some() {
        return by_answers;
    }
    let listed: HashSet<ImageKey> = match services.images.list_images().await {
        Ok(listed) => listed.iter().map(Image::key).collect(),
        Err(e) => {
            // If the pass was ended, its end reports why.
            if ctx.stop.cause().is_none() {
                ctx.fail(e);
            }
            return by_answers;
        }
    };
    // The host's clock may have been set back meanwhile.
    let now = stage(ctx, async { wall_time(ctx.hooks) }).await;
    let now = now.unwrap_or(ctx.now).max(ctx.now);
    let boot = BootInstant::now().since_boot();
    let fate = |image: &&Image| {
        let key = image.key();
        if !listed.contains(&key) {
            memory.still_listed.remove(&key);
            return Fate::Removed;
        }
        memory.still_listed.insert(key);
        memory.records.begin_anew(image, now, boot);
        Fate::Failed(format!(
            "image {} is still listed, though the runtime said that it removed it; see the log of {}",
            visible(&image.id),
            services.images.endpoint
        ))
    };
    removed.iter().map(fate).collect()
}
