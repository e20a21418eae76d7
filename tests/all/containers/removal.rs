//! Whole passes against a runtime in memory: removing dead containers, their logs and links (S1.8, S2).

use crigc::engine::PassOptions;
use crigc::hooks::Hook;
use crigc::report::{Entry, Kind, Outcome};
use crisim::fault::Fault;
use crisim::node::{State, Word};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use test_support::bench::{
    Bench, DRY_RUN, INTERNAL, Maker, NOT_FOUND, code, fate, id, sandbox_id, there, write,
};
use test_support::rules::Rules;

const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");
const ONE_BY_ONE: (&str, &str) = ("max-parallel-removals", "1");

#[test]
fn s2_a_pass_keeps_the_newest_of_each_unit_and_its_logs() {
    let mut rules = Rules::default();
    let mut maker = Maker::new();
    maker.restarted("u1", 3);
    maker.container("u1", "app", 3, Word::Running);
    let bench = maker.start();
    let report = bench.collected(&[]);
    let left = BTreeSet::from([id("u1", "app", 2), id("u1", "app", 3)]);
    assert_eq!(bench.containers(), left);
    for (attempt, stays) in [(0, false), (1, false), (2, true), (3, true)] {
        rules.case("S1.5");
        let log = bench.log("u1", "app", attempt);
        assert_eq!(there(&log), stays, "{attempt}");
        assert_eq!(there(&log.with_extension("log.20261123-000000")), stays);
        assert_eq!(there(&bench.link("u1", "app", attempt)), stays);
    }
    assert_eq!(fate(&report, &id("u1", "app", 0)).1, "unit-limit");
    assert_eq!(fate(&report, &id("u1", "app", 2)).1, "within-limit");
    assert_eq!(fate(&report, &id("u1", "app", 3)).1, "running");
    assert_eq!(fate(&report, &sandbox_id("u1", 0)).1, "active");
}

/// A node with something of every kind to remove.
fn one_of_each() -> Bench {
    let mut maker = Maker::new();
    maker.restarted("u1", 2);
    maker.sandbox("u2", 0, Word::NotReady);
    maker.sandbox("u2", 1, Word::NotReady);
    let orphan = maker.path("pods/ns_pod-u3_u3/app/0.log");
    write(&orphan);
    symlink("/nowhere", maker.path("links/a_b_c-0123456789.log")).unwrap();
    let bench = maker.start();
    bench.host.remove_pod("u3");
    bench
}

