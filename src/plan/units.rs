//! The candidates of S1 in their evict units, with their places, and what a unit keeps besides its newest (S1.5).

use crate::node::{Container, ContainerState};
use crate::report::{Compared, Extra, number};
use std::collections::BTreeMap;

/// A container that may be removed.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) container: &'a Container,
    /// Its place among the candidates of its evict unit, from the newest on, counted from 1.
    pub(super) rank: u32,
    /// How many there are.
    of: u32,
    /// Why it stays besides the newest, if it does (S1.5).
    extra: Option<Extra>,
}

/// The candidates of one evict unit, oldest first.
pub(super) type Unit<'a> = Vec<Candidate<'a>>;

/// All evict units, by pod UID and container name.
pub(super) type Units<'a> = BTreeMap<(&'a str, &'a str), Unit<'a>>;

impl<'a> Candidate<'a> {
    /// Not ranked yet.
    pub(super) fn new(container: &'a Container) -> Candidate<'a> {
        Candidate {
            container,
            rank: 0,
            of: 0,
            extra: None,
        }
    }

    /// The same as one that stays besides the newest.
    fn staying(&self, because: Extra) -> Candidate<'a> {
        Candidate {
            extra: Some(because),
            ..*self
        }
    }

    /// Its place in its unit, of which so many stay.
    pub(super) fn place(&self, limit: Option<usize>) -> Compared {
        let (rank, of, limit) = (self.rank, self.of, limit.map(number));
        match (self.extra, limit) {
            (Some(because), Some(limit)) => Compared::Extra {
                rank,
                of,
                limit,
                because,
            },
            _ => Compared::Rank { rank, of, limit },
        }
    }
}

/// Sorts candidates, the oldest first.
pub(super) fn sort(candidates: &mut [Candidate<'_>]) {
    candidates.sort_unstable_by_key(|candidate| candidate.container.age());
}

/// Sorts a unit, and notes the places.
pub(super) fn rank(unit: &mut Unit<'_>) {
    sort(unit);
    let of = unit.len();
    for (at, candidate) in unit.iter_mut().enumerate() {
        (candidate.rank, candidate.of) = (number(of - at), number(of));
    }
}

/// The extras of S1.5 (safer), which units keep besides their newest `limit`. They are taken out of the units, so that all other rules
/// decide without them.
pub(super) fn take_extras<'a>(units: &mut Units<'a>, limit: usize) -> Units<'a> {
    if limit == 0 {
        return Units::new();
    }
    let of_unit = |unit: &mut Unit<'a>| {
        let wanted = extras(unit, limit);
        let of_wanted = |candidate: &mut Candidate<'a>| {
            let same = |other: &&Candidate<'_>| std::ptr::eq(other.container, candidate.container);
            let found = wanted.iter().find(same);
            candidate.extra = found.and_then(|found| found.extra);
            found.is_some()
        };
        unit.extract_if(.., of_wanted).collect()
    };
    units
        .iter_mut()
        .map(|(&name, unit)| (name, of_unit(unit)))
        .collect()
}

/// The last crash of a unit, if its newest `limit` were never started, and its highest attempt, if creation times say otherwise.
pub(super) fn extras<'a>(unit: &[Candidate<'a>], limit: usize) -> Unit<'a> {
    let (over, newest) = unit.split_at(unit.len().saturating_sub(limit));
    let created = |candidate: &Candidate<'_>| candidate.container.state == ContainerState::Created;
    let crash = if newest.iter().all(created) {
        over.iter().rfind(|candidate| !created(candidate))
    } else {
        None
    };
    // Of equal ones the last is the newest.
    let highest = unit
        .iter()
        .max_by_key(|candidate| candidate.container.attempt);
    let highest = highest.filter(|candidate| is_among(over, candidate.container));
    let crash = crash.map(|candidate| candidate.staying(Extra::LastRun));
    let highest = highest.map(|candidate| candidate.staying(Extra::HighestAttempt));
    [crash, highest].into_iter().flatten().collect()
}

pub(super) fn is_among(some: &[Candidate<'_>], c: &Container) -> bool {
    some.iter().any(|other| std::ptr::eq(other.container, c))
}

/// Puts containers of the same units together again.
pub(super) fn add<'a>(units: &mut Units<'a>, more: Units<'a>) {
    for (name, unit) in more {
        units.entry(name).or_default().extend(unit);
    }
}

pub(super) fn count(units: &Units<'_>) -> usize {
    units.values().map(Vec::len).sum()
}
