//! Removing one container: approval is asked before; here come the second look, the logs, the call (S2.2, S2.4 to S2.6).

use super::context::Context;
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::log_dirs::{LogDir, LogDirs, unreadable};
use super::removals::Remover;
use crate::cri::client::Runtime;
use crate::cri::{CallError, ContainerStatus};
use crate::fs::logs::{Lies, Names, OpenLogDir};
use crate::node::{Container, ContainerState, Snapshot, Text};
use crate::plan::logs::{ByLabels, Live, expected_log, link_name, log_by_labels};
use crate::report::{Kind, Reason, visible};
use std::cell::RefCell;

/// Removes containers with their logs.
pub(crate) struct ContainerRemover<'a> {
    ctx: &'a Context<'a>,
    runtime: &'a Runtime<'a>,
    log_dirs: &'a LogDirs,
    live: Live,
    last_name: RefCell<Text>,
}

/// Where the log of a container is.
enum Log {
    /// Nowhere: nothing to delete.
    None,
    /// Its pod has no log directory (S2.6).
    NoDirectory,
    At(Text),
}

impl<'a> ContainerRemover<'a> {
    pub(crate) fn new(
        ctx: &'a Context<'a>,
        runtime: &'a Runtime<'a>,
        log_dirs: &'a LogDirs,
        snapshot: &Snapshot,
    ) -> ContainerRemover<'a> {
        ContainerRemover {
            ctx,
            runtime,
            log_dirs,
            live: Live::of(&snapshot.containers),
            last_name: RefCell::default(),
        }
    }

    /// A name for the report. A plan goes unit by unit: what the last one had is kept once.
    fn shared(&self, name: String) -> Text {
        let mut last = self.last_name.borrow_mut();
        if **last != *name {
            *last = name.into();
        }
        last.clone()
    }

    /// Asks about a container; an answer about another one is none.
    async fn status(&self, c: &Container, doing: &str) -> Result<ContainerStatus, Fate> {
        let status = self.runtime.container_status(&c.id).await;
        self.own(c, status, doing)
    }

    fn own(
        &self,
        c: &Container,
        status: Result<ContainerStatus, CallError>,
        doing: &str,
    ) -> Result<ContainerStatus, Fate> {
        let status = status.map_err(|e| self.failed(&e, doing, c))?;
        match status.id == c.id {
            // S1.1: whatever the list said.
            true if status.state == ContainerState::Running => Err(Fate::Kept(Reason::Running)),
            true => Ok(status),
            false => Err(Fate::Failed(format!(
                "cannot remove container {}: asked for its status, the runtime told that of {}; see the runtime's log",
                visible(&c.id),
                visible(&status.id)
            ))),
        }
    }

    /// S2.2, S2.6: where its log is. A runtime that has just left a call without an answer is asked first whether it is there at
    /// all: what is deleted and not removed would be lost.
    async fn find_log(&self, c: &Container) -> Result<Log, Fate> {
        let status = match c.state {
            ContainerState::Created => Some(self.fresh_status(c).await?),
            _ if self.runtime.is_doubtful() => {
                match self.runtime.container_status(&c.id).await {
                    // Questions about single containers may hang while all else is answered.
                    Err(CallError::GivenUp(_)) if self.runtime.is_there().await => None,
                    status => Some(self.own(c, status, "ask for the status of")?),
                }
            }
            _ => None,
        };
        self.log_of(c, status).await
    }

    /// A failed call on the way, as the end of this container.
    fn failed(&self, e: &CallError, doing: &str, c: &Container) -> Fate {
        match e {
            // Its logs are left to S4: a new container may use the same path (S2.5).
            CallError::NotFound(_) => Fate::Removed,
            e => {
                let doing = format!("cannot {doing} container {}", visible(&c.id));
                Fate::of(e, &doing, self.runtime.endpoint)
            }
        }
    }

    /// S2.2: a CREATED candidate may have been started since the list.
    async fn fresh_status(&self, c: &Container) -> Result<ContainerStatus, Fate> {
        let status = self.status(c, "ask for the status of").await?;
        match status.state {
            ContainerState::Created | ContainerState::Exited => Ok(status),
            ContainerState::Running | ContainerState::Unknown | ContainerState::Undefined(_) => {
                Err(Fate::Kept(Reason::UnknownState))
            }
        }
    }

    /// S2.6: where its log is, from the list if that is certain, else from the runtime.
    async fn log_of(&self, c: &Container, status: Option<ContainerStatus>) -> Result<Log, Fate> {
        if let LogDir::Off = self.log_dirs.pod_logs {
            return Ok(Log::None);
        }
        if let (None, LogDir::Open(dir), Some(log)) =
            (&status, &self.log_dirs.pod_logs, expected_log(c))
        {
            let go_on = || self.ctx.stop.cause().is_none();
            let has_log = |path: &str| dir.has_log(path, &go_on).ok();
            let has_dir = |path: &str| dir.exists(path).ok();
            match log_by_labels(&log, &self.live, has_log, has_dir) {
                ByLabels::There => {
                    return Ok(Log::At(format!("{}/{}", dir.dir(), log.path()).into()));
                }
                ByLabels::NoDirectory => return Ok(Log::NoDirectory),
                ByLabels::Ask => {}
            }
        }
        let status = match status {
            Some(status) => status,
            None => self.status(c, "ask for the log path of").await?,
        };
        match status.log_path {
            Ok(path) if self.live.writes(&path) => Ok(Log::None),
            Ok(path) => Ok(Log::At(path)),
            Err(shown) => Err(Fate::Failed(format!(
                "cannot delete the log of container {}: its path {} is no UTF-8; delete it by hand",
                visible(&c.id),
                visible(&shown)
            ))),
        }
    }

    /// S2.4: its log file with rotated siblings, then its link, or nothing of them; where the log lies.
    fn delete_logs(&self, c: &Container, log: &Log, gate: &Gate<'_>) -> Result<Lies, Fate> {
        let overlay = &self.log_dirs.overlay;
        let link = self.link_of(c).map_err(Fate::Failed)?;
        let lies = match self.room_of(log).map_err(Fate::Failed)? {
            None => Lies::Here,
            Some((dir, path)) => {
                gate.delete(|go_on| overlay.remove_log(dir, path, names_for(c), go_on))?
            }
        };
        if let (Some(name), LogDir::Open(dir)) = (link, &self.log_dirs.links) {
            let removed = overlay.remove_own_link(dir, &name);
            removed.map_err(|e| Fate::Failed(e.to_string()))?;
        }
        Ok(lies)
    }

    /// The link that goes with it, if any; an error where there is something that cannot go.
    fn link_of(&self, c: &Container) -> Result<Option<String>, String> {
        let Some(name) = link_name(c).filter(|name| !self.live.has_link(name)) else {
            return Ok(None);
        };
        match &self.log_dirs.links {
            LogDir::Failed(dir, e) => Err(unreadable("container-logs-dir", dir, e).message),
            LogDir::Open(dir) => match dir.check_own_link(&name) {
                Ok(()) => Ok(Some(name)),
                Err(e) => Err(e.to_string()),
            },
            LogDir::Off | LogDir::Missing(_) => Ok(Some(name)),
        }
    }

    /// The directory through which its log is deleted, and the log's path, if there is anything to delete.
    fn room_of<'l>(&'l self, log: &'l Log) -> Result<Option<(&'l OpenLogDir, &'l str)>, String> {
        let Log::At(path) = log else {
            return Ok(None);
        };
        match &self.log_dirs.pod_logs {
            LogDir::Off => Ok(None),
            LogDir::Open(dir) => Ok(Some((dir, path))),
            LogDir::Missing(dir) => below(path, dir).map(|()| None),
            LogDir::Failed(dir, e) => Err(unreadable("pod-logs-dir", dir, e).message),
        }
    }

    /// It went, and its log lies there: what was left alone is told at the end of the pass.
    fn went(&self, c: &Container, log: &Log, lies: Lies) -> Fate {
        match (log, lies) {
            (Log::At(path), Lies::Elsewhere) => self
                .log_dirs
                .elsewhere
                .borrow_mut()
                .add(|| format!("{} of container {}", visible(path), visible(&c.id))),
            (Log::NoDirectory, _) => self.log_dirs.without.borrow_mut().add(|| visible(&c.id)),
            _ => {}
        }
        Fate::Removed
    }
}

