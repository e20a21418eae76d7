//! The records of images on disk (S5.1). One engine at a time holds the file, and replaces it as a whole: after a kill or a power cut
//! there is the old file or the new one. A file that cannot be read is put aside, and is never a reason to remove an image.

use super::hold;
use super::image_ages_lock::lock;
use super::signals::without_sigxfsz;
use crate::config::duration::nanoseconds;
use crate::error::{Error, Result, Status};
use crate::node::{ImageRecord, ImageRecords, Text};
use crate::panic_points;
use crate::report::visible;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The format of the file. It changes with the content.
const FORMAT: u32 = 1;
/// The largest file that is read, in bytes: about 250,000 images.
const LARGEST: u64 = 64 << 20;
pub(super) const NO_FILE: &str = "it is not a regular file";
/// How far the clock may have been set back since the file was written; a file from later than that cannot be used. ns.
const SET_BACK: i64 = 60 * 1_000_000_000;

/// What shows that a file is crigc's; it is read first.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "crigc-image-records")]
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(rename = "crigc-image-records")]
    format: u32,
    /// Of the image service whose images these are.
    endpoint: String,
    /// ns since the epoch.
    written: i64,
    /// ns.
    watched: u64,
    images: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    handler: String,
    /// ns since the epoch.
    first_detected: Option<i64>,
    last_used: Option<i64>,
    /// In the time of `watched`; ns.
    unused_since: u64,
    size: u64,
    pinned: bool,
}

/// The file of one engine.
#[derive(Debug)]
pub struct RecordsFile {
    path: PathBuf,
    endpoint: String,
    /// `None` = the file is only read.
    lock: Option<OwnedFd>,
    found: Found,
}

/// What is known of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// It has not been read yet, and may not be replaced.
    Unread,
    /// It has been read or written, or there was none.
    Own,
    /// It cannot be used, and is put aside before the next write.
    Unusable,
}

impl RecordsFile {
    /// Locks the file, unless it is only read. If another engine holds it, the error names that engine.
    pub fn hold(path: &str, endpoint: &str, only_read: bool) -> Result<RecordsFile> {
        let path = PathBuf::from(path);
        let lock = if only_read { None } else { Some(lock(&path)?) };
        Ok(RecordsFile {
            path,
            endpoint: endpoint.to_owned(),
            lock,
            found: Found::Unread,
        })
    }

    /// Its path, for messages.
    pub fn shown(&self) -> String {
        visible(&self.path.to_string_lossy())
    }

    /// Whether its directory exists.
    pub fn has_directory(&self) -> bool {
        hold::has_directory(&self.path)
    }

    /// The records in the file, the first time; `None` = there is no file, or it has been loaded before. `Err` = it cannot be used, and
    /// why.
    pub fn load(&mut self, now: i64) -> std::result::Result<Option<ImageRecords>, String> {
        if self.found != Found::Unread {
            return Ok(None);
        }
        let path = self.shown();
        let loaded = match read(&self.path) {
            Ok(bytes) => parse(&bytes, &self.endpoint, now).map(Some),
            Err(Unreadable::Missing) => Ok(None),
            Err(Unreadable::Passing(e)) => {
                return Err(format!(
                    "cannot read image-records-file ({path}): {e}; it is left as it is, and the next pass tries again"
                ));
            }
            Err(Unreadable::NoFile(why)) => Err(why),
        };
        self.found = match loaded {
            Ok(_) => Found::Own,
            Err(_) => Found::Unusable,
        };
        loaded.map_err(|why| format!(
            "cannot use image-records-file ({path}): {why}; ages of images count from now, and the next write puts it aside as {path}.aside"
        ))
    }

