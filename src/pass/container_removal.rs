//! Removing one container: approval is asked before; here come the second look, the logs, the call (S2.2, S2.4 to S2.6).

use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::removals::Remover;
use super::rooms::{Room, Rooms};
use super::run::Run;
use crate::cri::client::Runtime;
use crate::cri::{CallError, ContainerLook};
use crate::host::logs::{Lies, LogRoom, Names};
use crate::node::{Container, ContainerState, Snapshot, Text};
use crate::plan;
use crate::plan::logs::{expected_log, is_cut, link_name};
use crate::report::{Kind, Reason, visible};
use std::cell::RefCell;
use std::collections::HashSet;

/// Removes containers with their logs.
pub(crate) struct ContainerRemover<'a> {
    run: &'a Run<'a>,
    runtime: &'a Runtime<'a>,
    rooms: &'a Rooms,
    /// Logs that a running container writes, relative to `pod-logs-dir`: nobody else's removal takes them.
    live_logs: HashSet<String>,
    /// Cut names of links that are those of a running container, too.
    live_links: HashSet<String>,
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
        run: &'a Run<'a>,
        runtime: &'a Runtime<'a>,
        rooms: &'a Rooms,
        look: &Snapshot,
    ) -> ContainerRemover<'a> {
        let running = || {
            let all = look.containers.iter();
            all.filter(|c| !plan::containers::is_candidate_state(c))
        };
        ContainerRemover {
            run,
            runtime,
            rooms,
            live_logs: running()
                .filter_map(expected_log)
                .map(|log| format!("{}/{}", log.pod_dir, log.file))
                .collect(),
            live_links: running()
                .filter_map(link_name)
                .filter(|name| is_cut(name))
                .collect(),
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
    async fn status(&self, c: &Container, doing: &str) -> Result<ContainerLook, Fate> {
        let look = self.runtime.container_status(&c.id).await;
        self.own(c, look, doing)
    }

    fn own(
        &self,
        c: &Container,
        look: Result<ContainerLook, CallError>,
        doing: &str,
    ) -> Result<ContainerLook, Fate> {
        let look = look.map_err(|e| self.failed(&e, doing, c))?;
        match look.id == c.id {
            // S1.1: whatever the list said.
            true if look.state == ContainerState::Running => Err(Fate::Kept(Reason::Running)),
            true => Ok(look),
            false => Err(Fate::Failed(format!(
                "cannot remove container {}: asked for its status, the runtime told that of {}; see the runtime's log",
                visible(&c.id),
                visible(&look.id)
            ))),
        }
    }

    /// S2.2, S2.6: where its log is. A runtime that has just left a call without an answer is asked first whether it is there at
    /// all: what is deleted and not removed would be lost.
    async fn find_log(&self, c: &Container) -> Result<Log, Fate> {
        let look = match c.state {
            ContainerState::Created => Some(self.look_again(c).await?),
            _ if self.runtime.is_doubtful() => {
                match self.runtime.container_status(&c.id).await {
                    // Questions about single containers may hang while all else is answered.
                    Err(CallError::GivenUp(_)) if self.runtime.is_there().await => None,
                    look => Some(self.own(c, look, "ask for the status of")?),
                }
            }
            _ => None,
        };
        self.log_of(c, look).await
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
    async fn look_again(&self, c: &Container) -> Result<ContainerLook, Fate> {
        let look = self.status(c, "ask for the status of").await?;
        match look.state {
            ContainerState::Created | ContainerState::Exited => Ok(look),
            ContainerState::Running | ContainerState::Unknown | ContainerState::Undefined(_) => {
                Err(Fate::Kept(Reason::UnknownState))
            }
        }
    }

    /// S2.6: where its log is, from the list if that is certain, else from the runtime.
    async fn log_of(&self, c: &Container, look: Option<ContainerLook>) -> Result<Log, Fate> {
        if let Room::Off = self.rooms.pod_logs {
            return Ok(Log::None);
        }
        if let (None, Room::Open(room), Some(log)) = (&look, &self.rooms.pod_logs, expected_log(c))
        {
            let file = format!("{}/{}", log.pod_dir, log.file);
            let is_there = |relative: &str| room.exists(relative).ok();
            let go_on = || self.run.stop.cause().is_none();
            let has_log = || room.has_log(&file, &go_on).ok() == Some(true);
            // Where a running container's log should be, the runtime has to tell them apart.
            if !self.live_logs.contains(&file) && has_log() {
                return Ok(Log::At(format!("{}/{file}", room.dir()).into()));
            }
            if is_there(&log.pod_dir) == Some(false) && is_there(&log.old_pod_dir) == Some(false) {
                return Ok(Log::NoDirectory);
            }
        }
        let look = match look {
            Some(look) => look,
            None => self.status(c, "ask for the log path of").await?,
        };
        match look.log_path {
            Ok(path) if self.is_live(&path) => Ok(Log::None),
            Ok(path) => Ok(Log::At(path)),
            Err(shown) => Err(Fate::Failed(format!(
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

    /// S2.4: its log file with rotated siblings, then its link, or nothing of them; where the log lies.
    fn delete_logs(&self, c: &Container, log: &Log, gate: &Gate<'_>) -> Result<Lies, Fate> {
        let link = self.link_of(c).map_err(Fate::Failed)?;
        let lies = match self.room_of(log).map_err(Fate::Failed)? {
            None => Lies::Here,
            Some((room, path)) => {
                gate.delete(|go_on| room.remove_log(path, names_for(c), go_on))?
            }
        };
        if let (Some(name), Room::Open(room)) = (link, &self.rooms.links) {
            let removed = room.remove_own_link(&name);
            removed.map_err(|e| Fate::Failed(e.to_string()))?;
        }
        Ok(lies)
    }

    /// The link that goes with it, if any; an error where there is something that cannot go.
    fn link_of(&self, c: &Container) -> Result<Option<String>, String> {
        let Some(name) = link_name(c).filter(|name| !self.live_links.contains(name)) else {
            return Ok(None);
        };
        match &self.rooms.links {
            Room::Failed(dir, e) => Err(unreadable("container-logs-dir", dir, e)),
            Room::Open(room) => match room.check_own_link(&name) {
                Ok(()) => Ok(Some(name)),
                Err(e) => Err(e.to_string()),
            },
            Room::Off | Room::Missing(_) => Ok(Some(name)),
        }
    }

    /// The directory through which its log is deleted, and the log's path, if there is anything to delete.
    fn room_of<'l>(&'l self, log: &'l Log) -> Result<Option<(&'l LogRoom, &'l str)>, String> {
        let Log::At(path) = log else {
            return Ok(None);
        };
        match &self.rooms.pod_logs {
            Room::Off => Ok(None),
            Room::Open(room) => Ok(Some((room, path))),
            Room::Missing(dir) => below(path, dir).map(|()| None),
            Room::Failed(dir, e) => Err(unreadable("pod-logs-dir", dir, e)),
        }
    }

    /// S0.5: what the removal would take with it counts as gone for the rules after it.
    fn pretend(&self, c: &Container, log: &Log) -> Result<Lies, String> {
        let link = self.link_of(c)?;
        let mut lies = Lies::Here;
        if let Some((room, path)) = self.room_of(log)? {
            let go_on = || self.run.stop.cause().is_none();
            let checked = room.check_log(path, names_for(c), &go_on);
            lies = checked.map_err(|e| e.to_string())?;
            if lies == Lies::Here {
                self.rooms.paths.borrow_mut().add_log(path);
            }
        }
        if let Some(name) = link {
            // Another link may point to this one.
            if let Room::Open(room) = &self.rooms.links {
                self.rooms.paths.borrow_mut().add_tree(room, &name);
            }
            self.rooms.link_names.borrow_mut().insert(name);
        }
        self.rooms.containers.borrow_mut().insert(c.id.clone());
        Ok(lies)
    }

    /// It went, and its log lies there: what was left alone is told at the end of the pass.
    fn went(&self, c: &Container, log: &Log, lies: Lies) -> Fate {
        match (log, lies) {
            (Log::At(path), Lies::Elsewhere) => self
                .rooms
                .elsewhere
                .borrow_mut()
                .add(|| format!("{} of container {}", visible(path), visible(&c.id))),
            (Log::NoDirectory, _) => self.rooms.without.borrow_mut().add(|| visible(&c.id)),
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

fn unreadable(key: &str, dir: &str, e: &std::io::Error) -> String {
    format!(
        "cannot delete logs: {key} ({dir}) cannot be opened: {e}; make it readable, or set {key} to nothing to leave it alone"
    )
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
        if self.run.dry_run && c.state == ContainerState::Unknown {
            self.rooms.stopped.borrow_mut().insert(c.id.clone());
        }
        if self.runtime.has_given_up() {
            return Err(Fate::Kept(Reason::NotReached));
        }
        let log = self.find_log(c).await?;
        if self.run.stop.cause().is_some() {
            return Err(Fate::Kept(Reason::NotReached));
        }
        if self.run.dry_run {
            let lies = self.pretend(c, &log).map_err(Fate::Failed)?;
            return Ok(self.went(c, &log, lies));
        }
        gate.still_open()?;
        // One that the runtime did not know when it was to be stopped: its logs may be another's by now (S2.5).
        let lies = match self.run.later.was_unknown(&c.id) {
            true => Lies::Here,
            false => self.delete_logs(c, &log, gate)?,
        };
        let removed = self.runtime.remove_container(&c.id).await;
        removed.map_err(|e| self.failed(&e, "remove", c))?;
        Ok(self.went(c, &log, lies))
    }
}
