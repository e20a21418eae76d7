//! Which dead containers are removed, in which order (S1), and how much time one gets that has to be stopped (S2.3).

use super::pods::{PodView, Standing};
use super::units::{self, Candidate, Unit, Units, add, count, extras, is_among, rank, take_extras};
use super::{Plan, Step};
use crate::config::duration::nanoseconds;
use crate::config::{AgeFrom, Config};
use crate::node::{Container, ContainerState, Snapshot, Text};
use crate::report::{Age, Compared, Reason, Since, Why, number};
use std::collections::HashSet;

/// The grace period in seconds if no annotation gives one (S2.3), and the shortest that StopContainer is given.
const GRACE: u64 = 2;

/// The longest grace period that StopContainer is given, in seconds: runtimes in Go count in nanoseconds of 63 bits.
const LONGEST: u64 = i64::MAX as u64 / 1_000_000_000;

/// A CREATED container younger than this, in ns, may be about to be started (S1.1).
const STARTING: i64 = 2 * 60 * 1_000_000_000;

/// The limits of S1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerPolicy {
    /// ns; S1.2.
    pub min_age: i64,
    /// S1.5; `None` = no limit.
    pub per_unit: Option<usize>,
    /// S1.6; `None` = no limit.
    pub total: Option<usize>,
    /// ns; S1.9. `None` = off.
    pub max_age: Option<i64>,
    /// The limits were decided over an earlier list, so that `total` says nothing of this one: S1.9 decides before them.
    pub late: bool,
    /// S1.2, S1.9.
    pub age_from: AgeFrom,
}

impl From<&Config> for ContainerPolicy {
    fn from(config: &Config) -> ContainerPolicy {
        ContainerPolicy {
            min_age: nanoseconds(config.minimum_container_ttl_duration),
            per_unit: config.maximum_dead_containers_per_container,
            total: config.maximum_dead_containers,
            max_age: config.maximum_dead_container_age.map(nanoseconds),
            late: false,
            age_from: config.container_age_from,
        }
    }
}

impl ContainerPolicy {
    /// Whether the plan has to know when candidates ended, which no list says (S1.2, S1.9).
    pub fn asks_for_ends(&self) -> bool {
        self.age_from == AgeFrom::Finished && (self.min_age > 0 || self.max_age.is_some())
    }
}

/// Whether a container in this state may be removed (S1.1).
pub fn is_candidate_state(c: &Container) -> bool {
    matches!(
        c.state,
        ContainerState::Created | ContainerState::Exited | ContainerState::Unknown
    )
}

/// The age of a candidate that is too young (S1.2), or may be about to be started (S1.1, safer). One of unknown age (`created_at` 0) is not
/// too young: it would be kept for ever.
fn too_young(c: &Container, policy: &ContainerPolicy, now: i64) -> Option<Age> {
    let (since, stamp) = match (policy.age_from, c.finished_at) {
        (AgeFrom::Finished, Some(finished)) if finished > 0 => (Since::Finished, finished),
        _ => (Since::Created, c.created_at),
    };
    let by_key = Age::at(now, since, stamp, policy.min_age);
    let starting = Age::at(now, Since::Starting, c.created_at, STARTING);
    let may_start = c.state == ContainerState::Created && starting.is_below();
    if by_key.is_below() {
        return Some(by_key);
    }
    may_start.then_some(starting)
}

/// The age of a candidate that is older than it may be (S1.9). One of unknown age (`created_at` 0, or the runtime did not say when it ended)
/// is not.
fn too_old(c: &Container, policy: &ContainerPolicy, now: i64) -> Option<Age> {
    let (since, stamp) = match policy.age_from {
        AgeFrom::Created => (Since::Created, c.created_at),
        AgeFrom::Finished => (Since::Finished, c.finished_at.unwrap_or(0)),
    };
    let age = Age::at(now, since, stamp, policy.max_age?);
    (stamp > 0 && age.is_above()).then_some(age)
}

/// Why a container is not a candidate, if it is not.
fn not_a_candidate(c: &Container, policy: &ContainerPolicy, now: i64) -> Option<Why> {
    match c.state {
        // Before all else, so that the order of two containers with one ID does not matter.
        _ if !c.readable => Some(Reason::UnknownState.into()),
        ContainerState::Running => Some(Reason::Running.into()),
        ContainerState::Undefined(_) => {
            let compared = Compared::ContainerState(c.state);
            Some(Why::new(Reason::UnknownState, compared))
        }
        _ => {
            let age = too_young(c, policy, now)?;
            Some(Why::new(Reason::TooYoung, Compared::Age(age)))
        }
    }
}

