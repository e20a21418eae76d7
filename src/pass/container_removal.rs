//! Removing one container: approval is asked before; here come the second look, the stop, the logs, the call (S2.2 to S2.6).

use super::removals::{Remover, blank};
use super::rooms::{Room, Rooms};
use super::run::{Done, Run};
use crate::cri::client::Runtime;
use crate::cri::{CallError, ContainerLook};
use crate::node::{Container, ContainerState, Text};
use crate::plan::containers::{grace_period, stop_timeout};
use crate::plan::logs::{expected_log, link_name};
use crate::report::{Entry, Kind, Reason, visible};

/// Removes containers with their logs.
pub(crate) struct ContainerRemover<'a> {
    run: &'a Run<'a>,
    runtime: &'a Runtime<'a>,
    rooms: &'a Rooms,
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
    ) -> ContainerRemover<'a> {
        ContainerRemover {
            run,
            runtime,
            rooms,
        }
    }

    /// A failed call on the way, as the end of this container.
    fn failed(&self, e: &CallError, doing: &str, c: &Container) -> Done {
        match e {
            // Its logs are left to S4: a new container may use the same path (S2.5).
            CallError::NotFound(_) => Done::Removed,
            CallError::NotBegun(_) => Done::Kept(Reason::NotReached),
            e => Done::Failed(e.story(
                &format!("cannot {doing} container {}", visible(&c.id)),
                self.runtime.endpoint,
            )),
        }
    }

    /// S2.2: a CREATED candidate may have been started since the list.
    async fn look_again(&self, c: &Container) -> Result<ContainerLook, Done> {
        let look = self
            .runtime
            .container_status(&c.id)
            .await
            .map_err(|e| self.failed(&e, "ask for the status of", c))?;
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
            if matches!(room.exists(&file), Ok(true)) {
                return Ok(Log::At(format!("{}/{file}", room.dir()).into()));
            }
            if matches!(room.exists(&log.pod_dir), Ok(false)) {
                return Ok(Log::None);
            }
        }
        let look = match look {
            Some(look) => look,
            None => self
                .runtime
                .container_status(&c.id)
                .await
                .map_err(|e| self.failed(&e, "ask for the log path of", c))?,
        };
        match look.log_path {
            Ok(path) => Ok(Log::At(path)),
            Err(shown) => Err(Done::Failed(format!(
                "cannot delete the log of container {}: its path {} is no UTF-8; delete it by hand",
                visible(&c.id),
                visible(&shown)
            ))),
        }
    }

    /// S2.4: its log file with rotated siblings, then its link.
    fn delete_logs(&self, c: &Container, log: &Log) -> Result<(), String> {
        if let Log::At(path) = log {
            match &self.rooms.pod_logs {
                Room::Off => {}
                Room::Open(room) => room.remove_log(path).map_err(|e| e.to_string())?,
                Room::Missing(dir) => below(path, dir)?,
                Room::Failed(dir, e) => return Err(unreadable("pod-logs-dir", dir, e)),
            }
        }
        let Some(name) = link_name(c) else {
            return Ok(());
        };
        match &self.rooms.links {
            Room::Off | Room::Missing(_) => Ok(()),
            Room::Open(room) => room.remove_link(&name).map_err(|e| e.to_string()),
            Room::Failed(dir, e) => Err(unreadable("container-logs-dir", dir, e)),
        }
    }

    /// S0.5: what the removal would take with it counts as gone for the rules after it.
    fn pretend(&self, c: &Container, log: &Log) -> Result<(), String> {
        if let Log::At(path) = log {
            match &self.rooms.pod_logs {
                Room::Off => {}
                Room::Open(room) => {
                    room.check_log(path).map_err(|e| e.to_string())?;
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
                Room::Open(room) => self.rooms.paths.borrow_mut().add_tree(room, &name),
                Room::Off | Room::Missing(_) => {}
            }
            self.rooms.link_names.borrow_mut().insert(name);
        }
        self.rooms.containers.borrow_mut().insert(c.id.clone());
        Ok(())
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
            (Some(namespace), Some(pod)) => format!("{namespace}/{pod}/{}", c.name),
            _ => c.name.to_string(),
        };
        blank(Kind::Container, &c.id, &name, c.uid())
    }

    fn needs_stop(&self, c: &Container) -> bool {
        c.state == ContainerState::Unknown
    }

    async fn stop(&self, c: &Container) -> Result<(), Done> {
        let grace = grace_period(c.deletion_grace.as_deref(), c.termination_grace.as_deref());
        self.runtime
            .stop_container(&c.id, stop_timeout(grace))
            .await
            .map_err(|e| self.failed(&e, "stop", c))
    }

    async fn remove(&self, c: &Container) -> Done {
        if self.run.dry_run && self.needs_stop(c) {
            self.rooms.stopped.borrow_mut().insert(c.id.clone());
        }
        let look = match c.state {
            ContainerState::Created => match self.look_again(c).await {
                Ok(look) => Some(look),
                Err(done) => return done,
            },
            _ => None,
        };
        let log = match self.log_of(c, look).await {
            Ok(log) => log,
            Err(done) => {
                if done == Done::Removed {
                    self.rooms.containers.borrow_mut().insert(c.id.clone());
                }
                return done;
            }
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
        if let Err(error) = self.delete_logs(c, &log) {
            return Done::Failed(error);
        }
        match self.runtime.remove_container(&c.id).await {
            Ok(()) => Done::Removed,
            Err(e) => self.failed(&e, "remove", c),
        }
    }
}
