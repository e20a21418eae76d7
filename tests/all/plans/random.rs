//! Properties of the plans over random nodes: what must never be removed, that limits hold, that
//! nothing is left for a second pass, and that a plan does not depend on the order of its input.

use crigc::config::{AgeFrom, Config};
use crigc::node::{
    Container, ContainerState, FsUsage, Image, LogFile, PodStates, Sandbox, SandboxState, Snapshot,
    Text,
};
use crigc::plan::Plan;
use crigc::plan::containers::{self, ContainerPolicy};
use crigc::plan::exempt::Exempt;
use crigc::plan::images::{self, Goal, ImageState, SandboxImages};
use crigc::plan::orphans::{self, Owners};
use crigc::plan::pods::{Brake, Changed, Newer, PodView};
use crigc::plan::records::Records;
use crigc::plan::space::{Limits, Missing, space_goal};
use crigc::plan::tally::{self, Tally};
use crigc::plan::{logs, sandboxes, share};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Mutex;
use test_support::node::{S, answer, container, image, look, mounted, sandbox};
use test_support::rules::Rules;

pub(super) const NOW: i64 = 1000 * S;

/// A random node with a random host.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) snapshot: Snapshot,
    host: PodStates,
    pub(super) policy: ContainerPolicy,
    all_unused: bool,
}

fn states() -> impl Strategy<Value = ContainerState> {
    prop_oneof![
        2 => Just(ContainerState::Running),
        4 => Just(ContainerState::Created),
        6 => Just(ContainerState::Exited),
        1 => Just(ContainerState::Unknown),
        1 => Just(ContainerState::Undefined(9)),
    ]
}

fn sandbox_states() -> impl Strategy<Value = SandboxState> {
    prop_oneof![
        2 => Just(SandboxState::Ready),
        5 => Just(SandboxState::NotReady),
        1 => Just(SandboxState::Undefined(5)),
    ]
}

/// When something was created: mostly long ago, in no order of attempts; not known; a moment ago; in the future.
fn times() -> impl Strategy<Value = i64> {
    prop_oneof![
        12 => (1..6i64).prop_map(|n| n * S),
        2 => Just(0),
        2 => (-3..3i64).prop_map(|n| NOW - 120 * S + n),
        1 => Just(NOW - S / 2),
        1 => Just(NOW + S),
    ]
}

pub(super) fn worlds() -> impl Strategy<Value = World> {
    let rows = (0..8u8, 0..3u8, states(), times(), 0..12u8, 0..5u32);
    let rows = prop::collection::vec(rows, 0..40);
    let boxes = (0..8u8, sandbox_states(), times(), 0..4u32);
    let boxes = prop::collection::vec(boxes, 0..16);
    let host = prop::collection::vec(
        prop_oneof![4 => Just(""), 2 => Just("+"), 1 => Just("~")],
        8,
    );
    let limits = (
        (-1..4i64).prop_map(|limit| usize::try_from(limit).ok()),
        prop_oneof![Just(None), (0..20usize).prop_map(Some)],
        prop_oneof![Just(0i64), Just(NOW - 3 * S)],
        prop_oneof![2 => Just(None), 1 => Just(Some(NOW - 4 * S)), 1 => Just(Some(119 * S))],
    );
    (
        rows,
        boxes,
        host,
        limits,
        any::<bool>(),
        prop::bool::weighted(0.9),
    )
        .prop_map(
            |(rows, boxes, host, (per_unit, total, min_age, max_age), all_unused, ready)| {
                let rows = rows.into_iter().enumerate().map(
                    |(n, (uid, name, state, created, of, attempt))| {
                        let uid = uid.to_string();
                        let c =
                            container(&format!("c{n}"), &uid, &format!("n{name}"), state, created);
                        Container {
                            sandbox_id: format!("s{of}").into(),
                            attempt,
                            ..c
                        }
                    },
                );
                let boxes =
                    boxes
                        .into_iter()
                        .enumerate()
                        .map(|(n, (uid, state, created, attempt))| {
                            let s = sandbox(&format!("s{n}"), &uid.to_string(), state, created);
                            Sandbox { attempt, ..s }
                        });
                let snapshot = look(rows.collect(), boxes.collect());
                let pods: Vec<String> = host
                    .iter()
                    .enumerate()
                    .map(|(n, mark)| format!("{mark}{n}"))
                    .collect();
                let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
                let host = PodStates {
                    ready,
                    ..answer(&pods)
                };
                let policy = ContainerPolicy {
                    min_age,
                    per_unit,
                    total,
                    max_age,
                    late: false,
                    age_from: AgeFrom::Created,
                };
                World {
                    snapshot,
                    host,
                    policy,
                    all_unused,
                }
            },
        )
}