type ContainerPlan<'a> = Plan<'a, Container>;

/// The plan over the containers of a snapshot.
pub fn plan<'a>(
    snapshot: &'a Snapshot,
    pods: &PodView,
    policy: &ContainerPolicy,
    now: i64,
) -> ContainerPlan<'a> {
    let mut plan = Plan::default();
    let mut units = Units::new();
    let mut doubles = HashSet::new();
    for c in &snapshot.containers {
        match not_a_candidate(c, policy, now) {
            Some(why) => {
                if c.readable || doubles.insert(&c.id) {
                    plan.keeps(c, why);
                }
            }
            None => units
                .entry((c.uid(), &c.name))
                .or_default()
                .push(Candidate::new(c)),
        }
    }
    units.values_mut().for_each(rank);
    remove_for_pods(&mut units, pods, &mut plan);
    let old = |c: &Container| too_old(c, policy, now);
    if policy.late && policy.max_age.is_some() {
        remove_old(&mut units, pods, old, &mut plan);
    }
    let mut taken = Units::new();
    if let Some(limit) = policy.per_unit {
        taken = take_extras(&mut units, limit);
        let why = |c: &Candidate<'_>| Why::new(Reason::UnitLimit, c.place(Some(limit)));
        keep_newest(&mut units, limit, why, &mut plan);
    }
    match policy.total {
        Some(limit) => keep_total(&mut units, taken, pods, limit, &mut plan),
        None => add(&mut units, taken),
    }
    if snapshot.partial {
        // How many there are in all is unknown, so none is removed because of the total (S7.3).
        let is_over_total = |step: &Step<'_, _>| step.reason == Reason::TotalLimit;
        plan.spare(Reason::ListIncomplete, is_over_total);
    }
    if policy.max_age.is_some() {
        remove_old(&mut units, pods, old, &mut plan);
        keep_old(&mut units, pods, old, &mut plan);
    }
    let left = number(count(&units));
    for ((uid, _), unit) in units {
        for candidate in unit {
            let why = match pods.standing(uid) {
                Standing::Held(reason) => pods.why(uid, reason),
                _ => Why::new(Reason::WithinLimit, within(&candidate, policy, left)),
            };
            plan.keeps(candidate.container, why);
        }
    }
    plan.keep
        .sort_unstable_by(|a, b| a.object.id.cmp(&b.object.id));
    plan
}

/// What keeps a candidate, if so many stay in all.
fn within(candidate: &Candidate<'_>, policy: &ContainerPolicy, left: u32) -> Compared {
    match (policy.per_unit, policy.total) {
        (None, Some(limit)) => Compared::Within {
            left,
            limit: number(limit),
        },
        (limit, _) => candidate.place(limit),
    }
}

/// Units of removable pods lose all their candidates (S1.4).
fn remove_for_pods<'a>(units: &mut Units<'a>, pods: &PodView, plan: &mut ContainerPlan<'a>) {
    units.retain(|&(uid, _), unit| match pods.standing(uid) {
        Standing::Removable(reason) => {
            unit.iter()
                .for_each(|candidate| plan.removes(candidate.container, reason));
            false
        }
        _ => true,
    });
}

/// Each unit keeps its newest `limit` (S1.5).
fn keep_newest<'a>(
    units: &mut Units<'a>,
    limit: usize,
    why: impl Fn(&Candidate<'a>) -> Why,
    plan: &mut ContainerPlan<'a>,
) {
    units.retain(|_, unit| {
        let too_many = unit.len().saturating_sub(limit);
        unit.drain(..too_many)
            .for_each(|candidate| plan.removes(candidate.container, why(&candidate)));
        !unit.is_empty()
    });
}

/// The limit over all units (S1.6). Units whose pods are gone by the host's answer, and which are kept only because crigc is more careful
/// (S0.3, S0.4, S1.1), do not count against the others: they give way to them. So do the extras of S1.5.
fn keep_total<'a>(
    units: &mut Units<'a>,
    extras: Units<'a>,
    pods: &PodView,
    limit: usize,
    plan: &mut ContainerPlan<'a>,
) {
    let held = |uid: &str| match pods.standing(uid) {
        Standing::Held(reason) => reason != Reason::SourcesNotReady,
        _ => false,
    };
    let split = |units: Units<'a>| -> (Units<'a>, Units<'a>) {
        units.into_iter().partition(|&((uid, _), _)| held(uid))
    };
    let (mut giving_way, own) = split(std::mem::take(units));
    *units = own;
    let (mut extras_giving_way, mut extras) = split(extras);
    keep_shares(units, limit, plan);
    let left = limit.saturating_sub(count(units));
    remove_oldest(&mut extras, left, plan);
    let left = left.saturating_sub(count(&extras));
    keep_shares(&mut giving_way, left, plan);
    let left = left.saturating_sub(count(&giving_way));
    remove_oldest(&mut extras_giving_way, left, plan);
    for more in [extras, giving_way, extras_giving_way] {
        add(units, more);
    }
}

