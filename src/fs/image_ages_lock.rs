//! The lock of the file of image ages (S5.1): one engine at a time holds it.

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

/// A process that the host forks shares the lock until it executes its program, so a lock that was just freed may still be held.
const TRIES: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(20);

/// Locks a file beside the records: the records themselves are replaced at each write.
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
    // If its type is unknown, it is taken for a regular file.
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(refused(NO_FILE));
    }
    panic_points::point("lock the records");
    match take(&file) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(held(path, file)),
        Err(e) => return Err(refused(&e.to_string())),
    }
    // The lock holds even if the name of its holder cannot be written, as on a full disk.
    let _ = sign(&file);
    Ok(file.into())
}

/// If something else is there than a file, opening it must not wait, and must not make it the host's terminal.
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
    for _ in 0..TRIES {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(BETWEEN),
            done => return done,
        }
    }
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

/// The error if another engine holds the file. That engine has written its name into the lock.
fn held(path: &Path, file: File) -> Error {
    let mut holder = String::new();
    // The name is only for the message.
    let _ = file.take(200).read_to_string(&mut holder);
    let path = visible(&path.to_string_lossy());
    let holder = match holder.trim() {
        "" => "another engine".to_owned(),
        named => visible(named),
    };
    let message = format!(
        "image-records-file ({path}) is held by {holder}; free that engine first, or give each engine a file of its own"
    );
    Error::new(Status::Busy, message)
}

/// Writes into the lock who holds it.
fn sign(file: &File) -> io::Result<()> {
    panic_points::point("write down who holds the records");
    let name = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    let line = format!("process {} ({})\n", std::process::id(), name.trim());
    rustix::fs::ftruncate(file, 0)?;
    without_sigxfsz(|| rustix::io::pwrite(file, line.as_bytes(), 0))?;
    Ok(())
}
