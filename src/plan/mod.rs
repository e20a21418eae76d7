//! Decisions: pure functions from a snapshot of the node, policy and time to an ordered plan with a reason for every object.
//! No I/O, no clock, no randomness. `pods` and `newer` carry S0.2 to S0.4, `share` S0.12, `containers` and `units` S1, `sandboxes` S3, `logs` S2.4, S2.6,
//! S4.1 and S4.2, `orphans` S4.3, `images` S5, `space` and `tally` what an image pass has to free and when it has (S5.6, S5.8, S5.9, S5.11), `backoff` and `order` S0.8,
//! `window` and `in_flight` how many removals run at once (S2.7).

pub mod backoff;
pub mod containers;
pub mod exempt;
pub mod images;
pub mod in_flight;
pub mod in_use;
pub mod logs;
mod newer;
pub mod order;
pub mod orphans;
pub mod pods;
pub mod records;
pub mod sandboxes;
pub mod share;
pub mod space;
pub mod tally;
mod trial;
mod units;
pub mod window;

use crate::report::{Compared, Reason, Why};
use pods::rests_on_pod;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// The decision about one object.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'a, T> {
    /// The object, in the list that was planned over.
    pub object: &'a T,
    /// Why it is removed or kept.
    pub reason: Reason,
    /// What was compared for this reason.
    pub compared: Compared,
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

impl<T> Step<'_, T> {
    /// The reason, with what was compared.
    pub fn why(&self) -> Why {
        Why::new(self.reason, self.compared.clone())
    }
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
    fn removes(&mut self, object: &'a T, why: impl Into<Why>) {
        let why = why.into();
        let rests_on_pod = rests_on_pod(why.reason);
        self.remove.push(step(object, why, rests_on_pod));
    }

    /// The same for a reason that does not speak of the pod, but holds only if the pod is gone or has ended.
    fn removes_with_pod(&mut self, object: &'a T, why: Why) {
        self.remove.push(step(object, why, true));
    }

    fn keeps(&mut self, object: &'a T, why: impl Into<Why>) {
        self.keep.push(step(object, why.into(), false));
    }

    fn add(&mut self, object: &'a T, is_removed: bool, why: impl Into<Why>) {
        if is_removed {
            self.removes(object, why);
        } else {
            self.keeps(object, why);
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
        let kept = |spared: Step<'a, T>| step(spared.object, reason.into(), false);
        self.keep.extend(spared.map(kept));
    }

    /// An object that was planned before is removed for its reason `then`: a later snapshot only takes removals away (S0.8). If that
    /// removal rested on the host's answer about its pod (the second value), it is removed only if it still does; if on its age, only if it
    /// is not the one that stays by now (S1.9).
    pub fn stand_by(&mut self, then: impl Fn(&T) -> Option<(Why, bool)>) {
        let is_other = |step: &Step<'a, T>| match then(step.object) {
            Some((_, true)) => !step.rests_on_pod,
            Some((why, false)) => why.reason == Reason::Age && step.reason == Reason::TotalLimit,
            None => false,
        };
        self.spare(Reason::Changed, is_other);
        for step in &mut self.remove {
            if let Some((why, false)) = then(step.object) {
                (step.reason, step.compared) = (why.reason, why.compared);
                step.rests_on_pod = false;
            }
        }
    }
}

fn step<T>(object: &T, why: Why, rests_on_pod: bool) -> Step<'_, T> {
    Step {
        object,
        reason: why.reason,
        compared: why.compared,
        rests_on_pod,
    }
}

/// Of the values for a key the least is kept, so that it does not depend on the order of a list.
fn keep_least<K: Eq + Hash, V: Ord>(values: &mut HashMap<K, V>, key: K, value: V) {
    match values.entry(key) {
        Entry::Occupied(mut least) if value < *least.get() => drop(least.insert(value)),
        Entry::Occupied(_) => {}
        Entry::Vacant(least) => drop(least.insert(value)),
    }
}
