//! Reads the files of a kubelet's configuration, and finds those of a drop-in directory.

use crate::error::{Error, Result, Status};
use crate::report::visible;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes. A ConfigMap holds no larger one.
const LARGEST: u64 = 1 << 20;
/// How many names a drop-in directory may hold, those in its subdirectories included.
const MOST: usize = 10_000;

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, or something that is read as one.
    File,
    /// A directory.
    Directory,
    /// A walk does not follow it.
    LinkToDirectory,
}

fn failed(path: &Path, why: &str) -> Error {
    let path = visible(&path.to_string_lossy());
    let message = format!("cannot read the configuration of the kubelet at {path}: {why}");
    Error::new(Status::Io, message)
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error {
    move |e| failed(path, &format!("{e}; check the path and who may read it"))
}

/// What a path leads to.
pub fn kind(path: &Path) -> Result<Kind> {
    if std::fs::symlink_metadata(path).map_err(at(path))?.is_dir() {
        return Ok(Kind::Directory);
    }
    let is_dir = std::fs::metadata(path).map_err(at(path))?.is_dir();
    Ok(if is_dir {
        Kind::LinkToDirectory
    } else {
        Kind::File
    })
}

/// The bytes of a file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    // NONBLOCK: opening a pipe must not wait for a writer.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| at(path)(e.into()))?;
    let file = File::from(file);
    if !file.metadata().map_err(at(path))?.is_file() {
        return Err(failed(path, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let mut some = file.take(LARGEST + 1);
    some.read_to_end(&mut bytes).map_err(at(path))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(failed(path, &format!("it is larger than {LARGEST} bytes")));
    }
    Ok(bytes)
}

/// The files of a drop-in directory, in the order in which the kubelet reads them.
#[derive(Debug, Default)]
pub struct DropIns {
    /// Those whose names end in `.conf`.
    pub files: Vec<PathBuf>,
    /// All others.
    pub skipped: Vec<PathBuf>,
}

/// Walks through a drop-in directory: each directory in the order of its names, and what is in a subdirectory where its name stands.
/// Links are not followed, so one is a file, or fails as one.
pub fn drop_ins(directory: &Path) -> Result<DropIns> {
    let mut found = DropIns::default();
    let mut left = names(directory, MOST)?;
    let mut seen = left.len();
    while let Some((path, is_dir)) = left.pop() {
        if is_dir {
            let inside = names(&path, MOST - seen)?;
            seen += inside.len();
            left.extend(inside);
        } else if is_drop_in(path.file_name().unwrap_or_default()) {
            found.files.push(path);
        } else {
            found.skipped.push(path);
        }
    }
    Ok(found)
}

/// Whether the kubelet reads a file of that name in a drop-in directory.
fn is_drop_in(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b".conf")
}

/// What is in a directory, the last name first, and whether each is a directory.
fn names(directory: &Path, most: usize) -> Result<Vec<(PathBuf, bool)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(at(directory))? {
        let entry = entry.map_err(at(directory))?;
        if names.len() == most {
            let why = format!("it holds more than {MOST} names");
            return Err(failed(directory, &why));
        }
        let is_dir = entry.file_type().map_err(at(directory))?.is_dir();
        names.push((entry.path(), is_dir));
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}
