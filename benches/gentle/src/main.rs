//! How long a pod takes to start on a real containerd while dead containers or images are collected: by crigc with some removals
//! at once, by the kubelet's own code, and by nobody. `make gentle` builds what it needs, runs it and prints tables.

mod adaptive;
mod collect;
mod cpu;
mod node;
mod starts;
mod table;

use clap::{Parser, Subcommand};
use collect::{Measured, NOTHING, Objects, measure};
use ffi_tests::containerd::{Containerd, missing};
use node::{APP, Load, Node, make_images, settle};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

type Failure = Box<dyn Error + Send + Sync>;

/// Measures how long pods take to start while a containerd is collected.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Starts a containerd and measures all collectors in turn.
    Run(Box<Run>),
    /// Prints the table of results of earlier runs.
    Table {
        /// Files of results.
        results: Vec<PathBuf>,
    },
    /// The experiments that are called adaptive-N and paced-N among the collectors.
    #[command(hide = true)]
    Experiment {
        name: String,
        node: String,
        keep: usize,
        number: usize,
    },
    /// One step of a run, on its containerd.
    #[command(hide = true)]
    Step { step: String },
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
        default_value = "nothing,kubelet,crigc-1,crigc-2,crigc-4,crigc-8"
    )]
    collectors: Vec<String>,
    /// Passes that are prepared, and then measured, in one go: each leaves so many more dead containers for the next.
    #[arg(long, default_value_t = 2)]
    together: usize,
    /// How often each collector has its turn.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// How containerd keeps files: overlayfs, as nodes do, or native.
    #[arg(long, default_value = "overlayfs")]
    snapshotter: String,
    /// More tables for containerd's configuration.
    #[arg(long, default_value = "")]
    containerd_config: String,
    /// Where containerd's files are.
    #[arg(long, default_value = "/tmp")]
    below: PathBuf,
    /// Where the collectors and the results are.
    #[arg(long, default_value = "target/gentle")]
    programs: PathBuf,
    /// A file to which the measurements are appended, below `programs`.
    #[arg(long, default_value = "results.jsonl")]
    results: String,
    /// A command put before each preparation, for a machine with several users.
    #[arg(long, env = "GENTLE_PREPARE", default_value = "")]
    prepare_with: String,
    /// A command put before each measurement, such as one that waits until the machine is free.
    #[arg(long, env = "GENTLE_MEASURE", default_value = "")]
    measure_with: String,
}

/// What a process of its own does: so that measurements can be put under a command that keeps the machine free.
#[derive(Serialize, Deserialize)]
enum Step {
    Pods(Load),
    Dead(Load, usize),
    Measure(Vec<String>, Load, Objects, PathBuf),
}

fn main() -> Result<(), Failure> {
    match Arguments::parse().what {
        What::Run(run) => run_all(&run),
        What::Table { results } => print_tables(&results),
        What::Experiment {
            name,
            node,
            keep,
            number,
        } => {
            let node = serde_json::from_str(&node)?;
            match name.as_str() {
                "paced" => adaptive::collect_paced(&node, keep, number as f64),
                _ => adaptive::collect(&node, keep, number),
            }
        }
        What::Step { step } => {
            let (node, step) = serde_json::from_str(&step)?;
            take_step(&node, step)
        }
    }
}

fn take_step(node: &Node, step: Step) -> Result<(), Failure> {
    match step {
        Step::Pods(load) => node.make_pods(load),
        Step::Dead(load, passes) => node.make_dead(load, passes),
        Step::Measure(collectors, load, objects, programs) => {
            for (done, collector) in collectors.iter().enumerate() {
                settle()?;
                // What is for the passes behind it stays.
                let left = collectors[done + 1..]
                    .iter()
                    .filter(|c| *c != NOTHING)
                    .count();
                let keep = 1 + left * load.dead / load.pods;
                let measured = measure(collector, objects, keep, node, &programs)?;
                println!("{}", serde_json::to_string(&measured)?);
                node.remove_started()?;
            }
            Ok(())
        }
    }
}

/// Runs a step as a process of its own; what it prints.
fn step(with: &str, node: &Node, step: &Step) -> Result<String, Failure> {
    let step = serde_json::to_string(&(node, step))?;
    let own = std::env::current_exe()?;
    let mut words = with.split_whitespace();
    let mut command = Command::new(words.next().map_or(own.as_path(), Path::new));
    command.args(words);
    if !with.is_empty() {
        command.arg(&own);
    }
    let output = command
        .args(["step", &step])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{step}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn run_all(run: &Run) -> Result<(), Failure> {
    if let Some(why) = missing() {
        return Err(why.into());
    }
    let programs = run.programs.canonicalize()?;
    let containerd = Containerd::start_with(&run.below, &run.snapshotter, &run.containerd_config)
        .map_err(|error| error.to_string())?;
    containerd
        .import(APP, "app")
        .map_err(|error| error.to_string())?;
    let node = Node {
        folder: containerd.path(""),
        snapshotter: run.snapshotter.clone(),
        containerd: containerd.id(),
    };
    step("", &node, &Step::Pods(run.load))?;
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
        let removing = together.iter().filter(|c| *c != NOTHING).count();
        prepare(run, &containerd, &node, number, removing)?;
        let measuring = Step::Measure(together.to_vec(), run.load, run.objects, programs.clone());
        let lines = step(&run.measure_with, &node, &measuring)?;
        results.write_all(lines.as_bytes())?;
        let begin = all.len();
        for line in lines.lines() {
            all.push(serde_json::from_str(line)?);
        }
        eprintln!("{}", table::table(run.objects, &all[begin..]));
    }
    println!("{}", table::table(run.objects, &all));
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
    containerd: &Containerd,
    node: &Node,
    number: usize,
    passes: usize,
) -> Result<(), Failure> {
    match run.objects {
        _ if passes == 0 => Ok(()),
        Objects::Images => make_images(containerd, run.load, number),
        Objects::Containers => {
            step(&run.prepare_with, node, &Step::Dead(run.load, passes)).map(|_| ())
        }
    }
}

fn print_tables(results: &[PathBuf]) -> Result<(), Failure> {
    let mut all: Vec<Measured> = Vec::new();
    for file in results {
        for line in fs::read_to_string(file)?.lines() {
            all.push(serde_json::from_str(line)?);
        }
    }
    for objects in [Objects::Containers, Objects::Images] {
        println!("{}", table::table(objects, &all));
    }
    Ok(())
}
