//! Random nodes for whole passes: pods of several namespaces in every state, with everything that may be odd about them.

use crate::bench::{Bench, Maker, id, sandbox_id, there, write};
use crate::dice::Dice;
use crigc::node::PodState;
use crigc::report::{Outcome, Report};
use crisim::node::{Container, Node, State, Word};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub const PODS: u64 = 7;

const CONTAINER_STATES: [Word; 6] = [
    Word::Exited,
    Word::Exited,
    Word::Exited,
    Word::Created,
    Word::Running,
    Word::Unknown,
];

const NAMESPACES: [&str; 3] = ["ns", "shop", "batch"];

/// The namespace of a pod `u0`, `u1` and so on.
fn namespace(uid: &str) -> &'static str {
    let number: usize = uid[1..].parse().unwrap();
    NAMESPACES[number % NAMESPACES.len()]
}

/// Where the log and the link of a container are.
fn log_and_link(maker: &Maker, uid: &str, name: &str, attempt: u32) -> (PathBuf, PathBuf) {
    let namespace = namespace(uid);
    let log = format!("pods/{namespace}_pod-{uid}_{uid}/{name}/{attempt}.log");
    let id = id(uid, name, attempt);
    let link = format!("links/pod-{uid}_{namespace}_{name}-{id}.log");
    (maker.path(&log), maker.path(&link))
}

fn sandbox(maker: &mut Maker, uid: &str, attempt: u32, state: Word) {
    let sandbox = maker.sandbox(uid, attempt, state);
    sandbox.namespace = namespace(uid).into();
    let label = "io.kubernetes.pod.namespace".to_owned();
    sandbox.labels.insert(label, namespace(uid).into());
}

/// A container with its log, a rotated one, and its link.
fn container(maker: &mut Maker, uid: &str, name: &str, attempt: u32, state: Word) {
    let (log, link) = log_and_link(maker, uid, name, attempt);
    write(&log);
    write(&log.with_extension("log.20261123-000000"));
    symlink(&log, link).unwrap();
    let container = maker.bare(uid, name, attempt, state);
    container.log_path = log.to_str().unwrap().into();
    let label = "io.kubernetes.pod.namespace".to_owned();
    container.labels.insert(label, namespace(uid).into());
}

