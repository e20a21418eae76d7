//! Whole passes over random nodes: a dry run tells what the pass does, a second pass finds nothing more, and what lives is
//! never touched (S0.4, S0.5, S1.1, S3.2).

#[path = "common/bench.rs"]
mod bench;
#[path = "common/dice.rs"]
mod dice;
#[path = "common/large.rs"]
mod large;
#[path = "common/rules.rs"]
mod rules;

use bench::{Bench, Maker, id, sandbox_id, there, with, write};
use crigc::engine::Flags;
use crigc::error::Status;
use crigc::hooks::Hook;
use crigc::node::{PodState, PodStates, Text};
use crigc::report::{Kind, Outcome, Report};
use crisim::node::{Container, Node, State, Word};
use dice::{Dice, nodes};
use rules::Rules;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

const PODS: u64 = 7;

const CONTAINER_STATES: [Word; 6] = [
    Word::Exited,
    Word::Exited,
    Word::Exited,
    Word::Created,
    Word::Running,
    Word::Unknown,
];

/// Something odd about a container or its files.
fn disturb(dice: &mut Dice, maker: &mut Maker, uid: &str, name: &str, attempt: u32) {
    let log = maker.log(uid, name, attempt);
    let link = maker.link(uid, name, attempt);
    let own = id(uid, name, attempt);
    let outside = maker.path("outside/canary");
    let container = maker.node.containers.last_mut().unwrap();
    match dice.roll(14) {
        0 => fs::remove_file(&log).unwrap(),
        1 => fs::remove_file(&link).unwrap(),
        2 => drop(container.labels.remove("io.kubernetes.pod.namespace")),
        3 => container.log_path = "".into(),
        4 => {
            fs::remove_file(&log).unwrap();
            container.log_path = outside.to_str().unwrap().into();
        }
        5 => {
            fs::remove_file(&log).unwrap();
            write(&log.join("precious"));
        }
        6 => {
            fs::remove_file(&log).unwrap();
            symlink(&outside, &log).unwrap();
        }
        7 => symlink(&log, maker.path(&format!("links/extra-{own}.log"))).unwrap(),
        8 => symlink(&link, maker.path(&format!("links/chain-{own}.log"))).unwrap(),
        9 => container.state = State::Number(77),
        10 => {
            let again = container.clone();
            maker.node.containers.push(again);
        }
        11 => {
            let mut other = container.clone();
            other.attempt += 1;
            maker.node.containers.push(other);
        }
        12 => container.labels.clear(),
        _ => {}
    }
}

fn pod(dice: &mut Dice, maker: &mut Maker, uid: &str) {
    let sandboxes = u32::try_from(dice.roll(4)).unwrap();
    for attempt in 0..sandboxes {
        let state = dice.of(&[Word::NotReady, Word::NotReady, Word::Ready]);
        maker.sandbox(uid, attempt, state);
    }
    for name in ["a", "b"] {
        for attempt in 0..u32::try_from(dice.roll(5)).unwrap() {
            let state = dice.of(&CONTAINER_STATES);
            maker.container(uid, name, attempt, state);
            let sandbox = u32::try_from(dice.roll(4)).unwrap();
            maker.node.containers.last_mut().unwrap().sandbox_id = sandbox_id(uid, sandbox).into();
            if dice.one_in(3) {
                disturb(dice, maker, uid, name, attempt);
            }
        }
    }
}

/// Entries and links that belong to nothing in the lists, or to something else.
fn leftovers(dice: &mut Dice, maker: &Maker) {
    for n in 0..dice.roll(6) {
        let uid = format!("u{}", dice.roll(PODS + 2));
        let path = maker.path(&format!("pods/left{n}_{uid}"));
        let link = maker.path(&format!("links/left{n}_b_c-{n}123456789.log"));
        match dice.roll(4) {
            0 => write(&path),
            1 => symlink(maker.path("outside"), &path).unwrap(),
            2 => {
                symlink(maker.path("outside"), &path).unwrap();
                symlink(path.join("canary"), link).unwrap();
            }
            _ => {
                write(&path.join("app/0.log"));
                symlink(path.join("app/0.log"), link).unwrap();
            }
        }
    }
    for n in 0..dice.roll(3) {
        symlink("/nowhere", maker.path(&format!("links/dead{n}.log"))).unwrap();
    }
}

fn made(dice: &mut Dice) -> Maker {
    let mut maker = Maker::new();
    for n in 0..PODS {
        pod(dice, &mut maker, &format!("u{n}"));
    }
    leftovers(dice, &maker);
    maker
}

fn node(dice: &mut Dice) -> Bench {
    let maker = made(dice);
    start(dice, maker)
}

fn start(dice: &mut Dice, maker: Maker) -> Bench {
    let bench = maker.start();
    {
        let mut host = bench.host.0.lock().unwrap();
        host.0 = !dice.one_in(6);
        let everything = dice.one_in(8);
        for n in 0..PODS + 2 {
            let state = PodState {
                content_removable: everything || dice.one_in(3),
                runtime_removable: dice.one_in(3),
            };
            host.1.insert(format!("u{n}"), state);
        }
    }
    bench
}

