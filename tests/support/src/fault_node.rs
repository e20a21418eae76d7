//! A node with objects of every kind to remove and to keep, and what has to be true after a pass on
//! it in which calls went wrong.

use crate::bench::{Bench, Maker, id, write};
use crigc::report::{Entry, Kind, Outcome};
use crisim::node::Word;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

/// The containers that have a log and a link: UID, name, attempt.
pub const LOGS: [(&str, &str, u32); 9] = [
    ("u1", "app", 0),
    ("u1", "app", 1),
    ("u1", "app", 2),
    ("runs", "app", 0),
    ("runs", "app", 1),
    ("runs", "app", 2),
    ("gone", "dead", 0),
    ("gone", "made", 0),
    ("gone", "lost", 0),
];

/// A node with objects of every kind to remove and to keep.
pub fn mixed(streams: bool) -> Bench {
    let mut maker = Maker::new();
    maker.options.streams = streams;
    maker.options.stream_items = 2;
    // Older than those that are READY, and of no higher attempt.
    maker.sandbox("u1", 1, Word::NotReady).attempt = 0;
    maker.restarted("u1", 3);
    maker.sandbox("runs", 1, Word::NotReady).attempt = 0;
    maker.sandbox("runs", 0, Word::Ready);
    for (uid, name, attempt) in LOGS.iter().skip(3) {
        let state = match (*name, *attempt) {
            ("app", 2) => Word::Running,
            ("made", _) => Word::Created,
            ("lost", _) => Word::Unknown,
            _ => Word::Exited,
        };
        maker.container(uid, name, *attempt, state);
    }
    maker.sandbox("gone", 0, Word::NotReady);
    write(&maker.path("pods/ns_pod-left_left/app/0.log"));
    // Without a container; and of one that runs, whose log is just being rotated.
    symlink("/nowhere", maker.path("links/p_n_c-0123456789.log")).unwrap();
    let rotating = format!("links/p_n_c-{}.log", id("runs", "app", 2));
    symlink("/nowhere", maker.path(&rotating)).unwrap();
    let bench = maker.start();
    bench.host.remove_pod("gone");
    bench.host.remove_pod("left");
    bench
}

/// All there is, with the same names on each node.
pub fn everything(bench: &Bench) -> BTreeSet<String> {
    let top = bench.top.path().to_str().unwrap().to_owned();
    let all = bench.everything().into_iter();
    all.map(|name| name.replace(&top, "")).collect()
}

fn entry<'a>(report: &'a [Entry], kind: Kind, id: &str) -> Option<&'a Entry> {
    let mut of = report.iter();
    of.find(|e| e.kind == kind && e.id.ends_with(id))
}

/// Whether the report says that it was removed, or that it may have been.
fn may_be_gone(entry: Option<&Entry>) -> bool {
    entry.is_some_and(|e| matches!(e.outcome, Outcome::Removed | Outcome::Failed))
}

/// The report names what was removed, and a container that is kept has its log, unless its own removal failed.
pub fn is_told(bench: &Bench, before: &BTreeSet<String>, report: &[Entry], what: &str) {
    let after = everything(bench);
    for gone in before
        .difference(&after)
        .filter(|name| !name.starts_with('/'))
    {
        let kind = if gone.starts_with('c') {
            Kind::Container
        } else {
            Kind::Sandbox
        };
        assert!(
            may_be_gone(entry(report, kind, gone)),
            "{what}: {gone} was removed without an entry"
        );
    }
    for (uid, name, attempt) in LOGS {
        let id = id(uid, name, attempt);
        let log = format!("/pods/ns_pod-{uid}_{uid}/{name}/{attempt}.log");
        if after.contains(&log) || !after.contains(&id) {
            continue;
        }
        let entry = entry(report, Kind::Container, &id);
        let own = entry.is_some_and(|e| {
            let deleting = e.error.as_deref().is_some_and(|why| {
                // Its link comes behind its log.
                why.starts_with("cannot delete") || why.contains("/links/")
            });
            e.outcome == Outcome::Failed
                && (deleting
                    || e.error
                        .as_ref()
                        .unwrap()
                        .starts_with("cannot remove container"))
        });
        assert!(
            own,
            "{what}: {log} is gone, and its container is there: {entry:?}"
        );
    }
    for tree in ["/pods/ns_pod-gone_gone", "/pods/ns_pod-left_left"] {
        let told = may_be_gone(entry(report, Kind::PodLogs, tree));
        assert!(after.contains(tree) || told, "{what}: {tree}");
    }
    for removed in report.iter().filter(|e| e.outcome == Outcome::Removed) {
        let there = after.iter().any(|name| removed.id.ends_with(name.as_str()));
        assert!(!there, "{what}: {removed:?} is reported as removed");
    }
}
