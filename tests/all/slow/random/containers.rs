//! Whole passes over random nodes: a dry run reports what the pass does, a second pass finds
//! nothing more, and what lives is never touched (S0.4, S0.5, S1.1, S3.2).

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::hooks::Hook;
use crigc::node::{PodState, PodStates, Text};
use crigc::report::{Kind, Outcome, Report};
use crisim::node::Container;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use test_support::bench::{Bench, there, with};
use test_support::dice::{Dice, nodes};
use test_support::random_node::{can_be_placed, living, node, spared};
use test_support::rules::Rules;

/// The rules that did something on a node.
fn exercised(report: &Report) -> BTreeSet<&'static str> {
    let rule = |kind, reason: &str| match (kind, reason) {
        (_, "pod-active") => Some("S0.4"),
        (_, "running") => Some("S1.1"),
        (Kind::Container, "pod-removed" | "pod-terminated") => Some("S1.4"),
        (_, "unit-limit") => Some("S1.5"),
        (_, "total-limit") => Some("S1.6"),
        (Kind::Sandbox, "active") => Some("S3.2"),
        (Kind::Sandbox, "pod-removed" | "pod-terminated" | "older-sandbox") => Some("S3.3"),
        (Kind::Container, "age") => Some("S1.9"),
        (Kind::PodLogs, "pod-removed") => Some("S4.1"),
        (Kind::PodLogs, "age") => Some("S4.3"),
        (Kind::LogLink, _) => Some("S4.2"),
        _ => None,
    };
    let entries = report.entries.iter();
    entries
        .filter_map(|e| rule(e.kind, e.reason.word()))
        .collect()
}

#[test]
fn s0_5_a_dry_run_of_a_random_node_reports_what_the_pass_does_and_a_second_pass_does_nothing() {
    let mut rules = Rules::default();
    let (mut removed, mut count) = (0, 0);
    for seed in nodes(120) {
        count += 1;
        let mut dice = Dice(seed);
        let bench = node(&mut dice);
        let keys = [
            (
                "maximum-dead-containers-per-container",
                dice.of(&["-1", "0", "1", "2"]),
            ),
            (
                "maximum-dead-containers",
                dice.of(&["-1", "-1", "0", "3", "8"]),
            ),
            ("max-parallel-removals", dice.of(&["1", "2", "5"])),
            (
                "minimum-container-ttl-duration",
                dice.of(&["0s", "0s", "1h"]),
            ),
            ("maximum-dead-container-age", dice.of(&["0s", "0s", "1h"])),
            (
                "minimum-pod-log-ttl-duration",
                dice.of(&["0s", "0s", "1ns", "1h"]),
            ),
            ("orphan-log-ttl-duration", dice.of(&["0s", "1ns", "1h"])),
            ("max-pod-share", dice.of(&["100", "0"])),
        ];
        let flags = PassOptions {
            all_unused: dice.one_in(3),
            ..PassOptions::default()
        };
        let dry_flags = PassOptions {
            dry_run: true,
            ..flags
        };
        let before = bench.server.state();
        let everything = bench.everything();
        let running_logs: Vec<_> = before
            .containers
            .iter()
            .filter(|c| c.state.number() == 1 && can_be_placed(c, &before))
            .map(|c| PathBuf::from(c.log_path.to_string()))
            .filter(|path| there(path))
            .collect();

        let dry = bench.collect(&keys, dry_flags);
        assert_eq!(
            bench.everything(),
            everything,
            "node {seed}: a dry run changed something"
        );
        assert_eq!(bench.server.state(), before, "node {seed}");

        let real = bench.collect(&keys, flags);
        assert_eq!(dry.error, real.error, "node {seed}");
        let (dry, real) = (dry.report.unwrap(), real.report.unwrap());
        for outcome in [Outcome::Removed, Outcome::Failed, Outcome::Kept] {
            let (told, done) = (with(&dry, outcome), with(&real, outcome));
            let only_told: Vec<_> = told.difference(&done).collect();
            let only_done: Vec<_> = done.difference(&told).collect();
            assert!(
                only_told.is_empty() && only_done.is_empty(),
                "node {seed} {keys:?} {flags:?} {outcome:?}:\nonly told: {only_told:#?}\nonly done: {only_done:#?}"
            );
        }
        removed += real.count(None, Some(Outcome::Removed));
        exercised(&real)
            .into_iter()
            .for_each(|rule| rules.node(rule));
        if !with(&dry, Outcome::Removed).is_empty() {
            rules.node("S0.5");
        }
        limits_hold(seed, &keys, &real);
        spared(seed, &before, &bench, &real);
        for log in running_logs {
            assert!(
                there(&log),
                "node {seed}: {} of a running container was deleted",
                log.display()
            );
        }

        let second = bench.collect(&keys, flags).report.unwrap();
        let more = with(&second, Outcome::Removed);
        assert!(more.is_empty(), "node {seed} {keys:?} {flags:?}: {more:#?}");
    }
    rules.case("S0.5");
    println!("S0.5: {count} random nodes, {removed} objects removed");
    assert!(
        removed > count,
        "nodes on which hardly anything happens show nothing"
    );
}

