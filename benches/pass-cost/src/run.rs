//! One run: makes a node, starts crisim with it, runs one collector's pass in a process of its own, and returns its cost and what it
//! left.

use crate::left::{self, Left};
use crate::node::{self, Kind, Place};
use crate::scenario::{Collector, Scenario};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Far above what any pass takes.
const LONGEST_PASS: &str = "1200";

/// A driver's figures of its pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Seconds.
    pub wall: f64,
    /// Seconds, of user and system together.
    pub cpu: f64,
    /// What the process had in memory before the pass.
    pub resident_kib: u64,
    /// The most it had during the pass.
    pub peak_kib: u64,
    pub failed_removals: u64,
    /// Empty: the pass did not fail.
    pub error: String,
}

/// What crisim saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    pub rpcs: usize,
    pub calls: BTreeMap<String, usize>,
    /// Containers (or images) that were removed.
    pub removed: usize,
    /// The most removals of them at once.
    pub in_flight: usize,
    /// How long a removal took in the mean; seconds.
    pub delay: f64,
    /// The least that the removals can take; seconds.
    pub limit: f64,
    /// Removals in flight, on average over the time while there was at least one.
    pub mean_in_flight: f64,
    /// After a step to fewer workers: how many removals ended until the last 16 had fewer than two in flight on average.
    pub until_few: Option<usize>,
}

/// All of one run.
pub struct Outcome {
    pub told: Told,
    pub seen: Seen,
    pub left: Left,
}

/// A line of crisim's trace.
#[derive(Deserialize)]
struct Call {
    method: String,
    start: u64,
    end: u64,
    in_flight: usize,
}

/// Where the programs are.
pub struct Programs {
    /// crisim.
    pub crisim: PathBuf,
    /// The drivers, and crictl.
    pub drivers: PathBuf,
}

/// crisim at work; it ends with this.
struct Sim(Child);

impl Sim {
    fn start(programs: &Programs, scenario: &Scenario, place: &Place) -> Result<Sim> {
        // It ends with this program, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(&programs.crisim);
        let delay = scenario.delay.to_string();
        command.args(["--remove-delay-ms", &delay]);
        for (flag, file) in [
            ("--socket", "cri.sock"),
            ("--node", "node.json"),
            ("--live-pods-out", "live"),
            ("--usage-file", "usage"),
            ("--state-out", "state.json"),
            ("--trace-out", "trace.json"),
        ] {
            command.arg(flag).arg(place.at(file));
        }
        let work = &scenario.work;
        command.args(["--workers", &work.workers.to_string()]);
        if let Some((after, workers)) = work.step {
            command.args(["--after", &format!("{after}:workers={workers}")]);
        }
        if !work.sizes.is_empty() {
            let sizes: Vec<String> = work.sizes.iter().map(u64::to_string).collect();
            command.args(["--delay", &format!("RemoveContainer={}", sizes.join(","))]);
        }
        if scenario.streams {
            command.arg("--streams");
        }
        let mut sim = Sim(command.stdout(Stdio::piped()).spawn()?);
        let out = sim.0.stdout.take().ok_or("crisim has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        if line.starts_with("listening") {
            Ok(sim)
        } else {
            Err("crisim did not start".into())
        }
    }

