//! The report of a pass, with one entry for each object that the pass decided on, and its JSON form.

pub use crate::compared::{Age, Compared, Disk, Extra, Since, Why, number};
use crate::error::{Error, Status};
use crate::node::{FsUsage, Text};
pub use crate::reason::Reason;
use serde::{Serialize, Serializer};
use std::ffi::CStr;

/// The kind of a pass; the numbers of `gc_pass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(i32)]
pub enum Pass {
    /// `gc_containers`: S1 to S4.
    Containers = 0,
    /// `gc_images`: S5.
    Images = 1,
    /// `gc_pod`: S8.
    Pod = 2,
}

impl Pass {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Pass; 3] = [Pass::Containers, Pass::Images, Pass::Pod];

    /// Its name in a report.
    pub fn word(self) -> &'static str {
        match self {
            Pass::Containers => "containers",
            Pass::Images => "images",
            Pass::Pod => "pod",
        }
    }
}

/// The kind of an object; the numbers of `gc_kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(i32)]
pub enum Kind {
    /// A container.
    Container = 0,
    /// A pod sandbox.
    Sandbox = 1,
    /// The logs of a pod: an entry of `pod-logs-dir`.
    PodLogs = 2,
    /// An entry of `container-logs-dir`.
    LogLink = 3,
    /// An image.
    Image = 4,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 5] = [
        Kind::Container,
        Kind::Sandbox,
        Kind::PodLogs,
        Kind::LogLink,
        Kind::Image,
    ];

    /// Its name in a report.
    pub fn name(self) -> &'static CStr {
        match self {
            Kind::Container => c"container",
            Kind::Sandbox => c"sandbox",
            Kind::PodLogs => c"pod-logs",
            Kind::LogLink => c"log-link",
            Kind::Image => c"image",
        }
    }

    /// The same for Rust.
    pub fn word(self) -> &'static str {
        // The names are ASCII.
        self.name().to_str().unwrap_or_default()
    }
}

/// A value for each kind that has one, in the order of the kinds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ByKind<T>([Option<T>; Kind::ALL.len()]);

impl<T> Default for ByKind<T> {
    fn default() -> ByKind<T> {
        ByKind::new(|_| None)
    }
}

impl<T> ByKind<T> {
    /// The values that a function gives.
    pub fn new(value: impl FnMut(Kind) -> Option<T>) -> ByKind<T> {
        ByKind(Kind::ALL.map(value))
    }

    /// The value of a kind.
    pub fn get(&self, kind: Kind) -> Option<&T> {
        self.0[kind as usize].as_ref()
    }

    /// The same, to be changed or given.
    pub fn entry(&mut self, kind: Kind) -> &mut Option<T> {
        &mut self.0[kind as usize]
    }

    /// The kinds that have a value, with it.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &T)> {
        let values = Kind::ALL.into_iter().zip(&self.0);
        values.filter_map(|(kind, value)| Some((kind, value.as_ref()?)))
    }

    /// Other values for the same kinds.
    pub fn map<U>(&self, value: impl Fn(&T) -> U) -> ByKind<U> {
        ByKind::new(|kind| self.get(kind).map(&value))
    }
}

/// As a map.
impl<T: Serialize> Serialize for ByKind<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// What happened to an object; the numbers of `gc_outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(i32)]
pub enum Outcome {
    /// It was kept.
    Kept = 0,
    /// It was removed; in a dry run: it would be removed.
    Removed = 1,
    /// Its removal failed.
    Failed = 2,
    /// The host did not approve.
    Refused = 3,
}

impl Outcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Outcome; 4] = [
        Outcome::Kept,
        Outcome::Removed,
        Outcome::Failed,
        Outcome::Refused,
    ];

    /// Its name in a report.
    pub fn name(self) -> &'static CStr {
        match self {
            Outcome::Kept => c"kept",
            Outcome::Removed => c"removed",
            Outcome::Failed => c"failed",
            Outcome::Refused => c"refused",
        }
    }
}

/// One object that a pass decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The kind of the object.
    pub kind: Kind,
    /// What happened to it.
    pub outcome: Outcome,
    /// Container, sandbox or image ID, or a path; as the runtime gave it.
    pub id: Text,
    /// `namespace/pod/container`, `namespace/pod`, or the image's first tag; "" if none.
    pub name: Text,
    /// The UID of its pod; "" if none.
    pub pod_uid: Text,
    /// Why it was removed, was to be removed, or was kept.
    pub reason: Reason,
    /// What was compared for this reason.
    pub compared: Compared,
    /// What failed; set for [`Outcome::Failed`] and [`Outcome::Refused`].
    pub error: Option<String>,
    /// The size of an image; 0 for other kinds.
    pub bytes: u64,
}

/// How the runtime's calls that remove objects of one kind ran (S2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PaceFigures {
    /// How many were in flight, on average over the time while there was at least one.
    pub in_flight_mean: f64,
    /// The most that were in flight at once.
    pub in_flight_most: usize,
    /// How long nothing was begun because removals had become slow.
    pub rest_seconds: f64,
}

