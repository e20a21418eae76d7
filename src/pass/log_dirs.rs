//! The two log directories as a pass finds them.

use super::context::Context;
use super::dry_run::Overlay;
use crate::error::{Error, Status};
use crate::fs::host_root::Root;
use crate::fs::logs::OpenLogDir;
use crate::fs::nesting::nested;
use crate::hooks::LogLevel;
use crate::report::visible;
use std::cell::{Cell, RefCell};
use std::io;

/// A log directory.
pub(crate) enum LogDir {
    /// Its key is empty: it is left alone.
    Off,
    /// It does not exist.
    Missing(String),
    /// It cannot be opened.
    Failed(String, io::Error),
    Open(OpenLogDir),
}

impl LogDir {
    pub(super) fn open(root: &Root, dir: Option<&str>) -> LogDir {
        let Some(dir) = dir else {
            return LogDir::Off;
        };
        match OpenLogDir::open(root, dir) {
            Ok(dir) => LogDir::Open(dir),
            Err(e) if e.kind() == io::ErrorKind::NotFound => LogDir::Missing(dir.to_owned()),
            Err(e) => LogDir::Failed(dir.to_owned(), e),
        }
    }

    /// `pod-logs-dir`. If it is missing below `host-root`, the host may not be mounted there, and have the logs all the same.
    pub(super) fn of_pods(ctx: &Context<'_>) -> LogDir {
        match LogDir::open(&ctx.root, ctx.config.pod_logs_dir.as_deref()) {
            LogDir::Missing(dir) if ctx.root.is_mounted() => {
                LogDir::Failed(dir, io::ErrorKind::NotFound.into())
            }
            dir => dir,
        }
    }
}

/// The error of a log directory that cannot be read.
pub(super) fn unreadable(ctx: &Context<'_>, key: &str, dir: &str, e: &io::Error) -> Error {
    let make = match e.kind() {
        io::ErrorKind::NotFound => "see whether the host's root is mounted there",
        _ => "make it readable",
    };
    let dir = ctx.root.shown(dir);
    let message = format!(
        "cannot read {key} ({dir}): {e}; {make}, or set {key} to nothing to leave it alone"
    );
    Error::new(Status::Io, message)
}

/// The error of a `pod-logs-dir` that does not exist.
pub(super) fn missing_pod_logs(dir: &str) -> Error {
    let dir = visible(dir);
    let message = format!(
        "pod-logs-dir ({dir}) does not exist; set it to where the runtime keeps the logs of pods, or to nothing to leave them alone"
    );
    Error::new(Status::Io, message)
}

/// Both log directories, and what the pass found out about them.
pub(crate) struct LogDirs {
    pub(crate) pod_logs: LogDir,
    pub(crate) links: LogDir,
    pub(crate) overlay: Overlay,
    /// One is inside the other, or may be (S2.4): nothing in them is deleted.
    pub(crate) nested: bool,
    /// The runtime was found to keep logs in `pod-logs-dir`.
    pub(crate) key_is_right: Cell<bool>,
    /// Removed containers whose logs are elsewhere.
    pub(super) elsewhere: RefCell<Tally>,
    /// Removed containers whose pod has no directory: the runtime was not asked whether they have logs elsewhere (S2.6).
    pub(super) without: RefCell<Tally>,
}

/// A number of objects, and one of them for the log.
#[derive(Default)]
pub(super) struct Tally {
    count: usize,
    example: String,
}

impl Tally {
    pub(super) fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.count == 1 {
            self.example = example();
        }
    }

    fn log(&self, ctx: &Context<'_>, level: LogLevel, message: impl Fn(usize, &str) -> String) {
        if self.count > 0 {
            ctx.log(level, &message(self.count, &self.example));
        }
    }
}

impl LogDirs {
    pub(crate) fn open(ctx: &Context<'_>) -> LogDirs {
        let pod_logs = LogDir::of_pods(ctx);
        let links = LogDir::open(&ctx.root, ctx.config.container_logs_dir.as_deref());
        let mixed_up = mixed_up(&pod_logs, &links);
        LogDirs {
            nested: mixed_up.map(|e| ctx.fail(e)).is_some(),
            pod_logs,
            links,
            overlay: Overlay::new(ctx.dry_run, &ctx.root),
            key_is_right: Cell::new(false),
            elsewhere: RefCell::default(),
            without: RefCell::default(),
        }
    }

    /// S2.4: reports the logs that were left alone, once a pass.
    pub(crate) fn log_left_alone(&self, ctx: &Context<'_>) {
        let Some(dir) = ctx.config.pod_logs_dir.as_deref().map(visible) else {
            return;
        };
        self.elsewhere.borrow().log(ctx, LogLevel::Warn, |count, example| format!(
            "the logs of {count} containers are not in pod-logs-dir ({dir}), or behind a link or a mount in it, such as {example}: the containers are removed, and those logs are left alone; delete them by hand, or set pod-logs-dir to where the runtime keeps logs"
        ));
        self.without.borrow().log(ctx, LogLevel::Info, |count, example| format!(
            "the pods of {count} containers have no directory in pod-logs-dir ({dir}), such as that of container {example}: the containers are removed, and logs that they have elsewhere are left alone"
        ));
    }
}

/// S2.4: the error of log directories that are not two separate ones, or may not be.
fn mixed_up(pod_logs: &LogDir, links: &LogDir) -> Option<Error> {
    let (LogDir::Open(pod_logs), LogDir::Open(links)) = (pod_logs, links) else {
        return None;
    };
    let (pods, links_dir) = (visible(pod_logs.dir()), visible(links.dir()));
    let (status, message) = match nested(pod_logs, links) {
        Ok(false) => return None,
        Ok(true) => (
            Status::Config,
            format!(
                "pod-logs-dir ({pods}) and container-logs-dir ({links_dir}) are one directory, or one is inside the other, through whatever links and mounts; no container, log or link is removed; set both as the kubelet has them"
            ),
        ),
        Err(e) => (
            Status::Io,
            format!(
                "cannot find out whether one of pod-logs-dir ({pods}) and container-logs-dir ({links_dir}) is inside the other: {e}; no container, log or link is removed; let crigc search the directories above them"
            ),
        ),
    };
    Some(Error::new(status, message))
}
