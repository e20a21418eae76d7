//! The logs that the runtime tells of, with their rotated siblings: where they lie, and deleting them (S2.4).

use super::logs::{
    BATCH, LogError, OpenLogDir, each, failed, is_absent, kind_of, statat, unlinked,
};
use super::open_beneath;
use crate::panic_points;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// No path that a system takes is longer.
const LONGEST_PATH: usize = 4096;

/// Where a log lies that the runtime told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lies {
    /// Below the room, if it is still there.
    Here,
    /// Outside, behind a link, or on another mount: it is not crigc's to delete (S2.4).
    Elsewhere,
}

/// Whether the names in a directory may be those of the last look at it: for a container that has ended nobody writes logs any
/// more, or renames them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Read the directory.
    Fresh,
    /// What was read for another container in the same directory will do.
    Known,
}

/// One directory below the room, as it was last read.
#[derive(Debug)]
pub(super) struct Known {
    parent: PathBuf,
    handle: OwnedFd,
    names: BTreeSet<OsString>,
    /// Those of them that are directories, which unlinking does not take.
    dirs: BTreeSet<OsString>,
    /// All names of the directory are here; else those of one log alone.
    whole: bool,
    /// There are more even of those.
    more: bool,
}

impl Known {
    fn holds(&self, name: &OsStr) -> bool {
        self.names.contains(name)
    }

    /// What goes with a log: its rotated siblings, and at last the log itself; as long as that is there, the next pass finds the
    /// others.
    fn of_log(&self, log: &str) -> Vec<OsString> {
        let prefix = OsString::from(format!("{log}."));
        let rotated = self.names.range(prefix.clone()..);
        let mut all: Vec<OsString> = rotated
            .take_while(|name| name.as_bytes().starts_with(prefix.as_bytes()))
            .cloned()
            .collect();
        if !self.more {
            all.push(log.into());
        }
        all
    }
}

/// Whether a name is that of a log, or of one of its rotated siblings.
fn is_of(log: &str, name: &OsStr) -> bool {
    let rest = name.as_bytes().strip_prefix(log.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'.')
}

/// A path told by the runtime, as seen from the room.
struct Inside<'a> {
    parent: PathBuf,
    name: &'a str,
}

/// A file that is mounted there lies elsewhere.
fn is_mounted(dir: &OwnedFd, name: &OsStr) -> bool {
    open_beneath::fixed(dir, name) == Some(Errno::BUSY)
}

/// It is behind a link, or on another mount.
fn is_elsewhere(e: &io::Error) -> bool {
    matches!(Errno::from_io_error(e), Some(Errno::LOOP | Errno::XDEV))
}

