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
use std::sync::mpsc;
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
    after_panic(nth, counts, pass())
}

/// The same, and then at each place of that name.
fn with_panics(
    nth: u64,
    counts: &mut Counts,
    pass: impl FnOnce() -> PassEnd,
) -> Option<Vec<Entry>> {
    panics::from(nth);
    after_panic(nth, counts, pass())
}

/// The same of the places beside the pass.
fn with_panic_beside(
    nth: u64,
    counts: &mut Counts,
    pass: impl FnOnce() -> PassEnd,
) -> Option<Vec<Entry>> {
    panics::at_beside(nth);
    after_panic(nth, counts, pass())
}

fn after_panic(nth: u64, counts: &mut Counts, end: PassEnd) -> Option<Vec<Entry>> {
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

/// What has to be so on the node of containers after a panic, where so many removals were in flight.
fn is_told(bench: &Bench, before: &BTreeSet<String>, entries: &[Entry], flying: usize, what: &str) {
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

fn container_engine(bench: &Bench, at_once: &str) -> Engine {
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

#[test]
fn no_panic_makes_a_container_pass_lose_anything() {
    let mut counts = Counts::new();
    for (streams, at_once) in [(false, "1"), (true, "1"), (false, "4")] {
        let reference = mixed(streams);
        container_engine(&reference, at_once).containers(Flags::default(), None);
        let stays = everything(&reference);
        for nth in 1.. {
            let what = format!("panic {nth}, streams {streams}, {at_once} at once");
            let bench = mixed(streams);
            let before = everything(&bench);
            let engine = container_engine(&bench, at_once);
            let pass = || engine.containers(Flags::default(), None);
            let Some(entries) = with_panic(nth, &mut counts, pass) else {
                assert_eq!(everything(&bench), stays, "{what}");
                break;
            };
            let after = everything(&bench);
            let lost: Vec<&String> = stays.difference(&after).collect();
            assert!(lost.is_empty(), "{what}: {lost:?} had to stay");
            is_told(&bench, &before, &entries, 1, &what);
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
            "see which directory it is",
            "shake hands",
            "take the runtime's answer",
            "try openat2",
        ],
    );
}

/// The task of the connection has a defect: the calls in flight are told that it broke, and the pass that it was a defect.
#[test]
fn no_panic_of_the_connection_makes_a_pass_lose_anything() {
    let mut counts = Counts::new();
    let reference = mixed(false);
    container_engine(&reference, "1").containers(Flags::default(), None);
    let stays = everything(&reference);
    for nth in 1.. {
        let what = format!("panic {nth}");
        let bench = mixed(false);
        let before = everything(&bench);
        let engine = container_engine(&bench, "4");
        let pass = || engine.containers(Flags::default(), None);
        let Some(entries) = with_panic_beside(nth, &mut counts, pass) else {
            assert_eq!(everything(&bench), stays, "{what}");
            break;
        };
        let after = everything(&bench);
        let lost: Vec<&String> = stays.difference(&after).collect();
        assert!(lost.is_empty(), "{what}: {lost:?} had to stay");
        is_told(&bench, &before, &entries, 4, &what);
        let end = engine.containers(Flags::default(), None);
        assert_eq!(end.error, None, "{what}");
        assert_eq!(everything(&bench), stays, "{what}");
    }
    print("connection", &counts);
    were_hit(&counts, &["read from the socket", "write to the socket"]);
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
            assert!(untold.is_empty(), "{what}: {untold:?} went, nobody says so");
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
            "clear the way for the new records",
            "delete the records",
            "make the new records",
            "open the records",
            "put the records aside",
            "read the records",
            "rename the records",
            "sync the directory of the records",
            "sync the records",
            "take the runtime's answer",
            "write the records",
        ],
    );
}

/// What a host's callback is given, by which it panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Panics {
    AtEachLine,
    AtEachStep,
    /// When it is asked about this object.
    At(&'static str),
    AtTheEnd,
}

fn breaking(hooks: Hooks, panics: Panics) -> Hooks {
    let on = |this: Panics| move || assert!(panics != this, "broken");
    let (line, step, end) = (
        on(Panics::AtEachLine),
        on(Panics::AtEachStep),
        on(Panics::AtTheEnd),
    );
    let approve = move |entry: &Entry| {
        assert!(
            !matches!(panics, Panics::At(id) if entry.id.ends_with(id)),
            "broken"
        );
        true
    };
    Hooks {
        approve: Some(Hook::new(Box::new(approve) as _)),
        log: Some((
            LogLevel::Debug,
            Hook::new(Box::new(move |_: LogLevel, _: &str| line()) as _),
        )),
        progress: Some(Hook::new(
            Box::new(move |_: Kind, _: usize, _: usize| step()) as _,
        )),
        pass: Some(Hook::new(
            Box::new(move |_: Pass, _: Option<&Report>, _: Option<&Error>| end()) as _,
        )),
        ..hooks
    }
}

/// A defect that comes each time keeps nothing from its turn but the object that it is about.
#[test]
fn a_defect_that_repeats_holds_up_no_other_object() {
    let reference = mixed(false);
    container_engine(&reference, "1").containers(Flags::default(), None);
    let stays = everything(&reference);
    // And the names that are left then.
    let cases: [(Panics, &[&str]); 7] = [
        (Panics::AtEachLine, &[]),
        (Panics::AtEachStep, &[]),
        (Panics::AtTheEnd, &[]),
        (
            Panics::At("cu1app0x0000"),
            &[
                "/links/pod-u1_ns_app-cu1app0x0000.log",
                "/pods/ns_pod-u1_u1/app/0.log",
                "/pods/ns_pod-u1_u1/app/0.log.20261123-000000",
                "cu1app0x0000",
            ],
        ),
        (Panics::At("su1a1x0000"), &["su1a1x0000"]),
        (
            Panics::At("ns_pod-left_left"),
            &[
                "/pods/ns_pod-left_left",
                "/pods/ns_pod-left_left/app",
                "/pods/ns_pod-left_left/app/0.log",
            ],
        ),
        (
            Panics::At("p_n_c-0123456789.log"),
            &["/links/p_n_c-0123456789.log"],
        ),
    ];
    for (panics, expected) in cases {
        let what = format!("{panics:?}");
        let bench = mixed(false);
        let before = everything(&bench);
        let engine = bench.engine(&[], breaking(bench.hooks(), panics));
        let end = engine.containers(Flags::default(), None);
        let error = end.error.expect("an error");
        assert_eq!(error.status, Status::Internal, "{what}: {}", error.message);
        let after = everything(&bench);
        let left: Vec<&String> = after.difference(&stays).collect();
        assert_eq!(left, expected, "{what}");
        assert_eq!(stays.difference(&after).count(), 0, "{what}");
        is_told(&bench, &before, &end.report.unwrap().entries, 0, &what);
    }
}

#[test]
fn a_defect_that_repeats_holds_up_no_other_image() {
    for (panics, more) in [
        (Panics::AtEachLine, vec![]),
        (Panics::AtEachStep, vec![]),
        (Panics::AtTheEnd, vec![]),
        (Panics::At("a"), vec!["a"]),
    ] {
        let server = full();
        // More than there is to free.
        let host = Host::new(2000, 0);
        let keys = [("pod-infra-container-image", "r/infra:1")];
        let engine = images::engine(&server, breaking(host.hooks(true), panics), &keys);
        let end = engine.images(Flags::default(), None);
        let error = end.error.as_ref().expect("an error");
        assert_eq!(error.status, Status::Internal, "{}", error.message);
        // It comes before all else that went wrong, and hides none of it.
        let not_enough = error.message.contains("Failed to garbage collect");
        assert!(not_enough, "{}", error.message);
        let events = host.events.lock().unwrap().clone();
        assert_eq!(events, ["FreeDiskSpaceFailed"], "{panics:?}");
        let stays: BTreeSet<String> = STAYS
            .iter()
            .chain(&more)
            .map(|id| (*id).to_owned())
            .collect();
        assert_eq!(there(&server), stays, "{panics:?}");
        let told = images::told(&end);
        assert_eq!(told.len(), 7, "{panics:?}: {told:?}");
    }
}

/// Where each call has a defect, no more is lost by it than was in flight: hardly a container stays without its log, and no image goes in
/// the place of another.
#[test]
fn a_defect_of_each_call_costs_no_more_than_was_in_flight() {
    let is_call = |counts: &Counts| counts.keys().any(|place| place.contains("the runtime"));
    let mut calls = 0;
    for nth in 1.. {
        let bench = mixed(false);
        let before = everything(&bench);
        let engine = container_engine(&bench, "1");
        let mut place = Counts::new();
        let pass = || engine.containers(Flags::default(), None);
        let Some(entries) = with_panics(nth, &mut place, pass) else {
            break;
        };
        // After a call without an answer the runtime is asked before logs go; unless a stop that was in flight is answered then.
        // Where logs are deleted each time with a defect, each container loses its own before that.
        let flying = if is_call(&place) { 2 } else { LOGS.len() };
        calls += usize::from(is_call(&place));
        is_told(&bench, &before, &entries, flying, &format!("from {nth}"));
    }
    assert!(calls > 20, "{calls}");
    for nth in 1.. {
        let server = full();
        // One image is enough.
        let host = Host::new(1000, 140);
        let engine = images::engine(&server, listening(host.hooks(true)), &[]);
        let pass = || engine.images(Flags::default(), None);
        let unharmed = with_panics(nth, &mut Counts::new(), pass).is_none();
        let gone = 7 - there(&server).len();
        assert!(gone <= 1, "from {nth}: {gone} images went");
        if unharmed {
            assert_eq!(gone, 1);
            break;
        }
    }
}

/// Far above what anything here takes.
const WATCHDOG: Duration = Duration::from_secs(60);

/// S0.8: an object by which a pass met a defect is one that could not be removed, and periodic passes leave it alone for a while.
#[test]
fn s0_8_a_defect_that_repeats_backs_off() {
    let mut maker = Maker::new();
    maker.restarted("u1", 3);
    let fails = bench::id("u1", "app", 0);
    let bench = maker.start();
    let (sender, reports) = mpsc::channel();
    let mut hooks = breaking(bench.hooks(), Panics::At("cu1app0x0000"));
    let ended = move |kind: Pass, report: Option<&Report>, _: Option<&Error>| {
        if kind == Pass::Containers {
            // Nobody may listen any more.
            let _ = sender.send(report.unwrap().clone());
        }
    };
    hooks.pass = Some(Hook::new(Box::new(ended) as _));
    let engine = bench.engine(&[("container-gc-period", "50ms")], hooks);
    engine.start().unwrap();
    let fate = || {
        let report = reports.recv_timeout(WATCHDOG).unwrap();
        let (outcome, reason, _) = bench::fate(&report, &fails);
        (outcome, reason)
    };
    assert_eq!(fate().0, Outcome::Failed);
    assert_eq!(fate(), (Outcome::Kept, "backoff"));
}

/// S5.1: what an engine knows of images is there after a panic at any place: one that it saw come is still too young to go.
#[test]
fn s5_1_no_panic_makes_an_engine_forget_when_it_saw_an_image_come() {
    for nth in 1.. {
        let server = full();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("records.json");
        let host = Host::new(1000, 900);
        let keys = [("image-records-file", file.to_str().unwrap())];
        let engine = images::engine(&server, listening(host.hooks(true)), &keys);
        let pass = || engine.images(Flags::default(), None);
        assert_eq!(pass().error, None);
        server.edit(|node| node.images.push(images::image("young", "r/young:1", 100)));
        assert_eq!(pass().error, None);
        let unharmed = with_panic(nth, &mut Counts::new(), pass).is_none();
        *host.usage.lock().unwrap() = Some((1000, 0));
        let told = images::told(&pass());
        assert!(
            told.contains(&"young kept too-young".to_owned()),
            "{nth}: {told:?}"
        );
        assert!(!there(&server).contains("a"), "{nth}");
        let kept = fs::read_to_string(&file).unwrap();
        assert!(
            kept.contains("young") && !kept.contains("r/a:1"),
            "{nth}: {kept}"
        );
        if unharmed {
            assert!(nth > 20, "{nth}");
            break;
        }
    }
}

/// A defect while the periodic passes are started leaves no thread behind, and they can be started again.
#[test]
fn no_panic_leaves_half_of_the_periodic_passes() {
    for nth in 1..=2 {
        let bench = Maker::new().start();
        let (sender, reports) = mpsc::channel();
        let mut hooks = bench.hooks();
        let ended = move |kind: Pass, _: Option<&Report>, _: Option<&Error>| {
            // Nobody may listen any more.
            let _ = sender.send(kind);
        };
        hooks.pass = Some(Hook::new(Box::new(ended) as _));
        let keys = [("container-gc-period", "20ms"), ("image-gc-period", "20ms")];
        let engine = bench.engine(&keys, hooks);
        panics::at(nth);
        let started = catch_unwind(AssertUnwindSafe(|| engine.start()));
        assert_eq!(panics::passed().len() as u64, nth);
        panics::at(0);
        assert!(started.is_err());
        // Whoever was started has ended, and what it had to say is there.
        let _ = reports.try_iter().count();
        assert!(reports.recv_timeout(Duration::from_millis(100)).is_err());
        engine.start().unwrap();
        let mut kinds: Vec<Pass> = Vec::new();
        while !(kinds.contains(&Pass::Containers) && kinds.contains(&Pass::Images)) {
            kinds.push(reports.recv_timeout(WATCHDOG).unwrap());
        }
    }
}
