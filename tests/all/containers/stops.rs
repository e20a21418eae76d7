//! Stops of UNKNOWN containers: in slots of their own, beside all else, and waited for no longer than a pass may wait (S2.3).

use crigc::engine::{Call, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks};
use crigc::report::{Entry, Kind, Outcome};
use crisim::fault::{Action, Fault};
use crisim::node::{Container, Word};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use test_support::bench::{
    Bench, INTERNAL, Maker, NOT_FOUND, code, fate, id, sandbox_id, there, write,
};
use test_support::rules::Rules;

/// Far above what anything here takes.
const WATCHDOG: Duration = Duration::from_secs(60);
const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < WATCHDOG, "{what} never comes");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A pod that is gone, with a container in doubt, a sandbox, logs and a link; and an object of every kind of another pod.
fn maker(annotation: &str) -> Maker {
    let mut maker = Maker::new();
    maker.sandbox("gone", 0, Word::NotReady);
    maker.container("gone", "lost", 0, Word::Unknown);
    let container: &mut Container = maker.node.containers.last_mut().unwrap();
    let key = "io.kubernetes.pod.terminationGracePeriod";
    container
        .annotations
        .insert(key.to_owned(), annotation.into());
    let old = maker.log("gone", "lost", 0).with_file_name("older.log");
    write(&old);
    symlink(&old, maker.path("links/p_n_lost-0123456789.log")).unwrap();
    maker.container("other", "dead", 0, Word::Exited);
    maker.sandbox("other", 0, Word::NotReady);
    write(&maker.path("pods/ns_pod-left_left/app/0.log"));
    symlink("/nowhere", maker.path("links/p_n_c-9876543210.log")).unwrap();
    maker
}

fn started(maker: Maker) -> Bench {
    let bench = maker.start();
    for uid in ["gone", "other", "left"] {
        bench.host.remove_pod(uid);
    }
    bench
}

/// Everything of another pod has been removed.
fn others_were_removed(bench: &Bench) {
    assert!(!bench.containers().contains(&id("other", "dead", 0)));
    assert!(!bench.sandboxes().contains(&sandbox_id("other", 0)));
    assert!(!there(&bench.path("pods/ns_pod-left_left")));
    assert!(!there(&bench.path("pods/ns_pod-other_other")));
    assert!(!there(&bench.path("links/p_n_c-9876543210.log")));
}

#[test]
fn s2_3_a_stop_that_does_not_end_holds_nothing_up() {
    let mut rules = Rules::default();
    // One container; more than there are slots.
    for more in [0, 3] {
        rules.case("S2.3");
        let mut maker = maker("1000000000");
        for n in 0..more {
            maker.container("gone", &format!("more{n}"), 0, Word::Unknown);
        }
        let fault = Fault::all("StopContainer", Action::Hang);
        maker.options.faults.push(fault);
        let bench = started(maker);
        let hooks = Hooks {
            stop_wait: Some(Duration::from_millis(300)),
            ..bench.hooks()
        };
        let engine = bench.engine(&[NONE_KEPT], hooks);
        let end = engine.containers(PassOptions::default(), None);
        assert_eq!(end.error, None);
        let report = end.report.unwrap();
        let (outcome, reason, error) = fate(&report, &id("gone", "lost", 0));
        assert_eq!((outcome, reason), (Outcome::Failed, "pod-removed"));
        assert!(error.contains("still stopping"), "{error}");
        let trace = bench.server.trace();
        let stops: Vec<_> = trace
            .iter()
            .filter(|c| c.method == "StopContainer")
            .collect();
        assert_eq!(stops.len(), (1 + more).min(2));
        assert_eq!(stops[0].argument, 1_000_000_000);
        let not_begun = report
            .entries
            .iter()
            .filter(|e| e.reason.word() == "not-reached");
        assert_eq!(not_begun.count(), (1 + more).saturating_sub(2));
        others_were_removed(&bench);
        // Nothing of its own pod was removed.
        assert!(there(&bench.log("gone", "lost", 0)) && there(&bench.link("gone", "lost", 0)));
        assert!(bench.sandboxes().contains(&sandbox_id("gone", 0)));
        assert_eq!(fate(&report, &sandbox_id("gone", 0)).1, "active");
    }
}

#[test]
fn s2_3_those_behind_stops_that_do_not_end_are_stopped_by_a_later_pass() {
    let mut rules = Rules::default();
    rules.case("S2.3");
    let mut maker = Maker::new();
    for n in 0..7 {
        let name = format!("c{n}");
        maker.container("u1", &name, 0, Word::Unknown);
        if n < 5 {
            maker.fault("StopContainer", &id("u1", &name, 0), Action::Hang);
        }
    }
    let bench = maker.start();
    let hooks = Hooks {
        stop_wait: Some(Duration::from_secs(1)),
        ..bench.hooks()
    };
    let engine = bench.engine(&[NONE_KEPT], hooks);
    // Two each time: the last two are begun by the third or fourth pass.
    let mut passes = 0;
    while bench.containers().len() > 5 {
        passes += 1;
        assert!(passes <= 8, "{:?}", bench.calls("StopContainer"));
        engine.containers(PassOptions::default(), None);
    }
    assert!(bench.calls("StopContainer").len() >= 7);
}

