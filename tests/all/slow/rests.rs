//! Whole passes whose removals give way to a runtime that has become slow (S2.7). A rest is seen by the runtime's clock, which stands
//! still for nobody: it is never shorter than it should be. That none is made is seen in the quickest of some passes.

use crigc::engine::{Call, Engine, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, LogLevel};
use crigc::report::{Kind, Outcome};
use crisim::fault::Action;
use crisim::node::Word;
use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use test_support::bench::{Bench, Maker, id, sandbox_id};
use test_support::rules::Rules;

/// The removal that does not answer is given up after this; ten times as much, cut to a second, is the rest after it.
const DEADLINE: (&str, &str) = ("runtime-request-timeout", "500ms");
const RESTS: (&str, &str) = ("removal-rest-percent", "1000");
const NONE: (&str, &str) = ("removal-rest-percent", "0");
const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");
const REST: Duration = Duration::from_secs(1);
const UNUSED: PassOptions = PassOptions {
    all_unused: true,
    ..PassOptions::PLAIN
};
/// Which of the objects does not answer: enough are before it to know how long a quick one takes.
const HANGS: u32 = 14;
const CONTAINERS: &[&str] = &["RemoveContainer"];
const SANDBOXES: &[&str] = &["StopPodSandbox", "RemovePodSandbox"];

/// Twenty containers and sandboxes to remove, oldest first; one of each does not answer.
fn maker() -> Maker {
    let mut maker = Maker::new();
    for attempt in 0..20 {
        maker.bare("u1", "app", attempt, Word::Exited);
        maker.sandbox("u2", attempt, Word::NotReady);
    }
    maker.sandbox("u2", 20, Word::NotReady);
    maker.fault("RemoveContainer", &id("u1", "app", HANGS), Action::Hang);
    maker.fault("RemovePodSandbox", &sandbox_id("u2", HANGS), Action::Hang);
    maker
}

fn removed(bench: &Bench, keys: &[(&str, &str)], flags: PassOptions) -> [usize; 2] {
    let keys = [&[NONE_KEPT, DEADLINE], keys].concat();
    let report = bench.collect(&keys, flags).report.unwrap();
    [Kind::Container, Kind::Sandbox].map(|kind| report.count(Some(kind), Some(Outcome::Removed)))
}

/// The least of up to forty tries: a busy machine may be slow in some of them.
fn least<T: Ord>(good: impl Fn(&T) -> bool, mut one_try: impl FnMut() -> T) -> T {
    let mut least = one_try();
    for _ in 1..40 {
        if good(&least) {
            break;
        }
        least = least.min(one_try());
    }
    least
}

/// The result of the first try in which only the call that hangs was late: the deadline is short for a busy machine.
fn healthy<T>(one_try: impl Fn() -> Option<T>) -> T {
    let mut tries = (0..50).filter_map(|_| one_try());
    tries.next().expect("a try in which all else was in time")
}

/// How long after the call that did not answer the next one of its kind came.
fn gap(bench: &Bench, methods: &[&str]) -> Duration {
    let hung = [id("u1", "app", HANGS), sandbox_id("u2", HANGS)];
    let calls = bench.server.trace();
    let mut of_kind = calls.iter().filter(|c| methods.contains(&c.method));
    let hung = of_kind
        .find(|c| c.method.starts_with("Remove") && hung.contains(&c.id))
        .expect("it was tried");
    let next = of_kind.next().expect("another one after it");
    Duration::from_micros(next.start - hung.start)
}

#[test]
fn s2_7_after_a_slow_removal_the_next_one_waits() {
    let mut rules = Rules::default();
    let two = ("max-parallel-removals", "2");
    let four = ("max-parallel-removals", "4");
    let cases = [
        (
            "by the key",
            vec![RESTS],
            PassOptions::default(),
            CONTAINERS,
            true,
        ),
        (
            "by the key",
            vec![RESTS],
            PassOptions::default(),
            SANDBOXES,
            true,
        ),
        ("off", vec![NONE], PassOptions::default(), CONTAINERS, false),
        (
            "space is wanted at once",
            vec![RESTS],
            UNUSED,
            CONTAINERS,
            false,
        ),
        (
            "space is wanted at once",
            vec![RESTS],
            UNUSED,
            SANDBOXES,
            false,
        ),
        // The other slot continues, in the half second as well as in the rest.
        (
            "two slots",
            vec![RESTS, two],
            PassOptions::default(),
            CONTAINERS,
            false,
        ),
        (
            "two slots",
            vec![RESTS, four],
            PassOptions::default(),
            SANDBOXES,
            false,
        ),
    ];
    for (what, keys, flags, methods, rests) in cases {
        rules.case("S2.7");
        let long = REST + REST / 4;
        let least = least(
            |gap| rests || *gap < long,
            || {
                healthy(|| {
                    let bench = maker().start();
                    let removed = removed(&bench, &keys, flags);
                    removed
                        .iter()
                        .all(|count| *count >= 19)
                        .then(|| gap(&bench, methods))
                })
            },
        );
        assert_eq!(least >= long, rests, "{what}: {methods:?} {least:?}");
    }
}

