//! Which images go, in which order, and when it is enough (S5.3 to S5.10).

use super::Plan;
use super::exempt::Exempt;
use super::in_use::{InUse, bare, names};
use super::records::Records;
use crate::node::{FsUsage, Image, Text};
use crate::report::Reason;
use std::time::Duration;

/// The filesystem has no size (S5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFigures;

/// What an image pass is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Remove nothing: a periodic pass without records (S5.1).
    FirstLook,
    /// Remove nothing: nobody knows how full the disk is (S5.6).
    Unknown,
    /// Remove nothing: the disk is not full (S5.6).
    BelowThreshold,
    /// Free that many bytes (S5.6).
    Free(u64),
    /// Remove all that is unused (S5.10).
    AllUnused,
    /// Remove all that has been unused for longer (S5.5).
    Aged(Duration),
}

/// What fills the filesystem, in percent; what is not whole counts up (S5.6).
pub fn usage_percent(usage: &FsUsage) -> Result<u64, NoFigures> {
    if usage.capacity == 0 {
        return Err(NoFigures);
    }
    let (capacity, available) = (u128::from(usage.capacity), u128::from(usage.available));
    let free = available.min(capacity) * 100 / capacity;
    Ok(100 - u64::try_from(free).unwrap_or(100))
}

/// S5.6: whether the threshold is reached, and how many bytes are to be freed then.
pub fn space_goal(usage: &FsUsage, high: u8, low: u8) -> Result<Goal, NoFigures> {
    if usage_percent(usage)? < u64::from(high) {
        return Ok(Goal::BelowThreshold);
    }
    let keep_free = u128::from(usage.capacity) * u128::from(100 - low.min(100)) / 100;
    let available = u128::from(usage.available.min(usage.capacity));
    let bytes = keep_free.saturating_sub(available);
    Ok(Goal::Free(u64::try_from(bytes).unwrap_or(u64::MAX)))
}

/// What a pass is to reach once its removals by age are done, where the disk has no say; `None` = it has. `first_look`: it only
/// looks (S5.1). `failed`: a removal by age did (S5.5).
pub fn goal(
    first_look: bool,
    failed: bool,
    sandbox: &SandboxImages,
    all_unused: bool,
) -> Option<Goal> {
    if first_look {
        return Some(Goal::FirstLook);
    }
    // Nothing goes without an answer about sandboxes (S5.3), however full the disk is.
    if failed || *sandbox == SandboxImages::Failed {
        return Some(Goal::Unknown);
    }
    all_unused.then_some(Goal::AllUnused)
}

/// S5.11: whether a filesystem is too small to be the one of which the runtime says how much it uses there.
pub fn is_another(usage: &FsUsage, reported_used: Option<u64>) -> bool {
    reported_used.is_some_and(|used| used > usage.capacity)
}

/// S5.8: whether so much is available by now that a space goal is reached, whatever the sizes of images say.
pub fn has_enough(usage: &FsUsage, low: u8) -> bool {
    let keep_free = u128::from(usage.capacity) * u128::from(100 - low.min(100)) / 100;
    let available = u128::from(usage.available.min(usage.capacity));
    usage.capacity > 0 && available >= keep_free
}

/// S5.11: the first of these that is fuller than the filesystem that is acted on.
pub fn fuller<'u>(
    acted_on: &FsUsage,
    others: impl IntoIterator<Item = &'u FsUsage>,
) -> Option<usize> {
    let full = usage_percent(acted_on).ok()?;
    let is_fuller = |usage: &FsUsage| usage_percent(usage).is_ok_and(|percent| percent > full);
    others.into_iter().position(is_fuller)
}

/// How a pass ends (S5.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Well, or with errors that are told already.
    Settled,
    /// With the errors of its removals.
    RemovalsFailed,
    /// With fewer bytes freed, these, than were wanted.
    TooLittle(u64),
}

/// S5.9: errors of removals fail a pass; without any, freeing less than wanted does, unless it is `excused`: all is held, or it has
/// failed for something else.
pub fn ending(removals_failed: bool, excused: bool, tally: &Tally) -> Ending {
    match tally.shortfall() {
        _ if removals_failed => Ending::RemovalsFailed,
        Some((_, freed)) if !excused => Ending::TooLittle(freed),
        _ => Ending::Settled,
    }
}

