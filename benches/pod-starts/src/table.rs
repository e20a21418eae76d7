//! What the measurements say, as tables.

use crate::collect::Measured;
use crate::starts::Start;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The percentile that is shown.
const HIGH: f64 = 0.95;
/// A start is late that took so many times idle's median.
const LATE: f64 = 2.0;

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
    text += "| collector | passes | removed | pass, s | until the files are gone, s | CPU of the runtime, s | busy | waiting for the disk |\n|---|---|---|---|---|---|---|---|\n";
    for (name, passes) in &by_collector {
        passes_line(&mut text, name, passes);
    }
    for (title, which) in [
        ("pass", during as for<'a> fn(&'a Measured) -> Starts<'a>),
        ("pass until the files are gone", until_cleaned),
    ] {
        let sample = |passes: &[&Measured]| Sample::of(passes.iter().copied().flat_map(which));
        let usual = quiet.part(0.5);
        let delays = |passes: &[&Measured]| Delays::of(&sample(passes), passes, usual, which);
        let kubelet = by_collector.get("kubelet").map(|passes| delays(passes));
        let _ = write!(
            text,
            "\n| starts in the {title} | a pass | median, ms | p95, ms | longest, ms | p95 / kubelet | excess, s a pass | least and most | / kubelet | late, a pass | / kubelet |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
        );
        let idle = Delays::of(&quiet, &[], usual, which);
        delays_line(&mut text, "idle", &idle, None);
        for (name, passes) in &by_collector {
            delays_line(&mut text, name, &delays(passes), kubelet.as_ref());
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
        of(|one| one.runtime_cpu),
        of(|one| 100.0 * one.busy / one.processors()),
        of(|one| 100.0 * one.disk_wait / one.processors()),
    );
}

/// How pods started: percentiles of all starts, and what there was in a pass, on average.
struct Delays {
    starts: f64,
    /// Median, high percentile, longest; seconds.
    took: [f64; 3],
    /// What all starts of a pass took longer than idle's median, together: average, least, most; seconds.
    excess: [f64; 3],
    /// Late starts.
    late: f64,
}

impl Delays {
    fn of(
        all: &Sample,
        passes: &[&Measured],
        usual: f64,
        which: for<'a> fn(&'a Measured) -> Starts<'a>,
    ) -> Delays {
        let excess = |pass: &Measured| which(pass).map(|s| s.took() - usual).sum::<f64>();
        let excesses = || passes.iter().map(|pass| excess(pass));
        let late = |pass: &Measured| which(pass).filter(|s| s.took() > LATE * usual).count();
        Delays {
            starts: mean(passes.iter().map(|pass| which(pass).count() as f64)),
            took: [0.5, HIGH, 1.0].map(|part| all.part(part)),
            excess: [
                mean(excesses()),
                excesses().fold(f64::INFINITY, f64::min),
                excesses().fold(f64::NEG_INFINITY, f64::max),
            ],
            late: mean(passes.iter().map(|pass| late(pass) as f64)),
        }
    }
}

fn delays_line(text: &mut String, name: &str, of: &Delays, kubelet: Option<&Delays>) {
    let [median, high, most] = of.took.map(|took| cell(took * 1000.0, 0));
    let [excess, least, greatest] = of.excess.map(|sum| cell(sum, 1));
    let range = match least.as_str() {
        "" => String::new(),
        least => format!("{least} to {greatest}"),
    };
    let beside =
        |figure: fn(&Delays) -> f64| cell(figure(of) / kubelet.map_or(f64::NAN, figure), 2);
    let _ = writeln!(
        text,
        "| {name} | {} | {median} | {high} | {most} | {} | {excess} | {range} | {} | {} | {} |",
        cell(of.starts, 1),
        beside(|d| d.took[1]),
        beside(|d| d.excess[0]),
        cell(of.late, 1),
        beside(|d| d.late),
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
