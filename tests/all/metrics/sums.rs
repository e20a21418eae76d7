//! Over random nodes and random passes the counters are the sums of the reports.

use super::exposition::numbers;
use crigc::engine::{Engine, PassOptions};
use crigc::report::{Outcome, Report};
use crisim::fault::{Action, Fault};
use std::collections::BTreeMap;
use std::fs;
use test_support::bench::{Bench, INTERNAL};
use test_support::dice::{Dice, nodes};
use test_support::images::{Host, image};
use test_support::random_node;

/// The counters that the reports of an engine add up to.
#[derive(Default)]
struct Sums(BTreeMap<String, f64>);

impl Sums {
    fn add(&mut self, name: String, value: f64) {
        *self.0.entry(name).or_default() += value;
    }

    fn take(&mut self, report: &Report) {
        let (pass, status) = (report.pass.word(), report.status().name());
        self.add(
            format!("crigc_passes_total{{pass={pass},status={status}}}"),
            1.0,
        );
        self.add(
            format!("crigc_pass_duration_seconds_count{{pass={pass}}}"),
            1.0,
        );
        for entry in &report.entries {
            let outcome = match entry.outcome {
                Outcome::Removed if report.dry_run => "would-remove",
                Outcome::Removed => "removed",
                Outcome::Kept => "kept",
                Outcome::Failed => "failed",
                Outcome::Refused => "refused",
            };
            let (kind, reason) = (entry.kind.name().to_str().unwrap(), entry.reason.word());
            let labels = format!("kind={kind},outcome={outcome},reason={reason}");
            self.add(format!("crigc_removals_total{{{labels}}}"), 1.0);
            if entry.outcome == Outcome::Removed && !report.dry_run {
                self.add(
                    "crigc_image_freed_bytes_total{}".to_owned(),
                    entry.bytes as f64,
                );
            }
        }
        for (kind, figures) in report.pace.iter() {
            let kind = kind.name().to_str().unwrap();
            self.add(
                format!("crigc_removals_rest_seconds_total{{kind={kind}}}"),
                figures.rest_seconds,
            );
        }
    }

    /// Compares them with all counters of a text that are not 0, except those of calls.
    fn check(&self, text: &str, what: &str) {
        let counts = |name: &str| name.contains("_total{") || name.contains("_seconds_count{pass");
        let rounded = |(name, value): (String, f64)| (name, (value * 1e6).round());
        let found = numbers(text)
            .into_iter()
            .filter(|(name, value)| counts(name) && *value != 0.0);
        let own = self
            .0
            .clone()
            .into_iter()
            .filter(|(_, value)| *value != 0.0);
        let (found, own): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (found.map(rounded).collect(), own.map(rounded).collect());
        assert_eq!(found, own, "{what}");
    }
}

fn a_pass(dice: &mut Dice, bench: &Bench, engine: &Engine) -> Option<Report> {
    let options = PassOptions {
        dry_run: dice.one_in(3),
        all_unused: dice.one_in(3),
        ..PassOptions::PLAIN
    };
    let hold = bench.path("outside/hold");
    if dice.one_in(4) {
        fs::write(&hold, "").unwrap();
    } else {
        let _ = fs::remove_file(&hold);
    }
    let end = match dice.roll(5) {
        0 | 1 => engine.images(options, None),
        2 | 3 => engine.containers(options, None),
        _ => {
            let uid = format!("u{}", dice.roll(random_node::PODS));
            engine.pod(&uid, true, options, None)
        }
    };
    end.report
}

#[test]
fn the_counters_are_the_sums_of_the_reports() {
    let mut seen: BTreeMap<String, f64> = BTreeMap::new();
    for seed in nodes(60) {
        let mut dice = Dice(seed);
        let mut maker = random_node::made(&mut dice);
        for n in 0..dice.roll(6) {
            maker
                .node
                .images
                .push(image(&format!("i{n}"), &format!("r/{n}:1"), 100));
        }
        for method in [
            "RemoveContainer",
            "RemoveImage",
            "RemovePodSandbox",
            "ListImages",
        ] {
            let skip = dice.roll(4);
            let fault = Fault {
                skip,
                count: Some(2),
                ..Fault::all(method, Action::Code(INTERNAL, String::new()))
            };
            maker.options.faults.push(fault);
        }
        let bench = random_node::start(&mut dice, maker);
        let mut hooks = bench.hooks();
        hooks.image_fs = Host::new(1000, dice.roll(400)).hooks(true).image_fs;
        let hold = bench.path("outside/hold");
        let engine = bench.new_engine(&[("hold-file", hold.to_str().unwrap())], hooks);
        let mut sums = Sums::default();
        for pass in 0..6 {
            let report = a_pass(&mut dice, &bench, &engine);
            sums.take(&report.expect("it began"));
            sums.check(&engine.metrics(), &format!("node {seed}, pass {pass}"));
        }
        for (name, value) in sums.0 {
            *seen.entry(name).or_default() += value;
        }
    }
    // The nodes show what they are for.
    for part in [
        "removed",
        "would-remove",
        "failed",
        "kept,reason=held",
        "kind=image",
        "kind=pod-logs",
        "pass=pod,status=GC_OK",
        "GC_ERROR_RUNTIME",
        "freed",
    ] {
        assert!(
            seen.iter()
                .any(|(name, value)| name.contains(part) && *value > 0.0),
            "{part}: {seen:?}"
        );
    }
}
