//! Passes on the nodes of `fault_node` and `images` in which something panics, and what has to be so after them.

use crate::bench::{self, Bench};
use crate::fault_node::{LOGS, everything};
use crigc::engine::Engine;
use crigc::error::Error;
use crigc::hooks::{Hook, Hooks, LogLevel};
use crigc::report::{Entry, Kind, Outcome, Pass, Report};
use std::collections::BTreeSet;

/// Hooks for all that a host can hear, beside those that there are.
pub fn listening(hooks: Hooks) -> Hooks {
    Hooks {
        approve: Some(Hook::new(Box::new(|_: &Entry| true) as _)),
        log: Some((
            LogLevel::Debug,
            Hook::new(Box::new(|_: LogLevel, _: &str| {}) as _),
        )),
        event: Some(Hook::new(Box::new(|_: &str, _: &str| {}) as _)),
        progress: Some(Hook::new(Box::new(|_: Kind, _: usize, _: usize| {}) as _)),
        pass: Some(Hook::new(
            Box::new(|_: Pass, _: Option<&Report>, _: Option<&Error>| {}) as _,
        )),
        ..hooks
    }
}

pub fn told(entries: &[Entry], id: &str) -> bool {
    let mut of = entries.iter();
    of.any(|e| e.id.ends_with(id) && matches!(e.outcome, Outcome::Removed | Outcome::Failed))
}

/// What has to be true of the node of containers after a panic with this number of removals in flight.
pub fn is_told(
    bench: &Bench,
    before: &BTreeSet<String>,
    entries: &[Entry],
    flying: usize,
    what: &str,
) {
    let after = everything(bench);
    let objects = before.difference(&after).filter(|n| !n.starts_with('/'));
    let untold: Vec<&String> = objects.filter(|gone| !told(entries, gone)).collect();
    assert!(
        untold.is_empty(),
        "{what}: {untold:?} were removed without an entry"
    );
    let bare: Vec<String> = LOGS
        .iter()
        .map(|(uid, name, attempt)| {
            let log = format!("/pods/ns_pod-{uid}_{uid}/{name}/{attempt}.log");
            (bench::id(uid, name, *attempt), log)
        })
        .filter(|(id, log)| after.contains(id) && !after.contains(log))
        .map(|(id, _)| id)
        .collect();
    assert!(
        bare.len() <= flying,
        "{what}: {bare:?} are there without logs"
    );
    for removed in entries.iter().filter(|e| e.outcome == Outcome::Removed) {
        let there = after.iter().any(|name| removed.id.ends_with(name.as_str()));
        assert!(!there, "{what}: {removed:?} is reported as removed");
    }
}

pub fn container_engine(bench: &Bench, at_once: &str) -> Engine {
    let hold = bench.path("hold");
    let mut hooks = listening(bench.hooks());
    hooks.clock = Some(Hook::new(Box::new(|| 1_800_000_000_000_000_000_i64) as _));
    bench.engine(
        &[
            ("hold-file", hold.to_str().unwrap()),
            ("max-parallel-removals", at_once),
        ],
        hooks,
    )
}

/// After a panic in a pass on such a node: nothing is lost, and the same engine finishes the job.
pub fn finishes(bench: &Bench, engine: &Engine, stays: &BTreeSet<String>, what: &str) {
    let after = everything(bench);
    let lost: Vec<&String> = stays.difference(&after).collect();
    assert!(lost.is_empty(), "{what}: {lost:?} had to be kept");
    let end = engine.containers(Default::default(), None);
    assert_eq!(end.error, None, "{what}");
    assert_eq!(&everything(bench), stays, "{what}");
}
