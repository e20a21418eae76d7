//! Which dead containers are removed, in which order (S1), and how much time one gets that has to be stopped (S2.3).

use super::pods::{PodView, Standing};
use super::{Plan, Step};
use crate::config::duration::nanoseconds;
use crate::config::{AgeFrom, Config};
use crate::node::{Container, ContainerState, Snapshot, Text};
use crate::report::Reason;
use std::collections::{BTreeMap, HashSet};

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

/// Whether a candidate is too young (S1.2), or may be about to be started (S1.1, safer). One of unknown age (`created_at` 0) is not too
/// young: it would be kept for ever.
fn too_young(c: &Container, policy: &ContainerPolicy, now: i64) -> bool {
    let since = match (policy.age_from, c.finished_at) {
        (AgeFrom::Finished, Some(finished)) if finished > 0 => finished,
        _ => c.created_at,
    };
    let is_starting =
        c.state == ContainerState::Created && c.created_at > now.saturating_sub(STARTING);
    is_starting || since > now.saturating_sub(policy.min_age)
}

/// Whether a candidate is older than it may be (S1.9). One of unknown age (`created_at` 0, or the runtime did not say when it ended) is not.
fn too_old(c: &Container, policy: &ContainerPolicy, now: i64) -> bool {
    let since = match policy.age_from {
        AgeFrom::Created => c.created_at,
        AgeFrom::Finished => c.finished_at.unwrap_or(0),
    };
    let oldest = policy.max_age.map(|most| now.saturating_sub(most));
    since > 0 && oldest.is_some_and(|oldest| since < oldest)
}

/// Why a container is not a candidate, if it is not.
fn not_a_candidate(c: &Container, policy: &ContainerPolicy, now: i64) -> Option<Reason> {
    match c.state {
        // Before all else, so that the order of two containers with one ID does not matter.
        _ if !c.readable => Some(Reason::UnknownState),
        ContainerState::Running => Some(Reason::Running),
        ContainerState::Undefined(_) => Some(Reason::UnknownState),
        _ if too_young(c, policy, now) => Some(Reason::TooYoung),
        _ => None,
    }
}

/// The candidates of one evict unit, oldest first.
type Unit<'a> = Vec<&'a Container>;

/// All evict units, by pod UID and container name.
type Units<'a> = BTreeMap<(&'a str, &'a str), Unit<'a>>;

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
            Some(reason) => {
                if c.readable || doubles.insert(&c.id) {
                    plan.keeps([c], reason);
                }
            }
            None => units.entry((c.uid(), &c.name)).or_default().push(c),
        }
    }
    for unit in units.values_mut() {
        unit.sort_unstable_by_key(|c| c.age());
    }
    remove_for_pods(&mut units, pods, &mut plan);
    let is_old = |c: &Container| too_old(c, policy, now);
    if policy.late && policy.max_age.is_some() {
        remove_old(&mut units, pods, is_old, &mut plan);
    }
    let mut taken = Units::new();
    if let Some(limit) = policy.per_unit {
        taken = take_extras(&mut units, limit);
        keep_newest(&mut units, limit, Reason::UnitLimit, &mut plan);
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
        remove_old(&mut units, pods, is_old, &mut plan);
        keep_old(&mut units, pods, is_old, &mut plan);
    }
    for ((uid, _), unit) in units {
        let reason = match pods.standing(uid) {
            Standing::Held(reason) => reason,
            _ => Reason::WithinLimit,
        };
        plan.keeps(unit, reason);
    }
    plan.keep.sort_by(|a, b| a.object.id.cmp(&b.object.id));
    plan
}

/// Units of removable pods lose all their candidates (S1.4).
fn remove_for_pods<'a>(units: &mut Units<'a>, pods: &PodView, plan: &mut ContainerPlan<'a>) {
    units.retain(|&(uid, _), unit| match pods.standing(uid) {
        Standing::Removable(reason) => {
            plan.removes(unit.drain(..), reason);
            false
        }
        _ => true,
    });
}