#[test]
fn s2_1_an_object_that_the_host_does_not_approve_is_refused() {
    let mut rules = Rules::default();
    let bench = one_of_each();
    let before = bench.everything();
    let asked: Arc<Mutex<Vec<(Kind, &str)>>> = Arc::default();
    let seen = asked.clone();
    let mut hooks = bench.hooks();
    let approve = move |entry: &Entry| {
        seen.lock().unwrap().push((entry.kind, entry.reason.word()));
        false
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let engine = bench.engine(&[], hooks);

    let dry = engine.containers(DRY_RUN, None).report.unwrap();
    assert_eq!(dry.count(None, Some(Outcome::Removed)), 4);
    assert!(asked.lock().unwrap().is_empty(), "a dry run asked");

    let end = engine.containers(PassOptions::default(), None);
    assert_eq!(end.error, None, "a refusal is no failure of the pass");
    let report = end.report.unwrap();
    let kinds = [
        (Kind::Container, "unit-limit"),
        (Kind::Sandbox, "older-sandbox"),
        (Kind::PodLogs, "pod-removed"),
        (Kind::LogLink, "dead-link"),
    ];
    assert_eq!(*asked.lock().unwrap(), kinds);
    for (kind, _) in kinds {
        rules.case("S2.1");
        assert_eq!(
            report.count(Some(kind), Some(Outcome::Refused)),
            1,
            "{kind:?}"
        );
    }
    assert_eq!(report.count(None, Some(Outcome::Removed)), 0);
    assert_eq!(bench.everything(), before);
}

#[test]
fn s2_2_a_created_container_that_was_started_meanwhile_is_kept() {
    let mut rules = Rules::default();
    rules.case("S2.2");
    let mut maker = Maker::new();
    for attempt in 0..2 {
        maker.container("u1", "app", attempt, Word::Created);
    }
    let bench = maker.start();
    let started = id("u1", "app", 0);
    let mut hooks = bench.hooks();
    let server = bench.server.clone();
    let of_hook = started.clone();
    let approve = move |entry: &Entry| {
        if *entry.id == *of_hook {
            server.edit(|node| node.containers[0].state = State::Word(Word::Running));
        }
        true
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let engine = bench.engine(&[NONE_KEPT], hooks);
    let report = engine
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    let (outcome, reason, _) = fate(&report, &started);
    assert_eq!((outcome, reason), (Outcome::Kept, "running"));
    assert_eq!(bench.containers(), BTreeSet::from([started]));
    assert!(there(&bench.log("u1", "app", 0)) && there(&bench.link("u1", "app", 0)));
    assert_eq!(bench.calls("RemoveContainer"), [id("u1", "app", 1)]);
}

#[test]
fn s2_3_an_unknown_container_is_stopped_first_with_its_grace_period() {
    let mut rules = Rules::default();
    // deletion, termination, what StopContainer is given
    let table: [(Option<&str>, Option<&str>, i64); 9] = [
        (None, None, 2),
        (Some("30"), Some("60"), 30),
        (None, Some("60"), 60),
        (Some("0"), Some("60"), 2),
        (Some("1"), None, 2),
        (Some("-5"), Some("60"), 60),
        (Some("soon"), Some("-1"), 2),
        (Some(""), Some("7"), 7),
        // As many seconds as 63 bits of nanoseconds hold.
        (Some("9223372036854775807"), None, 9_223_372_036),
    ];
    for (deletion, termination, timeout) in table {
        rules.case("S2.3");
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Unknown);
        let annotations = [
            ("io.kubernetes.pod.deletionGracePeriod", deletion),
            ("io.kubernetes.pod.terminationGracePeriod", termination),
        ];
        for (key, value) in annotations {
            let container = &mut maker.node.containers[0];
            container
                .annotations
                .extend(value.map(|value| (key.to_owned(), value.into())));
        }
        let bench = maker.start();
        bench.collected(&[NONE_KEPT]);
        let trace = bench.server.trace();
        let stop = trace.iter().find(|c| c.method == "StopContainer").unwrap();
        let remove = trace
            .iter()
            .find(|c| c.method == "RemoveContainer")
            .unwrap();
        assert_eq!(stop.argument, timeout, "{deletion:?} {termination:?}");
        assert!(stop.end <= remove.start, "removed before it was stopped");
        assert!(bench.containers().is_empty() && !there(&bench.log("u1", "app", 0)));
    }
}

#[test]
fn s2_3_a_failing_stop_keeps_the_container_and_not_found_does_not() {
    let mut rules = Rules::default();
    for (status, goes) in [(INTERNAL, false), (NOT_FOUND, true)] {
        rules.case("S2.3");
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Unknown);
        maker.fault("StopContainer", &id("u1", "app", 0), code(status));
        let bench = maker.start();
        let end = bench.collect(&[NONE_KEPT], PassOptions::default());
        assert_eq!(end.error, None);
        assert_eq!(bench.containers().is_empty(), goes);
        // S2.5: the log of a container that was removed already may belong to another by now.
        assert!(there(&bench.log("u1", "app", 0)) && there(&bench.link("u1", "app", 0)));
        if !goes {
            let (outcome, _, error) = fate(&end.report.unwrap(), &id("u1", "app", 0));
            assert_eq!(outcome, Outcome::Failed);
            assert!(
                error.contains("stop") && error.contains("as the test wants it"),
                "{error}"
            );
        }
    }
}

#[test]
fn s2_3_stops_have_two_slots_of_their_own_and_hold_nothing_else_up() {
    let mut rules = Rules::default();
    rules.case("S2.3");
    let mut maker = Maker::new();
    for n in 0..5 {
        maker.container("u1", &format!("lost{n}"), 0, Word::Unknown);
    }
    for n in 0..5 {
        maker.container("u1", &format!("dead{n}"), 0, Word::Exited);
    }
    let delay = Duration::from_millis(500);
    maker
        .options
        .delays
        .insert("StopContainer".to_owned(), delay);
    let bench = maker.start();
    bench.collected(&[NONE_KEPT, ONE_BY_ONE]);
    assert!(bench.containers().is_empty());
    let trace = bench.server.trace();
    let stops = || trace.iter().filter(|c| c.method == "StopContainer");
    assert_eq!(stops().map(|c| c.in_flight).max(), Some(2));
    assert_eq!(stops().count(), 5);
    let first_end = stops().map(|c| c.end).min().unwrap();
    let held_up = |c: &&crisim::trace::Call| {
        c.method == "RemoveContainer" && c.id.contains("dead") && c.end > first_end
    };
    assert_eq!(trace.iter().filter(held_up).count(), 0, "waited for a stop");
}

