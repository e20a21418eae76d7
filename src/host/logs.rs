//! The two log directories: looking, and deletions that cannot leave them (S2.4, S4).

use super::beneath::{self, Means};
use super::changed::{self, LastChange, Question};
use super::tree;
use crate::effect;
use crate::report::visible;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Why something in a log directory could not be deleted.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LogError(String);

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As the filesystem has it.
    pub name: OsString,
    /// It is a symlink itself.
    pub is_link: bool,
}

/// A `*.log` symlink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLink {
    /// Its name, as well as it can be shown.
    pub name: String,
    /// Its name is UTF-8; else it is no name of a container's (S0.6).
    pub readable: bool,
    /// What it points to is there, or cannot be told.
    pub alive: bool,
    /// What it points to, absolute.
    pub target: PathBuf,
}

/// What a pod's log directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLogs {
    /// Its name, `<namespace>_<pod>_<uid>`.
    pub name: String,
    /// Its directories, one for each container, and how many logs are in each: about as many as it has had attempts.
    pub containers: Vec<(String, usize)>,
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
struct Known {
    parent: PathBuf,
    handle: OwnedFd,
    names: BTreeSet<OsString>,
}

impl Known {
    fn holds(&self, name: &OsStr) -> bool {
        self.names.contains(name)
    }

    /// The names of a log's rotated siblings.
    fn rotated(&self, log: &str) -> Vec<OsString> {
        let prefix = OsString::from(format!("{log}."));
        self.names
            .range(prefix.clone()..)
            .take_while(|name| name.as_bytes().starts_with(prefix.as_bytes()))
            .cloned()
            .collect()
    }
}

/// A handle on a log directory, through which alone anything in it is deleted.
#[derive(Debug)]
pub struct LogRoom {
    dir: String,
    resolved: PathBuf,
    handle: OwnedFd,
    means: Means,
    /// Removals go container by container: the last directory is mostly the next one.
    known: RefCell<Option<Known>>,
}

/// A path told by the runtime, as seen from the room.
struct Inside<'a> {
    parent: PathBuf,
    name: &'a str,
}

fn failed(verb: &str, path: impl AsRef<Path>, e: &io::Error) -> LogError {
    let (cause, way_out) = match Errno::from_io_error(e) {
        Some(Errno::XDEV) => (
            "it leads out of the log directory, or onto another mount".to_owned(),
            "unmount or delete it by hand if it is to go",
        ),
        Some(Errno::BUSY) => (
            "something is mounted on it".to_owned(),
            "unmount it if it is to go",
        ),
        Some(Errno::ISDIR | Errno::PERM) => {
            (e.to_string(), "see whether it is a directory or immutable")
        }
        Some(Errno::ROFS | Errno::ACCESS) => (e.to_string(), "make it writable for crigc"),
        _ if e.kind() == io::ErrorKind::Interrupted => (
            "the pass was told to end meanwhile".to_owned(),
            "the next pass goes on",
        ),
        _ => (e.to_string(), "see the filesystem"),
    };
    let shown = visible(&path.as_ref().to_string_lossy());
    LogError(format!("cannot {verb} {shown}: {cause}; {way_out}"))
}

fn read(dir: impl AsFd) -> rustix::io::Result<Dir> {
    effect::point("read a directory");
    Dir::read_from(dir)
}

fn statat(
    dir: impl AsFd,
    name: impl rustix::path::Arg,
    flags: AtFlags,
) -> rustix::io::Result<Stat> {
    effect::point("look at an entry");
    rustix::fs::statat(dir, name, flags)
}

/// Unlinking takes everything but directories.
fn is_no_directory(parent: &OwnedFd, name: &OsStr, log_path: &str) -> Result<(), LogError> {
    let stat = statat(parent, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
    match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::Directory) => {
            let path = Path::new(log_path).with_file_name(name);
            Err(failed("delete", path, &Errno::ISDIR.into()))
        }
        _ => Ok(()),
    }
}

impl LogRoom {
    /// Opens a directory; it may itself be a symlink.
    pub fn open(dir: &str) -> io::Result<LogRoom> {
        // O_DIRECTORY: a FIFO in its place must not hang the pass.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        effect::point("open a log directory");
        let handle = rustix::fs::open(dir, flags, Mode::empty())?;
        let means = beneath::means(&handle);
        Ok(LogRoom {
            dir: match dir.trim_end_matches('/') {
                "" => "/".to_owned(),
                dir => dir.to_owned(),
            },
            resolved: std::fs::canonicalize(dir)?,
            handle,
            means,
            known: RefCell::default(),
        })
    }

    /// The same by other means, to try the way that old or guarded kernels take.
    #[doc(hidden)]
    pub fn by(mut self, means: Means) -> LogRoom {
        self.means = means;
        self
    }

