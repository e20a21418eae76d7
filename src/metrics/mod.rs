//! What an engine counts for Prometheus: the text of `gc_metrics`. docs/metrics.md is the manual. Passes only write to it. One lock guards
//! all numbers and is held for an instant, so that the numbers of one text fit together, and reading them never waits for a pass.

mod engines;
mod families;
mod histogram;
mod text;

use crate::error::Status;
use crate::node::{Container, ContainerState, FsUsage, Sandbox, SandboxState};
use crate::report::{Entry, Kind, Outcome, PaceFigures, Pass, Reason, Report};
use engines::EngineNumber;
use histogram::Histogram;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The bounds of the buckets, in seconds: a pass that finds nothing to do takes milliseconds, one that collects a neglected node hours.
const PASS_BOUNDS: [f64; 9] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
/// Those of calls: up to the default of runtime-request-timeout.
const CALL_BOUNDS: [f64; 14] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];

/// A word of ours. What the runtime or a workload named never becomes a label.
type Word = &'static str;

/// What became of an object: the outcomes of a report, and one for what a dry run would have removed.
const FATES: [Word; 5] = ["kept", "removed", "failed", "refused", "would-remove"];
const WOULD_REMOVE: usize = 4;

const KINDS: usize = Kind::ALL.len();

/// The metrics of one engine.
pub(crate) struct Metrics {
    engine: EngineNumber,
    numbers: Mutex<Numbers>,
}

/// All numbers, since the engine was made. What is there for each kind is in the order of the kinds; there are no maps, so that a program
/// that does not ask for metrics has little code for them.
#[derive(Clone)]
struct Numbers {
    passes: [PassNumbers; Pass::ALL.len()],
    /// The entries of all reports by kind, by fate, and by reason.
    objects_by_fate: [[Vec<u64>; FATES.len()]; KINDS],
    freed_bytes: u64,
    /// By the names of the calls in CRI.
    calls: Vec<(Word, Histogram)>,
    /// `None` = no pass has read them.
    image_fs: Option<FsUsage>,
    /// How many are in which state, by the last whole lists.
    objects: [Vec<(Word, usize)>; KINDS],
    /// The objects that periodic passes leave alone (S0.8).
    backoff: [usize; KINDS],
    removals_in_flight: usize,
    /// Of the last pass that removed objects of the kind, but the pauses of all passes.
    pace: [Option<PaceFigures>; KINDS],
}

/// The numbers of one kind of passes.
#[derive(Clone)]
struct PassNumbers {
    /// How many have ended with each status, by its number.
    ended: Vec<u64>,
    durations: Histogram,
    /// When the last one ended that did what the engine is for; seconds since the epoch.
    last_success: Option<f64>,
    /// Whether the last one kept an object because removals are held (S0.7); `None` = there was none yet.
    held: Option<bool>,
    /// While there are periodic passes of the kind.
    period: Option<Duration>,
}