/// Pods that run in whatever sense, by UID.
fn living(node: &Node) -> BTreeSet<String> {
    let uid = |c: &Container| {
        let label = c.labels.get("io.kubernetes.pod.uid");
        label.map_or(String::new(), ToString::to_string)
    };
    let runs = |c: &&Container| c.state == State::Word(Word::Running);
    let mut living: BTreeSet<String> = node.containers.iter().filter(runs).map(uid).collect();
    let ready = node
        .sandboxes
        .iter()
        .filter(|s| s.state == State::Word(Word::Ready));
    living.extend(ready.map(|s| s.uid.to_string()));
    living
}

/// Whether the lists tell whose container it is: by its label, or by its sandbox. Of one without either nobody knows which logs
/// are its own, the kubelet as little as crigc.
fn can_be_placed(c: &Container, node: &Node) -> bool {
    c.labels.contains_key("io.kubernetes.pod.uid")
        || node.sandboxes.iter().any(|s| s.id == c.sandbox_id)
}

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
        (Kind::PodLogs, "pod-removed") => Some("S4.1"),
        (Kind::LogLink, _) => Some("S4.2"),
        _ => None,
    };
    let entries = report.entries.iter();
    entries
        .filter_map(|e| rule(e.kind, e.reason.word()))
        .collect()
}

/// What lives is all there, and nothing of it went for its pod's sake.
fn spared(seed: u64, before: &Node, bench: &Bench, report: &Report) {
    let after = bench.server.state();
    for container in before.containers.iter().filter(|c| c.state.number() == 1) {
        assert!(
            after.containers.contains(container),
            "node {seed}: {}",
            container.id
        );
    }
    for sandbox in before.sandboxes.iter().filter(|s| s.state.number() == 0) {
        assert!(
            after.sandboxes.contains(sandbox),
            "node {seed}: {}",
            sandbox.id
        );
    }
    let living = living(before);
    let removed = report
        .entries
        .iter()
        .filter(|e| e.outcome == Outcome::Removed);
    for entry in removed.filter(|e| e.reason.word().starts_with("pod-")) {
        assert!(!living.contains(&*entry.pod_uid), "node {seed}: {entry:?}");
    }
    assert!(there(&bench.path("outside/canary")), "node {seed}");
}

#[test]
fn s0_5_a_dry_run_of_a_random_node_tells_what_the_pass_does_and_a_second_pass_does_nothing() {
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
        ];
        let flags = Flags {
            all_unused: dice.one_in(3),
            ..Flags::default()
        };
        let dry_flags = Flags {
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
                "node {seed}: {} of a running container went",
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

/// S1.5, S1.6 on what is left, but for what failed or stays for a reason of its own.
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
        assert!(
            units.values().all(|&n| n <= limit),
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
        let mut question = 0;
        let answer = move |uids: &[Text]| {
            question += 1;
            lie(nonsense, question, uids)
        };
        hooks.pod_states = Some(Hook::new(Box::new(answer)));
        // Without limits all that goes goes for a pod's sake.
        let keys = [("maximum-dead-containers-per-container", "-1")];
        let flags = Flags {
            all_unused: dice.one_in(2),
            ..Flags::default()
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
                "node {seed} {nonsense:?}: {} went",
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
            let report = bench.collect(&keys, Flags::default()).report.unwrap();
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

/// All that is left, without the path of this run.
fn left(bench: &Bench) -> BTreeSet<String> {
    let top = bench.top.path().to_str().unwrap().to_owned();
    let all = bench.everything().into_iter();
    all.map(|name| name.replace(&top, "")).collect()
}

/// Where the lists do not fit a message, nothing goes that would stay if they did; and where the parts come to the whole, all goes
/// that would.
#[test]
fn s7_3_random_nodes_in_parts_lose_no_more_than_in_one_message() {
    let mut rules = Rules::default();
    let (mut whole, mut short) = (0, 0);
    for seed in nodes(50) {
        let dice = || Dice(seed + 3000);
        let mut own = Dice(seed);
        let percent = 15 + usize::try_from(own.roll(80)).unwrap();
        let keys = [
            ("maximum-dead-containers", own.of(&["-1", "3", "8"])),
            (
                "maximum-dead-containers-per-container",
                own.of(&["-1", "0", "1", "2"]),
            ),
        ];
        let flags = Flags {
            all_unused: own.one_in(3),
            ..Flags::default()
        };
        let size = large::size(made(&mut dice()));
        let fits = node(&mut dice());
        let expected = fits.collect(&keys, flags);
        let bench = {
            let mut dice = dice();
            let mut maker = made(&mut dice);
            maker.options.message_limit = size * percent / 100;
            start(&mut dice, maker)
        };
        let before = bench.server.state();
        let end = bench.collect(&keys, flags);
        let report = end.report.unwrap();
        spared(seed, &before, &bench, &report);
        let (there, fitting) = (left(&bench), left(&fits));
        let more: Vec<_> = fitting.difference(&there).collect();
        assert!(
            more.is_empty(),
            "node {seed} at {percent}% {keys:?} {flags:?} loses more: {more:#?}\n{:?}",
            end.error
        );
        if end.error == expected.error {
            assert_eq!(there, fitting, "node {seed} at {percent}%");
            whole += 1;
        } else {
            short += 1;
        }
        rules.node("S7.3");
    }
    println!("S7.3: {whole} random nodes came whole in parts, {short} did not");
    assert!(whole > 5 && short > 5, "{whole} {short}");
}
