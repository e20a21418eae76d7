//! What the measurements say, as tables.

use crate::collect::{Measured, Objects};
use crate::starts::Start;
use std::collections::BTreeMap;
use std::fmt::Write;

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
        let rank = (part * self.0.len() as f64).ceil() as usize;
        let at = rank.clamp(1, self.0.len().max(1)) - 1;
        self.0.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// The starts before the pass, during it, and from its begin until the runtime was done.
fn idle(of: &Measured) -> impl Iterator<Item = &Start> {
    of.starts.iter().filter(|s| s.at + s.took() < of.began)
}

fn during(of: &Measured) -> impl Iterator<Item = &Start> {
    of.starts.iter().filter(|s| s.overlaps(of.began, of.ended))
}

fn until_cleaned(of: &Measured) -> impl Iterator<Item = &Start> {
    of.starts
        .iter()
        .filter(|s| s.overlaps(of.began, of.cleaned.max(of.ended)))
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// A table of the measurements of one kind; empty where there are none.
pub fn table(objects: Objects, all: &[Measured]) -> String {
    let mut by_collector: BTreeMap<&str, Vec<&Measured>> = BTreeMap::new();
    for one in all.iter().filter(|one| one.objects == objects) {
        by_collector.entry(&one.collector).or_default().push(one);
    }
    if by_collector.is_empty() {
        return String::new();
    }
    let every = || by_collector.values().flatten().copied();
    let quiet = Sample::of(every().flat_map(idle));
    let kubelet = by_collector
        .get("kubelet")
        .map(|passes| Sample::of(passes.iter().copied().flat_map(until_cleaned)).part(0.99));
    let mut text = String::from(
        "| collector | passes | removed | pass s | until the files are gone s | containerd CPU s | busy | disk wait | starts in the pass | median ms | p99 ms | max ms | starts until the files are gone | median ms | p99 ms | max ms | p99 / idle | p99 / kubelet |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let ms = |sample: &Sample| {
        let [median, high, most] = [0.5, 0.99, 1.0].map(|part| sample.part(part) * 1000.0);
        format!("{} | {median:.0} | {high:.0} | {most:.0}", sample.0.len())
    };
    let _ = writeln!(
        text,
        "| idle | | | | | | | | | | | | {} | 1 | |",
        ms(&quiet)
    );
    for (name, passes) in &by_collector {
        let of = |value: fn(&Measured) -> f64| mean(passes.iter().map(|one| value(one)));
        let all_of_it = Sample::of(passes.iter().copied().flat_map(until_cleaned));
        let high = all_of_it.part(0.99);
        let ratio = kubelet.map_or(String::new(), |kubelet| format!("{:.2}", high / kubelet));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {name} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {:.0} % | {:.0} % | {} | {} | {:.2} | {ratio} |",
            passes.len(),
            of(|one| one.removed as f64),
            of(|one| one.ended - one.began),
            of(|one| one.cleaned - one.began),
            of(|one| one.containerd_cpu),
            of(|one| 50.0 * one.busy / (one.cleaned - one.began)),
            of(|one| 50.0 * one.disk_wait / (one.cleaned - one.began)),
            ms(&Sample::of(passes.iter().copied().flat_map(during))),
            ms(&all_of_it),
            high / quiet.part(0.99),
        );
    }
    text
}
