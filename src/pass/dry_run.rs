//! What a dry run would have stopped, removed and deleted counts as removed for the rules after it (S0.5). Whatever later rules read is
//! deleted through this module: really, or in a dry run only after the same checks.

use crate::fs::host_root::Root;
use crate::fs::links::LogLink;
use crate::fs::logs::{Lies, LogError, Names, OpenLogDir};
use crate::fs::mounts::mounts;
use crate::node::{Container, ContainerState, LogFile, Text};
use std::cell::{OnceCell, RefCell};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// How many links are followed, as in the kernel.
const LINKS: usize = 40;

/// The node as it would be. `None` = not a dry run: what is deleted is really gone.
#[derive(Debug)]
pub struct Overlay(Option<RefCell<Gone>>);

/// What would be gone by now.
#[derive(Debug, Default)]
struct Gone {
    /// Where the paths below begin.
    root: Root,
    containers: HashSet<Text>,
    /// UNKNOWN containers that would have been stopped: they would have exited, even if they were then kept.
    stopped: HashSet<Text>,
    /// Logs, which are deleted with their rotated siblings.
    logs: HashSet<PathBuf>,
    /// Entries of log directories, with all below them, and single log files.
    trees: HashSet<PathBuf>,
    /// Names of links that are deleted with their containers.
    links: HashSet<String>,
    mounts: OnceCell<Vec<PathBuf>>,
}

impl Overlay {
    /// The overlay of one pass.
    pub fn new(dry_run: bool, root: &Root) -> Overlay {
        let gone = || Gone {
            root: root.clone(),
            ..Gone::default()
        };
        Overlay(dry_run.then(|| RefCell::new(gone())))
    }

    /// In a dry run, notes that an UNKNOWN container would be stopped.
    pub(crate) fn note_stopped(&self, id: &Text) {
        if let Some(gone) = &self.0 {
            gone.borrow_mut().stopped.insert(id.clone());
        }
    }

    /// In a dry run, notes that a container would be removed; else returns false, and the container has to be removed.
    pub(crate) fn note_removed(&self, id: &Text) -> bool {
        if let Some(gone) = &self.0 {
            gone.borrow_mut().containers.insert(id.clone());
        }
        self.0.is_some()
    }

    /// Keeps the containers of another snapshot that would still be there.
    pub(crate) fn retain(&self, containers: &mut Vec<Container>) {
        if let Some(gone) = &self.0 {
            let gone = gone.borrow();
            containers.retain(|c| !gone.containers.contains(&c.id));
        }
    }

    /// The state that a container would have; `None` = it would be gone.
    pub(crate) fn state(&self, id: &Text, state: ContainerState) -> Option<ContainerState> {
        match self.0.as_ref().map(RefCell::borrow) {
            Some(gone) if gone.containers.contains(id) => None,
            Some(gone) if gone.stopped.contains(id) => Some(ContainerState::Exited),
            _ => Some(state),
        }
    }

    /// S2.4: removes a log with its rotated siblings; nothing, if it is elsewhere.
    pub fn remove_log(
        &self,
        dir: &OpenLogDir,
        path: &str,
        names: Names,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Lies, LogError> {
        let Some(gone) = &self.0 else {
            return dir.remove_log(path, names, go_on);
        };
        let lies = dir.check_log(path, names, go_on)?;
        if lies == Lies::Here && !path.is_empty() && !path.ends_with('/') {
            gone.borrow_mut().logs.extend(dir.place_of(path));
        }
        Ok(lies)
    }

    /// S2.4: removes the link of a container, which was checked before its log was deleted.
    pub fn remove_own_link(&self, dir: &OpenLogDir, name: &str) -> Result<(), LogError> {
        let Some(gone) = &self.0 else {
            return dir.remove_own_link(name);
        };
        let mut gone = gone.borrow_mut();
        // Another link may point to this one.
        gone.trees.insert(dir.entry(name));
        gone.links.insert(name.to_owned());
        Ok(())
    }

    /// S4.1: removes an entry of `pod-logs-dir` with all below it.
    pub fn remove_tree(
        &self,
        dir: &OpenLogDir,
        name: &str,
        go_on: &dyn Fn() -> bool,
    ) -> Result<(), LogError> {
        let Some(gone) = &self.0 else {
            return dir.remove_tree(OsStr::new(name), go_on);
        };
        let mut gone = gone.borrow_mut();
        dir.check_tree(name, gone.mounts.get_or_init(mounts))?;
        gone.trees.insert(dir.entry(name));
        Ok(())
    }

    /// S4.3: removes a log file; false = it has been written meanwhile.
    pub fn remove_log_file(&self, dir: &OpenLogDir, file: &LogFile) -> Result<bool, LogError> {
        let Some(gone) = &self.0 else {
            return dir.remove_log_file(file);
        };
        let is_as_it_was = dir.check_log_file(file)?;
        if is_as_it_was {
            gone.borrow_mut().trees.insert(dir.entry(file.path()));
        }
        Ok(is_as_it_was)
    }

    /// Whether a file below a log directory would be gone by now; no link is on the way to it.
    pub fn hides(&self, dir: &OpenLogDir, relative: &Path) -> bool {
        let gone = self.0.as_ref().map(RefCell::borrow);
        gone.is_some_and(|gone| gone.takes(&dir.entry(relative)))
    }

    /// S4.2: removes a link that dangles.
    pub(crate) fn remove_link(&self, dir: &OpenLogDir, name: &str) -> Result<(), LogError> {
        match &self.0 {
            None => dir.remove_link(name),
            Some(_) => Ok(()),
        }
    }

    /// Whether a link leads nowhere, and is not deleted with a container.
    pub fn dangles(&self, link: &LogLink) -> bool {
        match self.0.as_ref().map(RefCell::borrow) {
            None => !link.alive,
            Some(gone) if gone.links.contains(&link.name) => false,
            Some(gone) => !link.alive || gone.covers(&link.target),
        }
    }
}

impl Gone {
    /// Whether something at this path would be gone, or would point to what is gone. The path is walked as the kernel walks it: a link on
    /// the way may be what would be gone.
    fn covers(&self, path: &Path) -> bool {
        if self.logs.is_empty() && self.trees.is_empty() {
            return false;
        }
        let mut here = PathBuf::from("/");
        let mut ahead = components(path);
        let mut links = 0;
        while let Some(component) = ahead.pop() {
            if component == ".." {
                here.pop();
                continue;
            }
            let next = here.join(component);
            if self.takes(&next) {
                return true;
            }
            match self.root.read_link(&next) {
                Err(_) => here = next,
                Ok(_) if links == LINKS => return false,
                Ok(target) => {
                    links += 1;
                    if target.is_absolute() {
                        here = PathBuf::from("/");
                    }
                    ahead.extend(components(&target));
                }
            }
        }
        false
    }

    fn takes(&self, place: &Path) -> bool {
        if self.trees.contains(place) || self.logs.contains(place) {
            return true;
        }
        // A rotated sibling: `<log>.<anything>`.
        let name = place.file_name().map_or(&[][..], OsStr::as_bytes);
        let dots = (0..name.len()).filter(|&i| name[i] == b'.');
        dots.map(|dot| OsStr::from_bytes(&name[..dot]))
            .any(|stem| !stem.is_empty() && self.logs.contains(&place.with_file_name(stem)))
    }
}

/// The components of a path, in reverse order.
fn components(path: &Path) -> Vec<OsString> {
    let components = path.components().rev();
    let components = components.filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    components.collect()
}