/// S5.9: what an operator reads of a pass that freed less than is wanted; in the words of the newest kubelet, which alerts look for.
pub fn too_little(usage: &FsUsage, freed: u64) -> String {
    let percent = usage_percent(usage).unwrap_or(100);
    let capacity = size(usage.capacity);
    format!(
        "Insufficient free disk space on the node's image filesystem ({percent}% of {capacity} used). Failed to free sufficient space by deleting unused images (freed {freed} bytes). Investigate disk usage, as it could be used by active images, logs, volumes, or other data."
    )
}

/// A size for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// The images that sandboxes are made from, as far as somebody asked (S5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SandboxImages {
    /// Nothing is to be removed, so nobody asked.
    NotAsked,
    /// A question failed: nothing is removed.
    Failed,
    /// IDs, tags or digests.
    Known(Vec<Text>),
}

/// S5.3: whether a tag's repository is called `pause` or `...-pause`.
pub fn is_pause(image: &Image) -> bool {
    image.tags.iter().any(|tag| {
        let last = tag.rsplit('/').next().unwrap_or(tag);
        let repository = last.split([':', '@']).next().unwrap_or(last);
        repository == "pause" || repository.ends_with("-pause")
    })
}

/// All that is known of the images of a node.
pub struct ImageState<'i, 'a> {
    /// The runtime's list.
    pub images: &'i [Image],
    /// S5.2.
    pub in_use: &'a InUse,
    /// S5.1.
    pub records: &'a Records,
    /// S5.3.
    pub sandbox: &'a SandboxImages,
    /// S5.3.
    pub exempt: &'a Exempt,
}

impl ImageState<'_, '_> {
    fn is_sandbox_image(&self, image: &Image) -> bool {
        let known = match self.sandbox {
            SandboxImages::Known(known) => known.as_slice(),
            _ => &[],
        };
        is_pause(image) || names(image).any(|name| known.iter().any(|k| bare(k) == name))
    }

    /// S5.2, S5.3: why an image is never removed, if it is not.
    pub fn protects(&self, image: &Image) -> Option<Reason> {
        if !image.readable {
            Some(Reason::UnknownState)
        } else if self.in_use.uses(image) {
            Some(Reason::InUse)
        } else if image.pinned {
            Some(Reason::Pinned)
        } else if self.is_sandbox_image(image) {
            Some(Reason::SandboxImage)
        } else if self.exempt.matches(image) {
            Some(Reason::Exempt)
        } else {
            None
        }
    }

    /// Whether an image that was to go still may, by a later look, which has it as `now`; `None` = it is gone. It may have another name
    /// by then, by which a container uses it or a pattern exempts it, or have been pulled again.
    pub fn still_goes(
        &self,
        planned: &Image,
        now: Option<&Image>,
        goal: &Goal,
        (min_age, time): (i64, i64),
    ) -> bool {
        let goes = |now: &Image| self.keeps(now, goal, min_age, time).is_none();
        now.is_some_and(goes) && !self.in_use.uses(planned)
    }

    /// Why an image stays, if it does (in the order of the rules, S0.9).
    fn keeps(&self, image: &Image, goal: &Goal, min_age: i64, now: i64) -> Option<Reason> {
        if *goal == Goal::FirstLook && image.readable {
            return Some(Reason::FirstLook);
        }
        if let Some(reason) = self.protects(image) {
            return Some(reason);
        }
        let is_young = |age: i64| age < min_age;
        if *self.sandbox == SandboxImages::Failed {
            Some(Reason::SandboxImageUnknown)
        } else if *goal == Goal::Unknown {
            Some(Reason::NotReached)
        } else if *goal == Goal::BelowThreshold {
            Some(Reason::BelowThreshold)
        } else if let Goal::Aged(longest) = goal {
            // Not asked for its first 2 minutes (S5.7): the age is above them.
            let old = self.records.unused_for(image) > *longest;
            (!old).then_some(Reason::TooYoung)
        } else if self.records.get(image).is_none()
            || self.records.age(image, now).is_some_and(is_young)
        {
            Some(Reason::TooYoung)
        } else {
            None
        }
    }
}