/// The lists of a pass: with a contradiction no pod is removable.
pub(super) fn view(snapshot: &Snapshot, world: &World) -> PodView {
    let by_age = world.policy.max_age.is_some();
    let view =
        |broken| PodView::new(snapshot, &world.host, world.all_unused, broken).by_age(by_age);
    let broken = view(false).contradicted().is_some();
    view(broken)
}

/// The rules that a pass over one node exercised.
type Seen = BTreeSet<&'static str>;

/// IDs of containers and sandboxes that a container pass removes, and the node after it.
fn pass(world: &World, rules: &mut Seen) -> (Vec<Text>, Vec<Text>, Snapshot) {
    let mut after = world.snapshot.clone();
    let pods = view(&after, world);
    if pods.contradicted().is_some() {
        rules.insert("S0.4");
    }
    let plan = containers::plan(&after, &pods, &world.policy, NOW);
    let mut gone = Vec::new();
    for step in &plan.remove {
        let c = step.object;
        let dead = matches!(
            c.state,
            ContainerState::Created | ContainerState::Exited | ContainerState::Unknown
        );
        assert!(dead, "S1.1: {c:?}");
        gone.push(c.id.clone());
        rules.insert("S1.1");
        rules.insert(match step.reason.word() {
            "unit-limit" => "S1.5",
            "total-limit" => "S1.6",
            "age" => "S1.9",
            _ => "S1.4",
        });
    }
    after.containers.retain(|c| !gone.contains(&c.id));
    let pods = view(&after, world);
    let plan = sandboxes::plan(&after, &pods);
    let rows = after.sandboxes.clone().unwrap_or_default();
    let mut boxes = Vec::new();
    for step in &plan.remove {
        let s = step.object;
        assert_eq!(s.state, SandboxState::NotReady, "S3.2: {s:?}");
        let named = after.containers.iter().any(|c| c.sandbox_id == s.id);
        assert!(!named, "S3.2: a sandbox with a container: {s:?}");
        boxes.push(s.id.clone());
        rules.insert("S3.3");
    }
    if plan.keep.iter().any(|step| step.reason.word() == "active") {
        rules.insert("S3.2");
    }
    after.sandboxes = Some(
        rows.into_iter()
            .filter(|s| !boxes.contains(&s.id))
            .collect(),
    );
    (gone, boxes, after)
}

/// Whether a dead container is old enough to be removed.
fn is_old(c: &Container, policy: &ContainerPolicy) -> bool {
    let starting = c.state == ContainerState::Created && c.created_at > NOW - 120 * S;
    !starting && c.created_at <= NOW - policy.min_age
}

/// S1.5 and S1.6 on what is left.
fn limits_hold(world: &World, after: &Snapshot) {
    let old = |c: &&Container| {
        let runs = matches!(
            c.state,
            ContainerState::Running | ContainerState::Undefined(_)
        );
        !runs && is_old(c, &world.policy)
    };
    let mut units: HashMap<(&str, &str), Vec<&Container>> = HashMap::new();
    for c in after.containers.iter().filter(old) {
        units.entry((c.uid(), &c.name)).or_default().push(c);
    }
    let total: usize = units.values().map(Vec::len).sum();
    if let Some(limit) = world.policy.total {
        assert!(total <= limit, "S1.6: {units:?}");
    }
    let Some(limit) = world.policy.per_unit else {
        return;
    };
    for unit in units.values_mut() {
        unit.sort_by_key(|c| std::cmp::Reverse((c.created_at, c.attempt, c.id.clone())));
        let (newest, over) = unit.split_at(limit.min(unit.len()));
        let highest = unit.iter().map(|c| c.attempt).max();
        for (n, c) in over.iter().enumerate() {
            let created = |c: &&Container| c.state == ContainerState::Created;
            let last_crash =
                newest.iter().all(created) && over[..n].iter().all(created) && !created(c);
            let is_highest = Some(c.attempt) == highest
                && !newest
                    .iter()
                    .chain(&over[..n])
                    .any(|other| Some(other.attempt) == highest);
            assert!(
                limit > 0 && (last_crash || is_highest),
                "S1.5: {c:?} of {unit:?}"
            );
        }
    }
}

