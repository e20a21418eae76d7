//! Whole passes against a runtime that is slow or sends much: deadlines of stops, lists of many megabytes, images several at
//! once, and the question when a container ended (S0.6, S1.2, S2.3, S2.7, S5.8, S5.9, S6.5).

#[path = "common/bench.rs"]
mod bench;
#[path = "common/images.rs"]
mod images;
#[path = "common/rules.rs"]
mod rules;

use bench::{INTERNAL, Maker, NOT_FOUND, code, fate, id, there};
use crigc::engine::{Call, Flags};
use crigc::error::Status;
use crigc::hooks::Hook;
use crigc::report::{Entry, Kind, Outcome};
use crisim::fault::{Action, Fault};
use crisim::node::{Container, Word};
use crisim::{Options, Server};
use images::{Host, S, image, node, start, status, told};
use rules::Rules;
use std::time::{Duration, Instant};

const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");

#[test]
fn s2_3_a_stop_has_the_request_timeout_and_the_grace_period() {
    let mut rules = Rules::default();
    // The request timeout is 4 s, the grace period 20 s: 5 s is in time, and for ever is not.
    for hangs in [false, true] {
        rules.case("S2.3");
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Unknown);
        let annotations = &mut maker.node.containers[0].annotations;
        let grace = "io.kubernetes.pod.deletionGracePeriod".to_owned();
        annotations.insert(grace, "20".into());
        match hangs {
            true => maker.fault("StopContainer", &id("u1", "app", 0), Action::Hang),
            false => {
                let delay = Duration::from_secs(5);
                maker
                    .options
                    .delays
                    .insert("StopContainer".to_owned(), delay);
            }
        }
        let bench = maker.start();
        let report = bench.collected(&[NONE_KEPT, ("runtime-request-timeout", "4s")]);
        let (outcome, _, error) = fate(&report, &id("u1", "app", 0));
        let trace = bench.ended_trace();
        let stop = trace.iter().find(|c| c.method == "StopContainer").unwrap();
        let kept = there(&bench.log("u1", "app", 0)) && there(&bench.link("u1", "app", 0));
        if hangs {
            assert_eq!((outcome, kept), (Outcome::Failed, true));
            assert!(error.contains("stop") && error.contains("(24s)"), "{error}");
            // By the clock of the runtime, which may see the call late: longer than the request timeout alone.
            assert!(stop.end - stop.start > 8_000_000, "microseconds");
        } else {
            assert_eq!((outcome, kept), (Outcome::Removed, false));
        }
    }
}

/// A container whose labels make its row as large as that.
fn heavy(n: usize, bytes: usize) -> Container {
    let mut labels = crisim::node::Map::new();
    labels.insert("ballast".to_owned(), "x".repeat(bytes).into());
    labels.insert("io.kubernetes.pod.uid".to_owned(), "u1".into());
    Container {
        id: format!("c{n:05}").into(),
        name: "app".into(),
        state: crisim::node::State::Word(Word::Exited),
        created_at: 1_600_000_000 * S + n as i64,
        labels,
        ..Container::default()
    }
}

#[test]
fn s0_6_lists_of_many_megabytes_arrive() {
    let mut rules = Rules::default();
    // How many rows of 10 KB, what the runtime may send, what comes of it.
    let cases = [
        (1500, 16 << 20, None),
        (1700, 16 << 20, Some("larger than max")),
        (3000, 64 << 20, None),
        (14_000, 1 << 30, Some("message length")),
    ];
    for (rows, limit, error) in cases {
        rules.case("S0.6");
        let mut maker = Maker::new();
        maker.node.containers = (0..rows).map(|n| heavy(n, 10_000)).collect();
        maker.options.message_limit = limit;
        let bench = maker.start();
        let keys = [
            ("maximum-dead-containers-per-container", "1495"),
            ("pod-logs-dir", ""),
        ];
        let end = bench.collect(&keys, Flags::default());
        let report = end.report.unwrap();
        match error {
            None => {
                assert_eq!(end.error, None);
                assert_eq!(
                    report.count(Some(Kind::Container), Some(Outcome::Removed)),
                    rows - 1495
                );
            }
            Some(part) => {
                let error = end.error.unwrap();
                assert_eq!(error.status, Status::Runtime, "{error}");
                assert!(
                    error.message.contains(part) && error.message.contains("too large"),
                    "{error}"
                );
                assert_eq!(bench.server.state().containers.len(), rows);
            }
        }
    }
}

