//! What has changed since the moment at which the call said that the pod is gone is kept, with all of its pod (S0.3, S8).

use super::node::{UID, ended, lines, rest, with_others};
use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks};
use crigc::node::Text;
use std::collections::VecDeque;
use std::fs;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use test_support::bench::{Bench, DRY_RUN, Maker, id, there, write};
use test_support::rules::Rules;

const S: i64 = 1_000_000_000;

/// The host's clock tells these times, and then the last one for ever.
fn clock(times: &[i64]) -> Hooks {
    let times: Arc<Mutex<VecDeque<i64>>> = Arc::new(Mutex::new(times.iter().copied().collect()));
    let tell = move || {
        let mut times = times.lock().unwrap();
        let now = times[0];
        if times.len() > 1 {
            times.pop_front();
        }
        now
    };
    Hooks {
        clock: Some(Hook::new(Box::new(tell))),
        ..Hooks::default()
    }
}

fn now() -> i64 {
    crigc::clock::wall_now()
}

/// Whether nothing of the pod was removed because it is newer than the call.
fn is_kept(bench: &Bench, lines: &[String]) -> bool {
    let newer = |line: &&String| line.ends_with(" newer-than-answer");
    let removed = lines.iter().any(|line| line.starts_with("removed"));
    !removed && lines.iter().filter(newer).count() >= 2 && there(&bench.log(UID, "app", 0))
}

#[test]
fn s8_what_came_after_the_call_keeps_the_whole_pod() {
    let mut rules = Rules::default();
    let called = now() + 3600 * S;
    // When a container, a sandbox or a file of the pod came, in seconds after the call; the pass begins 100 seconds after it.
    let table = [
        ("container", 50),
        ("sandbox", 50),
        ("container", -50),
        ("sandbox", -50),
    ];
    for (object, seconds) in table {
        rules.case("S8");
        let mut maker = with_others();
        ended(&mut maker);
        let came = called + seconds * S;
        match object {
            "container" => maker.node.containers.last_mut().unwrap().created_at = came,
            _ => maker.node.sandboxes.last_mut().unwrap().created_at = came,
        }
        let bench = maker.start();
        let others = rest(&bench);
        let engine = bench.engine(&[], clock(&[called, called + 100 * S]));
        let end = engine.pod(UID, true, PassOptions::default(), None);
        assert_eq!(end.error, None);
        let lines = lines(&bench, &end.report.unwrap());
        assert_eq!(
            is_kept(&bench, &lines),
            seconds > 0,
            "{object} {seconds}: {lines:?}"
        );
        assert_eq!(rest(&bench), others);
    }
}

/// The host's clock says that the call was made before the logs were written.
#[test]
fn s8_logs_that_were_written_after_the_call_keep_the_pod() {
    let mut rules = Rules::default();
    rules.case("S8");
    let called = now() - 3600 * S;
    let mut maker = with_others();
    ended(&mut maker);
    let bench = maker.start();
    let engine = bench.engine(&[], clock(&[called, now() + 100 * S]));
    let end = engine.pod(UID, true, PassOptions::default(), None);
    let lines = lines(&bench, &end.report.unwrap());
    assert!(is_kept(&bench, &lines), "{lines:?}");
}

/// The moment is that of the call, not that of its turn: the pod comes back while the call waits.
#[test]
fn s8_a_pod_that_comes_back_while_the_call_waits_for_its_turn_is_kept() {
    let mut rules = Rules::default();
    rules.case("S8");
    let mut maker = with_others();
    ended(&mut maker);
    let bench = maker.start();
    bench.host.remove_pod(UID);
    let (calls, called) = mpsc::channel();
    let (end_first, ended_first) = mpsc::channel::<()>();
    let (calls, ended_first) = (Mutex::new(calls), Mutex::new(ended_first));
    let mut hooks = bench.hooks();
    hooks.clock = Some(Hook::new(Box::new(move || {
        // Nobody may listen any more.
        let _ = calls.lock().unwrap().send(());
        now()
    })));
    let host = bench.host.clone();
    hooks.pod_states = Some(Hook::new(Box::new(move |uids: &[Text]| {
        // The first pass is in here until the other end is dropped.
        let _ = ended_first.lock().unwrap().recv();
        host.answer(uids)
    })));
    let engine = bench.engine(&[], hooks);
    let end = std::thread::scope(|scope| {
        let first = scope.spawn(|| engine.containers(DRY_RUN, None));
        called.recv().unwrap();
        let second = scope.spawn(|| engine.pod(UID, true, PassOptions::default(), None));
        called.recv().unwrap();
        // Newer than the call, also by the clock of the filesystem, which may be late.
        std::thread::sleep(Duration::from_millis(50));
        write(&bench.log(UID, "app", 1));
        drop(end_first);
        assert_eq!(first.join().unwrap().error, None);
        second.join().unwrap()
    });
    assert_eq!(end.error, None);
    let lines = lines(&bench, &end.report.unwrap());
    assert!(is_kept(&bench, &lines), "{lines:?}");
}

/// The answer of the host's callback may be older than the call.
#[test]
fn s8_an_older_answer_of_the_callback_counts_as_well() {
    let mut rules = Rules::default();
    // As of which moment the callback answers, in seconds after the newest container; 0 = without one.
    for (seconds, is_left) in [(-10, true), (10, false), (0, false)] {
        rules.case("S8");
        let mut maker = with_others();
        ended(&mut maker);
        // The logs are older than that.
        let created = now() + 1000 * S;
        maker.node.containers.last_mut().unwrap().created_at = created;
        let bench = maker.start();
        bench.host.remove_pod(UID);
        let mut hooks = clock(&[created + 100 * S]);
        let host = bench.host.clone();
        let as_of = if seconds == 0 {
            0
        } else {
            created + seconds * S
        };
        hooks.pod_states = Some(Hook::new(Box::new(move |uids: &[Text]| {
            let mut answer = host.answer(uids);
            answer.as_of = as_of;
            answer
        })));
        let end = bench
            .engine(&[], hooks)
            .pod(UID, true, PassOptions::default(), None);
        let lines = lines(&bench, &end.report.unwrap());
        assert_eq!(is_kept(&bench, &lines), is_left, "{seconds}: {lines:?}");
    }
}

/// If the clock has been set back, the call speaks of the future.
#[test]
fn s8_a_call_that_speaks_of_the_future_removes_nothing() {
    let mut rules = Rules::default();
    rules.case("S8");
    let mut maker = Maker::new();
    ended(&mut maker);
    let bench = maker.start();
    let engine = bench.engine(&[], clock(&[now() + 100 * S, now()]));
    let end = engine.pod(UID, true, PassOptions::default(), None);
    let lines = lines(&bench, &end.report.unwrap());
    let waiting = lines
        .iter()
        .filter(|line| line.ends_with(" sources-not-ready"));
    assert_eq!(waiting.count(), 3, "{lines:?}");
    assert!(bench.containers().contains(&id(UID, "app", 0)));
}

#[test]
fn s8_without_a_clock_the_call_is_refused() {
    let mut rules = Rules::default();
    for now in [0, -1, i64::MIN] {
        rules.case("S8");
        let mut maker = Maker::new();
        ended(&mut maker);
        let bench = maker.start();
        let end = bench
            .engine(&[], clock(&[now]))
            .pod(UID, true, PassOptions::default(), None);
        assert!(end.report.is_none());
        assert_eq!(end.error.unwrap().status, Status::InvalidArgument, "{now}");
        assert_eq!(bench.containers().len(), 2);
        assert_eq!(fs::read_dir(bench.path("pods")).unwrap().count(), 1);
    }
}
