//! Links in `container-logs-dir`: reading and deleting them (S2.4, S4.2).

use super::logs::{LogError, OpenLogDir, check_name, each, failed, kind_of, statat, unlinked};
use super::open_beneath::{self, Look};
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
    /// Its name; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// Its name is UTF-8; otherwise it is not the link of a container (S0.6).
    pub readable: bool,
    /// Its target exists, or whether it exists is unknown.
    pub alive: bool,
    /// Its target as an absolute path.
    pub target: PathBuf,
}

impl OpenLogDir {
    /// The wanted `*.log` symlinks directly in the directory (S4.2), of those whose target is gone, or of all.
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
        let found = if self.root.is_mounted() {
            // The kernel would follow it in this process, not on the host.
            self.target(name).and_then(|target| self.root.stat(target))
        } else {
            statat(&self.handle, name.as_bytes(), AtFlags::empty())
        };
        !matches!(found, Err(Errno::NOENT))
    }

    /// The target of a link as an absolute path of the host.
    fn target(&self, name: &OsStr) -> rustix::io::Result<PathBuf> {
        panic_points::point("read a link");
        let target = rustix::fs::readlinkat(&self.handle, name.as_bytes(), Vec::new())?;
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        Ok(self.place.on_host.join(target))
    }

    /// A link as it is now; `None` = it is gone.
    pub fn log_link(&self, name: &OsStr) -> Option<LogLink> {
        Some(LogLink {
            target: self.target(name).ok()?,
            name: name.to_string_lossy().into_owned(),
            readable: name.to_str().is_some(),
            alive: self.leads_somewhere(name),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.dir).join(name)
    }

    /// What has this name; `None` = nothing has it.
    fn look(&self, name: &str) -> Result<Option<Look>, LogError> {
        check_name(OsStr::new(name))?;
        match open_beneath::look(&self.handle, OsStr::new(name)) {
            Ok(look) => Ok(Some(look)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(failed("read the link", self.path(name), &e.into())),
        }
    }

    /// Whether the link of a container can be deleted (S2.4). It is checked before the container's log is deleted, so that both are deleted
    /// or neither.
    pub fn check_own_link(&self, name: &str) -> Result<(), LogError> {
        check_name(OsStr::new(name))?;
        self.is_writable().map_err(|e| {
            // The text is the same for each container of the pass, because it is one cause.
            LogError(format!(
                "cannot delete its link in container-logs-dir ({}): {e}; make that directory writable for crigc, or set container-logs-dir to nothing to leave links alone",
                visible(&self.dir)
            ))
        })?;
        let obstacle = self.look(name)?.and_then(|look| match look.kind {
            FileType::Directory => Some(Errno::ISDIR),
            _ => look.fixed,
        });
        obstacle.map_or(Ok(()), |e| {
            Err(failed("delete", self.path(name), &e.into()))
        })
    }

    /// Fails if crigc, with its effective IDs, cannot delete in the directory. A read-only mount is EROFS.
    fn is_writable(&self) -> io::Result<()> {
        panic_points::point("see whether it is writable");
        let access = |flags| {
            let wanted = Access::WRITE_OK | Access::EXEC_OK;
            rustix::fs::accessat(&self.handle, ".", wanted, flags)
        };
        match access(AtFlags::EACCESS) {
            // The kernel, or a seccomp filter, does not know the call with flags.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Ok(access(AtFlags::empty())?),
            answer => Ok(answer?),
        }
    }

    /// Deletes the link of a container, or the file in its place: the name has the container's ID in it (S2.4). A missing one is no error.
    pub fn remove_own_link(&self, name: &str) -> Result<(), LogError> {
        check_name(OsStr::new(name))?;
        unlinked(&self.handle, OsStr::new(name))
            .map_err(|e| failed("delete", self.path(name), &e.into()))
    }

    /// Unlinks a symlink directly in the directory (S4.2). A missing one is no error. Anything else with that name is kept, because crigc
    /// cannot know whose it is.
    pub fn remove_link(&self, name: &str) -> Result<(), LogError> {
        match self.look(name)?.map(|look| look.kind) {
            None => Ok(()),
            Some(FileType::Symlink) => self.remove_own_link(name),
            Some(_) => Err(LogError(format!(
                "cannot delete {}: it is not a link; find out what made it, and delete it by hand if nothing needs it",
                visible(&self.path(name).to_string_lossy())
            ))),
        }
    }
}
