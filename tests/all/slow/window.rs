//! Whole passes, and how many objects they remove at once (S2.7). The decisions of a window are in `plans/window.rs`, in virtual time;
//! here is what a pass makes of them. What a busy machine can hide is tried again.

use crigc::engine::{Call, Engine, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, LogLevel};
use crigc::report::{Kind, Outcome, PaceFigures, Report};
use crisim::fault::Action;
use crisim::node::{Node, Word};
use crisim::workers::Work;
use crisim::{Options, Server};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use test_support::bench::{Bench, Maker, code, id, most_at_once};
use test_support::images::{Host, engine, node, user};
use test_support::rules::Rules;

const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");
const ONE_BY_ONE: (&str, &str) = ("max-parallel-removals", "1");
const REMOVE: &[&str] = &["RemoveContainer"];
const UNUSED: PassOptions = PassOptions {
    all_unused: true,
    ..PassOptions::PLAIN
};

/// So many containers to remove, oldest first.
fn dead(count: u32) -> Maker {
    let mut maker = Maker::new();
    for attempt in 0..count {
        maker.bare("u1", "app", attempt, Word::Exited);
    }
    maker
}

/// How long each removal takes.
fn takes(time: Duration) -> Work {
    Work {
        sizes: [("RemoveContainer".to_owned(), vec![time])].into(),
        ..Work::default()
    }
}

const fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn pace(report: &Report, kind: Kind) -> PaceFigures {
    report.pace.get(kind).copied().expect("it was removed")
}

/// The first of some tries that is good, or the last one.
fn tries<T>(good: impl Fn(&T) -> bool, one_try: impl Fn() -> T) -> T {
    let first = one_try();
    (1..20).fold(first, |last, _| if good(&last) { last } else { one_try() })
}

#[test]
fn s2_7_as_many_as_pay_are_removed_at_once_and_the_next_pass_begins_with_them() {
    let mut rules = Rules::default();
    for bound in [None, Some(5)] {
        rules.case("S2.7");
        let number = bound.map(|n: usize| n.to_string());
        let most = bound.unwrap_or(16);
        let mut keys = vec![NONE_KEPT];
        keys.extend(number.as_deref().map(|n| ("max-parallel-removals", n)));
        let one_try = || {
            let mut maker = dead(200);
            maker.options.work = takes(milliseconds(20));
            let node: Node = maker.node.clone();
            let bench = maker.start();
            let engine = bench.new_engine(&keys, bench.hooks());
            [0, 1].map(|_| {
                bench.server.renew(node.clone(), Vec::new());
                bench.server.clear_trace();
                let end = engine.containers(PassOptions::default(), None);
                let report = end.report.expect("a report");
                assert_eq!(report.count(None, Some(Outcome::Removed)), 200);
                let trace = bench.ended_trace();
                let of_runtime = most_at_once(&trace, REMOVE);
                let pace = pace(&report, Kind::Container);
                assert!(pace.in_flight_most <= most && of_runtime <= most);
                assert!(pace.in_flight_mean <= pace.in_flight_most as f64);
                let removals = || trace.iter().filter(|c| REMOVE.contains(&c.method));
                let first_end = removals().map(|c| c.end).min();
                let at_first = removals().filter(|c| Some(c.start) < first_end).count();
                (of_runtime, pace.in_flight_most, at_first)
            })
        };
        // The first pass begins with one at a time.
        let expected = [(most, most, 1), (most, most, most)];
        let found = tries(|found| *found == expected, one_try);
        assert_eq!(found, expected);
    }
}

#[test]
fn s2_7_a_runtime_with_one_hand_is_asked_for_little_more() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    let one_try = || {
        let mut maker = dead(1000);
        maker.options.work = Work {
            workers: 1,
            ..takes(milliseconds(4))
        };
        let report = maker.start().collected(&[NONE_KEPT]);
        pace(&report, Kind::Container)
    };
    let good = |pace: &PaceFigures| pace.in_flight_mean <= 1.5 && pace.in_flight_most > 1;
    let found = tries(good, one_try);
    assert!(good(&found), "{found:?}");
}