/// Each unit keeps its newest `limit` (S1.5).
fn keep_newest<'a>(
    units: &mut Units<'a>,
    limit: usize,
    reason: Reason,
    plan: &mut ContainerPlan<'a>,
) {
    units.retain(|_, unit| {
        let too_many = unit.len().saturating_sub(limit);
        plan.removes(unit.drain(..too_many), reason);
        !unit.is_empty()
    });
}

/// The extras of S1.5 (safer), which units keep besides their newest `limit`. They are taken out of the units, so that all other rules
/// decide without them.
fn take_extras<'a>(units: &mut Units<'a>, limit: usize) -> Units<'a> {
    if limit == 0 {
        return Units::new();
    }
    let of_unit = |unit: &mut Unit<'a>| {
        let wanted = extras(unit, limit);
        unit.extract_if(.., |c| is_among(&wanted, c)).collect()
    };
    units
        .iter_mut()
        .map(|(&name, unit)| (name, of_unit(unit)))
        .collect()
}

/// The last crash of a unit, if its newest `limit` were never started, and its highest attempt, if creation times say otherwise.
fn extras<'a>(unit: &[&'a Container], limit: usize) -> Vec<&'a Container> {
    let (over, newest) = unit.split_at(unit.len().saturating_sub(limit));
    let created = |c: &&Container| c.state == ContainerState::Created;
    let crash = if newest.iter().all(created) {
        over.iter().rfind(|c| !created(c)).copied()
    } else {
        None
    };
    // Of equal ones the last is the newest.
    let highest = unit.iter().copied().max_by_key(|c| c.attempt);
    let highest = highest.filter(|c| is_among(over, c));
    [crash, highest].into_iter().flatten().collect()
}

fn is_among(some: &[&Container], c: &Container) -> bool {
    some.iter().any(|other| std::ptr::eq(*other, c))
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
    is_old: impl Fn(&Container) -> bool,
    plan: &mut ContainerPlan<'a>,
) {
    for (&(uid, _), unit) in units {
        if let Standing::Removable(reason) = pods.age_standing(uid) {
            plan.removes_with_pod(unit.extract_if(.., |c| is_old(c)), reason);
            continue;
        }
        // Extras were put behind the others.
        unit.sort_unstable_by_key(|c| c.age());
        let mut needed = extras(unit, 1);
        needed.extend(unit.last());
        let is_over = |c: &mut &Container| is_old(c) && !is_among(&needed, c);
        plan.removes(unit.extract_if(.., is_over), Reason::Age);
    }
}

/// What would be too old if its pod had ended, which is not certain.
fn keep_old<'a>(
    units: &mut Units<'a>,
    pods: &PodView,
    is_old: impl Fn(&Container) -> bool,
    plan: &mut ContainerPlan<'a>,
) {
    for (&(uid, _), unit) in units {
        if let Standing::Held(reason) = pods.age_standing(uid) {
            plan.keeps(unit.extract_if(.., |c| is_old(c)), reason);
        }
    }
}

/// Puts containers of the same units together again.
fn add<'a>(units: &mut Units<'a>, more: Units<'a>) {
    for (name, unit) in more {
        units.entry(name).or_default().extend(unit);
    }
}

fn count(units: &Units<'_>) -> usize {
    units.values().map(Vec::len).sum()
}

/// Each unit gets its share, then the oldest of all are removed (S1.6).
fn keep_shares<'a>(units: &mut Units<'a>, limit: usize, plan: &mut ContainerPlan<'a>) {
    if count(units) <= limit {
        return;
    }
    let share = (limit / units.len().max(1)).max(1);
    keep_newest(units, share, Reason::TotalLimit, plan);
    remove_oldest(units, limit, plan);
}

/// The oldest of all are removed until the limit holds (S1.6).
fn remove_oldest<'a>(units: &mut Units<'a>, limit: usize, plan: &mut ContainerPlan<'a>) {
    let too_many = count(units).saturating_sub(limit);
    let mut oldest: Vec<&Container> = units.values().flatten().copied().collect();
    oldest.sort_unstable_by_key(|c| c.age());
    oldest.truncate(too_many);
    let ids: HashSet<&Text> = oldest.iter().map(|c| &c.id).collect();
    for unit in units.values_mut() {
        unit.retain(|c| !ids.contains(&c.id));
    }
    plan.removes(oldest, Reason::TotalLimit);
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