/// The plan over the images of a look: all that may go, in the order of S5.4. A [`Tally`] says how many of them do.
pub fn plan<'i>(
    state: &ImageState<'i, '_>,
    goal: &Goal,
    min_age: i64,
    now: i64,
) -> Plan<'i, Image> {
    let reason = match goal {
        Goal::AllUnused => Reason::Unused,
        Goal::Aged(_) => Reason::Age,
        _ => Reason::Space,
    };
    let mut plan = Plan::default();
    for image in state.images {
        match state.keeps(image, goal, min_age, now) {
            Some(reason) => plan.keeps([image], reason),
            None => plan.removes([image], reason),
        }
    }
    plan.remove.sort_by_key(|step| {
        let record = state.records.get(step.object);
        (
            record.and_then(|r| r.last_used),
            record.and_then(|r| r.first_detected),
            step.object.key(),
        )
    });
    plan.keep.sort_by_cached_key(|step| step.object.key());
    plan
}

/// How much has been freed, and how much will be if all that is in flight succeeds (S5.8).
#[derive(Clone, Debug)]
pub struct Tally {
    /// `None` = all there is.
    wanted: Option<u64>,
    freed: u64,
    in_flight: u64,
    /// One image goes however little is wanted: the kubelet asks only after a removal whether it was enough.
    first_is_due: bool,
    /// How many images are in flight or gone.
    taken: usize,
    /// How many are in flight of which nobody knows what they free.
    unsized_in_flight: usize,
    /// The filesystem has as much space by now as is to be reached.
    has_enough: bool,
}

impl Tally {
    /// Nothing freed yet.
    pub fn new(goal: &Goal) -> Tally {
        Tally {
            wanted: match goal {
                Goal::AllUnused | Goal::Aged(_) => None,
                Goal::Free(bytes) => Some(*bytes),
                Goal::FirstLook | Goal::Unknown | Goal::BelowThreshold => Some(0),
            },
            freed: 0,
            in_flight: 0,
            first_is_due: matches!(goal, Goal::Free(_)),
            taken: 0,
            unsized_in_flight: 0,
            has_enough: false,
        }
    }

    /// Whether one more is needed even if all in flight succeed.
    pub fn may_start(&self) -> bool {
        // One without a size may be all that is needed.
        if self.has_enough || (self.wanted.is_some() && self.unsized_in_flight > 0) {
            return false;
        }
        let first = self.first_is_due && self.taken == 0;
        first
            || self
                .wanted
                .is_none_or(|wanted| self.freed.saturating_add(self.in_flight) < wanted)
    }

    /// How many of the next images, of these sizes, would have to go if all succeed, those in flight too.
    pub fn still_needed(&self, sizes: impl ExactSizeIterator<Item = u64>) -> usize {
        // All of them: this is asked after each removal.
        if self.wanted.is_none() && !self.has_enough {
            return sizes.len();
        }
        let mut tally = self.clone();
        sizes
            .take_while(|size| {
                let needed = tally.may_start();
                tally.started(*size);
                needed
            })
            .count()
    }

    /// A removal was begun.
    pub fn started(&mut self, bytes: u64) {
        self.in_flight = self.in_flight.saturating_add(bytes);
        self.unsized_in_flight += usize::from(bytes == 0);
        self.taken += 1;
    }

    /// A removal has ended.
    pub fn ended(&mut self, bytes: u64, removed: bool) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        let is_unsized = usize::from(bytes == 0);
        self.unsized_in_flight = self.unsized_in_flight.saturating_sub(is_unsized);
        if removed {
            self.freed = self.freed.saturating_add(bytes);
        } else {
            self.taken = self.taken.saturating_sub(1);
        }
    }

    /// What was said to be removed is still there: its bytes do not count (S5.12).
    pub fn was_not_freed(&mut self, bytes: u64) {
        self.freed = self.freed.saturating_sub(bytes);
    }

    /// The filesystem has enough space by now (S5.8).
    pub fn has_enough(&mut self) {
        self.has_enough = true;
    }

    /// Bytes of what was removed.
    pub fn freed(&self) -> u64 {
        self.freed
    }

    /// Whether the goal is reached.
    pub fn satisfied(&self) -> bool {
        self.has_enough || self.wanted.is_none_or(|wanted| self.freed >= wanted)
    }

    /// S5.9: wanted and freed bytes, where fewer were freed than wanted.
    pub fn shortfall(&self) -> Option<(u64, u64)> {
        let wanted = self.wanted.filter(|_| !self.has_enough)?;
        (self.freed < wanted).then_some((wanted, self.freed))
    }
}
