//! A pass of a collector while pods start, and what became of the node.

use crate::Failure;
use crate::node::Node;
use crate::starts::{Counter, Start, start_pods};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Starts before the pass: what an idle runtime does.
const IDLE_STARTS: usize = 20;

/// The runtime is done when it has removed nothing for so long: it collects its own garbage at times of its own.
const QUIET: Duration = Duration::from_secs(4);

/// A measurement ends after this, whatever the runtime does.
const LONGEST: Duration = Duration::from_secs(150);

/// The collector that removes nothing: what it measures should be what is measured before each pass.
pub const NOTHING: &str = "nothing";

/// What a pass collects.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Objects {
    /// Dead containers.
    Containers,
    /// Unused images.
    Images,
}

/// One measurement.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    /// Who collected.
    pub collector: String,
    /// What.
    pub objects: Objects,
    /// Pods that were started, before, during and after the pass.
    pub starts: Vec<Start>,
    /// When the pass began, in seconds since the measurement began, as all times here.
    pub began: f64,
    /// When it ended.
    pub ended: f64,
    /// When the last snapshot went.
    pub cleaned: f64,
    /// Snapshots that went.
    pub snapshots: usize,
    /// Containers or images that went.
    pub removed: usize,
    /// CPU time of containerd from `began` to `cleaned`.
    pub containerd_cpu: f64,
    /// CPU time of the machine from `began` to `cleaned`, in its seconds times processors.
    pub busy: f64,
    /// The same that processors waited for the disk.
    pub disk_wait: f64,
}

/// The command of a collector: `nothing`, `kubelet`, `crigc-N` for N removals at once, or the experiment `adaptive-N`.
fn command(
    name: &str,
    objects: Objects,
    keep: usize,
    node: &Node,
    programs: &Path,
) -> Result<Command, Failure> {
    let kind = match objects {
        Objects::Containers => "containers",
        Objects::Images => "images",
    };
    let (pods, links) = (node.path("pods"), node.path("links"));
    if name == NOTHING {
        let mut command = Command::new("sh");
        command.args(["-c", "echo begin; sleep 12; echo end"]);
        return Ok(command);
    }
    if name == "kubelet" {
        let mut command = Command::new(programs.join("kubelet"));
        let root = node.path("kubelet-root");
        std::fs::create_dir_all(&root)?;
        command
            .args([kind, &keep.to_string(), &node.endpoint()])
            .args([&pods, &links, &root]);
        return Ok(command);
    }
    if let Some(most) = name.strip_prefix("adaptive-") {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([
            "adaptive",
            &serde_json::to_string(node)?,
            &keep.to_string(),
            most,
        ]);
        return Ok(command);
    }
    let parallel = name
        .strip_prefix("crigc-")
        .ok_or_else(|| format!("{name} is no collector"))?;
    let mut command = Command::new(programs.join("collect"));
    command.arg(kind).args([
        format!("container-runtime-endpoint={}", node.endpoint()),
        format!("pod-logs-dir={}", pods.display()),
        format!("container-logs-dir={}", links.display()),
        format!("maximum-dead-containers-per-container={keep}"),
        format!("max-parallel-removals={parallel}"),
        format!("max-parallel-image-removals={parallel}"),
    ]);
    Ok(command)
}

/// Runs a collector while pods start, until the runtime has cleaned up.
pub fn measure(
    name: &str,
    objects: Objects,
    keep: usize,
    node: &Node,
    programs: &Path,
) -> Result<Measured, Failure> {
    let mut command = command(name, objects, keep, node, programs)?;
    let there = node.snapshots()?;
    let count = |of: &Node| -> Result<usize, Failure> {
        let cri = of.connect()?;
        Ok(match objects {
            Objects::Containers => cri.containers()?.len(),
            Objects::Images => cri.tags()?.len(),
        })
    };
    let before = count(node)?;
    let began = Instant::now();
    let counter = Counter::default();
    counter.enough.store(usize::MAX, Ordering::SeqCst);
    let (starts, pass) = std::thread::scope(|scope| {
        let starter = scope.spawn(|| start_pods(node, began, &counter));
        while counter.done.load(Ordering::SeqCst) < IDLE_STARTS && !starter.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let pass = follow(&mut command, node, &there, began);
        counter.enough.store(0, Ordering::SeqCst);
        let starts = starter
            .join()
            .map_err(|_| "the thread that starts pods panicked")?;
        Ok::<_, Failure>((starts?, pass?))
    })?;
    let mut after = count(node)?;
    if objects == Objects::Containers {
        after -= starts.len();
    }
    Ok(Measured {
        collector: name.to_owned(),
        objects,
        starts,
        removed: before.saturating_sub(after),
        ..pass
    })
}

/// Starts the collector, sees it through, and waits for the snapshots to go.
fn follow(
    command: &mut Command,
    node: &Node,
    there: &HashSet<String>,
    since: Instant,
) -> Result<Measured, Failure> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
    let mut wait_for = |word: &str| -> Result<f64, Failure> {
        match lines.next() {
            Some(Ok(line)) if line == word => Ok(since.elapsed().as_secs_f64()),
            other => Err(format!("{command:?}: {other:?} instead of {word}").into()),
        }
    };
    let began = wait_for("begin")?;
    let cpu = [cpu_of(node.containerd)?, machine()?.0, machine()?.1];
    let ended = wait_for("end")?;
    let (mut cleaned, mut gone, mut cpu_then) = (ended, usize::MAX, cpu);
    let mut last = Instant::now();
    while last.elapsed() < QUIET && since.elapsed() < LONGEST {
        let now = node.snapshots()?;
        let gone_now = there.difference(&now).count();
        if gone != gone_now {
            last = Instant::now();
            (cleaned, gone) = (since.elapsed().as_secs_f64(), gone_now);
            cpu_then = [cpu_of(node.containerd)?, machine()?.0, machine()?.1];
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(Measured {
        collector: String::new(),
        objects: Objects::Containers,
        starts: Vec::new(),
        began,
        ended,
        cleaned,
        snapshots: gone,
        removed: 0,
        containerd_cpu: cpu_then[0] - cpu[0],
        busy: cpu_then[1] - cpu[1],
        disk_wait: cpu_then[2] - cpu[2],
    })
}

/// Seconds in the ticks of /proc.
fn seconds(ticks: &str) -> Result<f64, Failure> {
    let ticks: f64 = ticks.parse().map_err(|_| format!("{ticks} ticks"))?;
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// CPU time of a process.
fn cpu_of(process: u32) -> Result<f64, Failure> {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Behind the name, which may hold anything: the state is field 3, user and system time are 14 and 15.
    let fields: Vec<&str> = line
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let field = |number: usize| seconds(fields.get(number - 3).unwrap_or(&""));
    Ok(field(14)? + field(15)?)
}

/// CPU time of the machine, and how long processors waited for the disk.
fn machine() -> Result<(f64, f64), Failure> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let fields: Vec<&str> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let field = |number: usize| seconds(fields.get(number).unwrap_or(&""));
    // cpu user nice system idle iowait irq softirq
    let busy = field(1)? + field(2)? + field(3)? + field(6)? + field(7)?;
    Ok((busy, field(5)?))
}
