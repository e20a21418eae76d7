//! Whole passes in which deadlines and delays of many seconds are waited for (S2.3, S2.7, S5.2, S5.8, S6.5).

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::report::{Entry, Kind, Outcome, Reason};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use crisim::{Options, Server};
use std::time::Duration;
use test_support::bench::{Maker, dead, fate, id, most_at_once, there};
use test_support::fault_node::{everything, mixed};
use test_support::images::{Host, engine, image, node, status, told, user};
use test_support::records::ALL_UNUSED;
use test_support::rules::Rules;

const ONE_BY_ONE: (&str, &str) = ("max-parallel-removals", "1");
const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");
/// The job of each kind, on the node with something of all kinds; what stands for it there.
const JOBS: [(Kind, &str); 5] = [
    (Kind::Container, "cu1app0x0000"),
    (Kind::Sandbox, "su1a1x0000"),
    (Kind::Sandbox, "srunsa1x0000"),
    (Kind::PodLogs, "/pods/ns_pod-left_left"),
    (Kind::LogLink, "/links/p_n_c-0123456789.log"),
];

#[test]
fn s6_5_a_kind_that_hangs_does_not_starve_the_others() {
    let mut rules = Rules::default();
    for (method, hangs, doing) in [
        (
            "RemoveContainer",
            &[Kind::Container][..],
            "cannot remove container",
        ),
        (
            "StopPodSandbox",
            &[Kind::Sandbox],
            "cannot stop pod sandbox",
        ),
        (
            "RemovePodSandbox",
            &[Kind::Sandbox],
            "cannot remove pod sandbox",
        ),
        // Before a container's logs are deleted, a runtime that left a call unanswered is asked for its status.
        (
            "ContainerStatus",
            &[Kind::Container, Kind::LogLink],
            "cannot ask for the status of container",
        ),
    ] {
        rules.case("S6.5");
        let bench = mixed(false);
        let before = everything(&bench);
        bench
            .server
            .set_faults(vec![Fault::all(method, Action::Hang)]);
        // Else the next container would be begun before the call counts as left without an answer.
        let keys = [("runtime-request-timeout", "3s"), ONE_BY_ONE];
        let engine = bench.engine(&keys, bench.hooks());
        let end = engine.containers(PassOptions::default(), None);
        let after = everything(&bench);
        for (kind, name) in JOBS {
            assert!(before.contains(name), "{name}");
            assert_eq!(
                after.contains(name),
                hangs.contains(&kind),
                "{method} hangs: {name}"
            );
        }
        // S6.4: failures of single objects do not fail the pass.
        assert_eq!(end.error, None, "{method}");
        let entries = end.report.unwrap().entries;
        let named: Vec<&String> = before.iter().filter(|name| has_an_entry(name)).collect();
        assert_eq!((named.len(), entries.len()), (20, 20), "{method}");
        for name in named {
            let is_of = |e: &&Entry| e.id.ends_with(name.as_str());
            let own: Vec<&Entry> = entries.iter().filter(is_of).collect();
            let [entry] = own[..] else {
                panic!("{method} hangs: {name}: {own:?}");
            };
            let what = format!("{method} hangs: {entry:?}");
            let is_gone = entry.outcome == Outcome::Removed;
            assert_ne!(is_gone, after.contains(name), "{what}");
            says_what_hung(entry, name, hangs, doing, &what);
        }
    }
}

/// A removal that hung has failed, and names the call; a link without an answer is kept; nothing else failed.
fn says_what_hung(entry: &Entry, name: &str, hangs: &[Kind], doing: &str, what: &str) {
    let is_job = JOBS.iter().any(|(_, job)| *job == name);
    let is_stuck = is_job && hangs.contains(&entry.kind);
    if is_stuck && entry.kind == Kind::LogLink {
        let fate = (entry.outcome, entry.reason);
        return assert_eq!(fate, (Outcome::Kept, Reason::LinkUnknown), "{what}");
    }
    let Some(error) = &entry.error else {
        assert!(!is_stuck && entry.outcome != Outcome::Failed, "{what}");
        return;
    };
    assert_eq!(entry.outcome, Outcome::Failed, "{what}");
    assert!(hangs.contains(&entry.kind), "{what}");
    assert!(error.starts_with(&format!("{doing} {name} ")), "{what}");
    let late = "no answer within runtime-request-timeout (3s)";
    assert!(error.contains(late), "{what}");
}

/// The objects of the runtime, the pods' log directories, and the links to nowhere.
fn has_an_entry(name: &str) -> bool {
    match name.strip_prefix("/pods/") {
        Some(below) => !below.contains('/'),
        None => !name.starts_with('/') || name.starts_with("/links/p_n_c-"),
    }
}

#[test]
fn s6_5_a_runtime_whose_removals_hang_is_not_asked_for_ever() {
    let mut rules = Rules::default();
    rules.case("S6.5");
    let mut maker = dead(40);
    maker
        .options
        .faults
        .push(Fault::all("RemoveContainer", Action::Hang));
    let bench = maker.start();
    let settings = [ONE_BY_ONE, NONE_KEPT, ("runtime-request-timeout", "3s")];
    let end = bench.collect(&settings, PassOptions::default());
    let report = end.report.unwrap();
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Failed)),
        10
    );
    assert_eq!(fate(&report, &id("u1", "c39", 0)).1, "not-reached");
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Timeout, "{error}");
    assert!(error.message.contains("the last 10 calls"), "{error}");
    assert_eq!(bench.calls("RemoveContainer").len(), 10);
}

