//! Whole passes against a runtime in memory: how they fail, take turns and end before their time (S0.6, S0.10, S6.3 to S6.5).

use crigc::engine::{Call, Engine, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks};
use crigc::report::{Kind, Outcome, Report};
use crisim::fault::{Action, Fault};
use crisim::node::{State, Text, Word};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use test_support::bench::{
    Bench, INTERNAL, Maker, alive_beside_gone, code, fate, id, sandbox_id, there,
};
use test_support::rules::Rules;

const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");

const ONE_BY_ONE: (&str, &str) = ("max-parallel-removals", "1");
/// Far above what anything here takes.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Waits until something is so.
fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < WATCHDOG, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn s0_6_one_object_that_cannot_be_read_is_kept_and_the_pass_goes_on() {
    let mut rules = Rules::default();
    let keys = [
        "io.kubernetes.pod.uid",
        "io.kubernetes.pod.name",
        "io.kubernetes.pod.namespace",
    ];
    for key in keys {
        rules.case("S0.6");
        let mut maker = Maker::new();
        maker.restarted("u1", 3);
        let odd = &mut maker.node.containers[0];
        odd.labels.insert(key.to_owned(), Text(vec![b'u', 0xff]));
        let bench = maker.start();
        bench.host.remove_pod("u1");
        let report = bench.collected(&[("maximum-dead-containers-per-container", "0")]);
        assert_eq!(
            fate(&report, &id("u1", "app", 0)).1,
            "unknown-state",
            "{key}"
        );
        assert!(bench.containers().contains(&id("u1", "app", 0)));
        assert!(there(&bench.log("u1", "app", 0)), "{key}");
        assert_eq!(
            report.count(Some(Kind::Container), Some(Outcome::Removed)),
            2
        );
    }
}

#[test]
fn s0_6_s6_4_a_list_that_fails_fails_the_pass_and_nothing_of_it_is_used() {
    let mut rules = Rules::default();
    let table = [
        ("ListContainers", code(INTERNAL), Status::Runtime),
        ("ListContainers", code(8), Status::Runtime),
        ("ListContainers", code(12), Status::Runtime),
        // OK, and no message: that is not an empty list.
        ("ListContainers", code(0), Status::Runtime),
        ("ListPodSandbox", code(0), Status::Runtime),
        ("ListContainers", Action::Hang, Status::Timeout),
        ("ListContainers", Action::Garbage, Status::Unavailable),
        ("ListContainers", Action::Disconnect, Status::Unavailable),
        ("ListPodSandbox", code(INTERNAL), Status::Runtime),
        ("ListPodSandbox", Action::Hang, Status::Timeout),
    ];
    for (list, action, status) in table {
        rules.case("S0.6");
        rules.case("S6.4");
        let mut maker = alive_beside_gone();
        maker.options.faults.push(Fault::all(list, action.clone()));
        let bench = maker.start();
        bench.host.remove_pod("gone");
        let end = bench.collect(&[("runtime-request-timeout", "5s")], PassOptions::default());
        let error = end.error.unwrap();
        let broken = matches!(action, Action::Garbage | Action::Disconnect);
        let fits = error.status == status || broken && error.status == Status::Runtime;
        assert!(fits, "{list} {action:?}: {error:?}");
        assert!(
            error.message.contains(&bench.server.endpoint()),
            "{}",
            error.message
        );
        assert!(
            there(&bench.path("pods/ns_other_gone")),
            "{list} {action:?}"
        );
        assert!(bench.sandboxes().contains(&sandbox_id("gone", 0)));
        assert!(
            bench.containers().contains(&id("gone", "app", 0)),
            "{list} {action:?}"
        );
        // Limits need no list of sandboxes.
        let limits_hold = list == "ListPodSandbox";
        assert_eq!(
            !bench.containers().contains(&id("alive1", "app", 0)),
            limits_hold
        );
    }
}

/// api.md, Status: where both lists fail, the first in the order of the pass gives the status, and both are reported.
#[test]
fn s6_4_where_both_lists_fail_that_of_containers_is_the_status() {
    let mut rules = Rules::default();
    rules.case("S6.4");
    let mut maker = alive_beside_gone();
    let hangs = Fault::all("ListPodSandbox", Action::Hang);
    maker.options.faults = vec![Fault::all("ListContainers", code(INTERNAL)), hangs];
    let bench = maker.start();
    let end = bench.collect(&[("runtime-request-timeout", "2s")], PassOptions::default());
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Runtime, "{error}");
    assert!(error.message.contains("list containers"), "{error}");
    assert!(error.message.contains("list pod sandboxes"), "{error}");
}

