//! Removing one container, which the host has approved before: its status again, its logs, the call (S2.2, S2.4 to S2.6).

use super::containers::ContainerPass;
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::log_dirs::{LogDir, unreadable};
use super::pace::timed;
use super::removals::Remover;
use crate::cri::{CallError, ContainerStatus};
use crate::fs::logs::{Lies, Names, OpenLogDir};
use crate::node::{Container, ContainerState, Snapshot, Text};
use crate::plan::logs::{ByLabels, Live, entry_uid, expected_log, link_name, log_by_labels};
use crate::report::{Kind, Reason, Why, visible};
use std::cell::RefCell;

/// Removes containers with their logs.
pub(super) struct ContainerRemover<'a, 'p> {
    pass: &'a ContainerPass<'a, 'p>,
    live: Live,
    last_name: RefCell<Text>,
}

/// Where the log of a container is.
enum Log {
    /// There is nothing to delete.
    None,
    /// Its pod has no log directory (S2.6).
    NoDirectory,
    At(Text),
}

impl<'a, 'p> ContainerRemover<'a, 'p> {
    pub(super) fn new(pass: &'a ContainerPass<'a, 'p>, snapshot: &Snapshot) -> Self {
        let live = match pass.ctx.pod {
            Some(_) => Live::of_one_pod(&snapshot.containers),
            None => Live::of(&snapshot.containers),
        };
        ContainerRemover {
            pass,
            live,
            last_name: RefCell::default(),
        }
    }

    /// A name for the report. Containers of a unit follow each other in a plan and have the same name, which is kept once.
    fn shared(&self, name: String) -> Text {
        let mut last = self.last_name.borrow_mut();
        if **last != *name {
            *last = name.into();
        }
        last.clone()
    }

    /// Asks for the status of a container.
    async fn status(&self, c: &Container, doing: &str) -> Result<ContainerStatus, Fate> {
        let status = self.pass.runtime.container_status(&c.id).await;
        self.check(c, status, doing)
    }

    /// An answer about another container is none, and a container that runs is kept.
    fn check(
        &self,
        c: &Container,
        status: Result<ContainerStatus, CallError>,
        doing: &str,
    ) -> Result<ContainerStatus, Fate> {
        let status = status.map_err(|e| self.failed(&e, doing, c))?;
        if status.id != c.id {
            return Err(Fate::Failed(format!(
                "cannot remove container {}: asked for its status, the runtime answered with that of {}; see the runtime's log",
                visible(&c.id),
                visible(&status.id)
            )));
        }
        // S1.1: whatever the list said.
        if status.state == ContainerState::Running {
            return Err(Fate::kept(Reason::Running));
        }
        Ok(status)
    }

    /// S2.2, S2.6: where its log is. A runtime that has just left a call without an answer is asked first whether it knows the container:
    /// logs that are deleted while their container is not removed would be lost.
    async fn find_log(&self, c: &Container) -> Result<Log, Fate> {
        let (runtime, doing) = (self.pass.runtime, "ask for the status of");
        let status = match c.state {
            // S2.2: it may have been started since the list.
            ContainerState::Created => {
                let status = self.status(c, doing).await?;
                if !matches!(
                    status.state,
                    ContainerState::Created | ContainerState::Exited
                ) {
                    return Err(Fate::kept(Reason::UnknownState));
                }
                Some(status)
            }
            _ if runtime.is_doubtful() => match runtime.container_status(&c.id).await {
                // Questions about single containers may hang while all other calls are answered.
                Err(CallError::GivenUp(_)) if runtime.is_there().await => None,
                status => Some(self.check(c, status, doing)?),
            },
            _ => None,
        };
        self.log_of(c, status).await
    }

    /// What becomes of a container whose removal ends with this failed call.
    fn failed(&self, e: &CallError, doing: &str, c: &Container) -> Fate {
        // Its logs are left to S4: a new container may use the same path (S2.5).
        if let CallError::NotFound(_) = e {
            return Fate::Removed;
        }
        let doing = format!("cannot {doing} container {}", visible(&c.id));
        Fate::of(e, &doing, self.pass.runtime.endpoint)
    }

    /// S2.6: where its log is, from the list if that is certain, else from the runtime.
    async fn log_of(&self, c: &Container, status: Option<ContainerStatus>) -> Result<Log, Fate> {
        let pod_logs = &self.pass.log_dirs.pod_logs;
        if let LogDir::Off = pod_logs {
            return Ok(Log::None);
        }
        if let (None, LogDir::Open(dir), Some(log)) = (&status, pod_logs, expected_log(c)) {
            let go_on = || self.pass.ctx.stop.cause().is_none();
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
            // A later pass over the node knows who writes there.
            Ok(path) if self.is_in_another_pods_directory(&path) => {
                Err(Fate::kept(Reason::ListIncomplete))
            }
            Ok(path) => Ok(Log::At(path)),
            Err(shown) => Err(Fate::Failed(format!(
                "cannot delete the log of container {}: its path {} is not UTF-8; delete it by hand",
                visible(&c.id),
                visible(&shown)
            ))),
        }
    }

