//! The values beside the reasons: over random nodes they agree with the decision, and with the node.

use super::random::{NOW, World, view, worlds};
use crigc::node::{Container, ContainerState, Image, LogFile, Sandbox, SandboxState, Text};
use crigc::plan::exempt::Exempt;
use crigc::plan::images::{self, Goal, ImageState, SandboxImages};
use crigc::plan::orphans::{self, Owners};
use crigc::plan::pods::{Brake, Changed, Newer, PodView};
use crigc::plan::records::Records;
use crigc::plan::space::Wanted;
use crigc::plan::{Plan, Step, containers, logs, sandboxes};
use crigc::report::{Age, Compared, Extra, Reason, Since};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use test_support::node::{S, image, mounted};

/// The steps of a plan, each with whether it removes.
fn steps<'p, T>(plan: &'p Plan<'_, T>) -> impl Iterator<Item = (bool, &'p Step<'p, T>)> {
    let remove = plan.remove.iter().map(|step| (true, step));
    remove.chain(plan.keep.iter().map(|step| (false, step)))
}

/// Whether a place agrees with whether the object is removed, by a limit on the places.
fn place_agrees(is_removed: bool, (rank, of): (u32, u32), limit: Option<u32>) -> bool {
    let is_over = limit.is_some_and(|limit| rank > limit);
    (1..=of).contains(&rank) && is_over == is_removed
}

/// The places of all candidates in their evict units.
fn places(world: &World, plan: &Plan<'_, Container>) -> BTreeMap<Text, (u32, u32)> {
    let young: BTreeSet<&Text> = steps(plan)
        .filter(|(_, step)| step.reason == Reason::TooYoung)
        .map(|(_, step)| &step.object.id)
        .collect();
    let mut units: BTreeMap<(&str, &str), Vec<&Container>> = BTreeMap::new();
    for c in &world.snapshot.containers {
        let is_candidate = containers::is_candidate_state(c) && c.readable;
        if is_candidate && !young.contains(&c.id) {
            units.entry((c.uid(), &c.name)).or_default().push(c);
        }
    }
    let mut places = BTreeMap::new();
    for mut unit in units.into_values() {
        unit.sort_by(|a, b| b.age().cmp(&a.age()));
        for (at, c) in unit.iter().enumerate() {
            places.insert(c.id.clone(), (at as u32 + 1, unit.len() as u32));
        }
    }
    places
}

/// Whether a container is one that has not ended, and belongs to a pod by its label or its sandbox.
fn runs(world: &World, id: &Text, uid: &str) -> bool {
    let of_sandbox = |c: &Container| {
        let mut sandboxes = world.snapshot.sandboxes.iter().flatten();
        sandboxes.any(|s| s.id == c.sandbox_id && *s.pod_uid == *uid)
    };
    world.snapshot.containers.iter().any(|c| {
        c.id == *id
            && (c.uid() == uid || of_sandbox(c))
            && matches!(
                c.state,
                ContainerState::Running | ContainerState::Undefined(_)
            )
    })
}

/// What holds objects of a pod back.
fn held_agrees(world: &World, pods: &PodView, uid: &str, why: (Reason, &Compared)) -> bool {
    let is_broken = pods.contradicted().is_some();
    match why {
        (Reason::PodActive, Compared::Container(id)) => runs(world, id, uid),
        (Reason::PodActive, Compared::Sandbox(id)) => {
            let mut sandboxes = world.snapshot.sandboxes.iter().flatten();
            sandboxes
                .any(|s| s.id == *id && *s.pod_uid == *uid && s.state != SandboxState::NotReady)
        }
        // The host's answer was wrong about others.
        (Reason::PodActive, Compared::Nothing) => is_broken,
        (Reason::NewerThanAnswer, Compared::Newer { changed, as_of }) => changed > as_of,
        (Reason::HeldByShare, Compared::Pods { losing, pods, .. }) => losing <= pods,
        (Reason::SourcesNotReady | Reason::ListIncomplete, Compared::Nothing) => true,
        _ => false,
    }
}

