//! Which images are removed, and in which order (S5.3 to S5.10); when enough is freed is in `space` and `tally`.

use super::Plan;
use super::exempt::Exempt;
use super::in_use::{InUse, bare, names};
use super::records::Records;
use super::space::Wanted;
use crate::config::duration::nanoseconds;
use crate::node::{Image, Text};
use crate::report::{Age, Compared, Reason, Since, Why, number};
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

/// A tag of which the name of the repository is `pause` or ends in `-pause` (S5.3).
fn pause_tag(image: &Image) -> Option<&Text> {
    image.tags.iter().find(|tag| {
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
    /// The name by which sandboxes are made from an image, if they are.
    fn sandbox_name<'n>(&'n self, image: &'n Image) -> Option<&'n Text> {
        let known = match self.sandbox {
            SandboxImages::Known(known) => &known[..],
            _ => &[],
        };
        let is_its = |known: &&Text| names(image).any(|name| bare(known) == name);
        pause_tag(image).or_else(|| known.iter().find(is_its))
    }

    /// Why an image is never removed, if it is not (S5.2, S5.3).
    fn protects(&self, image: &Image) -> Option<Why> {
        if !image.readable {
            return Some(Reason::UnknownState.into());
        }
        if let Some(user) = self.in_use.user(image) {
            return Some(Why::new(Reason::InUse, Compared::Container(user.clone())));
        }
        if image.pinned {
            return Some(Reason::Pinned.into());
        }
        let named = |reason| move |name: &Text| Why::new(reason, Compared::Named(name.clone()));
        let sandbox_image = self.sandbox_name(image).map(named(Reason::SandboxImage));
        let exempt = || self.exempt.pattern(image).map(named(Reason::Exempt));
        sandbox_image.or_else(exempt)
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
    fn keeps(&self, image: &Image, goal: &Goal, min_age: i64, now: i64) -> Option<Why> {
        if *goal == Goal::FirstLook && image.readable {
            return Some(Reason::FirstLook.into());
        }
        if let Some(why) = self.protects(image) {
            return Some(why);
        }
        let youth = match goal {
            _ if *self.sandbox == SandboxImages::Failed => {
                return Some(Reason::SandboxImageUnknown.into());
            }
            Goal::Unknown => return Some(Reason::NotReached.into()),
            Goal::BelowThreshold => return Some(Reason::BelowThreshold.into()),
            // `minimum-image-ttl-duration` does not count here (S5.7).
            Goal::Aged(longest) => {
                let unused = self.unused(image, longest);
                (!unused.is_above()).then_some(Compared::Age(unused))?
            }
            _ if self.records.get(image).is_none() => Compared::Nothing,
            _ => {
                let (since, limit) = (Since::Detected, min_age);
                let age = self.records.age(image, now)?;
                let age = Age { since, age, limit };
                age.is_below().then_some(Compared::Age(age))?
            }
        };
        Some(Why::new(Reason::TooYoung, youth))
    }

    /// How long an image has been unused (S5.5).
    fn unused(&self, image: &Image, longest: &Duration) -> Age {
        Age {
            since: Since::Unused,
            age: nanoseconds(self.records.unused_for(image)),
            limit: nanoseconds(*longest),
        }
    }

    /// Why an image is removed.
    fn removes(&self, image: &Image, goal: &Goal) -> Why {
        let reason = match goal {
            Goal::Aged(longest) => {
                let unused = self.unused(image, longest);
                return Why::new(Reason::Age, Compared::Age(unused));
            }
            Goal::AllUnused => Reason::Unused,
            _ => Reason::Space,
        };
        let last_used = self.records.get(image).and_then(|record| record.last_used);
        let turn = Compared::Turn {
            rank: 0,
            of: 0,
            last_used: last_used.unwrap_or(0),
        };
        Why::new(reason, turn)
    }
}

/// The plan over the images of a list: all that may be removed, in the order of S5.4. A [`Tally`] says how many of them are.
pub fn plan<'i>(
    state: &ImageState<'i, '_>,
    goal: &Goal,
    min_age: i64,
    now: i64,
) -> Plan<'i, Image> {
    let mut plan = Plan::default();
    for image in state.images {
        match state.keeps(image, goal, min_age, now) {
            Some(why) => plan.keeps(image, why),
            None => plan.removes(image, state.removes(image, goal)),
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
    number_turns(&mut plan);
    plan
}

/// Numbers the images of a plan in the order in which they are removed.
pub fn number_turns(plan: &mut Plan<'_, Image>) {
    let all = number(plan.remove.len());
    for (at, step) in plan.remove.iter_mut().enumerate() {
        if let Compared::Turn { rank, of, .. } = &mut step.compared {
            (*rank, *of) = (number(at + 1), all);
        }
    }
}
