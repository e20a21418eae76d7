//! The logs whose paths the runtime reports, with their rotated siblings: where they are, and deleting them (S2.4).

use super::logs::{
    BATCH, LogError, OpenLogDir, each, failed, is_absent, kind_of, statat, unlinked,
};
use super::open_beneath;
use crate::panic_points;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use std::cell::RefMut;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The longest path that Linux takes, in bytes.
const LONGEST_PATH: usize = 4096;

/// Where a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lies {
    /// Below the base directory, if it still exists.
    Here,
    /// Outside, behind a link, or on another mount: crigc may not delete it (S2.4).
    Elsewhere,
}

/// Whether the directory of a log has to be read again. Logs of a container that has ended are neither written nor renamed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Read the directory.
    Fresh,
    /// Use the names that were read for another container in the same directory, if there are any.
    Known,
}

/// A directory below the base directory, as it was last read.
#[derive(Debug)]
pub(super) struct Listing {
    parent: PathBuf,
    handle: OwnedFd,
    names: BTreeSet<OsString>,
    /// Those of the names that are directories, which cannot be unlinked.
    dirs: BTreeSet<OsString>,
    /// `names` are all names in the directory; otherwise those of one log only.
    whole: bool,
    /// There are more names of that log.
    more: bool,
}

impl Listing {
    /// What is deleted with a log: its rotated siblings, and last the log itself. As long as the log is there, the next pass finds the
    /// siblings.
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

/// A path relative to the base directory.
struct Inside<'a> {
    parent: PathBuf,
    name: &'a str,
}

fn is_mounted(dir: &OwnedFd, name: &OsStr) -> bool {
    open_beneath::look(dir, name).is_ok_and(|look| look.fixed == Some(Errno::BUSY))
}

/// The path leads through a link, or to another mount.
fn is_elsewhere(e: &io::Error) -> bool {
    matches!(Errno::from_io_error(e), Some(Errno::LOOP | Errno::XDEV))
}

