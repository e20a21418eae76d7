//! A node on which one pod, `t1`, is collected: beside it are pods of which a pass over the node would remove something.

use crigc::engine::PassOptions;
use crigc::hooks::Hooks;
use crigc::report::Report;
use crisim::node::{Node, Word};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use test_support::bench::{Bench, Maker, write};

/// The pod that is collected.
pub const UID: &str = "t1";

/// Pods whose UIDs are nearly the same, one of the same name; a link that dangles, and logs of a pod that nothing is left of.
pub fn with_others() -> Maker {
    let mut maker = Maker::new();
    for uid in ["t10", "xt1", "t"] {
        maker.restarted(uid, 3);
    }
    let mut again = maker.bare("t10", "again", 0, Word::Exited).clone();
    again.id = "ct10again1x0000".into();
    again
        .labels
        .insert("io.kubernetes.pod.name".to_owned(), "pod-t1".into());
    maker.node.containers.push(again);
    maker.sandbox("t10", 7, Word::NotReady).created_at -= 1_000_000_000_000;
    write(&maker.path("pods/ns_pod-t10_t10/app/9.log"));
    write(&maker.path("pods/ns_pod-nothing_nothing/app/0.log"));
    symlink("/nowhere", maker.path("links/p_n_c-0123456789.log")).unwrap();
    maker
}

/// The pod has ended: an empty sandbox from before, one with two containers that have exited, and their logs.
pub fn ended(maker: &mut Maker) {
    maker.sandbox(UID, 0, Word::NotReady);
    maker.container(UID, "app", 0, Word::Exited);
    maker.container(UID, "side", 0, Word::Exited);
}

/// One pass over the pod; `is_gone`: the call says that it is gone.
pub fn collect(
    bench: &Bench,
    keys: &[(&str, &str)],
    hooks: Hooks,
    is_gone: bool,
    flags: PassOptions,
) -> crigc::engine::PassEnd {
    bench.engine(keys, hooks).pod(UID, is_gone, flags, None)
}

/// `removed container ct1app0x0000 pod-removed`, sorted; paths begin below the folder of the test.
pub fn lines(bench: &Bench, report: &Report) -> Vec<String> {
    let top = format!("{}/", bench.top.path().display());
    let mut lines: Vec<String> = report
        .entries
        .iter()
        .map(|e| {
            let (outcome, kind) = (e.outcome.name(), e.kind.name());
            let words = [outcome, kind].map(|word| word.to_str().unwrap());
            format!("{} {} {}", words.join(" "), e.id, e.reason.word()).replace(&top, "")
        })
        .collect();
    lines.sort();
    lines
}

/// What a path holds.
fn content(path: &Path) -> Vec<u8> {
    match fs::read_link(path) {
        Ok(target) => target.into_os_string().into_encoded_bytes(),
        Err(_) if path.is_dir() => Vec::new(),
        Err(_) => fs::read(path).unwrap(),
    }
}

/// Whether a path is the pod's: its log directories and what is in them, and links of its containers.
fn is_own(path: &Path) -> bool {
    let mut names = path.components().map(|c| c.as_os_str().to_str().unwrap());
    match (names.next(), names.next()) {
        (Some("pods"), Some(entry)) => entry == UID || entry.ends_with("_t1"),
        (Some("links"), Some(link)) => link.contains("-ct1app") || link.contains("-ct1side"),
        _ => false,
    }
}

/// All that is not the pod's: objects of the runtime, and files with what they hold.
pub fn rest(bench: &Bench) -> (Node, BTreeMap<PathBuf, Vec<u8>>) {
    let mut node = bench.server.state();
    let label = |c: &crisim::node::Container| c.labels.get("io.kubernetes.pod.uid").cloned();
    node.containers.retain(|c| label(c) != Some(UID.into()));
    node.sandboxes.retain(|s| s.uid != UID.into());
    let top = bench.top.path();
    let paths = bench.everything().into_iter().map(PathBuf::from);
    let files = paths.filter_map(|path| {
        let relative = path.strip_prefix(top).ok()?.to_owned();
        (!is_own(&relative)).then(|| (relative, content(&path)))
    });
    (node, files.collect())
}

/// Selectors of all lists that the runtime was asked for.
pub fn selectors(bench: &Bench) -> Vec<String> {
    let trace = bench.server.trace().into_iter();
    let lists = trace.filter(|c| c.method.starts_with("List") || c.method.starts_with("Stream"));
    lists.map(|c| c.selector).collect()
}
