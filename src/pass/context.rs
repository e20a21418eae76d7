//! What all stages of one pass share. It does not change, except for the report, which is only written to, and what the pass remembers for
//! its second round and for the passes after it.

use super::attempts::Attempts;
use super::fate::{Fate, Planned};
use super::later::Later;
use super::pace::Windows;
use super::pod_evidence::Pods;
use super::report::PassReport;
use super::{Common, Experience, OnePod, Scope, Task, Trigger};
use crate::clock::wall_now;
use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::fs::host_root::Root;
use crate::hooks::{Hooks, LogLevel};
use crate::metrics::Metrics;
use crate::report::rfc3339;
use crate::stop::{Queue, Stop};

/// How many containers are asked for their statuses at once, where nothing is removed.
pub(super) const QUESTIONS: usize = 4;

/// One pass under way.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) hooks: &'a Hooks,
    /// Where the paths of the host begin (S5.11). `new` takes the root of this process.
    pub(crate) root: Root,
    /// Only written to.
    pub(crate) metrics: &'a Metrics,
    pub(crate) stop: Stop<'a>,
    /// The only pod that the pass collects (S8); `None` = it collects the node.
    pub(crate) pod: Option<&'a OnePod>,
    pub(crate) dry_run: bool,
    pub(crate) all_unused: bool,
    /// It skips what could not be removed lately (S0.8), and without records it only lists the images (S5.1).
    pub(crate) periodic: bool,
    /// It lists the images and writes their records, and does nothing else (S5.1).
    pub(crate) only_records: bool,
    pub(crate) queue: &'a Queue,
    /// Wall time at the beginning of the pass; ns since the epoch.
    pub(crate) now: i64,
    pub(crate) report: PassReport<'a>,
    /// What the pass knows of the host's answers about pods.
    pub(crate) pods: Pods,
    /// Removals that were begun without success, in this pass and before (S0.8).
    pub(crate) attempts: Attempts<'a>,
    /// How many objects are removed at once (S2.7).
    pub(crate) windows: &'a Windows,
    /// What is handled at the end of the pass.
    pub(crate) later: Later,
}

/// The year 2000, ns since the epoch. What is given in seconds or milliseconds lies before it.
const LONG_AGO: i64 = 946_684_800_000_000_000;

/// Wall time by the host's clock if it has set one, else by the system's (S0.10).
pub(crate) fn wall_time(hooks: &Hooks) -> i64 {
    match &hooks.clock {
        Some(clock) => clock.with(|clock| clock()),
        None => wall_now(),
    }
}

/// S0.10: with such a clock no age is known.
pub(crate) fn no_time(now: i64) -> Error {
    Error::new(
        Status::InvalidArgument,
        format!("the host's clock says {now} ns since the epoch; it has to be above 0"),
    )
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        common: Common<'a>,
        stop: Stop<'a>,
        Task { scope, options }: Task<'a>,
        queue: &'a Queue,
        now: i64,
        experience: &'a Experience,
    ) -> Context<'a> {
        let pod = match scope {
            Scope::Pod(pod) => Some(pod),
            Scope::Node | Scope::Images => None,
        };
        let attempts = Attempts::new(
            &experience.backoff,
            &experience.unfinished,
            options,
            pod.is_none(),
        );
        let Common {
            config,
            hooks,
            metrics,
        } = common;
        Context {
            config,
            hooks,
            root: Root::default(),
            metrics,
            stop,
            pod,
            dry_run: options.dry_run,
            all_unused: options.all_unused,
            periodic: options.trigger != Trigger::Call,
            only_records: options.trigger == Trigger::Look,
            queue,
            now,
            report: PassReport::new(hooks, metrics, options),
            pods: Pods::default(),
            attempts,
            windows: &experience.windows,
            later: Later::default(),
        }
    }

    /// Whether the pass collects the objects of a pod.
    pub(super) fn covers(&self, uid: &str) -> bool {
        self.pod.is_none_or(|pod| *pod.uid == *uid)
    }

    /// Writes to the host's log.
    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        self.report.log(level, message);
    }

    /// Warns once of a moment of the host's that is likely in seconds or milliseconds.
    pub(super) fn warn_of_units(&self, what: &'static str, moment: i64) {
        if (1..LONG_AGO).contains(&moment) {
            let date = rfc3339(moment);
            self.report.warn_once(what, || {
                format!("{what} is {moment}, which is {date}; give nanoseconds since the epoch")
            });
        }
    }

    /// The pass fails with this, after all that can be done has been done (S6.4).
    pub(crate) fn fail(&self, error: Error) {
        self.report.fail(error);
    }

    /// The value of a result; the pass fails with its error.
    pub(super) fn ok<T>(&self, result: Result<T>) -> Option<T> {
        result.map_err(|e| self.fail(e)).ok()
    }

    /// Reports what became of an object, and remembers it for later passes (S0.8). Returns its place in the report.
    pub(crate) fn record(&self, planned: Planned, fate: Fate) -> usize {
        self.attempts.note(&planned, &fate);
        self.report.write(planned, fate)
    }

    /// Reports progress, except in a dry run, which removes nothing, and in a pass that was told to end, which only drops the rest.
    pub(crate) fn progress(&self, planned: &Planned, left: usize) {
        if !self.dry_run && self.stop.cause().is_none() {
            self.report.progress(planned.kind, left);
        }
    }
}
