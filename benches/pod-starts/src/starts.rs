//! Starts pods one after another, with a short pause between them, until it is stopped.

use crate::Failure;
use crate::node::{APP, Node};
use crisim::client::{log_directory, pod};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Between the end of one start and the next.
const PAUSE: Duration = Duration::from_millis(50);

/// A start of a pod: when, in seconds since the measurement began, and how long each of its calls took.
#[derive(Clone, Serialize, Deserialize)]
pub struct Start {
    /// When it began.
    pub at: f64,
    /// RunPodSandbox.
    pub sandbox: f64,
    /// CreateContainer.
    pub create: f64,
    /// StartContainer.
    pub start: f64,
}

impl Start {
    /// How long it took in all.
    pub fn took(&self) -> f64 {
        self.sandbox + self.create + self.start
    }

    /// Whether it began between the two.
    pub fn began_in(&self, from: f64, to: f64) -> bool {
        from <= self.at && self.at < to
    }
}

/// How the one that starts pods and the one that collects hear of each other.
#[derive(Default)]
pub struct Counter {
    /// Pods that were started.
    pub done: AtomicUsize,
    /// After how many to stop.
    pub enough: AtomicUsize,
}

/// Starts pods until there are enough.
pub fn start_pods(node: &Node, began: Instant, counter: &Counter) -> Result<Vec<Start>, Failure> {
    let cri = node.connect()?;
    let mut starts = Vec::new();
    while starts.len() < counter.enough.load(Ordering::SeqCst) {
        let uid = format!("starts-{}", starts.len());
        let config = pod(&uid, 0, &node.path("pods"));
        std::fs::create_dir_all(log_directory(&uid, &node.path("pods")).join("app"))?;
        let at = began.elapsed();
        let sandbox = cri.run_pod(config.clone())?;
        let made = began.elapsed();
        let id = cri.create(&sandbox, &config, "app", 0, APP, &[])?;
        let created = began.elapsed();
        cri.start(&id)?;
        let started = began.elapsed();
        starts.push(Start {
            at: at.as_secs_f64(),
            sandbox: (made - at).as_secs_f64(),
            create: (created - made).as_secs_f64(),
            start: (started - created).as_secs_f64(),
        });
        counter.done.store(starts.len(), Ordering::SeqCst);
        std::thread::sleep(PAUSE);
    }
    Ok(starts)
}
