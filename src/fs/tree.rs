//! Removes a tree through directory handles, without recursion and with a bounded number of them (S4.1).

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

/// What could not be removed first, and why.
#[derive(Debug)]
pub(super) struct Stuck {
    pub(super) path: PathBuf,
    pub(super) error: io::Error,
}

/// With that many entries that stay, a directory is given up: what keeps those keeps the others, too.
const STUCK_LIMIT: usize = 1000;
/// So many entries go between two looks at whether to go on.
const BATCH: usize = 64;

/// A directory on the way down.
struct Level {
    name: OsString,
    /// Device and inode of the directory that holds it: going up by `..` has to come back there.
    above: (u64, u64),
    /// Entries that stay, so that they are not tried again.
    stuck: HashSet<OsString>,
}

/// Removes the entry `name` of `base`, with all below it. A tree can be large: `go_on` is asked on the way, and where it says
/// no, the rest stays.
pub(super) fn remove(
    base: &OwnedFd,
    name: &OsStr,
    means: Means,
    go_on: &dyn Fn() -> bool,
) -> Result<(), Stuck> {
    match open_beneath::open_subdir(base, name, means) {
        Ok(top) => Walk::new(base, name, top)?.run(base, means, go_on),
        Err(e) if not_a_directory(&e) => unlink(base, name, AtFlags::empty()).map_err(|e| Stuck {
            path: name.into(),
            error: e.into(),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Stuck {
            path: name.into(),
            error,
        }),
    }
}

fn not_a_directory(e: &io::Error) -> bool {
    matches!(Errno::from_io_error(e), Some(Errno::NOTDIR | Errno::LOOP))
}

/// Unlinks an entry; one that has gone already is fine.
fn unlink(parent: &OwnedFd, name: &OsStr, flags: AtFlags) -> Result<(), Errno> {
    panic_points::point("delete in a tree");
    match rustix::fs::unlinkat(parent, name.as_bytes(), flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e),
    }
}

/// A walk through a tree: where it is, and how it came there.
struct Walk {
    here: OwnedFd,
    levels: Vec<Level>,
    first: Option<Stuck>,
}

/// What to do next in a directory.
enum Next {
    Descend(OsString, OwnedFd),
    Up,
    /// Not done with this one, but somebody may want it to end.
    Again,
}

impl Walk {
    fn new(base: &OwnedFd, name: &OsStr, top: OwnedFd) -> Result<Walk, Stuck> {
        let above = identity(base).map_err(|error| Stuck {
            path: name.into(),
            error,
        })?;
        let level = Level {
            name: name.to_owned(),
            above,
            stuck: HashSet::new(),
        };
        Ok(Walk {
            here: top,
            levels: vec![level],
            first: None,
        })
    }

    fn run(mut self, base: &OwnedFd, means: Means, go_on: &dyn Fn() -> bool) -> Result<(), Stuck> {
        while !self.levels.is_empty() {
            if !go_on() {
                return Err(self.lost(io::ErrorKind::Interrupted.into()));
            }
            match self.clear(means, go_on) {
                Ok(Next::Descend(name, below)) => self.descend(name, below)?,
                Ok(Next::Up) => self.up(base)?,
                Ok(Next::Again) => {}
                // A directory that cannot even be read is left as it is.
                Err(e) => {
                    self.note(OsStr::new(""), e.into());
                    self.up(base)?;
                }
            }
        }
        self.first.map_or(Ok(()), Err)
    }

    /// Remembers what stays, and the first of it for the message.
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

    fn descend(&mut self, name: OsString, below: OwnedFd) -> Result<(), Stuck> {
        let above = identity(&self.here).map_err(|error| self.lost(error))?;
        self.here = below;
        self.levels.push(Level {
            name,
            above,
            stuck: HashSet::new(),
        });
        Ok(())
    }

    /// Goes to the directory above and removes the one that was left, unless something in it stays.
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
            // What stays in it was noted already; here it only must not be tried again.
            Err(Errno::NOTEMPTY)
        };
        match removed {
            Ok(()) => Ok(()),
            // The entry of the room itself.
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

    /// Unlinks what is no directory until there is a directory to go down into, or nothing left.
    fn clear(&mut self, means: Means, go_on: &dyn Fn() -> bool) -> Result<Next, Errno> {
        let mut tried = 0;
        panic_points::point("read a directory of a tree");
        for entry in Dir::read_from(&self.here)? {
            let entry = entry?;
            let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            if name == "." || name == ".." || self.is_stuck(&name) {
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
            if self
                .levels
                .last()
                .is_some_and(|l| l.stuck.len() >= STUCK_LIMIT)
            {
                break;
            }
        }
        Ok(Next::Up)
    }

    fn is_stuck(&self, name: &OsStr) -> bool {
        self.levels.last().is_some_and(|l| l.stuck.contains(name))
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