#[test]
fn s2_3_a_container_that_was_stopped_late_is_removed_with_its_sandbox_and_its_logs() {
    let mut rules = Rules::default();
    // Still UNKNOWN after its stop; not known to the runtime when it is to be stopped.
    for (stays_unknown, not_found) in [(false, false), (true, false), (false, true)] {
        rules.case("S2.3");
        let mut maker = maker("1");
        let own = id("gone", "lost", 0);
        if not_found {
            maker.fault("StopContainer", &own, code(NOT_FOUND));
        }
        let delay = Duration::from_millis(800);
        maker
            .options
            .delays
            .insert("StopContainer".to_owned(), delay);
        let bench = started(maker);
        let server = bench.server.clone();
        let unknown = own.clone();
        let progress = move |_: Kind, _: usize, _: usize| {
            if stays_unknown {
                server.edit(|node| {
                    let mut containers = node.containers.iter_mut();
                    if let Some(c) = containers.find(|c| c.id.to_string() == unknown) {
                        c.state = crisim::node::State::Word(Word::Unknown);
                    }
                });
            }
        };
        let hooks = Hooks {
            progress: Some(Hook::new(Box::new(progress) as _)),
            ..bench.hooks()
        };
        let engine = bench.engine(&[NONE_KEPT], hooks);
        let end = engine.containers(PassOptions::default(), None);
        assert_eq!(end.error, None);
        // Each has one entry, and it says what became of it in the end.
        let report = end.report.unwrap();
        let what = format!("{stays_unknown} {not_found}: {:#?}", report.entries);
        assert_eq!(fate(&report, &own).0, Outcome::Removed, "{what}");
        let sandbox = fate(&report, &sandbox_id("gone", 0));
        assert_eq!(
            (sandbox.0, sandbox.1),
            (Outcome::Removed, "pod-removed"),
            "{what}"
        );
        let tree = bench.path("pods/ns_pod-gone_gone");
        assert_eq!(fate(&report, tree.to_str().unwrap()).0, Outcome::Removed);
        let link = bench.path("links/p_n_lost-0123456789.log");
        assert_eq!(fate(&report, link.to_str().unwrap()).0, Outcome::Removed);
        others_were_removed(&bench);
        assert!(bench.containers().is_empty() && bench.sandboxes().is_empty());
        assert_eq!(fs::read_dir(bench.path("pods")).unwrap().count(), 0);
        // With NotFound its link is left to S4.2, which finds it with the same pass.
        assert_eq!(fs::read_dir(bench.path("links")).unwrap().count(), 0);
        assert_eq!(bench.calls("StopContainer").len(), 1);
    }
}

#[test]
fn s2_3_no_more_than_two_stops_are_in_flight() {
    let mut rules = Rules::default();
    rules.case("S2.3");
    let mut maker = Maker::new();
    for n in 0..7 {
        maker.container(&format!("u{n}"), "app", 0, Word::Unknown);
    }
    let delay = Duration::from_millis(50);
    maker
        .options
        .delays
        .insert("StopContainer".to_owned(), delay);
    let bench = maker.start();
    let report = bench.collected(&[NONE_KEPT]);
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Removed)),
        7
    );
    let trace = bench.server.trace();
    let stops: Vec<_> = trace
        .iter()
        .filter(|c| c.method == "StopContainer")
        .collect();
    let at_once = |at: u64| stops.iter().filter(|c| c.start <= at && at < c.end).count();
    let most = stops.iter().map(|c| at_once(c.start)).max();
    assert_eq!(most, Some(2));
}

#[test]
fn s2_3_a_stop_that_is_tried_again_is_given_what_is_left_of_its_grace() {
    let mut rules = Rules::default();
    // Annotation; what the first try is given, and the most that the second is.
    for (annotation, first, second) in [("1000", 1000, 998), ("3", 3, 2), ("1", 2, 2)] {
        rules.case("S2.3");
        let mut maker = maker(annotation);
        maker.options.faults.push(Fault {
            count: Some(1),
            ..Fault::all("StopContainer", code(INTERNAL))
        });
        let bench = started(maker);
        let engine = bench.engine(&[NONE_KEPT], bench.hooks());
        engine.containers(PassOptions::default(), None);
        // The time that passes is part of what is asked for.
        std::thread::sleep(Duration::from_millis(2_050));
        engine.containers(PassOptions::default(), None);
        let trace = bench.server.trace();
        let stops = trace.iter().filter(|c| c.method == "StopContainer");
        let given: Vec<i64> = stops.map(|c| c.argument).collect();
        assert_eq!(given.len(), 2);
        assert_eq!(given[0], first);
        assert!(given[1] <= second && given[1] >= 2, "{given:?}");
        assert!(bench.containers().is_empty());
    }
}

