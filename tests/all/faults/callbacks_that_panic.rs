//! Callbacks of the host that panic each time: the objects that they were asked about fail, the
//! pass continues, and nothing is lost. Panics of crigc's own are tested in `panic-tests`.

use crigc::engine::PassOptions;
use crigc::error::{Error, Status};
use crigc::hooks::{Hook, Hooks, LogLevel};
use crigc::report::{Entry, Kind, Outcome, Pass, Report};
use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;
use test_support::bench;
use test_support::bench::Maker;
use test_support::defects::{container_engine, is_told};
use test_support::fault_node::{everything, mixed};
use test_support::images;
use test_support::images::{Host, STAYS, full, there};

/// Far above what anything here takes.
const WATCHDOG: Duration = Duration::from_secs(60);

/// The arguments with which a host's callback panics.
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

/// A panic that repeats keeps only its own object from being removed.
#[test]
fn a_panic_that_repeats_holds_up_no_other_object() {
    let reference = mixed(false);
    container_engine(&reference, "1").containers(PassOptions::default(), None);
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
        let end = engine.containers(PassOptions::default(), None);
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
fn a_panic_that_repeats_holds_up_no_other_image() {
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
        let end = engine.images(PassOptions::default(), None);
        let error = end.error.as_ref().expect("an error");
        assert_eq!(error.status, Status::Internal, "{}", error.message);
        // It comes before all other errors, and hides none of them.
        let not_enough = error.message.contains("Failed to free sufficient space");
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

/// S0.8: an object whose removal panicked counts as one that could not be removed, and periodic passes leave it alone for a while.
#[test]
fn s0_8_a_panic_that_repeats_backs_off() {
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