/// What is in the way of a container's logs, and which path of its own a message has to name.
type Obstacle = fn(&mut Maker) -> String;

#[test]
fn s2_4_a_container_whose_log_cannot_be_deleted_is_kept() {
    let mut rules = Rules::default();
    let obstacles: [(&str, Obstacle); 3] = [
        ("a directory in place of the log", |maker| {
            let log = maker.log("u1", "app", 0);
            fs::remove_file(&log).unwrap();
            write(&log.join("precious"));
            log.to_str().unwrap().to_owned()
        }),
        ("a directory in place of a rotated log", |maker| {
            let rotated = maker.log("u1", "app", 0).with_extension("log.1");
            write(&rotated.join("precious"));
            rotated.to_str().unwrap().to_owned()
        }),
        ("a directory in place of the link", |maker| {
            let link = maker.link("u1", "app", 0);
            fs::remove_file(&link).unwrap();
            write(&link.join("precious"));
            link.to_str().unwrap().to_owned()
        }),
    ];
    for (what, obstacle) in obstacles {
        rules.case("S2.4");
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Exited);
        maker.container("u1", "other", 0, Word::Exited);
        let named = obstacle(&mut maker);
        let bench = maker.start();
        let report = bench.collected(&[NONE_KEPT]);
        let (outcome, _, error) = fate(&report, &id("u1", "app", 0));
        assert_eq!(outcome, Outcome::Failed, "{what}");
        assert!(error.contains(&named), "{what}: {error}");
        assert_eq!(
            bench.containers(),
            BTreeSet::from([id("u1", "app", 0)]),
            "{what}"
        );
        assert_eq!(
            bench.calls("RemoveContainer"),
            [id("u1", "other", 0)],
            "{what}"
        );
        assert!(there(&bench.path("outside/canary")), "{what}");
    }
}

#[test]
fn s2_4_logs_go_before_the_container_and_a_second_pass_finishes_it() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let mut maker = Maker::new();
    maker.container("u1", "app", 0, Word::Exited);
    maker.fault("RemoveContainer", &id("u1", "app", 0), code(INTERNAL));
    let bench = maker.start();
    let report = bench.collected(&[NONE_KEPT]);
    assert_eq!(fate(&report, &id("u1", "app", 0)).0, Outcome::Failed);
    assert!(!there(&bench.log("u1", "app", 0)) && !there(&bench.link("u1", "app", 0)));
    bench.server.set_faults(Vec::new());
    let report = bench.collected(&[NONE_KEPT]);
    assert_eq!(fate(&report, &id("u1", "app", 0)).0, Outcome::Removed);
    assert!(bench.containers().is_empty());
}

#[test]
fn s2_4_the_name_of_a_link_is_cut_to_what_a_file_name_can_be() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let mut maker = Maker::new();
    let pod = "p".repeat(253);
    let container = maker.bare("u1", "app", 0, Word::Exited);
    let labels = &mut container.labels;
    labels.insert("io.kubernetes.pod.name".to_owned(), pod.as_str().into());
    container.log_path = "".into();
    let link = maker
        .path("links")
        .join(format!("{}.log", &format!("{pod}_ns_app")[..251]));
    symlink(maker.path("outside/canary"), &link).unwrap();
    let bench = maker.start();
    bench.collected(&[NONE_KEPT]);
    assert!(!there(&link) && bench.containers().is_empty());
}

#[test]
fn s2_4_hostile_labels_name_no_path_and_no_link() {
    let mut rules = Rules::default();
    for label in ["", ".", "..", "../../outside", "a/b", "/", "a\0b"] {
        rules.case("S2.4");
        for key in ["pod.name", "pod.namespace", "container.name"] {
            let mut maker = Maker::new();
            maker.sandbox("u1", 0, Word::NotReady);
            let labels = &mut maker.bare("u1", "app", 0, Word::Exited).labels;
            labels.insert(format!("io.kubernetes.{key}"), label.into());
            let log = maker.log("u1", "app", 0);
            write(&log);
            symlink(&log, maker.path("links/b_c_d-0.log")).unwrap();
            let bench = maker.start();
            bench.collected(&[NONE_KEPT]);
            assert!(bench.containers().is_empty(), "{key} {label:?}");
            assert_eq!(
                bench.calls("ContainerStatus").first(),
                Some(&id("u1", "app", 0))
            );
            assert!(!there(&log), "the log of the runtime's path was deleted");
            assert!(there(&bench.path("outside/canary")));
        }
    }
}