/// Something odd about a container or its files.
fn disturb(dice: &mut Dice, maker: &mut Maker, uid: &str, name: &str, attempt: u32) {
    let (log, link) = log_and_link(maker, uid, name, attempt);
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

const HOUR: i64 = 3_600_000_000_000;

/// A time that does not fit the attempt: unknown, before that of earlier attempts, or in the future (a clock was set back).
fn odd_time(dice: &mut Dice, created: i64) -> i64 {
    match dice.roll(12) {
        0 => 0,
        1 | 2 => created - HOUR,
        3 => i64::MAX - HOUR,
        _ => created,
    }
}

/// Grace periods of all sorts, for some both annotations.
fn odd_grace(dice: &mut Dice, maker: &mut Maker) {
    const SORTS: [&str; 8] = [
        "30",
        "0",
        "1",
        "-5",
        "9223372036854775807",
        "18446744073709551615",
        "1e3",
        "",
    ];
    let container = maker.node.containers.last_mut().unwrap();
    for key in ["deletionGracePeriod", "terminationGracePeriod"] {
        if dice.one_in(2) {
            let key = format!("io.kubernetes.pod.{key}");
            container.annotations.insert(key, dice.of(&SORTS).into());
        }
    }
}

/// Its name in CRI metadata is not that of its label.
fn rename(dice: &mut Dice, maker: &mut Maker) {
    let container = maker.node.containers.last_mut().unwrap();
    container.name = dice.of(&["a", "b", "c"]).into();
}

fn pod(dice: &mut Dice, maker: &mut Maker, uid: &str) {
    let sandboxes = u32::try_from(dice.roll(4)).unwrap();
    for attempt in 0..sandboxes {
        let state = dice.of(&[Word::NotReady, Word::NotReady, Word::Ready]);
        sandbox(maker, uid, attempt, state);
        let last = maker.node.sandboxes.last_mut().unwrap();
        last.created_at = odd_time(dice, last.created_at);
    }
    for name in ["a", "b"] {
        // From this attempt on all are stuck in CREATED.
        let stuck = u32::try_from(dice.roll(12)).unwrap();
        for attempt in 0..u32::try_from(dice.roll(5)).unwrap() {
            let state = if attempt >= stuck {
                Word::Created
            } else {
                dice.of(&CONTAINER_STATES)
            };
            container(maker, uid, name, attempt, state);
            let sandbox = u32::try_from(dice.roll(4)).unwrap();
            let last = maker.node.containers.last_mut().unwrap();
            last.sandbox_id = sandbox_id(uid, sandbox).into();
            last.created_at = odd_time(dice, last.created_at);
            odd_grace(dice, maker);
            if dice.one_in(12) {
                rename(dice, maker);
            }
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

pub fn made(dice: &mut Dice) -> Maker {
    let mut maker = Maker::new();
    for n in 0..PODS {
        pod(dice, &mut maker, &format!("u{n}"));
    }
    leftovers(dice, &maker);
    let dirs = canaries(&maker);
    links_between(dice, &maker, &dirs);
    maker
}

fn runs(c: &Container) -> bool {
    c.state == State::Word(Word::Running)
}

/// Beside the log of each running container, a rotated one that has to be kept. Their paths are in
/// a file; the result are their directories.
fn canaries(maker: &Maker) -> Vec<PathBuf> {
    let running = maker.node.containers.iter().filter(|c| runs(c));
    let logs: BTreeSet<PathBuf> = running
        .filter(|c| can_be_placed(c, &maker.node))
        .map(|c| PathBuf::from(c.log_path.to_string()))
        .filter(|log| log.starts_with(maker.path("pods")) && log.parent().unwrap().is_dir())
        .map(|log| log.with_extension("log.canary"))
        .collect();
    let lines: Vec<&str> = logs.iter().map(|log| log.to_str().unwrap()).collect();
    fs::write(maker.path("outside/canaries"), lines.join("\n")).unwrap();
    logs.iter().for_each(|log| write(log));
    let dirs: BTreeSet<PathBuf> = logs
        .iter()
        .map(|log| log.parent().unwrap().into())
        .collect();
    dirs.into_iter().collect()
}

/// Log directories of pods in which no container runs become links to those of pods in which one does: of a container, or of the whole
/// pod.
fn links_between(dice: &mut Dice, maker: &Maker, dirs: &[PathBuf]) {
    let running = maker.node.containers.iter().filter(|c| runs(c));
    let running: BTreeSet<String> = running.map(|c| c.log_path.to_string()).collect();
    for uid in (0..PODS).map(|n| format!("u{n}")) {
        let pod = maker.path(&format!("pods/{}_pod-{uid}_{uid}", namespace(&uid)));
        let own = |path: &String| path.starts_with(pod.to_str().unwrap());
        if dirs.is_empty() || running.iter().any(own) || dice.one_in(4) {
            continue;
        }
        let target = &dirs[usize::try_from(dice.roll(dirs.len() as u64)).unwrap()];
        let below = target.strip_prefix(maker.path("pods")).unwrap();
        let (link, target) = if dice.one_in(2) {
            (pod.clone(), below.parent().unwrap().to_owned())
        } else {
            (
                pod.join(target.file_name().unwrap()),
                Path::new("..").join(below),
            )
        };
        if link.is_dir() {
            fs::remove_dir_all(&link).unwrap();
        }
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, &link).unwrap();
    }
}

pub fn node(dice: &mut Dice) -> Bench {
    let maker = made(dice);
    start(dice, maker)
}

pub fn start(dice: &mut Dice, maker: Maker) -> Bench {
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
pub fn living(node: &Node) -> BTreeSet<String> {
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

/// Whether the lists show whose container it is: by its label, or by its sandbox. Without either it
/// is unknown which logs are its own, the kubelet as little as crigc.
pub fn can_be_placed(c: &Container, node: &Node) -> bool {
    c.labels.contains_key("io.kubernetes.pod.uid")
        || node.sandboxes.iter().any(|s| s.id == c.sandbox_id)
}

/// Everything that lives is there, and nothing of it was removed because its pod is gone.
pub fn spared(seed: u64, before: &Node, bench: &Bench, report: &Report) {
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
    for canary in fs::read_to_string(bench.path("outside/canaries"))
        .unwrap()
        .lines()
    {
        assert!(
            there(canary.as_ref()),
            "node {seed}: {canary} of a running container was deleted"
        );
    }
}
