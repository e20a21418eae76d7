//! How long a pod takes to start on a real runtime while dead containers or images are collected: by crigc with some removals at once,
//! by the kubelet's own code, and not collected. `make pod-starts` builds what it needs, runs it and prints tables.

mod collect;
mod cpu;
mod node;
mod starts;
mod table;

use clap::{Parser, Subcommand};
use collect::{Measured, NOTHING, Objects, measure};
use node::{APP, Kind, Load, Node, Runtime, make_images, settle};
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn Error + Send + Sync>;

/// Measures how long pods take to start while a containerd is collected.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Starts a runtime and measures all collectors in turn.
    Run(Box<Run>),
    /// Prints the table of results of earlier runs.
    Table {
        /// Files of results.
        results: Vec<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Run {
    #[command(flatten)]
    load: Load,
    /// What is collected.
    #[arg(long, value_enum, default_value = "containers")]
    objects: Objects,
    /// Collectors, in the order of the first round; later rounds begin with another one.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "nothing,kubelet,crigc,crigc-1,crigc-4,crigc-16"
    )]
    collectors: Vec<String>,
    /// Passes that are prepared, and then measured, together: each leaves this number of dead containers more for the next.
    #[arg(long, default_value_t = 2)]
    together: usize,
    /// How often each collector has its turn.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// The runtime, the first one of PATH.
    #[arg(long, value_enum, default_value = "containerd")]
    runtime: Kind,
    /// How containerd keeps files: overlayfs, as nodes do, or native.
    #[arg(long, default_value = "overlayfs")]
    snapshotter: String,
    /// More tables for the runtime's configuration.
    #[arg(long, default_value = "")]
    runtime_config: String,
    /// Where the runtime's files are.
    #[arg(long, default_value = "/tmp")]
    below: PathBuf,
    /// Where the collectors and the results are.
    #[arg(long, default_value = "target/pod-starts")]
    programs: PathBuf,
    /// A file to which the measurements are appended, below `programs`.
    #[arg(long, default_value = "results.jsonl")]
    results: String,
}

fn main() -> Result<(), Failure> {
    match Arguments::parse().what {
        What::Run(run) => run_all(&run),
        What::Table { results } => print_tables(&results),
    }
}

/// Measures collectors one after the other; what is for those behind it each leaves.
fn measure_together(
    collectors: &[String],
    run: &Run,
    node: &Node,
    programs: &Path,
) -> Result<Vec<Measured>, Failure> {
    let mut all = Vec::new();
    let load = run.load;
    for (done, collector) in collectors.iter().enumerate() {
        if INTERRUPTED.load(Ordering::SeqCst) {
            return Err("interrupted".into());
        }
        settle()?;
        let behind = collectors[done + 1..].iter().filter(|c| *c != NOTHING);
        let keep = 1 + behind.count() * load.dead / load.pods;
        let wanted = match run.objects {
            _ if collector == NOTHING => 0,
            Objects::Containers => load.dead / load.pods * load.pods,
            Objects::Images => load.images,
        };
        let mut measured = measure(collector, run.objects, (wanted, keep), node, programs)?;
        if measured.removed != wanted {
            let removed = measured.removed;
            return Err(format!("{collector} removed {removed} in place of {wanted}").into());
        }
        measured.setting = run.setting();
        all.push(measured);
        node.remove_started()?;
    }
    Ok(all)
}

impl Run {
    /// What has to be equal for measurements to be compared.
    fn setting(&self) -> String {
        let Load {
            pods,
            dead,
            images,
            files,
        } = self.load;
        let what = match self.objects {
            Objects::Containers => format!("{dead} dead containers in {pods} pods"),
            Objects::Images => format!("{images} images"),
        };
        let more = match self.runtime_config.as_str() {
            "" => String::new(),
            more => format!(", configured with {more}"),
        };
        let runtime = match self.runtime {
            Kind::Containerd => &self.snapshotter,
            Kind::Crio => "CRI-O",
        };
        format!("{what} of {files} files, {runtime}{more}")
    }
}

/// Somebody wants it to end.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From here on SIGINT and SIGTERM do not end this program but are heard: its runtime and pods are not to outlive it.
fn hear_of_signals() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _guard = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
        });
        INTERRUPTED.store(true, Ordering::SeqCst);
    });
    Ok(())
}

fn run_all(run: &Run) -> Result<(), Failure> {
    if let Some(why) = run.runtime.missing() {
        return Err(why.into());
    }
    hear_of_signals()?;
    let programs = run.programs.canonicalize()?;
    let runtime = Runtime::start(
        run.runtime,
        &run.below,
        &run.snapshotter,
        &run.runtime_config,
    )?;
    runtime.import(APP, "app", 0)?;
    let node = runtime.node(&run.snapshotter);
    node.make_pods(run.load)?;
    let mut results = fs::File::options()
        .create(true)
        .append(true)
        .open(programs.join(&run.results))?;
    let mut all = Vec::new();
    let turns = turns(run);
    let together = match run.objects {
        Objects::Containers => run.together,
        Objects::Images => 1, // a pass leaves none to the next
    };
    for (number, together) in turns.chunks(together).enumerate() {
        if INTERRUPTED.load(Ordering::SeqCst) {
            return Err("interrupted".into());
        }
        let removing = together.iter().filter(|c| *c != NOTHING).count();
        prepare(run, &runtime, &node, number, removing)?;
        for measured in measure_together(together, run, &node, &programs)? {
            writeln!(results, "{}", serde_json::to_string(&measured)?)?;
            eprintln!("{}", measured.in_short());
            all.push(measured);
        }
    }
    print(&all);
    Ok(())
}

/// The collectors in their order: each round begins with another one.
fn turns(run: &Run) -> Vec<String> {
    let mut collectors = run.collectors.clone();
    let mut turns = Vec::new();
    for _ in 0..run.rounds {
        turns.extend_from_slice(&collectors);
        collectors.rotate_left(1);
    }
    turns
}

/// Makes what the next collectors remove.
fn prepare(
    run: &Run,
    runtime: &Runtime,
    node: &Node,
    number: usize,
    passes: usize,
) -> Result<(), Failure> {
    match run.objects {
        _ if passes == 0 => Ok(()),
        Objects::Images => make_images(runtime, run.load, number),
        Objects::Containers => node.make_dead(run.load, passes),
    }
}

fn print_tables(results: &[PathBuf]) -> Result<(), Failure> {
    let mut all: Vec<Measured> = Vec::new();
    for file in results {
        for line in fs::read_to_string(file)?.lines() {
            all.push(serde_json::from_str(line)?);
        }
    }
    print(&all);
    Ok(())
}

/// A table for each setting.
fn print(all: &[Measured]) {
    let mut settings: Vec<&str> = all.iter().map(|one| one.setting.as_str()).collect();
    settings.sort_unstable();
    settings.dedup();
    for setting in settings {
        let of: Vec<&Measured> = all.iter().filter(|one| one.setting == setting).collect();
        println!("{setting}\n\n{}", table::table(&of));
    }
}
