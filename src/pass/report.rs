//! What a pass reports: the entries of its report, its errors, events, lines of the log and progress. Stages only write to it.

use super::fate::{Fate, Planned};
use super::words::{many, sentence};
use super::{PassOptions, Trigger};
use crate::causes::Causes;
use crate::error::{Error, Status};
use crate::hooks::{Hooks, LogLevel};
use crate::metrics::Metrics;
use crate::node::{FsUsage, Text};
use crate::panics;
use crate::plan::in_flight::InFlight;
use crate::report::{ByKind, Disk, Entry, Kind, Outcome, PaceFigures};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How many panics the error of a pass names; the report has them all.
const MOST_PANICS: usize = 10;

/// The growing report of a pass.
pub(crate) struct PassReport<'a> {
    hooks: &'a Hooks,
    metrics: &'a Metrics,
    dry_run: bool,
    /// It only records images, between two passes: the next pass meets the same errors, and logs them.
    only_records: bool,
    entries: RefCell<Vec<Entry>>,
    errors: RefCell<Vec<Error>>,
    /// The causes of these errors, and of failed removals.
    causes: RefCell<Causes>,
    object_causes: RefCell<Causes>,
    /// How many removals of each kind have ended, in all rounds of the pass.
    removals_ended: RefCell<HashMap<Kind, usize>>,
    /// What has been logged that is logged once.
    logged: RefCell<HashSet<&'static str>>,
    /// The first and the last figures of the image filesystem.
    filesystem: Cell<Option<(FsUsage, FsUsage)>>,
    /// What the goal of an image pass rests on.
    disk: Cell<Option<Disk>>,
    /// The runtime's calls that remove objects, and the time of rests after them.
    calls: RefCell<ByKind<(InFlight, Duration)>>,
}

/// Writes to the host's log.
pub(crate) fn log(hooks: &Hooks, level: LogLevel, message: &str) {
    if let Some((up_to, log)) = &hooks.log
        && level <= *up_to
    {
        log.with(|log| log(level, message));
    }
}

/// Sends an event to the host (S6.2), and logs it; a pass does so by `PassReport::event`.
pub(crate) fn event(hooks: &Hooks, reason: &str, message: &str) {
    log(hooks, LogLevel::Warn, &format!("{reason}: {message}"));
    if let Some(event) = &hooks.event {
        event.with(|event| event(reason, message));
    }
}

