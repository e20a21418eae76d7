//! Whole passes over log files that belong to no container any more, in pods that live on (S4.3): rotated logs of attempts that were
//! removed by hand or by another collector, which the kubelet keeps as long as the pod exists.

use crigc::engine::PassOptions;
use crigc::hooks::Hook;
use crigc::report::{Entry, Kind, Outcome, Report};
use crisim::fault::Fault;
use crisim::node::Word;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;
use test_support::bench::{
    Bench, DRY_RUN, INTERNAL, Maker, code, date_back, date_back_all, fate, id, there, with, write,
};
use test_support::mounts::Mounted;
use test_support::rules::Rules;

const A_DAY: (&str, &str) = ("orphan-log-ttl-duration", "24h");
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The files of attempts that the runtime has forgotten.
const ORPHANS: [&str; 5] = [
    "app/1.log.20260604-080302.gz",
    "app/1.log.20260604-080504",
    "app/2.log",
    "app/2.log.20260604-080614.gz",
    "app/3.log.20260604-081149",
];
/// What else is in the directory, and has to stay.
const OTHERS: [&str; 6] = [
    "app/9.log.20260604-081149",
    "app/gc.log",
    "app/1.logs",
    "app/01.log",
    "app/dumps/1.log",
    "1.log",
];

/// A pod in a crash loop: attempt 9 runs, attempt 8 is the last crash, and of earlier ones files are left that are two days old.
fn crash_loop() -> Maker {
    let mut maker = Maker::new();
    maker.sandbox("u1", 0, Word::Ready);
    maker.container("u1", "app", 8, Word::Exited);
    maker.container("u1", "app", 9, Word::Running);
    let pod = maker.path("pods/ns_pod-u1_u1");
    for file in ORPHANS.iter().chain(&OTHERS) {
        write(&pod.join(file));
    }
    date_back_all(&maker.path("pods"), 2 * DAY);
    for attempt in [2, 7] {
        let (log, link) = (
            maker.log("u1", "app", attempt),
            maker.link("u1", "app", attempt),
        );
        symlink(&log, link).unwrap();
    }
    maker
}

fn in_pod(bench: &Bench, file: &str) -> PathBuf {
    bench.path("pods/ns_pod-u1_u1").join(file)
}

fn why(report: &Report, id: &str) -> (Outcome, &'static str) {
    let (outcome, reason, _) = fate(report, id);
    (outcome, reason)
}

fn is_orphan(entry: &&Entry) -> bool {
    entry.kind == Kind::PodLogs && entry.id.contains("/app/")
}

/// What a report says of log files, without the path of the pod.
fn told(report: &Report) -> BTreeSet<(String, &'static str)> {
    let entries = report.entries.iter().filter(is_orphan);
    let name = |e: &Entry| e.id.rsplit_once("_u1/").unwrap().1.to_owned();
    entries.map(|e| (name(e), e.reason.word())).collect()
}

fn all(reason: &'static str) -> BTreeSet<(String, &'static str)> {
    ORPHANS.map(|file| (file.to_owned(), reason)).into()
}

#[test]
fn s4_3_logs_of_attempts_that_are_gone_are_removed_with_their_links() {
    let mut rules = Rules::default();
    rules.case("S4.3");
    let bench = crash_loop().start();
    let before = bench.everything();
    bench.collected(&[]);
    let dead_link = bench.link("u1", "app", 7);
    let mut expected = before.clone();
    expected.remove(dead_link.to_str().unwrap());
    assert_eq!(
        bench.everything(),
        expected,
        "without the key only dead links go"
    );
    symlink("/nowhere", &dead_link).unwrap();

    let dry = bench.collect(&[A_DAY], DRY_RUN).report.unwrap();
    assert_eq!(bench.everything(), before, "a dry run deletes nothing");
    let report = bench.collected(&[A_DAY]);
    for outcome in [Outcome::Removed, Outcome::Kept] {
        assert_eq!(with(&dry, outcome), with(&report, outcome));
    }
    for file in ORPHANS {
        let path = in_pod(&bench, file);
        let entry = report
            .entries
            .iter()
            .find(|e| *e.id == *path.to_str().unwrap());
        let entry = entry.expect(file);
        assert_eq!(
            (entry.kind, entry.outcome),
            (Kind::PodLogs, Outcome::Removed)
        );
        assert_eq!(entry.reason.word(), "age");
        assert_eq!((&*entry.name, &*entry.pod_uid), ("ns/pod-u1/app", "u1"));
        assert!(!there(&path), "{file}");
    }
    for file in OTHERS {
        assert!(there(&in_pod(&bench, file)), "{file}");
    }
    for attempt in [8, 9] {
        assert!(there(&bench.log("u1", "app", attempt)), "{attempt}");
        assert!(there(&bench.link("u1", "app", attempt)), "{attempt}");
    }
    for attempt in [2, 7] {
        let link = bench.link("u1", "app", attempt);
        let reason = why(&report, link.to_str().unwrap());
        assert_eq!(reason, (Outcome::Removed, "dead-link"), "{attempt}");
        assert!(!there(&link), "{attempt}");
    }
    assert!(bench.calls("RemoveContainer").is_empty());
    let second = bench.collected(&[A_DAY]);
    assert!(with(&second, Outcome::Removed).is_empty());
    assert!(told(&second).is_empty(), "{:?}", told(&second));
}