    /// The directory as configured.
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// A path as seen from the room: its text lies below the directory as configured or as resolved, or its own directory
    /// does once resolved (the runtime and crigc may name one directory by different links). What is opened is always
    /// opened beneath the handle.
    fn inside<'a>(&self, path: &'a str) -> Option<Inside<'a>> {
        let hostile = |part: &str| part == "." || part == ".." || part.contains('\0');
        if !path.starts_with('/') || path.split('/').any(hostile) {
            return None;
        }
        let (parent, name) = path.rsplit_once('/')?;
        if name.is_empty() {
            return None;
        }
        let below = |dir: &str| {
            let rest = parent.strip_prefix(dir.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/').into())
        };
        let resolved = || {
            let parent = Path::new(parent).canonicalize().ok()?;
            Some(parent.strip_prefix(&self.resolved).ok()?.to_owned())
        };
        let parent: PathBuf = below(&self.dir)
            .or_else(|| below(self.resolved.to_str()?))
            .or_else(resolved)?;
        Some(Inside { parent, name })
    }

    fn parent(&self, inside: &Inside<'_>) -> io::Result<OwnedFd> {
        let parent = match inside.parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => &inside.parent,
        };
        beneath::open_dir(&self.handle, parent, self.means)
    }

    /// Does something in the directory of a log; nothing where there is none.
    fn within<T>(
        &self,
        inside: &Inside<'_>,
        names: Names,
        work: impl FnOnce(&mut Known) -> T,
    ) -> io::Result<Option<T>> {
        let mut known = self.known.borrow_mut();
        let usable = |k: &Known| names == Names::Known && k.parent == inside.parent;
        if !known.as_ref().is_some_and(usable) {
            *known = match self.read(inside) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                read => Some(read?),
            };
        }
        Ok(known.as_mut().map(work))
    }

    fn read(&self, inside: &Inside<'_>) -> io::Result<Known> {
        let handle = self.parent(inside)?;
        let mut names = BTreeSet::new();
        for entry in read(&handle)? {
            names.insert(OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned());
        }
        Ok(Known {
            parent: inside.parent.clone(),
            handle,
            names,
        })
    }

    /// Whether a log is there, by the names in its directory.
    pub fn has_log(&self, relative: &str) -> io::Result<bool> {
        let path = format!("{}/{relative}", self.dir);
        let Some(inside) = self.inside(&path) else {
            return Err(Errno::XDEV.into());
        };
        let name = OsStr::new(inside.name);
        let found = self.within(&inside, Names::Known, |known| known.holds(name));
        Ok(found?.unwrap_or(false))
    }

    /// Whether there is such an entry below the room.
    pub fn exists(&self, relative: &str) -> io::Result<bool> {
        let path = format!("{}/{relative}", self.dir);
        let Some(inside) = self.inside(&path) else {
            return Err(Errno::XDEV.into());
        };
        let found = self
            .parent(&inside)
            .and_then(|parent| Ok(statat(parent, inside.name, AtFlags::SYMLINK_NOFOLLOW)?));
        match found {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// All entries of the directory.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in read(&self.handle)? {
            let entry = entry?;
            let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
            if name != "." && name != ".." {
                let is_link = match entry.file_type() {
                    FileType::Unknown => self.is_link(&name),
                    kind => kind == FileType::Symlink,
                };
                entries.push(Entry { name, is_link });
            }
        }
        Ok(entries)
    }

    fn is_link(&self, name: &OsStr) -> bool {
        statat(&self.handle, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    }

    /// Which logs there are, by name. What cannot be read is left out.
    pub fn pod_logs(&self) -> io::Result<Vec<PodLogs>> {
        let pods = self.entries()?.into_iter().filter(|entry| !entry.is_link);
        Ok(pods
            .filter_map(|pod| {
                let name = pod.name.into_string().ok()?;
                let containers = self.names(Path::new(&name), |_| true).ok()?;
                let containers = containers.into_iter().map(|container| {
                    let logs = self.names(&Path::new(&name).join(&container), |name| {
                        name.ends_with(".log")
                    });
                    (container, logs.map_or(0, |logs| logs.len()))
                });
                Some(PodLogs {
                    containers: containers.collect(),
                    name,
                })
            })
            .collect())
    }

    /// Names in a directory beneath, those that are UTF-8.
    fn names(&self, below: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let dir = beneath::open_dir(&self.handle, below, self.means)?;
        let mut names = Vec::new();
        for entry in read(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_str().unwrap_or_default();
            if !matches!(name, "" | "." | "..") && wanted(name) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// A log path that the runtime told, as seen from the room; `None` = there is nothing to delete.
    fn log<'a>(&self, log_path: &'a str) -> Result<Option<Inside<'a>>, LogError> {
        if log_path.is_empty() || log_path.ends_with('/') {
            return Ok(None);
        }
        let outside = || {
            LogError(format!(
                "cannot delete the log {}: it is not below pod-logs-dir ({}); set pod-logs-dir to where the runtime keeps logs, or delete it by hand",
                visible(log_path),
                self.dir
            ))
        };
        self.inside(log_path).ok_or_else(outside).map(Some)
    }

    /// Whether a log path that the runtime told may be deleted at all; what a dry run asks.
    pub fn check_log(&self, log_path: &str, names: Names) -> Result<(), LogError> {
        let Some(inside) = self.log(log_path)? else {
            return Ok(());
        };
        self.within(&inside, names, |known| {
            for name in known.rotated(inside.name) {
                is_no_directory(&known.handle, &name, log_path)?;
            }
            is_no_directory(&known.handle, OsStr::new(inside.name), log_path)
        })
        .map_err(|e| failed("delete the log", log_path, &e))?
        .unwrap_or(Ok(()))
    }

    /// S2.4: deletes the log that the runtime told, and its rotated siblings (`<log_path>.*`). Those go first: as long as
    /// the log itself is there, the next pass finds them.
    pub fn remove_log(&self, log_path: &str, names: Names) -> Result<(), LogError> {
        let Some(inside) = self.log(log_path)? else {
            return Ok(());
        };
        self.within(&inside, names, |known| {
            let mut all = known.rotated(inside.name);
            all.push(OsString::from(inside.name));
            for name in all {
                self.unlink(&known.handle, &name, &inside.parent)?;
                known.names.remove(&name);
            }
            Ok(())
        })
        .map_err(|e| failed("delete the log", log_path, &e))?
        .unwrap_or(Ok(()))
    }

    fn unlink(&self, parent: &OwnedFd, name: &OsStr, below: &Path) -> Result<(), LogError> {
        effect::point("delete a log or link");
        match rustix::fs::unlinkat(parent, name.as_bytes(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => {
                let path = Path::new(&self.dir).join(below).join(name);
                Err(failed("delete", path, &e.into()))
            }
        }
    }

    /// Whether what has this name is a symlink, or nothing: anything else is not crigc's to delete.
    pub fn check_link(&self, name: &str) -> Result<(), LogError> {
        let path = || Path::new(&self.dir).join(name);
        match statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(failed("look at", path(), &e.into())),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => Ok(()),
            Ok(_) => Err(LogError(format!(
                "cannot delete {}: it is no link; see what made it, and delete it by hand if it is to go",
                visible(&path().to_string_lossy())
            ))),
        }
    }

    /// Unlinks one symlink directly in the directory; one that is not there is fine.
    pub fn remove_link(&self, name: &str) -> Result<(), LogError> {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(LogError(format!(
                "cannot delete the link {}: it is no name of a file",
                visible(name)
            )));
        }
        self.check_link(name)?;
        self.unlink(&self.handle, OsStr::new(name), Path::new(""))
    }

    /// S4.1: removes an entry with all below it, and nothing that is linked from or mounted in it. `go_on` is asked now and
    /// then; where it says no, what is left stays.
    pub fn remove_tree(&self, name: &OsStr, go_on: &dyn Fn() -> bool) -> Result<(), LogError> {
        if name.is_empty() || name.as_bytes().contains(&b'/') || name == "." || name == ".." {
            return Err(LogError(format!(
                "cannot delete {}: it is no name of an entry",
                visible(&name.to_string_lossy())
            )));
        }
        tree::remove(&self.handle, name, self.means, go_on).map_err(|stuck| {
            let path = Path::new(&self.dir).join(&stuck.path);
            failed("delete", path, &stuck.error)
        })
    }

    /// S0.3: when an entry, or something in it, changed last.
    pub fn last_change(&self, name: &OsStr, question: &Question<'_>) -> io::Result<LastChange> {
        changed::last_change(&self.handle, name, self.means, question)
    }

    /// What a dry run asks: whether something is mounted on or in an entry, which therefore cannot go. `mounts` are those of
    /// [`mounts`](super::mounts::mounts).
    pub fn check_tree(&self, name: &str, mounts: &[PathBuf]) -> Result<(), LogError> {
        let tree = self.resolved.join(name);
        match mounts.iter().find(|mount| mount.starts_with(&tree)) {
            Some(mount) => Err(failed("delete", mount, &Errno::BUSY.into())),
            None => Ok(()),
        }
    }

    /// The `*.log` symlinks directly in the directory (S4.2): those whose target is gone, or all of them.
    pub fn log_links(&self, alive_too: bool) -> io::Result<Vec<LogLink>> {
        let links = self.entries()?.into_iter().filter(|entry| entry.is_link);
        Ok(links
            .filter(|link| link.name.as_bytes().ends_with(b".log"))
            .filter(|link| alive_too || !self.leads_somewhere(&link.name))
            .filter_map(|link| self.log_link(&link.name))
            .collect())
    }

    fn leads_somewhere(&self, name: &OsStr) -> bool {
        let target = statat(&self.handle, name.as_bytes(), AtFlags::empty());
        !matches!(target, Err(Errno::NOENT))
    }

    /// One of them as it is now; `None` = it has gone.
    pub fn log_link(&self, name: &OsStr) -> Option<LogLink> {
        effect::point("read a link");
        let target = rustix::fs::readlinkat(&self.handle, name.as_bytes(), Vec::new()).ok()?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        Some(LogLink {
            name: name.to_string_lossy().into_owned(),
            readable: name.to_str().is_some(),
            alive: self.leads_somewhere(name),
            target: self.resolved.join(target),
        })
    }
}
