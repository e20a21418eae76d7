//! When something in a pod's log directory changed last (S0.3, S4.1). The search opens only directories, follows no link and crosses no mount.

use super::open_beneath::{self, Means};
use crate::clock::wall_now;
use crate::panic_points;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// How deep a tree may be, and so how many directories are open at once. A kubelet makes three levels.
const DEEPEST: usize = 64;
/// How many entries are read between two questions whether to go on.
const BATCH: usize = 64;

/// When a tree changed last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastChange {
    /// The newest time of change that is not later than now; ns since the epoch. The search ends at one after the moment in question.
    pub newest: i64,
    /// A time of change is later than now.
    pub beyond: bool,
}

/// What the search wants to know.
pub struct Question<'a> {
    /// Whether something changed after this moment; ns since the epoch.
    pub since: i64,
    /// Now, by the host's clock. A time of change that is later than this counts if it is not later than the system's clock.
    pub now: i64,
    /// Directories do not count: deleting an entry changes its directory, too.
    pub files_only: bool,
    /// Whether an entry that changed after this moment does not count, by its path below the base directory.
    pub skips: &'a dyn Fn(&Path) -> bool,
    /// Asked now and then; if it returns false, the search fails.
    pub go_on: &'a dyn Fn() -> bool,
}

/// A directory on the way to the current one.
struct Level {
    name: OsString,
    entries: Dir,
}

struct Search<'a> {
    question: &'a Question<'a>,
    found: LastChange,
    visited: usize,
}

/// The last change of the entry `name` of `base` and all below it.
pub(super) fn last_change(
    base: &OwnedFd,
    name: &OsStr,
    means: Means,
    question: &Question<'_>,
) -> io::Result<LastChange> {
    let mut search = Search {
        question,
        found: LastChange::default(),
        visited: 0,
    };
    let mut levels: Vec<Level> = Vec::new();
    levels.extend(search.visit(&levels, base, name, means)?);
    while let Some(here) = levels.last_mut() {
        if search.found.newest > question.since {
            break;
        }
        let Some(entry) = here.entries.next() else {
            levels.pop();
            continue;
        };
        let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        if name == "." || name == ".." {
            continue;
        }
        let Some(here) = levels.last() else {
            break;
        };
        let below = search.visit(&levels, here.entries.fd()?, &name, means)?;
        if below.is_some() && levels.len() == DEEPEST {
            return Err(io::Error::other("it is too deep"));
        }
        levels.extend(below);
    }
    Ok(search.found)
}

impl Search<'_> {
    /// Notes when an entry changed, and opens it if it is a directory. An entry that is gone meanwhile, or is on another mount, does not
    /// count: the deletion of the tree finds it, too.
    fn visit(
        &mut self,
        above: &[Level],
        parent: impl AsFd,
        name: &OsStr,
        means: Means,
    ) -> io::Result<Option<Level>> {
        self.visited += 1;
        if self.visited.is_multiple_of(BATCH) && !(self.question.go_on)() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        panic_points::point("look at an entry of a tree");
        let stat = rustix::fs::statat(&parent, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
        let stat = match stat {
            Err(Errno::NOENT) => return Ok(None),
            stat => stat?,
        };
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if !(is_directory && self.question.files_only) {
            let path = || {
                let above: PathBuf = above.iter().map(|level| &level.name).collect();
                above.join(name)
            };
            self.note(stamp(&stat), path);
        }
        if !is_directory {
            return Ok(None);
        }
        match open_beneath::open_subdir(parent, name, means) {
            Ok(directory) => Ok(Some(Level {
                name: name.to_owned(),
                entries: Dir::new(directory)?,
            })),
            Err(e) => match Errno::from_io_error(&e) {
                Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
                _ => Err(e),
            },
        }
    }

    fn note(&mut self, stamp: i64, path: impl Fn() -> PathBuf) {
        let question = self.question;
        if stamp > question.since && (question.skips)(&path()) {
            return;
        }
        if stamp > question.now && stamp > wall_now() {
            self.found.beyond = true;
        } else {
            self.found.newest = self.found.newest.max(stamp);
        }
    }
}

/// The time of the last change; ns since the epoch.
#[allow(clippy::unnecessary_cast, reason = "other machines have other types")]
pub(super) fn stamp(stat: &Stat) -> i64 {
    (stat.st_mtime as i64)
        .saturating_mul(1_000_000_000)
        .saturating_add(stat.st_mtime_nsec as i64)
}
