//! Whole passes and what the host says of pods (S0.3, S0.4): an answer that speaks of the past, that is not true any more, or that
//! contradicts the runtime.

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks, LogLevel};
use crigc::node::Text;
use crigc::report::{Entry, Kind, Outcome, Report};
use crisim::fault::Fault;
use crisim::node::Word;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use test_support::bench::{
    Bench, DRY_RUN, INTERNAL, Maker, alive_beside_gone, code, dead, fate, id, sandbox_id, there,
    with_logs, write,
};
use test_support::large;
use test_support::rules::Rules;

const ONE_BY_ONE: (&str, &str) = ("max-parallel-removals", "1");

const S: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * S;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

/// Dates a file, a directory, or a link itself.
fn date(path: &Path, time: i64) {
    let time = Timespec {
        tv_sec: time / S,
        tv_nsec: time % S,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// The same with all that is in a directory.
fn date_all(path: &Path, time: i64) {
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            date_all(&entry.unwrap().path(), time);
        }
    }
    date(path, time);
}

/// The log directory of a pod.
fn logs(bench: &Bench, uid: &str) -> std::path::PathBuf {
    bench.path(&format!("pods/ns_pod-{uid}_{uid}"))
}

/// A pod that is gone, with a sandbox, a container and logs that are an hour old.
fn gone(maker: &mut Maker, uid: &str) {
    maker.sandbox(uid, 0, Word::NotReady);
    maker.container(uid, "app", 0, Word::Exited);
    let hour_ago = now() - HOUR;
    maker.node.containers.last_mut().unwrap().created_at = hour_ago;
    maker.node.sandboxes.last_mut().unwrap().created_at = hour_ago;
    date_all(&maker.path(&format!("pods/ns_pod-{uid}_{uid}")), hour_ago);
}

/// The host's closures; its answers are of these moments, the last one of all that follow. What the log hears is kept.
fn as_of(bench: &Bench, moments: &[i64]) -> (Hooks, Arc<Mutex<Vec<String>>>) {
    let (host, moments) = (bench.host.clone(), moments.to_vec());
    let asked = AtomicUsize::new(0);
    let answer = move |uids: &[Text]| {
        let mut answer = host.answer(uids);
        let asked = asked.fetch_add(1, Ordering::SeqCst);
        answer.as_of = moments[asked.min(moments.len() - 1)];
        answer
    };
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = lines.clone();
    let hear = move |_: LogLevel, line: &str| heard.lock().unwrap().push(line.to_owned());
    let hooks = Hooks {
        pod_states: Some(Hook::new(Box::new(answer))),
        log: Some((LogLevel::Warn, Hook::new(Box::new(hear)))),
        ..Hooks::default()
    };
    (hooks, lines)
}

/// One pass by such a host.
fn collected(bench: &Bench, own: &[(&str, &str)], moments: &[i64]) -> (Report, Vec<String>) {
    let (hooks, lines) = as_of(bench, moments);
    let end = bench
        .engine(own, hooks)
        .containers(PassOptions::default(), None);
    assert_eq!(end.error, None);
    let lines = lines.lock().unwrap().clone();
    (end.report.unwrap(), lines)
}

/// Whether a pod has all that it had, or nothing, and why; `reason` is that of all its objects.
fn is_left(bench: &Bench, report: &Report, uid: &str, left: bool, reason: &str) {
    let tree = logs(bench, uid);
    let outcome = if left {
        Outcome::Kept
    } else {
        Outcome::Removed
    };
    for object in [
        id(uid, "app", 0),
        sandbox_id(uid, 0),
        tree.to_str().unwrap().to_owned(),
    ] {
        let (became, why, error) = fate(report, &object);
        if object == sandbox_id(uid, 0) && left {
            // The container in it is kept.
            assert_eq!((became, why), (Outcome::Kept, "active"), "{uid}: {object}");
            continue;
        }
        assert_eq!((became, why), (outcome, reason), "{uid}: {object}: {error}");
    }
    assert_eq!(there(&bench.log(uid, "app", 0)), left, "{uid}");
    assert_eq!(there(&tree), left, "{uid}");
    assert_eq!(there(&bench.link(uid, "app", 0)), left, "{uid}");
    assert_eq!(
        bench.containers().contains(&id(uid, "app", 0)),
        left,
        "{uid}"
    );
    assert_eq!(
        bench.sandboxes().contains(&sandbox_id(uid, 0)),
        left,
        "{uid}"
    );
}