/// Of a pod that has ended all that is too old is removed; in other pods all but the newest of each unit, and the extras that it would have
/// by S1.5 with a limit of 1 (S1.9): the kubelet would start them again, and reads the number of attempts from them.
fn remove_old<'a>(
    units: &mut Units<'a>,
    pods: &PodView,
    old: impl Fn(&Container) -> Option<Age>,
    plan: &mut ContainerPlan<'a>,
) {
    for (&(uid, _), unit) in units {
        if let Standing::Removable(reason) = pods.age_standing(uid) {
            unit.retain(|candidate| {
                let Some(age) = old(candidate.container) else {
                    return true;
                };
                plan.removes_with_pod(candidate.container, Why::new(reason, Compared::Age(age)));
                false
            });
            continue;
        }
        // Extras were put behind the others.
        units::sort(unit);
        let mut needed = extras(unit, 1);
        needed.extend(unit.last());
        unit.retain(|candidate| match old(candidate.container) {
            Some(age) if !is_among(&needed, candidate.container) => {
                plan.removes(
                    candidate.container,
                    Why::new(Reason::Age, Compared::Age(age)),
                );
                false
            }
            _ => true,
        });
    }
}

/// What would be too old if its pod had ended, which is not certain.
fn keep_old<'a>(
    units: &mut Units<'a>,
    pods: &PodView,
    old: impl Fn(&Container) -> Option<Age>,
    plan: &mut ContainerPlan<'a>,
) {
    for (&(uid, _), unit) in units {
        if let Standing::Held(reason) = pods.age_standing(uid) {
            let is_old = |candidate: &mut Candidate<'_>| old(candidate.container).is_some();
            for candidate in unit.extract_if(.., is_old) {
                plan.keeps(candidate.container, pods.why(uid, reason));
            }
        }
    }
}

/// Each unit gets its share, then the oldest of all are removed (S1.6).
fn keep_shares<'a>(units: &mut Units<'a>, limit: usize, plan: &mut ContainerPlan<'a>) {
    let all = count(units);
    if all <= limit {
        return;
    }
    let share = (limit / units.len().max(1)).max(1);
    let why = |candidate: &Candidate<'_>| {
        let compared = Compared::Share {
            rank: candidate.rank,
            share: number(share),
            of: number(all),
            limit: number(limit),
        };
        Why::new(Reason::TotalLimit, compared)
    };
    keep_newest(units, share, why, plan);
    remove_oldest(units, limit, plan);
}

/// The oldest of all are removed until the limit holds (S1.6).
fn remove_oldest<'a>(units: &mut Units<'a>, limit: usize, plan: &mut ContainerPlan<'a>) {
    let too_many = count(units).saturating_sub(limit);
    let mut oldest: Unit<'a> = units.values().flatten().copied().collect();
    units::sort(&mut oldest);
    let all = oldest.len();
    oldest.truncate(too_many);
    let ids: HashSet<&Text> = oldest.iter().map(|c| &c.container.id).collect();
    for unit in units.values_mut() {
        unit.retain(|candidate| !ids.contains(&candidate.container.id));
    }
    for (at, candidate) in oldest.into_iter().enumerate() {
        let compared = Compared::Total {
            rank: number(all - at),
            of: number(all),
            limit: number(limit),
        };
        plan.removes(candidate.container, Why::new(Reason::TotalLimit, compared));
    }
}

/// The annotated grace period in seconds; one that does not parse or is negative counts as absent (S2.3).
pub fn grace_period(deletion: Option<&str>, termination: Option<&str>) -> u64 {
    // The kubelet reads 64 bits with a sign, too.
    let parse = |text: &str| u64::try_from(text.parse::<i64>().ok()?).ok();
    let mut periods = [deletion, termination].into_iter().flatten();
    periods.find_map(parse).unwrap_or(GRACE)
}

/// The grace period that StopContainer is given: at least 2 seconds, and not more than a runtime can count in nanoseconds.
pub fn stop_timeout(grace: u64) -> i64 {
    i64::try_from(grace.clamp(GRACE, LONGEST)).unwrap_or(i64::MAX)
}
