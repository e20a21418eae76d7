//! What all stages of one pass share: configuration, hooks, the way to end it, and its growing report.

use super::How;
use super::cancel::Stop;
use super::later::Later;
use super::slots::Queue;
use super::words::{many, sentence};
use crate::causes::Causes;
use crate::config::Config;
use crate::cri::{CallError, Place, UNREACHABLE};
use crate::error::{Error, Status};
use crate::hooks::{Hooks, LogLevel};
use crate::host::clock::{Boot, wall_now};
use crate::node::{FsUsage, PodStates, Text};
use crate::plan::backoff::Backoff;
use crate::plan::order::{Trouble, Unfinished};
use crate::plan::pods::{Contradiction, Newer};
use crate::quiet;
use crate::report::{Entry, Kind, Outcome, Reason, visible};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How many single objects are asked about at once, where nothing is removed: the statuses of containers.
pub(super) const QUESTIONS: usize = 4;

/// How many defects the error of a pass names; the report has them all.
const MOST_DEFECTS: usize = 10;

/// What became of an object that was to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Removed,
    Kept(Reason),
    Failed(String),
    /// The runtime did not answer in time.
    Silent(String),
    /// The host ended the pass meanwhile.
    BrokenOff(String),
    /// The connection was lost meanwhile. It counts for an object that was alone in flight (S0.8).
    Lost {
        alone: bool,
        error: String,
    },
    /// It was not asked for: there was no connection to be had.
    Unsent(String),
    Refused,
}

impl Done {
    /// What a failed call about an object comes to; `doing` is such as `cannot remove image ID`.
    pub(crate) fn of(e: &CallError, doing: &str, place: Place<'_>) -> Done {
        match e {
            CallError::NotBegun(_) | CallError::GivenUp(_) => Done::Kept(Reason::NotReached),
            CallError::Interrupted(_) => Done::BrokenOff(e.story(doing, place)),
            CallError::Timeout(_) => Done::Silent(e.story(doing, place)),
            CallError::Disconnected(m) if m.starts_with(UNREACHABLE) => {
                Done::Unsent(e.story(doing, place))
            }
            CallError::Disconnected(_) => Done::Lost {
                alone: true,
                error: e.story(doing, place),
            },
            e => Done::Failed(e.story(doing, place)),
        }
    }

    /// Why it is not gone, if something went wrong.
    pub(crate) fn error(&self) -> Option<&String> {
        match self {
            Done::Failed(error)
            | Done::Silent(error)
            | Done::BrokenOff(error)
            | Done::Lost { error, .. }
            | Done::Unsent(error) => Some(error),
            Done::Removed | Done::Kept(_) | Done::Refused => None,
        }
    }
}

/// What a call says of its object that was begun and got no answer.
pub(super) fn trouble(e: &CallError) -> Option<Trouble> {
    match e {
        CallError::Timeout(_) => Some(Trouble::Silent),
        CallError::Interrupted(_) => Some(Trouble::Failed),
        CallError::Disconnected(m) if !m.starts_with(UNREACHABLE) => Some(Trouble::Lost),
        _ => None,
    }
}

/// One pass under way.
pub(crate) struct Run<'a> {
    pub(crate) config: &'a Config,
    pub(crate) hooks: &'a Hooks,
    pub(crate) stop: Stop<'a>,
    pub(crate) dry_run: bool,
    pub(crate) all_unused: bool,
    /// It leaves alone what could not be removed lately (S0.8), and without records it only looks at images (S5.1).
    pub(crate) periodic: bool,
    /// It looks at images and records, and nothing else (S5.1).
    pub(crate) only_records: bool,
    pub(crate) queue: &'a Queue,
    /// Wall time at its beginning; ns since the epoch.
    pub(crate) now: i64,
    /// The host's picture of its pods contradicted what runs (S0.4): no pod is removable any more in this pass.
    pub(crate) broken: Cell<bool>,
    /// Which pods are younger than the host's answer (S0.3).
    pub(crate) newer: RefCell<Newer>,
    /// The host was told that its answer is of a time to come.
    told_of_as_of: Cell<bool>,
    entries: RefCell<Vec<Entry>>,
    errors: RefCell<Vec<Error>>,
    /// Theirs, and those of what could not be removed.
    causes: RefCell<Causes>,
    object_causes: RefCell<Causes>,
    /// How many removals of each kind have ended, in all rounds of the pass.
    removals_ended: RefCell<HashMap<Kind, usize>>,
    /// The first and the last figures of the image filesystem.
    filesystem: Cell<Option<(FsUsage, FsUsage)>>,
    pub(super) backoff: &'a RefCell<Backoff>,
    /// What was begun and is not known to be gone (S0.8).
    pub(crate) unfinished: &'a RefCell<Unfinished>,
    /// What has its turn at the end of the pass.
    pub(crate) later: Later,
    /// The host was told that nobody can look for the hold file.
    pub(super) told_of_hold: Cell<bool>,
}

