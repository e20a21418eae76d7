//! Decisions: pure functions from a snapshot of the node, policy and time to an ordered plan with a reason for every object.
//! No I/O, no clock, no randomness. `pods` carries S0.2 to S0.4, `share` S0.12, `containers` S1, `sandboxes` S3, `logs` S2.4, S2.6,
//! S4.1 and S4.2, `orphans` S4.3, `images` S5, `space` and `tally` what an image pass has to free and when it has (S5.6, S5.8, S5.9, S5.11), `backoff` and `order` S0.8,
//! `window` and `in_flight` how many removals run at once (S2.7).

pub mod backoff;
pub mod containers;
pub mod exempt;
pub mod images;
pub mod in_flight;
pub mod in_use;
pub mod logs;
pub mod order;
pub mod orphans;
pub mod pods;
pub mod records;
pub mod sandboxes;
pub mod share;
pub mod space;
pub mod tally;
mod trial;
pub mod window;

use crate::report::Reason;
use pods::rests_on_pod;

/// The decision about one object.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'a, T> {
    /// The object, in the list that was planned over.
    pub object: &'a T,
    /// Why it is removed or kept.
    pub reason: Reason,
    /// Its removal rests on the host's answer about its pod (S0.3).
    pub rests_on_pod: bool,
}

/// A decision for each object of a list: the removals in their order, and what is kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan<'a, T> {
    /// To be removed, in this order.
    pub remove: Vec<Step<'a, T>>,
    /// To be kept.
    pub keep: Vec<Step<'a, T>>,
}

impl<T> Default for Plan<'_, T> {
    fn default() -> Self {
        Plan {
            remove: Vec::new(),
            keep: Vec::new(),
        }
    }
}

impl<'a, T> Plan<'a, T> {
    fn removes(&mut self, objects: impl IntoIterator<Item = &'a T>, reason: Reason) {
        self.remove
            .extend(steps(objects, reason, rests_on_pod(reason)));
    }

    /// The same for a reason that does not speak of the pod, but holds only if the pod is gone or has ended.
    fn removes_with_pod(&mut self, objects: impl IntoIterator<Item = &'a T>, reason: Reason) {
        self.remove.extend(steps(objects, reason, true));
    }

    fn keeps(&mut self, objects: impl IntoIterator<Item = &'a T>, reason: Reason) {
        self.keep.extend(steps(objects, reason, false));
    }

    fn add(&mut self, object: &'a T, is_removed: bool, reason: Reason) {
        if is_removed {
            self.removes([object], reason);
        } else {
            self.keeps([object], reason);
        }
    }

    /// Other objects than these are neither removed nor reported (S8).
    pub fn only(&mut self, picked: impl Fn(&T) -> bool) {
        self.remove.retain(|step| picked(step.object));
        self.keep.retain(|step| picked(step.object));
    }

    /// The picked removals become objects that are kept, for this reason.
    pub fn spare(&mut self, reason: Reason, picked: impl Fn(&Step<'a, T>) -> bool) {
        let spared = self.remove.extract_if(.., |step| picked(step));
        self.keep.extend(spared.map(|step| Step {
            reason,
            rests_on_pod: false,
            ..step
        }));
    }

    /// An object that was planned before is removed for its reason `then`: a later snapshot only takes removals away (S0.8). If that
    /// removal rested on the host's answer about its pod (the second value), it is removed only if it still does; if on its age, only if it
    /// is not the one that stays by now (S1.9).
    pub fn stand_by(&mut self, then: impl Fn(&T) -> Option<(Reason, bool)>) {
        let is_other = |step: &Step<'a, T>| match then(step.object) {
            Some((_, true)) => !step.rests_on_pod,
            Some((Reason::Age, false)) => step.reason == Reason::TotalLimit,
            _ => false,
        };
        self.spare(Reason::Changed, is_other);
        for step in &mut self.remove {
            if let Some((reason, false)) = then(step.object) {
                step.reason = reason;
                step.rests_on_pod = false;
            }
        }
    }
}

fn steps<'a, T: 'a>(
    objects: impl IntoIterator<Item = &'a T>,
    reason: Reason,
    rests_on_pod: bool,
) -> impl Iterator<Item = Step<'a, T>> {
    let step = move |object| Step {
        object,
        reason,
        rests_on_pod,
    };
    objects.into_iter().map(step)
}