    /// S8: whether a log is in the log directory of another pod, whose containers are not listed.
    fn is_in_another_pods_directory(&self, path: &str) -> bool {
        match (&self.pass.log_dirs.pod_logs, self.pass.ctx.pod) {
            (LogDir::Open(dir), Some(pod)) => {
                let entry = dir.entry_with(path);
                entry.is_some_and(|entry| entry_uid(&entry) != &*pod.uid)
            }
            _ => false,
        }
    }

    /// S2.4: deletes its log file with rotated siblings, then its link, or nothing of them. Returns where the log is.
    fn delete_logs(&self, c: &Container, log: &Log, gate: &Gate<'_>) -> Result<Lies, Fate> {
        let overlay = &self.pass.log_dirs.overlay;
        let link = self.link_of(c).map_err(Fate::Failed)?;
        let place = match self.deletable(log).map_err(Fate::Failed)? {
            None => Lies::Here,
            Some((dir, path)) => {
                gate.delete(|go_on| overlay.remove_log(dir, path, names_for(c), go_on))?
            }
        };
        if let (Some(name), LogDir::Open(dir)) = (link, &self.pass.log_dirs.links) {
            let removed = overlay.remove_own_link(dir, &name);
            removed.map_err(|e| Fate::Failed(e.to_string()))?;
        }
        Ok(place)
    }

    /// The link to delete with it, if any; an error if something is in its place that cannot be deleted.
    fn link_of(&self, c: &Container) -> Result<Option<String>, String> {
        let Some(name) = link_name(c).filter(|name| !self.live.has_link(name)) else {
            return Ok(None);
        };
        match &self.pass.log_dirs.links {
            LogDir::Failed(dir, e) => {
                Err(unreadable(self.pass.ctx, "container-logs-dir", dir, e).message)
            }
            LogDir::Open(dir) => match dir.check_own_link(&name) {
                Ok(()) => Ok(Some(name)),
                Err(e) => Err(e.to_string()),
            },
            LogDir::Off | LogDir::Missing(_) => Ok(Some(name)),
        }
    }

    /// The directory through which its log is deleted, and the log's path, if there is anything to delete.
    fn deletable<'l>(&'l self, log: &'l Log) -> Result<Option<(&'l OpenLogDir, &'l str)>, String> {
        let Log::At(path) = log else {
            return Ok(None);
        };
        match &self.pass.log_dirs.pod_logs {
            LogDir::Off => Ok(None),
            LogDir::Open(dir) => Ok(Some((dir, path))),
            LogDir::Missing(dir) => below(path, dir).map(|()| None),
            LogDir::Failed(dir, e) => {
                Err(unreadable(self.pass.ctx, "pod-logs-dir", dir, e).message)
            }
        }
    }

    /// It has been removed, and its log is there: logs that were left alone are reported at the end of the pass.
    fn removed(&self, c: &Container, log: &Log, place: Lies) -> Fate {
        let log_dirs = self.pass.log_dirs;
        match (log, place) {
            (Log::At(path), Lies::Elsewhere) => {
                let example = || format!("{} of container {}", visible(path), visible(&c.id));
                log_dirs.elsewhere.borrow_mut().add(example);
            }
            (Log::NoDirectory, _) => log_dirs.without.borrow_mut().add(|| visible(&c.id)),
            _ => {}
        }
        Fate::Removed
    }
}

/// A container that may have run until now may just have rotated its logs.
fn names_for(c: &Container) -> Names {
    match c.state {
        ContainerState::Exited => Names::Known,
        _ => Names::Fresh,
    }
}

/// A log below a log directory that does not exist is not there; one at any other path is not deleted.
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

impl Remover for ContainerRemover<'_, '_> {
    type Object = Container;
    const KIND: Kind = Kind::Container;

    fn planned(&self, c: &Container, why: Why) -> Planned {
        let name = match (&c.pod_namespace, &c.pod_name) {
            (Some(namespace), Some(pod)) => self.shared(format!("{namespace}/{pod}/{}", c.name)),
            _ => c.name.clone(),
        };
        let uid = c.pod_uid.clone().unwrap_or_default();
        Planned::new(Kind::Container, c.id.clone(), name, uid, why)
    }

    async fn remove(&self, c: &Container, gate: &Gate<'_>) -> Result<Fate, Fate> {
        if c.state == ContainerState::Unknown {
            self.pass.log_dirs.overlay.note_stopped(&c.id);
        }
        if self.pass.runtime.has_given_up() {
            return Err(Fate::kept(Reason::NotReached));
        }
        let log = self.find_log(c).await?;
        gate.still_open()?;
        // The runtime did not know it when it was to be stopped: its logs may belong to another container by now (S2.5).
        let place = if self.pass.ctx.later.was_unknown(&c.id) {
            Lies::Here
        } else {
            self.delete_logs(c, &log, gate)?
        };
        if !self.pass.log_dirs.overlay.note_removed(&c.id) {
            let call = self.pass.runtime.remove_container(&c.id);
            let counts = c.state != ContainerState::Unknown;
            let removed = timed(self.pass.ctx, Kind::Container, counts, call).await;
            removed.map_err(|e| self.failed(&e, "remove", c))?;
        }
        Ok(self.removed(c, &log, place))
    }
}
