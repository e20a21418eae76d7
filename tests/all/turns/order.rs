//! Whole passes in which removals hang, are broken off or cost the connection: what was never begun has its turn before what is tried
//! again, so that nothing is kept for ever behind what does not end (S0.8).

use crigc::engine::{Call, Engine, PassOptions};
use crigc::error::{Error, Status};
use crigc::hooks::{Hook, Hooks};
use crigc::report::{Kind, Outcome, Pass, Report};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::sync::{Mutex, mpsc};
use std::time::Duration;
use test_support::bench::{Bench, INTERNAL, Maker, code, fate, id, sandbox_id, there, write};
use test_support::images;
use test_support::images::{Host, image, node, start};
use test_support::rules::Rules;

/// Far above what anything here takes.
const WATCHDOG: Duration = Duration::from_secs(60);
const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");

/// An engine that reports the ends of its container passes.
fn telling(bench: &Bench, keys: &[(&str, &str)]) -> (Engine, mpsc::Receiver<Report>) {
    let (sender, receiver) = mpsc::channel();
    let ended = move |of: Pass, report: Option<&Report>, _: Option<&Error>| {
        if of == Pass::Containers {
            // Nobody may listen any more.
            let _ = sender.send(report.unwrap().clone());
        }
    };
    let hooks = Hooks {
        pass: Some(Hook::new(Box::new(ended) as _)),
        ..bench.hooks()
    };
    (bench.engine(keys, hooks), receiver)
}

/// IDs and paths, without the folder, of what had its turn.
fn begun(report: &Report) -> impl Iterator<Item = String> {
    let begun = report.entries.iter().filter(|e| e.outcome != Outcome::Kept);
    begun.map(|e| e.id.rsplit('/').next().unwrap().to_owned())
}

fn left(bench: &Bench, wanted: &BTreeSet<String>) -> BTreeSet<String> {
    let all = bench.everything().into_iter();
    let all: BTreeSet<String> = all
        .map(|name| name.rsplit('/').next().unwrap().to_owned())
        .collect();
    wanted.intersection(&all).cloned().collect()
}

#[test]
fn s0_8_what_the_host_broke_off_is_in_no_backoff() {
    let mut rules = Rules::default();
    // Its own deadline of 0.7 s, and pass-timeout; three times.
    for of_call in [true, false] {
        rules.case("S0.8");
        let mut maker = Maker::new();
        maker.restarted("u1", 2);
        maker.fault("RemoveContainer", &id("u1", "app", 0), Action::Hang);
        let bench = maker.start();
        let timeout = if of_call { "0" } else { "700ms" };
        let (engine, reports) = telling(
            &bench,
            &[("pass-timeout", timeout), ("container-gc-period", "200ms")],
        );
        let mut broken_off = 0;
        // On a busy machine a pass may end before it comes to the removal.
        for _ in 0..50 {
            let call = of_call.then(|| Call::new(700));
            engine.containers(PassOptions::default(), call.as_ref());
            let report = reports.recv_timeout(WATCHDOG).unwrap();
            let (outcome, reason, error) = fate(&report, &id("u1", "app", 0));
            if reason == "not-reached" {
                continue;
            }
            broken_off += 1;
            assert_eq!(outcome, Outcome::Failed);
            assert!(error.contains("outcome unknown"), "{error}");
            if broken_off == 3 {
                break;
            }
        }
        assert_eq!(broken_off, 3);
        bench.server.set_faults(Vec::new());
        // A deadline is much longer than a pass that nothing delays; if not, the next pass continues.
        engine.start().unwrap();
        let mut periodic = (0..50).map(|_| reports.recv_timeout(WATCHDOG).unwrap());
        let outcome = periodic
            .find_map(|report| {
                let outcome = fate(&report, &id("u1", "app", 0));
                (outcome.1 != "not-reached").then_some(outcome)
            })
            .expect("a pass that comes to the removal");
        assert_eq!(outcome.0, Outcome::Removed, "{outcome:?}");
    }
}

/// The objects at the head of a plan that hang, the call that hangs, and the objects behind them.
struct Head {
    kind: Kind,
    method: &'static str,
    /// ID for the runtime, and name on the node.
    hanging: Vec<(String, String)>,
    behind: BTreeSet<String>,
}