fn container_agrees(
    world: &World,
    pods: &PodView,
    places: &BTreeMap<Text, (u32, u32)>,
    (is_removed, step): (bool, &Step<'_, Container>),
) -> bool {
    let c = step.object;
    let place = |rank: u32, of: u32| places.get(&c.id) == Some(&(rank, of));
    match (step.reason, &step.compared) {
        (Reason::UnitLimit | Reason::WithinLimit, &Compared::Rank { rank, of, limit }) => {
            let per_unit = world.policy.per_unit.map(|limit| limit as u32);
            place(rank, of) && limit == per_unit && place_agrees(is_removed, (rank, of), limit)
        }
        (
            Reason::WithinLimit,
            &Compared::Extra {
                rank,
                of,
                limit,
                because,
            },
        ) => {
            let is_last_run = because == Extra::LastRun;
            let ran = c.state != ContainerState::Created;
            !is_removed && place(rank, of) && rank > limit && (ran || !is_last_run)
        }
        (Reason::WithinLimit, Compared::Within { left, limit }) => !is_removed && left <= limit,
        (Reason::TotalLimit, &Compared::Total { rank, of, limit }) => {
            of > limit && place_agrees(is_removed, (rank, of), Some(limit))
        }
        (
            Reason::TotalLimit,
            &Compared::Share {
                rank,
                share,
                of,
                limit,
            },
        ) => {
            let (own, in_unit) = places[&c.id];
            let agrees = place_agrees(is_removed, (rank, in_unit), Some(share));
            agrees && rank == own && of > limit
        }
        (Reason::Age, Compared::Age(age)) => is_removed && is_age_of(age, c) && age.is_above(),
        (Reason::TooYoung, Compared::Age(age)) => {
            !is_removed && is_age_of(age, c) && age.is_below()
        }
        (Reason::UnknownState, Compared::ContainerState(ContainerState::Undefined(_))) => true,
        (Reason::UnknownState, Compared::Nothing) => !c.readable,
        (Reason::Running | Reason::PodRemoved | Reason::PodTerminated, Compared::Nothing) => true,
        (reason, compared) => !is_removed && held_agrees(world, pods, c.uid(), (reason, compared)),
    }
}

fn is_age_of(age: &Age, c: &Container) -> bool {
    age.age == NOW - c.created_at && matches!(age.since, Since::Created | Since::Starting)
}

fn sandbox_agrees(
    world: &World,
    pods: &PodView,
    (is_removed, step): (bool, &Step<'_, Sandbox>),
) -> bool {
    let s = step.object;
    let of_pod = world.snapshot.sandboxes.iter().flatten();
    let of_pod: Vec<&Sandbox> = of_pod.filter(|other| other.pod_uid == s.pod_uid).collect();
    let newer = of_pod.iter().filter(|other| other.age() > s.age()).count() as u32;
    let place = (newer + 1, of_pod.len() as u32);
    match (step.reason, &step.compared) {
        (Reason::OlderSandbox | Reason::NewestSandbox, &Compared::Rank { rank, of, limit }) => {
            (rank, of) == place && place_agrees(is_removed, place, limit)
        }
        (
            Reason::NewestSandbox,
            &Compared::Extra {
                rank, of, limit, ..
            },
        ) => {
            let highest = of_pod.iter().all(|other| other.attempt <= s.attempt);
            !is_removed && (rank, of) == place && rank > limit && highest
        }
        (Reason::Active, Compared::SandboxState(SandboxState::Ready)) => {
            s.state == SandboxState::Ready
        }
        (Reason::Active, Compared::Container(id)) => {
            let mut containers = world.snapshot.containers.iter();
            containers.any(|c| c.id == *id && c.sandbox_id == s.id)
        }
        (Reason::UnknownState, Compared::SandboxState(SandboxState::Undefined(_))) => true,
        (Reason::PodRemoved | Reason::PodTerminated, Compared::Nothing) => is_removed,
        (reason, compared) => {
            !is_removed && held_agrees(world, pods, &s.pod_uid, (reason, compared))
        }
    }
}

/// The host's answer as it is, held by a brake, and older than what pods are.
fn views(world: &World) -> Vec<PodView> {
    let pods = view(&world.snapshot, world);
    let brake = Brake::TooMany {
        losing: 11,
        pods: 12,
        percent: 50,
    };
    let mut newer = Newer::default();
    newer.look(&world.snapshot, NOW);
    for uid in 0..8 {
        newer.judge(&uid.to_string().into(), 3 * S, Changed::Last(2 * S));
    }
    let holding = pods.clone().holding(newer.pods());
    vec![pods.clone(), pods.braked(brake), holding]
}

#[test]
fn values_of_containers_and_sandboxes_agree_with_decisions() {
    proptest!(|(world in worlds())| {
        for pods in views(&world) {
            let plan = containers::plan(&world.snapshot, &pods, &world.policy, NOW);
            let places = places(&world, &plan);
            for step in steps(&plan) {
                prop_assert!(container_agrees(&world, &pods, &places, step), "{:?}", step);
            }
            let plan = sandboxes::plan(&world.snapshot, &pods);
            for step in steps(&plan) {
                prop_assert!(sandbox_agrees(&world, &pods, step), "{:?}", step);
            }
            let names: Vec<Text> = (0..9).map(|n| format!("ns_pod-{n}_{n}").into()).collect();
            let young = || Compared::Age(Age { since: Since::TreeWritten, age: S, limit: 2 * S });
            let youth = |name: &Text| name.ends_with('1').then(young);
            let plan = logs::trees(&names, &world.snapshot, &pods, youth);
            for (is_removed, step) in steps(&plan) {
                let uid = logs::entry_uid(step.object);
                let agrees = match (step.reason, &step.compared) {
                    (Reason::Active, Compared::Container(id)) => {
                        world.snapshot.containers.iter().any(|c| c.id == *id && c.uid() == uid)
                    }
                    (Reason::TooYoung, compared) => *compared == young(),
                    (Reason::PodRemoved, Compared::Nothing) => is_removed,
                    (Reason::PodExists, Compared::Nothing) => !is_removed,
                    (reason, compared) => held_agrees(&world, &pods, uid, (reason, compared)),
                };
                prop_assert!(agrees, "{:?}", step);
            }
        }
    });
}

/// S4.3, S5: ages on both sides of their limits, and the order of removal.
#[test]
fn values_of_images_and_log_files_agree_with_decisions() {
    proptest!(|(uses in prop::collection::vec(0..5u8, 1..8), limit in 0..6i64, changes in prop::collection::vec(0..9i64, 1..6))| {
        let list: Vec<Image> = (0..uses.len()).map(|n| image(&format!("i{n}"), &format!("reg/{n}:1"), 1)).collect();
        let named = |is: u8| {
            let of = uses.iter().enumerate().filter(move |(_, how)| **how == is);
            of.map(|(n, _)| format!("reg/{n}:1")).collect::<Vec<String>>()
        };
        let mut records = Records::default();
        let then = named(1);
        let seconds = |n: i64| Duration::from_secs(n.unsigned_abs());
        records.watch(S, seconds(1), seconds(1));
        records.look(&list[1..], &mounted(then.iter().map(String::as_str)), S);
        let now = named(2);
        let in_use = mounted(now.iter().map(String::as_str));
        records.watch(4 * S, seconds(4), seconds(4));
        records.look(&list, &in_use, 4 * S);
        let patterns = named(3);
        let exempt = Exempt::new(&patterns);
        let known: Vec<Text> = named(4).iter().map(|name| Text::from(&**name)).collect();
        let sandbox = SandboxImages::Known(known);
        let look = ImageState { images: &list, in_use: &in_use, records: &records, sandbox: &sandbox, exempt: &exempt };
        let free = Goal::Free(Wanted { threshold: Some(80), ..Wanted::default() });
        for goal in [free, Goal::AllUnused, Goal::Aged(seconds(limit))] {
            let plan = images::plan(&look, &goal, limit * S, 6 * S);
            for (at, step) in plan.remove.iter().enumerate() {
                let last = records.get(step.object).and_then(|record| record.last_used);
                let turn = Compared::Turn {
                    rank: at as u32 + 1,
                    of: plan.remove.len() as u32,
                    last_used: last.unwrap_or(0),
                };
                match (step.reason, &step.compared) {
                    (Reason::Age, Compared::Age(age)) => prop_assert!(age.is_above()),
                    (Reason::Space | Reason::Unused, compared) => prop_assert_eq!(compared, &turn),
                    _ => prop_assert!(false, "{:?}", step),
                }
            }
            for step in &plan.keep {
                let name = step.object.tags[0].clone();
                let agrees = match (step.reason, &step.compared) {
                    (Reason::InUse, Compared::Container(user)) => &**user == "user" && now.contains(&name.to_string()),
                    (Reason::Exempt | Reason::SandboxImage, Compared::Named(by)) => *by == name,
                    (Reason::TooYoung, Compared::Age(age)) => match goal {
                        Goal::Aged(_) => !age.is_above(),
                        _ => age.is_below() && age.since == Since::Detected,
                    },
                    _ => false,
                };
                prop_assert!(agrees, "{:?}", step);
            }
        }
        let snapshot = test_support::node::look(
            vec![test_support::node::exited("c", "u", "app", S)],
            vec![],
        );
        let owners = Owners::of(&snapshot).expect("whole lists");
        let pods = PodView::new(&snapshot, &test_support::node::answer(&["u"]), false, false);
        let files: Vec<LogFile> = changes.iter().enumerate().map(|(n, changed)| LogFile {
            pod: "ns_pod-u_u".into(),
            container: "app".into(),
            name: format!("{}.log", n + 1).into(),
            changed: changed * S,
        }).collect();
        let plan = orphans::plan(&files, &owners, &pods, (8 * S, limit * S));
        for (is_removed, step) in steps(&plan) {
            let Compared::Age(age) = &step.compared else {
                return Err(TestCaseError::fail(format!("{step:?}")));
            };
            prop_assert_eq!(age.is_above(), is_removed);
            prop_assert_eq!(age.age, 8 * S - step.object.changed);
        }
    });
}
