//! Random nodes on which any number of removals and stops hang, fail or cost the connection: after a bounded number of passes all is
//! removed that would be removed without that, except objects in trouble themselves, and nothing that must be kept is touched (S0.8, S2.3).

use crigc::engine::{Engine, PassOptions};
use crigc::hooks::Hooks;
use crigc::report::Outcome;
use crisim::fault::{Action, Fault};
use crisim::node::{Node, State, Word};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use test_support::bench::{Bench, INTERNAL, code};
use test_support::dice::{Dice, nodes};
use test_support::random_node::{node, spared};
use test_support::rules::Rules;

/// All there is, with the same names on each node.
fn everything(bench: &Bench) -> BTreeSet<String> {
    let top = bench.top.path().to_str().unwrap().to_owned();
    let all = bench.everything().into_iter();
    all.map(|name| name.replace(&top, "")).collect()
}

fn engine(bench: &Bench, keys: &[(&str, &str)]) -> Engine {
    let hooks = Hooks {
        stop_wait: Some(Duration::from_millis(200)),
        ..bench.hooks()
    };
    bench.engine(keys, hooks)
}

/// Trouble with some objects of a node: their IDs, and the faults.
fn trouble(dice: &mut Dice, node: &Node) -> (BTreeSet<String>, Vec<Fault>) {
    let mut ids = BTreeSet::new();
    let mut faults = Vec::new();
    // One of this number; on some nodes all.
    let share = dice.of(&[1, 2, 3, 5]);
    let mut add = |dice: &mut Dice, id: String, methods: &[&str]| {
        let method = dice.of(methods);
        let action = match dice.roll(8) {
            0 => code(INTERNAL),
            1 => Action::Disconnect,
            _ => Action::Hang,
        };
        if dice.one_in(share) && ids.insert(id.clone()) {
            faults.push(Fault::of(method, &id, action));
        }
    };
    for c in &node.containers {
        let methods: &[&str] = match c.state {
            State::Word(Word::Unknown) => &["StopContainer", "RemoveContainer"],
            _ => &["RemoveContainer"],
        };
        add(dice, c.id.to_string(), methods);
    }
    for s in &node.sandboxes {
        add(
            dice,
            s.id.to_string(),
            &["StopPodSandbox", "RemovePodSandbox"],
        );
    }
    (ids, faults)
}

/// Names of the objects that are kept because of an object in trouble: itself, its sandbox, all of its pod's logs.
fn may_stay(node: &Node, troubled: &BTreeSet<String>) -> impl Fn(&str) -> bool {
    let mut names = troubled.clone();
    let (mut pods, mut logs) = (BTreeSet::new(), BTreeSet::new());
    for c in &node.containers {
        // After a call without an answer the runtime is asked where a log is, and gives no answer for this one.
        if c.log_path.to_string().is_empty() {
            let label = c.labels.get("io.kubernetes.pod.uid");
            logs.insert(label.map_or(String::new(), ToString::to_string));
        }
        if troubled.contains(&c.id.to_string()) {
            names.insert(c.sandbox_id.to_string());
            let label = c.labels.get("io.kubernetes.pod.uid");
            pods.insert(label.map_or(String::new(), ToString::to_string));
            // Its log may show more than its labels.
            let log = c.log_path.to_string();
            let below = log.split("/pods/").nth(1);
            let pod = below.and_then(|below| below.split('/').next());
            pods.extend(
                pod.and_then(|pod| pod.rsplit('_').next())
                    .map(str::to_owned),
            );
        }
    }
    // A sandbox beside it may be its pod's newest.
    let uids: BTreeMap<String, String> = node
        .sandboxes
        .iter()
        .map(|s| (s.id.to_string(), s.uid.to_string()))
        .collect();
    move |name: &str| {
        let own = |name: &str| {
            let uid = name.rsplit('_').next().unwrap_or(name);
            pods.contains(uid) || logs.contains(uid)
        };
        match name.strip_prefix("/pods/") {
            Some(below) => own(below.split('/').next().unwrap()),
            // A link may lead to such logs.
            None if name.starts_with("/links/") => !(pods.is_empty() && logs.is_empty()),
            None => names.contains(name) || uids.get(name).is_some_and(|uid| pods.contains(uid)),
        }
    }
}

#[test]
fn s0_8_whatever_hangs_on_a_random_node_everything_else_is_removed() {
    let mut rules = Rules::default();
    let (mut hung, mut gone) = (0, 0);
    for seed in nodes(24) {
        let keys = |dice: &mut Dice| {
            [
                (
                    "maximum-dead-containers-per-container",
                    dice.of(&["0", "1", "2"]),
                ),
                ("max-parallel-removals", dice.of(&["1", "4", "16"])),
                ("runtime-request-timeout", "200ms"),
            ]
        };
        let mut dice = Dice(seed + 70_000);
        let clean = node(&mut dice);
        let own_keys = keys(&mut dice);
        let of_clean = engine(&clean, &own_keys);
        for _ in 0..2 {
            of_clean.containers(PassOptions::default(), None);
        }
        let stays = everything(&clean);

        let bench = node(&mut Dice(seed + 70_000));
        let before = bench.server.state();
        let all = everything(&bench);
        let (troubled, faults) = trouble(&mut dice, &before);
        let may_stay = may_stay(&before, &troubled);
        bench.server.set_faults(faults);
        let engine = engine(&bench, &own_keys);
        let wanted: BTreeSet<&String> = all.difference(&stays).filter(|n| !may_stay(n)).collect();
        // Ten that hang are given up in a pass, two stops; and a busy machine may cost some more.
        let most = troubled.len() / 2 + 6;
        for pass in 1.. {
            let end = engine.containers(PassOptions::default(), None);
            let report = end.report.unwrap();
            spared(seed, &before, &bench, &report);
            let after = everything(&bench);
            let lost: Vec<_> = stays.difference(&after).collect();
            assert!(lost.is_empty(), "node {seed}, pass {pass}: {lost:?}");
            let mut ids: Vec<_> = report.entries.iter().map(|e| (e.kind, &e.id)).collect();
            ids.sort();
            let entries = ids.len();
            ids.dedup();
            assert_eq!(ids.len(), entries, "node {seed}: {:#?}", report.entries);
            hung += report.count(None, Some(Outcome::Failed));
            let left: Vec<_> = wanted
                .iter()
                .filter(|name| after.contains(**name))
                .collect();
            if left.is_empty() {
                break;
            }
            assert!(
                pass < most,
                "node {seed} {own_keys:?}: {left:#?} of {} in trouble: {:#?}",
                troubled.len(),
                report.entries
            );
        }
        gone += wanted.len();
        if !troubled.is_empty() && !wanted.is_empty() {
            rules.node("S0.8");
        }
    }
    println!("S0.8: {hung} failures, {gone} objects were still removed");
    assert!(hung > 50 && gone > 100, "{hung} {gone}");
}
