//! Whole passes against a runtime in memory: what they cost, and what runs side by side (S0.11, S2.6, S2.7).

use crigc::engine::PassOptions;
use crigc::hooks::Hook;
use crigc::node::Text;
use crigc::report::{Kind, Outcome};
use crisim::fault::Action;
use crisim::node::{Container, Word};
use crisim::trace::Call;
use crisim::{Options, Server};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use test_support::bench::{DRY_RUN, INTERNAL, Maker, code, fate, id, sandbox_id, there, write};
use test_support::large;
use test_support::rules::Rules;

const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");

#[test]
fn s0_11_a_connection_lives_for_one_pass() {
    let mut rules = Rules::default();
    rules.case("S0.11");
    let mut maker = Maker::new();
    maker.restarted("u1", 3);
    let socket = maker.path("runtime.sock");
    maker.options.socket = Some(socket.clone());
    let mut bench = maker.start();
    let engine = bench.engine(&[], bench.hooks());
    let pass = || engine.containers(PassOptions::default(), None);
    assert_eq!(pass().error, None);
    // The runtime restarts, and is there again before the next pass.
    let node = bench.server.state();
    let options = || Options {
        socket: Some(socket.clone()),
        ..Options::default()
    };
    bench.server =
        Arc::new(Server::start(crisim::node::Node::default(), Options::default()).unwrap());
    assert!(pass().error.is_some(), "no runtime listens");
    bench.server = Arc::new(Server::start(node, options()).unwrap());
    assert_eq!(pass().error, None);
    assert_eq!(bench.containers().len(), 1);
}

#[test]
fn s2_6_a_removal_costs_one_call_where_the_log_is_known() {
    let mut rules = Rules::default();
    rules.case("S2.6");
    let mut maker = Maker::new();
    maker.restarted("u1", 20);
    // The pod's log directory does not exist, though pod-logs-dir does.
    maker.bare("u2", "app", 0, Word::Exited);
    let bench = maker.start();
    bench.collected(&[NONE_KEPT]);
    assert_eq!(bench.calls("RemoveContainer").len(), 21);
    let methods: Vec<&str> = bench.server.trace().iter().map(|c| c.method).collect();
    let count = |method: &str| methods.iter().filter(|m| **m == method).count();
    assert_eq!((count("ListContainers"), count("ListPodSandbox")), (2, 2));
    // Whether it streams is learnt once, about this version (S7).
    assert_eq!(
        (count("StreamContainers"), count("StreamPodSandboxes")),
        (1, 1)
    );
    assert_eq!(count("Version"), 1);
    assert_eq!(methods.len(), 21 + 4 + 3, "{methods:?}");
}

/// The most calls of these methods that were in flight at once.
fn most_at_once(trace: &[Call], methods: &[&str]) -> usize {
    let calls = || trace.iter().filter(|call| methods.contains(&call.method));
    let with = |time: u64| calls().filter(move |call| call.start <= time && time < call.end);
    let most = calls().map(|call| with(call.start).count()).max();
    most.unwrap_or(0)
}

/// The bench of CI: `make bench` measures the same on large nodes, beside the kubelet.
#[test]
fn s2_6_s2_7_calls_stay_one_for_each_container_and_no_more_are_in_flight_than_allowed() {
    let mut rules = Rules::default();
    for streams in [false, true] {
        for parallel in [1, 4, 16] {
            rules.case("S2.6");
            let mut maker = Maker::new();
            for pod in 0..10 {
                maker.restarted(&format!("u{pod}"), 50);
            }
            maker.options.streams = streams;
            // Long enough that all slots are filled before the first is free again.
            let delay = Duration::from_millis(2 * parallel as u64);
            maker.options.delays.insert("RemoveContainer".into(), delay);
            let bench = maker.start();
            let report = bench.collected(&[("max-parallel-removals", &parallel.to_string())]);
            let removed = report.count(Some(Kind::Container), Some(Outcome::Removed));
            assert_eq!(removed, 490);
            let trace = bench.server.trace();
            let each = trace.len() as f64 / removed as f64;
            let in_flight = most_at_once(&trace, &["RemoveContainer"]);
            println!(
                "streams {streams}, {parallel} at once: {each:.3} RPCs for a container, {in_flight} in flight"
            );
            assert!(each <= 1.02, "{each} RPCs for a container");
            assert_eq!(in_flight, parallel);
            assert!(trace.iter().all(|call| call.in_flight <= parallel));
        }
    }
}

