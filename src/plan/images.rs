//! Which images are removed, and in which order (S5.3 to S5.10); when enough is freed is in `space` and `tally`.

use super::Plan;
use super::exempt::Exempt;
use super::in_use::{InUse, bare, names};
use super::records::Records;
use super::space::Wanted;
use crate::node::{Image, Text};
use crate::report::Reason;
use std::time::Duration;

/// The goal of an image pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Remove nothing: a periodic pass without records (S5.1).
    FirstLook,
    /// Remove nothing: it is unknown how full the disk is (S5.6).
    Unknown,
    /// Remove nothing: the disk is not full (S5.6).
    BelowThreshold,
    /// Remove images until the filesystem has this (S5.6, S5.11).
    Free(Wanted),
    /// Remove all that is unused (S5.10).
    AllUnused,
    /// Remove all that has been unused for longer (S5.5).
    Aged(Duration),
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
