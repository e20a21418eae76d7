//! The two log directories: reading them, and deletions that cannot leave them (S2.4, S4). `log_files` has the logs of
//! containers, `orphan_files` logs without one, `links` has links.

use super::changed::{self, LastChange, Question};
use super::host_root::{Root, Whereabouts};
use super::log_files::Listing;
use super::open_beneath::{self, Means};
use super::tree;
use crate::panic_points;
use crate::report::visible;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;
use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub use super::log_files::{Lies, Names};

/// How many names or deletions there are between two questions whether to go on.
pub(super) const BATCH: usize = 64;
/// How many names of one directory are kept in memory, at most.
const MOST_NAMES: usize = 50_000;

/// Why something in a log directory could not be deleted.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LogError(pub(super) String);

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As the filesystem has it.
    pub name: OsString,
    /// It is itself a symlink.
    pub is_link: bool,
}

/// A pod's log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLogs {
    /// Its name, `<namespace>_<pod>_<uid>`.
    pub name: String,
    /// Its directories, one for each container, and the number of logs in each: about as many as the container had attempts.
    pub containers: Vec<(String, usize)>,
}

/// An open log directory. Everything in it is deleted through its handle.
#[derive(Debug)]
pub struct OpenLogDir {
    /// Where the paths of the host begin.
    pub(super) root: Root,
    pub(super) dir: String,
    pub(super) place: Whereabouts,
    pub(super) handle: OwnedFd,
    /// Device and inode.
    pub(super) identity: (u64, u64),
    pub(super) means: Means,
    pub(super) most_names: usize,
    /// The directory of the last log: that of the next one is mostly the same.
    pub(super) listing: RefCell<Option<Listing>>,
}

pub(super) fn failed(verb: &str, path: impl AsRef<Path>, e: &io::Error) -> LogError {
    let (cause, way_out) = match Errno::from_io_error(e) {
        Some(Errno::XDEV) => (
            "it leads out of the log directory, or onto another mount".to_owned(),
            "unmount or delete it by hand if nothing needs it",
        ),
        Some(Errno::BUSY) => (
            "something is mounted on it".to_owned(),
            "unmount it if nothing needs it",
        ),
        Some(Errno::ISDIR | Errno::PERM) => {
            (e.to_string(), "see whether it is a directory or immutable")
        }
        Some(Errno::ROFS | Errno::ACCESS) => (e.to_string(), "make it writable for crigc"),
        _ if e.kind() == io::ErrorKind::Interrupted => (
            "the pass was told to end meanwhile".to_owned(),
            "the next pass continues",
        ),
        _ => (e.to_string(), "see the filesystem"),
    };
    let shown = visible(&path.as_ref().to_string_lossy());
    LogError(format!("cannot {verb} {shown}: {cause}; {way_out}"))
}

/// Takes the entries of a directory one by one, until `take` breaks. If `go_on` returns false, it fails.
pub(super) fn each(
    dir: impl AsFd,
    go_on: &dyn Fn() -> bool,
    mut take: impl FnMut(&OsStr, FileType) -> ControlFlow<()>,
) -> io::Result<()> {
    panic_points::point("read a directory");
    for (number, entry) in Dir::read_from(dir)?.enumerate() {
        if number % BATCH == BATCH - 1 && !go_on() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." && take(name, entry.file_type()).is_break() {
            break;
        }
    }
    Ok(())
}

pub(super) fn statat(
    dir: impl AsFd,
    name: impl rustix::path::Arg,
    flags: AtFlags,
) -> rustix::io::Result<Stat> {
    panic_points::point("look at an entry");
    rustix::fs::statat(dir, name, flags)
}

/// The type of an entry; not all filesystems list it.
pub(super) fn kind_of(dir: &OwnedFd, name: &OsStr, listed: FileType) -> FileType {
    if listed != FileType::Unknown {
        return listed;
    }
    statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)
        .map_or(listed, |stat| FileType::from_raw_mode(stat.st_mode))
}

/// Fails unless this is the name of an entry of a directory.
pub(super) fn check_name(name: &OsStr) -> Result<(), LogError> {
    if name.is_empty() || name.as_bytes().contains(&b'/') || name == "." || name == ".." {
        return Err(LogError(format!(
            "cannot delete {}: it is not the name of an entry",
            visible(&name.to_string_lossy())
        )));
    }
    Ok(())
}

/// Unlinks an entry. A missing one is no error.
pub(super) fn unlinked(parent: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    panic_points::point("delete a log or link");
    match rustix::fs::unlinkat(parent, name.as_bytes(), AtFlags::empty()) {
        Err(e) if !is_absent(&e.into()) => Err(e),
        _ => Ok(()),
    }
}

