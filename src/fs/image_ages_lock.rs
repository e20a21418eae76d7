//! Who holds the file of image ages (S5.1): one engine at a time.

use super::image_ages::{NO_FILE, refuse, with_suffix};
use super::signals::without_sigxfsz;
use crate::error::{Error, Result, Status};
use crate::panic_points;
use crate::report::visible;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// A process that the host forks shares the lock until it executes its program: one that was just freed may still be held.
const TRIES: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(20);

/// Locks the file beside it that is there for that: the file itself is replaced at each write.
pub(super) fn lock(path: &Path) -> Result<OwnedFd> {
    if path.is_dir() {
        return Err(refuse(path, "it is a directory"));
    }
    let beside = with_suffix(path, ".lock");
    let refused = |why: &str| {
        let beside = visible(&beside.to_string_lossy());
        refuse(path, &format!("{beside}: {why}"))
    };
    panic_points::point("open the lock of the records");
    let file = open(&beside).map_err(|e| refused(&e.to_string()))?;
    // Where nobody can tell, it is taken for one.
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(refused(NO_FILE));
    }
    panic_points::point("lock the records");
    match take(&file) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(held(path, file)),
        Err(e) => return Err(refused(&e.to_string())),
    }
    // The lock holds also where its holder cannot be written down, as on a full disk.
    let _ = sign(&file);
    Ok(file.into())
}

/// Whatever stands there instead of a file must not wait for anybody, or become the host's terminal.
fn open(beside: &Path) -> rustix::io::Result<File> {
    let flags = OFlags::RDWR
        | OFlags::CREATE
        | OFlags::CLOEXEC
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY;
    rustix::fs::open(beside, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

fn take(file: &File) -> rustix::io::Result<()> {
    let mut locked = rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
    for _ in 0..TRIES {
        if locked != Err(Errno::WOULDBLOCK) {
            break;
        }
        std::thread::sleep(BETWEEN);
        locked = rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
    }
    locked
}

/// The error of a file that another engine holds, which has written down who it is.
fn held(path: &Path, file: File) -> Error {
    let mut holder = String::new();
    // Only for the message.
    let _ = file.take(200).read_to_string(&mut holder);
    let path = visible(&path.to_string_lossy());
    let holder = match holder.trim() {
        "" => "another engine".to_owned(),
        named => visible(named),
    };
    Error::new(
        Status::Busy,
        format!(
            "image-records-file ({path}) is held by {holder}; free that engine first, or give each engine a file of its own"
        ),
    )
}

/// Writes down who holds it.
fn sign(file: &File) -> io::Result<()> {
    panic_points::point("write down who holds the records");
    let name = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    let line = format!("process {} ({})\n", std::process::id(), name.trim());
    rustix::fs::ftruncate(file, 0)?;
    without_sigxfsz(|| rustix::io::pwrite(file, line.as_bytes(), 0))?;
    Ok(())
}
