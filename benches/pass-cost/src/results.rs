//! The tables: every row with its collectors, and what differs where nodes are not left alike.

use crate::figures;
use crate::machine;
use crate::picture;
use crate::records::Record;
use crate::statistics::{Ratio, median, short};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

/// A figure of one run.
pub type Figure = fn(&Record) -> f64;

pub fn wall(record: &Record) -> f64 {
    record.told.as_ref().map_or(f64::NAN, |told| told.wall)
}

/// CPU seconds of the collector's process, deletion of logs included.
pub fn cpu(record: &Record) -> f64 {
    record.told.as_ref().map_or(f64::NAN, |told| told.cpu)
}

/// By how much the peak of memory is above what there was before; KiB.
pub fn growth(record: &Record) -> f64 {
    let grown = |told: &crate::run::Told| told.peak_kib.saturating_sub(told.resident_kib);
    record
        .told
        .as_ref()
        .map_or(f64::NAN, |told| grown(told) as f64)
}

pub fn rpcs(record: &Record) -> f64 {
    record.seen.rpcs as f64
}

pub fn rpcs_each(record: &Record) -> f64 {
    rpcs(record) / record.seen.removed as f64
}

/// The least that the removals can take.
pub fn limit(record: &Record) -> f64 {
    record.seen.limit
}

/// Removals in flight, on average.
pub fn in_flight(record: &Record) -> f64 {
    record.seen.mean_in_flight
}

/// Removals after the step until few are in flight.
pub fn until_few(record: &Record) -> f64 {
    record.seen.until_few.map_or(f64::INFINITY, |n| n as f64)
}

/// What was measured.
pub struct Table {
    records: Vec<Record>,
}

impl Table {
    pub fn new(records: Vec<Record>) -> Table {
        Table { records }
    }

    /// The runs of a collector over a row, by round.
    pub fn runs(&self, scenario: &str, collector: &str) -> Vec<&Record> {
        let mine = |record: &&Record| record.scenario == scenario && record.collector == collector;
        let mut runs: Vec<&Record> = self.records.iter().filter(mine).collect();
        runs.sort_by_key(|record| record.round);
        runs
    }

    /// A figure of all runs, if all are sound.
    pub fn values(&self, scenario: &str, collector: &str, figure: Figure) -> Option<Vec<f64>> {
        let runs = self.runs(scenario, collector);
        let sound = !runs.is_empty() && runs.iter().all(|record| record.is_sound());
        sound.then(|| runs.into_iter().map(figure).collect())
    }

    pub fn median(&self, scenario: &str, collector: &str, figure: Figure) -> Option<f64> {
        median(&self.values(scenario, collector, figure)?)
    }

    /// How many times the kubelet's figure is a collector's, over the rounds that both have; `None` where one of them left another
    /// node or failed.
    pub fn against_kubelet(
        &self,
        scenario: &str,
        collector: &str,
        figure: Figure,
    ) -> Option<Ratio> {
        let rounds = |of: &str| -> Option<BTreeMap<usize, f64>> {
            let runs = self.runs(scenario, of).into_iter();
            let rounds = runs.map(|record| record.round);
            Some(rounds.zip(self.values(scenario, of, figure)?).collect())
        };
        let (kubelet, own) = (rounds("kubelet")?, rounds(collector)?);
        let both = own
            .iter()
            .filter_map(|(round, own)| Some((*kubelet.get(round)?, *own)));
        let (kubelet, own): (Vec<f64>, Vec<f64>) = both.unzip();
        Ratio::of(&kubelet, &own)
    }

    pub fn against_limit(&self, scenario: &str, collector: &str) -> Option<Ratio> {
        let wall = self.values(scenario, collector, wall)?;
        Ratio::of(&wall, &self.values(scenario, collector, limit)?)
    }

    /// Each once, in the order in which they were measured.
    fn scenarios(&self) -> Vec<&str> {
        unique(self.records.iter().map(|record| record.scenario.as_str()))
    }

    fn collectors(&self, scenario: &str) -> Vec<&str> {
        let mine = self
            .records
            .iter()
            .filter(|record| record.scenario == scenario);
        let mut collectors = unique(mine.map(|record| record.collector.as_str()));
        let rank = |name: &str| match name.strip_prefix("crigc-") {
            Some(parallel) => parallel.parse().unwrap_or(0),
            None if name == "kubelet" => 0,
            None if name == "crigc" => 1,
            None => usize::MAX,
        };
        collectors.sort_by_key(|name| rank(name));
        collectors
    }

