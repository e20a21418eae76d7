//! Whole passes under the brake (S0.12): a host whose list of pods has lost most of them, and a node on which most pods are really gone.

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks, LogLevel};
use crigc::node::Text;
use crigc::report::{Kind, Outcome, Report};
use crisim::fault::Fault;
use crisim::node::Word;
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use test_support::bench::{
    Bench, DRY_RUN, INTERNAL, Maker, code, fate, id, sandbox_id, there, with, write,
};
use test_support::large;
use test_support::rules::Rules;

const HALF: (&str, &str) = ("max-pod-share", "50");

fn uid(n: usize) -> String {
    format!("u{n:02}")
}

/// Pods that do not run, such as after a start of the machine: each with a sandbox, two containers that have ended, and their logs.
fn stopped(pods: usize) -> Maker {
    let mut maker = Maker::new();
    for n in 0..pods {
        maker.sandbox(&uid(n), 0, Word::NotReady);
        for attempt in 0..2 {
            maker.container(&uid(n), "app", attempt, Word::Exited);
        }
    }
    maker
}

fn are_gone(bench: &Bench, pods: std::ops::Range<usize>) {
    pods.for_each(|n| bench.host.remove_pod(&uid(n)));
}

/// What the log and the events of a pass said.
type Lines = Arc<Mutex<Vec<String>>>;

fn listening(bench: &Bench) -> (Hooks, Lines) {
    let lines = Lines::default();
    let (log, event) = (lines.clone(), lines.clone());
    let mut hooks = bench.hooks();
    let keep = move |_: LogLevel, line: &str| log.lock().unwrap().push(format!("log {line}"));
    hooks.log = Some((LogLevel::Warn, Hook::new(Box::new(keep))));
    let tell = move |reason: &str, message: &str| {
        let line = format!("event {reason}: {message}");
        event.lock().unwrap().push(line);
    };
    hooks.event = Some(Hook::new(Box::new(tell)));
    (hooks, lines)
}

/// A pass that must not fail, and its events.
fn collected(bench: &Bench, keys: &[(&str, &str)], flags: PassOptions) -> (Report, Vec<String>) {
    let (hooks, lines) = listening(bench);
    let end = bench.engine(keys, hooks).containers(flags, None);
    assert_eq!(end.error, None);
    let lines = lines.lock().unwrap();
    let events = lines.iter().filter(|line| line.starts_with("event"));
    (end.report.unwrap(), events.cloned().collect())
}

fn why(report: &Report, id: &str) -> (Outcome, &'static str) {
    let (outcome, reason, _) = fate(report, id);
    (outcome, reason)
}

/// All that a pod has is kept by the brake, but what limits remove.
fn is_held(bench: &Bench, report: &Report, uid: &str) {
    let held = (Outcome::Kept, "held-by-share");
    let (newest, tree) = (
        id(uid, "app", 1),
        bench.path(&format!("pods/ns_pod-{uid}_{uid}")),
    );
    assert_eq!(why(report, &newest), held, "{uid}");
    assert_eq!(why(report, tree.to_str().unwrap()), held, "{uid}");
    assert_eq!(
        why(report, &sandbox_id(uid, 0)),
        (Outcome::Kept, "active"),
        "{uid}"
    );
    assert_eq!(
        why(report, &id(uid, "app", 0)),
        (Outcome::Removed, "unit-limit"),
        "{uid}"
    );
    assert!(there(&bench.log(uid, "app", 1)) && there(&tree), "{uid}");
}

fn is_gone(bench: &Bench, report: &Report, uid: &str) {
    let removed = (Outcome::Removed, "pod-removed");
    let tree = bench.path(&format!("pods/ns_pod-{uid}_{uid}"));
    for object in [
        &id(uid, "app", 1),
        &sandbox_id(uid, 0),
        tree.to_str().unwrap(),
    ] {
        assert_eq!(why(report, object), removed, "{uid}");
    }
    assert!(!there(&tree), "{uid}");
}

