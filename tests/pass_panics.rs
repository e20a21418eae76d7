//! A panic at each place where a pass touches the world, one after another until a pass runs through unharmed: the pass fails with
//! `Internal`, what had to stay is there, what went is told, and the same engine finishes the job.

#[path = "common/bench.rs"]
mod bench;
#[path = "common/fault_node.rs"]
mod fault_node;
#[path = "common/images.rs"]
mod images;

use bench::{Bench, Maker};
use crigc::effect::panics;
use crigc::engine::{Engine, Flags, PassEnd};
use crigc::error::{Error, Status};
use crigc::hooks::{Hook, Hooks, LogLevel};
use crigc::report::{Entry, Kind, Outcome, Pass, Report};
use fault_node::{LOGS, everything, mixed};
use images::{Host, STAYS, full, there};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::Duration;

type Counts = BTreeMap<&'static str, usize>;

/// Hooks for all that a host can hear, beside those that there are.
fn listening(hooks: Hooks) -> Hooks {
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
fn with_panic(nth: u64, counts: &mut Counts, pass: impl FnOnce() -> PassEnd) -> Option<Vec<Entry>> {
    panics::at(nth);
    let end = catch_unwind(AssertUnwindSafe(pass));
    let passed = panics::passed();
    panics::at(0);
    if (passed.len() as u64) < nth {
        assert_eq!(end.expect("no panic").error, None);
        return None;
    }
    let place = passed[nth as usize - 1];
    *counts.entry(place).or_default() += 1;
    let Ok(end) = end else {
        // Before the pass has begun; the interface makes the same error of it.
        assert_eq!((nth, place), (1, "call back"), "the host's clock");
        return Some(Vec::new());
    };
    let error = end.error.expect("an error");
    assert_eq!(error.status, Status::Internal, "{nth}: {}", error.message);
    let story = format!("a panic on purpose before: {place}");
    assert!(error.message.contains(&story), "{}", error.message);
    Some(end.report.expect("a report").entries)
}

fn print(kind: &str, counts: &Counts) {
    let all: usize = counts.values().sum();
    println!("{kind}: {all} panics: {counts:?}");
    assert!(all > 50, "{kind}: {counts:?}");
}

/// All of these were tried.
fn were_hit(counts: &Counts, places: &[&str]) {
    for place in places {
        assert!(counts.contains_key(place), "{place}: {counts:?}");
    }
}

fn told(entries: &[Entry], id: &str) -> bool {
    let mut of = entries.iter();
    of.any(|e| e.id.ends_with(id) && matches!(e.outcome, Outcome::Removed | Outcome::Failed))
}

/// What has to be so on the node of containers after a panic: one object was in flight, and no more.
fn one_in_flight(bench: &Bench, before: &BTreeSet<String>, entries: &[Entry], what: &str) {
    let after = everything(bench);
    let objects = before.difference(&after).filter(|n| !n.starts_with('/'));
    let untold: Vec<&String> = objects.filter(|gone| !told(entries, gone)).collect();
    assert!(untold.len() <= 1, "{what}: {untold:?} went, nobody says so");
    let bare: Vec<String> = LOGS
        .iter()
        .map(|(uid, name, attempt)| {
            let log = format!("/pods/ns_pod-{uid}_{uid}/{name}/{attempt}.log");
            (bench::id(uid, name, *attempt), log)
        })
        .filter(|(id, log)| after.contains(id) && !after.contains(log))
        .map(|(id, _)| id)
        .collect();
    assert!(bare.len() <= 1, "{what}: {bare:?} are there without logs");
    for removed in entries.iter().filter(|e| e.outcome == Outcome::Removed) {
        let there = after.iter().any(|name| removed.id.ends_with(name.as_str()));
        assert!(!there, "{what}: {removed:?} is said to be gone");
    }
}

fn container_engine(bench: &Bench) -> Engine {
    let hold = bench.path("hold");
    let mut hooks = listening(bench.hooks());
    hooks.clock = Some(Hook::new(Box::new(|| 1_800_000_000_000_000_000_i64) as _));
    bench.engine(&[("hold-file", hold.to_str().unwrap())], hooks)
}

#[test]
fn no_panic_makes_a_container_pass_lose_anything() {
    let mut counts = Counts::new();
    for streams in [false, true] {
        let reference = mixed(streams);
        container_engine(&reference).containers(Flags::default(), None);
        let stays = everything(&reference);
        for nth in 1.. {
            let what = format!("panic {nth}, streams {streams}");
            let bench = mixed(streams);
            let before = everything(&bench);
            let engine = container_engine(&bench);
            let pass = || engine.containers(Flags::default(), None);
            let Some(entries) = with_panic(nth, &mut counts, pass) else {
                assert_eq!(everything(&bench), stays, "{what}");
                break;
            };
            let after = everything(&bench);
            let lost: Vec<&String> = stays.difference(&after).collect();
            assert!(lost.is_empty(), "{what}: {lost:?} had to stay");
            one_in_flight(&bench, &before, &entries, &what);
            let end = engine.containers(Flags::default(), None);
            assert_eq!(end.error, None, "{what}");
            assert_eq!(everything(&bench), stays, "{what}");
        }
    }
    print("containers", &counts);
    were_hit(
        &counts,
        &[
            "call back",
            "call the runtime",
            "connect",
            "delete a log or link",
            "delete in a tree",
            "go up in a tree",
            "look at an entry",
            "look for the hold file",
            "open a directory",
            "open a log directory",
            "read a directory",
            "read a directory of a tree",
            "read a link",
            "shake hands",
            "take the runtime's answer",
            "try openat2",
        ],
    );
}

/// What is at the place of the records, and beside it.
type Prepare = fn(&Path);

#[test]
fn no_panic_makes_an_image_pass_lose_anything() {
    let nothing: Prepare = |_| {};
    let broken: Prepare = |file| fs::write(file, "no records").unwrap();
    // Then they cannot be replaced.
    let in_the_way: Prepare = |file| fs::create_dir(file.with_extension("json.new")).unwrap();
    let stays = BTreeSet::from(STAYS.map(str::to_owned));
    let mut counts = Counts::new();
    for prepare in [nothing, broken, in_the_way] {
        for nth in 1.. {
            let what = format!("panic {nth}");
            let server = full();
            let before = there(&server);
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("records.json");
            prepare(&file);
            let keys = [
                ("pod-infra-container-image", "r/infra:1"),
                ("image-records-file", file.to_str().unwrap()),
            ];
            // All that can go has to.
            let host = Host::new(1000, 0);
            let engine = images::engine(&server, listening(host.hooks(true)), &keys);
            let pass = || engine.images(Flags::default(), None);
            let Some(entries) = with_panic(nth, &mut counts, pass) else {
                assert_eq!(there(&server), stays, "{what}");
                break;
            };
            let after = there(&server);
            let lost: Vec<&String> = stays.difference(&after).collect();
            assert!(lost.is_empty(), "{what}: {lost:?} had to stay");
            let gone = before.difference(&after);
            let untold: Vec<&String> = gone.filter(|id| !told(&entries, id)).collect();
            assert!(untold.len() <= 1, "{what}: {untold:?} went, nobody says so");
            // It still knows the images and holds their records.
            let end = engine.images(Flags::default(), None);
            // What went before the panic cannot be freed twice.
            let status = images::status(&end);
            assert!(
                matches!(status, None | Some(Status::NotEnoughFreed)),
                "{what}: {:?}",
                end.error
            );
            assert_eq!(there(&server), stays, "{what}");
            let second = images::settings(&server, &keys);
            let refused = Engine::new(second.config(), Hooks::default());
            assert_eq!(
                refused.err().map(|e| e.status),
                Some(Status::Busy),
                "{what}"
            );
        }
    }
    print("images", &counts);
    were_hit(
        &counts,
        &[
            "call back",
            "call the runtime",
            "delete the records",
            "make the new records",
            "open the records",
            "put the records aside",
            "rename the records",
            "sync the directory of the records",
            "sync the records",
            "take the runtime's answer",
            "write the records",
        ],
    );
}

/// Far above what anything here takes.
const WATCHDOG: Duration = Duration::from_secs(60);

/// S0.8: what could not be removed is left alone also after a pass that ended without any report, because the host's log broke
/// where its defect was written down.
#[test]
fn s0_8_no_panic_makes_an_engine_forget_what_could_not_be_removed() {
    let mut maker = Maker::new();
    maker.restarted("u1", 3);
    let fails = bench::id("u1", "app", 0);
    maker.fault("RemoveContainer", &fails, bench::code(bench::INTERNAL));
    let bench = maker.start();
    let broken = Arc::new(AtomicBool::new(true));
    let (sender, reports) = mpsc::channel();
    let mut hooks = bench.hooks();
    let log = {
        let broken = broken.clone();
        move |level: LogLevel, _: &str| {
            assert!(level > LogLevel::Warn || !broken.load(Relaxed), "the log");
        }
    };
    hooks.log = Some((LogLevel::Warn, Hook::new(Box::new(log) as _)));
    let ended = move |kind: Pass, report: Option<&Report>, _: Option<&Error>| {
        if kind == Pass::Containers {
            // Nobody may listen any more.
            let _ = sender.send(report.unwrap().clone());
        }
    };
    hooks.pass = Some(Hook::new(Box::new(ended) as _));
    let engine = bench.engine(&[("container-gc-period", "50ms")], hooks);
    let pass = AssertUnwindSafe(|| engine.containers(Flags::default(), None));
    assert!(catch_unwind(pass).is_err(), "the log did not break");
    assert!(reports.try_recv().is_err());
    broken.store(false, Relaxed);
    engine.start().unwrap();
    let periodic = reports.recv_timeout(WATCHDOG).unwrap();
    let (outcome, reason, _) = bench::fate(&periodic, &fails);
    assert_eq!((outcome, reason), (Outcome::Kept, "backoff"));
    assert_eq!(bench.calls("RemoveContainer").len(), 2);
}
