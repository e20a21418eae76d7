//! Removing one container: approval is asked before; here come the second look, the stop, the logs, the call (S2.2 to S2.6).

use super::removals::{Remover, blank};
use super::rooms::{Room, Rooms};
use super::run::{Done, Run};
use crate::cri::client::Runtime;
use crate::cri::{CallError, ContainerLook};
use crate::host::logs::Names;
use crate::node::{Container, ContainerState, Snapshot, Text};
use crate::plan;
use crate::plan::containers::{grace_period, stop_timeout};
use crate::plan::logs::{expected_log, link_name};
use crate::report::{Entry, Kind, Reason, visible};
use std::cell::RefCell;
use std::collections::HashSet;

/// Removes containers with their logs.
pub(crate) struct ContainerRemover<'a> {
    run: &'a Run<'a>,
    runtime: &'a Runtime<'a>,
    rooms: &'a Rooms,
    /// Logs that a running container writes, relative to `pod-logs-dir`: nobody else's removal takes them.
    live_logs: HashSet<String>,
    /// IDs that the runtime did not know when they were to be stopped: their logs may be another's by now (S2.5).
    gone: RefCell<HashSet<Text>>,
    last_name: RefCell<Text>,
}

/// Where the log of a container is.
enum Log {
    /// Nowhere: nothing to delete.
    None,
    At(Text),
}

