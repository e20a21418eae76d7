//! Log files by the directories that they are in, whatever container they belong to (S4.3): reading which there are, and deleting single
//! ones. No directory on the way is a link or on another mount, and the last component is not followed.

use super::changed::stamp;
use super::logs::{LogError, OpenLogDir, check_name, each, failed, is_absent, statat, unlinked};
use super::open_beneath::{look, open_dir};
use crate::node::LogFile;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

/// Nothing of this name is a directory below the base directory.
fn is_no_directory(e: &io::Error) -> bool {
    let elsewhere = [Errno::LOOP, Errno::XDEV];
    is_absent(e) || Errno::from_io_error(e).is_some_and(|e| elsewhere.contains(&e))
}

/// When the file or link of this name was last written; `None` = it is gone, or something else has the name.
fn changed(dir: &OwnedFd, name: &str) -> io::Result<Option<i64>> {
    let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        stat => stat?,
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let is_file = matches!(kind, FileType::RegularFile | FileType::Symlink);
    Ok(is_file.then(|| stamp(&stat)))
}

impl OpenLogDir {
    /// The files and links with wanted names in the directories of a pod's containers, sorted.
    pub fn log_files(
        &self,
        pod: &str,
        wanted: &dyn Fn(&str) -> bool,
        go_on: &dyn Fn() -> bool,
    ) -> io::Result<Vec<LogFile>> {
        let mut containers = Vec::new();
        let mut files = Vec::new();
        self.names_in(Path::new(pod), go_on, |_, name| {
            containers.push(name.to_owned());
            Ok(())
        })?;
        for container in containers {
            self.names_in(&Path::new(pod).join(&container), go_on, |dir, name| {
                if wanted(name)
                    && let Some(changed) = changed(dir, name)?
                {
                    files.push(LogFile {
                        pod: pod.into(),
                        container: container.as_str().into(),
                        name: name.into(),
                        changed,
                    });
                }
                Ok(())
            })?;
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Takes the names in a directory that are UTF-8, if it is one; of very many only the first ones.
    fn names_in(
        &self,
        below: &Path,
        go_on: &dyn Fn() -> bool,
        mut take: impl FnMut(&OwnedFd, &str) -> io::Result<()>,
    ) -> io::Result<()> {
        let dir = match open_dir(&self.handle, below, self.means) {
            Err(e) if is_no_directory(&e) => return Ok(()),
            dir => dir?,
        };
        let mut taken = Ok(());
        let mut left = self.most_names;
        each(&dir, go_on, |name, _| {
            let Some(name) = name.to_str() else {
                return ControlFlow::Continue(());
            };
            left = left.saturating_sub(1);
            taken = take(&dir, name);
            if taken.is_err() || left == 0 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        taken
    }

    /// Deletes a log file, if it has not been written since it was read. Returns false if it has. A missing one is no error.
    pub fn remove_log_file(&self, file: &LogFile) -> Result<bool, LogError> {
        self.with_log_file(file, unlinked)
    }

    /// The same without deleting it.
    pub fn check_log_file(&self, file: &LogFile) -> Result<bool, LogError> {
        self.with_log_file(file, |_, _| Ok(()))
    }

    fn with_log_file(
        &self,
        file: &LogFile,
        work: impl FnOnce(&OwnedFd, &OsStr) -> Result<(), Errno>,
    ) -> Result<bool, LogError> {
        let failed = |e: &io::Error| failed("delete", Path::new(&self.dir).join(file.path()), e);
        for name in [&file.pod, &file.container, &file.name] {
            check_name(OsStr::new(&**name))?;
        }
        let dir = Path::new(&*file.pod).join(&*file.container);
        let dir = match open_dir(&self.handle, &dir, self.means) {
            Err(e) if is_absent(&e) => return Ok(true),
            dir => dir.map_err(|e| failed(&e))?,
        };
        let name = OsStr::new(&*file.name);
        match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(true),
            Err(e) => return Err(failed(&e.into())),
            Ok(_) => {}
        }
        if changed(&dir, &file.name).map_err(|e| failed(&e))? != Some(file.changed) {
            return Ok(false);
        }
        if let Some(e) = look(&dir, name).ok().and_then(|look| look.fixed) {
            return Err(failed(&e.into()));
        }
        work(&dir, name).map_err(|e| failed(&e.into()))?;
        Ok(true)
    }
}
