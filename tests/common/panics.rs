//! Passes with panics on purpose, and what has to be so after them. Needs `common/bench.rs` and `common/fault_node.rs` beside it.
#![allow(dead_code)] // each test binary uses its own part

use crate::bench::{self, Bench};
use crate::fault_node::{LOGS, everything};
use crigc::effect::panics;
use crigc::engine::{Engine, PassEnd};
use crigc::error::{Error, Status};
use crigc::hooks::{Hook, Hooks, LogLevel};
use crigc::report::{Entry, Kind, Outcome, Pass, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Far above what anything here takes.
pub const WATCHDOG: Duration = Duration::from_secs(60);

pub type Counts = BTreeMap<&'static str, usize>;

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

/// A pass whose `nth` touch panics; `None` = it had fewer, and nothing has happened. The report of a pass that had begun.
pub fn with_panic(
    nth: u64,
    counts: &mut Counts,
    pass: impl FnOnce() -> PassEnd,
) -> Option<Vec<Entry>> {
    panics::at(nth);
    after_panic(nth, counts, pass())
}

/// The same, and then at each place of that name.
pub fn with_panics(
    nth: u64,
    counts: &mut Counts,
    pass: impl FnOnce() -> PassEnd,
) -> Option<Vec<Entry>> {
    panics::from(nth);
    after_panic(nth, counts, pass())
}

/// The same of the places beside the pass.
pub fn with_panic_beside(
    nth: u64,
    counts: &mut Counts,
    pass: impl FnOnce() -> PassEnd,
) -> Option<Vec<Entry>> {
    panics::at_beside(nth);
    after_panic(nth, counts, pass())
}

pub fn after_panic(nth: u64, counts: &mut Counts, end: PassEnd) -> Option<Vec<Entry>> {
    let passed = panics::passed();
    panics::at(0);
    if (passed.len() as u64) < nth {
        assert_eq!(end.error, None);
        return None;
    }
    let place = passed[nth as usize - 1];
    *counts.entry(place).or_default() += 1;
    let error = end.error.expect("an error");
    assert_eq!(error.status, Status::Internal, "{nth}: {}", error.message);
    let story = format!("a panic on purpose before: {place}");
    assert!(error.message.contains(&story), "{}", error.message);
    Some(end.report.expect("a report").entries)
}

pub fn print(kind: &str, counts: &Counts) {
    let all: usize = counts.values().sum();
    println!("{kind}: {all} panics: {counts:?}");
    assert!(all > 50, "{kind}: {counts:?}");
}

/// All of these were tried.
pub fn were_hit(counts: &Counts, places: &[&str]) {
    for place in places {
        assert!(counts.contains_key(place), "{place}: {counts:?}");
    }
}

pub fn told(entries: &[Entry], id: &str) -> bool {
    let mut of = entries.iter();
    of.any(|e| e.id.ends_with(id) && matches!(e.outcome, Outcome::Removed | Outcome::Failed))
}

/// What has to be so on the node of containers after a panic, where so many removals were in flight.
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
    assert!(untold.is_empty(), "{what}: {untold:?} went, nobody says so");
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
        assert!(!there, "{what}: {removed:?} is said to be gone");
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
    assert!(lost.is_empty(), "{what}: {lost:?} had to stay");
    let end = engine.containers(Default::default(), None);
    assert_eq!(end.error, None, "{what}");
    assert_eq!(&everything(bench), stays, "{what}");
}