#[test]
fn s0_10_a_clock_that_stands_before_the_epoch_fails_the_pass() {
    let mut rules = Rules::default();
    for now in [0, -1, i64::MIN] {
        rules.case("S0.10");
        let bench = alive_beside_gone().start();
        let before = bench.everything();
        let mut hooks = bench.hooks();
        hooks.clock = Some(Hook::new(Box::new(move || now)));
        let end = bench
            .engine(&[], hooks)
            .containers(PassOptions::default(), None);
        assert!(end.error.unwrap().message.contains("clock"));
        assert_eq!(bench.everything(), before);
        assert!(end.report.unwrap().entries.is_empty());
    }
}

#[test]
fn s0_10_ages_are_measured_by_the_hosts_clock() {
    let mut rules = Rules::default();
    for (seconds_later, gone) in [(30, 0), (59, 0), (60, 2), (600, 2)] {
        rules.case("S0.10");
        rules.case("S1.2");
        let mut maker = Maker::new();
        maker.restarted("u1", 3);
        for container in &mut maker.node.containers {
            container.created_at = 1_000_000_000_000;
        }
        let bench = maker.start();
        let mut hooks = bench.hooks();
        let now = 1_000_000_000_000 + seconds_later * 1_000_000_000;
        hooks.clock = Some(Hook::new(Box::new(move || now)));
        let engine = bench.engine(&[("minimum-container-ttl-duration", "1m")], hooks);
        let report = engine
            .containers(PassOptions::default(), None)
            .report
            .unwrap();
        let removed = report.count(Some(Kind::Container), Some(Outcome::Removed));
        assert_eq!(removed, gone, "{seconds_later} s later");
    }
}

#[test]
fn s6_3_passes_of_one_kind_take_turns() {
    let mut rules = Rules::default();
    rules.case("S6.3");
    let mut maker = alive_beside_gone();
    maker
        .options
        .delays
        .insert("ListContainers".to_owned(), Duration::from_millis(30));
    let bench = maker.start();
    let running: Arc<Mutex<(usize, usize)>> = Arc::default();
    let (entered, left) = (running.clone(), running.clone());
    let mut hooks = bench.hooks();
    // The clock is read as a pass begins; `pass` hears of its end.
    let clock = move || {
        let mut running = entered.lock().unwrap();
        running.0 += 1;
        running.1 = running.1.max(running.0);
        crigc::clock::wall_now()
    };
    hooks.clock = Some(Hook::new(Box::new(clock)));
    hooks.pass = Some(Hook::new(Box::new(move |_, _, _| {
        left.lock().unwrap().0 -= 1
    })));
    let engine = bench.engine(&[], hooks);
    let pass = |flags| engine.containers(flags, None);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| pass(PassOptions::default())))
            .collect();
        let ends = threads.into_iter().map(|thread| thread.join().unwrap());
        assert!(ends.into_iter().all(|end| end.error.is_none()));
    });
    assert_eq!(
        *running.lock().unwrap(),
        (0, 1),
        "left running, most at once"
    );
    // The first has something to do, and lists again after it (S3.1).
    assert_eq!(bench.calls("ListContainers").len(), 2 + 3);
}

/// A node whose removals hang, and an engine to collect it one by one.
fn hanging() -> Bench {
    let mut maker = Maker::new();
    maker.restarted("u1", 6);
    maker.sandbox("u2", 0, Word::NotReady);
    maker.sandbox("u2", 1, Word::NotReady);
    symlink("/nowhere", maker.path("links/a_b_c-0123456789.log")).unwrap();
    maker.fault("RemoveContainer", &id("u1", "app", 1), Action::Hang);
    maker.start()
}

/// The report of a pass that ended while the second of five removals hung.
fn ended_under_way(bench: &Bench, report: &Report) {
    let fates = (0..5).map(|attempt| fate(report, &id("u1", "app", attempt)));
    let fates: Vec<_> = fates.collect();
    assert_eq!(fates[0].0, Outcome::Removed);
    assert_eq!(fates[1].0, Outcome::Failed);
    assert!(fates[1].2.contains("outcome unknown"), "{}", fates[1].2);
    for fate in &fates[2..] {
        assert_eq!((fate.0, fate.1), (Outcome::Kept, "not-reached"));
    }
    assert_eq!(
        bench.calls("RemoveContainer").len(),
        2,
        "a new call was made"
    );
    assert!(there(&bench.log("u1", "app", 2)) && there(&bench.log("u1", "app", 4)));
    assert_eq!(bench.sandboxes().len(), 3);
    assert!(there(&bench.path("links/a_b_c-0123456789.log")));
}