impl<'a> ContainerRemover<'a> {
    pub(crate) fn new(
        run: &'a Run<'a>,
        runtime: &'a Runtime<'a>,
        rooms: &'a Rooms,
        look: &Snapshot,
    ) -> ContainerRemover<'a> {
        let running = look
            .containers
            .iter()
            .filter(|c| !plan::containers::is_candidate_state(c));
        ContainerRemover {
            run,
            runtime,
            rooms,
            live_logs: running
                .filter_map(expected_log)
                .map(|log| format!("{}/{}", log.pod_dir, log.file))
                .collect(),
            gone: RefCell::default(),
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
    async fn status(&self, c: &Container, doing: &str) -> Result<ContainerLook, Done> {
        let look = self.runtime.container_status(&c.id).await;
        self.own(c, look, doing)
    }

    fn own(
        &self,
        c: &Container,
        look: Result<ContainerLook, CallError>,
        doing: &str,
    ) -> Result<ContainerLook, Done> {
        let look = look.map_err(|e| self.failed(&e, doing, c))?;
        match look.id == c.id {
            true => Ok(look),
            false => Err(Done::Failed(format!(
                "cannot remove container {}: asked for its status, the runtime told that of {}; see the runtime's log",
                visible(&c.id),
                visible(&look.id)
            ))),
        }
    }

    /// S2.2, S2.6: where its log is. A runtime that has just left a call without an answer is asked first whether it is there at
    /// all: what is deleted and not removed would be lost.
    async fn find_log(&self, c: &Container) -> Result<Log, Done> {
        let look = match c.state {
            ContainerState::Created => Some(self.look_again(c).await?),
            _ if self.runtime.is_doubtful() => {
                let look = self.runtime.probe(&c.id).await;
                Some(self.own(c, look, "ask for the status of")?)
            }
            _ => None,
        };
        self.log_of(c, look).await
    }

    /// A failed call on the way, as the end of this container.
    fn failed(&self, e: &CallError, doing: &str, c: &Container) -> Done {
        match e {
            // Its logs are left to S4: a new container may use the same path (S2.5).
            CallError::NotFound(_) => Done::Removed,
            e => {
                let doing = format!("cannot {doing} container {}", visible(&c.id));
                Done::of(e, &doing, self.runtime.endpoint)
            }
        }
    }

    /// S2.2: a CREATED candidate may have been started since the list.
    async fn look_again(&self, c: &Container) -> Result<ContainerLook, Done> {
        let look = self.status(c, "ask for the status of").await?;
        match look.state {
            ContainerState::Created | ContainerState::Exited => Ok(look),
            ContainerState::Running => Err(Done::Kept(Reason::Running)),
            ContainerState::Unknown | ContainerState::Undefined(_) => {
                Err(Done::Kept(Reason::UnknownState))
            }
        }
    }

    /// S2.6: where its log is, from the list if that is certain, else from the runtime.
    async fn log_of(&self, c: &Container, look: Option<ContainerLook>) -> Result<Log, Done> {
        if let Room::Off = self.rooms.pod_logs {
            return Ok(Log::None);
        }
        if let (None, Room::Open(room), Some(log)) = (&look, &self.rooms.pod_logs, expected_log(c))
        {
            let file = format!("{}/{}", log.pod_dir, log.file);
            let is_there = |relative: &str| room.exists(relative).ok();
            // Where a running container's log should be, the runtime has to tell them apart.
            if !self.live_logs.contains(&file) && room.has_log(&file).ok() == Some(true) {
                return Ok(Log::At(format!("{}/{file}", room.dir()).into()));
            }
            if is_there(&log.pod_dir) == Some(false) && is_there(&log.old_pod_dir) == Some(false) {
                return Ok(Log::None);
            }
        }
        let look = match look {
            Some(look) => look,
            None => self.status(c, "ask for the log path of").await?,
        };
        match look.log_path {
            Ok(path) if self.is_live(&path) => Ok(Log::None),
            Ok(path) => Ok(Log::At(path)),
            Err(shown) => Err(Done::Failed(format!(
                "cannot delete the log of container {}: its path {} is no UTF-8; delete it by hand",
                visible(&c.id),
                visible(&shown)
            ))),
        }
    }

    /// Whether a running container writes there, as far as its labels tell: by the last three names, since a runtime may
    /// spell the directories before them in another way.
    fn is_live(&self, path: &str) -> bool {
        let mut names = path.rsplit('/').filter(|name| !name.is_empty());
        match (names.next(), names.next(), names.next()) {
            (Some(file), Some(container), Some(pod)) => self
                .live_logs
                .contains(&format!("{pod}/{container}/{file}")),
            _ => false,
        }
    }

    /// S2.4: its log file with rotated siblings, then its link.
    fn delete_logs(&self, c: &Container, log: &Log) -> Result<(), String> {
        // Before anything goes: the link will not go either.
        if let (Room::Failed(dir, e), Some(_)) = (&self.rooms.links, link_name(c)) {
            return Err(unreadable("container-logs-dir", dir, e));
        }
        if let Log::At(path) = log {
            match &self.rooms.pod_logs {
                Room::Off => {}
                Room::Open(room) => room
                    .remove_log(path, names_for(c))
                    .map_err(|e| e.to_string())?,
                Room::Missing(dir) => below(path, dir)?,
                Room::Failed(dir, e) => return Err(unreadable("pod-logs-dir", dir, e)),
            }
        }
        match (&self.rooms.links, link_name(c)) {
            (Room::Open(room), Some(name)) => room.remove_link(&name).map_err(|e| e.to_string()),
            _ => Ok(()),
        }
    }

    /// S0.5: what the removal would take with it counts as gone for the rules after it.
    fn pretend(&self, c: &Container, log: &Log) -> Result<(), String> {
        if let Log::At(path) = log {
            match &self.rooms.pod_logs {
                Room::Off => {}
                Room::Open(room) => {
                    room.check_log(path, names_for(c))
                        .map_err(|e| e.to_string())?;
                    self.rooms.paths.borrow_mut().add_log(path);
                }
                Room::Missing(dir) => below(path, dir)?,
                Room::Failed(dir, e) => return Err(unreadable("pod-logs-dir", dir, e)),
            }
        }
        if let Some(name) = link_name(c) {
            match &self.rooms.links {
                Room::Failed(dir, e) => return Err(unreadable("container-logs-dir", dir, e)),
                // Another link may point to this one.
                Room::Open(room) => {
                    room.check_link(&name).map_err(|e| e.to_string())?;
                    self.rooms.paths.borrow_mut().add_tree(room, &name);
                }
                Room::Off | Room::Missing(_) => {}
            }
            self.rooms.link_names.borrow_mut().insert(name);
        }
        self.rooms.containers.borrow_mut().insert(c.id.clone());
        Ok(())
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
fn below(path: &str, dir: &str) -> Result<(), String> {
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

fn unreadable(key: &str, dir: &str, e: &std::io::Error) -> String {
    format!(
        "cannot delete logs: {key} ({dir}) cannot be opened: {e}; make it readable, or set {key} to nothing to leave it alone"
    )
}

impl Remover for ContainerRemover<'_> {
    type Object = Container;
    const KIND: Kind = Kind::Container;

    fn entry(&self, c: &Container) -> Entry {
        let name = match (&c.pod_namespace, &c.pod_name) {
            (Some(namespace), Some(pod)) => self.shared(format!("{namespace}/{pod}/{}", c.name)),
            _ => c.name.clone(),
        };
        let uid = c.pod_uid.clone().unwrap_or_default();
        blank(Kind::Container, c.id.clone(), name, uid)
    }

    fn needs_stop(&self, c: &Container) -> bool {
        c.state == ContainerState::Unknown
    }

    async fn stop(&self, c: &Container) -> Result<(), Done> {
        let grace = grace_period(c.deletion_grace.as_deref(), c.termination_grace.as_deref());
        let stopped = self
            .runtime
            .stop_container(&c.id, stop_timeout(grace))
            .await;
        match stopped {
            Ok(()) => Ok(()),
            Err(CallError::NotFound(_)) => {
                self.gone.borrow_mut().insert(c.id.clone());
                Ok(())
            }
            Err(e) => Err(self.failed(&e, "stop", c)),
        }
    }

    async fn remove(&self, c: &Container, objection: &dyn Fn() -> Option<Reason>) -> Done {
        if self.run.dry_run && self.needs_stop(c) {
            self.rooms.stopped.borrow_mut().insert(c.id.clone());
        }
        if self.runtime.has_given_up() {
            return Done::Kept(Reason::NotReached);
        }
        let log = match self.find_log(c).await {
            Ok(log) => log,
            Err(done) => return done,
        };
        if self.run.stop.cause().is_some() {
            return Done::Kept(Reason::NotReached);
        }
        if self.run.dry_run {
            return match self.pretend(c, &log) {
                Ok(()) => Done::Removed,
                Err(error) => Done::Failed(error),
            };
        }
        if let Some(reason) = objection() {
            return Done::Kept(reason);
        }
        if !self.gone.borrow().contains(&c.id)
            && let Err(error) = self.delete_logs(c, &log)
        {
            return Done::Failed(error);
        }
        match self.runtime.remove_container(&c.id).await {
            Ok(()) => Done::Removed,
            Err(e) => self.failed(&e, "remove", c),
        }
    }
}