/// What makes a pod newer than the answer, or does not.
type Change = fn(&mut Maker, &str);

fn container_of(maker: &mut Maker, created: i64) {
    maker.node.containers.last_mut().unwrap().created_at = created;
}

fn sandbox_of(maker: &mut Maker, created: i64) {
    maker.node.sandboxes.last_mut().unwrap().created_at = created;
}

#[test]
fn s0_3_a_pod_that_changed_after_the_moment_of_the_answer_is_kept() {
    let mut rules = Rules::default();
    // The list is 40 seconds old.
    let cases: [(&str, bool, Change); 11] = [
        ("an hour old", false, |_, _| {}),
        ("its container is 20 s old", true, |maker, _| {
            container_of(maker, now() - 20 * S);
        }),
        ("its container is 60 s old", false, |maker, _| {
            container_of(maker, now() - 60 * S);
        }),
        ("its sandbox is 20 s old", true, |maker, _| {
            sandbox_of(maker, now() - 20 * S);
        }),
        ("its log is 20 s old", true, |maker, uid| {
            date(&maker.log(uid, "app", 0), now() - 20 * S);
        }),
        ("a directory in its logs is 20 s old", true, |maker, uid| {
            date(maker.log(uid, "app", 0).parent().unwrap(), now() - 20 * S);
        }),
        ("its log directory is 20 s old", true, |maker, uid| {
            date(
                &maker.path(&format!("pods/ns_pod-{uid}_{uid}")),
                now() - 20 * S,
            );
        }),
        ("a file far below is 20 s old", true, |maker, uid| {
            let dir = maker.path(&format!("pods/ns_pod-{uid}_{uid}"));
            write(&dir.join("app/a/b/c/d/file"));
            date_all(&dir, now() - HOUR);
            date(&dir.join("app/a/b/c/d/file"), now() - 20 * S);
        }),
        (
            "another directory of its UID is 20 s old",
            true,
            |maker, uid| {
                let other = maker.path(&format!("pods/{uid}"));
                write(&other.join("file"));
                date_all(&other, now() - 20 * S);
            },
        ),
        (
            "a link leads to a file that is 20 s old",
            false,
            |maker, uid| {
                let dir = maker.path(&format!("pods/ns_pod-{uid}_{uid}"));
                let fresh = maker.path("outside/fresh");
                write(&fresh);
                symlink(&fresh, dir.join("link")).unwrap();
                symlink(maker.path("outside"), dir.join("dir")).unwrap();
                date_all(&dir, now() - HOUR);
            },
        ),
        ("another pod is 20 s old", false, |maker, _| {
            gone(maker, "exists");
            container_of(maker, now() - 20 * S);
            sandbox_of(maker, now() - 20 * S);
        }),
    ];
    for (what, stays, change) in cases {
        rules.case("S0.3");
        let mut maker = Maker::new();
        gone(&mut maker, "u1");
        change(&mut maker, "u1");
        let bench = maker.start();
        bench.host.remove_pod("u1");
        let moment = now() - 40 * S;
        let before = bench.everything();
        let (hooks, _) = as_of(&bench, &[moment]);
        let dry = bench
            .engine(&[], hooks)
            .containers(DRY_RUN, None)
            .report
            .unwrap();
        assert_eq!(bench.everything(), before, "{what}");
        let (report, lines) = collected(&bench, &[], &[moment]);
        let reason = if stays {
            "newer-than-answer"
        } else {
            "pod-removed"
        };
        is_left(&bench, &report, "u1", stays, reason);
        let fates = |report: &Report| -> Vec<_> {
            let fate = |e: &crigc::report::Entry| (e.id.clone(), e.outcome, e.reason);
            report.entries.iter().map(fate).collect()
        };
        assert_eq!(fates(&dry), fates(&report), "{what}");
        assert!(lines.is_empty(), "{what}: {lines:?}");
        // Without a moment the answer is of now.
        if stays {
            let report = bench.collected(&[]);
            is_left(&bench, &report, "u1", false, "pod-removed");
        }
    }
}

