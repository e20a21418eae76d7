//! Whole passes in which dead containers are removed for their age (S1.9): those of pods that have ended, and older attempts in pods that
//! live on.

use crigc::engine::PassOptions;
use crigc::hooks::Hook;
use crigc::node::{PodState, Text};
use crigc::report::{Entry, Kind, Outcome, Report};
use crisim::node::Word;
use std::time::{SystemTime, UNIX_EPOCH};
use test_support::bench::{
    Bench, DRY_RUN, INTERNAL, Maker, code, fate, id, sandbox_id, there, with,
};
use test_support::large;
use test_support::rules::Rules;

/// All containers of the maker are years old.
const A_MONTH: (&str, &str) = ("maximum-dead-container-age", "720h");
const NO_LIMIT: (&str, &str) = ("maximum-dead-containers-per-container", "-1");

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

/// The host says that a pod has ended, and still exists.
fn ends(bench: &Bench, uid: &str) {
    let state = PodState {
        content_removable: false,
        runtime_removable: true,
    };
    bench.host.0.lock().unwrap().1.insert(uid.to_owned(), state);
}

fn why(report: &Report, id: &str) -> (Outcome, &'static str) {
    let (outcome, reason, _) = fate(report, id);
    (outcome, reason)
}

/// A dry run reports what the pass then does, and a second pass does nothing.
fn collected(bench: &Bench, keys: &[(&str, &str)]) -> Report {
    let before = bench.everything();
    let dry = bench.collect(keys, DRY_RUN).report.unwrap();
    assert_eq!(bench.everything(), before);
    let report = bench.collected(keys);
    for outcome in [Outcome::Removed, Outcome::Kept] {
        assert_eq!(with(&dry, outcome), with(&report, outcome));
    }
    let more = with(&bench.collected(keys), Outcome::Removed);
    assert!(more.is_empty(), "{more:?}");
    report
}

/// A node with many completed pods, each with its last container: the kubelet keeps those as long as the pods exist.
#[test]
fn s1_9_old_containers_of_completed_pods_are_removed_and_their_pods_keep_the_rest() {
    let mut rules = Rules::default();
    rules.case("S1.9");
    let mut maker = Maker::new();
    let jobs: Vec<String> = (0..30).map(|n| format!("job{n}")).collect();
    for uid in &jobs {
        maker.sandbox(uid, 0, Word::NotReady);
        maker.container(uid, "main", 0, Word::Exited);
    }
    maker.sandbox("fresh", 0, Word::NotReady);
    maker.container("fresh", "main", 0, Word::Exited);
    maker.node.containers.last_mut().unwrap().created_at = now();
    maker.restarted("lives", 1);
    let bench = maker.start();
    for uid in jobs.iter().map(String::as_str).chain(["fresh"]) {
        ends(&bench, uid);
    }
    let before = bench.everything();
    bench.collected(&[]);
    assert_eq!(bench.everything(), before, "without the key all is kept");
    let report = collected(&bench, &[A_MONTH]);
    for uid in &jobs {
        let main = id(uid, "main", 0);
        assert_eq!(why(&report, &main), (Outcome::Removed, "age"), "{uid}");
        assert!(!there(&bench.log(uid, "main", 0)), "{uid}");
        assert!(!there(&bench.link(uid, "main", 0)), "{uid}");
        let sandbox = why(&report, &sandbox_id(uid, 0));
        assert_eq!(sandbox, (Outcome::Kept, "newest-sandbox"), "{uid}");
        assert!(there(&bench.path(&format!("pods/ns_pod-{uid}_{uid}"))));
    }
    for (uid, name) in [("fresh", "main"), ("lives", "app")] {
        let kept = why(&report, &id(uid, name, 0));
        assert_eq!(kept, (Outcome::Kept, "within-limit"), "{uid}");
        assert!(there(&bench.log(uid, name, 0)), "{uid}");
    }
}

/// Attempts that ended months ago, in pods that are restarted now and then.
#[test]
fn s1_9_old_attempts_in_a_pod_that_lives_are_removed_but_the_newest() {
    let mut rules = Rules::default();
    rules.case("S1.9");
    let mut maker = Maker::new();
    maker.restarted("u1", 4);
    maker.container("u1", "app", 4, Word::Running);
    // An init container that ran once: the kubelet would run it again.
    maker.container("u1", "init", 0, Word::Exited);
    maker.restarted("u2", 3);
    maker.node.containers.last_mut().unwrap().created_at = now();
    let bench = maker.start();
    let report = collected(&bench, &[A_MONTH, NO_LIMIT]);
    let removed = (Outcome::Removed, "age");
    let kept = (Outcome::Kept, "within-limit");
    for attempt in 0..3 {
        assert_eq!(why(&report, &id("u1", "app", attempt)), removed);
    }
    assert_eq!(why(&report, &id("u1", "app", 3)), kept);
    assert_eq!(why(&report, &id("u1", "init", 0)), kept);
    for attempt in 0..2 {
        assert_eq!(why(&report, &id("u2", "app", attempt)), removed);
    }
    assert_eq!(why(&report, &id("u2", "app", 2)), kept);
}

