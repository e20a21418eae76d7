//! S0.12: how many pods would lose something because they are gone, and when those are too many.

use crigc::config::AgeFrom;
use crigc::node::{Container, ContainerState, PodStates, Sandbox, SandboxState, Snapshot, Text};
use crigc::plan::containers::{self, ContainerPolicy};
use crigc::plan::pods::{Brake, PodView};
use crigc::plan::{logs, sandboxes, share};
use crigc::report::Compared;
use std::collections::{BTreeSet, HashMap};
use test_support::node::{S, answer, container, exited, look, sandbox};
use test_support::rules::Rules;

const NOW: i64 = 1_000_000 * S;

const POLICY: ContainerPolicy = ContainerPolicy {
    min_age: 0,
    per_unit: Some(1),
    total: None,
    max_age: None,
    late: false,
    age_from: AgeFrom::Created,
};

fn uids(count: usize) -> BTreeSet<Text> {
    (0..count).map(|n| format!("u{n:03}").into()).collect()
}

fn names(count: usize) -> Vec<Text> {
    uids(count)
        .iter()
        .map(|uid| format!("ns_pod_{uid}").into())
        .collect()
}

#[test]
fn s0_12_more_than_the_share_and_at_least_ten_are_too_many() {
    let mut rules = Rules::default();
    // The share in percent, how many pods lose something, of how many; whether they are too many.
    let cases = [
        (50, 9, 9, false),
        (50, 10, 10, true),
        (50, 10, 20, false),
        (50, 11, 21, true),
        (50, 11, 22, false),
        (0, 9, 100, false),
        (0, 10, 1000, true),
        (99, 99, 100, false),
        (99, 100, 100, true),
        (100, 100, 100, false),
    ];
    for (percent, losing, of, exceeded) in cases {
        let found = share::exceeded(percent, &names(of), &uids(losing));
        assert_eq!(
            found.is_some(),
            exceeded,
            "{losing} of {of}, {percent} percent"
        );
        if let Some(found) = found {
            assert_eq!(
                (found.losing, found.pods, found.examples.len()),
                (losing, of, 3)
            );
        }
        rules.case("S0.12");
    }
}

#[test]
fn s0_12_each_pod_counts_once_also_one_that_has_no_entry() {
    let mut rules = Rules::default();
    // Twelve lose something, of which eleven have an entry, in one case by both forms of its name.
    let mut names = names(11);
    names.push("u000".into());
    let found = share::exceeded(99, &names, &uids(12)).expect("twelve of twelve");
    assert_eq!((found.losing, found.pods), (12, 12));
    rules.case("S0.12");
    // The directory is empty, or that of another node.
    let found = share::exceeded(50, &[], &uids(12)).expect("twelve of twelve");
    assert_eq!((found.losing, found.pods), (12, 12));
    rules.case("S0.12");
}

type Case = (
    &'static str,
    Vec<Container>,
    Vec<Sandbox>,
    PodStates,
    bool,
    &'static [&'static str],
);

fn cases() -> Vec<Case> {
    let dead = || vec![exited("a", "p", "c", S), exited("b", "p", "c", 2 * S)];
    let ended = |state| vec![sandbox("s", "p", state, S)];
    let none = SandboxState::NotReady;
    vec![
        (
            "a pod that exists",
            dead(),
            ended(none),
            answer(&["p"]),
            false,
            &[],
        ),
        (
            "its containers",
            dead(),
            vec![],
            answer(&["+p"]),
            false,
            &["p"],
        ),
        (
            "its sandbox",
            vec![],
            ended(none),
            answer(&["+p"]),
            false,
            &["p"],
        ),
        ("its logs", vec![], vec![], answer(&["+q"]), false, &["q"]),
        (
            "logs that are too young",
            vec![],
            vec![],
            answer(&["+young"]),
            false,
            &[],
        ),
        (
            "one that runs",
            dead(),
            ended(SandboxState::Ready),
            answer(&["+p"]),
            false,
            &[],
        ),
        (
            "one that has ended",
            dead(),
            ended(none),
            answer(&["~p"]),
            false,
            &[],
        ),
        (
            "nor where all unused goes: it is not gone",
            dead(),
            ended(none),
            answer(&["~p"]),
            true,
            &[],
        ),
        (
            "a container that is kept keeps the logs",
            vec![container("c", "q", "c", ContainerState::Created, NOW)],
            vec![],
            answer(&["+q"]),
            false,
            &[],
        ),
    ]
}

#[test]
fn s0_12_what_a_pod_would_lose_because_it_is_gone() {
    let mut rules = Rules::default();
    let names: Vec<Text> = ["ns_pod_q", "ns_pod_young"].map(Text::from).into();
    for (what, containers, sandboxes, host, all_unused, want) in cases() {
        let snapshot = look(containers, sandboxes);
        let pods = PodView::new(&snapshot, &host, all_unused, false);
        let youth = |name: &Text| name.ends_with("young").then_some(Compared::Nothing);
        let losing = share::losing(&snapshot, &pods, &POLICY, NOW, &names, youth);
        let losing: Vec<&str> = losing.iter().map(|uid| &**uid).collect();
        assert_eq!(losing, want, "{what}");
        rules.case("S0.12");
    }
    // What a pod loses by age because it has ended (S1.9) does not count: it is not gone.
    let snapshot = look(vec![exited("a", "p", "c", S)], vec![]);
    let policy = ContainerPolicy {
        max_age: Some(S),
        late: false,
        ..POLICY
    };
    for (host, count) in [(answer(&["~p"]), 0), (answer(&["+p"]), 1)] {
        let pods = PodView::new(&snapshot, &host, false, false).by_age(true);
        let losing = share::losing(&snapshot, &pods, &policy, NOW, &[], |_| None);
        assert_eq!(losing.len(), count);
        rules.case("S0.12");
    }
}

