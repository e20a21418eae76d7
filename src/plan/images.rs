//! Which images are removed, in which order, and when enough is freed (S5.3 to S5.10).

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

/// The goal of an image pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Remove nothing: a periodic pass without records (S5.1).
    FirstLook,
    /// Remove nothing: it is unknown how full the disk is (S5.6).
    Unknown,
    /// Remove nothing: the disk is not full (S5.6).
    BelowThreshold,
    /// Free this number of bytes (S5.6).
    Free(u64),
    /// Remove all that is unused (S5.10).
    AllUnused,
    /// Remove all that has been unused for longer (S5.5).
    Aged(Duration),
}

/// How full the filesystem is, in percent, rounded up (S5.6).
pub fn usage_percent(usage: &FsUsage) -> Result<u64, NoFigures> {
    if usage.capacity == 0 {
        return Err(NoFigures);
    }
    let (capacity, available) = (u128::from(usage.capacity), u128::from(usage.available));
    let free = available.min(capacity) * 100 / capacity;
    Ok(100 - u64::try_from(free).unwrap_or(100))
}

/// Whether the high threshold is reached, and how many bytes have to be freed then (S5.6).
pub fn space_goal(usage: &FsUsage, high: u8, low: u8) -> Result<Goal, NoFigures> {
    if usage_percent(usage)? < u64::from(high) {
        return Ok(Goal::BelowThreshold);
    }
    Ok(Goal::Free(missing(usage, low)))
}

/// How many bytes have to become available until the usage is down at the low threshold.
fn missing(usage: &FsUsage, low: u8) -> u64 {
    let keep_free = u128::from(usage.capacity) * u128::from(100 - low.min(100)) / 100;
    let bytes = keep_free.saturating_sub(u128::from(usage.available));
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The goal of a pass after its removals by age, if it does not depend on the disk; `None` = it does. `first_look`: the pass only looks
/// and records (S5.1). `failed`: a removal by age failed, after which nothing is removed for space (S5.5).
pub fn goal(
    first_look: bool,
    failed: bool,
    sandbox: &SandboxImages,
    all_unused: bool,
) -> Option<Goal> {
    if first_look {
        return Some(Goal::FirstLook);
    }
    // Without an answer about sandboxes nothing is removed, however full the disk is (S5.3).
    if (failed && !all_unused) || *sandbox == SandboxImages::Failed {
        return Some(Goal::Unknown);
    }
    all_unused.then_some(Goal::AllUnused)
}

/// Whether a filesystem is smaller than what the runtime says it uses there: then it is another one (S5.11).
pub fn is_another(usage: &FsUsage, reported_used: Option<u64>) -> bool {
    reported_used.is_some_and(|used| used > usage.capacity)
}

/// Whether enough is available now to reach a space goal, whatever the sizes of images say (S5.8).
pub fn has_enough(usage: &FsUsage, low: u8) -> bool {
    usage.capacity > 0 && missing(usage, low) == 0
}

/// The first of these filesystems that is fuller than the one that is acted on (S5.11).
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
    /// Well, or with errors that are reported already.
    Settled,
    /// With the errors of its removals.
    RemovalsFailed,
    /// With this number of bytes freed, fewer than were wanted.
    TooLittle(u64),
}

/// Errors of removals fail a pass. Without any, a pass fails if it freed less than wanted, unless it is `excused`: all is held, or it
/// has failed for something else (S5.9).
pub fn ending(removals_failed: bool, excused: bool, tally: &Tally) -> Ending {
    match tally.shortfall() {
        _ if removals_failed => Ending::RemovalsFailed,
        Some((_, freed)) if !excused => Ending::TooLittle(freed),
        _ => Ending::Settled,
    }
}

/// The message of a pass that freed less than wanted, in the words of the newest kubelet, which alerts search for (S5.9).
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

/// The images that sandboxes are made from (S5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SandboxImages {
    /// Nothing has to be removed yet, so the runtime was not asked.
    NotAsked,
    /// A question failed: nothing is removed.
    Failed,
    /// IDs, tags or digests.
    Known(Vec<Text>),
}