/// Wall time by the host's clock, or the system's (S0.10).
pub(crate) fn wall_time(hooks: &Hooks) -> i64 {
    match &hooks.clock {
        Some(clock) => clock.with(|clock| clock()),
        None => wall_now(),
    }
}

/// Tells the host's log.
pub(crate) fn log(hooks: &Hooks, level: LogLevel, message: &str) {
    if let Some((up_to, log)) = &hooks.log
        && level <= *up_to
    {
        log.with(|log| log(level, message));
    }
}

/// Tells the host's events (S6.2), and its log; a pass does so by `Run::event`.
pub(crate) fn event(hooks: &Hooks, reason: &str, message: &str) {
    log(hooks, LogLevel::Warn, &format!("{reason}: {message}"));
    if let Some(event) = &hooks.event {
        event.with(|event| event(reason, message));
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        config: &'a Config,
        hooks: &'a Hooks,
        stop: Stop<'a>,
        how: How<'a>,
        now: i64,
        backoff: &'a RefCell<Backoff>,
        unfinished: &'a RefCell<Unfinished>,
    ) -> Run<'a> {
        Run {
            config,
            hooks,
            stop,
            dry_run: how.dry_run,
            all_unused: how.all_unused,
            periodic: how.periodic,
            only_records: how.only_records,
            queue: how.queue,
            now,
            broken: Cell::new(false),
            newer: RefCell::default(),
            told_of_as_of: Cell::new(false),
            entries: RefCell::default(),
            errors: RefCell::default(),
            causes: RefCell::default(),
            object_causes: RefCell::default(),
            removals_ended: RefCell::default(),
            filesystem: Cell::default(),
            backoff,
            unfinished,
            later: Later::default(),
            told_of_hold: Cell::new(false),
        }
    }

    /// Tells the host's log. A defect there breaks nothing off.
    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        let told = quiet::caught(|| log(self.hooks, level, message));
        if let Err(defect) = told {
            self.keep(defect);
        }
    }

    /// Tells its events, and its log (S6.2).
    pub(crate) fn event(&self, reason: &str, message: &str) {
        self.log(LogLevel::Warn, &format!("{reason}: {message}"));
        if let Some(event) = &self.hooks.event {
            let told = quiet::caught(|| event.with(|event| event(reason, message)));
            if let Err(defect) = told {
                self.keep(defect);
            }
        }
    }

    /// The pass fails with this, each of them once, and defects not without end: their words may differ for each object. True = its cause
    /// is a new one.
    fn keep(&self, error: Error) -> bool {
        let mut errors = self.errors.borrow_mut();
        let defects = errors.iter().filter(|e| e.status == Status::Internal);
        let enough = error.status == Status::Internal && defects.count() >= MOST_DEFECTS;
        let is_new = !enough && !errors.contains(&error);
        if !is_new {
            return false;
        }
        let is_told = !error.count_in(&mut self.causes.borrow_mut());
        errors.push(error);
        !is_told
    }

    /// The pass fails with this, after all that can be done has been done (S6.4).
    pub(crate) fn fail(&self, error: Error) {
        let level = match error.status {
            // A look between two passes: the next pass meets the same, and tells it.
            _ if self.only_records => LogLevel::Debug,
            // The host wanted it.
            Status::Closed | Status::Cancelled => LogLevel::Info,
            _ => LogLevel::Error,
        };
        let message = error.message.clone();
        match self.keep(error) {
            true => self.log(level, &message),
            false => self.log(LogLevel::Debug, &message),
        }
    }

    /// A defect was met in the work for one object: the pass fails for it, and goes on with the others.
    pub(crate) fn defect(&self, defect: Error) -> Done {
        let story = defect.message.clone();
        self.fail(defect);
        Done::Failed(story)
    }

    /// Whether it failed for anything but a defect, which may have been in a line for the log.
    pub(crate) fn has_failed(&self) -> bool {
        let errors = self.errors.borrow();
        errors.iter().any(|e| e.status != Status::Internal)
    }

    /// A removal has ended; how many of its kind have.
    pub(super) fn one_more_ended(&self, kind: Kind) -> usize {
        let mut ended = self.removals_ended.borrow_mut();
        let ended = ended.entry(kind).or_default();
        *ended += 1;
        *ended
    }

    pub(crate) fn progress(&self, kind: Kind, done: usize, total: usize) {
        if let Some(progress) = &self.hooks.progress {
            let told = quiet::caught(|| progress.with(|progress| progress(kind, done, total)));
            if let Err(defect) = told {
                self.keep(defect);
            }
        }
    }

    /// Asks the host about pods (S0.3).
    pub(crate) fn ask(&self, uids: &[Text]) -> PodStates {
        match &self.hooks.pod_states {
            Some(ask) => {
                let mut answer = ask.with(|ask| ask(uids));
                // Only what was asked about is answered.
                let asked: HashSet<&Text> = uids.iter().collect();
                answer.states.retain(|uid, _| asked.contains(uid));
                answer.ready &= answer.as_of == 0 || self.can_be_as_of(answer.as_of);
                answer
            }
            None => PodStates {
                ready: true,
                ..PodStates::default()
            },
        }
    }

    /// S0.3: whether an answer can speak of this moment; of a time to come nobody knows anything.
    fn can_be_as_of(&self, as_of: i64) -> bool {
        let now = wall_time(self.hooks);
        if as_of > now && !self.told_of_as_of.replace(true) {
            let ahead = Duration::from_nanos(as_of.abs_diff(now));
            self.log(
                LogLevel::Warn,
                &format!(
                    "the host says that its answer about pods is of a moment {ahead:?} from now; nothing is removed because its pod is gone; see whether a clock was set back"
                ),
            );
        }
        (0..=now).contains(&as_of)
    }

    /// S0.8: remembers what could not be removed.
    fn note(&self, entry: &Entry, done: &Done) {
        let now = Boot::now().since_boot();
        let (kind, id) = (entry.kind, &entry.id);
        let counts = match done {
            Done::Removed => {
                self.backoff.borrow_mut().removed(kind, id);
                self.unfinished.borrow_mut().removed(kind, id);
                false
            }
            Done::Kept(_) | Done::Refused | Done::Unsent(_) => false,
            Done::BrokenOff(_) => self.tried(entry, Trouble::Failed, false),
            Done::Failed(_) => self.tried(entry, Trouble::Failed, true),
            Done::Silent(_) => self.tried(entry, Trouble::Silent, true),
            Done::Lost { alone, .. } => self.tried(entry, Trouble::Lost, *alone),
        };
        if counts {
            self.backoff.borrow_mut().failed(kind, id, now);
        }
    }

    /// S0.8: it was begun in vain, and has its turn last from now on; gives back whether that counts for its backoff.
    fn tried(&self, entry: &Entry, trouble: Trouble, counts: bool) -> bool {
        let now = Boot::now().since_boot();
        let mut unfinished = self.unfinished.borrow_mut();
        unfinished.tried(entry.kind, &entry.id, now, trouble);
        counts
    }

    /// The same of a question without an answer, for want of which the object stays.
    pub(crate) fn asked_in_vain(&self, entry: &Entry, e: &CallError) {
        if let Some(trouble) = trouble(e).filter(|_| !self.dry_run) {
            self.tried(entry, trouble, false);
        }
    }

    /// S0.8: what was begun about it before has ended: it has its turn with all others.
    pub(crate) fn ended_well(&self, entry: &Entry) {
        if !self.dry_run {
            let mut unfinished = self.unfinished.borrow_mut();
            unfinished.removed(entry.kind, &entry.id);
        }
    }

    /// S0.8: all objects of a kind are known; the others need not be remembered.
    pub(crate) fn keep_only(&self, kind: Kind, is_there: impl Fn(&Text) -> bool) {
        let mut unfinished = self.unfinished.borrow_mut();
        if !self.dry_run && !unfinished.is_empty() {
            unfinished.keep_only(kind, is_there);
        }
    }

    /// IDs of a kind that have had their turn in this pass. A link that stays is asked about once.
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

    /// S0.4: from here on no pod is removable.
    pub(crate) fn contradicted(&self, c: &Contradiction) {
        if self.broken.replace(true) {
            return;
        }
        let examples: Vec<String> = c.examples.iter().map(|uid| visible(uid)).collect();
        let message = format!(
            "the host says that {} of {} pods that run are gone (such as {}): its picture of the pods is broken, nothing is removed for a pod's sake; see whether its list of pods is stale, empty or of another node; pods that were deleted by force and do not end have to count as living until they have ended",
            c.claimed,
            c.active,
            examples.join(", ")
        );
        self.event("PodStatesContradicted", &message);
        self.keep(Error::new(Status::Contradiction, message));
    }

    /// Writes down what became of an object, and tells the log.
    pub(crate) fn record(&self, entry: Entry, done: Done) {
        if !self.dry_run {
            self.note(&entry, &done);
        }
        let (entry, mut level, what) = self.outcome(entry, done);
        if entry.outcome == Outcome::Failed && !self.is_new_cause(&entry) {
            level = LogLevel::Debug;
        }
        let listens = |(up_to, _): &(LogLevel, _)| level <= *up_to;
        let line = self.hooks.log.as_ref().is_some_and(listens);
        let line = line.then(|| sentence(what, &entry));
        self.entries.borrow_mut().push(entry);
        if let Some(line) = line {
            self.log(level, &line);
        }
    }

    /// Whether nothing of its kind has failed so before.
    fn is_new_cause(&self, entry: &Entry) -> bool {
        let error = entry.error.as_deref().unwrap_or_default();
        let names = [&*entry.id, &*entry.name, &*entry.pod_uid];
        let mut causes = self.object_causes.borrow_mut();
        causes.add(many(entry.kind), &names, error)
    }

    /// Tells the log how often each cause came up that it has heard of once.
    pub(crate) fn tell_causes(&self) {
        let lines = self.object_causes.borrow().rest();
        lines.iter().for_each(|line| self.log(LogLevel::Warn, line));
    }

    /// The entries of a stage.
    pub(crate) fn stage(&self) -> Stage<'_, 'a> {
        Stage {
            run: self,
            order: RefCell::default(),
        }
    }

    /// The entry about what became of an object, and how the log is told of it.
    fn outcome(&self, mut entry: Entry, done: Done) -> (Entry, LogLevel, &'static str) {
        let verb = if self.dry_run {
            "would remove"
        } else {
            "removed"
        };
        let (outcome, level, what) = match done {
            Done::Removed => (Outcome::Removed, LogLevel::Info, verb),
            Done::Kept(reason) => {
                entry.reason = reason;
                (Outcome::Kept, LogLevel::Debug, "kept")
            }
            Done::Failed(error)
            | Done::Silent(error)
            | Done::BrokenOff(error)
            | Done::Lost { error, .. }
            | Done::Unsent(error) => {
                entry.error = Some(error);
                (Outcome::Failed, LogLevel::Warn, "could not remove")
            }
            Done::Refused => {
                entry.error = Some("the host did not approve of the removal".to_owned());
                (
                    Outcome::Refused,
                    LogLevel::Info,
                    "was not allowed to remove",
                )
            }
        };
        entry.outcome = outcome;
        (entry, level, what)
    }

    /// Figures of the image filesystem were read: for the report.
    pub(super) fn saw_filesystem(&self, usage: FsUsage) {
        if usage.capacity == 0 {
            return;
        }
        let first = self.filesystem.get().map_or(usage, |(first, _)| first);
        self.filesystem.set(Some((first, usage)));
    }

    /// The first and the last figures of the image filesystem.
    pub(crate) fn filesystem(&self) -> Option<(FsUsage, FsUsage)> {
        self.filesystem.get()
    }

    /// The report's entries, and the failure of the pass.
    pub(crate) fn into_parts(self) -> (Vec<Entry>, Option<Error>) {
        let errors = self.errors.into_inner();
        let entries = self.entries.into_inner();
        (entries, Error::all(&errors))
    }
}

/// The planned removals of one stage: written down as they end, so that nothing is forgotten if the pass breaks off, and put
/// in the order of the plan at last.
pub(crate) struct Stage<'r, 'a> {
    run: &'r Run<'a>,
    /// The place of each in the plan, and in the report. Stops that end meanwhile have entries between them.
    order: RefCell<Vec<(usize, usize)>>,
}

impl Stage<'_, '_> {
    /// The removal with this place in the plan has ended.
    pub(crate) fn ended(&self, place: usize, entry: Entry, done: Done) {
        let at = self.run.entries.borrow().len();
        self.order.borrow_mut().push((place, at));
        self.run.record(entry, done);
    }

    /// All have ended.
    pub(crate) fn arrange(self) {
        let mut entries = self.run.entries.borrow_mut();
        let mut order = self.order.into_inner();
        let places: Vec<usize> = order.iter().map(|(_, at)| *at).collect();
        order.sort_by_key(|(place, _)| *place);
        let arranged: Vec<Entry> = order.iter().map(|(_, at)| entries[*at].clone()).collect();
        for (at, entry) in places.into_iter().zip(arranged) {
            entries[at] = entry;
        }
    }
}