impl PassNumbers {
    fn new() -> PassNumbers {
        PassNumbers {
            ended: (0..).map_while(Status::name_of).map(|_| 0).collect(),
            durations: Histogram::new(&PASS_BOUNDS),
            last_success: None,
            held: None,
            period: None,
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let numbers = Numbers {
            passes: Pass::ALL.map(|_| PassNumbers::new()),
            objects_by_fate: Kind::ALL.map(|_| FATES.map(|_| vec![0; Reason::ALL.len()])),
            freed_bytes: 0,
            calls: Vec::new(),
            image_fs: None,
            objects: Default::default(),
            backoff: [0; KINDS],
            removals_in_flight: 0,
            pace: [None; KINDS],
        };
        Metrics {
            engine: EngineNumber::take(),
            numbers: Mutex::new(numbers),
        }
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All numbers in Prometheus' text format.
    pub(crate) fn text(&self) -> String {
        let numbers = self.numbers().clone();
        text::write(numbers, self.engine.0)
    }

    /// A call of the runtime has ended, or is not waited for any longer.
    pub(crate) fn called(&self, path: &'static str, time: Duration) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let mut numbers = self.numbers();
        let calls = &mut numbers.calls;
        let at = match calls.iter().position(|(known, _)| *known == name) {
            Some(at) => at,
            None => {
                calls.push((name, Histogram::new(&CALL_BOUNDS)));
                calls.len() - 1
            }
        };
        calls[at].1.add(time);
    }

    /// The runtime is called to remove an object.
    pub(crate) fn removal_begun(&self) {
        self.numbers().removals_in_flight += 1;
    }

    /// Such a call has ended.
    pub(crate) fn removal_ended(&self) {
        let mut numbers = self.numbers();
        numbers.removals_in_flight = numbers.removals_in_flight.saturating_sub(1);
    }

    /// Figures of the image filesystem were read.
    pub(crate) fn saw_image_fs(&self, usage: FsUsage) {
        self.numbers().image_fs = Some(usage);
    }

    /// All containers of the node were listed.
    pub(crate) fn saw_containers(&self, containers: &[Container]) {
        let state = |container: &Container| match container.state {
            ContainerState::Created => 0,
            ContainerState::Running => 1,
            ContainerState::Exited => 2,
            ContainerState::Unknown => 3,
            ContainerState::Undefined(_) => 4,
        };
        let words = ["created", "running", "exited", "unknown", "undefined"];
        self.saw(Kind::Container, words, containers.iter().map(state));
    }

    /// All sandboxes of the node were listed.
    pub(crate) fn saw_sandboxes(&self, sandboxes: &[Sandbox]) {
        let state = |sandbox: &Sandbox| match sandbox.state {
            SandboxState::Ready => 0,
            SandboxState::NotReady => 1,
            SandboxState::Undefined(_) => 2,
        };
        let words = ["ready", "not-ready", "undefined"];
        self.saw(Kind::Sandbox, words, sandboxes.iter().map(state));
    }

    /// All images were listed, and their users; whether each is in use.
    pub(crate) fn saw_images(&self, in_use: impl Iterator<Item = bool>) {
        self.saw(Kind::Image, ["unused", "in-use"], in_use.map(usize::from));
    }

    /// Objects of a kind were seen, each in the state with this index.
    fn saw<const N: usize>(
        &self,
        kind: Kind,
        words: [Word; N],
        states: impl Iterator<Item = usize>,
    ) {
        let mut counts = words.map(|word| (word, 0));
        states.for_each(|state| counts[state].1 += 1);
        self.numbers().objects[kind as usize] = counts.into();
    }

    /// There are periodic passes of a kind, this long after each other; `None` = there are none any more.
    pub(crate) fn runs_every(&self, pass: Pass, period: Option<Duration>) {
        self.numbers().passes[pass as usize].period = period;
    }

    /// A pass has ended. `as_configured`: it removed, or it was a dry run of an engine that makes nothing else. `waiting`: how many objects
    /// of a kind are in backoff.
    pub(crate) fn ended(
        &self,
        report: &Report,
        as_configured: bool,
        waiting: impl Fn(Kind) -> usize,
    ) {
        let mut numbers = self.numbers();
        numbers.count_pass(report, as_configured);
        numbers.count_entries(report);
        let is_of_pass = |kind: &Kind| (*kind == Kind::Image) == (report.pass == Pass::Images);
        for kind in Kind::ALL.into_iter().filter(is_of_pass) {
            numbers.backoff[kind as usize] = waiting(kind);
        }
        for (kind, figures) in report.pace.iter() {
            let pace = &mut numbers.pace[kind as usize];
            let before = pace.map_or(0.0, |figures| figures.rest_seconds);
            *pace = Some(PaceFigures {
                rest_seconds: before + figures.rest_seconds,
                ..*figures
            });
        }
    }
}

impl Numbers {
    fn count_pass(&mut self, report: &Report, as_configured: bool) {
        let status = report.status();
        let pass = &mut self.passes[report.pass as usize];
        pass.ended[status as usize] += 1;
        let is_held = |entry: &Entry| entry.reason == Reason::Held;
        pass.held = Some(report.entries.iter().any(is_held));
        let time = Duration::try_from_secs_f64(report.seconds);
        pass.durations.add(time.unwrap_or_default());
        if status == Status::Ok && as_configured {
            pass.last_success = Some(end_of(report));
        }
    }

    fn count_entries(&mut self, report: &Report) {
        for entry in &report.entries {
            let fate = match entry.outcome {
                Outcome::Removed if report.dry_run => WOULD_REMOVE,
                outcome => outcome as usize,
            };
            self.objects_by_fate[entry.kind as usize][fate][entry.reason as usize] += 1;
        }
        if !report.dry_run {
            self.freed_bytes = self.freed_bytes.saturating_add(report.bytes_freed);
        }
    }
}

/// When a pass ended by the host's clock, to the millisecond; seconds since the epoch.
fn end_of(report: &Report) -> f64 {
    let milliseconds = report.started as f64 / 1e6 + report.seconds * 1e3;
    milliseconds.round() / 1e3
}