/// Whether the name of a tag's repository is `pause` or ends in `-pause` (S5.3).
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
        let SandboxImages::Known(known) = self.sandbox else {
            return is_pause(image);
        };
        is_pause(image) || names(image).any(|name| known.iter().any(|k| bare(k) == name))
    }

    /// Why an image is never removed, if it is not (S5.2, S5.3).
    pub fn protects(&self, image: &Image) -> Option<Reason> {
        match image {
            _ if !image.readable => Some(Reason::UnknownState),
            _ if self.in_use.uses(image) => Some(Reason::InUse),
            _ if image.pinned => Some(Reason::Pinned),
            _ if self.is_sandbox_image(image) => Some(Reason::SandboxImage),
            _ if self.exempt.matches(image) => Some(Reason::Exempt),
            _ => None,
        }
    }

    /// Whether a planned image may still be removed by a later list, which has it as `now`; `None` = it is not in that list. Since then it
    /// may have got a name by which a container uses it or a pattern exempts it, or have been pulled again.
    pub fn may_still_remove(
        &self,
        planned: &Image,
        now: Option<&Image>,
        goal: &Goal,
        (min_age, time): (i64, i64),
    ) -> bool {
        let goes = |now: &Image| self.keeps(now, goal, min_age, time).is_none();
        now.is_some_and(goes) && !self.in_use.uses(planned)
    }

    /// Why an image is kept, if it is (in the order of the rules, S0.9).
    fn keeps(&self, image: &Image, goal: &Goal, min_age: i64, now: i64) -> Option<Reason> {
        if *goal == Goal::FirstLook && image.readable {
            return Some(Reason::FirstLook);
        }
        if let Some(reason) = self.protects(image) {
            return Some(reason);
        }
        let is_young = match goal {
            _ if *self.sandbox == SandboxImages::Failed => {
                return Some(Reason::SandboxImageUnknown);
            }
            Goal::Unknown => return Some(Reason::NotReached),
            Goal::BelowThreshold => return Some(Reason::BelowThreshold),
            // `minimum-image-ttl-duration` does not count here (S5.7).
            Goal::Aged(longest) => self.records.unused_for(image) <= *longest,
            _ => {
                let age = self.records.age(image, now);
                self.records.get(image).is_none() || age.is_some_and(|age| age < min_age)
            }
        };
        is_young.then_some(Reason::TooYoung)
    }
}

/// The plan over the images of a list: all that may be removed, in the order of S5.4. A [`Tally`] says how many of them are.
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
    plan.remove.sort_unstable_by_key(|step| {
        let record = state.records.get(step.object);
        (
            record.and_then(|r| r.last_used),
            record.and_then(|r| r.first_detected),
            step.object.key(),
        )
    });
    plan.keep.sort_unstable_by(|a, b| {
        let (a, b) = (a.object, b.object);
        (&a.id, &a.handler).cmp(&(&b.id, &b.handler))
    });
    plan
}

/// How much has been freed, and how much will be if all removals in flight succeed (S5.8).
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// `None` = without limit.
    wanted: Option<u64>,
    freed: u64,
    in_flight: u64,
    /// One image is removed however little is wanted: the kubelet checks only after a removal whether it was enough.
    first_is_due: bool,
    /// How many images are in flight or removed.
    taken: usize,
    /// How many are in flight whose size is unknown.
    unsized_in_flight: usize,
    /// The filesystem has the wanted space now.
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
            first_is_due: matches!(goal, Goal::Free(_)),
            ..Tally::default()
        }
    }

    /// Whether one more is needed even if all in flight succeed.
    pub fn may_start(&self) -> bool {
        let Some(wanted) = self.wanted.filter(|_| !self.has_enough) else {
            return !self.has_enough;
        };
        let is_first = self.first_is_due && self.taken == 0;
        // One without a size may be all that is needed.
        self.unsized_in_flight == 0
            && (is_first || self.freed.saturating_add(self.in_flight) < wanted)
    }

    /// How many of the next images, of these sizes, would have to be removed if all succeed, those in flight too.
    pub fn still_needed(&self, sizes: impl ExactSizeIterator<Item = u64>) -> usize {
        // Without a limit they need not be counted after each removal.
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

    /// An image that the runtime said it removed is still there: its bytes do not count (S5.12).
    pub fn was_not_freed(&mut self, bytes: u64) {
        self.freed = self.freed.saturating_sub(bytes);
    }

    /// The filesystem has enough space now (S5.8).
    pub fn has_enough(&mut self) {
        self.has_enough = true;
    }

    /// The bytes of all removed images.
    pub fn freed(&self) -> u64 {
        self.freed
    }

    /// Whether the goal is reached.
    pub fn satisfied(&self) -> bool {
        self.shortfall().is_none()
    }

    /// Wanted and freed bytes, if fewer were freed than wanted (S5.9).
    pub fn shortfall(&self) -> Option<(u64, u64)> {
        let wanted = self.wanted.filter(|_| !self.has_enough)?;
        (self.freed < wanted).then_some((wanted, self.freed))
    }
}
