//! Whether two open directories are the same, or one is inside the other, whatever their paths are (S2.4).

use super::logs::OpenLogDir;
use super::mounts::place;
use super::open_beneath::{identity, mount_id};
use crate::panic_points;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::io;

/// True = a deletion in one of them may be one in the other.
pub fn nested(a: &OpenLogDir, b: &OpenLogDir) -> io::Result<bool> {
    let (one, other) = (lineage(&a.handle)?, lineage(&b.handle)?);
    let holds = |all: &[(u64, u64)], of: &[(u64, u64)]| of.first().is_some_and(|o| all.contains(o));
    if holds(&one, &other) || holds(&other, &one) {
        return Ok(true);
    }
    // If one is a mount of a directory inside the other, its parents are different ones. The table of mounts shows that.
    let place = |base: &OpenLogDir| place(mount_id(&base.handle).ok()?, &base.place.here);
    Ok(match (place(a), place(b)) {
        (Some((device, one)), Some((other_device, other))) => {
            device == other_device && (one.starts_with(&other) || other.starts_with(&one))
        }
        _ => false,
    })
}

/// A directory and all above it.
fn lineage(dir: impl AsFd) -> io::Result<Vec<(u64, u64)>> {
    let mut all = vec![identity(&dir)?];
    let mut here: OwnedFd = up(&dir)?;
    loop {
        let id = identity(&here)?;
        // The parent of the root is the root.
        if all.last() == Some(&id) {
            return Ok(all);
        }
        all.push(id);
        here = up(&here)?;
    }
}

fn up(dir: impl AsFd) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    panic_points::point("go up from a log directory");
    Ok(rustix::fs::openat(dir, "..", flags, Mode::empty())?)
}