/// If nothing is left to be done, or nothing is removed, there is no rest.
#[test]
fn s2_7_no_rest_is_made_for_nothing() {
    let mut rules = Rules::default();
    let cases = [
        ("the last one", 19, PassOptions::default(), RESTS, 0),
        ("one before it", 18, PassOptions::default(), RESTS, 1),
        ("off", 18, PassOptions::default(), NONE, 0),
        ("all unused", 18, UNUSED, RESTS, 0),
    ];
    for (what, hangs, flags, key, times) in cases {
        rules.case("S2.7");
        let one_try = || {
            let mut maker = Maker::new();
            for attempt in 0..20 {
                maker.bare("u1", "app", attempt, Word::Exited);
            }
            maker.fault("RemoveContainer", &id("u1", "app", hangs), Action::Hang);
            let bench = maker.start();
            let lines = Arc::new(Mutex::new(Vec::new()));
            let mut hooks = bench.hooks();
            let written = lines.clone();
            let log = move |_: LogLevel, line: &str| written.lock().unwrap().push(line.to_owned());
            hooks.log = Some((LogLevel::Info, Hook::new(Box::new(log))));
            let engine = bench.engine(&[NONE_KEPT, DEADLINE, key], hooks);
            let report = engine.containers(flags, None).report.unwrap();
            let lines = lines.lock().unwrap();
            let rests = lines.iter().filter(|l| l.contains("removal-rest-percent"));
            let rests = rests.filter_map(|l| l.split(' ').next()?.parse::<u32>().ok());
            let removed = report.count(Some(Kind::Container), Some(Outcome::Removed));
            (removed == 19).then(|| rests.sum::<u32>())
        };
        // Others may rest, too, where the machine was busy.
        let least = least(|count| *count == times, || healthy(one_try));
        assert_eq!(least, times, "{what}");
    }
}

/// Starts a pass, waits until it rests, and returns how long it ran after `then`.
fn in_a_rest(then: impl Fn(&Engine, &Call)) -> (Duration, Option<Status>) {
    let bench = maker().start();
    let engine = bench.engine(&[NONE_KEPT, DEADLINE, RESTS], bench.hooks());
    let call = Call::new(0);
    thread::scope(|scope| {
        let pass = scope.spawn(|| {
            let end = engine.containers(PassOptions::default(), Some(&call));
            (Instant::now(), end.error.map(|e| e.status))
        });
        // Watchdog: by then the removal hangs.
        let late = Instant::now() + Duration::from_secs(60);
        while !bench
            .calls("RemoveContainer")
            .contains(&id("u1", "app", HANGS))
        {
            assert!(Instant::now() < late, "it never came to the removal");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(700)); // its deadline has passed, and the rest goes on
        let began = Instant::now();
        then(&engine, &call);
        let (ended, status) = pass.join().unwrap();
        (ended - began, status)
    })
}

/// S6.5: a rest ends with the pass.
#[test]
fn s2_7_s6_5_no_rest_is_made_in_a_pass_that_is_to_end() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    rules.case("S6.5");
    let one_try = || {
        let (took, status) = in_a_rest(|_, call| call.cancel());
        assert_eq!(status, Some(Status::Cancelled));
        took
    };
    let least = least(|took| *took < REST / 2, one_try);
    assert!(least < REST / 2, "{least:?}");
}

/// A caller who waits for the end of a pass ends its rests.
#[test]
fn s2_7_no_rest_is_made_while_a_caller_waits() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    // Only the sandbox of the first pass that does not answer is left, for half a second; the rest would have been 0.8 s longer.
    let short = REST;
    let one_try = || {
        let next = RefCell::new(None);
        let (took, status) = in_a_rest(|engine, _| {
            *next.borrow_mut() = engine.containers(UNUSED, None).error;
        });
        (status.is_none() && next.borrow().is_none()).then_some(took)
    };
    let least = least(|took| *took < short, || healthy(one_try));
    assert!(least < short, "{least:?}");
}
