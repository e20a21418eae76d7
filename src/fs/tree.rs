//! Removes a tree through a bounded number of directory handles, without recursion (S4.1).

use super::open_beneath::{self, DIRECTORY, Means, identity};
use crate::panic_points;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The first entry that could not be removed, and why.
#[derive(Debug)]
pub(super) struct Stuck {
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

/// If this many entries of a directory cannot be removed, the others are not tried: they probably cannot either.
const STUCK_LIMIT: usize = 1000;
/// How many entries are removed between two questions whether to go on.
const BATCH: usize = 64;

/// A directory between the base directory and the current one.
struct Level {
    name: OsString,
    /// Device and inode of its parent: `..` has to lead there.
    above: (u64, u64),
    /// Entries that could not be removed, so that they are not tried again.
    stuck: HashSet<OsString>,
}

impl Level {
    fn new(name: &OsStr, above: (u64, u64)) -> Level {
        Level {
            name: name.to_owned(),
            above,
            stuck: HashSet::new(),
        }
    }
}

/// Removes the entry `name` of `base`, with all below it. If `go_on`, asked now and then, returns false, the rest is kept.
pub(super) fn remove(
    base: &OwnedFd,
    name: &OsStr,
    means: Means,
    go_on: &dyn Fn() -> bool,
) -> Result<(), Stuck> {
    let stuck = |error| Stuck {
        path: name.into(),
        error,
    };
    match open_beneath::open_subdir(base, name, means) {
        Ok(here) => {
            let above = identity(base).map_err(stuck)?;
            let removal = Removal {
                here,
                levels: vec![Level::new(name, above)],
                first: None,
            };
            removal.run(base, means, go_on)
        }
        Err(e) if not_a_directory(&e) => {
            unlink(base, name, AtFlags::empty()).map_err(|e| stuck(e.into()))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(stuck(e)),
    }
}

fn not_a_directory(e: &io::Error) -> bool {
    matches!(Errno::from_io_error(e), Some(Errno::NOTDIR | Errno::LOOP))
}

/// Unlinks an entry. A missing one is no error.
fn unlink(parent: &OwnedFd, name: &OsStr, flags: AtFlags) -> Result<(), Errno> {
    panic_points::point("delete in a tree");
    match rustix::fs::unlinkat(parent, name.as_bytes(), flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e),
    }
}

/// The removal of a tree.
struct Removal {
    /// The current directory.
    here: OwnedFd,
    /// The path to it.
    levels: Vec<Level>,
    /// The first entry that could not be removed.
    first: Option<Stuck>,
}

/// What to do next in a directory.
enum Next {
    Descend(OsString, OwnedFd),
    Up,
    /// `go_on` returned false; `run` asks once more.
    Again,
}

impl Removal {
    fn run(mut self, base: &OwnedFd, means: Means, go_on: &dyn Fn() -> bool) -> Result<(), Stuck> {
        while !self.levels.is_empty() {
            if !go_on() {
                return Err(self.lost(io::ErrorKind::Interrupted.into()));
            }
            match self.clear(means, go_on) {
                Ok(Next::Descend(name, below)) => {
                    let above = identity(&self.here).map_err(|error| self.lost(error))?;
                    self.here = below;
                    self.levels.push(Level::new(&name, above));
                }
                Ok(Next::Up) => self.up(base)?,
                Ok(Next::Again) => {}
                // A directory that cannot be read is kept.
                Err(e) => {
                    self.note(OsStr::new(""), e.into());
                    self.up(base)?;
                }
            }
        }
        self.first.map_or(Ok(()), Err)
    }

    /// Remembers an entry that could not be removed, and the first one for the message.
    fn note(&mut self, name: &OsStr, error: io::Error) {
        if self.first.is_none() {
            let mut path: PathBuf = self.levels.iter().map(|level| &level.name).collect();
            path.push(name);
            self.first = Some(Stuck { path, error });
        }
        if let Some(level) = self.levels.last_mut() {
            level.stuck.insert(name.to_owned());
        }
    }

    /// Goes to the directory above, and removes the one below unless something in it could not be removed.
    fn up(&mut self, base: &OwnedFd) -> Result<(), Stuck> {
        let Some(level) = self.levels.pop() else {
            return Ok(());
        };
        panic_points::point("go up in a tree");
        let above = if self.levels.is_empty() {
            base.try_clone().map_err(|error| self.lost(error))?
        } else {
            rustix::fs::openat(&self.here, "..", DIRECTORY, Mode::empty())
                .map_err(|e| self.lost(e.into()))?
        };
        if identity(&above).map_err(|error| self.lost(error))? != level.above {
            return Err(self.lost(io::Error::other("it was moved while it was being removed")));
        }
        self.here = above;
        let removed = if level.stuck.is_empty() {
            unlink(&self.here, &level.name, AtFlags::REMOVEDIR)
        } else {
            // Its entries were noted already; this only keeps it from being tried again.
            Err(Errno::NOTEMPTY)
        };
        match removed {
            Ok(()) => Ok(()),
            // This is the entry of the base directory.
            Err(_) if self.levels.is_empty() && self.first.is_some() => Ok(()),
            Err(e) if self.levels.is_empty() => Err(Stuck {
                path: level.name.into(),
                error: e.into(),
            }),
            Err(e) => {
                self.note(&level.name, e.into());
                Ok(())
            }
        }
    }

    fn lost(&self, error: io::Error) -> Stuck {
        Stuck {
            path: self.levels.iter().map(|level| &level.name).collect(),
            error,
        }
    }

    /// Unlinks entries until there is a directory to go down into, or none is left.
    fn clear(&mut self, means: Means, go_on: &dyn Fn() -> bool) -> Result<Next, Errno> {
        let mut tried = 0;
        let is_given_up = |level: &Level| level.stuck.len() >= STUCK_LIMIT;
        panic_points::point("read a directory of a tree");
        for entry in Dir::read_from(&self.here)? {
            let entry = entry?;
            let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            let is_stuck = |level: &Level| level.stuck.contains(&name);
            if name == "." || name == ".." || self.levels.last().is_some_and(is_stuck) {
                continue;
            }
            tried += 1;
            if tried % BATCH == 0 && !go_on() {
                return Ok(Next::Again);
            }
            match remove_or_open(&self.here, &name, entry.file_type(), means) {
                Ok(None) => {}
                Ok(Some(below)) => return Ok(Next::Descend(name, below)),
                Err(error) => self.note(&name, error),
            }
            if self.levels.last().is_some_and(is_given_up) {
                break;
            }
        }
        Ok(Next::Up)
    }
}

/// Opens an entry that is a directory on this mount; unlinks any other.
fn remove_or_open(
    here: &OwnedFd,
    name: &OsStr,
    kind: FileType,
    means: Means,
) -> io::Result<Option<OwnedFd>> {
    if matches!(kind, FileType::Directory | FileType::Unknown) {
        match open_beneath::open_subdir(here, name, means) {
            Ok(below) => return Ok(Some(below)),
            Err(e) if not_a_directory(&e) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        }
    }
    Ok(unlink(here, name, AtFlags::empty()).map(|()| None)?)
}