/// A node with this number of objects of a kind at the head that hang, and three behind them.
fn head(kind: Kind, hanging: usize) -> (Bench, Head) {
    let mut maker = Maker::new();
    let mut head = Head {
        kind,
        method: match kind {
            Kind::Container => "RemoveContainer",
            Kind::Sandbox => "StopPodSandbox",
            _ => "ContainerStatus",
        },
        hanging: Vec::new(),
        behind: BTreeSet::new(),
    };
    for n in 0..hanging + 3 {
        let uid = format!("u{n:02}");
        let (own, name) = match kind {
            Kind::Container => {
                maker.container(&uid, "app", 0, Word::Exited);
                (id(&uid, "app", 0), id(&uid, "app", 0))
            }
            Kind::Sandbox => {
                maker.sandbox(&uid, 0, Word::NotReady);
                maker.sandbox(&uid, 1, Word::NotReady);
                (sandbox_id(&uid, 0), sandbox_id(&uid, 0))
            }
            _ => {
                let own = format!("{n:02}23456789");
                let name = format!("p_n_c-{own}.log");
                symlink("/nowhere", maker.path(&format!("links/{name}"))).unwrap();
                (own, name)
            }
        };
        if n < hanging {
            head.hanging.push((own, name));
        } else {
            head.behind.insert(name);
        }
    }
    for (own, _) in &head.hanging {
        maker.fault(head.method, own, Action::Hang);
    }
    (maker.start(), head)
}

#[test]
fn s0_8_those_behind_what_hangs_are_tried_by_pass_h_tenths_plus_one() {
    let mut rules = Rules::default();
    for kind in [Kind::Container, Kind::Sandbox, Kind::LogLink] {
        for (hanging, at_once) in [(10, "1"), (20, "1"), (20, "20")] {
            rules.case("S0.8");
            let (bench, head) = head(kind, hanging);
            let keys = [
                NONE_KEPT,
                ("runtime-request-timeout", "200ms"),
                ("max-parallel-removals", at_once),
            ];
            let engine = bench.engine(&keys, bench.hooks());
            let what = format!("{:?}, {hanging} hang, {at_once} at once", head.kind);
            let mut tried = BTreeSet::new();
            for _ in 0..hanging / 10 + 1 {
                let report = engine
                    .containers(PassOptions::default(), None)
                    .report
                    .unwrap();
                // A busy machine may not answer in time; but they had their turn.
                tried.extend(begun(&report));
                tried.extend(asked_in_vain(&report));
            }
            let untried: Vec<_> = head.behind.difference(&tried).collect();
            assert!(untried.is_empty(), "{what}: {untried:?}");
            for _ in 0..20 {
                if !left(&bench, &head.behind).is_empty() {
                    engine.containers(PassOptions::default(), None);
                }
            }
            assert_eq!(left(&bench, &head.behind), BTreeSet::new(), "{what}");
            // The objects that hang were tried again and again, and are still there.
            let names = head.hanging.iter().map(|(_, name)| name.clone()).collect();
            assert_eq!(left(&bench, &names).len(), hanging, "{what}");
        }
    }
}

/// Links about which a question got no answer.
fn asked_in_vain(report: &Report) -> Vec<String> {
    let links = report.entries.iter();
    links
        .filter(|e| e.reason.word() == "link-unknown")
        .map(|e| e.id.rsplit('/').next().unwrap().to_owned())
        .collect()
}

/// Something of every kind that hangs, at the head, and something of every kind behind it.
fn every_kind() -> (Bench, BTreeSet<String>) {
    let mut maker = Maker::new();
    maker.container("a1", "app", 0, Word::Exited);
    maker.container("a2", "app", 0, Word::Unknown);
    maker.fault("RemoveContainer", &id("a1", "app", 0), Action::Hang);
    maker.fault("StopContainer", &id("a2", "app", 0), Action::Hang);
    maker.sandbox("a3", 0, Word::NotReady);
    maker.sandbox("a3", 1, Word::NotReady);
    maker.fault("StopPodSandbox", &sandbox_id("a3", 0), Action::Hang);
    symlink("/nowhere", maker.path("links/a_n_c-0023456789.log")).unwrap();
    maker.fault("ContainerStatus", "0023456789", Action::Hang);
    for uid in ["u1", "u2"] {
        maker.container(uid, "app", 0, Word::Exited);
        maker.container(uid, "lost", 0, Word::Unknown);
        maker.sandbox(uid, 0, Word::NotReady);
        write(&maker.path(&format!("pods/ns_left_x{uid}/app/0.log")));
        let link = format!("links/p_n_c-{uid}3456789.log");
        symlink("/nowhere", maker.path(&link)).unwrap();
    }
    let bench = maker.start();
    let mut behind = BTreeSet::new();
    for uid in ["u1", "u2"] {
        bench.host.remove_pod(uid);
        bench.host.remove_pod(&format!("x{uid}"));
        behind.extend([
            id(uid, "app", 0),
            id(uid, "lost", 0),
            sandbox_id(uid, 0),
            format!("ns_pod-{uid}_{uid}"),
            format!("ns_left_x{uid}"),
            format!("p_n_c-{uid}3456789.log"),
        ]);
    }
    (bench, behind)
}

