//! Removes a tree through directory handles, without recursion and with a bounded number of them (S4.1).

use super::beneath::{self, Means};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
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

/// A directory on the way down.
struct Level {
    name: OsString,
    /// Device and inode of the directory that holds it: going up by `..` has to come back there.
    above: (u64, u64),
    /// Entries that stay, so that they are not tried again.
    stuck: HashSet<OsString>,
}

/// Removes the entry `name` of `room`, with all below it.
pub(super) fn remove(room: &OwnedFd, name: &OsStr, means: Means) -> Result<(), Stuck> {
    match beneath::open_subdir(room, name, means) {
        Ok(top) => Walk::new(room, name, top)?.run(room, means),
        Err(e) if not_a_directory(&e) => unlink(room, name, AtFlags::empty()),
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

fn unlink(parent: &OwnedFd, name: &OsStr, flags: AtFlags) -> Result<(), Stuck> {
    match rustix::fs::unlinkat(parent, name.as_bytes(), flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(Stuck {
            path: name.into(),
            error: e.into(),
        }),
    }
}

fn identity(fd: impl AsFd) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
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
}

impl Walk {
    fn new(room: &OwnedFd, name: &OsStr, top: OwnedFd) -> Result<Walk, Stuck> {
        let above = identity(room).map_err(|error| Stuck {
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

    fn run(mut self, room: &OwnedFd, means: Means) -> Result<(), Stuck> {
        while let Some(level) = self.levels.last_mut() {
            match clear(&self.here, level, means) {
                Ok(Next::Descend(name, below)) => self.descend(name, below)?,
                Ok(Next::Up) => self.up(room)?,
                Err(stuck) => {
                    let first_name = stuck.path.clone().into_os_string();
                    self.note(stuck);
                    // A directory that cannot even be read is left as it is.
                    if first_name.is_empty() {
                        self.up(room)?;
                    }
                }
            }
        }
        self.first.map_or(Ok(()), Err)
    }

    /// Remembers what stays, and the first of it for the message.
    fn note(&mut self, stuck: Stuck) {
        if let Some(level) = self.levels.last_mut() {
            level.stuck.insert(stuck.path.clone().into_os_string());
        }
        if self.first.is_none() {
            let mut path: PathBuf = self.levels.iter().map(|level| &level.name).collect();
            path.push(&stuck.path);
            self.first = Some(Stuck { path, ..stuck });
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
    fn up(&mut self, room: &OwnedFd) -> Result<(), Stuck> {
        let Some(level) = self.levels.pop() else {
            return Ok(());
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = match self.levels.is_empty() {
            true => room.try_clone().map_err(|error| self.lost(error))?,
            false => rustix::fs::openat(&self.here, "..", flags, Mode::empty())
                .map_err(|e| self.lost(e.into()))?,
        };
        if identity(&above).map_err(|error| self.lost(error))? != level.above {
            return Err(self.lost(io::Error::other("it was moved while it was being removed")));
        }
        self.here = above;
        let removed = match level.stuck.is_empty() {
            true => unlink(&self.here, &level.name, AtFlags::REMOVEDIR),
            // What stays in it was noted already; here it only must not be tried again.
            false => Err(Stuck {
                path: level.name.into(),
                error: Errno::NOTEMPTY.into(),
            }),
        };
        if let Err(stuck) = removed {
            self.note(stuck);
        }
        Ok(())
    }

    fn lost(&self, error: io::Error) -> Stuck {
        Stuck {
            path: self.levels.iter().map(|level| &level.name).collect(),
            error,
        }
    }
}

/// Unlinks what is no directory until there is a directory to go down into, or nothing left.
fn clear(here: &OwnedFd, level: &Level, means: Means) -> Result<Next, Stuck> {
    let unreadable = |e: Errno| Stuck {
        path: PathBuf::new(),
        error: e.into(),
    };
    for entry in Dir::read_from(here).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
        if name == "." || name == ".." || level.stuck.contains(&name) {
            continue;
        }
        let may_be_directory = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
        if may_be_directory {
            match beneath::open_subdir(here, &name, means) {
                Ok(below) => return Ok(Next::Descend(name, below)),
                Err(e) if not_a_directory(&e) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(Stuck {
                        path: name.into(),
                        error,
                    });
                }
            }
        }
        unlink(here, &name, AtFlags::empty())?;
    }
    Ok(Next::Up)
}
