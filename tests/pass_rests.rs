//! Whole passes whose removals give way to a runtime that has become slow (S2.7). A rest is seen by the runtime's clock, which stands
//! still for nobody: it is never shorter than it should be. That none is made is seen in the quickest of some passes.

#[path = "common/bench.rs"]
mod bench;
#[path = "common/rules.rs"]
mod rules;

use bench::{Bench, Maker, id, sandbox_id};
use crigc::engine::{Call, Flags};
use crigc::error::Status;
use crigc::report::{Kind, Outcome};
use crisim::fault::Action;
use crisim::node::Word;
use rules::Rules;
use std::thread;
use std::time::{Duration, Instant};

/// The removal that does not answer is given up after this; ten times as much, cut to a second, is the rest after it.
const DEADLINE: (&str, &str) = ("runtime-request-timeout", "200ms");
const RESTS: (&str, &str) = ("removal-rest-percent", "1000");
const NONE: (&str, &str) = ("removal-rest-percent", "0");
const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");
const LONGEST: Duration = Duration::from_secs(1);

/// Six containers and six sandboxes that are to go; the removal of the fourth of each does not answer.
fn node() -> Bench {
    let mut maker = Maker::new();
    for attempt in 0..6 {
        maker.container("u1", "app", attempt, Word::Exited);
    }
    for attempt in 0..7 {
        maker.sandbox("u2", attempt, Word::NotReady);
    }
    maker.fault("RemoveContainer", &id("u1", "app", 3), Action::Hang);
    maker.fault("RemovePodSandbox", &sandbox_id("u2", 3), Action::Hang);
    maker.start()
}

/// How long after the call that did not answer the next one of its kind came.
fn gap(bench: &Bench, methods: &[&str]) -> Duration {
    let calls = bench.server.trace();
    let mut of_kind = calls.iter().filter(|c| methods.contains(&c.method));
    let hung = of_kind.find(|c| c.code == -1).expect("one hung");
    let next = of_kind.next().expect("another one after it");
    Duration::from_micros(next.start - hung.start)
}

#[test]
fn s2_7_after_a_slow_removal_the_next_one_waits() {
    let mut rules = Rules::default();
    let containers = ["RemoveContainer"].as_slice();
    let sandboxes = ["StopPodSandbox", "RemovePodSandbox"].as_slice();
    let unused = Flags {
        all_unused: true,
        ..Flags::default()
    };
    let cases = [
        ("by the key", RESTS, Flags::default(), true),
        ("off", NONE, Flags::default(), false),
        ("where space is wanted at once", RESTS, unused, false),
    ];
    for (what, key, flags, rests) in cases {
        rules.case("S2.7");
        let bench = |_| {
            let bench = node();
            let end = bench.collect(&[NONE_KEPT, DEADLINE, key], flags);
            let report = end.report.unwrap();
            let removed = |kind| report.count(Some(kind), Some(Outcome::Removed));
            assert!(removed(Kind::Container) >= 5, "{what}");
            assert!(removed(Kind::Sandbox) >= 5, "{what}");
            bench
        };
        let tries: Vec<Bench> = (0..if rests { 1 } else { 5 }).map(bench).collect();
        for methods in [containers, sandboxes] {
            let least = tries.iter().map(|b| gap(b, methods)).min().unwrap();
            assert_eq!(least >= LONGEST, rests, "{what}: {methods:?} {least:?}");
        }
    }
}

/// S6.5: a rest ends with the pass.
#[test]
fn s2_7_s6_5_nobody_rests_in_a_pass_that_is_to_end() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    rules.case("S6.5");
    let one_try = |_| {
        let bench = node();
        let engine = bench.engine(&[NONE_KEPT, DEADLINE, RESTS], bench.hooks());
        let call = Call::new(0);
        thread::scope(|scope| {
            let pass = scope.spawn(|| engine.containers(Flags::default(), Some(&call)));
            // Watchdog: by then the removal hangs.
            let late = Instant::now() + Duration::from_secs(60);
            while !bench.calls("RemoveContainer").contains(&id("u1", "app", 3)) {
                assert!(Instant::now() < late, "it never came to the removal");
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis(400)); // its deadline has passed, and the rest goes on
            call.cancel();
            let cancelled = Instant::now();
            let end = pass.join().unwrap();
            assert_eq!(end.error.map(|e| e.status), Some(Status::Cancelled));
            cancelled.elapsed()
        })
    };
    let least = (0..5).map(one_try).min().unwrap();
    assert!(least < LONGEST / 2, "{least:?}");
}