#[test]
fn s0_8_a_pass_timeout_below_a_removal_that_hangs_starves_no_object() {
    let mut rules = Rules::default();
    for periodic in [false, true] {
        rules.case("S0.8");
        let (bench, behind) = every_kind();
        let keys = [
            NONE_KEPT,
            ("pass-timeout", "1s"),
            ("max-parallel-removals", "1"),
            ("container-gc-period", "10ms"),
        ];
        let (engine, reports) = telling(&bench, &keys);
        if periodic {
            engine.start().unwrap();
        }
        // Four hang, and each costs a pass its time; a busy machine may cost some more.
        let mut passes = 0;
        while !left(&bench, &behind).is_empty() {
            passes += 1;
            assert!(passes <= 20, "{:?}", left(&bench, &behind));
            if !periodic {
                engine.containers(PassOptions::default(), None);
            }
            reports.recv_timeout(WATCHDOG).unwrap();
        }
    }
}

/// S0.8: no object that hangs is left out: it is tried again, least recently first, whatever its kind.
#[test]
fn s0_8_what_did_not_end_is_tried_again_least_recently_first() {
    let mut rules = Rules::default();
    rules.case("S0.8");
    let (bench, _) = every_kind();
    let keys = [
        NONE_KEPT,
        ("pass-timeout", "1s"),
        ("max-parallel-removals", "1"),
    ];
    let engine = bench.engine(&keys, bench.hooks());
    for _ in 0..12 {
        engine.containers(PassOptions::default(), None);
    }
    bench.server.set_faults(Vec::new());
    let mut passes = 0;
    while !bench.containers().is_empty() || !bench.sandboxes().contains(&sandbox_id("a3", 1)) {
        passes += 1;
        assert!(passes <= 10, "{:?}", bench.everything());
        engine.containers(PassOptions::default(), None);
    }
    assert!(!there(&bench.path("links/a_n_c-0023456789.log")));
}

#[test]
fn s0_8_what_makes_the_runtime_crash_is_found_and_left_alone() {
    let mut rules = Rules::default();
    // The call that makes it crash, about which object.
    let container = id("a1", "app", 0);
    let cases = [
        ("RemoveContainer", container.clone()),
        ("ContainerStatus", container),
        ("StopContainer", id("a2", "app", 0)),
        ("StopPodSandbox", sandbox_id("a3", 0)),
        ("RemovePodSandbox", sandbox_id("a3", 0)),
    ];
    for (method, culprit) in cases {
        for at_once in ["1", "6"] {
            rules.case("S0.8");
            let (bench, behind) = every_kind();
            bench
                .server
                .set_faults(vec![Fault::of(method, &culprit, Action::Disconnect)]);
            if method == "ContainerStatus" {
                // Where its log is has to be asked.
                bench.server.edit(|node| node.containers[0].labels.clear());
            }
            let keys = [
                NONE_KEPT,
                ("max-parallel-removals", at_once),
                ("container-gc-period", "10ms"),
            ];
            let (engine, reports) = telling(&bench, &keys);
            engine.start().unwrap();
            let what = format!("{method} {at_once}");
            let mut passes = 0;
            while !left(&bench, &behind).is_empty() {
                passes += 1;
                assert!(passes <= 6, "{what}: {:?}", left(&bench, &behind));
                reports.recv_timeout(WATCHDOG).unwrap();
            }
            for _ in passes..12 {
                reports.recv_timeout(WATCHDOG).unwrap();
            }
            // Among others, at most twice (a stop may be in flight with it), and then alone: that counts, and it is left alone for a
            // minute.
            let crashes = bench.calls(method);
            let crashes = crashes.iter().filter(|id| **id == culprit).count();
            assert!((1..=3).contains(&crashes), "{what}: {crashes} crashes");
        }
    }
}