    /// Tells it to end, and waits until it has written what it knows.
    fn end(mut self) -> Result<()> {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        if self.0.wait()?.success() {
            Ok(())
        } else {
            Err("crisim failed".into())
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The command that makes the pass.
fn driver(
    programs: &Programs,
    scenario: &Scenario,
    collector: Collector,
    place: &Place,
) -> Command {
    // It ends with this program, too.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "timeout", "--kill-after=10"]);
    command.arg(LONGEST_PASS);
    let endpoint = format!("unix://{}", place.at("cri.sock").display());
    let own = |name: &str| programs.drivers.join(name);
    if collector == Collector::Crictl {
        let crictl = own("crictl").display().to_string();
        let line = format!("{crictl} ps -a --state exited -q | xargs -r {crictl} rm");
        command.arg(own("bench-command"));
        command.args(["bash", "-o", "pipefail", "-c", &line]);
        command.env("CONTAINER_RUNTIME_ENDPOINT", &endpoint);
        return command;
    }
    command.arg(own(match collector {
        Collector::Kubelet => "bench-kubelet",
        _ => "bench-crigc",
    }));
    command.arg(scenario.pass());
    command.args([place.at("live"), place.at("usage")]);
    command.arg(endpoint);
    command.args([place.at("pods"), place.at("links")]);
    if let Collector::Crigc(Some(parallel)) = collector {
        let key = match scenario.kind {
            Kind::Images(..) => "max-parallel-image-removals",
            _ => "max-parallel-removals",
        };
        command.args([key, &parallel.to_string()]);
    }
    command
}

fn made(scenario: &Scenario, place: &Place) -> Result<()> {
    place.clear()?;
    let node = node::make(scenario.kind, place)?;
    fs::write(place.at("node.json"), serde_json::to_vec(&node)?)?;
    // Files that were never written out are deleted faster.
    let synced = Command::new("sync")
        .arg("-f")
        .arg(place.at("pods"))
        .status()?;
    if synced.success() {
        Ok(())
    } else {
        Err("sync failed".into())
    }
}

fn seen(path: &Path, scenario: &Scenario) -> Result<Seen> {
    let removal = match scenario.kind {
        Kind::Images(..) => "RemoveImage",
        _ => "RemoveContainer",
    };
    let mut seen = Seen::default();
    let mut took = 0;
    let mut removals = Vec::new();
    for line in BufReader::new(fs::File::open(path)?).lines() {
        let call: Call = serde_json::from_str(&line?)?;
        seen.rpcs += 1;
        if call.method == removal {
            took += call.end.saturating_sub(call.start);
            seen.in_flight = seen.in_flight.max(call.in_flight);
            removals.push((call.start, call.end));
        }
        *seen.calls.entry(call.method).or_default() += 1;
    }
    seen.delay = took as f64 / 1e6 / removals.len().max(1) as f64;
    seen.mean_in_flight = took as f64 / covered(&mut removals).max(1) as f64;
    if let Some((after, _)) = scenario.work.step {
        removals.sort_unstable_by_key(|(_, end)| *end);
        let ends = &removals[after.min(removals.len())..];
        let at_end = |(_, at): &(u64, u64)| {
            removals
                .iter()
                .filter(|(start, end)| start <= at && at <= end)
                .count()
        };
        let at_ends: Vec<usize> = ends.iter().map(at_end).collect();
        let few = at_ends
            .windows(16)
            .position(|last| last.iter().sum::<usize>() < 32);
        seen.until_few = few.map(|at| at + 16);
    }
    Ok(seen)
}

/// For how long at least one of these calls was in flight.
fn covered(calls: &mut [(u64, u64)]) -> u64 {
    calls.sort_unstable();
    let mut until = 0;
    let mut sum = 0;
    for (start, end) in calls {
        sum += end.saturating_sub(until.max(*start));
        until = until.max(*end);
    }
    sum
}

/// Makes the run.
pub fn run(
    programs: &Programs,
    scenario: &Scenario,
    collector: Collector,
    place: &Place,
) -> Result<Outcome> {
    made(scenario, place)?;
    let sim = Sim::start(programs, scenario, place)?;
    let output = driver(programs, scenario, collector, place)
        .stderr(Stdio::piped())
        .output()?;
    let told = serde_json::from_slice(&output.stdout).map_err(|_| {
        format!(
            "the driver: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    sim.end()?;
    let before: crisim::node::Node = read(&place.at("node.json"))?;
    let after: crisim::node::Node = read(&place.at("state.json"))?;
    let mut seen = seen(&place.at("trace.json"), scenario)?;
    seen.removed = match scenario.kind {
        Kind::Images(..) => before.images.len() - after.images.len(),
        _ => before.containers.len() - after.containers.len(),
    };
    seen.limit = scenario.limit(collector, seen.removed, seen.delay);
    let left = left::look(&after, place)?;
    Ok(Outcome { told, seen, left })
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
