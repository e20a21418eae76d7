//! Turns, failures and early ends of a pass over one pod, and what the host hears of it (S6.3, S6.5, S7, S8).

use super::node::{UID, collect, ended, lines, rest, with_others};
use crigc::engine::{Call, Engine, PassEnd, PassOptions};
use crigc::error::{Error, Status};
use crigc::hooks::{Hook, Hooks};
use crigc::node::Text;
use crigc::report::{Entry, Kind, Outcome, Pass, Report};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use test_support::bench::{Bench, DRY_RUN, INTERNAL, Maker, code, fate, id, there};
use test_support::rules::Rules;

const ONE_BY_ONE: (&str, &str) = ("max-parallel-removals", "1");
/// Far above what anything here takes.
const WATCHDOG: Duration = Duration::from_secs(60);

const NO_WAIT: PassOptions = PassOptions {
    no_wait: true,
    ..PassOptions::PLAIN
};

fn gone(engine: &Engine, call: Option<&Call>) -> PassEnd {
    engine.pod(UID, true, PassOptions::default(), call)
}

/// The pod's second removal hangs.
fn hanging() -> Bench {
    let mut maker = with_others();
    ended(&mut maker);
    maker.container(UID, "third", 0, Word::Exited);
    maker.fault("RemoveContainer", &id(UID, "side", 0), Action::Hang);
    maker.start()
}

/// Runs a pass over the pod into the hang, and then does something to end it.
fn end_by(engine: &Engine, bench: &Bench, call: Option<&Call>, end: impl FnOnce()) -> PassEnd {
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| gone(engine, call));
        let began = Instant::now();
        while bench.calls("RemoveContainer").len() < 2 {
            assert!(began.elapsed() < WATCHDOG && !pass.is_finished());
            std::thread::sleep(Duration::from_millis(5));
        }
        end();
        pass.join().unwrap()
    })
}

#[test]
fn s8_s6_5_a_pass_over_one_pod_ends_early_like_every_other() {
    let mut rules = Rules::default();
    let table = [
        ("cancel", Status::Cancelled),
        ("close", Status::Closed),
        ("the deadline of the call", Status::Timeout),
        ("pass-timeout", Status::Timeout),
    ];
    for (what, status) in table {
        rules.case("S8");
        rules.case("S6.5");
        let bench = hanging();
        // Far more than the way to the removal that hangs.
        let keys = match what {
            "pass-timeout" => vec![ONE_BY_ONE, ("pass-timeout", "8s")],
            _ => vec![ONE_BY_ONE],
        };
        let engine = bench.engine(&keys, Hooks::default());
        let call = Call::new(if what.contains("call") { 8_000 } else { 0 });
        let others = rest(&bench);
        let end = end_by(&engine, &bench, Some(&call), || match what {
            "cancel" => call.cancel(),
            "close" => engine.close(),
            _ => {}
        });
        assert_eq!(end.error.unwrap().status, status, "{what}");
        let report = end.report.unwrap();
        let fate = |name| fate(&report, &id(UID, name, 0));
        assert_eq!(fate("app").0, Outcome::Removed, "{what}");
        assert!(fate("side").2.contains("outcome unknown"), "{what}");
        assert_eq!(fate("third").1, "not-reached", "{what}");
        assert!(there(&bench.log(UID, "third", 0)), "{what}");
        assert_eq!(rest(&bench), others, "{what}");
        // Both ends are for good.
        if ["cancel", "close"].contains(&what) {
            let again = gone(&engine, Some(&call));
            assert!(again.report.is_none(), "{what}");
            assert_eq!(again.error.unwrap().status, status, "{what}");
        }
    }
}

#[test]
fn s8_s6_3_passes_over_one_pod_and_over_the_node_take_turns() {
    let mut rules = Rules::default();
    rules.case("S8");
    rules.case("S6.3");
    let bench = hanging();
    let engine = bench.engine(&[ONE_BY_ONE], Hooks::default());
    let call = Call::new(0);
    let status = |end: PassEnd| {
        assert!(end.report.is_none());
        end.error.unwrap().status
    };
    end_by(&engine, &bench, Some(&call), || {
        assert_eq!(status(engine.containers(NO_WAIT, None)), Status::Busy);
        assert_eq!(status(engine.pod("t", true, NO_WAIT, None)), Status::Busy);
        let waits = gone(&engine, Some(&Call::new(50)));
        assert_eq!(status(waits), Status::Timeout);
        // Images are another kind.
        assert!(engine.images(NO_WAIT, None).report.is_some());
        call.cancel();
    });
    // And the other way round.
    let (asked, was_asked) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let hung = Mutex::new((asked, goes_on));
    let host = bench.host.clone();
    let hooks = Hooks {
        pod_states: Some(Hook::new(Box::new(move |uids: &[Text]| {
            let (asked, goes_on) = &*hung.lock().unwrap();
            asked.send(()).unwrap();
            let _ = goes_on.recv();
            host.answer(uids)
        }))),
        ..Hooks::default()
    };
    let engine = bench.engine(&[], hooks);
    std::thread::scope(|scope| {
        scope.spawn(|| engine.containers(DRY_RUN, None));
        was_asked.recv().unwrap();
        assert_eq!(status(engine.pod(UID, true, NO_WAIT, None)), Status::Busy);
        drop(go_on);
    });
}