/// What fails does not count as quick.
#[test]
fn s2_7_where_all_removals_fail_one_at_a_time_is_tried() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    let mut maker = dead(100);
    for attempt in 0..100 {
        maker.fault("RemoveContainer", &id("u1", "app", attempt), code(13));
    }
    let bench = maker.start();
    let report = bench.collected(&[NONE_KEPT]);
    assert_eq!(report.count(None, Some(Outcome::Failed)), 100);
    assert_eq!(pace(&report, Kind::Container).in_flight_most, 1);
    assert_eq!(most_at_once(&bench.ended_trace(), REMOVE), 1);
}

/// A dry run calls nobody, so it has no pace, and teaches nothing.
#[test]
fn s2_7_a_dry_run_has_no_pace() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    let bench = dead(50).start();
    let engine = bench.engine(&[NONE_KEPT], bench.hooks());
    let dry_run = PassOptions {
        dry_run: true,
        ..PassOptions::PLAIN
    };
    let report = engine.containers(dry_run, None).report.expect("a report");
    assert_eq!(report.count(None, Some(Outcome::Removed)), 50);
    assert!(report.pace.iter().next().is_none(), "{:?}", report.pace);
    assert!(report.json().contains(r#""pace":{},"#));
}

/// A removal that hangs holds no other one up for long, though only one at a time is tried.
#[test]
fn s2_7_a_slow_one_holds_no_other_up_before_anything_is_known() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    let mut maker = dead(30);
    maker.fault("RemoveContainer", &id("u1", "app", 0), Action::Hang);
    let bench = maker.start();
    // It would hold up the others for half a minute.
    let report = bench.collected(&[NONE_KEPT, ("runtime-request-timeout", "30s")]);
    assert_eq!(report.count(None, Some(Outcome::Removed)), 29);
    let trace = bench.ended_trace();
    let removals = || trace.iter().filter(|c| REMOVE.contains(&c.method));
    let hung = removals()
        .find(|c| c.id == id("u1", "app", 0))
        .expect("tried");
    assert_eq!(removals().filter(|c| c.start < hung.end).count(), 30);
}

/// Where removals are known to be quick, one that has become very slow is followed by a rest.
struct Slow {
    bench: Bench,
    engine: Engine,
    lines: Arc<Mutex<Vec<String>>>,
}

/// How long removals take that have become slow; the rests after them are about one and a half times as long.
const SLOW: Duration = milliseconds(200);
const QUICK: Duration = milliseconds(20);
/// The looks at quick and slow removals before the first rest: a trial of at least 8 and at most 40, then 12 and 12.
const BEFORE: u32 = 40;

impl Slow {
    fn new(key: (&'static str, &'static str)) -> Slow {
        let mut maker = dead(BEFORE + 40);
        maker.options.work = takes(QUICK);
        maker.options.later = vec![(BEFORE as usize, takes(SLOW))];
        let bench = maker.start();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut hooks = bench.hooks();
        let written = lines.clone();
        let log =
            move |_: LogLevel, line: &str| written.lock().expect("whole").push(line.to_owned());
        hooks.log = Some((LogLevel::Info, Hook::new(Box::new(log))));
        let engine = bench.new_engine(&[NONE_KEPT, key], hooks);
        Slow {
            bench,
            engine,
            lines,
        }
    }

    /// Waits until at least so many removals have begun.
    fn wait_for(&self, removals: u32) {
        // Watchdog.
        let late = Instant::now() + Duration::from_secs(120);
        while self.bench.calls("RemoveContainer").len() < removals as usize {
            assert!(Instant::now() < late, "it never came to that removal");
            thread::sleep(milliseconds(1));
        }
    }
}

#[test]
fn s2_7_where_one_at_a_time_has_become_slow_removals_are_followed_by_rests() {
    let mut rules = Rules::default();
    for (options, rests) in [(PassOptions::default(), true), (UNUSED, false)] {
        rules.case("S2.7");
        let slow = Slow::new(ONE_BY_ONE);
        let report = slow
            .engine
            .containers(options, None)
            .report
            .expect("a report");
        assert_eq!(
            report.count(None, Some(Outcome::Removed)),
            BEFORE as usize + 40
        );
        let pace = pace(&report, Kind::Container);
        assert_eq!(pace.in_flight_most, 1);
        assert_eq!(pace.rest_seconds >= 1.0, rests, "{pace:?}");
        let lines = slow.lines.lock().expect("whole");
        let line = lines
            .iter()
            .find(|line| line.contains("at once on average"))
            .expect("a line");
        let says = format!(
            "pauses took {:.1} s; the next pass begins with 1 at once",
            pace.rest_seconds
        );
        assert!(line.contains(&says), "{line}");
    }
}

