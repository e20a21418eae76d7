//! When something in a pod's log directory changed last (S0.3): looks at all of it, opens nothing but directories, follows no link
//! and crosses no mount.

use super::open_beneath::{self, Means};
use crate::clock::wall_now;
use crate::panic_points;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// How deep a tree may be, which is how many directories are open at once. A kubelet makes three levels.
const DEEPEST: usize = 64;
/// So many entries are looked at between two questions whether to go on.
const BATCH: usize = 64;

/// What a tree tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastChange {
    /// The newest time of change that is not beyond now; ns since the epoch. One after the moment in question ends the search.
    pub newest: i64,
    /// Something has a time beyond now.
    pub beyond: bool,
}

/// What is asked of a tree.
pub struct Question<'a> {
    /// Whether something changed after this moment; ns since the epoch.
    pub since: i64,
    /// Now, by the host's clock. Files have the system's: what changes while they are looked at is not beyond now.
    pub now: i64,
    /// Directories have no say: deleting what is in them changes them, too.
    pub files_only: bool,
    /// Asked now and then; where it says no, the search fails.
    pub go_on: &'a dyn Fn() -> bool,
}

/// A search under way.
struct Search<'a> {
    question: &'a Question<'a>,
    found: LastChange,
    looked_at: usize,
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
        looked_at: 0,
    };
    let mut levels: Vec<Dir> = Vec::new();
    levels.extend(search.look(base, name, means)?);
    while let Some(here) = levels.last_mut() {
        if search.found.newest > question.since {
            break;
        }
        let Some(entry) = here.next() else {
            levels.pop();
            continue;
        };
        let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        if name == "." || name == ".." {
            continue;
        }
        let below = search.look(here.fd()?, &name, means)?;
        if below.is_some() && levels.len() == DEEPEST {
            return Err(io::Error::other("it is too deep"));
        }
        levels.extend(below);
    }
    Ok(search.found)
}

impl Search<'_> {
    /// Looks at an entry; one that is a directory is opened. What has gone meanwhile, or lies on another mount, has no say: the
    /// deletion of the tree meets it, too.
    fn look(&mut self, parent: impl AsFd, name: &OsStr, means: Means) -> io::Result<Option<Dir>> {
        self.looked_at += 1;
        if self.looked_at.is_multiple_of(BATCH) && !(self.question.go_on)() {
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
            self.note(&stat);
        }
        if !is_directory {
            return Ok(None);
        }
        match open_beneath::open_subdir(parent, name, means) {
            Ok(directory) => Ok(Some(Dir::new(directory)?)),
            Err(e) => match Errno::from_io_error(&e) {
                Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
                _ => Err(e),
            },
        }
    }

    fn note(&mut self, stat: &Stat) {
        #[allow(clippy::unnecessary_cast, reason = "other machines have other types")]
        let stamp = (stat.st_mtime as i64)
            .saturating_mul(1_000_000_000)
            .saturating_add(stat.st_mtime_nsec as i64);
        if stamp > self.question.now && stamp > wall_now() {
            self.found.beyond = true;
        } else {
            self.found.newest = self.found.newest.max(stamp);
        }
    }
}