#[test]
fn s0_3_limits_hold_in_a_pod_that_is_newer_than_the_answer() {
    let mut rules = Rules::default();
    rules.case("S0.3");
    let mut maker = Maker::new();
    gone(&mut maker, "u1");
    for attempt in 1..3 {
        maker.container("u1", "app", attempt, Word::Exited);
        container_of(&mut maker, now() - 20 * S);
    }
    let bench = maker.start();
    bench.host.remove_pod("u1");
    let (report, _) = collected(&bench, &[], &[now() - 40 * S]);
    let fate = |attempt| {
        let (outcome, reason, _) = fate(&report, &id("u1", "app", attempt));
        (outcome, reason)
    };
    assert_eq!(fate(0), (Outcome::Removed, "unit-limit"));
    assert_eq!(fate(1), (Outcome::Removed, "unit-limit"));
    assert_eq!(fate(2), (Outcome::Kept, "newer-than-answer"));
}

/// The deletions of the pass itself make nothing newer, and later answers of the host about older or younger moments change no verdict.
#[test]
fn s0_3_a_pod_is_judged_once() {
    let mut rules = Rules::default();
    let later: [&[i64]; 4] = [
        &[0],
        &[-40 * S],
        &[-40 * S, -40 * S, -50 * HOUR],
        &[-40 * S, -S],
    ];
    for moments in later {
        rules.case("S0.3");
        let mut maker = Maker::new();
        gone(&mut maker, "old");
        gone(&mut maker, "young");
        container_of(&mut maker, now() - 20 * S);
        let bench = maker.start();
        bench.host.remove_pod("old");
        bench.host.remove_pod("young");
        let moments: Vec<i64> = moments.iter().map(|of| now() + of).collect();
        // Each question asks the host anew.
        let (report, _) = collected(&bench, &[("evidence-max-age", "1ms")], &moments);
        is_left(&bench, &report, "old", false, "pod-removed");
        let stays = moments.len() > 1 || moments[0] < now() - 20 * S;
        let reason = if stays {
            "newer-than-answer"
        } else {
            "pod-removed"
        };
        is_left(&bench, &report, "young", stays, reason);
    }
}

#[test]
fn s0_3_an_answer_of_a_time_to_come_or_before_all_time_is_not_ready() {
    let mut rules = Rules::default();
    for (moment, told) in [(now() + HOUR, 1), (i64::MAX, 1), (-1, 0), (i64::MIN, 0)] {
        rules.case("S0.3");
        let mut maker = Maker::new();
        gone(&mut maker, "u1");
        maker.restarted("exists", 2);
        let bench = maker.start();
        bench.host.remove_pod("u1");
        let (report, lines) = collected(&bench, &[], &[moment]);
        is_left(&bench, &report, "u1", true, "sources-not-ready");
        assert_eq!(fate(&report, &id("exists", "app", 0)).1, "unit-limit");
        let lines = lines.iter().filter(|line| line.contains("from now"));
        assert_eq!(lines.count(), told, "{moment}");
    }
}

