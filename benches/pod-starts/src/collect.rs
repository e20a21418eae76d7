//! A pass of a collector while pods start, and what became of the node.

use crate::Failure;
use crate::cpu::Used;
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

/// Far above what the runtime takes to remove the files after a pass. It does so at times of its own.
const LONGEST: Duration = Duration::from_secs(240);

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
    /// Of what kind of node, in words: only what has the same is compared.
    pub setting: String,
    /// Pods that were started, before, during and after the pass.
    pub starts: Vec<Start>,
    /// When the pass began, in seconds since the measurement began, as all times here.
    pub began: f64,
    /// When it ended.
    pub ended: f64,
    /// When the last snapshot was removed.
    pub cleaned: f64,
    /// Snapshots that were removed.
    pub snapshots: usize,
    /// Containers or images that were removed.
    pub removed: usize,
    /// CPU time of the runtime from `began` to `cleaned`.
    pub runtime_cpu: f64,
    /// CPU time of the machine from `began` to `cleaned`, in its seconds times processors.
    pub busy: f64,
    /// The same that processors waited for the disk.
    pub disk_wait: f64,
    /// CPU time in between of processes that have nothing to do with it.
    pub others: f64,
}

impl Measured {
    /// Seconds from the begin of the pass until the runtime was done.
    pub fn lasted(&self) -> f64 {
        self.cleaned.max(self.ended) - self.began
    }

    /// Seconds of all processors in that time.
    pub fn processors(&self) -> f64 {
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        self.lasted() * processors as f64
    }

    /// The pass in a line.
    pub fn in_short(&self) -> String {
        let during = self
            .starts
            .iter()
            .filter(|s| s.began_in(self.began, self.ended));
        format!(
            "{:8} pass {:6.2} s, until the files are gone {:6.2} s, {} starts in the pass, {} in all, others {:.0} % of the machine",
            self.collector,
            self.ended - self.began,
            self.lasted(),
            during.count(),
            self.starts.len(),
            100.0 * self.others / self.processors()
        )
    }

    /// Whether other processes used the machine little.
    pub fn is_undisturbed(&self) -> bool {
        self.others < 0.1 * self.processors()
    }
}

/// The command of a collector: `nothing`, `kubelet`, `crigc` with its default keys, or `crigc-N`, which is allowed N removals at once;
/// `crigc:KEY=VALUE` sets a key more.
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
    let (name, setting) = match name.split_once(':') {
        Some((name, setting)) => (name, Some(setting)),
        None => (name, None),
    };
    let parallel = name.strip_prefix("crigc-");
    if parallel.is_none() && name != "crigc" {
        return Err(format!("{name} is no collector").into());
    }
    let mut command = Command::new(programs.join("collect"));
    command.arg(kind).args([
        format!("container-runtime-endpoint={}", node.endpoint()),
        format!("pod-logs-dir={}", pods.display()),
        format!("container-logs-dir={}", links.display()),
        format!("maximum-dead-containers-per-container={keep}"),
    ]);
    if let Some(parallel) = parallel {
        command.arg(format!("max-parallel-removals={parallel}"));
        command.arg(format!("max-parallel-image-removals={parallel}"));
    }
    command.args(setting);
    Ok(command)
}

/// Runs a collector while pods start, until the runtime has removed the files of the `wanted` containers or images, too.
pub fn measure(
    name: &str,
    objects: Objects,
    (wanted, keep): (usize, usize),
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
        let pass = follow(&mut command, node, (&there, wanted), began);
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
        starts,
        removed: before.saturating_sub(after),
        ..pass
    })
}

/// Starts the collector, waits for its end and for the removal of the `wanted` snapshots: each container and each image has one.
fn follow(
    command: &mut Command,
    node: &Node,
    (there, wanted): (&HashSet<String>, usize),
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
    let before = Used::now(node.runtime)?;
    let ended = wait_for("end")?;
    let (mut cleaned, mut gone) = (ended, 0);
    let mut used = Used::now(node.runtime)?.since(&before);
    let end = Instant::now();
    while gone < wanted {
        if end.elapsed() > LONGEST {
            return Err(format!("{gone} snapshots are gone, and {wanted} should be").into());
        }
        std::thread::sleep(Duration::from_millis(50));
        gone = there.difference(&node.snapshots()?).count();
        cleaned = since.elapsed().as_secs_f64();
        used = Used::now(node.runtime)?.since(&before);
    }
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(Measured {
        collector: String::new(),
        setting: String::new(),
        starts: Vec::new(),
        began,
        ended,
        cleaned,
        snapshots: gone,
        removed: 0,
        runtime_cpu: used.runtime,
        busy: used.busy,
        disk_wait: used.disk_wait,
        others: used.others,
    })
}