impl OpenLogDir {
    /// A path as seen from the room. Its beginning may be the directory as configured or as resolved, or any other path that
    /// leads to the directory itself: the runtime and crigc may name it by different links. The rest is taken as it is written, and
    /// opened beneath the handle.
    fn inside<'a>(&self, path: &'a str) -> Option<Inside<'a>> {
        let hostile = |part: &str| part == "." || part == ".." || part.contains('\0');
        if !path.starts_with('/') || path.len() > LONGEST_PATH || path.split('/').any(hostile) {
            return None;
        }
        let (parent, name) = path.rsplit_once('/')?;
        if name.is_empty() {
            return None;
        }
        let below = |dir: &str| {
            let rest = parent.strip_prefix(dir.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        let rest = below(&self.dir)
            .or_else(|| below(self.resolved.to_str()?))
            .or_else(|| self.behind_base(parent))?;
        Some(Inside {
            parent: rest.trim_start_matches('/').into(),
            name,
        })
    }

    /// What follows the shortest beginning of a path that leads to the room itself.
    fn behind_base<'a>(&self, path: &'a str) -> Option<&'a str> {
        let slashes = path.match_indices('/').map(|(at, _)| at).skip(1);
        for end in slashes.chain([path.len()]) {
            panic_points::point("see where a path leads");
            // Where a beginning leads nowhere, the rest does not either.
            let stat = rustix::fs::stat(&path[..end]).ok()?;
            if (stat.st_dev, stat.st_ino) == self.identity {
                return Some(&path[end..]);
            }
        }
        None
    }

    /// A path below the room.
    fn below<'a>(&self, relative: &'a str) -> io::Result<Inside<'a>> {
        let hostile = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
        if relative.split('/').any(hostile) {
            return Err(Errno::XDEV.into());
        }
        let (parent, name) = relative.rsplit_once('/').unwrap_or(("", relative));
        let parent = parent.into();
        Ok(Inside { parent, name })
    }

    fn parent(&self, inside: &Inside<'_>) -> io::Result<OwnedFd> {
        let parent = if inside.parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &inside.parent
        };
        open_beneath::open_dir(&self.handle, parent, self.means)
    }

    /// Does something in the directory of a log; nothing where there is none.
    fn within<T>(
        &self,
        inside: &Inside<'_>,
        names: Names,
        go_on: &dyn Fn() -> bool,
        work: impl FnOnce(&mut Known) -> T,
    ) -> io::Result<Option<T>> {
        let mut known = self.known.borrow_mut();
        let usable = |k: &Known| names == Names::Known && k.whole && k.parent == inside.parent;
        if !known.as_ref().is_some_and(usable) {
            // What is read anew is not held twice meanwhile.
            *known = None;
            *known = match self.read(inside, go_on) {
                Err(e) if is_absent(&e) => None,
                read => Some(read?),
            };
        }
        Ok(known.as_mut().map(work))
    }

    /// Reads the directory of a log: all names, or where those are too many, the log's own.
    fn read(&self, inside: &Inside<'_>, go_on: &dyn Fn() -> bool) -> io::Result<Known> {
        let handle = self.parent(inside)?;
        let (mut names, mut dirs) = (BTreeSet::new(), BTreeSet::new());
        let (mut whole, mut more) = (true, false);
        each(&handle, go_on, |name, kind| {
            if whole && names.len() >= self.most_names {
                names.retain(|name: &OsString| is_of(inside.name, name));
                dirs.retain(|name: &OsString| is_of(inside.name, name));
                whole = false;
            }
            if !whole && !is_of(inside.name, name) {
                return ControlFlow::Continue(());
            }
            if names.len() >= self.most_names {
                more = true;
                return ControlFlow::Break(());
            }
            if kind_of(&handle, name, kind) == FileType::Directory {
                dirs.insert(name.to_owned());
            }
            names.insert(name.to_owned());
            ControlFlow::Continue(())
        })?;
        Ok(Known {
            parent: inside.parent.clone(),
            handle,
            names,
            dirs,
            whole,
            more,
        })
    }

    /// Whether a log is there, by the names in its directory.
    pub fn has_log(&self, relative: &str, go_on: &dyn Fn() -> bool) -> io::Result<bool> {
        let inside = self.below(relative)?;
        let name = OsStr::new(inside.name);
        let found = self.within(&inside, Names::Known, go_on, |known| known.holds(name));
        Ok(found?.unwrap_or(false))
    }

    /// Whether there is such an entry below the room.
    pub fn exists(&self, relative: &str) -> io::Result<bool> {
        let inside = self.below(relative)?;
        let found = self
            .parent(&inside)
            .and_then(|parent| Ok(statat(parent, inside.name, AtFlags::SYMLINK_NOFOLLOW)?));
        match found {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// S2.4: where a log lies that the runtime told, and whether it and its rotated siblings can go. Deletes nothing.
    pub fn check_log(
        &self,
        log_path: &str,
        names: Names,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Lies, LogError> {
        self.each_of_log(log_path, names, go_on, false)
    }

    /// S2.4: deletes the log that the runtime told, and its rotated siblings (`<log_path>.*`), unless it lies elsewhere. `go_on`
    /// is asked now and then; where it says no, what is left stays.
    pub fn remove_log(
        &self,
        log_path: &str,
        names: Names,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Lies, LogError> {
        self.each_of_log(log_path, names, go_on, true)
    }

    fn each_of_log(
        &self,
        log_path: &str,
        names: Names,
        go_on: &dyn Fn() -> bool,
        delete: bool,
    ) -> Result<Lies, LogError> {
        let mut mounted = false;
        let lies = self.with_log(log_path, names, go_on, |known, inside| {
            for (number, name) in self.to_delete(known, inside)?.into_iter().enumerate() {
                if number % BATCH == BATCH - 1 && !go_on() {
                    let e = io::ErrorKind::Interrupted.into();
                    return Err(failed("delete the log", log_path, &e));
                }
                if !delete {
                    mounted |= is_mounted(&known.handle, &name);
                    continue;
                }
                match unlinked(&known.handle, &name) {
                    Ok(()) => drop(known.names.remove(&name)),
                    Err(Errno::BUSY) if is_mounted(&known.handle, &name) => mounted = true,
                    Err(e) => return Err(self.undeleted(inside, &name, e)),
                }
            }
            Ok(delete && known.more && !mounted)
        })?;
        Ok(if mounted { Lies::Elsewhere } else { lies })
    }

    /// Does something with a log where it lies below the room, and again as long as that says so.
    fn with_log(
        &self,
        log_path: &str,
        names: Names,
        go_on: &dyn Fn() -> bool,
        mut work: impl FnMut(&mut Known, &Inside<'_>) -> Result<bool, LogError>,
    ) -> Result<Lies, LogError> {
        // The kubelet's pattern would match what is in the directory.
        if log_path.is_empty() || log_path.ends_with('/') {
            return Ok(Lies::Here);
        }
        let Some(inside) = self.inside(log_path) else {
            return Ok(Lies::Elsewhere);
        };
        loop {
            let worked = self.within(&inside, names, go_on, |known| work(known, &inside));
            match worked {
                Ok(Some(Ok(true))) => {}
                Ok(Some(Err(e))) => return Err(e),
                Ok(_) => return Ok(Lies::Here),
                Err(e) if is_elsewhere(&e) => return Ok(Lies::Elsewhere),
                Err(e) => return Err(failed("delete the log", log_path, &e)),
            }
        }
    }

    /// What goes with a log, if all of it can: a directory in the place of one of them keeps the others.
    fn to_delete(&self, known: &Known, inside: &Inside<'_>) -> Result<Vec<OsString>, LogError> {
        let all = known.of_log(inside.name);
        match all.iter().find(|name| known.dirs.contains(*name)) {
            None => Ok(all),
            Some(name) => Err(self.undeleted(inside, name, Errno::ISDIR)),
        }
    }

    fn undeleted(&self, inside: &Inside<'_>, name: &OsStr, e: Errno) -> LogError {
        let path = Path::new(&self.dir).join(&inside.parent).join(name);
        failed("delete", path, &e.into())
    }
}