#[test]
fn moments_in_other_units_than_nanoseconds_are_named_once() {
    // The moment of the answer, the host's clock, what becomes of a pod that is gone, and what is named.
    let nanoseconds = now() - 40 * S;
    let newer = "newer-than-answer";
    let cases = [
        (nanoseconds, now(), "pod-removed", None),
        (nanoseconds / S, now(), newer, Some("as_of ")),
        (nanoseconds / 1_000_000, now(), newer, Some("as_of ")),
        (0, now() / S, "", Some("the time of the host's clock ")),
    ];
    for (moment, clock, reason, named) in cases {
        let mut maker = Maker::new();
        gone(&mut maker, "u1");
        let bench = maker.start();
        bench.host.remove_pod("u1");
        let (mut hooks, lines) = as_of(&bench, &[moment]);
        hooks.clock = Some(Hook::new(Box::new(move || clock)));
        let engine = bench.engine(&[("evidence-max-age", "1ms")], hooks);
        let report = engine.containers(PassOptions::default(), None).report;
        // By such a clock each object is young, and has a reason of its own.
        if !reason.is_empty() {
            is_left(&bench, &report.unwrap(), "u1", reason == newer, reason);
        }
        let lines = lines.lock().unwrap();
        let told: Vec<&String> = lines
            .iter()
            .filter(|line| line.contains("which is 1970-01-") && line.contains("nanoseconds"))
            .collect();
        assert_eq!(told.len(), usize::from(named.is_some()), "{lines:?}");
        assert!(
            named.is_none_or(|named| told[0].starts_with(named)),
            "{told:?}"
        );
    }
}

#[test]
fn s0_3_times_beyond_now_do_not_count_and_are_logged_once() {
    let mut rules = Rules::default();
    rules.case("S0.3");
    let mut maker = Maker::new();
    for uid in ["u1", "u2", "u3"] {
        gone(&mut maker, uid);
        date(&maker.log(uid, "app", 0), now() + HOUR);
        sandbox_of(&mut maker, now() + HOUR);
    }
    let bench = maker.start();
    for uid in ["u1", "u2", "u3"] {
        bench.host.remove_pod(uid);
    }
    let (report, lines) = collected(&bench, &[("evidence-max-age", "1ms")], &[now() - 40 * S]);
    for uid in ["u1", "u2", "u3"] {
        is_left(&bench, &report, uid, false, "pod-removed");
    }
    assert_eq!(lines.len(), 1, "{lines:?}");
    // Three sandboxes and three log directories.
    assert!(
        lines[0].starts_with("6 containers, pod sandboxes or pod log directories"),
        "{lines:?}"
    );
}

/// In doubt a pod counts as changed; without its key there are no logs to read.
#[test]
fn s0_3_logs_that_cannot_be_read_keep_their_pods() {
    let mut rules = Rules::default();
    for (dir, stays) in [("outside/canary", true), ("", false)] {
        rules.case("S0.3");
        let mut maker = Maker::new();
        gone(&mut maker, "u1");
        let bench = maker.start();
        bench.host.remove_pod("u1");
        let path = bench.path(dir);
        let dir = if stays { path.to_str().unwrap() } else { "" };
        let (hooks, lines) = as_of(&bench, &[now() - 40 * S]);
        let engine = bench.engine(&[("pod-logs-dir", dir)], hooks);
        let end = engine.containers(PassOptions::default(), None);
        let report = end.report.unwrap();
        let (outcome, reason, _) = fate(&report, &id("u1", "app", 0));
        let told = lines.lock().unwrap();
        let told = told
            .iter()
            .filter(|line| line.starts_with("cannot find out when the logs of 1 pods"));
        if stays {
            assert_eq!((outcome, reason), (Outcome::Kept, "newer-than-answer"));
            assert_eq!(told.count(), 1);
            assert!(
                end.error
                    .unwrap()
                    .message
                    .contains("cannot read pod-logs-dir")
            );
        } else {
            assert_eq!((outcome, reason), (Outcome::Removed, "pod-removed"));
            assert_eq!(told.count(), 0);
        }
    }
}

/// A static pod comes back under its UID while the approval of its tree takes its time, and the host's list is too old to know.
#[test]
fn s0_3_a_pod_that_comes_back_before_the_turn_of_its_tree_keeps_its_log() {
    let mut rules = Rules::default();
    rules.case("S0.3");
    let mut maker = Maker::new();
    gone(&mut maker, "u1");
    gone(&mut maker, "u2");
    let bench = maker.start();
    bench.host.remove_pod("u1");
    bench.host.remove_pod("u2");
    let (mut hooks, _) = as_of(&bench, &[now() - 40 * S]);
    let (tree, log) = (logs(&bench, "u1"), bench.log("u1", "app", 1));
    let (path, new) = (tree.to_str().unwrap().to_owned(), log.clone());
    hooks.approve = Some(Hook::new(Box::new(move |planned| {
        if *planned.id == *path {
            write(&new);
        }
        true
    })));
    let end = bench
        .engine(&[], hooks)
        .containers(PassOptions::default(), None);
    assert_eq!(end.error, None);
    let report = end.report.unwrap();
    let (outcome, reason, _) = fate(&report, tree.to_str().unwrap());
    assert_eq!((outcome, reason), (Outcome::Kept, "newer-than-answer"));
    assert!(there(&log));
    is_left(&bench, &report, "u2", false, "pod-removed");
}