#[test]
fn s3_1_a_pass_that_finds_nothing_to_do_looks_once() {
    let mut rules = Rules::default();
    type Make = fn(&mut Maker);
    let table: [(&str, Make, usize); 6] = [
        ("nothing is to go", |_| {}, 1),
        ("a container", |m| m.restarted("u2", 2), 2),
        (
            "a container that cannot be removed",
            |m| {
                m.restarted("u2", 2);
                m.fault("RemoveContainer", &id("u2", "app", 0), code(INTERNAL));
            },
            2,
        ),
        (
            "a sandbox",
            |m| {
                for attempt in 0..2 {
                    m.sandbox("u2", attempt, Word::NotReady);
                }
            },
            2,
        ),
        (
            "logs of a pod that is gone",
            |m| write(&m.path("pods/ns_pod-gone_gone/app/0.log")),
            2,
        ),
        (
            "a link",
            |m| symlink("/nowhere", m.path("links/a_b_c-0123456789.log")).unwrap(),
            1,
        ),
    ];
    for (what, make, looks) in table {
        for dry_run in [false, true] {
            rules.case("S3.1");
            let mut maker = Maker::new();
            maker.sandbox("u1", 0, Word::Ready);
            maker.container("u1", "app", 0, Word::Exited);
            maker.container("u1", "app", 1, Word::Running);
            make(&mut maker);
            let bench = maker.start();
            bench.host.remove_pod("gone");
            let flags = if dry_run {
                DRY_RUN
            } else {
                PassOptions::default()
            };
            let report = bench.collect(&[], flags).report.unwrap();
            let lists = ["ListContainers", "ListPodSandbox"].map(|list| bench.calls(list).len());
            assert_eq!(lists, [looks; 2], "{what}, dry run: {dry_run}");
            // Each object has its entry once, by whichever look it was decided.
            let mut ids: Vec<&str> = report.entries.iter().map(|e| &*e.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), report.entries.len(), "{what}");
            let going = report.entries.iter().filter(|e| e.outcome != Outcome::Kept);
            assert_eq!(
                going.count(),
                usize::from(what != "nothing is to go"),
                "{what}"
            );
        }
    }
}

/// What a first look shows may be over before it is acted upon.
#[test]
fn s3_1_what_a_first_look_would_remove_is_looked_at_again() {
    let mut rules = Rules::default();
    rules.case("S3.1");
    let mut maker = Maker::new();
    for attempt in 0..2 {
        maker.sandbox("u1", attempt, Word::NotReady);
    }
    let bench = maker.start();
    let server = bench.server.clone();
    let mut hooks = bench.hooks();
    // The host is asked between the looks; by then the sandbox has a container.
    let host = bench.host.clone();
    hooks.pod_states = Some(Hook::new(Box::new(move |uids: &[Text]| {
        let sandbox = sandbox_id("u1", 0);
        server.edit(|node| {
            if node.containers.is_empty() {
                node.containers.push(Container {
                    id: "late".into(),
                    sandbox_id: sandbox.into(),
                    ..Container::default()
                });
            }
        });
        host.answer(uids)
    })));
    let end = bench
        .engine(&[], hooks)
        .containers(PassOptions::default(), None);
    assert_eq!(end.error, None);
    let (outcome, reason, _) = fate(&end.report.unwrap(), &sandbox_id("u1", 0));
    assert_eq!((outcome, reason), (Outcome::Kept, "active"));
    assert_eq!(bench.sandboxes().len(), 2);
}

#[test]
fn s2_6_the_log_of_a_pod_whose_directory_is_named_by_its_uid_alone_is_found() {
    let mut rules = Rules::default();
    rules.case("S2.6");
    let mut maker = Maker::new();
    maker.container("u1", "app", 0, Word::Exited);
    let log = maker.log("u1", "app", 0);
    let dir = log.parent().and_then(Path::parent).unwrap();
    let old = dir.with_file_name("u1");
    fs::rename(dir, &old).unwrap();
    let log = old.join("app/0.log");
    maker.node.containers[0].log_path = log.display().to_string().into();
    let bench = maker.start();
    bench.collected(&[NONE_KEPT]);
    assert!(bench.containers().is_empty() && !there(&log));
}