/// A called pass leaves nothing alone: what makes the runtime crash comes last each time.
#[test]
fn s0_8_what_makes_the_runtime_crash_comes_last_in_calls() {
    let mut rules = Rules::default();
    for at_once in ["1", "4"] {
        rules.case("S0.8");
        let mut maker = Maker::new();
        for n in 0..6 {
            maker.container("u1", &format!("c{n}"), 0, Word::Exited);
        }
        let culprit = id("u1", "c0", 0);
        maker.fault("RemoveContainer", &culprit, Action::Disconnect);
        let bench = maker.start();
        let keys = [NONE_KEPT, ("max-parallel-removals", at_once)];
        let engine = bench.engine(&keys, bench.hooks());
        for _ in 0..3 {
            engine.containers(PassOptions::default(), None);
        }
        assert_eq!(bench.containers(), BTreeSet::from([culprit.clone()]));
        let trace = bench.server.trace();
        let mut removals = trace.iter().filter(|c| c.method == "RemoveContainer");
        assert_eq!(removals.next_back().unwrap().id, culprit);
        // In the second round one at a time.
        let again = trace.iter().filter(|c| c.id == culprit).skip(1);
        assert!(again.clone().count() > 0);
        for call in again.filter(|c| c.method == "RemoveContainer") {
            assert_eq!(call.in_flight, 1, "{at_once}");
        }
    }
}

#[test]
fn s0_8_s5_4_images_that_hang_come_last_and_those_that_fail_do_not() {
    let mut rules = Rules::default();
    for (action, order) in [(Action::Hang, "cab"), (code(INTERNAL), "abc")] {
        rules.case("S0.8");
        rules.case("S5.4");
        let three = ["a", "b", "c"].map(|id| image(id, &format!("r/{id}:1"), 100));
        let server = start(node(three.to_vec()));
        let faults = ["a", "b"].map(|id| Fault::of("RemoveImage", id, action.clone()));
        // The third one fails at first.
        let first = Fault {
            count: Some(1),
            ..Fault::of("RemoveImage", "c", code(INTERNAL))
        };
        server.set_faults(faults.into_iter().chain([first]).collect());
        let host = Host::new(1000, 0);
        let keys = [
            ("runtime-request-timeout", "300ms"),
            ("max-parallel-image-removals", "1"),
        ];
        let engine = images::engine(&server, host.hooks(true), &keys);
        engine.images(PassOptions::default(), None);
        engine.images(PassOptions::default(), None);
        let calls = server.trace();
        let removals = calls.iter().filter(|c| c.method == "RemoveImage");
        let tried: String = removals.map(|c| c.id.as_str()).collect();
        assert_eq!(tried, format!("abc{order}"));
    }
}

/// Ten images that hang at the head of the plan, and space is wanted.
#[test]
fn s0_8_images_behind_those_that_hang_go_with_the_next_pass() {
    let mut rules = Rules::default();
    rules.case("S0.8");
    let all: Vec<_> = (0..13)
        .map(|n| image(&format!("i{n:02}"), &format!("r/i{n}:1"), 100))
        .collect();
    let server = start(node(all));
    let hangs = (0..10).map(|n| Fault::of("RemoveImage", &format!("i{n:02}"), Action::Hang));
    server.set_faults(hangs.collect());
    let host = Host::new(1000, 0);
    let keys = [("runtime-request-timeout", "300ms")];
    let engine = images::engine(&server, host.hooks(true), &keys);
    for _ in 0..2 {
        engine.images(PassOptions::default(), None);
    }
    let calls = server.trace();
    let tried: BTreeSet<&str> = calls
        .iter()
        .filter(|c| c.method == "RemoveImage")
        .map(|c| c.id.as_str())
        .collect();
    assert!(
        tried.is_superset(&BTreeSet::from(["i10", "i11"])),
        "{tried:?}"
    );
}

/// S1.2: questions when a container ended that get no answer come last.
#[test]
fn s0_8_s1_2_questions_that_hang_keep_no_other_container_for_ever() {
    let mut rules = Rules::default();
    rules.case("S0.8");
    rules.case("S1.2");
    let mut maker = Maker::new();
    for n in 0..13 {
        maker.bare("u1", &format!("c{n:02}"), 0, Word::Exited);
        if n < 10 {
            let own = id("u1", &format!("c{n:02}"), 0);
            maker.fault("ContainerStatus", &own, Action::Hang);
        }
    }
    let bench = maker.start();
    let keys = [
        NONE_KEPT,
        ("container-age-from", "finished"),
        ("minimum-container-ttl-duration", "1h"),
        ("runtime-request-timeout", "300ms"),
        ("pod-logs-dir", ""),
    ];
    let engine = bench.engine(&keys, bench.hooks());
    let mut passes = 0;
    while bench.containers().len() > 10 {
        passes += 1;
        assert!(passes <= 6, "{:?}", bench.containers());
        engine.containers(PassOptions::default(), None);
    }
}

