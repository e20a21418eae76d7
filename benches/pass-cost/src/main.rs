//! crigc beside the kubelet's own code and crictl, on equal nodes, against the same simulated runtime. `make bench` runs it.

mod figures;
mod left;
mod machine;
mod node;
mod picture;
mod records;
mod results;
mod run;
mod scenario;
mod statistics;

use clap::Parser;
use node::Place;
use records::{Record, Records};
use run::Programs;
use scenario::{Collector, Scenario};
use std::error::Error;
use std::path::PathBuf;

/// Measures, and writes docs/benchmark-results.md, docs/time-over-size.svg and the tables in docs/benchmarks.md and README.md.
#[derive(Parser)]
struct Flags {
    /// A few rows, a few minutes; nothing is written but what is printed.
    #[arg(long)]
    quick: bool,
    /// Only the row of this name, or those whose names contain it; see --list.
    #[arg(long, default_value = "")]
    only: String,
    /// Only this collector, such as kubelet, crigc-4 or crictl.
    #[arg(long)]
    collector: Option<String>,
    /// How often, in place of each row's own number.
    #[arg(long)]
    rounds: Option<usize>,
    /// Number the rounds from here, where one is measured at a time.
    #[arg(long, default_value_t = 0)]
    first_round: usize,
    /// Keep what was measured before, and add to it.
    #[arg(long)]
    append: bool,
    /// Measure nothing: write what was measured before.
    #[arg(long)]
    write: bool,
    /// Name the rows, and do nothing else.
    #[arg(long)]
    list: bool,
    /// Where a folder for nodes and their files is made: by default in memory, so that no figure waits for a disk. (Rows with
    /// `-disk` have it in the build tree.)
    #[arg(long, default_value = "/dev/shm")]
    node_dir: PathBuf,
    /// The build tree.
    #[arg(long, default_value = "target")]
    target: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse();
    let scenarios = chosen(&flags);
    if flags.list {
        scenarios
            .iter()
            .for_each(|scenario| println!("{} ({} rounds)", scenario.name(), scenario.rounds));
        return Ok(());
    }
    let target = std::path::absolute(&flags.target)?;
    // A part of it does not lose what a whole measurement took, unless it is to be added to that.
    let part = flags.quick || !flags.only.is_empty() || flags.collector.is_some();
    let records = if part && !flags.append && !flags.write {
        "bench/part"
    } else {
        "bench/records"
    };
    let records = Records {
        dir: target.join(records),
    };
    if !flags.write {
        if !flags.append {
            records.clear()?;
        }
        let programs = Programs {
            crisim: target.join("release/crisim"),
            drivers: target.join("bench"),
        };
        measure(&flags, &programs, &records, &scenarios)?;
    }
    let table = results::Table::new(records.read()?);
    println!("\n{}", table.markdown());
    if flags.write || !part {
        results::write(&table, &flags.node_dir)?;
    }
    Ok(())
}

fn chosen(flags: &Flags) -> Vec<Scenario> {
    let all = scenario::all(flags.quick).into_iter();
    let (named, others): (Vec<_>, Vec<_>) = all.partition(|scenario| scenario.name() == flags.only);
    let alike = others
        .into_iter()
        .filter(|scenario| scenario.name().contains(&flags.only));
    if named.is_empty() {
        alike.collect()
    } else {
        named
    }
}

/// Round after round, all collectors in turn; each round begins with another one.
fn measure(
    flags: &Flags,
    programs: &Programs,
    records: &Records,
    scenarios: &[Scenario],
) -> Result<(), Box<dyn Error>> {
    for scenario in scenarios {
        let place = if scenario.disk {
            Place::new(&programs.drivers)?
        } else {
            Place::new(&flags.node_dir)?
        };
        let rounds = flags.rounds.unwrap_or(scenario.rounds);
        for round in flags.first_round..flags.first_round + rounds {
            let mut collectors = scenario.collectors.clone();
            // The kubelet is the first of all: it says what is to be left.
            let turn = round % collectors.len();
            collectors.rotate_left(turn);
            for collector in collectors {
                if flags
                    .collector
                    .as_ref()
                    .is_none_or(|only| *only == collector.to_string())
                {
                    let record = once(programs, records, &place, scenario, collector, round)?;
                    println!("{}", told(&record));
                }
            }
        }
    }
    Ok(())
}

fn once(
    programs: &Programs,
    records: &Records,
    place: &Place,
    scenario: &Scenario,
    collector: Collector,
    round: usize,
) -> Result<Record, Box<dyn Error>> {
    let outcome = run::run(programs, scenario, collector, place);
    records.add(scenario, collector, round, outcome)
}

/// A run in a line.
fn told(record: &Record) -> String {
    let Record {
        scenario,
        collector,
        round,
        seen,
        ..
    } = record;
    let figures = record.told.as_ref().map_or(String::new(), |told| {
        format!(
            "{:8.3} s, {:7.3} s CPU, {:6} KiB more, {} removed, {} RPCs, {} in flight, {:.2} ms each",
            told.wall,
            told.cpu,
            told.peak_kib.saturating_sub(told.resident_kib),
            seen.removed,
            seen.rpcs,
            seen.in_flight,
            seen.delay * 1e3
        )
    });
    let differs = record.differs.as_ref().filter(|d| !d.is_none());
    let differs = differs.map_or(String::new(), |d| format!("; {}", d.told()));
    let error = match record.error.as_str() {
        "" => String::new(),
        error => format!("; FAILED: {error}"),
    };
    format!("{scenario:24} {collector:8} {round} {figures}{differs}{error}")
}