/// Runs a pass into the hang, and then does something to end it.
fn end_by(
    bench: &Bench,
    engine: &Engine,
    call: Option<&Call>,
    end: impl FnOnce(),
) -> (Status, Report) {
    let ended = std::thread::scope(|scope| {
        let pass = scope.spawn(|| engine.containers(PassOptions::default(), call));
        until("the second removal", || {
            bench.calls("RemoveContainer").len() == 2
        });
        end();
        pass.join().unwrap()
    });
    (ended.error.unwrap().status, ended.report.unwrap())
}

#[test]
fn s6_5_cancel_ends_a_pass_under_way() {
    let mut rules = Rules::default();
    rules.case("S6.5");
    let bench = hanging();
    let engine = bench.engine(&[ONE_BY_ONE], bench.hooks());
    let call = Call::new(0);
    let (status, report) = end_by(&bench, &engine, Some(&call), || call.cancel());
    assert_eq!(status, Status::Cancelled);
    ended_under_way(&bench, &report);
    // Cancel is sticky: the next call with it does not begin.
    let end = engine.containers(PassOptions::default(), Some(&call));
    assert!(end.report.is_none());
    assert_eq!(end.error.unwrap().status, Status::Cancelled);
}

#[test]
fn s6_5_closing_ends_a_pass_under_way_and_all_after_it() {
    let mut rules = Rules::default();
    rules.case("S6.5");
    let bench = hanging();
    let engine = bench.engine(&[ONE_BY_ONE], bench.hooks());
    let (status, report) = end_by(&bench, &engine, None, || engine.close());
    assert_eq!(status, Status::Closed);
    ended_under_way(&bench, &report);
    let end = engine.containers(PassOptions::default(), None);
    assert!(end.report.is_none());
    assert_eq!(end.error.unwrap().status, Status::Closed);
}

#[test]
fn s6_5_deadlines_end_a_pass_under_way() {
    let mut rules = Rules::default();
    // Far more than the way to the removal that hangs.
    let deadline = "15s";
    for of_call in [true, false] {
        rules.case("S6.5");
        let bench = hanging();
        let keys: &[(&str, &str)] = if of_call {
            &[ONE_BY_ONE]
        } else {
            &[ONE_BY_ONE, ("pass-timeout", deadline)]
        };
        let engine = bench.engine(keys, bench.hooks());
        let call = of_call.then(|| Call::new(15_000));
        let (status, report) = end_by(&bench, &engine, call.as_ref(), || {});
        assert_eq!(status, Status::Timeout);
        ended_under_way(&bench, &report);
    }
}

#[test]
fn s6_3_a_caller_that_will_not_wait_gets_busy() {
    let mut rules = Rules::default();
    rules.case("S6.3");
    let bench = hanging();
    let engine = bench.engine(&[ONE_BY_ONE], bench.hooks());
    let call = Call::new(0);
    end_by(&bench, &engine, Some(&call), || {
        let flags = PassOptions {
            no_wait: true,
            ..PassOptions::default()
        };
        let end = engine.containers(flags, None);
        assert!(end.report.is_none());
        assert_eq!(end.error.unwrap().status, Status::Busy);
        // One that waits, but not for ever, gives up.
        let end = engine.containers(PassOptions::default(), Some(&Call::new(50)));
        assert!(end.report.is_none());
        assert_eq!(end.error.unwrap().status, Status::Timeout);
        call.cancel();
    });
}

#[test]
fn s6_5_a_call_in_flight_gets_its_time_to_end() {
    let mut rules = Rules::default();
    rules.case("S6.5");
    let one_try = || {
        let mut maker = Maker::new();
        maker.restarted("u1", 6);
        maker
            .options
            .delays
            .insert("RemoveContainer".to_owned(), Duration::from_millis(20));
        let bench = maker.start();
        let engine = bench.engine(&[ONE_BY_ONE], bench.hooks());
        let call = Call::new(0);
        let (status, report) = end_by(&bench, &engine, Some(&call), || call.cancel());
        assert_eq!(status, Status::Cancelled);
        // The report is true.
        for entry in report.entries.iter().filter(|e| e.kind == Kind::Container) {
            let left = bench.containers().contains(&*entry.id);
            let is_known = entry.outcome != Outcome::Failed;
            assert!(
                !is_known || left == (entry.outcome != Outcome::Removed),
                "{entry:?}"
            );
        }
        report.count(None, Some(Outcome::Failed)) == 0
    };
    // The calls in flight have succeeded, unless the machine was too busy for 300 ms.
    assert!((0..50).any(|_| one_try()));
}