/// The path does not exist, or cannot exist.
pub(super) fn is_absent(e: &io::Error) -> bool {
    let absent = [Errno::NOENT, Errno::NOTDIR, Errno::NAMETOOLONG];
    Errno::from_io_error(e).is_some_and(|e| absent.contains(&e))
}

impl OpenLogDir {
    /// Opens a directory of the host. It may itself be a symlink.
    pub fn open(root: &Root, dir: &str) -> io::Result<OpenLogDir> {
        panic_points::point("open a log directory");
        let handle = root.open_dir(dir)?;
        let means = open_beneath::means(&handle);
        let identity = open_beneath::identity(&handle)?;
        Ok(OpenLogDir {
            dir: match dir.trim_end_matches('/') {
                "" => "/".to_owned(),
                dir => dir.to_owned(),
            },
            place: root.whereabouts(dir, &handle)?,
            root: root.clone(),
            handle,
            identity,
            means,
            most_names: MOST_NAMES,
            listing: RefCell::default(),
        })
    }

    /// For tests: the same by other means, such as old kernels need.
    #[doc(hidden)]
    pub fn by(mut self, means: Means) -> OpenLogDir {
        self.means = means;
        self
    }

    /// For tests: another limit of names in memory, at least 2.
    #[doc(hidden)]
    pub fn holding(mut self, most_names: usize) -> OpenLogDir {
        self.most_names = most_names;
        self
    }

    /// The directory as configured.
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// The path of an entry on the host, without links on the way.
    pub fn entry(&self, name: impl AsRef<Path>) -> PathBuf {
        self.place.on_host.join(name)
    }

    /// All entries of the directory.
    pub fn entries(&self, go_on: &dyn Fn() -> bool) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        each(&self.handle, go_on, |name, kind| {
            entries.push(Entry {
                name: name.to_owned(),
                is_link: kind_of(&self.handle, name, kind) == FileType::Symlink,
            });
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    }

    /// The log directories of pods, with their logs. Those that cannot be read are left out.
    pub fn pod_logs(&self, go_on: &dyn Fn() -> bool) -> io::Result<Vec<PodLogs>> {
        let mut pods = Vec::new();
        for entry in self.entries(go_on)?.into_iter().filter(|e| !e.is_link) {
            if !go_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let Ok(name) = entry.name.into_string() else {
                continue;
            };
            match self.logs_of(&name, go_on) {
                Ok(containers) => pods.push(PodLogs { name, containers }),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
                Err(_) => {}
            }
        }
        Ok(pods)
    }

    /// The directories of a pod's containers, and the number of logs in each.
    fn logs_of(&self, pod: &str, go_on: &dyn Fn() -> bool) -> io::Result<Vec<(String, usize)>> {
        let mut containers = Vec::new();
        self.each_below(Path::new(pod), go_on, |name| {
            containers.push((name.to_owned(), 0));
        })?;
        for (container, logs) in &mut containers {
            let counted = self.each_below(&Path::new(pod).join(container), go_on, |name| {
                *logs += usize::from(name.ends_with(".log"));
            });
            match counted {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
                Err(_) => *logs = 0,
                Ok(()) => {}
            }
        }
        Ok(containers)
    }

    /// Takes the names in a directory below this one that are UTF-8.
    fn each_below(
        &self,
        below: &Path,
        go_on: &dyn Fn() -> bool,
        mut take: impl FnMut(&str),
    ) -> io::Result<()> {
        let dir = open_beneath::open_dir(&self.handle, below, self.means)?;
        each(dir, go_on, |name, _| {
            name.to_str().into_iter().for_each(&mut take);
            ControlFlow::Continue(())
        })
    }

    /// Removes an entry with all below it, but nothing that it links to or that is mounted in it (S4.1). If `go_on`, asked now and then,
    /// returns false, the rest is kept.
    pub fn remove_tree(&self, name: &OsStr, go_on: &dyn Fn() -> bool) -> Result<(), LogError> {
        check_name(name)?;
        tree::remove(&self.handle, name, self.means, go_on).map_err(|stuck| {
            let path = Path::new(&self.dir).join(&stuck.path);
            failed("delete", path, &stuck.error)
        })
    }

    /// When an entry, or something in it, changed last (S0.3).
    pub fn last_change(&self, name: &OsStr, question: &Question<'_>) -> io::Result<LastChange> {
        changed::last_change(&self.handle, name, self.means, question)
    }

    /// For a dry run: fails if one of `mounts` is on or in an entry, which therefore cannot be removed.
    pub fn check_tree(&self, name: &str, mounts: &[PathBuf]) -> Result<(), LogError> {
        let tree = self.place.here.join(name);
        match mounts.iter().find(|mount| mount.starts_with(&tree)) {
            Some(mount) => Err(failed("delete", mount, &Errno::BUSY.into())),
            None => Ok(()),
        }
    }
}