impl<'a> PassReport<'a> {
    pub(crate) fn new(
        hooks: &'a Hooks,
        metrics: &'a Metrics,
        options: PassOptions,
    ) -> PassReport<'a> {
        PassReport {
            hooks,
            metrics,
            dry_run: options.dry_run,
            only_records: options.trigger == Trigger::Look,
            entries: RefCell::default(),
            errors: RefCell::default(),
            causes: RefCell::default(),
            object_causes: RefCell::default(),
            removals_ended: RefCell::default(),
            logged: RefCell::default(),
            filesystem: Cell::default(),
            disk: Cell::default(),
            calls: RefCell::default(),
        }
    }

    /// Calls a callback that only listens: a panic in it fails the pass and breaks nothing off.
    fn notify(&self, call: impl FnOnce()) {
        if let Err(panic) = panics::caught(call) {
            self.keep(panic);
        }
    }

    /// Writes to the host's log.
    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        self.notify(|| log(self.hooks, level, message));
    }

    /// Logs a warning once in a pass; `about` names its subject.
    pub(crate) fn warn_once(&self, about: &'static str, message: impl FnOnce() -> String) {
        if self.logged.borrow_mut().insert(about) {
            self.log(LogLevel::Warn, &message());
        }
    }

    /// Sends an event to the host, and logs it (S6.2). A dry run, which the kubelet does not have, only logs it.
    pub(crate) fn event(&self, reason: &str, message: &str) {
        self.log(LogLevel::Warn, &format!("{reason}: {message}"));
        if let Some(event) = self.hooks.event.as_ref().filter(|_| !self.dry_run) {
            self.notify(|| event.with(|event| event(reason, message)));
        }
    }

    /// The pass fails with this error. Each error counts once, and of panics only the first ones: each object may give another message.
    /// True = its cause is a new one.
    pub(crate) fn keep(&self, error: Error) -> bool {
        let mut errors = self.errors.borrow_mut();
        let panics = errors.iter().filter(|e| e.status == Status::Internal);
        let enough = error.status == Status::Internal && panics.count() >= MOST_PANICS;
        if enough || errors.contains(&error) {
            return false;
        }
        let is_new_cause = error.count_in(&mut self.causes.borrow_mut());
        errors.push(error);
        is_new_cause
    }

    /// The pass fails with this error, after all that can be done has been done (S6.4).
    pub(crate) fn fail(&self, error: Error) {
        let (status, message) = (error.status, error.message.clone());
        let is_new_cause = self.keep(error);
        let level = match status {
            _ if self.only_records || !is_new_cause => LogLevel::Debug,
            // The host wanted it.
            Status::Closed | Status::Cancelled => LogLevel::Info,
            _ => LogLevel::Error,
        };
        self.log(level, &message);
    }

    /// Whether it has failed for anything but a panic, which may have been one of the host's log callback.
    pub(crate) fn has_failed(&self) -> bool {
        let errors = self.errors.borrow();
        errors.iter().any(|e| e.status != Status::Internal)
    }

    /// A removal has ended, and up to `left` of its kind may still follow.
    pub(crate) fn progress(&self, kind: Kind, left: usize) {
        let done = {
            let mut ended = self.removals_ended.borrow_mut();
            let ended = ended.entry(kind).or_default();
            *ended += 1;
            *ended
        };
        if let Some(progress) = &self.hooks.progress {
            self.notify(|| progress.with(|progress| progress(kind, done, done + left)));
        }
    }

    /// Writes down what became of an object, and logs it; returns its index in the report.
    pub(crate) fn write(&self, planned: Planned, fate: Fate) -> usize {
        let (mut level, what) = match fate {
            Fate::Removed if self.dry_run => (LogLevel::Info, "would remove"),
            Fate::Removed => (LogLevel::Info, "removed"),
            Fate::Kept(_) => (LogLevel::Debug, "kept"),
            Fate::Refused => (LogLevel::Info, "was not allowed to remove"),
            _ => (LogLevel::Warn, "could not remove"),
        };
        let entry = planned.ended(fate);
        if entry.outcome == Outcome::Failed && !self.is_new_cause(&entry) {
            level = LogLevel::Debug;
        }
        let listens = |(up_to, _): &(LogLevel, _)| level <= *up_to;
        let line = self.hooks.log.as_ref().is_some_and(listens);
        let line = line.then(|| sentence(what, &entry));
        let place = self.entries.borrow().len();
        self.entries.borrow_mut().push(entry);
        if let Some(line) = line {
            self.log(level, &line);
        }
        place
    }

    /// Puts entries into the order of a plan, each given by its index in the plan and in the report. They are written down as removals
    /// end, so that none is lost if the pass breaks off; other entries keep their places.
    pub(crate) fn arrange(&self, mut order: Vec<(usize, usize)>) {
        let mut entries = self.entries.borrow_mut();
        let places: Vec<usize> = order.iter().map(|(_, at)| *at).collect();
        order.sort_unstable_by_key(|(of_plan, _)| *of_plan);
        let arranged: Vec<Entry> = order.iter().map(|(_, at)| entries[*at].clone()).collect();
        for (at, entry) in places.into_iter().zip(arranged) {
            entries[at] = entry;
        }
    }

    /// IDs of a kind that have had their turn in this pass. A link that is kept is asked about once.
    pub(crate) fn had_turn(&self, kind: Kind) -> HashSet<Text> {
        let entries = self.entries.borrow();
        let of_kind = entries.iter().filter(|e| e.kind == kind);
        let had_turn = of_kind.filter(|e| kind == Kind::LogLink || e.outcome != Outcome::Kept);
        had_turn.map(|e| e.id.clone()).collect()
    }

    /// Deletes the entries of objects that are decided on once more.
    pub(crate) fn withdraw(&self, kind: Kind, ids: &HashSet<Text>) {
        let is_kept = |e: &Entry| e.kind != kind || !ids.contains(&e.id);
        self.entries.borrow_mut().retain(is_kept);
    }

    /// Whether no object of its kind has failed for this cause before.
    fn is_new_cause(&self, entry: &Entry) -> bool {
        let error = entry.error.as_deref().unwrap_or_default();
        let names = [&*entry.id, &*entry.name, &*entry.pod_uid];
        let mut causes = self.object_causes.borrow_mut();
        causes.add(many(entry.kind), &names, error)
    }

    /// Logs how often each cause came that was logged once.
    pub(crate) fn log_causes(&self) {
        let lines = self.object_causes.borrow().rest();
        lines.iter().for_each(|line| self.log(LogLevel::Warn, line));
    }

    /// Figures of the image filesystem were read.
    pub(crate) fn saw_filesystem(&self, usage: FsUsage) {
        if usage.capacity == 0 {
            return;
        }
        let first = self.filesystem.get().map_or(usage, |(first, _)| first);
        self.filesystem.set(Some((first, usage)));
        self.metrics.saw_image_fs(usage);
    }

    /// An image pass made its goal by these.
    pub(crate) fn saw_disk(&self, disk: Disk) {
        self.disk.set(Some(disk));
    }

    /// The same for the report.
    pub(crate) fn disk(&self) -> Option<Disk> {
        self.disk.get()
    }

    /// The runtime is called to remove an object; the time is any clock that does not go back.
    pub(crate) fn call_begun(&self, kind: Kind, now: Duration) {
        self.metrics.removal_begun();
        self.calls
            .borrow_mut()
            .entry(kind)
            .get_or_insert_default()
            .0
            .begun(now);
    }

    /// Such a call has ended.
    pub(crate) fn call_ended(&self, kind: Kind, now: Duration) {
        self.metrics.removal_ended();
        self.calls
            .borrow_mut()
            .entry(kind)
            .get_or_insert_default()
            .0
            .ended(now);
    }

    /// Nothing was begun for so long.
    pub(crate) fn rested(&self, kind: Kind, time: Duration) {
        if let Some((_, rests)) = self.calls.borrow_mut().entry(kind) {
            *rests += time;
        }
    }

    /// How removals ran.
    pub(crate) fn pace(&self) -> ByKind<PaceFigures> {
        let figures = |(calls, rests): &(InFlight, Duration)| PaceFigures {
            in_flight_mean: calls.mean(),
            in_flight_most: calls.most(),
            rest_seconds: rests.as_secs_f64(),
        };
        self.calls.borrow().map(figures)
    }

    /// The entries, the first and the last figures of the image filesystem, and the failure of the pass.
    pub(crate) fn into_parts(self) -> (Vec<Entry>, Option<(FsUsage, FsUsage)>, Option<Error>) {
        let errors = self.errors.into_inner();
        let entries = self.entries.into_inner();
        (entries, self.filesystem.get(), Error::all(&errors))
    }
}