/// S1.5, S1.6 on what is left, except objects that failed or are kept for another reason.
fn limits_hold(seed: u64, keys: &[(&str, &str)], report: &Report) {
    let value = |name: &str| {
        let of = keys.iter().find(|(key, _)| *key == name);
        of.and_then(|(_, value)| value.parse::<i64>().ok())
    };
    let mut units: HashMap<(&str, &str), i64> = HashMap::new();
    for e in report.entries.iter().filter(|e| e.kind == Kind::Container) {
        let counted = ["within-limit", "pod-active", "sources-not-ready"];
        if e.outcome == Outcome::Kept && counted.contains(&e.reason.word()) {
            let name = e.name.rsplit('/').next().unwrap_or_default();
            *units.entry((&e.pod_uid, name)).or_default() += 1;
        }
    }
    if let Some(limit @ 0..) = value("maximum-dead-containers-per-container") {
        // The last crash and the highest attempt may be kept, too.
        let most = limit + 2 * limit.signum();
        assert!(
            units.values().all(|&n| n <= most),
            "node {seed}: S1.5: {units:?}"
        );
    }
    if let Some(limit @ 0..) = value("maximum-dead-containers") {
        assert!(
            units.values().sum::<i64>() <= limit,
            "node {seed}: S1.6: {units:?}"
        );
    }
}

/// How a host lies.
#[derive(Clone, Copy, Debug)]
enum Nonsense {
    EverythingGone,
    NothingKnown,
    HalfGone,
    /// Another answer to each question.
    Changing,
}

fn lie(nonsense: Nonsense, question: u64, uids: &[Text]) -> PodStates {
    let gone = PodState {
        content_removable: true,
        runtime_removable: true,
    };
    let states = uids.iter().enumerate().filter_map(|(n, uid)| {
        let odd = n % 2 == 1;
        let claimed = match nonsense {
            Nonsense::EverythingGone => true,
            Nonsense::NothingKnown => return None,
            Nonsense::HalfGone => odd,
            Nonsense::Changing => (n as u64 + question).is_multiple_of(3),
        };
        Some((
            uid.clone(),
            if claimed { gone } else { PodState::default() },
        ))
    });
    PodStates {
        ready: true,
        states: states.collect(),
        as_of: 0,
    }
}

