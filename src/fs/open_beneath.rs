//! Opens directories below a directory handle, and only on its mount, whatever names and links there are (S2.4, S4.1).

use crate::panic_points;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// How directories are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// openat2, where the kernel and its seccomp filter allow it.
    Openat2,
    /// Component by component, never through a link, each on the mount of the base directory.
    Walk,
}

/// The flags of both means. O_DIRECTORY, so that a FIFO in the place of a directory does not block the pass.
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// The means that this system has.
pub fn means(base: impl AsFd) -> Means {
    panic_points::point("try openat2");
    let tried = rustix::fs::openat2(base, ".", DIRECTORY, Mode::empty(), ResolveFlags::BENEATH);
    match tried {
        Err(Errno::NOSYS | Errno::PERM) => Means::Walk,
        _ => Means::Openat2,
    }
}

/// Opens the directory `relative` below `base`. A link on the way is ELOOP, even one to a directory below `base`, because that may be
/// another pod's. A path that leads out, or to another mount, is EXDEV.
pub fn open_dir(base: impl AsFd, relative: &Path, means: Means) -> io::Result<OwnedFd> {
    match means {
        Means::Openat2 => {
            match open2(&base, relative, DIRECTORY) {
                // A log behind a link is never deleted, so the link is checked a second time.
                Err(e) if Errno::from_io_error(&e) == Some(Errno::LOOP) => {
                    walk(&base, relative).map_err(|_| e)
                }
                opened => opened,
            }
        }
        Means::Walk => walk(&base, relative),
    }
}

/// Opens the directory entry `name` of `parent`, which must be a directory itself and on the same mount.
pub fn open_subdir(parent: impl AsFd, name: &OsStr, means: Means) -> io::Result<OwnedFd> {
    match means {
        Means::Openat2 => open2(&parent, name, DIRECTORY | OFlags::NOFOLLOW),
        Means::Walk => step(&parent, name, mount_id(&parent)?),
    }
}

fn open2(base: impl AsFd, path: impl AsRef<OsStr>, flags: OFlags) -> io::Result<OwnedFd> {
    let stay = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let path = path.as_ref().as_bytes();
    panic_points::point("open a directory");
    Ok(again(|| {
        rustix::fs::openat2(&base, path, flags, Mode::empty(), stay)
    })?)
}

/// Calls openat2, again if it returns EAGAIN, as it does if something was renamed meanwhile.
pub(super) fn again(call: impl Fn() -> rustix::io::Result<OwnedFd>) -> rustix::io::Result<OwnedFd> {
    let mut tries = 0;
    loop {
        match call() {
            Err(Errno::AGAIN) if tries < 16 => tries += 1,
            done => return done,
        }
    }
}

fn walk(base: impl AsFd, relative: &Path) -> io::Result<OwnedFd> {
    let mount = mount_id(&base)?;
    let mut here = step(&base, OsStr::new("."), mount)?;
    for component in relative.components() {
        here = match component {
            Component::CurDir => here,
            Component::Normal(name) => step(&here, name, mount)?,
            _ => return Err(Errno::XDEV.into()),
        };
    }
    Ok(here)
}

fn step(parent: impl AsFd, name: &OsStr, mount: u64) -> io::Result<OwnedFd> {
    let flags = DIRECTORY | OFlags::NOFOLLOW;
    panic_points::point("open a directory");
    let opened = rustix::fs::openat(&parent, name.as_bytes(), flags, Mode::empty());
    // Of a link openat says that it is not a directory; openat2 says that it is a link.
    let next = match opened {
        Err(Errno::NOTDIR) if is_link(&parent, name) => return Err(Errno::LOOP.into()),
        opened => opened?,
    };
    if mount_id(&next)? != mount {
        return Err(Errno::XDEV.into());
    }
    Ok(next)
}

fn is_link(parent: impl AsFd, name: &OsStr) -> bool {
    panic_points::point("see whether it is a link");
    rustix::fs::statat(parent, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

/// What an entry is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) kind: FileType,
    /// Why it cannot be unlinked, as far as that is known without trying: something is mounted on it, or it is immutable.
    pub(super) fixed: Option<Errno>,
}

/// Looks at an entry by one call, because a pass does so for each container.
pub(super) fn look(parent: impl AsFd, name: &OsStr) -> rustix::io::Result<Look> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    panic_points::point("look at an entry");
    match rustix::fs::statx(&parent, name.as_bytes(), flags, StatxFlags::TYPE) {
        Ok(stat) => Ok(Look {
            kind: FileType::from_raw_mode(stat.stx_mode.into()),
            fixed: fixed_by(stat.stx_attributes),
        }),
        // The kernel, or a seccomp filter, does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => {
            let stat = rustix::fs::statat(&parent, name.as_bytes(), flags)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            Ok(Look { kind, fixed: None })
        }
        Err(e) => Err(e),
    }
}

fn fixed_by(attributes: StatxAttributes) -> Option<Errno> {
    if attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Some(Errno::BUSY);
    }
    let immovable = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    attributes.intersects(immovable).then_some(Errno::PERM)
}

/// Device and inode. They are those of the directory, by whatever path it was opened.
pub(super) fn identity(fd: impl AsFd) -> io::Result<(u64, u64)> {
    panic_points::point("see which directory it is");
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// The ID of the mount that a handle is on. Bind mounts of a filesystem share its st_dev.
pub(super) fn mount_id(fd: impl AsFd) -> io::Result<u64> {
    panic_points::point("see which mount it is on");
    let stat = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    match stat.stx_mask & StatxFlags::MNT_ID.bits() {
        0 => Err(io::Error::other(
            "this kernel has neither openat2 nor mount IDs, so crigc cannot see mounts",
        )),
        _ => Ok(stat.stx_mnt_id),
    }
}