impl OpenLogDir {
    /// An absolute path of the runtime; `None` = it is not below the base directory. It may begin with the base directory as configured, as
    /// resolved, or by any other path that leads there: the runtime and crigc may use different links. The rest is opened beneath the
    /// handle as it is written.
    fn inside<'a>(&self, path: &'a str) -> io::Result<Option<Inside<'a>>> {
        let hostile = |part: &str| part == "." || part == ".." || part.contains('\0');
        if !path.starts_with('/') || path.len() > LONGEST_PATH || path.split('/').any(hostile) {
            return Ok(None);
        }
        let Some((parent, name)) = path.rsplit_once('/').filter(|(_, name)| !name.is_empty())
        else {
            return Ok(None);
        };
        let below = |dir: &str| {
            let rest = parent.strip_prefix(dir.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        let rest = below(&self.dir).or_else(|| below(self.place.on_host.to_str()?));
        let rest = match rest {
            None => self.behind_base(parent)?,
            rest => rest,
        };
        Ok(rest.map(|rest| Inside {
            parent: rest.trim_start_matches('/').into(),
            name,
        }))
    }

    /// The entry of the base directory through which a path of the runtime leads; `None` = the path is not below the base directory.
    pub fn entry_with(&self, path: &str) -> Option<String> {
        let Inside { parent, name } = self.inside(path).ok()??;
        let first = parent.iter().next().unwrap_or(OsStr::new(name));
        first.to_str().map(str::to_owned)
    }

    /// The rest of a path after the shortest beginning that leads to the base directory.
    fn behind_base<'a>(&self, path: &'a str) -> io::Result<Option<&'a str>> {
        let slashes = path.match_indices('/').map(|(at, _)| at).skip(1);
        for end in slashes.chain([path.len()]) {
            panic_points::point("see where a path leads");
            let stat = match self.root.stat(&path[..end]) {
                // The process may be out of descriptors, for example.
                Err(
                    e @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::IO),
                ) => {
                    return Err(e.into());
                }
                // If a beginning does not exist, no longer one does.
                Err(_) => return Ok(None),
                Ok(stat) => stat,
            };
            if (stat.st_dev, stat.st_ino) == self.identity {
                return Ok(Some(&path[end..]));
            }
        }
        Ok(None)
    }

    /// The path of a log on the host, if it is below the base directory, and nothing on the way there is a link.
    pub fn place_of(&self, path: &str) -> Option<PathBuf> {
        let inside = self.inside(path).ok()??;
        let parent = self.place.on_host.join(inside.parent);
        Some(parent.join(inside.name))
    }

    /// A relative path, from the labels of a container.
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

    /// The directory of a log; `None` = it does not exist.
    fn listing(
        &self,
        inside: &Inside<'_>,
        names: Names,
        go_on: &dyn Fn() -> bool,
    ) -> io::Result<RefMut<'_, Option<Listing>>> {
        let mut listing = self.listing.borrow_mut();
        let usable = |k: &Listing| names == Names::Known && k.whole && k.parent == inside.parent;
        if !listing.as_ref().is_some_and(usable) {
            // The old names are freed before the new ones are read.
            *listing = None;
            *listing = match self.read(inside, go_on) {
                Err(e) if is_absent(&e) => None,
                read => Some(read?),
            };
        }
        Ok(listing)
    }

    /// Reads the directory of a log: all names, or if they are too many, those of the log.
    fn read(&self, inside: &Inside<'_>, go_on: &dyn Fn() -> bool) -> io::Result<Listing> {
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
        Ok(Listing {
            parent: inside.parent.clone(),
            handle,
            names,
            dirs,
            whole,
            more,
        })
    }

    /// Whether a log exists, by the names in its directory.
    pub fn has_log(&self, relative: &str, go_on: &dyn Fn() -> bool) -> io::Result<bool> {
        let inside = self.below(relative)?;
        let listing = self.listing(&inside, Names::Known, go_on)?;
        let has = |listing: &Listing| listing.names.contains(OsStr::new(inside.name));
        Ok(listing.as_ref().is_some_and(has))
    }

    /// Whether there is such an entry below the base directory.
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

    /// Where a log is, and whether it and its rotated siblings can be deleted (S2.4). Deletes nothing.
    pub fn check_log(
        &self,
        log_path: &str,
        names: Names,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Lies, LogError> {
        self.each_of_log(log_path, names, go_on, false)
    }

    /// Deletes a log and its rotated siblings (`<log_path>.*`), unless it is elsewhere (S2.4). If `go_on`, asked now and then, returns
    /// false, the rest is kept.
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
        // The kubelet's pattern would match all files in the directory.
        if log_path.is_empty() || log_path.ends_with('/') {
            return Ok(Lies::Here);
        }
        let stopped = |e: &io::Error| failed("delete the log", log_path, e);
        let Some(inside) = self.inside(log_path).map_err(|e| stopped(&e))? else {
            return Ok(Lies::Elsewhere);
        };
        loop {
            let mut listing = match self.listing(&inside, names, go_on) {
                Err(e) if is_elsewhere(&e) => return Ok(Lies::Elsewhere),
                listing => listing.map_err(|e| stopped(&e))?,
            };
            let Some(listing) = &mut *listing else {
                return Ok(Lies::Here);
            };
            let mut mounted = false;
            for (number, name) in self.to_delete(listing, &inside)?.into_iter().enumerate() {
                if number % BATCH == BATCH - 1 && !go_on() {
                    return Err(stopped(&io::ErrorKind::Interrupted.into()));
                }
                if !delete {
                    mounted |= is_mounted(&listing.handle, &name);
                    continue;
                }
                match unlinked(&listing.handle, &name) {
                    Ok(()) => drop(listing.names.remove(&name)),
                    Err(Errno::BUSY) if is_mounted(&listing.handle, &name) => mounted = true,
                    Err(e) => return Err(self.undeleted(&inside, &name, e)),
                }
            }
            if mounted {
                return Ok(Lies::Elsewhere);
            }
            if !delete || !listing.more {
                return Ok(Lies::Here);
            }
        }
    }

    /// The names to delete with a log. If one of them is a directory, none can be deleted.
    fn to_delete(&self, listing: &Listing, inside: &Inside<'_>) -> Result<Vec<OsString>, LogError> {
        let all = listing.of_log(inside.name);
        match all.iter().find(|name| listing.dirs.contains(*name)) {
            None => Ok(all),
            Some(name) => Err(self.undeleted(inside, name, Errno::ISDIR)),
        }
    }

    fn undeleted(&self, inside: &Inside<'_>, name: &OsStr, e: Errno) -> LogError {
        let path = Path::new(&self.dir).join(&inside.parent).join(name);
        failed("delete", path, &e.into())
    }
}