/// A container that ran for years and ended an hour ago.
#[test]
fn s1_9_age_counts_from_the_end_if_the_host_wants_it_so() {
    let mut rules = Rules::default();
    for (from, goes) in [("created", true), ("finished", false)] {
        rules.case("S1.9");
        let mut maker = Maker::new();
        maker.sandbox("u1", 0, Word::NotReady);
        maker.container("u1", "app", 0, Word::Exited);
        maker.node.containers[0].finished_at = now() - 3_600_000_000_000;
        maker.container("u1", "old", 0, Word::Exited);
        let made = maker.node.containers[1].created_at;
        maker.node.containers[1].finished_at = made + 1;
        maker.container("u1", "asked-in-vain", 0, Word::Exited);
        let silent = id("u1", "asked-in-vain", 0);
        maker.fault("ContainerStatus", &silent, code(INTERNAL));
        let bench = maker.start();
        ends(&bench, "u1");
        let report = bench.collected(&[A_MONTH, ("container-age-from", from)]);
        let app = why(&report, &id("u1", "app", 0));
        let old = why(&report, &id("u1", "old", 0));
        assert_eq!(app.0 == Outcome::Removed, goes, "{from}: {app:?}");
        assert_eq!(old, (Outcome::Removed, "age"), "{from}");
        let expected = if goes { "age" } else { "unknown-state" };
        assert_eq!(why(&report, &silent).1, expected, "{from}");
    }
}

/// The newest container of a pod is removed only as long as the host says that the pod has ended.
#[test]
fn s1_9_a_pod_that_runs_again_when_the_host_is_asked_once_more_keeps_its_newest() {
    let mut rules = Rules::default();
    // EXITED, and UNKNOWN, which is stopped first.
    for state in [Word::Exited, Word::Unknown] {
        rules.case("S1.9");
        let mut maker = Maker::new();
        maker.sandbox("u1", 0, Word::NotReady);
        for attempt in 0..2 {
            maker.container("u1", "app", attempt, state);
        }
        let bench = maker.start();
        ends(&bench, "u1");
        let host = bench.host.clone();
        let mut hooks = bench.hooks();
        let approve = move |entry: &Entry| {
            assert_eq!((entry.kind, entry.reason.word()), (Kind::Container, "age"));
            host.keep_all();
            std::thread::sleep(std::time::Duration::from_millis(20));
            true
        };
        hooks.approve = Some(Hook::new(Box::new(approve)));
        let engine = bench.engine(&[A_MONTH, NO_LIMIT, ("evidence-max-age", "10ms")], hooks);
        let end = engine.containers(PassOptions::default(), None);
        let report = end.report.unwrap();
        for attempt in 0..2 {
            let app = why(&report, &id("u1", "app", attempt));
            assert_eq!(app, (Outcome::Kept, "changed"), "{state:?} {attempt}");
            assert!(there(&bench.log("u1", "app", attempt)));
        }
        assert!(bench.calls("RemoveContainer").is_empty());
        // The older attempt does not need the pod to have ended.
        let report = bench.collected(&[A_MONTH, NO_LIMIT]);
        let fates = [0, 1].map(|attempt| why(&report, &id("u1", "app", attempt)));
        let expected = [(Outcome::Removed, "age"), (Outcome::Kept, "within-limit")];
        assert_eq!(fates, expected, "{state:?}");
    }
}

/// An answer that is older than a container of the pod says nothing of it (S0.3).
#[test]
fn s1_9_a_pod_that_is_newer_than_the_answer_has_not_ended() {
    let mut rules = Rules::default();
    rules.case("S1.9");
    let mut maker = Maker::new();
    maker.sandbox("u1", 0, Word::NotReady);
    maker.container("u1", "app", 0, Word::Exited);
    let bench = maker.start();
    ends(&bench, "u1");
    let host = bench.host.clone();
    let mut hooks = bench.hooks();
    // The log of the container was written just now.
    let answer = move |uids: &[Text]| {
        let mut answer = host.answer(uids);
        answer.as_of = now() - 3_600_000_000_000;
        answer
    };
    hooks.pod_states = Some(Hook::new(Box::new(answer)));
    let end = bench
        .engine(&[A_MONTH], hooks)
        .containers(PassOptions::default(), None);
    let app = why(&end.report.unwrap(), &id("u1", "app", 0));
    assert_eq!(app, (Outcome::Kept, "newer-than-answer"));
}

/// Lists that do not fit a message lead to the same node.
#[test]
fn s7_3_ages_count_in_parts_as_in_one_message() {
    let mut rules = Rules::default();
    let keys = [A_MONTH, NO_LIMIT];
    let mut whole = None;
    for percent in [100, 60, 30] {
        rules.case("S7.3");
        let bench = large::node(percent, &large::PODS, large::nothing);
        ends(&bench, "u4");
        let report = bench.collected(&keys);
        let aged = with(&report, Outcome::Removed);
        let aged = aged.iter().filter(|(_, _, reason)| *reason == "age");
        assert!(aged.count() > 30, "{percent}");
        let left = large::left(&bench);
        let expected = whole.get_or_insert_with(|| left.clone());
        assert_eq!(expected, &left, "{percent}");
    }
}