/// The log files, directories and links of living pods.
fn logs_of(living: &BTreeSet<String>, bench: &Bench) -> Vec<PathBuf> {
    let uid = |name: &str| name.rsplit('_').next().unwrap_or(name).to_owned();
    let mut ahead: Vec<PathBuf> = fs::read_dir(bench.path("pods"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| living.contains(&uid(&entry.file_name().to_string_lossy())))
        .map(|entry| entry.path())
        .collect();
    let mut found = Vec::new();
    while let Some(path) = ahead.pop() {
        if path.is_dir() && !path.is_symlink() {
            ahead.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        found.push(path);
    }
    found
}

#[test]
fn s0_4_a_host_that_answers_nonsense_costs_no_living_pod_anything() {
    let mut rules = Rules::default();
    let all = [
        Nonsense::EverythingGone,
        Nonsense::NothingKnown,
        Nonsense::HalfGone,
        Nonsense::Changing,
    ];
    let mut contradictions = 0;
    for seed in nodes(60) {
        let nonsense = all[usize::try_from(seed).unwrap() % all.len()];
        let mut dice = Dice(seed + 5000);
        let bench = node(&mut dice);
        let before = bench.server.state();
        let living = living(&before);
        let logs = logs_of(&living, &bench);
        let mut hooks = bench.hooks();
        let asked = AtomicU64::new(0);
        let answer = move |uids: &[Text]| {
            let question = asked.fetch_add(1, Ordering::SeqCst) + 1;
            lie(nonsense, question, uids)
        };
        hooks.pod_states = Some(Hook::new(Box::new(answer)));
        // Without limits objects are removed only because their pod is gone.
        let keys = [("maximum-dead-containers-per-container", "-1")];
        let flags = PassOptions {
            all_unused: dice.one_in(2),
            ..PassOptions::default()
        };
        let end = bench.engine(&keys, hooks).containers(flags, None);
        let status = end.error.as_ref().map(|e| e.status);
        assert!(
            matches!(status, None | Some(Status::Contradiction)),
            "node {seed}: {:?}",
            end.error
        );
        if status.is_some() {
            contradictions += 1;
            rules.node("S0.4");
        }
        let after = bench.server.state();
        let uid = |c: &Container| {
            let label = c.labels.get("io.kubernetes.pod.uid");
            label.map_or(String::new(), ToString::to_string)
        };
        for c in before
            .containers
            .iter()
            .filter(|c| living.contains(&uid(c)))
        {
            assert!(
                after.containers.contains(c),
                "node {seed} {nonsense:?}: {}",
                c.id
            );
        }
        spared(seed, &before, &bench, end.report.as_ref().unwrap());
        for log in logs {
            assert!(
                there(&log),
                "node {seed} {nonsense:?}: {} was removed",
                log.display()
            );
        }
    }
    assert!(
        contradictions > 10,
        "hardly any host was caught: {contradictions}"
    );
}

/// The same node with its lists turned round loses the same objects.
#[test]
fn a_pass_does_not_depend_on_the_order_of_the_lists() {
    for seed in nodes(40) {
        let keys = [
            ("maximum-dead-containers", "5"),
            ("max-parallel-removals", "1"),
        ];
        let [straight, turned] = [false, true].map(|turn| {
            let bench = node(&mut Dice(seed + 9000));
            if turn {
                bench.server.edit(|node| {
                    node.containers.reverse();
                    node.sandboxes.reverse();
                });
            }
            let top = bench.top.path().to_str().unwrap().to_owned();
            let report = bench.collect(&keys, PassOptions::default()).report.unwrap();
            [Outcome::Removed, Outcome::Kept, Outcome::Failed].map(|outcome| {
                let strip = |(kind, id, reason): (Kind, String, &'static str)| {
                    (kind, id.replace(&top, ""), reason)
                };
                with(&report, outcome)
                    .into_iter()
                    .map(strip)
                    .collect::<BTreeSet<_>>()
            })
        });
        assert_eq!(straight, turned, "node {seed}");
    }
}

/// Pods that come back between two stages, and between the question and the removal: a tree is removed only if the host's last answer was
/// that its pod is gone.
#[test]
fn s4_1_a_tree_is_removed_only_by_the_hosts_last_answer() {
    let mut rules = Rules::default();
    let (mut gone, mut kept) = (0, 0);
    for seed in nodes(60) {
        let mut dice = Dice(seed + 13_000);
        let bench = node(&mut dice);
        let before = bench.server.state();
        let lives = living(&before);
        // How often the host, asked about one pod alone, said that it is gone.
        let alone: Arc<Mutex<HashMap<Text, usize>>> = Arc::default();
        let heard = alone.clone();
        let mut hooks = bench.hooks();
        let dice = Mutex::new(dice);
        let answer = move |uids: &[Text]| {
            let states = uids.iter().map(|uid| {
                // A host that calls what runs gone would not be believed (S0.4).
                let content_removable = !lives.contains(&**uid) && !dice.lock().unwrap().one_in(3);
                if content_removable && uids.len() == 1 {
                    *heard.lock().unwrap().entry(uid.clone()).or_default() += 1;
                }
                let state = PodState {
                    content_removable,
                    runtime_removable: false,
                };
                (uid.clone(), state)
            });
            PodStates {
                ready: true,
                states: states.collect(),
                as_of: 0,
            }
        };
        hooks.pod_states = Some(Hook::new(Box::new(answer)));
        let end = bench
            .engine(&[], hooks)
            .containers(PassOptions::default(), None);
        let report = end.report.unwrap();
        let mut alone = alone.lock().unwrap();
        for e in report.entries.iter().filter(|e| e.kind == Kind::PodLogs) {
            match (e.outcome, e.reason.word()) {
                (Outcome::Removed, _) => {
                    let said = alone.get_mut(&e.pod_uid).filter(|said| **said > 0);
                    *said.unwrap_or_else(|| panic!("node {seed}: {e:?}")) -= 1;
                    gone += 1;
                    rules.node("S4.1");
                }
                (_, "changed") => kept += 1,
                _ => {}
            }
        }
        spared(seed, &before, &bench, &report);
    }
    println!("S4.1: {gone} trees were deleted, {kept} were kept at the last moment");
    assert!(gone > 10 && kept > 5, "{gone} {kept}");
}
