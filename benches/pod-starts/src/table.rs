//! What the measurements say, as tables.

use crate::collect::Measured;
use crate::starts::Start;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The percentile that is asked for, and how many starts have one.
const HIGH: f64 = 0.99;
const FEWEST: usize = 100;

/// Some starts, sorted by how long they took.
struct Sample(Vec<f64>);

impl Sample {
    fn of<'a>(starts: impl Iterator<Item = &'a Start>) -> Sample {
        let mut took: Vec<f64> = starts.map(Start::took).collect();
        took.sort_by(f64::total_cmp);
        Sample(took)
    }

    /// The smallest value that so great a part does not exceed.
    fn part(&self, part: f64) -> f64 {
        // Of fewer, what is above the 99th percentile is less than one.
        if part == HIGH && self.0.len() < FEWEST {
            return f64::NAN;
        }
        let rank = (part * self.0.len() as f64).ceil() as usize;
        let at = rank.clamp(1, self.0.len().max(1)) - 1;
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }
}

type Starts<'a> = Box<dyn Iterator<Item = &'a Start> + 'a>;

/// The starts before the pass, during it, and from its begin until the runtime was done.
fn idle(of: &Measured) -> Starts<'_> {
    Box::new(of.starts.iter().filter(|s| s.at + s.took() < of.began))
}

fn during(of: &Measured) -> Starts<'_> {
    Box::new(of.starts.iter().filter(|s| s.began_in(of.began, of.ended)))
}

fn until_cleaned(of: &Measured) -> Starts<'_> {
    let end = of.began + of.lasted();
    Box::new(of.starts.iter().filter(move |s| s.began_in(of.began, end)))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// The tables of measurements of one setting. What others disturbed is left out.
pub fn table(all: &[&Measured]) -> String {
    let mut by_collector: BTreeMap<&str, Vec<&Measured>> = BTreeMap::new();
    for one in all.iter().filter(|one| one.is_undisturbed()) {
        by_collector.entry(&one.collector).or_default().push(one);
    }
    let disturbed = all.iter().filter(|one| !one.is_undisturbed()).count();
    let mut text = format!("{disturbed} measurements were disturbed and do not count.\n\n");
    let quiet = Sample::of(by_collector.values().flatten().copied().flat_map(idle));
    text += "| collector | passes | removed | pass, s | until the files are gone, s | CPU of containerd, s | busy | waiting for the disk |\n|---|---|---|---|---|---|---|---|\n";
    for (name, passes) in &by_collector {
        passes_line(&mut text, name, passes);
    }
    for (title, which) in [
        ("pass", during as for<'a> fn(&'a Measured) -> Starts<'a>),
        ("pass until the files are gone", until_cleaned),
    ] {
        let sample = |passes: &[&Measured]| Sample::of(passes.iter().copied().flat_map(which));
        let kubelet = by_collector
            .get("kubelet")
            .map(|passes| sample(passes).part(HIGH));
        let _ = write!(
            text,
            "\n| starts in the {title} | number | median, ms | p99, ms | longest, ms | median / idle | p99 / idle | p99 / kubelet |\n|---|---|---|---|---|---|---|---|\n"
        );
        starts_line(&mut text, "idle", &quiet, &quiet, kubelet);
        for (name, passes) in &by_collector {
            starts_line(&mut text, name, &sample(passes), &quiet, kubelet);
        }
    }
    text
}

/// How long the passes took, on average.
fn passes_line(text: &mut String, name: &str, passes: &[&Measured]) {
    let of = |value: fn(&Measured) -> f64| mean(passes.iter().map(|one| value(one)));
    // Writing to a string does not fail, here and below.
    let _ = writeln!(
        text,
        "| {name} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {:.0} % | {:.0} % |",
        passes.len(),
        of(|one| one.removed as f64),
        of(|one| one.ended - one.began),
        of(Measured::lasted),
        of(|one| one.containerd_cpu),
        of(|one| 100.0 * one.busy / one.processors()),
        of(|one| 100.0 * one.disk_wait / one.processors()),
    );
}

fn starts_line(text: &mut String, name: &str, of: &Sample, quiet: &Sample, kubelet: Option<f64>) {
    let [median, high, most] = [0.5, HIGH, 1.0].map(|part| of.part(part));
    let ms = |value: f64| cell(value * 1000.0, 0);
    let _ = writeln!(
        text,
        "| {name} | {} | {} | {} | {} | {} | {} | {} |",
        of.0.len(),
        ms(median),
        ms(high),
        ms(most),
        cell(median / quiet.part(0.5), 2),
        cell(high / quiet.part(HIGH), 2),
        cell(high / kubelet.unwrap_or(f64::NAN), 2),
    );
}

/// A number, if it is one.
fn cell(value: f64, digits: usize) -> String {
    if value.is_finite() {
        format!("{value:.digits$}")
    } else {
        String::new()
    }
}