/// S6.5: a rest ends with the pass.
#[test]
fn s2_7_s6_5_no_rest_is_made_in_a_pass_that_is_to_end() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    rules.case("S6.5");
    let one_try = || {
        let slow = Slow::new(ONE_BY_ONE);
        let call = Call::new(0);
        thread::scope(|scope| {
            let pass = scope.spawn(|| {
                let end = slow.engine.containers(PassOptions::default(), Some(&call));
                (Instant::now(), end)
            });
            slow.wait_for(BEFORE + 30);
            // The removal has ended, and the rest is under way.
            thread::sleep(SLOW + SLOW / 4);
            let began = Instant::now();
            call.cancel();
            let (ended, end) = pass.join().expect("no panic");
            assert_eq!(end.error.map(|e| e.status), Some(Status::Cancelled));
            let report = end.report.expect("a report");
            (ended - began, pace(&report, Kind::Container).rest_seconds)
        })
    };
    let good = |(took, rested): &(Duration, f64)| *took < SLOW && *rested > 0.0;
    let found = tries(good, one_try);
    assert!(good(&found), "{found:?}");
}

/// Nothing rests while a caller waits for the end of the pass, and a rest under way ends.
#[test]
fn s2_7_no_rest_is_made_while_a_caller_waits() {
    let mut rules = Rules::default();
    for (joins_at, rests) in [(1, false), (BEFORE + 30, true)] {
        rules.case("S2.7");
        let one_try = || {
            let slow = Slow::new(ONE_BY_ONE);
            thread::scope(|scope| {
                let pass = scope.spawn(|| slow.engine.containers(PassOptions::default(), None));
                slow.wait_for(joins_at);
                if rests {
                    // The removal has ended, and the rest is under way.
                    thread::sleep(SLOW + SLOW / 4);
                }
                let before = slow.bench.calls("RemoveContainer").len();
                let caller = scope.spawn(|| slow.engine.containers(PassOptions::default(), None));
                let began = Instant::now();
                slow.wait_for(before as u32 + 1);
                let waited = began.elapsed();
                let report = pass.join().expect("no panic").report.expect("a report");
                assert!(caller.join().expect("no panic").error.is_none());
                let removed = report.count(None, Some(Outcome::Removed));
                assert_eq!(removed, BEFORE as usize + 40);
                (pace(&report, Kind::Container).rest_seconds, waited)
            })
        };
        let good = |(rested, waited): &(f64, Duration)| {
            if rests {
                *waited < SLOW && *rested > 0.0
            } else {
                *rested == 0.0
            }
        };
        let found = tries(good, one_try);
        assert!(good(&found), "{joins_at}: {found:?}");
    }
}

/// Questions that were cut off do not count as under way for ever: the next pass still finds out that many at once pay.
#[test]
fn s2_7_questions_that_are_cut_off_are_forgotten() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    const STATUS: &str = "ContainerStatus";
    let one_try = || {
        let mut made = node(Vec::new());
        for n in 0..400 {
            made.containers.push(user(&format!("c{n}"), "r/i:1"));
        }
        let options = Options {
            delays: [(STATUS.to_owned(), milliseconds(10))].into(),
            ..Options::default()
        };
        let server = Server::start(made, options).expect("a socket");
        let host = Host::new(1000, 900);
        let engine = engine(&server, host.hooks(true), &[]);
        let asked = || server.trace().iter().filter(|c| c.method == STATUS).count();
        let call = Call::new(0);
        thread::scope(|scope| {
            let pass = scope.spawn(|| engine.images(PassOptions::default(), Some(&call)));
            let late = Instant::now() + Duration::from_secs(120);
            while asked() < 60 {
                assert!(Instant::now() < late, "it never asked so many");
                thread::sleep(milliseconds(1));
            }
            call.cancel();
            let error = pass.join().expect("no panic").error;
            assert_eq!(error.map(|e| e.status), Some(Status::Cancelled));
        });
        // In a pause like this nothing is under way.
        thread::sleep(milliseconds(500));
        server.clear_trace();
        assert!(engine.images(PassOptions::default(), None).error.is_none());
        most_at_once(&server.trace(), &[STATUS])
    };
    let found = tries(|most| *most == 16, one_try);
    assert_eq!(found, 16);
}
