//! While passes run, from several threads, and of several engines.

use super::exposition::{Family, families, numbers};
use crigc::engine::{Call, Engine, PassOptions};
use crisim::fault::{Action, Fault};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use test_support::bench::{Bench, DRY_RUN, Maker, dead};

/// Far above what anything here takes.
const WATCHDOG: Duration = Duration::from_secs(60);
const ALL_AT_ONCE: (&str, &str) = ("max-parallel-removals", "16");

fn engine(bench: &Bench, keys: &[(&str, &str)]) -> Engine {
    bench.engine(keys, bench.hooks())
}

fn in_flight(engine: &Engine) -> f64 {
    numbers(&engine.metrics())["crigc_removals_in_flight{}"]
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < WATCHDOG, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Four removals that never end: their number can be read, by the way without waiting for them.
#[test]
fn a_running_pass_shows_its_removals_in_flight() {
    let mut maker = dead(12);
    maker.options.faults = vec![Fault {
        count: Some(4),
        ..Fault::all("RemoveContainer", Action::Hang)
    }];
    let bench = maker.start();
    bench.host.remove_pod("u1");
    let engine = engine(&bench, &[ALL_AT_ONCE]);
    assert_eq!(in_flight(&engine), 0.0);
    let call = Call::new(0);
    thread::scope(|scope| {
        let pass = scope.spawn(|| engine.containers(PassOptions::PLAIN, Some(&call)));
        wait_until("all calls", || bench.calls("RemoveContainer").len() == 12);
        wait_until("the others end", || in_flight(&engine) == 4.0);
        let all = numbers(&engine.metrics());
        // It has not ended, so it is not counted.
        assert_eq!(all["crigc_passes_total{pass=containers,status=GC_OK}"], 0.0);
        assert!(!pass.is_finished());
        call.cancel();
        assert!(pass.join().unwrap().error.is_some());
    });
    assert_eq!(in_flight(&engine), 0.0);
    let most = "crigc_removals_in_flight_most{kind=container}";
    assert_eq!(numbers(&engine.metrics())[most], 12.0);
}

/// The period is there as long as there are periodic passes of the kind.
#[test]
fn periods_are_told_while_passes_are_periodic() {
    let bench = Maker::new().start();
    let keys = [
        ("container-gc-period", "90s"),
        ("image-gc-high-threshold", "100"),
    ];
    let images_alone = [("container-gc-period", "0")];
    for (own, expected) in [
        (&keys[..1], vec![90.0, 300.0]),
        (&keys[..], vec![90.0]),
        (&images_alone[..], vec![300.0]),
    ] {
        let engine = engine(&bench, own);
        let periods = || -> Vec<f64> {
            let all = numbers(&engine.metrics()).into_iter();
            all.filter(|(name, _)| name.starts_with("crigc_period_seconds"))
                .map(|(_, value)| value)
                .collect()
        };
        assert!(periods().is_empty());
        for _ in 0..2 {
            engine.start().unwrap();
            assert_eq!(periods(), expected);
            engine.stop();
            assert!(periods().is_empty());
        }
    }
}

fn engine_numbers(text: &str) -> BTreeSet<String> {
    let samples = families(text).into_iter().flat_map(|family| family.samples);
    samples
        .map(|sample| sample.labels["engine"].clone())
        .collect()
}

/// The texts of two engines, joined family by family: the way that docs/metrics.md names.
fn joined(texts: [&str; 2]) -> String {
    let [mut first, second] = texts.map(families);
    for family in second {
        match first.iter_mut().find(|known| known.name == family.name) {
            Some(known) => known.samples.extend(family.samples),
            None => first.push(family),
        }
    }
    let family = |family: &Family| {
        let Family {
            name,
            help,
            kind,
            samples,
        } = family;
        let lines = samples.iter().map(|sample| {
            let labels: Vec<String> = sample
                .labels
                .iter()
                .map(|(k, v)| format!("{k}=\"{v}\""))
                .collect();
            format!("{}{{{}}} {}\n", sample.name, labels.join(","), sample.value)
        });
        format!(
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{}",
            lines.collect::<String>()
        )
    };
    first.iter().map(family).collect()
}

#[test]
fn engines_of_one_process_can_be_told_apart() {
    let bench = dead(3).start();
    bench.host.remove_pod("u1");
    let (one, other) = (engine(&bench, &[]), engine(&bench, &[]));
    let of = |engine: &Engine| {
        let numbers = engine_numbers(&engine.metrics());
        assert_eq!(numbers.len(), 1, "{numbers:?}");
        numbers.into_iter().next().unwrap()
    };
    let (first, second) = (of(&one), of(&other));
    assert_ne!(first, second);
    // What one does, the other does not count.
    assert_eq!(one.containers(DRY_RUN, None).error, None);
    let passes = |engine: &Engine| numbers(&engine.metrics())["crigc_passes_total{pass=containers,status=GC_OK}"];
    assert_eq!((passes(&one), passes(&other)), (1.0, 0.0));
    let both = joined([&one.metrics(), &other.metrics()]);
    assert_eq!(
        engine_numbers(&both),
        [first.clone(), second.clone()].into()
    );
    // An engine keeps its number as long as it lives.
    drop(other);
    assert_eq!(of(&one), first);
    let third = engine(&bench, &[]);
    assert_ne!(of(&third), first);
}

/// Counters never go back, and each text is whole, however many threads read while passes run.
#[test]
fn counters_only_grow_while_passes_run() {
    let bench = dead(4).start();
    let engine = engine(&bench, &[]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut before = numbers(&engine.metrics());
                while !done.load(Ordering::Relaxed) {
                    let text = engine.metrics();
                    let counters = families(&text).into_iter().filter(|f| f.kind != "gauge");
                    let counters: BTreeSet<String> = counters.map(|f| f.name).collect();
                    let now = numbers(&text);
                    for (series, value) in &before {
                        if counters.iter().any(|name| series.starts_with(name)) {
                            assert!(
                                now[series] >= *value,
                                "{series}: {value}, then {}",
                                now[series]
                            );
                        }
                    }
                    before = now;
                }
            });
        }
        for _ in 0..60 {
            assert_eq!(engine.containers(DRY_RUN, None).error, None);
            assert!(engine.images(DRY_RUN, None).report.is_some());
        }
        done.store(true, Ordering::Relaxed);
    });
    let all = numbers(&engine.metrics());
    assert_eq!(
        all["crigc_passes_total{pass=containers,status=GC_OK}"],
        60.0
    );
}