/// Which pods failed before is known to all passes of the kind; a pass over one pod forgets nothing of the others (S0.8).
#[test]
fn s8_s0_8_passes_over_one_pod_and_over_the_node_remember_together() {
    let mut rules = Rules::default();
    rules.case("S8");
    rules.case("S0.8");
    let mut maker = Maker::new();
    ended(&mut maker);
    maker.restarted("other", 3);
    let bench = maker.start();
    bench.host.remove_pod(UID);
    let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
    let heard = reports.clone();
    let mut hooks = bench.hooks();
    hooks.pass = Some(Hook::new(Box::new(move |_, report: Option<&Report>, _| {
        heard.lock().unwrap().extend(report.cloned());
    })));
    // High = 100 switches the periodic image collection off.
    let keys = [ONE_BY_ONE, ("image-gc-high-threshold", "100")];
    let engine = bench.engine(&keys, hooks);
    let fail = |ids: &[String]| {
        let faults = ids
            .iter()
            .map(|id| Fault::of("RemoveContainer", id, code(INTERNAL)));
        bench.server.set_faults(faults.collect());
    };
    let (own, other) = (id(UID, "app", 0), id("other", "app", 0));
    fail(&[own.clone(), other.clone()]);
    assert_eq!(engine.containers(PassOptions::default(), None).error, None);
    assert_eq!(bench.containers().len(), 1 + 2);
    // A call of the host tries it at once.
    let report = gone(&engine, None).report.unwrap();
    assert_eq!(fate(&report, &own).0, Outcome::Failed);
    // A periodic pass waits, for both.
    fail(&[]);
    engine.start().unwrap();
    let began = Instant::now();
    while reports.lock().unwrap().len() < 3 {
        assert!(began.elapsed() < WATCHDOG);
        std::thread::sleep(Duration::from_millis(5));
    }
    engine.stop();
    let periodic = reports.lock().unwrap()[2].clone();
    for id in [&own, &other] {
        assert_eq!(fate(&periodic, id).1, "backoff");
    }
    // What was tried before is still handled last.
    bench.server.edit(|node| {
        let tried = node
            .containers
            .iter()
            .find(|c| c.id == other.as_str().into());
        let mut new = tried.unwrap().clone();
        new.id = "cother0new0000".into();
        node.containers.push(new);
    });
    bench.server.clear_trace();
    engine.containers(PassOptions::default(), None);
    let order = bench.calls("RemoveContainer");
    assert_eq!(order[0], "cother0new0000", "{order:?}");
    assert!(
        order[1..].contains(&own) && order[1..].contains(&other),
        "{order:?}"
    );
}

/// Lists that fail or do not fit, and what they keep.
#[test]
fn s8_s7_a_list_that_fails_fails_the_pass_and_nothing_goes_by_it() {
    let mut rules = Rules::default();
    // The call that fails, counted from 0, and what is removed all the same: by the lists before, of which S1 has all.
    let table = [
        ("ListPodSandbox", 0, INTERNAL, 0),
        ("ListPodSandbox", 0, 8, 0),
        ("ListContainers", 0, INTERNAL, 0),
        ("ListContainers", 0, 8, 0),
        ("ListContainers", 1, INTERNAL, 0),
        ("ListPodSandbox", 1, INTERNAL, 2),
        ("ListContainers", 2, INTERNAL, 2),
        ("ListContainers", 3, INTERNAL, 2),
    ];
    for (list, skip, status, removed) in table {
        rules.case("S8");
        let what = format!("{list} {skip} {status}");
        let mut maker = with_others();
        ended(&mut maker);
        let fails = Fault::all(list, code(status));
        maker.options.faults.push(Fault { skip, ..fails });
        let bench = maker.start();
        let others = rest(&bench);
        let end = collect(&bench, &[], Hooks::default(), true, PassOptions::default());
        let error = end.error.unwrap();
        assert_eq!(error.status, Status::Runtime, "{what}");
        assert_eq!(error.message.contains("too large"), status == 8, "{error}");
        let report = end.report.unwrap();
        let told = lines(&bench, &report);
        assert_eq!(
            report.count(None, Some(Outcome::Removed)),
            removed,
            "{what}: {told:?}"
        );
        let of_containers = report.count(Some(Kind::Container), Some(Outcome::Removed));
        assert_eq!(of_containers, removed, "{what}: {told:?}");
        assert_eq!(rest(&bench), others, "{what}");
    }
}

