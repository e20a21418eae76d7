//! The two log directories as a pass finds them.

use super::context::Context;
use super::dry_run::Overlay;
use crate::error::{Error, Status};
use crate::fs::logs::OpenLogDir;
use crate::fs::nesting::nested;
use crate::hooks::LogLevel;
use crate::report::visible;
use std::cell::{Cell, RefCell};
use std::io;

/// A log directory.
pub(crate) enum LogDir {
    /// Its key is empty: leave it alone.
    Off,
    /// It does not exist.
    Missing(String),
    /// It cannot be opened.
    Failed(String, io::Error),
    Open(OpenLogDir),
}

impl LogDir {
    pub(super) fn open(dir: Option<&str>) -> LogDir {
        let Some(dir) = dir else {
            return LogDir::Off;
        };
        match OpenLogDir::open(dir) {
            Ok(dir) => LogDir::Open(dir),
            Err(e) if e.kind() == io::ErrorKind::NotFound => LogDir::Missing(dir.to_owned()),
            Err(e) => LogDir::Failed(dir.to_owned(), e),
        }
    }
}

/// Why nothing in a log directory can be seen.
pub(super) fn unreadable(key: &str, dir: &str, e: &io::Error) -> Error {
    let way_out = format!("make it readable, or set {key} to nothing to leave it alone");
    Error::new(
        Status::Io,
        format!("cannot read {key} ({dir}): {e}; {way_out}"),
    )
}

/// Both log directories, and what was seen of them.
pub(crate) struct LogDirs {
    pub(crate) pod_logs: LogDir,
    pub(crate) links: LogDir,
    pub(crate) overlay: Overlay,
    /// One lies in the other, or nobody can tell (S2.4): nothing in them is deleted.
    pub(crate) nested: bool,
    /// The runtime keeps logs in `pod-logs-dir`, as was seen.
    pub(crate) key_is_right: Cell<bool>,
    /// Logs that lie elsewhere, of containers that went.
    pub(super) elsewhere: RefCell<Tally>,
    /// Containers that went and whose pod has no directory: whether they have logs elsewhere nobody asked (S2.6).
    pub(super) without: RefCell<Tally>,
}

/// How many there are of something, and one of them for the log.
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
}

impl LogDirs {
    pub(crate) fn open(ctx: &Context<'_>) -> LogDirs {
        let config = ctx.config;
        let pod_logs = LogDir::open(config.pod_logs_dir.as_deref());
        let links = LogDir::open(config.container_logs_dir.as_deref());
        let mixed_up = mixed_up(&pod_logs, &links);
        LogDirs {
            nested: mixed_up.map(|e| ctx.fail(e)).is_some(),
            pod_logs,
            links,
            overlay: Overlay::new(ctx.dry_run),
            key_is_right: Cell::new(false),
            elsewhere: RefCell::default(),
            without: RefCell::default(),
        }
    }

    /// S2.4: what was left alone, once a pass.
    pub(crate) fn tell(&self, ctx: &Context<'_>) {
        let Some(dir) = ctx.config.pod_logs_dir.as_deref().map(visible) else {
            return;
        };
        let elsewhere = self.elsewhere.take();
        if elsewhere.count > 0 {
            let message = format!(
                "the logs of {} containers do not lie in pod-logs-dir ({dir}), or behind a link or a mount in it, such as {}: the containers go, and those logs are left alone; delete them by hand, or set pod-logs-dir to where the runtime keeps logs",
                elsewhere.count, elsewhere.example
            );
            ctx.log(LogLevel::Warn, &message);
        }
        let without = self.without.take();
        if without.count > 0 {
            let message = format!(
                "the pods of {} containers have no directory in pod-logs-dir ({dir}), such as that of container {}: the containers go, and logs that they have elsewhere are left alone",
                without.count, without.example
            );
            ctx.log(LogLevel::Info, &message);
        }
    }
}

/// S2.4: the error of a pass whose log directories are not two.
fn mixed_up(pod_logs: &LogDir, links: &LogDir) -> Option<Error> {
    let (LogDir::Open(pod_logs), LogDir::Open(links)) = (pod_logs, links) else {
        return None;
    };
    let (pods, links_dir) = (visible(pod_logs.dir()), visible(links.dir()));
    match nested(pod_logs, links) {
        Ok(false) => None,
        Ok(true) => Some(Error::new(
            Status::Config,
            format!(
                "pod-logs-dir ({pods}) and container-logs-dir ({links_dir}) are one directory, or one lies in the other, whatever links and mounts they are named by: no container, log or link is removed; set both as the kubelet has them"
            ),
        )),
        Err(e) => Some(Error::new(
            Status::Io,
            format!(
                "cannot tell whether pod-logs-dir ({pods}) and container-logs-dir ({links_dir}) lie one in the other: {e}; no container, log or link is removed; let crigc search the directories above them"
            ),
        )),
    }
}