/// The logs of a container that may have run until now may just have been rotated.
fn names_for(c: &Container) -> Names {
    match c.state {
        ContainerState::Exited => Names::Known,
        _ => Names::Fresh,
    }
}

/// A path in a log directory that does not exist names nothing; any other path is not crigc's to delete.
pub(super) fn below(path: &str, dir: &str) -> Result<(), String> {
    let inside = path
        .strip_prefix(dir.trim_end_matches('/'))
        .is_some_and(|rest| rest.starts_with('/'));
    if path.is_empty() || path.ends_with('/') || inside {
        return Ok(());
    }
    Err(format!(
        "cannot delete the log {}: it is not below pod-logs-dir ({dir}), which does not exist; set pod-logs-dir to where the runtime keeps logs",
        visible(path)
    ))
}

impl Remover for ContainerRemover<'_> {
    type Object = Container;
    const KIND: Kind = Kind::Container;

    fn planned(&self, c: &Container, reason: Reason) -> Planned {
        let name = match (&c.pod_namespace, &c.pod_name) {
            (Some(namespace), Some(pod)) => self.shared(format!("{namespace}/{pod}/{}", c.name)),
            _ => c.name.clone(),
        };
        let uid = c.pod_uid.clone().unwrap_or_default();
        Planned::new(Kind::Container, c.id.clone(), name, uid, reason)
    }

    async fn remove(&self, c: &Container, gate: &Gate<'_>) -> Result<Fate, Fate> {
        if c.state == ContainerState::Unknown {
            self.log_dirs.overlay.stop(&c.id);
        }
        if self.runtime.has_given_up() {
            return Err(Fate::Kept(Reason::NotReached));
        }
        let log = self.find_log(c).await?;
        gate.still_open()?;
        // One that the runtime did not know when it was to be stopped: its logs may be another's by now (S2.5).
        let lies = if self.ctx.later.was_unknown(&c.id) {
            Lies::Here
        } else {
            self.delete_logs(c, &log, gate)?
        };
        if !self.log_dirs.overlay.take(&c.id) {
            let removed = self.runtime.remove_container(&c.id).await;
            removed.map_err(|e| self.failed(&e, "remove", c))?;
        }
        Ok(self.went(c, &log, lies))
    }
}