/// What a host does while a container stops.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    /// The pod comes back.
    PodIsBack,
    /// The host calls the pod gone, and something in it runs again (S0.4).
    PodRuns,
    Hold,
    /// It does not approve any more.
    Disapprove,
}

#[test]
fn s2_3_before_a_stopped_container_is_removed_everything_is_asked_again() {
    let mut rules = Rules::default();
    let cases = [
        (Meanwhile::Nothing, (Outcome::Removed, "pod-removed")),
        (Meanwhile::PodIsBack, (Outcome::Kept, "within-limit")),
        (Meanwhile::PodRuns, (Outcome::Kept, "pod-active")),
        (Meanwhile::Hold, (Outcome::Kept, "held")),
        (Meanwhile::Disapprove, (Outcome::Refused, "pod-removed")),
    ];
    for (meanwhile, (outcome, reason)) in cases {
        rules.case("S2.3");
        rules.case("S0.4");
        let mut maker = maker("1");
        maker.bare("gone", "again", 0, Word::Exited);
        let delay = Duration::from_millis(1500);
        maker
            .options
            .delays
            .insert("StopContainer".to_owned(), delay);
        let own = id("gone", "lost", 0);
        let bench = started(maker);
        let hold = bench.path("outside/hold");
        let approves = Arc::new(AtomicBool::new(true));
        let asked = approves.clone();
        let of_own = own.clone();
        let hooks = Hooks {
            approve: Some(Hook::new(Box::new(move |planned: &Entry| {
                *planned.id != *of_own || asked.load(Ordering::SeqCst)
            }) as _)),
            ..bench.hooks()
        };
        let keys = [
            ("evidence-max-age", "1s"),
            ("hold-file", hold.to_str().unwrap()),
        ];
        let engine = bench.engine(&keys, hooks);
        let report = std::thread::scope(|scope| {
            let pass = scope.spawn(|| engine.containers(PassOptions::default(), None));
            until("the stop", || !bench.calls("StopContainer").is_empty());
            match meanwhile {
                Meanwhile::Nothing => {}
                Meanwhile::PodIsBack => bench.host.keep_all(),
                Meanwhile::PodRuns => bench.server.edit(|node| {
                    let mut sandboxes = node.sandboxes.iter_mut();
                    let sandbox = sandboxes.find(|s| s.uid.to_string() == "gone");
                    sandbox.unwrap().state = crisim::node::State::Word(Word::Ready);
                }),
                Meanwhile::Hold => fs::write(&hold, "").unwrap(),
                Meanwhile::Disapprove => approves.store(false, Ordering::SeqCst),
            }
            pass.join().unwrap().report.unwrap()
        });
        let got = fate(&report, &own);
        assert_eq!((got.0, got.1), (outcome, reason), "{meanwhile:?}");
        let kept = there(&bench.log("gone", "lost", 0));
        assert_eq!(kept, outcome != Outcome::Removed, "{meanwhile:?}");
    }
}

#[test]
fn s6_5_a_pass_that_waits_for_stops_ends_when_it_is_told_to() {
    let mut rules = Rules::default();
    rules.case("S6.5");
    let mut maker = maker("1000000000");
    maker
        .options
        .faults
        .push(Fault::all("StopContainer", Action::Hang));
    let bench = started(maker);
    let engine = bench.engine(&[NONE_KEPT], bench.hooks());
    let call = Call::new(0);
    let ends: Arc<Mutex<Option<Instant>>> = Arc::default();
    let end = std::thread::scope(|scope| {
        let pass = scope.spawn(|| engine.containers(PassOptions::default(), Some(&call)));
        until("all else", || {
            !there(&bench.path("links/p_n_c-9876543210.log"))
        });
        assert!(!pass.is_finished());
        call.cancel();
        *ends.lock().unwrap() = Some(Instant::now());
        pass.join().unwrap()
    });
    // The ten minutes are not waited for.
    assert!(ends.lock().unwrap().unwrap().elapsed() < WATCHDOG);
    assert_eq!(end.error.map(|e| e.status), Some(Status::Cancelled));
    let (outcome, _, error) = fate(&end.report.unwrap(), &id("gone", "lost", 0));
    assert_eq!(outcome, Outcome::Failed);
    assert!(error.contains("outcome unknown"), "{error}");
    others_were_removed(&bench);
}

#[test]
fn s2_3_logs_without_a_uid_go_when_the_last_container_without_labels_was_stopped() {
    Rules::default().case("S2.3");
    let mut maker = Maker::new();
    maker.container("none", "lost", 0, Word::Unknown);
    let container: &mut Container = maker.node.containers.last_mut().unwrap();
    container.labels.clear();
    let tree = maker.path("pods/no-uid_");
    write(&tree.join("app/0.log"));
    let bench = maker.start();
    bench.host.remove_pod("");
    let engine = bench.engine(&[NONE_KEPT], bench.hooks());
    let end = engine.containers(PassOptions::default(), None);
    assert_eq!(end.error, None);
    let report = end.report.unwrap();
    assert_eq!(fate(&report, tree.to_str().unwrap()).0, Outcome::Removed);
    assert!(!there(&tree) && bench.containers().is_empty());
}