/// What the three plans remove and keep of a pod that is gone, under a brake: reasons of containers, sandboxes and logs.
fn braked(snapshot: &Snapshot, host: &PodStates, brake: Brake) -> Vec<&'static str> {
    let pods = PodView::new(snapshot, host, false, false).braked(brake);
    let names = [Text::from("ns_pod_p")];
    let containers = containers::plan(snapshot, &pods, &POLICY, NOW);
    let sandboxes = sandboxes::plan(snapshot, &pods);
    // The containers are gone by then, or kept for the same reason.
    let empty = look(vec![], vec![]);
    let trees = logs::trees(&names, &empty, &pods, |_| None);
    let containers = containers.remove.iter().chain(&containers.keep);
    let sandboxes = sandboxes.remove.iter().chain(&sandboxes.keep);
    let trees = trees.remove.iter().chain(&trees.keep);
    let reasons = containers.map(|step| step.reason.word());
    let reasons = reasons.chain(sandboxes.map(|step| step.reason.word()));
    reasons
        .chain(trees.map(|step| step.reason.word()))
        .collect()
}

#[test]
fn s0_12_the_brake_holds_what_is_removed_for_a_pods_sake_and_limits_still_hold() {
    let mut rules = Rules::default();
    let snapshot = || {
        look(
            vec![exited("a", "p", "c", S), exited("b", "p", "c", 2 * S)],
            vec![
                sandbox("old", "p", SandboxState::NotReady, S),
                sandbox("new", "p", SandboxState::NotReady, 2 * S),
            ],
        )
    };
    let counted = |uid: &str| Brake::all_but([uid.into()]);
    let gone = ["pod-removed"; 5];
    let held = [
        "unit-limit",
        "held-by-share",
        "older-sandbox",
        "held-by-share",
        "held-by-share",
    ];
    let cases = [
        (Brake::Off, gone),
        (counted("p"), gone),
        (counted("q"), held),
        (Brake::All, held),
    ];
    for (brake, want) in cases {
        assert_eq!(
            braked(&snapshot(), &answer(&["+p"]), brake.clone()),
            want,
            "{brake:?}"
        );
        rules.case("S0.12");
    }
    // Without a claim the brake holds nothing.
    let exists = [
        "unit-limit",
        "within-limit",
        "older-sandbox",
        "newest-sandbox",
        "pod-exists",
    ];
    assert_eq!(braked(&snapshot(), &answer(&["p"]), Brake::All), exists);
    rules.case("S0.12");
}

/// S0.9: what runs is the first reason, and the brake the last.
#[test]
fn s0_9_the_brake_is_the_last_to_hold_a_pod_back() {
    let mut rules = Rules::default();
    let snapshot = || look(vec![exited("a", "p", "c", S)], vec![]);
    let newer = || HashMap::from([(Text::from("p"), Compared::Nothing)]);
    let pods = PodView::new(&snapshot(), &answer(&["+p"]), false, false);
    let pods = pods.holding(newer()).braked(Brake::All);
    let (look, policy) = (snapshot(), POLICY);
    let plan = containers::plan(&look, &pods, &policy, NOW);
    assert_eq!(plan.keep[0].reason.word(), "newer-than-answer");
    rules.case("S0.9");
}

/// Containers that only the brake keeps do not take the place of others in `maximum-dead-containers` (S1.6).
#[test]
fn s1_6_containers_that_the_brake_keeps_give_way() {
    let mut rules = Rules::default();
    let snapshot = look(
        vec![exited("a", "p", "c", 2 * S), exited("b", "q", "c", S)],
        vec![],
    );
    let pods = PodView::new(&snapshot, &answer(&["+p", "q"]), false, false).braked(Brake::All);
    let one = ContainerPolicy {
        total: Some(1),
        ..POLICY
    };
    let plan = containers::plan(&snapshot, &pods, &one, NOW);
    let removed: Vec<&str> = plan.remove.iter().map(|step| &*step.object.id).collect();
    assert_eq!(removed, ["a"]);
    rules.case("S1.6");
}

#[test]
fn s0_12_there_is_a_verdict_once_pods_may_be_removable() {
    let mut rules = Rules::default();
    let whole = look(vec![], vec![]);
    let mut partial = look(vec![], vec![]);
    partial.partial = true;
    let blind = Snapshot::new(vec![], None);
    let unready = PodStates {
        ready: false,
        ..answer(&["+p"])
    };
    let cases = [
        (&whole, answer(&["+p"]), false, true),
        (&whole, answer(&["+p"]), true, false),
        (&whole, unready, false, false),
        (&partial, answer(&["+p"]), false, false),
        (&blind, answer(&["+p"]), false, false),
    ];
    for (snapshot, host, broken, is_clear) in cases {
        let pods = PodView::new(snapshot, &host, false, broken);
        assert_eq!(pods.is_clear(), is_clear);
        rules.case("S0.12");
    }
}