#[test]
fn s2_4_an_empty_path_or_one_that_ends_in_a_slash_deletes_nothing() {
    let mut rules = Rules::default();
    for path in ["", "PODS/", "PODS/ns_pod-u1_u1/app/"] {
        rules.case("S2.4");
        let mut maker = Maker::new();
        let pods = maker.path("pods").to_str().unwrap().to_owned();
        maker.bare("u1", "app", 0, Word::Exited).log_path = path.replace("PODS", &pods).into();
        let stays = maker.path("pods/ns_pod-u1_u1/app/other");
        write(&stays);
        let bench = maker.start();
        bench.collected(&[NONE_KEPT]);
        assert!(bench.containers().is_empty() && there(&stays), "{path}");
    }
}

#[test]
fn s2_4_without_a_key_of_the_directory_containers_are_removed_without_their_logs() {
    let mut rules = Rules::default();
    for (key, log_stays) in [("pod-logs-dir", true), ("container-logs-dir", false)] {
        rules.case("S2.4");
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Exited);
        let bench = maker.start();
        bench.collected(&[NONE_KEPT, (key, "")]);
        assert!(bench.containers().is_empty());
        assert_eq!(there(&bench.log("u1", "app", 0)), log_stays);
        assert_eq!(there(&bench.link("u1", "app", 0)), !log_stays);
        assert!(bench.calls("ContainerStatus").is_empty());
    }
}

#[test]
fn s2_5_an_object_that_is_gone_already_is_a_success() {
    let mut rules = Rules::default();
    rules.case("S2.5");
    let mut maker = Maker::new();
    maker.container("u1", "raced", 0, Word::Exited);
    maker.container("u1", "lost", 0, Word::Exited);
    maker.fault("RemoveContainer", &id("u1", "raced", 0), code(NOT_FOUND));
    maker.fault("ContainerStatus", &id("u1", "lost", 0), code(NOT_FOUND));
    // Its log path is not known from the list, so the runtime is asked.
    let lost = &mut maker.node.containers[1];
    lost.labels.remove("io.kubernetes.pod.namespace");
    let bench = maker.start();
    let report = bench.collected(&[NONE_KEPT]);
    for name in ["raced", "lost"] {
        assert_eq!(
            fate(&report, &id("u1", name, 0)).0,
            Outcome::Removed,
            "{name}"
        );
    }
    assert!(!there(&bench.log("u1", "raced", 0)));
    assert!(
        there(&bench.log("u1", "lost", 0)),
        "a new container may use the same path"
    );
    assert_eq!(bench.calls("RemoveContainer"), [id("u1", "raced", 0)]);
}

#[test]
fn s1_8_a_failing_removal_counts_as_done_and_stops_nothing() {
    let mut rules = Rules::default();
    rules.case("S1.8");
    let mut maker = Maker::new();
    maker.restarted("u1", 5);
    maker.options.faults = (0..2)
        .map(|attempt| Fault::of("RemoveContainer", &id("u1", "app", attempt), code(INTERNAL)))
        .collect();
    let bench = maker.start();
    let report = bench.collected(&[("maximum-dead-containers-per-container", "2")]);
    let attempts = [0, 1, 3, 4].map(|attempt| id("u1", "app", attempt));
    assert_eq!(bench.containers(), BTreeSet::from(attempts));
    for (attempt, outcome) in [
        (0, Outcome::Failed),
        (1, Outcome::Failed),
        (2, Outcome::Removed),
    ] {
        assert_eq!(fate(&report, &id("u1", "app", attempt)).0, outcome);
    }
}

#[test]
fn s2_1_approval_is_asked_right_before_a_stop() {
    let mut rules = Rules::default();
    rules.case("S2.1");
    let mut maker = Maker::new();
    for n in 0..6 {
        maker.container("u1", &format!("c{n:02}"), 0, Word::Unknown);
    }
    let delay = Duration::from_millis(20);
    maker
        .options
        .delays
        .insert("StopContainer".to_owned(), delay);
    let bench = Arc::new(maker.start());
    // How many stops had ended when each approval was asked.
    let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (told, node) = (seen.clone(), bench.clone());
    let mut hooks = bench.hooks();
    let approve = move |_: &Entry| {
        let ended = |c: &&crisim::trace::Call| c.method == "StopContainer" && c.end > 0;
        let ended = node.server.trace().iter().filter(ended).count();
        told.lock().unwrap().push(ended);
        true
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let engine = bench.engine(&[NONE_KEPT], hooks);
    engine.containers(PassOptions::default(), None);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 6);
    // Two slots: the third waits for one to end, and so on.
    assert!(
        seen.iter().enumerate().all(|(n, &ended)| ended + 2 > n),
        "{seen:?}"
    );
}
