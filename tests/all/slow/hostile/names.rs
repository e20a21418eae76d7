//! Names as an attacker would choose them, in all places where a pass takes them from a runtime or a directory: nothing outside of the log
//! directories is deleted, whatever the names (S2.4, S4.1, S4.2).

use crigc::engine::PassOptions;
use crisim::node::{Container, Sandbox, State, Text, Word};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use test_support::bench;
use test_support::bench::{Bench, Maker};
use test_support::rules::Rules;

/// The name of the folder outside, and that of the file in it.
const OUTSIDE: &str = "outside";

/// Names, by what is wrong with them.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<Vec<u8>> = [
        "",
        ".",
        "..",
        "/",
        "//",
        "../outside",
        "../outside/canary",
        "../../outside",
        "..\n",
        "*",
        "?",
        "[a-z]*",
        "{a,b}",
        "a\nb",
        "a\u{1b}[2J",
        "a/b",
        "a/../../outside/canary",
        "-rf",
        "~",
        "$(id)",
        "canary",
        "0.log",
        "app",
        "ns_pod_u",
        "u\0v",
        "%s%n",
        "a\\b",
        "\u{202e}gol",
        " ",
        "a b",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .chain([
        vec![b'x'; 255],
        vec![b'x'; 256],
        vec![b'x'; 5000],
        vec![0xff, 0xfe, b'a'],
        vec![b'a', 0xc3],
    ])
    .collect();
    prop_oneof![
        4 => prop::sample::select(fixed),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => "[a-z0-9-]{1,12}".prop_map(String::into_bytes),
    ]
}

/// Paths of logs: absolute ones that lead out and in, by themselves or through hostile names.
#[derive(Clone, Debug)]
enum LogPath {
    Raw(Vec<u8>),
    /// Below the log directory.
    Below(Vec<u8>),
    /// The canary's, straight.
    Canary,
    /// The canary's, through the log directory.
    Around,
    /// Through the link in the log directory that leads out.
    ThroughLink,
}

fn log_paths() -> impl Strategy<Value = LogPath> {
    prop_oneof![
        names().prop_map(LogPath::Raw),
        names().prop_map(LogPath::Below),
        Just(LogPath::Canary),
        Just(LogPath::Around),
        Just(LogPath::ThroughLink),
    ]
}

#[derive(Clone, Debug)]
struct Hostile {
    id: Vec<u8>,
    name: Vec<u8>,
    labels: [Vec<u8>; 4],
    log: LogPath,
}

fn hostiles() -> impl Strategy<Value = Vec<Hostile>> {
    let one = (
        names(),
        names(),
        [names(), names(), names(), names()],
        log_paths(),
    );
    let one = one.prop_map(|(id, name, labels, log)| Hostile {
        id,
        name,
        labels,
        log,
    });
    prop::collection::vec(one, 1..6)
}

fn path_of(top: &Path, log: &LogPath) -> Vec<u8> {
    let join = |relative: &str| top.join(relative).into_os_string().into_encoded_bytes();
    match log {
        LogPath::Raw(bytes) => bytes.clone(),
        LogPath::Below(bytes) => [join("pods/").as_slice(), bytes].concat(),
        LogPath::Canary => join("outside/canary"),
        LogPath::Around => join("pods/../outside/canary"),
        LogPath::ThroughLink => join("pods/out/canary"),
    }
}

/// A node of such containers, beside entries of such names in both log directories.
fn start(hostiles: &[Hostile], entries: &[Vec<u8>]) -> Bench {
    let mut maker = Maker::new();
    let top = maker.top.path().to_owned();
    fs::write(top.join("outside/0.log"), "keep").unwrap();
    symlink(top.join(OUTSIDE), top.join("pods/out")).unwrap();
    for (number, hostile) in hostiles.iter().enumerate() {
        let keys = ["pod.name", "pod.namespace", "pod.uid", "container.name"];
        let labels = keys.iter().zip(&hostile.labels);
        maker.node.containers.push(Container {
            id: Text(hostile.id.clone()),
            sandbox_id: Text(hostile.name.clone()),
            name: Text(hostile.name.clone()),
            attempt: number as u32,
            state: State::Word([Word::Exited, Word::Created, Word::Unknown][number % 3]),
            created_at: 1 + number as i64,
            labels: labels
                .map(|(key, value)| (format!("io.kubernetes.{key}"), Text(value.clone())))
                .collect(),
            log_path: Text(path_of(&top, &hostile.log)),
            ..Container::default()
        });
        maker.node.sandboxes.push(Sandbox {
            id: Text(hostile.name.clone()),
            uid: Text(hostile.labels[2].clone()),
            name: Text(hostile.labels[0].clone()),
            namespace: Text(hostile.labels[1].clone()),
            state: State::Word(Word::NotReady),
            ..Sandbox::default()
        });
    }
    for (number, name) in entries.iter().enumerate() {
        let name = OsStr::from_bytes(name);
        let (tree, link) = (top.join("pods").join(name), top.join("links").join(name));
        // Names that cannot be created in those directories cannot be found there.
        let inside = |path: &PathBuf| {
            !name.as_bytes().contains(&b'/') && !path.ends_with("..") && !path.ends_with(".")
        };
        if inside(&tree) && !name.is_empty() {
            let _ = match number % 2 {
                0 => fs::create_dir(&tree)
                    .and_then(|()| symlink(top.join(OUTSIDE), tree.join("app"))),
                _ => symlink(top.join(OUTSIDE), &tree),
            };
            let target = top.join("outside/canary");
            let dangling = PathBuf::from("/nowhere/0.log");
            let _ = symlink(
                if number % 2 == 0 { target } else { dangling },
                link.with_extension("log"),
            );
        }
    }
    maker.start()
}

/// What is outside of both log directories, with its content.
fn outside(bench: &Bench) -> BTreeSet<(PathBuf, String)> {
    let mut all = BTreeSet::new();
    let mut ahead = vec![bench.path(OUTSIDE)];
    while let Some(dir) = ahead.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                ahead.push(path.clone());
            }
            let content = fs::read_to_string(&path).unwrap_or_default();
            all.insert((path, content));
        }
    }
    for name in ["pods", "links", OUTSIDE] {
        assert!(bench.path(name).is_dir(), "{name} itself");
    }
    all
}

#[test]
fn s2_4_hostile_names_lead_nowhere() {
    let rules = RefCell::new(Rules::default());
    let entries = prop::collection::vec(names(), 0..6);
    let config = ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(hostiles in hostiles(), entries in entries)| {
        rules.borrow_mut().node("S2.4");
        let bench = start(&hostiles, &entries);
        let before = outside(&bench);
        let mut hooks = bench.hooks();
        // The host reports that every pod is gone.
        hooks.pod_states = Some(crigc::hooks::Hook::new(Box::new(|uids: &[crigc::node::Text]| {
            let gone = crigc::node::PodState { content_removable: true, runtime_removable: true };
            crigc::node::PodStates {
                ready: true,
                states: uids.iter().map(|uid| (uid.clone(), gone)).collect(),
                as_of: 0,
            }
        })));
        let engine = bench.engine(&[("maximum-dead-containers-per-container", "0")], hooks);
        for flags in [bench::DRY_RUN, PassOptions::default(), PassOptions::default()] {
            let end = engine.containers(flags, None);
            prop_assert_eq!(outside(&bench), before.clone());
            // Text for a log of root has no control characters.
            let report = end.report.unwrap();
            let told = report.json() + end.error.as_ref().map_or("", |e| e.message.as_str());
            prop_assert!(!told.chars().any(char::is_control), "{}", told);
        }
    });
}