/// S7.3: a pod is judged by all parts, and by its logs as they were before limits took anything of it.
#[test]
fn s0_3_a_pod_is_judged_once_where_its_containers_come_in_parts() {
    let mut rules = Rules::default();
    let mut whole = None;
    for percent in [100, 70, 40, 25] {
        rules.case("S0.3");
        let bench = large::node(percent, &large::PODS, |maker: &mut Maker| {
            date_all(&maker.path("pods"), now() - HOUR);
            let young = maker.node.containers.iter_mut();
            let young = young.filter(|c| c.id.to_string() == large::id("u4", "side", 0));
            young.for_each(|c| c.created_at = now() - 20 * S);
        });
        bench.host.remove_pod("u4");
        bench.host.remove_pod("u6");
        let (report, _) = collected(&bench, &[], &[now() - 40 * S]);
        let kept = |uid: &str| {
            let entries = report.entries.iter();
            let kept = entries.filter(|e| &*e.pod_uid == uid && e.outcome == Outcome::Kept);
            kept.map(|e| e.reason.word()).collect::<Vec<_>>()
        };
        assert_eq!(kept("u6"), [""; 0], "{percent}");
        assert!(
            kept("u4").contains(&"newer-than-answer"),
            "{percent}: {:?}",
            kept("u4")
        );
        let left = large::left(&bench);
        assert_eq!(
            whole.get_or_insert_with(|| left.clone()),
            &left,
            "{percent}"
        );
    }
}