/// The lists of the node do not fit a message, those of the pod do.
#[test]
fn s8_s7_one_pod_is_collected_on_a_node_whose_lists_do_not_fit() {
    let mut rules = Rules::default();
    for streams in [false, true] {
        rules.case("S8");
        let mut maker = with_others();
        ended(&mut maker);
        maker.options.message_limit = 1500;
        maker.options.streams = streams;
        maker.options.stream_items = 1;
        let bench = maker.start();
        let others = rest(&bench);
        let end = collect(&bench, &[], Hooks::default(), true, PassOptions::default());
        assert_eq!(end.error, None, "streams: {streams}");
        assert_eq!(end.report.unwrap().count(None, Some(Outcome::Removed)), 4);
        assert_eq!(rest(&bench), others);
        // A message for the node is refused.
        bench.collect(&[], DRY_RUN);
        let refused = bench.server.trace().into_iter().any(|call| call.code == 8);
        assert_eq!(refused, !streams);
    }
}

#[test]
fn s8_a_text_that_cannot_be_a_uid_is_refused() {
    let mut rules = Rules::default();
    let mut maker = Maker::new();
    ended(&mut maker);
    maker.bare("", "app", 0, Word::Exited);
    let bench = maker.start();
    let engine = bench.engine(&[], bench.hooks());
    for uid in ["", "/", "a/b", "t1\n", "\u{7f}", "\u{85}", "t\0x"] {
        for is_gone in [true, false] {
            rules.case("S8");
            let end = engine.pod(uid, is_gone, PassOptions::default(), None);
            assert!(end.report.is_none(), "{uid:?}");
            let error = end.error.unwrap();
            assert_eq!(error.status, Status::InvalidArgument, "{uid:?}");
            assert!(error.message.contains("UID"), "{error}");
        }
    }
    assert!(bench.server.trace().is_empty());
}

#[test]
fn s8_the_host_hears_that_it_was_a_pass_over_one_pod() {
    let mut rules = Rules::default();
    rules.case("S8");
    type Ends = Arc<Mutex<Vec<(Pass, bool, Option<Status>)>>>;
    let (ends, events) = (Ends::default(), Arc::<Mutex<Vec<String>>>::default());
    let (heard, seen) = (ends.clone(), events.clone());
    let mut maker = with_others();
    ended(&mut maker);
    let bench = maker.start();
    let hooks = Hooks {
        pass: Some(Hook::new(Box::new(
            move |pass: Pass, report: Option<&Report>, error: Option<&Error>| {
                let status = error.map(|e| e.status);
                heard.lock().unwrap().push((pass, report.is_some(), status));
            },
        ))),
        event: Some(Hook::new(Box::new(move |reason: &str, _: &str| {
            seen.lock().unwrap().push(reason.to_owned());
        }))),
        ..Hooks::default()
    };
    let engine = bench.engine(&[], hooks);
    let report = engine.pod(UID, true, DRY_RUN, None).report.unwrap();
    assert_eq!(report.pass, Pass::Pod);
    assert!(
        report
            .json()
            .starts_with(r#"{"pass":"pod","status":"GC_OK""#)
    );
    let fails = Fault::all("ListContainers", code(INTERNAL));
    bench.server.set_faults(vec![fails]);
    gone(&engine, None);
    let told = ends.lock().unwrap().clone();
    assert_eq!(
        told,
        [
            (Pass::Pod, true, None),
            (Pass::Pod, true, Some(Status::Runtime))
        ]
    );
    // ContainerGCFailed is for periodic passes.
    assert!(events.lock().unwrap().is_empty());
}

/// The host approves of each object, and hears the progress of each removal.
#[test]
fn s8_the_host_is_asked_and_told_as_in_every_pass() {
    let mut rules = Rules::default();
    rules.case("S8");
    let mut maker = with_others();
    ended(&mut maker);
    let bench = maker.start();
    let told: Arc<Mutex<Vec<(Kind, usize, usize)>>> = Arc::default();
    let heard = told.clone();
    let hooks = Hooks {
        approve: Some(Hook::new(Box::new(|planned: &Entry| {
            &*planned.id != "ct1side0x0000"
        }))),
        progress: Some(Hook::new(Box::new(
            move |kind: Kind, done: usize, total: usize| {
                heard.lock().unwrap().push((kind, done, total));
            },
        ))),
        ..Hooks::default()
    };
    let end = collect(&bench, &[ONE_BY_ONE], hooks, true, PassOptions::default());
    let expected = [
        "kept pod-logs pods/ns_pod-t1_t1 active",
        "kept sandbox st1a0x0000 active",
        "refused container ct1side0x0000 pod-removed",
        "removed container ct1app0x0000 pod-removed",
    ];
    assert_eq!(lines(&bench, &end.report.unwrap()), expected);
    assert_eq!(*told.lock().unwrap(), [(Kind::Container, 1, 2)]);
}