    /// Replaces the file. All of the new one is on the disk before it gets the name. Does nothing if the file is only read, or has not been
    /// read yet.
    pub fn write(&mut self, records: &ImageRecords, now: i64) -> io::Result<()> {
        if self.lock.is_none() || self.found == Found::Unread {
            return Ok(());
        }
        let bytes = text(records, &self.endpoint, now);
        if is_too_large(&bytes) {
            let why = "there are too many images for it";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        if self.found == Found::Unusable {
            put_aside(&self.path)?;
            self.found = Found::Own;
        }
        let new = with_suffix(&self.path, ".new");
        let written = write_new(&new, &bytes)
            .and_then(|()| {
                panic_points::point("rename the records");
                std::fs::rename(&new, &self.path)
            })
            .and_then(|()| sync_directory(&self.path));
        if written.is_err() {
            // A part of a file would take space on a full disk. The first error is the one to report.
            panic_points::point("delete the new records");
            let _ = std::fs::remove_file(&new);
        }
        written
    }

    /// Deletes the file, because it is out of date and cannot be replaced.
    pub fn discard(&mut self) -> io::Result<()> {
        if self.lock.is_none() || self.found != Found::Own {
            return Ok(());
        }
        panic_points::point("delete the records");
        missing_is_done(std::fs::remove_file(&self.path))?;
        sync_directory(&self.path)
    }
}

/// Why a file was not read.
enum Unreadable {
    Missing,
    /// The cause may pass, such as that no descriptor is free.
    Passing(io::Error),
    /// It is not a file that crigc wrote.
    NoFile(String),
}

fn missing_is_done(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn is_too_large(bytes: &[u8]) -> bool {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn refuse(path: &Path, why: &str) -> Error {
    let path = visible(&path.to_string_lossy());
    let message = format!(
        "cannot hold image-records-file ({path}): {why}; set it to a file in a directory that exists and is writable, or leave it empty to keep no records"
    );
    Error::new(Status::Io, message)
}

fn read(path: &Path) -> std::result::Result<Vec<u8>, Unreadable> {
    // NONBLOCK: opening a pipe must not wait for a writer.
    let flags =
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    panic_points::point("open the records");
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(Errno::NOENT) => return Err(Unreadable::Missing),
        Err(Errno::LOOP) => return Err(Unreadable::NoFile("it is a symbolic link".to_owned())),
        // It is a socket.
        Err(Errno::NXIO) => return Err(Unreadable::NoFile(NO_FILE.to_owned())),
        Err(e) => return Err(Unreadable::Passing(e.into())),
    };
    panic_points::point("read the records");
    if !file.metadata().map_err(Unreadable::Passing)?.is_file() {
        return Err(Unreadable::NoFile(NO_FILE.to_owned()));
    }
    let mut bytes = Vec::new();
    let mut some = file.take(LARGEST + 1);
    some.read_to_end(&mut bytes).map_err(Unreadable::Passing)?;
    if is_too_large(&bytes) {
        let why = format!("it is larger than {LARGEST} bytes");
        return Err(Unreadable::NoFile(why));
    }
    Ok(bytes)
}

/// The records in the bytes of a file; `Err` = why they cannot be used.
pub fn parse(bytes: &[u8], endpoint: &str, now: i64) -> std::result::Result<ImageRecords, String> {
    let head: Head =
        serde_json::from_slice(bytes).map_err(|e| format!("it has no records of images ({e})"))?;
    if head.format != FORMAT {
        return Err(format!(
            "its format is {}, but this version of crigc reads format {FORMAT}",
            head.format
        ));
    }
    let content: Content =
        serde_json::from_slice(bytes).map_err(|e| format!("it is broken ({e})"))?;
    if content.endpoint != endpoint {
        return Err(format!(
            "its records are of the images at {}, not at {endpoint}",
            visible(&content.endpoint)
        ));
    }
    if content.written > now.saturating_add(SET_BACK) {
        return Err("it was written in the future: the clock was set back".to_owned());
    }
    let mut seen = HashSet::new();
    for row in &content.images {
        if row.id.is_empty() || !seen.insert((&row.id, &row.handler)) {
            let id = visible(&row.id);
            return Err(format!("an image ID is empty, or there twice: {id:?}"));
        }
        if row.unused_since > content.watched {
            let id = visible(&row.id);
            return Err(format!("image {id} has an age beyond the time watched"));
        }
    }
    let images = content.images.into_iter().map(|row| {
        let record = ImageRecord {
            first_detected: row.first_detected,
            detected_boot: None,
            last_used: row.last_used,
            unused_since: Duration::from_nanos(row.unused_since),
            size: row.size,
            pinned: row.pinned,
        };
        ((row.id.into(), row.handler.into()), record)
    });
    Ok(ImageRecords {
        images: images.collect(),
        watched: Duration::from_nanos(content.watched),
    })
}

fn text(records: &ImageRecords, endpoint: &str, now: i64) -> Vec<u8> {
    let row = |((id, handler), record): (&(Text, Text), &ImageRecord)| Row {
        id: id.to_string(),
        handler: handler.to_string(),
        first_detected: record.first_detected,
        last_used: record.last_used,
        unused_since: nanoseconds(record.unused_since).unsigned_abs(),
        size: record.size,
        pinned: record.pinned,
    };
    let mut images: Vec<Row> = records.images.iter().map(row).collect();
    images.sort_unstable_by(|a, b| (&a.id, &a.handler).cmp(&(&b.id, &b.handler)));
    let content = Content {
        format: FORMAT,
        endpoint: endpoint.to_owned(),
        written: now,
        watched: nanoseconds(records.watched).unsigned_abs(),
        images,
    };
    // serde_json cannot fail on plain strings and numbers that it writes to a vector.
    serde_json::to_vec(&content).expect("records are plain data")
}

fn write_new(new: &Path, bytes: &[u8]) -> io::Result<()> {
    // A kill may have left one.
    panic_points::point("clear the way for the new records");
    missing_is_done(std::fs::remove_file(new))?;
    panic_points::point("make the new records");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(new, flags, Mode::RUSR | Mode::WUSR)?);
    panic_points::point("write the records");
    without_sigxfsz(|| file.write_all(bytes))?;
    panic_points::point("sync the records");
    file.sync_all()
}

/// Makes sure that a new name survives a power cut.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    panic_points::point("sync the directory of the records");
    File::open(parent)?.sync_all()
}

fn put_aside(path: &Path) -> io::Result<()> {
    let aside = with_suffix(path, ".aside");
    panic_points::point("put the records aside");
    missing_is_done(std::fs::rename(path, &aside)).map_err(|e| {
        let aside = visible(&aside.to_string_lossy());
        let message = format!("the old file cannot be moved to {aside}: {e}");
        io::Error::new(e.kind(), message)
    })
}