#[test]
fn s0_3_the_hosts_answer_is_checked_after_its_approval() {
    let mut rules = Rules::default();
    rules.case("S0.3");
    let bench = dead(1).start();
    bench.host.remove_pod("u1");
    let host = bench.host.clone();
    let mut hooks = bench.hooks();
    let approve = move |_: &Entry| {
        host.keep_all(); // the pod is back
        std::thread::sleep(Duration::from_millis(20));
        true
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let engine = bench.engine(&[("evidence-max-age", "10ms")], hooks);
    let report = engine
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    assert_eq!(fate(&report, &id("u1", "c00", 0)).1, "changed");
    assert_eq!(with_logs(&bench, 1), 1);
    assert!(bench.calls("RemoveContainer").is_empty());
}

#[test]
fn s0_3_a_slow_question_on_the_way_makes_the_answer_old() {
    let mut rules = Rules::default();
    rules.case("S0.3");
    let mut maker = Maker::new();
    maker.container("u1", "c00", 0, Word::Created);
    let delay = Duration::from_millis(300);
    maker
        .options
        .delays
        .insert("ContainerStatus".to_owned(), delay);
    let bench = maker.start();
    bench.host.remove_pod("u1");
    let host = bench.host.clone();
    let mut hooks = bench.hooks();
    let approve = move |_: &Entry| {
        host.keep_all();
        true
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let engine = bench.engine(&[("evidence-max-age", "250ms")], hooks);
    let report = engine
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    assert_eq!(fate(&report, &id("u1", "c00", 0)).1, "changed");
    assert_eq!(with_logs(&bench, 1), 1);
}

#[test]
fn s0_4_a_contradiction_is_the_status_whatever_failed_before() {
    let mut rules = Rules::default();
    rules.case("S0.4");
    let mut maker = Maker::new();
    for uid in ["u1", "u2"] {
        maker.container(uid, "app", 0, Word::Running);
        maker.sandbox(uid, 0, Word::Ready);
    }
    // The first list of sandboxes fails; at the second list the host's answer is wrong.
    maker.options.faults.push(Fault {
        count: Some(1),
        ..Fault::all("ListPodSandbox", code(INTERNAL))
    });
    let bench = maker.start();
    bench.host.remove_pod("u1");
    bench.host.remove_pod("u2");
    let end = bench.collect(&[], PassOptions::default());
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Contradiction, "{error}");
    assert!(error.message.contains("as the test wants it"), "{error}");
}

#[test]
fn s0_4_a_host_that_calls_what_runs_gone_is_not_believed() {
    let mut rules = Rules::default();
    // how many of the three pods that run the host calls gone, and whether that is a contradiction
    for (claimed, broken) in [(0, false), (1, false), (2, true), (3, true)] {
        rules.case("S0.4");
        let bench = alive_beside_gone().start();
        for uid in ["alive1", "alive2", "alive3"].iter().take(claimed) {
            bench.host.remove_pod(uid);
        }
        bench.host.remove_pod("gone");
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = events.clone();
        let mut hooks = bench.hooks();
        let event = move |reason: &str, _: &str| seen.lock().unwrap().push(reason.to_owned());
        hooks.event = Some(Hook::new(Box::new(event)));
        let end = bench
            .engine(&[], hooks)
            .containers(PassOptions::default(), None);
        let status = end.error.as_ref().map(|e| e.status);
        assert_eq!(status, broken.then_some(Status::Contradiction), "{claimed}");
        let expected: &[&str] = if broken {
            &["PodStatesContradicted"]
        } else {
            &[]
        };
        assert_eq!(*events.lock().unwrap(), expected, "{claimed}");
        let report = end.report.unwrap();
        for uid in ["alive1", "alive2", "alive3"] {
            // Limits hold all the same.
            assert_eq!(fate(&report, &id(uid, "app", 0)).1, "unit-limit");
            assert!(there(&bench.log(uid, "app", 9)) && there(&bench.log(uid, "app", 2)));
        }
        let (outcome, reason, _) = fate(&report, &id("gone", "app", 0));
        let kept = (Outcome::Kept, "pod-active");
        let removed = (Outcome::Removed, "pod-removed");
        assert_eq!((outcome, reason), if broken { kept } else { removed });
        assert_eq!(there(&bench.path("pods/ns_other_gone")), broken);
        assert_eq!(bench.sandboxes().contains(&sandbox_id("gone", 0)), broken);
    }
}

#[test]
fn s0_3_a_pod_that_comes_back_under_way_keeps_what_is_left() {
    let mut rules = Rules::default();
    for (age, changed) in [("1ms", true), ("1h", false)] {
        rules.case("S0.3");
        let mut maker = Maker::new();
        maker.sandbox("u1", 0, Word::NotReady);
        for n in 0..4 {
            maker.container("u1", &format!("c{n}"), 0, Word::Exited);
        }
        maker
            .options
            .delays
            .insert("RemoveContainer".to_owned(), Duration::from_millis(5));
        let bench = maker.start();
        bench.host.remove_pod("u1");
        let host = bench.host.clone();
        let mut hooks = bench.hooks();
        // After the first removal the pod is there again.
        let progress = move |_: Kind, _: usize, _: usize| host.keep_all();
        hooks.progress = Some(Hook::new(Box::new(progress)));
        let engine = bench.engine(&[ONE_BY_ONE, ("evidence-max-age", age)], hooks);
        let report = engine
            .containers(PassOptions::default(), None)
            .report
            .unwrap();
        let removed = report.count(Some(Kind::Container), Some(Outcome::Removed));
        assert_eq!(removed, if changed { 1 } else { 4 }, "{age}");
        if changed {
            assert_eq!(fate(&report, &id("u1", "c3", 0)).1, "changed");
            assert!(there(&bench.log("u1", "c3", 0)));
        }
        // S3 and S4 ask anew in any case.
        assert_eq!(bench.sandboxes().len(), 1);
        assert!(there(&bench.path("pods/ns_pod-u1_u1")));
    }
}