/// A known limit. The host's callbacks are called one at a time (Callbacks in crigc.h): one that blocks, against its contract, in a pass of
/// one kind holds a pass of the other kind beyond its deadline. That one removes nothing any more when it continues.
#[test]
fn s6_5_a_callback_that_blocks_holds_a_pass_of_the_other_kind_beyond_its_deadline() {
    let mut rules = Rules::default();
    rules.case("S6.5");
    let mut maker = Maker::new();
    maker.restarted("u1", 4);
    let bench = maker.start();
    let (entered, is_in) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let first = Mutex::new(Some((entered, released)));
    let clock = move || {
        if let Some((entered, released)) = first.lock().unwrap().take() {
            entered.send(()).unwrap();
            released.recv().unwrap();
        }
        crigc::clock::wall_now()
    };
    let hooks = Hooks {
        clock: Some(Hook::new(Box::new(clock) as _)),
        ..bench.hooks()
    };
    let engine = bench.engine(&[], hooks);
    let end = std::thread::scope(|scope| {
        scope.spawn(|| engine.images(PassOptions::default(), None));
        is_in.recv_timeout(WATCHDOG).unwrap();
        let pass = scope.spawn(|| engine.containers(PassOptions::default(), Some(&Call::new(100))));
        std::thread::sleep(Duration::from_millis(600));
        assert!(!pass.is_finished(), "its deadline is over, and it waits");
        release.send(()).unwrap();
        pass.join().unwrap()
    });
    assert_eq!(end.error.map(|e| e.status), Some(Status::Timeout));
    assert_eq!(end.report.unwrap().count(None, Some(Outcome::Removed)), 0);
    assert!(bench.calls("RemoveContainer").is_empty());
}

/// S7.3: where the list is read in parts, what hangs in one part keeps the parts behind it waiting for one pass.
#[test]
fn s0_8_s7_3_what_hangs_in_one_part_of_a_list_keeps_no_other_part() {
    let mut rules = Rules::default();
    // Whether the parts come to the whole list.
    for whole in [true, false] {
        rules.case("S0.8");
        rules.case("S7.3");
        let mut maker = Maker::new();
        let mut behind = BTreeSet::new();
        for n in 0..24 {
            let namespace = if n < 12 { "aa" } else { "zz" };
            let uid = format!("u{n:02}");
            let log = format!("pods/{namespace}_pod-{uid}_{uid}/app/0.log");
            write(&maker.path(&log));
            let log = maker.path(&log).to_str().unwrap().into();
            let container = maker.bare(&uid, "app", 0, Word::Exited);
            container.log_path = log;
            let key = "io.kubernetes.pod.namespace".to_owned();
            container.labels.insert(key, namespace.into());
            match n {
                0..10 => maker.fault("RemoveContainer", &id(&uid, "app", 0), Action::Hang),
                _ => drop(behind.insert(id(&uid, "app", 0))),
            }
        }
        if !whole {
            // It is unknown in which part these are.
            for n in 0..3 {
                let container = maker.bare("u99", &format!("odd{n}"), 0, Word::Running);
                container.labels.clear();
            }
        }
        maker.options.message_limit = 3_500;
        let bench = maker.start();
        let keys = [NONE_KEPT, ("runtime-request-timeout", "400ms")];
        let engine = bench.engine(&keys, bench.hooks());
        let mut passes = 0;
        while !left(&bench, &behind).is_empty() {
            passes += 1;
            let what = left(&bench, &behind);
            assert!(passes <= 4, "{whole}: {what:?}");
            let end = engine.containers(PassOptions::default(), None);
            let parts = bench.server.trace();
            let parts = parts.iter().filter(|c| c.method == "ListContainers");
            assert!(parts.count() > 3, "{:?}", end.error);
        }
        let before = bench.calls("RemoveContainer").len();
        engine.containers(PassOptions::default(), None);
        assert!(
            bench.calls("RemoveContainer").len() > before,
            "no object is left out"
        );
    }
}