/// A directory with a file for each pod is empty after a failed update: every pod is gone by it, and nothing runs that would contradict.
#[test]
fn s0_12_a_host_that_lost_its_pods_costs_them_nothing_but_what_limits_remove() {
    let mut rules = Rules::default();
    rules.case("S0.12");
    let bench = stopped(12).start();
    are_gone(&bench, 0..12);
    let everything = bench.everything();
    let (dry, events) = collected(&bench, &[HALF], DRY_RUN);
    assert_eq!(bench.everything(), everything);
    assert_eq!(events.len(), 0, "a dry run sends none");
    // Each question is asked anew.
    let keys = [HALF, ("evidence-max-age", "1ns")];
    let (report, events) = collected(&bench, &keys, PassOptions::default());
    for outcome in [Outcome::Removed, Outcome::Kept] {
        assert_eq!(with(&dry, outcome), with(&report, outcome));
    }
    (0..12).for_each(|n| is_held(&bench, &report, &uid(n)));
    let [event] = &events[..] else {
        panic!("told once: {events:?}");
    };
    for part in [
        "PodShareExceeded",
        "12 of the 12 pods",
        "u00, u01, u02",
        "50 percent",
        "raise max-pod-share",
    ] {
        assert!(event.contains(part), "{event}");
    }
    // The host is right again, for most of them.
    bench.host.keep_all();
    are_gone(&bench, 0..6);
    let (report, events) = collected(&bench, &[HALF], PassOptions::default());
    assert_eq!(events, [""; 0]);
    (0..6).for_each(|n| is_gone(&bench, &report, &uid(n)));
    assert_eq!(
        why(&report, &id("u06", "app", 1)),
        (Outcome::Kept, "within-limit")
    );
}

/// A node that was down for a day: its pods run elsewhere, and are really gone.
#[test]
fn s0_12_a_node_with_many_gone_pods_is_collected_by_default_and_with_a_raised_share() {
    let mut rules = Rules::default();
    let default: &[(&str, &str)] = &[];
    for keys in [default, &[("max-pod-share", "95")]] {
        rules.case("S0.12");
        let bench = stopped(20).start();
        are_gone(&bench, 0..19);
        let (report, events) = collected(&bench, keys, PassOptions::default());
        (0..19).for_each(|n| is_gone(&bench, &report, &uid(n)));
        assert_eq!(events, [""; 0]);
    }
}

#[test]
fn s0_12_up_to_the_share_and_below_ten_pods_nothing_is_held() {
    let mut rules = Rules::default();
    // How many of how many pods are gone, the share, and whether they are held.
    let cases = [
        (9, 9, "0", false),
        (10, 20, "50", false),
        (11, 20, "50", true),
        (10, 11, "0", true),
    ];
    for (gone, pods, share, held) in cases {
        rules.case("S0.12");
        let bench = stopped(pods).start();
        are_gone(&bench, 0..gone);
        let keys = [("max-pod-share", share)];
        let (report, events) = collected(&bench, &keys, PassOptions::default());
        for n in 0..gone {
            if held {
                is_held(&bench, &report, &uid(n));
            } else {
                is_gone(&bench, &report, &uid(n));
            }
        }
        assert_eq!(events.len(), usize::from(held), "{gone} of {pods}");
    }
}

/// Logs alone count as well, and what only waits for its time does not.
#[test]
fn s0_12_only_what_would_be_lost_in_this_pass_counts() {
    let mut rules = Rules::default();
    let young = ("minimum-pod-log-ttl-duration", "1h");
    for (keys, held) in [(&[HALF][..], true), (&[HALF, young][..], false)] {
        rules.case("S0.12");
        let maker = Maker::new();
        for n in 0..12 {
            write(&maker.log(&uid(n), "app", 0));
        }
        let bench = maker.start();
        are_gone(&bench, 0..12);
        let (report, events) = collected(&bench, keys, PassOptions::default());
        let kept: BTreeSet<&str> = report.entries.iter().map(|e| e.reason.word()).collect();
        let reason = if held { "held-by-share" } else { "too-young" };
        assert_eq!(kept, [reason].into());
        assert_eq!(events.len(), usize::from(held));
    }
}

/// The verdict is taken once: pods that the host calls gone only later in the pass were not counted, and wait for the next one.
#[test]
fn s0_12_pods_that_are_gone_only_later_in_the_pass_wait_for_the_next_one() {
    let mut rules = Rules::default();
    rules.case("S0.12");
    let bench = stopped(20).start();
    are_gone(&bench, 0..2);
    let host = bench.host.clone();
    let (mut hooks, lines) = listening(&bench);
    let asked = AtomicUsize::new(0);
    let answer = move |uids: &[Text]| {
        let answer = host.answer(uids);
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            (2..20).for_each(|n| host.remove_pod(&uid(n)));
        }
        answer
    };
    hooks.pod_states = Some(Hook::new(Box::new(answer)));
    let end = bench
        .engine(&[HALF], hooks)
        .containers(PassOptions::default(), None);
    let report = end.report.unwrap();
    (0..2).for_each(|n| is_gone(&bench, &report, &uid(n)));
    for n in 2..20 {
        let tree = bench.path(&format!("pods/ns_pod-{0}_{0}", uid(n)));
        let kept = why(&report, tree.to_str().unwrap());
        assert_eq!(kept, (Outcome::Kept, "held-by-share"));
        assert!(bench.containers().contains(&id(&uid(n), "app", 1)));
    }
    assert_eq!(*lines.lock().unwrap(), [""; 0]);
    // They are counted then.
    let (_, events) = collected(&bench, &[HALF], PassOptions::default());
    assert_eq!(events.len(), 1);
}

