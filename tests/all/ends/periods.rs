//! When periodic passes begin (S6.1): the first at once, each other one after its period and a random part of it, or never.

use crigc::error::{Error, Status};
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
fn s6_1_jitter_makes_periods_longer_and_different() {
    let mut rules = Rules::default();
    for (percent, longest) in [("0", 0), ("1", 0), ("100", 36)] {
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
        let mut gaps = Vec::new();
        while gaps.len() < 12 {
            let (at, what) = heard.recv_timeout(WATCHDOG).expect("the next pass");
            match (what, ended) {
                (Heard::End(_), _) => ended = Some(at),
                (Heard::Clock, Some(end)) => {
                    gaps.push(at - end);
                    ended = None;
                }
                (Heard::Clock, None) => {}
            }
        }
        gaps.sort_unstable();
        let (least, most) = (gaps[0], gaps[gaps.len() - 1]);
        assert!(least >= Duration::from_millis(30), "{percent}: {gaps:?}");
        // Of twelve that are up to twice as long, one is a fifth longer: all but once in 200 million times.
        assert!(
            most >= Duration::from_millis(longest),
            "{percent}: {gaps:?}"
        );
    }
}

/// Image passes alone are what an agent makes beside a kubelet, which collects containers by itself.
#[test]
fn s6_1_a_period_of_0_means_no_passes_of_its_kind() {
    let mut rules = Rules::default();
    for (off, on, runs) in [
        ("container-gc-period", "image-gc-period", Pass::Images),
        ("image-gc-period", "container-gc-period", Pass::Containers),
    ] {
        rules.case("S6.1");
        let bench = alive_beside_gone().start();
        let (hooks, heard) = telling(&bench);
        let keys = [
            (off, "0s"),
            (on, "10ms"),
            // It wants image passes, and does not bring them back.
            ("image-maximum-gc-age", "1h"),
        ];
        let engine = bench.engine(&keys, hooks);
        engine.start().unwrap();
        let mut ends = 0;
        while ends < 5 {
            let (_, what) = heard.recv_timeout(WATCHDOG).expect("the next pass");
            if let Heard::End(kind) = what {
                assert_eq!(kind, runs, "{off}");
                ends += 1;
            }
        }
        engine.stop();
        let late: Vec<Heard> = heard.try_iter().map(|(_, what)| what).collect();
        let other = |what: &Heard| *what != Heard::Clock && *what != Heard::End(runs);
        assert!(!late.iter().any(other), "{off}: {late:?}");
    }
}

#[test]
fn s6_1_nothing_is_started_where_no_pass_is_periodic() {
    let mut rules = Rules::default();
    let never = ("container-gc-period", "0");
    for more in [("image-gc-period", "0"), ("image-gc-high-threshold", "100")] {
        rules.case("S6.1");
        let bench = alive_beside_gone().start();
        let engine = bench.engine(&[never, more], bench.hooks());
        for _ in 0..2 {
            let error = engine.start().expect_err(more.0);
            assert_eq!(error.status, Status::Config);
            for key in [never.0, more.0] {
                assert!(error.message.contains(key), "{}", error.message);
            }
        }
        // A host may still call for passes.
        let end = engine.containers(Default::default(), None);
        assert!(end.error.is_none(), "{:?}", end.error);
    }
}