/// The kubelet's own rules, plainly: S1.1 to S1.7 without what is safer in crigc. IDs of the containers that it removes.
fn kubelet_removes(world: &World) -> HashSet<Text> {
    let policy = &world.policy;
    let mut units: HashMap<(String, Text), Vec<&Container>> = HashMap::new();
    for c in &world.snapshot.containers {
        if c.state != ContainerState::Running && c.created_at <= NOW - policy.min_age {
            let unit = (c.uid().to_owned(), c.name.clone());
            units.entry(unit).or_default().push(c);
        }
    }
    let mut removed = HashSet::new();
    units.retain(|(uid, _), unit| {
        let gone = kubelet_counts_as_gone(world, uid);
        if gone {
            removed.extend(unit.iter().map(|c| c.id.clone()));
        }
        !gone
    });
    let age = |c: &&Container| (c.created_at, c.attempt, c.id.clone());
    let mut keep_newest = |units: &mut HashMap<(String, Text), Vec<&Container>>, limit: usize| {
        for unit in units.values_mut() {
            unit.sort_by_key(age);
            let over = unit.len().saturating_sub(limit);
            removed.extend(unit.drain(..over).map(|c| c.id.clone()));
        }
        units.retain(|_, unit| !unit.is_empty());
    };
    if let Some(limit) = policy.per_unit {
        keep_newest(&mut units, limit);
    }
    if let Some(limit) = policy.total {
        let count =
            |units: &HashMap<_, Vec<&Container>>| units.values().map(Vec::len).sum::<usize>();
        if count(&units) > limit {
            let share = (limit / units.len().max(1)).max(1);
            keep_newest(&mut units, share);
        }
        let mut left: Vec<&Container> = units.into_values().flatten().collect();
        left.sort_by_key(age);
        let over = left.len().saturating_sub(limit);
        removed.extend(left[..over].iter().map(|c| c.id.clone()));
    }
    removed
}

fn kubelet_counts_as_gone(world: &World, uid: &str) -> bool {
    let state = world.host.states.get(uid).copied().unwrap_or_default();
    world.host.ready && (state.content_removable || state.runtime_removable && world.all_unused)
}

/// S3.2 and S3.3 in the same way. IDs of the sandboxes that it removes.
fn kubelet_removes_sandboxes(world: &World) -> HashSet<Text> {
    let mut pods: HashMap<&str, Vec<&Sandbox>> = HashMap::new();
    for s in world.snapshot.sandboxes.iter().flatten() {
        pods.entry(&s.pod_uid).or_default().push(s);
    }
    let mut removed = HashSet::new();
    for (uid, mut of_pod) in pods {
        of_pod.sort_by_key(|s| (s.created_at, s.attempt, s.id.clone()));
        let count = if kubelet_counts_as_gone(world, uid) {
            of_pod.len()
        } else {
            of_pod.len() - 1
        };
        for s in &of_pod[..count] {
            let named = world
                .snapshot
                .containers
                .iter()
                .any(|c| c.sandbox_id == s.id);
            if s.state != SandboxState::Ready && !named {
                removed.insert(s.id.clone());
            }
        }
    }
    removed
}

fn living_pods(snapshot: &Snapshot) -> HashSet<Text> {
    let boxes = snapshot.sandboxes.iter().flatten();
    let ready = boxes
        .filter(|s| s.state == SandboxState::Ready)
        .map(|s| s.pod_uid.clone());
    let running = snapshot
        .containers
        .iter()
        .filter(|c| c.state == ContainerState::Running);
    ready.chain(running.map(|c| c.uid().into())).collect()
}

