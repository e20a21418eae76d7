//! When periodic passes begin (S6.1): the first at once, each other one after its period and a random part of it.

use crigc::error::Error;
use crigc::hooks::{Hook, Hooks};
use crigc::report::{Pass, Report};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use test_support::bench::{Bench, alive_beside_gone};
use test_support::rules::Rules;

/// Far above what anything here takes.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What a host hears of periodic passes.
#[derive(Debug, PartialEq)]
enum Heard {
    /// A pass read the clock, as it does first of all.
    Clock,
    End(Pass),
}

/// Hooks that tell what they hear, and when.
fn telling(bench: &Bench) -> (Hooks, Receiver<(Instant, Heard)>) {
    let (sender, receiver) = channel();
    let of_clock = sender.clone();
    // Nobody may listen any more.
    let clock = move || {
        let _ = of_clock.send((Instant::now(), Heard::Clock));
        1_700_000_000_000_000_000
    };
    let pass = move |kind: Pass, _: Option<&Report>, _: Option<&Error>| {
        let _ = sender.send((Instant::now(), Heard::End(kind)));
    };
    let hooks = Hooks {
        clock: Some(Hook::new(Box::new(clock))),
        pass: Some(Hook::new(Box::new(pass))),
        ..bench.hooks()
    };
    (hooks, receiver)
}

#[test]
fn s6_1_the_first_passes_begin_at_once_whatever_the_jitter_is() {
    let mut rules = Rules::default();
    let bench = alive_beside_gone().start();
    let (hooks, heard) = telling(&bench);
    let keys = [
        ("container-gc-period", "10h"),
        ("image-gc-period", "10h"),
        ("gc-period-jitter", "100"),
    ];
    let engine = bench.engine(&keys, hooks);
    engine.start().unwrap();
    rules.case("S6.1");
    let mut missing = vec![Pass::Containers, Pass::Images];
    while !missing.is_empty() {
        let (_, what) = heard.recv_timeout(WATCHDOG).expect("both first passes");
        missing.retain(|kind| what != Heard::End(*kind));
    }
}

#[test]
fn s6_1_a_period_with_jitter_is_never_shorter_than_without() {
    let mut rules = Rules::default();
    for percent in ["0", "1", "100"] {
        rules.case("S6.1");
        let bench = alive_beside_gone().start();
        let (hooks, heard) = telling(&bench);
        let keys = [
            ("container-gc-period", "30ms"),
            ("image-gc-high-threshold", "100"),
            ("gc-period-jitter", percent),
        ];
        let engine = bench.engine(&keys, hooks);
        engine.start().unwrap();
        let mut ended = None;
        let mut gaps = 0;
        while gaps < 8 {
            let (at, what) = heard.recv_timeout(WATCHDOG).expect("the next pass");
            match (what, ended) {
                (Heard::End(_), _) => ended = Some(at),
                (Heard::Clock, Some(end)) => {
                    assert!(
                        at - end >= Duration::from_millis(30),
                        "{percent}: {:?}",
                        at - end
                    );
                    ended = None;
                    gaps += 1;
                }
                (Heard::Clock, None) => {}
            }
        }
    }
}
