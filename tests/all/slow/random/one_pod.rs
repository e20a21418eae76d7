//! Passes over one pod of random nodes, beside passes over the same nodes of a host that says of this pod alone that it is gone (S8).

use crigc::engine::{PassEnd, PassOptions};
use crigc::hooks::Hooks;
use crigc::report::{Kind, Outcome, Report};
use crisim::node::{Container, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use test_support::bench::Bench;
use test_support::dice::{Dice, nodes};
use test_support::large::told;
use test_support::random_node::{PODS, made, spared};
use test_support::rules::Rules;

type Removed = BTreeSet<(Kind, String, &'static str)>;

/// The UID of a container's pod.
fn uid(c: &Container) -> String {
    let label = c.labels.get("io.kubernetes.pod.uid");
    label.map_or(String::new(), ToString::to_string)
}

/// Whether a path below the folder of the node is the pod's: its log directories, and the links of its containers.
fn is_own(path: &Path, pod: &str) -> bool {
    let mut names = path.components().map(|c| c.as_os_str().to_str().unwrap());
    match (names.next(), names.next()) {
        (Some("pods"), Some(entry)) => entry.ends_with(&format!("_{pod}")),
        (Some("links"), Some(link)) => link.starts_with(&format!("pod-{pod}_")),
        _ => false,
    }
}

/// What is at a path.
fn content(path: &Path) -> Vec<u8> {
    match fs::read_link(path) {
        Ok(target) => target.into_os_string().into_encoded_bytes(),
        Err(_) if path.is_dir() => Vec::new(),
        Err(_) => fs::read(path).unwrap(),
    }
}

/// All that is not the pod's.
fn rest(bench: &Bench, pod: &str) -> (Node, BTreeMap<PathBuf, Vec<u8>>) {
    let mut node = bench.server.state();
    node.containers.retain(|c| uid(c) != pod);
    node.sandboxes.retain(|s| s.uid.to_string() != pod);
    let paths = bench.everything().into_iter().map(PathBuf::from);
    let files = paths.filter_map(|path| {
        let relative = path.strip_prefix(bench.top.path()).ok()?.to_owned();
        (!is_own(&relative, pod)).then(|| (relative, content(&path)))
    });
    (node, files.collect())
}

/// What is removed of a pod by the rules that both kinds of pass have.
fn of_pod(report: &Report, all: &Removed, pod: &str) -> Removed {
    let is_own = |kind: Kind, id: &str| {
        let mut entries = report.entries.iter().filter(|e| e.kind == kind);
        kind != Kind::LogLink && entries.any(|e| e.id.ends_with(id) && &*e.pod_uid == pod)
    };
    let own = all.iter().filter(|(kind, id, _)| is_own(*kind, id));
    own.cloned().collect()
}

/// The random node of a seed; the host says of one pod that it is gone.
fn node(seed: u64, pod: &str) -> Bench {
    let bench = made(&mut Dice(seed)).start();
    bench.host.remove_pod(pod);
    bench
}

#[test]
fn s8_one_pod_loses_what_a_pass_over_the_node_would_take_from_it_and_no_other_loses_anything() {
    let mut rules = Rules::default();
    let (mut count, mut went, mut kept) = (0, 0, 0);
    for seed in nodes(150) {
        count += 1;
        let mut dice = Dice(seed + 70_000);
        let pod = &format!("u{}", dice.roll(PODS));
        let keys = [
            (
                "maximum-dead-containers-per-container",
                dice.of(&["-1", "0", "1", "2"]),
            ),
            ("max-parallel-removals", dice.of(&["1", "2", "5"])),
            (
                "minimum-container-ttl-duration",
                dice.of(&["0s", "0s", "1h"]),
            ),
        ];
        let flags = PassOptions {
            all_unused: dice.one_in(3),
            ..PassOptions::default()
        };
        let what = format!("node {seed}, pod {pod}, {keys:?}, {flags:?}");
        let whole = node(seed, pod);
        let expected = whole.collect(&keys, flags).report.unwrap();
        let bench = node(seed, pod);
        let with_callback = dice.one_in(2);
        let pass = |dry_run| -> PassEnd {
            let hooks = if with_callback {
                bench.hooks()
            } else {
                Hooks::default()
            };
            let flags = PassOptions { dry_run, ..flags };
            bench.engine(&keys, hooks).pod(pod, true, flags, None)
        };
        let (before, others) = (bench.server.state(), rest(&bench, pod));
        let everything = bench.everything();
        let dry = pass(true);
        assert_eq!(bench.everything(), everything, "{what}: a dry run");
        let real = pass(false);
        assert_eq!((&dry.error, &real.error), (&None, &None), "{what}");
        let (dry, real) = (dry.report.unwrap(), real.report.unwrap());
        for outcome in Outcome::ALL {
            let (dry, real) = (told(&bench, &dry, outcome), told(&bench, &real, outcome));
            assert_eq!(dry, real, "{what} {outcome:?}");
        }
        assert_eq!(rest(&bench, pod), others, "{what}: another pod");
        let strange = real.entries.iter().find(|e| *e.pod_uid != **pod);
        assert!(strange.is_none(), "{what}: {strange:?}");
        spared(seed, &before, &bench, &real);
        let all = told(&whole, &expected, Outcome::Removed);
        let removed = told(&bench, &real, Outcome::Removed);
        let more: Vec<_> = removed.difference(&all).collect();
        assert!(
            more.is_empty(),
            "{what}: more than the whole pass: {more:#?}"
        );
        let own = of_pod(&expected, &all, pod);
        // A container without labels, which limits of the node remove, keeps its sandbox here.
        let is_used = |kind: Kind, id: &str| {
            let named = |c: &Container| c.sandbox_id.to_string() == id && uid(c) != **pod;
            kind == Kind::Sandbox && before.containers.iter().any(named)
        };
        let less = own.difference(&removed);
        let less: Vec<_> = less.filter(|(kind, id, _)| !is_used(*kind, id)).collect();
        assert!(
            less.is_empty(),
            "{what}: less than the whole pass: {less:#?}"
        );
        went += removed.len();
        kept += usize::from(removed.is_empty());
        if !removed.is_empty() {
            rules.node("S8");
        }
    }
    println!("S8: {count} random nodes, {went} objects removed, nothing of {kept} pods");
    assert!(
        went > count && kept < count,
        "{went} objects of {count} nodes"
    );
}