#[test]
fn s2_7_single_removals_that_hang_do_not_end_the_others() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    let mut maker = dead(24);
    for n in (0..24).step_by(2) {
        let id = id("u1", &format!("c{n:02}"), 0);
        maker
            .options
            .faults
            .push(Fault::of("RemoveContainer", &id, Action::Hang));
    }
    let bench = maker.start();
    let settings = [ONE_BY_ONE, NONE_KEPT, ("runtime-request-timeout", "3s")];
    let end = bench.collect(&settings, PassOptions::default());
    assert_eq!(end.error, None);
    let report = end.report.unwrap();
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Failed)),
        12
    );
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Removed)),
        12
    );
}

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
        if hangs {
            maker.fault("StopContainer", &id("u1", "app", 0), Action::Hang)
        } else {
            let delay = Duration::from_secs(5);
            maker
                .options
                .delays
                .insert("StopContainer".to_owned(), delay);
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

#[test]
fn s2_7_removals_run_side_by_side_up_to_the_limit() {
    let mut rules = Rules::default();
    for (limit, containers, sandboxes) in [("1", 1, 1), ("2", 2, 1), ("4", 4, 2), ("9", 9, 4)] {
        rules.case("S2.7");
        let mut maker = Maker::new();
        for n in 0..12 {
            maker.container("u1", &format!("c{n}"), 0, Word::Exited);
        }
        for attempt in 1..12 {
            maker.sandbox("u2", attempt, Word::NotReady);
        }
        for (method, slots) in [
            ("RemoveContainer", containers),
            ("StopPodSandbox", sandboxes),
            ("RemovePodSandbox", sandboxes),
        ] {
            // Long enough that all slots are filled before the first is free again.
            let delay = Duration::from_millis(100 * slots as u64);
            maker.options.delays.insert(method.to_owned(), delay);
        }
        let bench = maker.start();
        let report = bench.collected(&[NONE_KEPT, ("max-parallel-removals", limit)]);
        assert_eq!(
            report.count(Some(Kind::Container), Some(Outcome::Removed)),
            12
        );
        let trace = bench.server.trace();
        let (stop, remove) = ("StopPodSandbox", "RemovePodSandbox");
        for (methods, slots) in [
            (&["RemoveContainer"][..], containers),
            (&[stop], sandboxes),
            (&[remove], sandboxes),
            (&[stop, remove], sandboxes),
        ] {
            let most = most_at_once(&trace, methods);
            assert_eq!(most, slots, "limit {limit}, {methods:?}");
        }
        let begun = bench.calls("RemoveContainer");
        let planned = report.entries.iter().filter(|e| e.kind == Kind::Container);
        let planned: Vec<String> = planned.map(|e| e.id.to_string()).collect();
        assert_eq!(begun, planned, "started in plan order");
    }
}

#[test]
fn s2_7_a_slow_one_holds_no_other_up() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    let mut maker = Maker::new();
    maker.restarted("u1", 30);
    maker.fault("RemoveContainer", &id("u1", "app", 0), Action::Hang);
    let bench = maker.start();
    let keys = [
        ("max-parallel-removals", "2"),
        ("runtime-request-timeout", "15s"),
    ];
    let report = bench.collected(&keys);
    let (outcome, _, error) = fate(&report, &id("u1", "app", 0));
    assert_eq!(outcome, Outcome::Failed);
    assert!(error.contains("runtime-request-timeout"), "{error}");
    let trace = bench.ended_trace();
    let hung = trace.iter().find(|c| c.id == id("u1", "app", 0)).unwrap();
    let others = trace
        .iter()
        .filter(|c| c.method == "RemoveContainer" && c.id != hung.id);
    assert_eq!(others.clone().filter(|c| c.start < hung.end).count(), 28);
}

/// S5.2: an answer counts as fresh from its end where it takes longer to come than it may be old.
#[test]
fn s5_2_a_list_of_containers_that_takes_11_seconds_is_fresh_enough_with_the_default() {
    let mut rules = Rules::default();
    rules.case("S5.2");
    let slow = Duration::from_secs(11);
    let options = Options {
        streams: false,
        delays: [("ListContainers".to_owned(), slow)].into(),
        ..Options::default()
    };
    let four = ["a", "b", "c", "u"].map(|id| image(id, &format!("r/{id}:1"), 100));
    let mut made = node(four.to_vec());
    made.containers.push(user("x", "r/u:1"));
    let server = Server::start(made, options).unwrap();
    let host = Host::new(1000, 0);
    let end = engine(&server, host.hooks(true), &[]).images(ALL_UNUSED, None);
    let expected = [
        "a removed unused",
        "b removed unused",
        "c removed unused",
        "u kept in-use",
    ];
    assert_eq!(told(&end), expected);
    assert_eq!(status(&end), None, "{:?}", end.error);
    // One is enough, unless the machine stalls for longer than an answer may be old; one for each image is what there must not be.
    let trace = server.trace();
    let lists = trace.iter().filter(|c| c.method == "ListContainers");
    assert!(lists.count() <= 3);
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
        let end = engine(&server, host.hooks(true), &keys).images(PassOptions::default(), None);
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