/// Where S1 has no list, S3 has the first word.
#[test]
fn s0_12_the_verdict_waits_for_lists_by_which_pods_may_be_removable() {
    let mut rules = Rules::default();
    for method in ["ListContainers", "ListPodSandbox"] {
        rules.case("S0.12");
        let mut maker = stopped(12);
        maker.options.faults.push(Fault {
            count: Some(1),
            ..Fault::all(method, code(INTERNAL))
        });
        let bench = maker.start();
        bench.server.edit(|node| node.containers.clear());
        are_gone(&bench, 0..12);
        let (hooks, lines) = listening(&bench);
        let end = bench
            .engine(&[HALF], hooks)
            .containers(PassOptions::default(), None);
        assert_eq!(end.error.unwrap().status, Status::Runtime, "{method}");
        let report = end.report.unwrap();
        assert!(
            with(&report, Outcome::Removed)
                .iter()
                .all(|(kind, ..)| *kind == Kind::LogLink)
        );
        for n in 0..12 {
            let sandbox = why(&report, &sandbox_id(&uid(n), 0));
            assert_eq!(sandbox, (Outcome::Kept, "held-by-share"), "{method}");
        }
        let lines = lines.lock().unwrap();
        let events = lines.iter().filter(|line| line.starts_with("event"));
        assert_eq!(events.count(), 1, "{method}: {lines:?}");
    }
}

/// Lists that do not fit a message: the pods of the whole node are counted before the first part is carried out.
#[test]
fn s7_3_the_brake_counts_the_whole_node_before_the_first_part() {
    let mut rules = Rules::default();
    const NAMES: [&str; 12] = [
        "g00", "g01", "g02", "g03", "g04", "g05", "g06", "g07", "g08", "g09", "g10", "g11",
    ];
    let pods: Vec<large::Pod<'static>> = NAMES
        .iter()
        .enumerate()
        .map(|(n, &uid)| {
            let namespace = ["shop", "batch", "infra"][n % 3];
            large::pod(namespace, uid, Word::NotReady, &["app"], 8)
        })
        .collect();
    let mut whole = None;
    for percent in [100, 60, 30] {
        rules.case("S7.3");
        let bench = large::node(percent, &pods, large::nothing);
        NAMES.iter().for_each(|uid| bench.host.remove_pod(uid));
        let (report, events) = collected(&bench, &[HALF], PassOptions::default());
        assert_eq!(events.len(), 1, "{percent}");
        let removed = with(&report, Outcome::Removed);
        assert!(
            removed.iter().all(|(.., reason)| *reason == "unit-limit"),
            "{removed:?}"
        );
        assert_eq!(removed.len(), 12 * 7, "{percent}");
        let left = large::left(&bench);
        assert_eq!(
            whole.get_or_insert_with(|| left.clone()),
            &left,
            "{percent}"
        );
    }
}

/// Nobody knows how many pods there are: the brake holds.
#[test]
fn s0_12_if_the_pods_cannot_be_counted_nothing_is_removed_for_their_sake() {
    let mut rules = Rules::default();
    rules.case("S0.12");
    let mut maker = Maker::new();
    maker.bare("u00", "app", 0, Word::Exited).log_path = "".into();
    let bench = maker.start();
    are_gone(&bench, 0..1);
    fs::remove_dir_all(bench.path("pods")).unwrap();
    let (hooks, lines) = listening(&bench);
    let end = bench
        .engine(&[HALF], hooks)
        .containers(PassOptions::default(), None);
    let app = why(&end.report.unwrap(), &id("u00", "app", 0));
    assert_eq!(app, (Outcome::Kept, "held-by-share"));
    let lines = lines.lock().unwrap();
    let warned = lines
        .iter()
        .filter(|line| line.contains("cannot count the pods"));
    assert_eq!(warned.count(), 1, "{lines:?}");
}
