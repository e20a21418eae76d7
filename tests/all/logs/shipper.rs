//! Whole passes that leave a log shipper the time to read what a pod wrote last (S4.1, `minimum-pod-log-ttl-duration`).

use crigc::engine::PassOptions;
use crigc::hooks::Hook;
use crigc::report::{Entry, Kind, Outcome, Report};
use crisim::node::Word;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use test_support::bench::{
    Bench, DRY_RUN, Maker, date_back, date_back_all, fate, id, there, with, write,
};
use test_support::rules::Rules;

const TEN_MINUTES: (&str, &str) = ("minimum-pod-log-ttl-duration", "10m");
/// What a host sets beside it, so that containers do not take their logs along.
const OF_CONTAINERS: [(&str, &str); 2] = [
    ("minimum-container-ttl-duration", "10m"),
    ("container-age-from", "finished"),
];
const MINUTE: Duration = Duration::from_secs(60);

fn tree(bench: &Bench, uid: &str) -> PathBuf {
    bench.path(&format!("pods/ns_pod-{uid}_{uid}"))
}

fn ns(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

fn why(report: &Report, id: &str) -> (Outcome, &'static str) {
    let (outcome, reason, _) = fate(report, id);
    (outcome, reason)
}

/// A dry run reports what the pass then does.
fn collected(bench: &Bench, keys: &[(&str, &str)]) -> Report {
    let dry = bench.collect(keys, DRY_RUN).report.unwrap();
    let report = bench.collected(keys);
    for outcome in [Outcome::Removed, Outcome::Kept] {
        assert_eq!(with(&dry, outcome), with(&report, outcome));
    }
    report
}

/// A short job: its pod is deleted a moment after its end, and the shipper comes by every few minutes.
#[test]
fn s4_1_the_logs_of_a_deleted_pod_stay_until_a_shipper_had_its_time() {
    let mut rules = Rules::default();
    rules.case("S4.1");
    let mut maker = Maker::new();
    maker.sandbox("job", 0, Word::NotReady);
    maker.container("job", "main", 0, Word::Exited);
    maker.node.containers[0].finished_at = ns(SystemTime::now() - MINUTE);
    let bench = maker.start();
    bench.host.remove_pod("job");
    let keys = [TEN_MINUTES, OF_CONTAINERS[0], OF_CONTAINERS[1]];
    let (main, logs) = (id("job", "main", 0), tree(&bench, "job"));
    let logs = logs.to_str().unwrap();
    let report = collected(&bench, &keys);
    assert_eq!(why(&report, &main), (Outcome::Kept, "too-young"));
    assert_eq!(why(&report, logs), (Outcome::Kept, "active"));
    assert!(there(&bench.log("job", "main", 0)) && there(&bench.link("job", "main", 0)));
    // An hour later.
    date_back_all(&tree(&bench, "job"), 60 * MINUTE);
    let ended = ns(SystemTime::now() - 60 * MINUTE);
    bench
        .server
        .edit(|node| node.containers[0].finished_at = ended);
    let report = collected(&bench, &keys);
    assert_eq!(why(&report, &main), (Outcome::Removed, "pod-removed"));
    assert_eq!(why(&report, logs), (Outcome::Removed, "pod-removed"));
    assert!(!there(&tree(&bench, "job")) && !there(&bench.link("job", "main", 0)));
}

/// The runtime has forgotten the containers; nothing but the directory is left of the pod.
#[test]
fn s4_1_a_directory_stays_as_long_as_a_file_in_it_is_young() {
    let mut rules = Rules::default();
    // How long ago the newest file was written, and whether the directory goes.
    for (ago, goes) in [(0, false), (9, false), (11, true)] {
        rules.case("S4.1");
        let maker = Maker::new();
        for file in ["main/0.log", "main/0.log.20261123-000000.gz", "side/0.log"] {
            write(&maker.path("pods/ns_pod-u1_u1").join(file));
        }
        let bench = maker.start();
        bench.host.remove_pod("u1");
        let tree = tree(&bench, "u1");
        date_back_all(&tree, 60 * MINUTE);
        date_back(&tree.join("side/0.log"), ago * MINUTE);
        // Directories do not count.
        date_back(&tree.join("main"), Duration::ZERO);
        let report = collected(&bench, &[TEN_MINUTES]);
        let expected = if goes {
            (Outcome::Removed, "pod-removed")
        } else {
            (Outcome::Kept, "too-young")
        };
        let path = tree.to_str().unwrap();
        assert_eq!(why(&report, path), expected, "{ago} minutes");
        assert_eq!(there(&tree), !goes, "{ago} minutes");
        bench.collected(&[]);
        assert!(!there(&tree), "without the key it goes");
    }
}

/// Without a minimum age of their own containers go with their logs: only what is left counts.
#[test]
fn s4_1_logs_that_go_with_their_container_do_not_keep_the_directory() {
    let mut rules = Rules::default();
    for rest in [false, true] {
        rules.case("S4.1");
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Exited);
        if rest {
            write(&maker.path("pods/ns_pod-u1_u1/app/heap.dump"));
        }
        let bench = maker.start();
        bench.host.remove_pod("u1");
        let report = collected(&bench, &[TEN_MINUTES]);
        assert_eq!(fate(&report, &id("u1", "app", 0)).0, Outcome::Removed);
        assert!(!there(&bench.log("u1", "app", 0)));
        assert_eq!(there(&tree(&bench, "u1")), rest);
    }
}