/// What one pass decided and did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The kind of the pass.
    pub pass: Pass,
    /// The pass only decided; it removed nothing.
    pub dry_run: bool,
    /// When the pass began; ns since the epoch by the host's clock.
    pub started: i64,
    /// How long it took.
    pub seconds: f64,
    /// Bytes of the removed images.
    pub bytes_freed: u64,
    /// The first and the last figures of the image filesystem that the pass read; `None` = it read none.
    pub filesystem: Option<(FsUsage, FsUsage)>,
    /// What the goal of an image pass rests on; `None` = it does not depend on the image filesystem.
    pub disk: Option<Disk>,
    /// `hold-file`.
    pub hold_file: Option<String>,
    /// How removals ran, for each kind of which the runtime was called to remove an object.
    pub pace: ByKind<PaceFigures>,
    /// Why the pass failed, if it did.
    pub failure: Option<Error>,
    /// One for each object, in the order of the decisions.
    pub entries: Vec<Entry>,
}

/// The JSON form of [`Entry`].
#[derive(Serialize)]
struct JsonEntry<'a> {
    kind: Kind,
    outcome: Outcome,
    id: String,
    name: String,
    pod_uid: String,
    reason: &'a str,
    error: Option<String>,
    bytes: u64,
}

/// The JSON form of the figures of a filesystem.
#[derive(Serialize)]
struct JsonFilesystem {
    capacity: u64,
    available_before: u64,
    available_after: u64,
    inodes: u64,
    inodes_free_before: u64,
    inodes_free_after: u64,
}

/// The JSON form of [`Report`].
#[derive(Serialize)]
struct JsonReport<'a> {
    pass: Pass,
    status: &'a str,
    error: Option<String>,
    dry_run: bool,
    started: String,
    seconds: f64,
    removed: ByKind<usize>,
    kept: ByKind<usize>,
    failed: ByKind<usize>,
    refused: ByKind<usize>,
    bytes_freed: u64,
    fs: Option<JsonFilesystem>,
    pace: &'a ByKind<PaceFigures>,
    entries: Vec<JsonEntry<'a>>,
}

impl Report {
    /// How many entries have this kind and this outcome; `None` = any.
    pub fn count(&self, kind: Option<Kind>, outcome: Option<Outcome>) -> usize {
        self.entries
            .iter()
            .filter(|e| kind.is_none_or(|k| e.kind == k) && outcome.is_none_or(|o| e.outcome == o))
            .count()
    }

    /// How the pass ended.
    pub fn status(&self) -> Status {
        self.failure.as_ref().map_or(Status::Ok, |e| e.status)
    }

    fn counts(&self, outcome: Outcome) -> ByKind<usize> {
        ByKind::new(|kind| Some(self.count(Some(kind), Some(outcome))))
    }

    /// The JSON form of gc_report_json.
    pub fn json(&self) -> String {
        let report = JsonReport {
            pass: self.pass,
            status: self.status().name(),
            error: self.failure.as_ref().map(|e| printable(&e.message)),
            dry_run: self.dry_run,
            started: rfc3339(self.started),
            seconds: self.seconds,
            removed: self.counts(Outcome::Removed),
            kept: self.counts(Outcome::Kept),
            failed: self.counts(Outcome::Failed),
            refused: self.counts(Outcome::Refused),
            fs: self.filesystem.map(|(before, after)| JsonFilesystem {
                capacity: after.capacity,
                available_before: before.available,
                available_after: after.available,
                inodes: after.inodes,
                inodes_free_before: before.inodes_free,
                inodes_free_after: after.inodes_free,
            }),
            bytes_freed: self.bytes_freed,
            pace: &self.pace,
            entries: self.entries.iter().map(JsonEntry::from).collect(),
        };
        // serde_json refuses neither strings nor numbers, and a String takes all that it writes.
        serde_json::to_string(&report).expect("a report is plain data")
    }
}

impl<'a> From<&'a Entry> for JsonEntry<'a> {
    fn from(entry: &'a Entry) -> JsonEntry<'a> {
        JsonEntry {
            kind: entry.kind,
            outcome: entry.outcome,
            id: visible(&entry.id),
            name: visible(&entry.name),
            pod_uid: visible(&entry.pod_uid),
            reason: entry.reason.word(),
            error: entry.error.as_deref().map(printable),
            bytes: entry.bytes,
        }
    }
}

/// Nanoseconds since the epoch as RFC 3339 in UTC.
pub(crate) fn rfc3339(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// A name as it may be written to root's log or terminal: control characters as `\n` or `\u{7f}`, a backslash doubled.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_visible(&mut out, text);
    out
}

/// The same, appended to `out`.
pub fn push_visible(out: &mut String, text: &str) {
    // Nearly all names are plain.
    if text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'\\') {
        return out.push_str(text);
    }
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            c => push_printable(out, c),
        }
    }
}

/// A message of ours, whose names are `visible` already: only control characters are still to be escaped.
pub fn printable(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    message.chars().for_each(|c| push_printable(&mut out, c));
    out
}

fn push_printable(out: &mut String, c: char) {
    if c.is_control() {
        out.extend(c.escape_default())
    } else {
        out.push(c)
    }
}