#[test]
fn s4_3_young_files_are_kept_and_reported() {
    let mut rules = Rules::default();
    rules.case("S4.3");
    let bench = crash_loop().start();
    date_back_all(&bench.path("pods"), DAY / 2);
    date_back(&in_pod(&bench, ORPHANS[0]), 2 * DAY);
    let report = bench.collected(&[A_DAY]);
    let mut expected = all("too-young");
    expected.remove(&(ORPHANS[0].to_owned(), "too-young"));
    expected.insert((ORPHANS[0].to_owned(), "age"));
    assert_eq!(told(&report), expected);
    assert_eq!(
        ORPHANS.map(|file| there(&in_pod(&bench, file))),
        [false, true, true, true, true]
    );
}

/// The pods in which S4.3 acts: those that the host does not call gone, and of which the lists have something.
#[test]
fn s4_3_it_acts_in_pods_that_stay_and_that_the_lists_know() {
    let mut rules = Rules::default();
    type Change = fn(&Bench);
    // What becomes of the orphans: they go, they stay, or all of the pod goes.
    let cases: [(&str, Change, &str); 7] = [
        (
            "the host is not ready",
            |bench| bench.host.set_ready(false),
            "go",
        ),
        (
            "the host knows nothing of it",
            |bench| bench.host.keep_all(),
            "go",
        ),
        (
            "it is said to be gone, but runs",
            |bench| bench.host.remove_pod("u1"),
            "stay",
        ),
        (
            "it is gone",
            |bench| {
                bench.server.edit(|node| {
                    node.sandboxes.clear();
                    node.containers.clear();
                });
                bench.host.remove_pod("u1");
            },
            "all",
        ),
        (
            "the runtime knows nothing of it",
            |bench| {
                bench.server.edit(|node| {
                    node.sandboxes.clear();
                    node.containers.clear();
                });
            },
            "stay",
        ),
        (
            "it has only its sandbox",
            |bench| bench.server.edit(|node| node.containers.clear()),
            "go",
        ),
        (
            "a list fails",
            |bench| {
                let fault = Fault::all("ListPodSandbox", code(INTERNAL));
                bench.server.set_faults(vec![fault]);
            },
            "stay",
        ),
    ];
    for (what, change, becomes) in cases {
        rules.case("S4.3");
        let bench = crash_loop().start();
        change(&bench);
        let report = bench
            .collect(&[A_DAY], PassOptions::default())
            .report
            .unwrap();
        for file in ORPHANS {
            assert_eq!(
                there(&in_pod(&bench, file)),
                becomes == "stay",
                "{what}: {file}"
            );
        }
        let last = in_pod(&bench, OTHERS[0]);
        assert_eq!(there(&last), becomes != "all", "{what}");
        let told = told(&report);
        if becomes == "go" {
            assert!(told.is_superset(&all("age")), "{what}: {told:?}");
        } else {
            assert!(told.is_empty(), "{what}: {told:?}");
        }
    }
}

/// A list of containers that fails, or that does not fit a message and cannot be read in parts.
#[test]
fn s4_3_without_the_whole_list_of_containers_nothing_is_removed() {
    let mut rules = Rules::default();
    rules.case("S4.3");
    let mut maker = crash_loop();
    let fault = Fault::all("ListContainers", code(INTERNAL));
    maker.options.faults.push(fault);
    let bench = maker.start();
    let end = bench.collect(&[A_DAY], PassOptions::default());
    assert!(end.error.is_some());
    assert!(ORPHANS.iter().all(|file| there(&in_pod(&bench, file))));
}

/// The log of a listed container is not where its labels say: the runtime is asked whose file is whose.
#[test]
fn s4_3_a_file_that_the_runtime_names_as_a_log_stays() {
    let mut rules = Rules::default();
    let stay = |files: &[&'static str]| -> BTreeSet<(String, &'static str)> {
        let mut left = all("age");
        left.retain(|(name, _)| !files.contains(&name.as_str()));
        left
    };
    // Where the log is, if the runtime says; what the report says of the files.
    let cases = [
        (Some("app/2.log"), stay(&[ORPHANS[2], ORPHANS[3]])),
        (Some("other/0.log"), all("age")),
        (None, all("unknown-state")),
    ];
    for (log, expected) in cases {
        rules.case("S4.3");
        let mut maker = crash_loop();
        let path = maker.path("pods/ns_pod-u1_u1").join(log.unwrap_or("x"));
        let moved = maker.bare("u1", "app", 6, Word::Running);
        moved.log_path = path.to_str().unwrap().into();
        let moved = id("u1", "app", 6);
        if log.is_none() {
            maker.fault("ContainerStatus", &moved, code(INTERNAL));
        }
        let bench = maker.start();
        let report = bench.collected(&[A_DAY]);
        assert_eq!(told(&report), expected, "{log:?}");
        for (name, reason) in expected {
            assert_eq!(
                there(&in_pod(&bench, &name)),
                reason != "age",
                "{log:?}: {name}"
            );
        }
        assert!(bench.calls("ContainerStatus").contains(&moved), "{log:?}");
    }
}