#[test]
fn s2_4_a_log_that_a_running_container_writes_stays_however_its_path_is_spelt() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    for spelt in [false, true] {
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Exited);
        let log = maker.log("u1", "app", 0);
        let top = log.ancestors().nth(3).unwrap().to_owned();
        let mut running = maker.node.containers[0].clone();
        running.id = "running".into();
        running.state = crisim::node::State::Word(Word::Running);
        maker.node.containers.push(running);
        if spelt {
            let other = top.with_file_name("spelt-otherwise");
            std::os::unix::fs::symlink(&top, &other).unwrap();
            let told = other.join(log.strip_prefix(&top).unwrap());
            maker.node.containers[0].log_path = told.display().to_string().into();
        }
        let bench = maker.start();
        bench.collected(&[NONE_KEPT]);
        assert_eq!(bench.containers(), ["running".to_owned()].into());
        assert!(there(&log), "spelt otherwise: {spelt}");
    }
}

#[test]
fn s2_6_where_the_log_is_not_known_the_runtime_is_asked() {
    let mut rules = Rules::default();
    type Change = fn(&mut Container, &Path);
    let table: [(&str, Change); 6] = [
        ("no pod name", |c, _| {
            drop(c.labels.remove("io.kubernetes.pod.name"))
        }),
        ("no namespace", |c, _| {
            drop(c.labels.remove("io.kubernetes.pod.namespace"))
        }),
        ("no UID", |c, _| {
            drop(c.labels.remove("io.kubernetes.pod.uid"))
        }),
        ("no container name", |c, _| {
            drop(c.labels.remove("io.kubernetes.container.name"))
        }),
        ("another attempt", |c, _| c.attempt = 7),
        ("no such file", |_, log| fs::remove_file(log).unwrap()),
    ];
    for (what, change) in table {
        rules.case("S2.6");
        for (status, goes) in [(None, true), (Some(INTERNAL), false)] {
            let mut maker = Maker::new();
            maker.container("u1", "app", 0, Word::Exited);
            let log = maker.log("u1", "app", 0);
            // Left behind, it would be asked about once more (S4.2).
            fs::remove_file(maker.link("u1", "app", 0)).unwrap();
            change(&mut maker.node.containers[0], &log);
            if let Some(status) = status {
                maker.fault("ContainerStatus", &id("u1", "app", 0), code(status));
            }
            let bench = maker.start();
            let end = bench.collect(&[NONE_KEPT], PassOptions::default());
            assert_eq!(end.error, None);
            assert_eq!(bench.calls("ContainerStatus").len(), 1, "{what}");
            assert_eq!(bench.containers().is_empty(), goes, "{what}");
            if goes {
                assert!(!there(&log), "{what}");
            } else {
                let (outcome, _, error) = fate(&end.report.unwrap(), &id("u1", "app", 0));
                assert_eq!(outcome, Outcome::Failed, "{what}");
                assert!(error.contains(&id("u1", "app", 0)), "{error}");
            }
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

/// Sandboxes whose containers are known lead to no parts of their own.
#[test]
fn s7_3_sandboxes_by_the_hundred_do_not_make_parts_by_the_hundred() {
    let mut rules = Rules::default();
    // UIDs, and whether the host calls them gone.
    for (deleted, most) in [(false, 8), (true, 8)] {
        rules.case("S7.3");
        let uids: Vec<String> = (0..150).map(|n| format!("p{n}")).collect();
        let pods: Vec<large::Pod<'_>> = uids
            .iter()
            .map(|uid| large::Pod {
                namespace: "shop",
                uid,
                state: Word::NotReady,
                names: &["web", "side", "log"],
                dead: 1,
            })
            .collect();
        let bench = large::node(60, &pods, large::nothing);
        if deleted {
            uids.iter().for_each(|uid| bench.host.remove_pod(uid));
        }
        let end = bench.collect(&[], PassOptions::default());
        assert_eq!(end.error, None);
        let left = if deleted { 0 } else { 450 };
        assert_eq!(bench.containers().len(), left);
        // Whole, what runs, whole with the three names, and the same for the second look.
        assert!(bench.calls("ListContainers").len() <= 2 * most, "{deleted}");
    }
}
