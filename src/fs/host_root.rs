//! Where paths of the host begin: at the root of this process, or at `host-root`, where the host's root is mounted (S5.11). There links
//! lead where they lead on the host: an absolute one begins at `host-root` again, and no `..` leads out of it.

use super::open_beneath::{DIRECTORY, again};
use crate::config::HOST_ROOT_KEY;
use crate::panic_points;
use crate::report::visible;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, Stat, StatVfs};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The flags for looking at a file without opening it, whatever it is.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// A magic link, such as `/proc/self/root`, would lead out.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// The root of the host's paths; by default that of this process.
#[derive(Clone, Debug, Default)]
pub struct Root(Option<Arc<HostRoot>>);

/// A directory in which the host's root is mounted.
#[derive(Debug)]
struct HostRoot {
    /// As configured.
    dir: String,
    handle: OwnedFd,
    /// Its path in this process.
    path: PathBuf,
}

/// Where a directory is.
#[derive(Debug)]
pub(super) struct Whereabouts {
    /// Its path on the host, without links.
    pub(super) on_host: PathBuf,
    /// Its path in this process.
    pub(super) here: PathBuf,
}

/// The path of an open file in this process.
fn path_of(file: &OwnedFd) -> io::Result<PathBuf> {
    // Not /proc/self: its descriptors are gone once the first thread of the process has ended.
    let link = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
    panic_points::point("see where a directory is");
    let path = rustix::fs::readlink(&link, Vec::new());
    let path =
        path.map_err(|e| io::Error::other(format!("cannot read {link}: {e}; mount /proc")))?;
    Ok(OsString::from_vec(path.into_bytes()).into())
}

impl HostRoot {
    fn open(dir: &str) -> io::Result<HostRoot> {
        let flags = LOOK | OFlags::DIRECTORY;
        panic_points::point("open host-root");
        let handle = rustix::fs::open(dir, flags, Mode::empty())?;
        let tried = rustix::fs::openat2(&handle, ".", flags, Mode::empty(), INSIDE);
        if let Err(e @ (Errno::NOSYS | Errno::PERM)) = tried {
            return Err(io::Error::other(format!(
                "openat2, by which links are resolved in it, is refused by the kernel (before Linux 5.6) or by a seccomp filter: {e}"
            )));
        }
        Ok(HostRoot {
            dir: dir.to_owned(),
            path: path_of(&handle)?,
            handle,
        })
    }

    /// Opens what has this path on the host.
    fn at(&self, path: impl AsRef<OsStr>, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        panic_points::point("open below host-root");
        let path = path.as_ref().as_bytes();
        again(|| rustix::fs::openat2(&self.handle, path, flags, Mode::empty(), INSIDE))
    }
}

impl Root {
    /// Opens `host-root`, if it is set.
    pub fn open(dir: Option<&str>) -> io::Result<Root> {
        let root = dir.map(HostRoot::open).transpose()?;
        Ok(Root(root.map(Arc::new)))
    }

    /// Whether the host's root is mounted somewhere, so that it may as well not be mounted at all.
    pub fn is_mounted(&self) -> bool {
        self.0.is_some()
    }

    /// A path of the host, for messages.
    pub fn shown(&self, path: &str) -> String {
        let path = visible(path);
        match &self.0 {
            None => path,
            Some(root) => format!("{path} below {HOST_ROOT_KEY} ({})", visible(&root.dir)),
        }
    }

    /// Opens a directory.
    pub(super) fn open_dir(&self, path: &str) -> io::Result<OwnedFd> {
        Ok(match &self.0 {
            None => rustix::fs::open(path, DIRECTORY, Mode::empty())?,
            Some(root) => root.at(path, DIRECTORY)?,
        })
    }

    /// Where a directory is that was opened by this path.
    pub(super) fn whereabouts(&self, path: &str, dir: &OwnedFd) -> io::Result<Whereabouts> {
        let Some(root) = &self.0 else {
            let here = std::fs::canonicalize(path)?;
            return Ok(Whereabouts {
                on_host: here.clone(),
                here,
            });
        };
        let here = path_of(dir)?;
        let below = here.strip_prefix(&root.path);
        let below = below.map_err(|_| io::Error::other("it was moved out of host-root"))?;
        Ok(Whereabouts {
            on_host: Path::new("/").join(below),
            here,
        })
    }

    /// What is at a path, or behind the links there.
    pub(super) fn stat(&self, path: impl AsRef<OsStr>) -> rustix::io::Result<Stat> {
        match &self.0 {
            None => rustix::fs::stat(path.as_ref().as_bytes()),
            Some(root) => rustix::fs::fstat(root.at(path, LOOK)?),
        }
    }

    /// What is at a path, even if it is a link.
    pub(super) fn lstat(&self, path: &str) -> rustix::io::Result<Stat> {
        match &self.0 {
            None => rustix::fs::lstat(path),
            Some(root) => rustix::fs::fstat(root.at(path, LOOK | OFlags::NOFOLLOW)?),
        }
    }

    /// The figures of the filesystem at a path.
    pub(super) fn statvfs(&self, path: &str) -> rustix::io::Result<StatVfs> {
        match &self.0 {
            None => rustix::fs::statvfs(path),
            Some(root) => rustix::fs::fstatvfs(root.at(path, LOOK)?),
        }
    }

    /// Where a link leads.
    pub fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let Some(root) = &self.0 else {
            return std::fs::read_link(path);
        };
        let link = root.at(path, LOOK | OFlags::NOFOLLOW)?;
        let target = rustix::fs::readlinkat(link, "", Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }
}
