//! Whole passes against a runtime in memory: what they cost (S0.11, S2.6, S3.1).

use crigc::engine::PassOptions;
use crigc::hooks::Hook;
use crigc::node::Text;
use crigc::report::Outcome;
use crisim::node::{Container, Word};
use crisim::{Options, Server};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use test_support::bench::{DRY_RUN, INTERNAL, Maker, code, fate, id, sandbox_id, there, write};
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

#[test]
fn s3_1_a_pass_that_finds_nothing_to_do_lists_once() {
    let mut rules = Rules::default();
    type Make = fn(&mut Maker);
    let table: [(&str, Make, usize); 6] = [
        ("nothing is to be removed", |_| {}, 1),
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
            // Each object has one entry, whichever list decided about it.
            let mut ids: Vec<&str> = report.entries.iter().map(|e| &*e.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), report.entries.len(), "{what}");
            let going = report.entries.iter().filter(|e| e.outcome != Outcome::Kept);
            assert_eq!(
                going.count(),
                usize::from(what != "nothing is to be removed"),
                "{what}"
            );
        }
    }
}

/// The first lists may be out of date before the pass acts on them.
#[test]
fn s3_1_before_a_removal_the_lists_are_taken_again() {
    let mut rules = Rules::default();
    rules.case("S3.1");
    let mut maker = Maker::new();
    for attempt in 0..2 {
        maker.sandbox("u1", attempt, Word::NotReady);
    }
    let bench = maker.start();
    let server = bench.server.clone();
    let mut hooks = bench.hooks();
    // The host is asked between the lists; by then the sandbox has a container.
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
fn s2_4_a_log_that_a_running_container_writes_is_kept_however_its_path_is_spelt() {
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