#[test]
fn s1_2_the_runtime_is_asked_when_each_candidate_ended() {
    let mut rules = Rules::default();
    rules.case("S1.2");
    let now = 1_700_000_000 * S;
    let mut maker = Maker::new();
    // All were made long ago. Ended: long ago; just now; never told (its creation counts); nobody knows; gone meanwhile.
    let ends = [
        ("old", now - 7200 * S),
        ("young", now - 60 * S),
        ("never", 0),
        ("broken", 0),
        ("gone", 0),
    ];
    for (name, end) in ends {
        maker.bare("u1", name, 0, Word::Exited).finished_at = end;
    }
    maker.bare("u1", "runs", 0, Word::Running);
    maker.fault("ContainerStatus", &id("u1", "broken", 0), code(INTERNAL));
    maker.fault("ContainerStatus", &id("u1", "gone", 0), code(NOT_FOUND));
    let bench = maker.start();
    let mut hooks = bench.hooks();
    hooks.clock = Some(Hook::new(Box::new(move || now)));
    let keys = [
        NONE_KEPT,
        ("container-age-from", "finished"),
        ("minimum-container-ttl-duration", "1h"),
        ("pod-logs-dir", ""),
    ];
    let report = bench
        .engine(&keys, hooks)
        .containers(Flags::default(), None)
        .report
        .unwrap();
    let wanted = [
        ("old", Outcome::Removed, "unit-limit"),
        ("young", Outcome::Kept, "too-young"),
        ("never", Outcome::Removed, "unit-limit"),
        ("broken", Outcome::Kept, "unknown-state"),
        ("gone", Outcome::Removed, "unit-limit"),
        ("runs", Outcome::Kept, "running"),
    ];
    for (name, outcome, reason) in wanted {
        let (was, why, _) = fate(&report, &id("u1", name, 0));
        assert_eq!((was, why), (outcome, reason), "{name}");
    }
    assert_eq!(
        bench.calls("ContainerStatus").len(),
        5,
        "each candidate once, and nobody else"
    );
}

#[test]
fn s2_7_s5_8_images_go_several_at_once_and_no_more_than_are_needed() {
    let mut rules = Rules::default();
    // At once, does the first fail, how many are tried: three of 100 bytes are wanted of six.
    for (limit, fails, tried) in [
        ("1", false, 3),
        ("3", false, 3),
        ("8", false, 3),
        ("3", true, 4),
    ] {
        rules.case("S2.7");
        rules.case("S5.8");
        let six = ["a", "b", "c", "d", "e", "f"].map(|id| image(id, &format!("r/{id}:1"), 100));
        let options = Options {
            delays: [("RemoveImage".to_owned(), Duration::from_secs(1))].into(),
            ..Options::default()
        };
        let server = Server::start(node(six.to_vec()), options).unwrap();
        if fails {
            server.set_faults(vec![Fault::of(
                "RemoveImage",
                "a",
                Action::Late(13, "busy".into()),
            )]);
        }
        let host = Host::new(1500, 0);
        let keys = [("max-parallel-image-removals", limit)];
        let end = images::engine(&server, host.hooks(true), &keys).images(Flags::default(), None);
        let trace = server.trace();
        let removals = trace.iter().filter(|c| c.method == "RemoveImage");
        assert_eq!(removals.clone().count(), tried, "limit {limit}");
        let at_once = removals.map(|c| c.in_flight).max().unwrap_or(0);
        assert_eq!(
            at_once,
            limit.parse::<usize>().unwrap().min(3),
            "limit {limit}"
        );
        let report = end.report.unwrap();
        assert_eq!(report.count(Some(Kind::Image), Some(Outcome::Removed)), 3);
        assert_eq!(report.bytes_freed, 300);
    }
}

#[test]
fn s5_9_what_the_host_refuses_counts_nothing_and_is_no_error() {
    let mut rules = Rules::default();
    // Bytes free of 1000, refused, what becomes of three images of 100 bytes, status.
    type Case = (
        u64,
        &'static [&'static str],
        [&'static str; 3],
        Option<Status>,
    );
    let cases: [Case; 3] = [
        (
            100,
            &["a"],
            ["a refused space", "b removed space", "c kept enough-freed"],
            None,
        ),
        (
            0,
            &["a"],
            ["a refused space", "b removed space", "c removed space"],
            None,
        ),
        (
            0,
            &["a", "b"],
            ["a refused space", "b refused space", "c removed space"],
            Some(Status::NotEnoughFreed),
        ),
    ];
    for (available, refused, want, ended) in cases {
        rules.case("S5.9");
        let three = ["a", "b", "c"].map(|id| image(id, &format!("r/{id}:1"), 100));
        let server = start(node(three.to_vec()));
        let host = Host::new(1000, available);
        let mut hooks = host.hooks(true);
        let approve = move |planned: &Entry| !refused.contains(&&*planned.id);
        hooks.approve = Some(Hook::new(Box::new(approve)));
        let end = images::engine(&server, hooks, &[]).images(Flags::default(), None);
        assert_eq!(told(&end), want, "{refused:?}");
        assert_eq!(status(&end), ended, "{refused:?}");
    }
}

/// What is in flight when a call is cancelled gets 300 ms, not the request timeout of two minutes.
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
            let pass = scope.spawn(|| engine.containers(Flags::default(), Some(&call)));
            while !bench.server.trace().iter().any(|c| c.method == method) {
                assert!(!pass.is_finished(), "it never came to {method}");
                std::thread::sleep(Duration::from_millis(2));
            }
            let cancelled = Instant::now();
            call.cancel();
            (pass.join().unwrap(), cancelled.elapsed())
        });
        assert_eq!(status(&end), Some(Status::Cancelled), "{method}");
        // A watchdog far above 300 ms, and far below the two minutes that would be waited without.
        assert!(took < Duration::from_secs(20), "{method}: {took:?}");
    }
}