#[test]
fn s6_1_s6_2_periodic_passes_run_and_report_their_failures() {
    let mut rules = Rules::default();
    rules.case("S6.1");
    rules.case("S6.2");
    let bench = alive_beside_gone().start();
    let events: Arc<Mutex<Vec<String>>> = Arc::default();
    let passes: Arc<Mutex<usize>> = Arc::default();
    let (seen, counted) = (events.clone(), passes.clone());
    let hooks = Hooks {
        event: Some(Hook::new(Box::new(move |reason: &str, message: &str| {
            seen.lock().unwrap().push(format!("{reason}: {message}"));
        }))),
        pass: Some(Hook::new(Box::new(move |_, _, _| {
            *counted.lock().unwrap() += 1
        }))),
        ..bench.hooks()
    };
    // High = 100 switches the periodic image collection off.
    let keys = [
        ("container-gc-period", "1s"),
        ("image-gc-high-threshold", "100"),
    ];
    let engine = bench.engine(&keys, hooks);
    engine.start().unwrap();
    engine.start().expect("twice is fine");
    until("the first pass", || *passes.lock().unwrap() >= 1);
    assert!(!bench.containers().contains(&id("alive1", "app", 0)));
    assert!(events.lock().unwrap().is_empty());
    bench
        .server
        .set_faults(vec![Fault::all("ListContainers", code(INTERNAL))]);
    until("an event", || !events.lock().unwrap().is_empty());
    engine.stop();
    let event = events.lock().unwrap()[0].clone();
    assert!(
        event.starts_with("ContainerGCFailed: cannot list containers"),
        "{event}"
    );
    let after = *passes.lock().unwrap();
    bench.server.set_faults(Vec::new());
    engine.start().unwrap();
    until("a pass after the stop", || *passes.lock().unwrap() > after);
    drop(engine);
    let methods: Vec<_> = bench.server.trace().iter().map(|c| c.method).collect();
    assert!(!methods.contains(&"ListImages"), "{methods:?}");
}

#[test]
fn s6_4_single_objects_that_fail_do_not_fail_the_pass() {
    let mut rules = Rules::default();
    rules.case("S6.4");
    let mut maker = alive_beside_gone();
    for method in ["RemoveContainer", "StopPodSandbox", "ContainerStatus"] {
        maker
            .options
            .faults
            .push(Fault::all(method, code(INTERNAL)));
    }
    maker.node.containers[0].state = State::Word(Word::Unknown);
    symlink("/nowhere", maker.path("links/a_b_c-0123456789.log")).unwrap();
    let bench = maker.start();
    bench.host.remove_pod("gone");
    let report = bench.collected(&[]);
    assert!(report.count(None, Some(Outcome::Failed)) > 3);
    assert!(fs::read_dir(bench.path("links")).unwrap().count() > 1);
}

/// Calls in flight get 300 ms when a call is cancelled, not the request timeout of two minutes.
#[test]
fn s6_5_a_cancelled_pass_ends_soon_whatever_hangs() {
    let mut rules = Rules::default();
    for method in [
        "ListContainers",
        "StopContainer",
        "RemoveContainer",
        "RemovePodSandbox",
        "ContainerStatus",
    ] {
        rules.case("S6.5");
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Unknown);
        for attempt in 0..3 {
            maker.sandbox("u2", attempt, Word::NotReady);
        }
        std::os::unix::fs::symlink("/nowhere", maker.path("links/p_n_c-0123456789.log")).unwrap();
        maker.options.faults.push(Fault::all(method, Action::Hang));
        let bench = maker.start();
        let engine = bench.engine(&[NONE_KEPT], bench.hooks());
        let call = Call::new(0);
        let (end, took) = std::thread::scope(|scope| {
            let pass = scope.spawn(|| engine.containers(PassOptions::default(), Some(&call)));
            while !bench.server.trace().iter().any(|c| c.method == method) {
                assert!(!pass.is_finished(), "it never came to {method}");
                std::thread::sleep(Duration::from_millis(2));
            }
            let cancelled = Instant::now();
            call.cancel();
            (pass.join().unwrap(), cancelled.elapsed())
        });
        assert_eq!(
            end.error.map(|e| e.status),
            Some(Status::Cancelled),
            "{method}"
        );
        // A watchdog far above 300 ms, and far below the two minutes that would be waited without.
        assert!(took < Duration::from_secs(20), "{method}: {took:?}");
    }
}
