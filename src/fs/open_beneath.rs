//! Opening directories that lie below a directory handle and on its mount, whatever their names or links say (S2.4, S4.1).

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
    /// Component by component, never through a link, each on the mount of the room.
    Walk,
}

/// How they are opened by whatever means. With O_DIRECTORY no FIFO in the place of one hangs the pass.
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Which of the two this system has.
pub fn means(base: impl AsFd) -> Means {
    panic_points::point("try openat2");
    let tried = rustix::fs::openat2(base, ".", DIRECTORY, Mode::empty(), ResolveFlags::BENEATH);
    match tried {
        Err(Errno::NOSYS | Errno::PERM) => Means::Walk,
        _ => Means::Openat2,
    }
}

/// Opens the directory `relative` below `base`. A link on the way is ELOOP, also one that leads around inside: it may lead to what is
/// another's. What leads out or onto another mount is EXDEV.
pub fn open_dir(base: impl AsFd, relative: &Path, means: Means) -> io::Result<OwnedFd> {
    match means {
        Means::Openat2 => {
            let stay = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
            match open2(&base, relative, DIRECTORY, stay) {
                // What is behind a link is left alone for good: better looked at twice.
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
        Means::Openat2 => {
            let stay = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
            open2(&parent, name, DIRECTORY | OFlags::NOFOLLOW, stay)
        }
        Means::Walk => step(&parent, name, mount_id(&parent)?),
    }
}

/// openat2 may ask to be called again when something was renamed meanwhile.
fn open2(
    base: impl AsFd,
    path: impl AsRef<OsStr>,
    flags: OFlags,
    stay: ResolveFlags,
) -> io::Result<OwnedFd> {
    let mut tries = 0;
    panic_points::point("open a directory");
    loop {
        match rustix::fs::openat2(&base, path.as_ref().as_bytes(), flags, Mode::empty(), stay) {
            Err(Errno::AGAIN) if tries < 16 => tries += 1,
            done => return Ok(done?),
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
    // A link that is not followed is no directory; openat2 tells the two apart.
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

/// Why an entry cannot be unlinked, as far as that is seen without trying: something is mounted on it, or it is immutable.
pub(super) fn fixed(parent: impl AsFd, name: &OsStr) -> Option<Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    panic_points::point("see whether something is mounted on it");
    let stat = rustix::fs::statx(parent, name.as_bytes(), flags, StatxFlags::TYPE).ok()?;
    let is = |attribute| stat.stx_attributes.contains(attribute);
    if is(StatxAttributes::MOUNT_ROOT) {
        return Some(Errno::BUSY);
    }
    (is(StatxAttributes::IMMUTABLE) || is(StatxAttributes::APPEND)).then_some(Errno::PERM)
}

/// Device and inode: the same directory has the same, by whatever name it was opened.
pub(super) fn identity(fd: impl AsFd) -> io::Result<(u64, u64)> {
    panic_points::point("see which directory it is");
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// The mount that a handle is on; st_dev does not tell bind mounts apart.
pub(super) fn mount_id(fd: impl AsFd) -> io::Result<u64> {
    panic_points::point("see which mount it is on");
    let stat = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    match stat.stx_mask & StatxFlags::MNT_ID.bits() {
        0 => Err(io::Error::other(
            "this kernel tells neither openat2 nor mount IDs, so mounts cannot be seen",
        )),
        _ => Ok(stat.stx_mnt_id),
    }
}
