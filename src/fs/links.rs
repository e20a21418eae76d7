//! Links in `container-logs-dir`: looking at them, and deleting them (S2.4, S4.2).

use super::logs::{LogError, OpenLogDir, each, failed, kind_of, statat, unlinked};
use super::open_beneath::fixed;
use crate::panic_points;
use crate::report::visible;
use rustix::fs::{Access, AtFlags, FileType};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

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

fn is_name(name: &str) -> Result<(), LogError> {
    if matches!(name, "" | "." | "..") || name.contains('/') {
        Err(LogError(format!(
            "cannot delete the link {}: it is no name of a file",
            visible(name)
        )))
    } else {
        Ok(())
    }
}

impl OpenLogDir {
    /// The `*.log` symlinks directly in the directory that are wanted (S4.2): of those whose target is gone, or of all.
    pub fn log_links(
        &self,
        alive_too: bool,
        go_on: &dyn Fn() -> bool,
        wanted: impl Fn(&LogLink) -> bool,
    ) -> io::Result<Vec<LogLink>> {
        let mut links = Vec::new();
        each(&self.handle, go_on, |name, kind| {
            let is_link = || kind_of(&self.handle, name, kind) == FileType::Symlink;
            if name.as_bytes().ends_with(b".log")
                && is_link()
                && (alive_too || !self.leads_somewhere(name))
            {
                links.extend(self.log_link(name).filter(&wanted));
            }
            ControlFlow::Continue(())
        })?;
        Ok(links)
    }

    fn leads_somewhere(&self, name: &OsStr) -> bool {
        let target = statat(&self.handle, name.as_bytes(), AtFlags::empty());
        !matches!(target, Err(Errno::NOENT))
    }

    /// One of them as it is now; `None` = it has gone.
    pub fn log_link(&self, name: &OsStr) -> Option<LogLink> {
        panic_points::point("read a link");
        let target = rustix::fs::readlinkat(&self.handle, name.as_bytes(), Vec::new()).ok()?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        Some(LogLink {
            name: name.to_string_lossy().into_owned(),
            readable: name.to_str().is_some(),
            alive: self.leads_somewhere(name),
            target: self.resolved.join(target),
        })
    }

    /// S2.4: whether the link of a container that is to go can be deleted. Asked before its log goes, because they go together.
    pub fn check_own_link(&self, name: &str) -> Result<(), LogError> {
        is_name(name)?;
        self.is_writable().map_err(|e| {
            // The same words for each container of the pass: it is one cause.
            LogError(format!(
                "cannot delete its link in container-logs-dir ({}): {e}; make that directory writable for crigc, or set container-logs-dir to nothing to leave links alone",
                visible(&self.dir)
            ))
        })?;
        let path = || Path::new(&self.dir).join(name);
        match statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(failed("look at", path(), &e.into())),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                Err(failed("delete", path(), &Errno::ISDIR.into()))
            }
            Ok(_) => match fixed(&self.handle, OsStr::new(name)) {
                Some(e) => Err(failed("delete", path(), &e.into())),
                None => Ok(()),
            },
        }
    }

    /// Whether crigc can delete in the directory, by its effective IDs. A read-only mount is EROFS.
    fn is_writable(&self) -> io::Result<()> {
        panic_points::point("see whether it is writable");
        let access = |flags| {
            let wanted = Access::WRITE_OK | Access::EXEC_OK;
            rustix::fs::accessat(&self.handle, ".", wanted, flags)
        };
        match access(AtFlags::EACCESS) {
            // An old kernel, or a filter that does not know the call with flags.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Ok(access(AtFlags::empty())?),
            answer => Ok(answer?),
        }
    }

    fn unlink(&self, name: &str) -> Result<(), LogError> {
        unlinked(&self.handle, OsStr::new(name))
            .map_err(|e| failed("delete", Path::new(&self.dir).join(name), &e.into()))
    }

    /// S2.4: deletes the link of a container, or the file in its place: its name holds the container's ID. One that is not there is
    /// fine.
    pub fn remove_own_link(&self, name: &str) -> Result<(), LogError> {
        is_name(name)?;
        self.unlink(name)
    }

    /// S4.2: unlinks one symlink directly in the directory; one that is not there is fine. Anything else of that name is not
    /// crigc's to delete: nobody knows whose it is.
    pub fn remove_link(&self, name: &str) -> Result<(), LogError> {
        is_name(name)?;
        let path = || Path::new(&self.dir).join(name);
        match statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(failed("look at", path(), &e.into())),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                self.unlink(name)
            }
            Ok(_) => Err(LogError(format!(
                "cannot delete {}: it is no link; see what made it, and delete it by hand if it is to go",
                visible(&path().to_string_lossy())
            ))),
        }
    }
}
