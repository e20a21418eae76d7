//! What a pass tells: the entries of its report, its errors, events and lines of the log, and how far it is. Stages only write to it.

use super::fate::{Fate, Planned};
use super::words::{many, sentence};
use super::{PassOptions, Trigger};
use crate::causes::Causes;
use crate::error::{Error, Status};
use crate::hooks::{Hooks, LogLevel};
use crate::node::{FsUsage, Text};
use crate::panics;
use crate::report::{Entry, Kind, Outcome};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

/// How many defects the error of a pass names; the report has them all.
const MOST_DEFECTS: usize = 10;

/// The growing report of a pass.
pub(crate) struct PassReport<'a> {
    hooks: &'a Hooks,
    dry_run: bool,
    /// A look between two passes: the next pass meets the same, and tells it.
    only_records: bool,
    entries: RefCell<Vec<Entry>>,
    errors: RefCell<Vec<Error>>,
    /// Theirs, and those of what could not be removed.
    causes: RefCell<Causes>,
    object_causes: RefCell<Causes>,
    /// How many removals of each kind have ended, in all rounds of the pass.
    removals_ended: RefCell<HashMap<Kind, usize>>,
    /// What the host's log is told once.
    told: RefCell<HashSet<&'static str>>,
    /// The first and the last figures of the image filesystem.
    filesystem: Cell<Option<(FsUsage, FsUsage)>>,
}

/// Tells the host's log.
pub(crate) fn log(hooks: &Hooks, level: LogLevel, message: &str) {
    if let Some((up_to, log)) = &hooks.log
        && level <= *up_to
    {
        log.with(|log| log(level, message));
    }
}

/// Tells the host's events (S6.2), and its log; a pass does so by `PassReport::event`.
pub(crate) fn event(hooks: &Hooks, reason: &str, message: &str) {
    log(hooks, LogLevel::Warn, &format!("{reason}: {message}"));
    if let Some(event) = &hooks.event {
        event.with(|event| event(reason, message));
    }
}

impl<'a> PassReport<'a> {
    pub(crate) fn new(hooks: &'a Hooks, options: PassOptions) -> PassReport<'a> {
        PassReport {
            hooks,
            dry_run: options.dry_run,
            only_records: options.trigger == Trigger::Look,
            entries: RefCell::default(),
            errors: RefCell::default(),
            causes: RefCell::default(),
            object_causes: RefCell::default(),
            removals_ended: RefCell::default(),
            told: RefCell::default(),
            filesystem: Cell::default(),
        }
    }

    /// Calls what of the host only listens: a panic there fails the pass and breaks nothing off.
    fn tell(&self, call: impl FnOnce()) {
        if let Err(defect) = panics::caught(call) {
            self.keep(defect);
        }
    }

    /// Tells the host's log.
    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        self.tell(|| log(self.hooks, level, message));
    }

    /// The same of what is told once in a pass, by the name of what it is about.
    pub(crate) fn warn_once(&self, about: &'static str, message: impl FnOnce() -> String) {
        if self.told.borrow_mut().insert(about) {
            self.log(LogLevel::Warn, &message());
        }
    }

    /// Tells its events, and its log (S6.2).
    pub(crate) fn event(&self, reason: &str, message: &str) {
        self.log(LogLevel::Warn, &format!("{reason}: {message}"));
        if let Some(event) = &self.hooks.event {
            self.tell(|| event.with(|event| event(reason, message)));
        }
    }

    /// The pass fails with this, each of them once, and defects not without end: their words may differ for each object. True = its cause
    /// is a new one.
    pub(crate) fn keep(&self, error: Error) -> bool {
        let mut errors = self.errors.borrow_mut();
        let defects = errors.iter().filter(|e| e.status == Status::Internal);
        let enough = error.status == Status::Internal && defects.count() >= MOST_DEFECTS;
        if enough || errors.contains(&error) {
            return false;
        }
        let is_new_cause = error.count_in(&mut self.causes.borrow_mut());
        errors.push(error);
        is_new_cause
    }

    /// The pass fails with this, after all that can be done has been done (S6.4).
    pub(crate) fn fail(&self, error: Error) {
        let level = match error.status {
            _ if self.only_records => LogLevel::Debug,
            // The host wanted it.
            Status::Closed | Status::Cancelled => LogLevel::Info,
            _ => LogLevel::Error,
        };
        let message = error.message.clone();
        let level = if self.keep(error) {
            level
        } else {
            LogLevel::Debug
        };
        self.log(level, &message);
    }

    /// Whether it failed for anything but a defect, which may have been in a line for the log.
    pub(crate) fn has_failed(&self) -> bool {
        let errors = self.errors.borrow();
        errors.iter().any(|e| e.status != Status::Internal)
    }

    /// A removal has ended, and so many of its kind may still follow.
    pub(crate) fn progress(&self, kind: Kind, left: usize) {
        let done = {
            let mut ended = self.removals_ended.borrow_mut();
            let ended = ended.entry(kind).or_default();
            *ended += 1;
            *ended
        };
        if let Some(progress) = &self.hooks.progress {
            self.tell(|| progress.with(|progress| progress(kind, done, done + left)));
        }
    }

    /// Writes down what became of an object, and tells the log; its place in the report.
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
        let place = {
            let mut entries = self.entries.borrow_mut();
            entries.push(entry);
            entries.len() - 1
        };
        if let Some(line) = line {
            self.log(level, &line);
        }
        place
    }

    /// Puts entries into the order of a plan, each given by its place in the plan and in the report. They are written down as removals end, so
    /// that nothing is forgotten if the pass breaks off; what ended beside them keeps its place.
    pub(crate) fn arrange(&self, mut order: Vec<(usize, usize)>) {
        let mut entries = self.entries.borrow_mut();
        let places: Vec<usize> = order.iter().map(|(_, at)| *at).collect();
        order.sort_by_key(|(of_plan, _)| *of_plan);
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

    /// Objects are decided on once more: what was written down about them gives way.
    pub(crate) fn withdraw(&self, kind: Kind, ids: &HashSet<Text>) {
        let stays = |e: &Entry| e.kind != kind || !ids.contains(&e.id);
        self.entries.borrow_mut().retain(stays);
    }

    /// Whether nothing of its kind has failed so before.
    fn is_new_cause(&self, entry: &Entry) -> bool {
        let error = entry.error.as_deref().unwrap_or_default();
        let names = [&*entry.id, &*entry.name, &*entry.pod_uid];
        let mut causes = self.object_causes.borrow_mut();
        causes.add(many(entry.kind), &names, error)
    }

    /// Tells the log how often each cause came up that it has heard of once.
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
    }

    /// The entries, the first and the last figures of the image filesystem, and the failure of the pass.
    pub(crate) fn into_parts(self) -> (Vec<Entry>, Option<(FsUsage, FsUsage)>, Option<Error>) {
        let errors = self.errors.into_inner();
        let entries = self.entries.into_inner();
        (entries, self.filesystem.get(), Error::all(&errors))
    }
}