/// What the host may do about a removal holds for files as well.
#[test]
fn s4_3_the_host_approves_of_each_file_and_may_hold_all() {
    let mut rules = Rules::default();
    rules.case("S2.1");
    let bench = crash_loop().start();
    let mut hooks = bench.hooks();
    let approve = |entry: &Entry| !entry.id.ends_with("2.log");
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let end = bench
        .engine(&[A_DAY], hooks)
        .containers(PassOptions::default(), None);
    let report = end.report.unwrap();
    for file in ORPHANS {
        let refused = file.ends_with("2.log");
        let path = in_pod(&bench, file);
        let (outcome, reason) = why(&report, path.to_str().unwrap());
        let expected = if refused {
            Outcome::Refused
        } else {
            Outcome::Removed
        };
        assert_eq!((outcome, reason), (expected, "age"), "{file}");
        assert_eq!(there(&path), refused, "{file}");
    }
    rules.case("S0.7");
    let bench = crash_loop().start();
    let hold = bench.path("hold");
    write(&hold);
    let keys = [A_DAY, ("hold-file", hold.to_str().unwrap())];
    assert_eq!(told(&bench.collected(&keys)), all("held"));
    assert!(ORPHANS.iter().all(|file| there(&in_pod(&bench, file))));
}

/// A file that is written while the host approves belongs to somebody.
#[test]
fn s4_3_a_file_that_is_written_meanwhile_stays() {
    let mut rules = Rules::default();
    rules.case("S4.3");
    let bench = crash_loop().start();
    let path = in_pod(&bench, ORPHANS[2]);
    let written = path.clone();
    let mut hooks = bench.hooks();
    let approve = move |entry: &Entry| {
        if entry.id.ends_with("2.log") {
            fs::write(&written, "more").unwrap();
        }
        true
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let end = bench
        .engine(&[A_DAY], hooks)
        .containers(PassOptions::default(), None);
    let report = end.report.unwrap();
    assert_eq!(
        why(&report, path.to_str().unwrap()),
        (Outcome::Kept, "changed")
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "more");
}

/// A removal that fails is reported, told by a dry run, and tried again.
#[test]
fn s4_3_a_file_that_cannot_be_deleted_is_reported_and_the_others_go() {
    let mut rules = Rules::default();
    rules.case("S4.3");
    let bench = crash_loop().start();
    let path = in_pod(&bench, ORPHANS[2]);
    let Some(mounted) = Mounted::bind(&bench.path("outside/canary"), &path) else {
        return;
    };
    date_back(&bench.path("outside/canary"), 2 * DAY);
    let engine = bench.engine(&[A_DAY], bench.hooks());
    for flags in [DRY_RUN, PassOptions::default()] {
        let end = engine.containers(flags, None);
        assert_eq!(end.error, None);
        let report = end.report.unwrap();
        let (outcome, _, error) = fate(&report, path.to_str().unwrap());
        assert_eq!(outcome, Outcome::Failed);
        assert!(error.contains("mounted"), "{error}");
    }
    for file in ORPHANS {
        assert_eq!(there(&in_pod(&bench, file)), file == ORPHANS[2], "{file}");
    }
    drop(mounted);
    date_back(&path, 2 * DAY);
    let report = engine
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    assert_eq!(told(&report), [(ORPHANS[2].to_owned(), "age")].into());
    assert!(!there(&path) && there(&bench.path("outside/canary")));
}

/// The log of a container that has to be stopped first is deleted at the end of the pass: until then it is not the highest number.
#[test]
fn s4_3_a_dry_run_and_the_pass_agree_about_pods_with_containers_to_be_stopped() {
    let mut rules = Rules::default();
    rules.case("S4.3");
    let mut maker = Maker::new();
    maker.sandbox("u1", 0, Word::NotReady);
    maker.container("u1", "app", 5, Word::Unknown);
    for attempt in 1..4 {
        write(&maker.log("u1", "app", attempt));
    }
    date_back_all(&maker.path("pods"), 2 * DAY);
    let bench = maker.start();
    let keys = [A_DAY, ("maximum-dead-containers-per-container", "0")];
    let dry = bench.collect(&keys, DRY_RUN).report.unwrap();
    let report = bench.collected(&keys);
    for outcome in [Outcome::Removed, Outcome::Kept] {
        assert_eq!(with(&dry, outcome), with(&report, outcome));
    }
    let left = (1..6).filter(|attempt| there(&bench.log("u1", "app", *attempt)));
    assert_eq!(left.collect::<Vec<_>>(), [3]);
}