static RULES: Mutex<Option<Rules>> = Mutex::new(None);

/// Counts over all nodes of a test program; written out by `Counting`.
fn with_rules<R>(count: impl FnOnce(&mut Rules) -> R) -> R {
    let mut guard = RULES.lock().unwrap_or_else(|e| e.into_inner());
    count(guard.get_or_insert_default())
}

struct Counting;

impl Drop for Counting {
    fn drop(&mut self) {
        drop(RULES.lock().unwrap_or_else(|e| e.into_inner()).take());
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn a_pass_keeps_what_lives_and_leaves_nothing_for_a_second() {
    let _counting = Counting;
    proptest!(config(), |(world in worlds())| {
        with_rules(|rules| {
            let mut seen = Seen::new();
            let (_, _, after) = pass(&world, &mut seen);
            seen.into_iter().for_each(|rule| rules.node(rule));
            limits_hold(&world, &after);
            let again = World { snapshot: after, ..world };
            let (gone, boxes, _) = pass(&again, &mut Seen::new());
            prop_assert!(gone.is_empty() && boxes.is_empty(), "second pass: {gone:?} {boxes:?}");
            Ok(())
        })?;
    });
}

/// Nothing is removed that the kubelet keeps, whatever the attempts and times are.
#[test]
fn s1_5_s1_6_s3_3_crigc_removes_nothing_that_the_kubelet_keeps() {
    let _counting = Counting;
    proptest!(config(), |(mut world in worlds())| {
        // The kubelet does not have this key.
        world.policy.max_age = None;
        let (gone, boxes, after) = pass(&world, &mut Seen::new());
        let allowed = kubelet_removes(&world);
        for id in &gone {
            prop_assert!(allowed.contains(id), "{id} was removed, the kubelet keeps it");
        }
        // Over the containers that crigc left.
        let then = World {
            snapshot: Snapshot { containers: after.containers.clone(), ..world.snapshot.clone() },
            ..world.clone()
        };
        let allowed_boxes = kubelet_removes_sandboxes(&then);
        for id in &boxes {
            prop_assert!(allowed_boxes.contains(id), "{id} was removed, the kubelet keeps it");
        }
        with_rules(|rules| {
            if !gone.is_empty() {
                rules.node("S1.5");
                rules.node("S1.6");
            }
            if !boxes.is_empty() {
                rules.node("S3.3");
            }
        });
    });
}

/// S1.9 only adds to what other rules remove, and only what is old; of a pod that lives it takes neither the newest of a unit, nor the last
/// that ran if that was never started, nor the highest attempt.
#[test]
fn s1_9_age_takes_nothing_that_a_living_pod_needs() {
    let _counting = Counting;
    proptest!(config(), |(mut world in worlds(), max_age in prop_oneof![Just(NOW - 4 * S), Just(119 * S)])| {
        world.policy.max_age = Some(max_age);
        let pods = view(&world.snapshot, &world);
        let plan = containers::plan(&world.snapshot, &pods, &world.policy, NOW);
        let ageless = ContainerPolicy { max_age: None, ..world.policy };
        let without = containers::plan(&world.snapshot, &pods, &ageless, NOW);
        let lines = |of: &Plan<'_, Container>, aged: bool| {
            let steps = of.remove.iter().filter(|step| (step.reason.word() == "age") == aged);
            steps.map(|step| (step.object.id.clone(), step.reason)).collect::<Vec<_>>()
        };
        prop_assert_eq!(lines(&plan, false), lines(&without, false));
        let living = living_pods(&world.snapshot);
        let aged: HashSet<Text> = lines(&plan, true).into_iter().map(|(id, _)| id).collect();
        for c in world.snapshot.containers.iter().filter(|c| aged.contains(&c.id)) {
            prop_assert!(c.created_at > 0 && c.created_at < NOW - max_age, "{c:?}");
            let state = world.host.states.get(c.uid()).copied().unwrap_or_default();
            let has_ended = world.host.ready && (state.content_removable || state.runtime_removable);
            if has_ended && !living.contains(c.uid()) {
                continue;
            }
            let unit = |other: &&Container| (other.uid(), &other.name) == (c.uid(), &c.name) && !aged.contains(&other.id);
            let dead = |other: &&Container| matches!(other.state, ContainerState::Created | ContainerState::Exited | ContainerState::Unknown);
            let left: Vec<&Container> = world.snapshot.containers.iter().filter(unit).filter(dead).collect();
            prop_assert!(left.iter().any(|other| other.age() > c.age()), "S1.9: the newest: {c:?}");
            prop_assert!(left.iter().any(|other| other.attempt >= c.attempt), "S1.9: the highest attempt: {c:?}");
            let ran = |other: &&&Container| other.state != ContainerState::Created && other.age() > c.age();
            let newest = left.iter().max_by_key(|other| other.age()).expect("one is left");
            prop_assert!(
                newest.state != ContainerState::Created || c.state == ContainerState::Created || left.iter().any(|other| ran(&other)),
                "S1.9: the last that ran: {c:?}"
            );
        }
        if !aged.is_empty() {
            with_rules(|rules| rules.node("S1.9"));
        }
    });
}

/// S4.3: whatever is listed, a file is removed only if a kubelet made its name, no listed container has its number, and a file of the same
/// directory with a higher number is left.
#[test]
fn s4_3_no_file_of_a_container_and_not_the_highest_is_removed() {
    let _counting = Counting;
    let names = prop_oneof![
        6 => (0..5u32).prop_map(|n| format!("{n}.log")),
        3 => (0..5u32).prop_map(|n| format!("{n}.log.20260101-000000.gz")),
        1 => (0..5u32).prop_map(|n| format!("{n}.logx")),
        1 => Just("app.log".to_owned()),
    ];
    let file = (0..8u8, 0..3u8, names, 0..10i64);
    let files = prop::collection::btree_set(file, 0..60);
    proptest!(config(), |(world in worlds(), files in files)| {
        let files: Vec<LogFile> = files.iter().map(|(uid, container, name, changed)| LogFile {
            pod: format!("ns_pod-{uid}_{uid}").into(),
            container: format!("n{container}").into(),
            name: name.as_str().into(),
            changed: *changed,
        }).collect();
        let pods = view(&world.snapshot, &world);
        let owners = Owners::of(&world.snapshot).expect("both lists are whole");
        let plan = orphans::plan(&files, &owners, &pods, (NOW, NOW - 5));
        for step in &plan.remove {
            let file = step.object;
            let number = orphans::number(&file.name).expect("a kubelet's name");
            let uid = logs::entry_uid(&file.pod);
            prop_assert!(file.changed < 5, "{file:?}");
            let owner = world.snapshot.containers.iter().find(|c| c.uid() == uid && *c.name == *file.container && c.attempt == number);
            prop_assert!(owner.is_none(), "{file:?} {owner:?}");
            let higher = files.iter().find(|other| {
                let of_same = (&other.pod, &other.container) == (&file.pod, &file.container);
                of_same && orphans::number(&other.name) > Some(number)
            });
            prop_assert!(higher.is_some(), "{file:?}");
            let state = world.host.states.get(uid).copied().unwrap_or_default();
            prop_assert!(!state.content_removable, "{file:?}");
        }
        if !plan.remove.is_empty() {
            with_rules(|rules| rules.node("S4.3"));
        }
    });
}

/// S0.12: with the brake only limits and ages remove, and what they remove is a part of what is removed without it, or takes its place.
#[test]
fn s0_12_under_the_brake_nothing_is_removed_for_a_pods_sake() {
    let _counting = Counting;
    proptest!(config(), |(world in worlds())| {
        let free = view(&world.snapshot, &world);
        let pods = free.clone().braked(Brake::All);
        let plan = containers::plan(&world.snapshot, &pods, &world.policy, NOW);
        prop_assert!(plan.remove.iter().all(|step| !step.rests_on_pod));
        let mut unlimited = world.policy;
        (unlimited.per_unit, unlimited.total, unlimited.max_age) = (None, None, None);
        let plan = containers::plan(&world.snapshot, &pods, &unlimited, NOW);
        prop_assert!(plan.remove.is_empty());
        let boxes = sandboxes::plan(&world.snapshot, &pods);
        prop_assert!(boxes.remove.iter().all(|step| step.reason.word() == "older-sandbox"));
        let names: Vec<Text> = (0..8).map(|n| format!("ns_pod_{n}").into()).collect();
        let trees = logs::trees(&names, &world.snapshot, &pods, |_| None);
        prop_assert!(trees.remove.is_empty());
        let losing = share::losing(&world.snapshot, &free, &unlimited, NOW, &names, |_| None);
        let lost = containers::plan(&world.snapshot, &free, &unlimited, NOW);
        let gone: HashSet<&Text> = free.gone().collect();
        for step in lost.remove.iter().filter(|step| gone.iter().any(|uid| ***uid == *step.object.uid())) {
            prop_assert!(losing.contains(step.object.uid()), "{:?}", step.object);
        }
        prop_assert!(losing.iter().all(|uid| gone.contains(uid)), "who has ended is not gone");
        if !losing.is_empty() {
            with_rules(|rules| rules.node("S0.12"));
        }
    });
}

/// S0.3: nothing is removed because its pod is gone if anything of the pod is newer than the answer, and a verdict is final.
#[test]
fn s0_3_nothing_is_removed_because_a_pod_is_gone_that_is_newer_than_the_answer() {
    let _counting = Counting;
    let moments = prop_oneof![
        (1..7i64).prop_map(|n| n * S),
        Just(NOW - 119 * S),
        Just(NOW)
    ];
    let changes = prop::collection::vec((any::<bool>(), times()), 8);
    proptest!(config(), |(world in worlds(), as_of in moments, later in 1..7i64, changes in changes)| {
        let mut newer = Newer::default();
        newer.look(&world.snapshot, NOW);
        for (n, (known, change)) in changes.iter().enumerate() {
            let changed = if *known { Changed::Last(if *change > NOW { 0 } else { *change }) } else { Changed::Unknown };
            newer.judge(&n.to_string().into(), as_of, changed);
            // Asked again: it was judged.
            newer.judge(&n.to_string().into(), later * S, Changed::Last(0));
        }
        let held = newer.pods();
        let unlimited = ContainerPolicy { per_unit: None, total: None, max_age: None, ..world.policy };
        let pods = view(&world.snapshot, &world).holding(held.clone());
        let plan = containers::plan(&world.snapshot, &pods, &unlimited, NOW);
        let is_newer = |stamp: i64| stamp > as_of && stamp <= NOW;
        let owner = |id: &Text| world.snapshot.sandboxes.iter().flatten().find(|s| s.id == *id).map(|s| &*s.pod_uid);
        for (n, (known, change)) in changes.iter().enumerate() {
            let uid = n.to_string();
            let young = world.snapshot.containers.iter().any(|c| {
                (c.uid() == uid || owner(&c.sandbox_id) == Some(&uid)) && is_newer(c.created_at)
            }) || world.snapshot.sandboxes.iter().flatten().any(|s| *s.pod_uid == *uid && is_newer(s.created_at));
            let young = young || !known || is_newer(*change);
            prop_assert_eq!(held.contains_key(&*uid), young, "S0.3: {}", uid);
            let goes = plan.remove.iter().any(|step| step.object.uid() == uid);
            prop_assert!(!(goes && young), "S0.3: {} is newer and loses something", uid);
            if young {
                with_rules(|rules| rules.node("S0.3"));
            }
        }
    });
}

#[test]
fn a_plan_does_not_depend_on_the_order_of_the_lists() {
    let world = worlds().prop_flat_map(|world| {
        let containers = Just(world.snapshot.containers.clone()).prop_shuffle();
        let boxes = Just(world.snapshot.sandboxes.clone().unwrap_or_default()).prop_shuffle();
        (Just(world), containers, boxes)
    });
    proptest!(config(), |((world, containers, boxes) in world)| {
        let other = World { snapshot: look(containers, boxes), ..world.clone() };
        let (a, b) = (pass(&world, &mut Seen::new()), pass(&other, &mut Seen::new()));
        prop_assert_eq!((a.0, a.1), (b.0, b.1));
    });
}

#[test]
fn a_host_that_answers_nonsense_costs_no_living_pod_anything() {
    let _counting = Counting;
    let nonsense = prop_oneof![Just(0u64), Just(u64::MAX), any::<u64>()];
    proptest!(config(), |(world in worlds(), mask in nonsense)| {
        let pods: Vec<String> = (0..8).map(|n| if mask >> n & 1 == 1 { format!("+{n}") } else { n.to_string() }).collect();
        let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
        let lying = World { host: answer(&pods), policy: ContainerPolicy { per_unit: None, total: None, max_age: None, ..world.policy }, ..world };
        let living = living_pods(&lying.snapshot);
        let (gone, _, after) = pass(&lying, &mut Seen::new());
        for c in lying.snapshot.containers.iter().filter(|c| gone.contains(&c.id)) {
            prop_assert!(!living.contains(c.uid()), "S0.4: {c:?}");
        }
        let names: Vec<Text> = (0..8).map(|n| format!("ns_pod_{n}").into()).collect();
        let view = view(&after, &lying);
        let plan = logs::trees(&names, &after, &view, |_| None);
        for step in &plan.remove {
            prop_assert!(!living.contains(logs::entry_uid(step.object)), "S4.1: {}", step.object);
            with_rules(|rules| rules.node("S4.1"));
        }
    });
}

fn image_worlds() -> impl Strategy<Value = (Vec<Image>, HashSet<usize>, u64, bool)> {
    let sizes = prop::collection::vec((0..500u64, any::<bool>()), 1..20);
    (
        sizes,
        prop::collection::hash_set(0..20usize, 0..8),
        0..1000u64,
        any::<bool>(),
    )
        .prop_map(|(sizes, used, available, all_unused)| {
            let list = sizes
                .into_iter()
                .enumerate()
                .map(|(n, (size, pinned))| Image {
                    pinned: pinned && n % 5 == 0,
                    ..image(&format!("i{n}"), &format!("reg/{n}:1"), size)
                });
            (list.collect(), used, available, all_unused)
        })
}

#[test]
fn images_in_use_are_kept_and_no_more_are_removed_than_needed() {
    let _counting = Counting;
    proptest!(config(), |((list, used, available, all_unused) in image_worlds())| {
        let names: Vec<String> = used.iter().map(|n| format!("reg/{n}:1")).collect();
        let in_use = mounted(names.iter().map(String::as_str));
        let mut records = Records::default();
        records.look(&list, &in_use, S);
        let usage = FsUsage { capacity: 1000, available, ..FsUsage::default() };
        let goal = if all_unused { Goal::AllUnused } else { space_goal(&usage, &Limits::from(&Config::default())).expect("a capacity") };
        let exempt = Exempt::default();
        let known = SandboxImages::Known(vec![]);
        let look = ImageState { images: &list, in_use: &in_use, records: &records, sandbox: &known, exempt: &exempt };
        let plan = images::plan(&look, &goal, 0, NOW);
        prop_assert_eq!(plan.remove.len() + plan.keep.len(), list.len());
        let missing = match goal {
            Goal::Free(wanted) => wanted.missing(&usage).expect("a capacity"),
            _ => Missing::default(),
        };
        let mut tally = Tally::new(&goal, missing, tally::Counting::Reported);
        let mut last = 0;
        for step in &plan.remove {
            let n = list.iter().position(|image| std::ptr::eq(image, step.object)).unwrap();
            prop_assert!(!used.contains(&n) && !step.object.pinned, "S5.2, S5.3");
            if !tally.may_start() {
                break;
            }
            tally.started(step.object.size);
            tally.ended(step.object.size, true);
            last = step.object.size;
        }
        with_rules(|rules| {
            let kept = |reason: &str| plan.keep.iter().any(|step| step.reason.word() == reason);
            if kept("in-use") {
                rules.node("S5.2");
            }
            match goal {
                Goal::AllUnused => rules.node("S5.10"),
                _ => rules.node("S5.6"),
            }
        });
        if let Goal::Free(_) = goal {
            prop_assert!(last == 0 || tally.freed() - last < missing.bytes, "S5.8: one too many was removed");
        }
    });
}