/// A file with a time later than now: a clock was set back, and nobody knows how old it is.
#[test]
fn s4_1_a_file_of_the_future_is_young() {
    let mut rules = Rules::default();
    rules.case("S4.1");
    let maker = Maker::new();
    let log = maker.log("u1", "app", 0);
    write(&log);
    let bench = maker.start();
    bench.host.remove_pod("u1");
    let file = fs::File::open(&log).unwrap();
    file.set_modified(SystemTime::now() + 60 * MINUTE).unwrap();
    let path = tree(&bench, "u1");
    let report = collected(&bench, &[TEN_MINUTES]);
    assert_eq!(
        why(&report, path.to_str().unwrap()),
        (Outcome::Kept, "too-young")
    );
}

/// A host clock that is ahead makes no file old.
#[test]
fn s4_1_files_are_as_old_as_the_slower_clock_says() {
    let mut rules = Rules::default();
    for ahead in [true, false] {
        rules.case("S4.1");
        let maker = Maker::new();
        write(&maker.log("u1", "app", 0));
        let bench = maker.start();
        bench.host.remove_pod("u1");
        let tree = tree(&bench, "u1");
        if !ahead {
            date_back_all(&tree, 60 * MINUTE);
        }
        let mut hooks = bench.hooks();
        let hours = if ahead { 60 * MINUTE } else { MINUTE };
        let clock = move || {
            let now = SystemTime::now();
            ns(if ahead { now + hours } else { now - 55 * hours })
        };
        hooks.clock = Some(Hook::new(Box::new(clock)));
        let end = bench
            .engine(&[TEN_MINUTES], hooks)
            .containers(PassOptions::default(), None);
        let report = end.report.unwrap();
        let expected = (Outcome::Kept, "too-young");
        assert_eq!(why(&report, tree.to_str().unwrap()), expected, "{ahead}");
    }
}

/// The host approves of nothing that is too young, and what is written while it approves counts.
#[test]
fn s4_1_what_is_written_at_the_last_moment_keeps_the_directory() {
    let mut rules = Rules::default();
    rules.case("S4.1");
    let maker = Maker::new();
    for uid in ["old", "young"] {
        write(&maker.log(uid, "app", 0));
    }
    let bench = maker.start();
    bench.host.remove_pod("old");
    bench.host.remove_pod("young");
    date_back_all(&tree(&bench, "old"), 60 * MINUTE);
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let (heard, log) = (asked.clone(), bench.log("old", "app", 0));
    let mut hooks = bench.hooks();
    let approve = move |entry: &Entry| {
        heard.lock().unwrap().push(entry.pod_uid.to_string());
        write(&log);
        true
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let end = bench
        .engine(&[TEN_MINUTES], hooks)
        .containers(PassOptions::default(), None);
    assert_eq!(*asked.lock().unwrap(), ["old"]);
    let report = end.report.unwrap();
    for uid in ["old", "young"] {
        let tree = tree(&bench, uid);
        let expected = (Outcome::Kept, "too-young");
        assert_eq!(why(&report, tree.to_str().unwrap()), expected, "{uid}");
        assert!(there(&tree), "{uid}");
    }
}

/// Whether there are young files in it cannot be found out: the removal fails and says so.
#[test]
fn s4_1_a_directory_of_unknown_age_stays() {
    let mut rules = Rules::default();
    rules.case("S4.1");
    let maker = Maker::new();
    let deep = maker.path("pods/ns_pod-u1_u1").join("d/".repeat(70));
    fs::create_dir_all(deep).unwrap();
    let bench = maker.start();
    bench.host.remove_pod("u1");
    let tree = tree(&bench, "u1");
    for flags in [DRY_RUN, PassOptions::default()] {
        let end = bench.collect(&[TEN_MINUTES], flags);
        let report = end.report.unwrap();
        let (outcome, _, error) = fate(&report, tree.to_str().unwrap());
        assert_eq!(outcome, Outcome::Failed);
        assert!(error.contains("minimum-pod-log-ttl-duration"), "{error}");
        assert!(there(&tree));
    }
    let report = bench.collected(&[]);
    assert_eq!(report.count(Some(Kind::PodLogs), Some(Outcome::Removed)), 1);
}
