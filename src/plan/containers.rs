//! Which dead containers go, in which order (S1), and how long one that has to be stopped gets (S2.3).

use super::Plan;
use super::pods::{PodView, Standing};
use crate::config::duration::nanoseconds;
use crate::config::{AgeFrom, Config};
use crate::node::{Container, ContainerState, Snapshot, Text};
use crate::report::Reason;
use std::collections::{BTreeMap, HashSet};

/// Seconds that a container gets to end where nothing says how many (S2.3), and the least that StopContainer is given.
const GRACE: u64 = 2;

/// The most that StopContainer is given: runtimes in Go count in nanoseconds of 63 bits.
const LONGEST: u64 = i64::MAX as u64 / 1_000_000_000;

/// S1.1: a CREATED container younger than this, in ns, may be about to be started.
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
    /// S1.2.
    pub age_from: AgeFrom,
}

impl From<&Config> for ContainerPolicy {
    fn from(config: &Config) -> ContainerPolicy {
        ContainerPolicy {
            min_age: nanoseconds(config.minimum_container_ttl_duration),
            per_unit: config.maximum_dead_containers_per_container,
            total: config.maximum_dead_containers,
            age_from: config.container_age_from,
        }
    }
}

impl ContainerPolicy {
    /// Whether the plan has to know when candidates ended, which no list tells (S1.2).
    pub fn asks_for_ends(&self) -> bool {
        self.age_from == AgeFrom::Finished && self.min_age > 0
    }
}

/// S1.1: whether a container in this state can go at all.
pub fn is_candidate_state(c: &Container) -> bool {
    matches!(
        c.state,
        ContainerState::Created | ContainerState::Exited | ContainerState::Unknown
    )
}

/// S1.1: somebody may be about to start it (safer). One whose age nobody knows (`created_at` 0) is not taken for young: it would
/// stay for ever.
fn is_starting(c: &Container, now: i64) -> bool {
    c.state == ContainerState::Created && c.created_at > now.saturating_sub(STARTING)
}

/// S1.1, S1.2: whether a candidate is too young to go.
fn too_young(c: &Container, policy: &ContainerPolicy, now: i64) -> bool {
    let since = match (policy.age_from, c.finished_at) {
        (AgeFrom::Finished, Some(finished)) if finished > 0 => finished,
        _ => c.created_at,
    };
    is_starting(c, now) || since > now.saturating_sub(policy.min_age)
}

/// Why a container is no candidate, if it is none.
fn not_a_candidate(c: &Container, policy: &ContainerPolicy, now: i64) -> Option<Reason> {
    match c.state {
        // First, so that it does not matter which of two doubles comes first.
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

/// The plan over the containers of a look.
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
        unit.sort_by_key(|c| c.age());
    }
    remove_for_pods(&mut units, pods, &mut plan);
    let mut extras = Units::new();
    if let Some(limit) = policy.per_unit {
        extras = take_extras(&mut units, limit);
        keep_newest(&mut units, limit, Reason::UnitLimit, &mut plan);
    }
    match policy.total {
        Some(limit) => keep_total(&mut units, extras, pods, limit, &mut plan),
        None => add(&mut units, extras),
    }
    if snapshot.partial {
        // S7.3: how many there are in all is not known, so that nothing goes for it.
        plan.spare(Reason::ListIncomplete, |step| {
            step.reason == Reason::TotalLimit
        });
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

/// S1.4: units of removable pods lose all.
fn remove_for_pods<'a>(units: &mut Units<'a>, pods: &PodView, plan: &mut ContainerPlan<'a>) {
    units.retain(|&(uid, _), unit| match pods.standing(uid) {
        Standing::Removable(reason) => {
            plan.removes(unit.drain(..), reason);
            false
        }
        _ => true,
    });
}

/// S1.5: each unit keeps its newest `limit`.
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

/// S1.5: what stays beside the newest `limit` of each unit (safer): the last crash, where those were never started, and the
/// highest attempt, where creation times say otherwise. Taken out of the units, so that all other rules decide without it.
fn take_extras<'a>(units: &mut Units<'a>, limit: usize) -> Units<'a> {
    if limit == 0 {
        return Units::new();
    }
    let of_unit = |unit: &mut Unit<'a>| {
        let (over, newest) = unit.split_at(unit.len().saturating_sub(limit));
        let created = |c: &&Container| c.state == ContainerState::Created;
        let crash = if newest.iter().all(created) {
            over.iter().rfind(|c| !created(c)).copied()
        } else {
            None
        };
        // Of equal ones the last is the newest.
        let highest = unit.iter().copied().max_by_key(|c| c.attempt);
        let is_over = |c: &&Container| over.iter().any(|o| std::ptr::eq(*o, *c));
        let wanted = [crash, highest.filter(is_over)];
        let is_wanted = |c: &Container| wanted.iter().flatten().any(|w| std::ptr::eq(*w, c));
        unit.extract_if(.., |c| is_wanted(c)).collect()
    };
    units
        .iter_mut()
        .map(|(&name, unit)| (name, of_unit(unit)))
        .collect()
}

/// S1.6 for all units. Those whose pods the host says are gone, and which stay only because crigc is more careful (S0.3, S0.4,
/// S1.1), do not count against the others: they give way to them. So do the extras of S1.5.
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

/// Puts what belongs to the same units together again.
fn add<'a>(units: &mut Units<'a>, more: Units<'a>) {
    for (name, unit) in more {
        units.entry(name).or_default().extend(unit);
    }
}

fn count(units: &Units<'_>) -> usize {
    units.values().map(Vec::len).sum()
}

/// S1.6: first each unit gets its share, then the oldest of all go.
fn keep_shares<'a>(units: &mut Units<'a>, limit: usize, plan: &mut ContainerPlan<'a>) {
    if count(units) <= limit {
        return;
    }
    let share = (limit / units.len().max(1)).max(1);
    keep_newest(units, share, Reason::TotalLimit, plan);
    remove_oldest(units, limit, plan);
}

/// S1.6: the oldest of all go, until the limit holds.
fn remove_oldest<'a>(units: &mut Units<'a>, limit: usize, plan: &mut ContainerPlan<'a>) {
    let too_many = count(units).saturating_sub(limit);
    let mut oldest: Vec<&Container> = units.values().flatten().copied().collect();
    oldest.sort_by_key(|c| c.age());
    oldest.truncate(too_many);
    let ids: HashSet<&Text> = oldest.iter().map(|c| &c.id).collect();
    for unit in units.values_mut() {
        unit.retain(|c| !ids.contains(&c.id));
    }
    plan.removes(oldest, Reason::TotalLimit);
}

/// S2.3: the annotated grace period in seconds; one that does not parse or is negative counts as absent.
pub fn grace_period(deletion: Option<&str>, termination: Option<&str>) -> u64 {
    // As many bits as the kubelet reads.
    let parse = |text: &str| u64::try_from(text.parse::<i64>().ok()?).ok();
    deletion
        .and_then(parse)
        .or_else(|| termination.and_then(parse))
        .unwrap_or(GRACE)
}

/// What StopContainer is given: at least 2 seconds, and no more than a runtime can count in nanoseconds.
pub fn stop_timeout(grace: u64) -> i64 {
    i64::try_from(grace.clamp(GRACE, LONGEST)).unwrap_or(i64::MAX)
}
