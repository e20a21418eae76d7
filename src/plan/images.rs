//! Which images go, in which order, and when it is enough (S5.3 to S5.10).

use super::exempt::Exempt;
use super::in_use::{InUse, bare, names};
use super::records::Records;
use super::{Plan, Step};
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
pub struct ImageLook<'a> {
    /// The runtime's list.
    pub images: &'a [Image],
    /// S5.2.
    pub in_use: &'a InUse,
    /// S5.1.
    pub records: &'a Records,
    /// S5.3.
    pub sandbox: &'a SandboxImages,
    /// S5.3.
    pub exempt: &'a Exempt,
}

impl ImageLook<'_> {
    fn is_sandbox_image(&self, image: &Image) -> bool {
        let known = match self.sandbox {
            SandboxImages::Known(known) => known.as_slice(),
            _ => &[],
        };
        is_pause(image) || names(image).any(|name| known.iter().any(|k| bare(k) == name))
    }

    /// Why an image stays, if it does (in the order of the rules, S0.9).
    fn keeps(&self, image: &Image, goal: &Goal, min_age: i64, now: i64) -> Option<Reason> {
        let record = self.records.get(image);
        let detected = record.and_then(|record| record.first_detected);
        if !image.readable {
            Some(Reason::UnknownState)
        } else if *goal == Goal::FirstLook {
            Some(Reason::FirstLook)
        } else if self.in_use.uses(image) {
            Some(Reason::InUse)
        } else if image.pinned {
            Some(Reason::Pinned)
        } else if self.is_sandbox_image(image) {
            Some(Reason::SandboxImage)
        } else if self.exempt.matches(image) {
            Some(Reason::Exempt)
        } else if *self.sandbox == SandboxImages::Failed {
            Some(Reason::SandboxImageUnknown)
        } else if *goal == Goal::Unknown {
            Some(Reason::NotReached)
        } else if *goal == Goal::BelowThreshold {
            Some(Reason::BelowThreshold)
        } else if let Goal::Aged(longest) = goal {
            // Not asked for its first 2 minutes (S5.7): the age is above them.
            let old = self.records.unused_for(image) > *longest;
            (!old).then_some(Reason::TooYoung)
        } else if record.is_none() || detected.is_some_and(|at| now.saturating_sub(at) < min_age) {
            Some(Reason::TooYoung)
        } else {
            None
        }
    }
}

/// The plan over the images of a look: all that may go, in the order of S5.4. A [`Tally`] says how many of them do.
pub fn plan(look: &ImageLook<'_>, goal: &Goal, min_age: i64, now: i64) -> Plan {
    let reason = match goal {
        Goal::AllUnused => Reason::Unused,
        Goal::Aged(_) => Reason::Age,
        _ => Reason::Space,
    };
    let mut plan = Plan::default();
    for (index, image) in look.images.iter().enumerate() {
        match look.keeps(image, goal, min_age, now) {
            Some(reason) => plan.keep.push(Step { index, reason }),
            None => plan.remove.push(Step { index, reason }),
        }
    }
    plan.remove.sort_by_key(|step| {
        let image = &look.images[step.index];
        let record = look.records.get(image);
        (
            record.and_then(|r| r.last_used),
            record.and_then(|r| r.first_detected),
            image.id.clone(),
            image.handler.clone(),
        )
    });
    plan.keep.sort_by(|a, b| {
        let key = |step: &Step| {
            (
                &look.images[step.index].id,
                &look.images[step.index].handler,
            )
        };
        key(a).cmp(&key(b))
    });
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
        }
    }

    /// Whether one more is needed even if all in flight succeed.
    pub fn may_start(&self) -> bool {
        let first = self.first_is_due && self.taken == 0;
        first
            || self
                .wanted
                .is_none_or(|wanted| self.freed.saturating_add(self.in_flight) < wanted)
    }

    /// How many of the next images, of these sizes, would have to go if all succeed, those in flight too.
    pub fn still_needed(&self, sizes: impl Iterator<Item = u64>) -> usize {
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
        self.taken += 1;
    }

    /// A removal has ended.
    pub fn ended(&mut self, bytes: u64, removed: bool) {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        if removed {
            self.freed = self.freed.saturating_add(bytes);
        } else {
            self.taken = self.taken.saturating_sub(1);
        }
    }

    /// Bytes of what was removed.
    pub fn freed(&self) -> u64 {
        self.freed
    }

    /// Whether the goal is reached.
    pub fn satisfied(&self) -> bool {
        self.wanted.is_none_or(|wanted| self.freed >= wanted)
    }

    /// S5.9: wanted and freed bytes, where fewer were freed than wanted.
    pub fn shortfall(&self) -> Option<(u64, u64)> {
        let wanted = self.wanted?;
        (self.freed < wanted).then_some((wanted, self.freed))
    }
}
