//! What a dry run would have stopped, removed and deleted counts as gone for the rules after it (S0.5). Whatever later rules look at is
//! deleted through here: in earnest, or in a dry run only after the same checks.

use crate::fs::links::LogLink;
use crate::fs::logs::{Lies, LogError, Names, OpenLogDir};
use crate::fs::mounts::mounts;
use crate::node::{Container, ContainerState, Text};
use std::cell::{OnceCell, RefCell};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// How many links are followed, as in the kernel.
const LINKS: usize = 40;

/// The node as it would be. `None` = this is no dry run: what is deleted is gone.
#[derive(Debug)]
pub struct Overlay(Option<RefCell<Gone>>);

/// What would be gone.
#[derive(Debug, Default)]
struct Gone {
    containers: HashSet<Text>,
    /// UNKNOWN containers that would have been stopped: they would have exited, even where they then stay.
    stopped: HashSet<Text>,
    /// Logs, which go with their rotated siblings.
    logs: HashSet<PathBuf>,
    /// Entries of log directories, with all below them.
    trees: HashSet<PathBuf>,
    /// Names of links that go with their containers.
    links: HashSet<String>,
    mounts: OnceCell<Vec<PathBuf>>,
}

impl Overlay {
    /// Of one pass.
    pub fn new(dry_run: bool) -> Overlay {
        Overlay(dry_run.then(RefCell::default))
    }

    /// An UNKNOWN container would be stopped.
    pub(crate) fn stop(&self, id: &Text) {
        if let Some(gone) = &self.0 {
            gone.borrow_mut().stopped.insert(id.clone());
        }
    }

    /// Takes a container for gone; false = it has to be removed in earnest.
    pub(crate) fn take(&self, id: &Text) -> bool {
        if let Some(gone) = &self.0 {
            gone.borrow_mut().containers.insert(id.clone());
        }
        self.0.is_some()
    }

    /// The containers of another look that would still be there.
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

    /// S2.4: a log with its rotated siblings; nothing, where it lies elsewhere.
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
            gone.borrow_mut().logs.extend(place(Path::new(path)));
        }
        Ok(lies)
    }

    /// S2.4: the link of a container, which was looked at before its log went.
    pub fn remove_own_link(&self, dir: &OpenLogDir, name: &str) -> Result<(), LogError> {
        let Some(gone) = &self.0 else {
            return dir.remove_own_link(name);
        };
        let mut gone = gone.borrow_mut();
        // Another link may point to this one.
        gone.trees.extend(entry(dir, name));
        gone.links.insert(name.to_owned());
        Ok(())
    }

    /// S4.1: an entry of `pod-logs-dir` with all below it.
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
        gone.trees.extend(entry(dir, name));
        Ok(())
    }

    /// S4.2: a link that dangles.
    pub(crate) fn remove_link(&self, dir: &OpenLogDir, name: &str) -> Result<(), LogError> {
        match &self.0 {
            None => dir.remove_link(name),
            Some(_) => Ok(()),
        }
    }

    /// Whether a link leads nowhere, and no container takes it along.
    pub fn dangles(&self, link: &LogLink) -> bool {
        match self.0.as_ref().map(RefCell::borrow) {
            None => !link.alive,
            Some(gone) if gone.links.contains(&link.name) => false,
            Some(gone) => !link.alive || gone.covers(&link.target),
        }
    }
}

/// A path with the links of its directory resolved, and its last component as it stands.
fn place(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?.canonicalize().ok()?;
    Some(parent.join(path.file_name()?))
}

fn entry(dir: &OpenLogDir, name: &str) -> Option<PathBuf> {
    place(&Path::new(dir.dir()).join(name))
}

impl Gone {
    /// Whether something at this path would be gone, or would point to what is gone. It is walked as the kernel walks it: a
    /// link on the way may be what goes.
    fn covers(&self, path: &Path) -> bool {
        if self.logs.is_empty() && self.trees.is_empty() {
            return false;
        }
        let mut here = PathBuf::from("/");
        let mut ahead = parts(path);
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == ".." {
                here.pop();
                continue;
            }
            let next = here.join(part);
            if self.takes(&next) {
                return true;
            }
            match std::fs::read_link(&next) {
                Err(_) => here = next,
                Ok(_) if links == LINKS => return false,
                Ok(target) => {
                    links += 1;
                    if target.is_absolute() {
                        here = PathBuf::from("/");
                    }
                    ahead.extend(parts(&target));
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

/// The steps of a path, the first one last.
fn parts(path: &Path) -> Vec<OsString> {
    let steps = path.components().filter_map(|step| match step {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut steps: Vec<OsString> = steps.collect();
    steps.reverse();
    steps
}