    /// Everything, as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = figures::table(self);
        for (title, prefix, explanation) in SECTIONS {
            let scenarios: Vec<&str> = self
                .scenarios()
                .into_iter()
                .filter(|s| s.starts_with(prefix))
                .collect();
            if !scenarios.is_empty() {
                let _ = write!(text, "\n## {title}\n\n{explanation}\n\n{HEAD}");
                scenarios
                    .iter()
                    .for_each(|scenario| self.rows(scenario, &mut text));
                scenarios
                    .iter()
                    .for_each(|scenario| self.remarks(scenario, &mut text));
            }
        }
        text
    }

    fn rows(&self, scenario: &str, text: &mut String) {
        for collector in self.collectors(scenario) {
            let runs = self.runs(scenario, collector);
            let come_to_a_pass = runs.iter().filter(|record| record.told.is_some());
            let of = |figure: Figure| {
                let values: Vec<f64> = come_to_a_pass
                    .clone()
                    .map(|record| figure(record))
                    .collect();
                median(&values).filter(|value| value.is_finite())
            };
            let cell = |value: Option<f64>| value.map_or("".to_owned(), short);
            let ratio =
                |ratio: Option<Ratio>| ratio.map_or("".to_owned(), |ratio| ratio.to_string());
            let beside = |figure: Figure| match collector {
                "kubelet" => String::new(),
                _ => ratio(self.against_kubelet(scenario, collector, figure)),
            };
            let to_limit = if scenario.contains("-0ms") {
                String::new()
            } else {
                ratio(self.against_limit(scenario, collector))
            };
            let columns = [
                scenario.to_owned(),
                collector.to_owned(),
                cell(of(wall)),
                beside(wall),
                to_limit,
                cell(of(cpu)),
                cell(of(|r| cpu(r) * 1e6 / r.seen.removed as f64)),
                beside(cpu),
                cell(of(rpcs)),
                cell(of(rpcs_each)),
                beside(rpcs),
                cell(of(|r| r.seen.in_flight as f64)),
                cell(of(|r| growth(r) / 1024.0)),
                beside(growth),
                runs.len().to_string(),
            ];
            let _ = writeln!(text, "| {} |", columns.join(" | "));
        }
    }

    /// Below the rows: who failed, and who left something else.
    fn remarks(&self, scenario: &str, text: &mut String) {
        for collector in self.collectors(scenario) {
            let unsound: Vec<&Record> = self
                .runs(scenario, collector)
                .into_iter()
                .filter(|r| !r.is_sound())
                .collect();
            if let Some(first) = unsound.first() {
                let _ = writeln!(
                    text,
                    "\n{scenario}, {collector}: no ratios, for it {}.",
                    reason(first)
                );
            }
        }
    }
}

/// Why a run counts for nothing.
fn reason(record: &Record) -> String {
    let mut reasons = Vec::new();
    if !record.error.is_empty() {
        reasons.push(format!("fails: `{}`", record.error.trim()));
    }
    let failed = record.told.as_ref().map_or(0, |told| told.failed_removals);
    if failed > 0 {
        reasons.push(format!("could not remove {failed} objects"));
    }
    match &record.differs {
        Some(differs) if !differs.is_none() => reasons.push(differs.told()),
        _ => {}
    }
    if reasons.is_empty() {
        "left nothing to compare with".to_owned()
    } else {
        reasons.join("; ")
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

const SECTIONS: [(&str, &str, &str); 4] = [
    (
        "Dead containers",
        "dead-",
        "Crash loops, 50 dead containers of each pod with their logs and links; one pod in five was deleted, of the others the newest \
         dead container stays. `dead-N-Mms`: N dead containers, M ms a removal (or each of several times for an equal share); `workers`: how many removals the runtime does at once, and then \
         after 1,000 removals; `crigc` has the default keys, `crigc-N` is allowed N at once; `streams`: the runtime has streaming lists.",
    ),
    (
        "Images",
        "images-",
        "1,000 images, half of them used by 20,000 containers; the disk is so full that the others have to go; `again`: the second pass of an engine, after a dry run. \
         Figures for each are those of an image.",
    ),
    (
        "Log trees",
        "trees-",
        "100,000 log files of 100 deleted pods of which the runtime knows nothing any more.",
    ),
    (
        "Nothing to do",
        "settled-",
        "10,000 containers, half of them dead, all within the limits.",
    ),
];

const HEAD: &str = "\
| row | collector | wall, s | times faster | against the limit | CPU, s | CPU each, µs | times less CPU | RPCs | RPCs each | \
times fewer RPCs | in flight | memory, MiB | times less memory | runs |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
";

/// How to read it, above the tables.
const READING: &str = "\
Medians of all runs; in parentheses the least and the greatest of what single rounds show. *Times* are the kubelet's figure over the
collector's in the same rounds. The *limit* is the number of removals over how many may run at once, times what one took in the mean by
crisim's own trace; for a runtime with N workers it is what N workers need. *CPU* is user and system time of the collector's process during the pass, deletion of logs included; *each* counts
for a removed container. *Memory* is by how much the peak of resident memory during the pass is above what there was before. For
crictl, CPU is that of all processes from their start on, and memory the peak of the largest. Where a collector leaves another node
than the others, or fails, there are no ratios, but what differs. How it is measured: [benchmarks.md](benchmarks.md).
";

/// Writes the results, the picture and the tables of figures. `nodes`: where nodes had their files.
pub fn write(table: &Table, nodes: &Path) -> Result<(), Box<dyn Error>> {
    let mut text = String::from("# Measured\n\nWritten by `make bench`.\n\n| | |\n|---|---|\n");
    for (name, value) in machine::described(nodes) {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    let _ = write!(
        text,
        "\n{READING}\n![Time of a pass over the number of dead containers](time-over-size.svg)\n\n"
    );
    text += "## The figures to reach\n\n";
    text += &table.markdown();
    std::fs::write("docs/benchmark-results.md", text)?;
    if let Some(picture) = picture::draw(table) {
        std::fs::write("docs/time-over-size.svg", picture)?;
    }
    put_figures("docs/benchmarks.md", &figures::table(table))?;
    put_figures("README.md", &figures::first(table))
}

/// Puts figures between a page's two marks.
fn put_figures(page: &str, figures: &str) -> Result<(), Box<dyn Error>> {
    const BEGIN: &str = "<!-- written by make bench -->\n";
    const END: &str = "<!-- end -->";
    let machine = machine::in_short();
    let text = std::fs::read_to_string(page)?;
    let (head, rest) = text
        .split_once(BEGIN)
        .ok_or_else(|| format!("{page} has no mark of `make bench`"))?;
    let (_, tail) = rest
        .split_once(END)
        .ok_or_else(|| format!("{page} has no end of what `make bench` writes"))?;
    let text = format!("{head}{BEGIN}On {machine}:\n\n{figures}{END}{tail}");
    Ok(std::fs::write(page, text)?)
}
