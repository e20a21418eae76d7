//! What belongs to other pods, which are not listed: it is left alone, whatever the runtime and the labels say (S8).

use super::node::{UID, collect, ended, lines, rest, with_others};
use crigc::engine::PassOptions;
use crigc::hooks::Hooks;
use crisim::node::{Text, Word};
use std::fs;
use std::os::unix::fs::symlink;
use test_support::bench::{DRY_RUN, Maker, id, sandbox_id, there, write};
use test_support::rules::Rules;

fn label(maker: &mut Maker, key: &str, value: &str) {
    let container = maker.node.containers.last_mut().unwrap();
    container
        .labels
        .insert(format!("io.kubernetes.{key}"), value.into());
}

/// A pod of the same long name in the same namespace runs under another UID: the links of both have one name, which is cut before the ID.
#[test]
fn s8_a_link_whose_name_is_cut_may_be_that_of_another_pod() {
    let mut rules = Rules::default();
    let name = "p".repeat(250);
    for dry_run in [true, false] {
        rules.case("S8");
        let mut maker = with_others();
        maker.sandbox("new", 0, Word::Ready);
        maker.bare("new", "app", 0, Word::Running);
        label(&mut maker, "pod.name", &name);
        maker.sandbox(UID, 0, Word::NotReady);
        maker.bare(UID, "app", 0, Word::Exited);
        label(&mut maker, "pod.name", &name);
        let mut link = format!("{name}_ns_app");
        link.truncate(255 - ".log".len());
        let link = maker.path(&format!("links/{link}.log"));
        // It is being rotated.
        symlink("/nowhere", &link).unwrap();
        let bench = maker.start();
        let flags = PassOptions {
            dry_run,
            ..PassOptions::PLAIN
        };
        let end = collect(&bench, &[], Hooks::default(), true, flags);
        assert_eq!(end.error, None);
        let expected = [
            "removed container ct1app0x0000 pod-removed",
            "removed sandbox st1a0x0000 pod-removed",
        ];
        assert_eq!(lines(&bench, &end.report.unwrap()), expected);
        assert!(there(&link), "dry run: {dry_run}");
    }
}

/// The runtime says that the log is in the directory of another pod, where a container may run that was not listed.
#[test]
fn s8_a_container_whose_log_is_in_the_directory_of_another_pod_is_kept() {
    let mut rules = Rules::default();
    // Where the log is, and whether its container is kept.
    let table = [
        ("pods/ns_pod-t10_t10/app/9.log", true),
        ("pods/bare.log", true),
        ("pods/elsewhere/app/0.log", true),
        ("pods/ns_other_t1/app/0.log", false),
        ("outside/canary", false),
    ];
    for (place, is_left) in table {
        for flags in [DRY_RUN, PassOptions::PLAIN] {
            rules.case("S8");
            let mut maker = with_others();
            maker.sandbox(UID, 0, Word::NotReady);
            let log = maker.path(place);
            write(&log);
            let container = maker.bare(UID, "app", 0, Word::Exited);
            container.log_path = log.to_str().unwrap().into();
            // The pod has a directory, but not this log.
            write(&maker.path("pods/ns_pod-t1_t1/side/0.log"));
            let bench = maker.start();
            let others = rest(&bench);
            let end = collect(&bench, &[], Hooks::default(), true, flags);
            assert_eq!(end.error, None, "{place}");
            let lines = lines(&bench, &end.report.unwrap());
            let line = if is_left {
                "kept container ct1app0x0000 list-incomplete"
            } else {
                "removed container ct1app0x0000 pod-removed"
            };
            assert!(lines.iter().any(|own| own == line), "{place}: {lines:?}");
            assert_eq!(rest(&bench), others, "{place}");
            let deleted = place.ends_with("_t1/app/0.log") && flags == PassOptions::PLAIN;
            assert_eq!(there(&log), !deleted, "{place}");
        }
    }
}

/// It is filed under the UID by its labels, but the metadata say otherwise (S0.1).
#[test]
fn s8_metadata_say_whose_sandbox_it_is() {
    let mut rules = Rules::default();
    rules.case("S8");
    let mut maker = with_others();
    ended(&mut maker);
    let sandbox = maker.sandbox("v", 0, Word::NotReady);
    sandbox
        .labels
        .insert("io.kubernetes.pod.uid".to_owned(), UID.into());
    let bench = maker.start();
    let end = collect(&bench, &[], Hooks::default(), true, PassOptions::default());
    assert_eq!(end.error, None);
    assert!(bench.sandboxes().contains(&sandbox_id("v", 0)));
    assert!(!bench.sandboxes().contains(&sandbox_id(UID, 0)));
    let told = end.report.unwrap().entries;
    assert!(told.iter().all(|e| &*e.pod_uid == UID), "{told:?}");
}

/// A container of another pod in the pod's sandbox.
#[test]
fn s8_a_container_of_another_pod_in_the_sandbox_is_not_removed() {
    let mut rules = Rules::default();
    for (state, removed) in [(Word::Exited, 3), (Word::Running, 0)] {
        rules.case("S8");
        let mut maker = with_others();
        ended(&mut maker);
        let guest = maker.bare("guest", "app", 0, state);
        guest.sandbox_id = sandbox_id(UID, 0).into();
        let bench = maker.start();
        let keys = [("maximum-dead-containers-per-container", "0")];
        // The guest is over the limit.
        for is_gone in [true, false] {
            let end = collect(&bench, &keys, Hooks::default(), is_gone, DRY_RUN);
            let report = end.report.unwrap();
            assert!(report.entries.iter().all(|e| &*e.pod_uid == UID));
        }
        let end = collect(&bench, &[], Hooks::default(), true, PassOptions::default());
        let lines = lines(&bench, &end.report.unwrap());
        let gone = lines.iter().filter(|line| line.starts_with("removed"));
        assert_eq!(gone.count(), removed, "{state:?}: {lines:?}");
        assert!(bench.containers().contains(&id("guest", "app", 0)));
        assert!(bench.sandboxes().contains(&sandbox_id(UID, 0)));
    }
}

/// An object that cannot be read is kept, and so is its pod's sandbox (S0.6).
#[test]
fn s8_an_object_of_the_pod_that_cannot_be_read_is_kept() {
    let mut rules = Rules::default();
    rules.case("S8");
    let mut maker = with_others();
    ended(&mut maker);
    let odd = maker.node.containers.last_mut().unwrap();
    odd.name = Text(vec![b'x', 0xff]);
    let bench = maker.start();
    let others = rest(&bench);
    let end = collect(&bench, &[], Hooks::default(), true, PassOptions::default());
    let expected = [
        "kept container ct1side0x0000 unknown-state",
        "kept pod-logs pods/ns_pod-t1_t1 active",
        "kept sandbox st1a0x0000 active",
        "removed container ct1app0x0000 pod-removed",
    ];
    assert_eq!(lines(&bench, &end.report.unwrap()), expected);
    assert_eq!(rest(&bench), others);
    assert_eq!(
        fs::read_dir(bench.path("pods/ns_pod-t1_t1"))
            .unwrap()
            .count(),
        2
    );
}
