//! `gc_report` and `gc_entry`.

use super::boundary::{free, guarded, outside, owned, read};
use super::callbacks::gc_fs_usage;
use super::error::gc_status;
use super::names::kind_of;
use crate::error::Status;
use crate::node::Text;
use crate::report::{ByKind, Entry, PaceFigures, Report, printable, push_visible};
use std::ffi::c_char;

/// The kind of a pass.
pub type gc_pass = i32;
/// gc_containers: dead containers, sandboxes, pod logs and log links.
pub const GC_PASS_CONTAINERS: gc_pass = 0;
/// gc_images: unused images.
pub const GC_PASS_IMAGES: gc_pass = 1;
/// gc_pod: the dead containers, sandboxes and logs of one pod.
pub const GC_PASS_POD: gc_pass = 2;

/// The kind of an object. Later versions may add kinds.
pub type gc_kind = i32;
/// A container.
pub const GC_CONTAINER: gc_kind = 0;
/// A pod sandbox.
pub const GC_SANDBOX: gc_kind = 1;
/// The logs of a pod: an entry of pod-logs-dir.
pub const GC_POD_LOGS: gc_kind = 2;
/// A link to a container's log: an entry of container-logs-dir.
pub const GC_LOG_LINK: gc_kind = 3;
/// An image.
pub const GC_IMAGE: gc_kind = 4;
/// For gc_report_count: all kinds.
pub const GC_ANY_KIND: gc_kind = -1;

/// What happened to an object. Later versions may add outcomes; treat one that you do not know as GC_KEPT.
pub type gc_outcome = i32;
/// It was kept; the reason says why.
pub const GC_KEPT: gc_outcome = 0;
/// It was removed; in a dry run: it would be removed.
pub const GC_REMOVED: gc_outcome = 1;
/// Its removal failed: `error` says why it failed, `reason` why it was to be removed.
pub const GC_FAILED: gc_outcome = 2;
/// It was kept because gc_approve_fn did not return 1.
pub const GC_REFUSED: gc_outcome = 3;
/// For gc_report_count: all outcomes.
pub const GC_ANY_OUTCOME: gc_outcome = -1;

/// One object that a pass decided on. The library allocates it, and later versions add fields at the end: do not allocate one, and
/// do not embed one in a struct of yours. All strings are borrowed from the report. In them U+FFFD stands for bytes that were not
/// UTF-8, `\n` or `\u{7f}` for control characters, and two backslashes for one.
#[repr(C)]
pub struct gc_entry {
    /// The kind of the object.
    pub kind: gc_kind,
    /// What happened to it.
    pub outcome: gc_outcome,
    /// The ID of a container, sandbox or image, or the path of logs or a link. Never NULL.
    pub id: *const c_char,
    /// namespace/pod/container, namespace/pod, or the image's first tag; "" if none. Never NULL.
    pub name: *const c_char,
    /// The UID of its pod; "" if none. Never NULL.
    pub pod_uid: *const c_char,
    /// Why it was removed, was to be removed, or was kept: a stable word of the list at the head of this file; gc_reason_text has a
    /// sentence for it. Later versions may add words. Never NULL, and always valid.
    pub reason: *const c_char,
    /// What failed; NULL unless the outcome is GC_FAILED or GC_REFUSED.
    pub error: *const c_char,
    /// The size of an image in bytes, as the runtime reports it; 0 for other kinds.
    pub bytes: u64,
}

/// How the runtime's calls that remove objects of one kind ran in a pass (those for a sandbox begin with its stop). The library allocates
/// it, and later versions add fields at the end: do not allocate one, and do not rely on its size.
#[repr(C)]
pub struct gc_pace {
    /// How many were in flight, on average over the time while there was at least one.
    pub in_flight_mean: f64,
    /// The most that were in flight at once.
    pub in_flight_most: u64,
    /// For how many seconds nothing was begun because removals had become slow.
    pub rest_seconds: f64,
}

/// What a pass decided and did: one entry for each object. Whoever receives it through a `gc_report **` frees it with gc_report_free.
/// It outlives the engine, and several threads may read it at once.
pub struct gc_report {
    report: Report,
    entries: Vec<gc_entry>,
    /// How full the image filesystem was, before and after.
    filesystem: Option<(gc_fs_usage, gc_fs_usage)>,
    pace: ByKind<gc_pace>,
    /// The strings that the entries point to; the buffer does not move with the report.
    _texts: String,
}

// SAFETY: the pointers in `entries` point into `_texts`, which nobody changes after `new`.
unsafe impl Send for gc_report {}
// SAFETY: as above.
unsafe impl Sync for gc_report {}

/// The strings of entries for C, one after the other, each with a NUL at its end: one allocation for a whole report.
#[derive(Default)]
struct Texts {
    all: String,
    /// The last UID and where it begins: objects of a pod follow each other.
    uid: Option<(Text, usize)>,
}

/// Where the strings of an entry begin.
struct Places {
    id: usize,
    name: usize,
    pod_uid: usize,
    error: Option<usize>,
}

impl Texts {
    /// Appends what `write` writes, which holds no NUL, and returns where it begins.
    fn put(&mut self, write: impl FnOnce(&mut String)) -> usize {
        let begin = self.all.len();
        write(&mut self.all);
        self.all.push('\0');
        begin
    }

    fn uid(&mut self, uid: &Text) -> usize {
        match &self.uid {
            Some((last, begin)) if last == uid => *begin,
            _ => {
                let begin = self.put(|out| push_visible(out, uid));
                self.uid = Some((uid.clone(), begin));
                begin
            }
        }
    }

    fn places(&mut self, entry: &Entry) -> Places {
        Places {
            id: self.put(|out| push_visible(out, &entry.id)),
            name: self.put(|out| push_visible(out, &entry.name)),
            pod_uid: self.uid(&entry.pod_uid),
            error: entry
                .error
                .as_deref()
                .map(|e| self.put(|out| out.push_str(&printable(e)))),
        }
    }
}

/// Entries as C sees them, and the strings that they point to.
fn entries_of(report: &[Entry]) -> (Vec<gc_entry>, String) {
    let mut texts = Texts::default();
    let places: Vec<Places> = report.iter().map(|entry| texts.places(entry)).collect();
    // Nothing is written from here on, so nothing moves.
    let texts = texts.all;
    let at = |begin: usize| texts[begin..].as_ptr().cast::<c_char>();
    let entries = report
        .iter()
        .zip(places)
        .map(|(entry, places)| gc_entry {
            kind: entry.kind as gc_kind,
            outcome: entry.outcome as gc_outcome,
            id: at(places.id),
            name: at(places.name),
            pod_uid: at(places.pod_uid),
            reason: entry.reason.c_word().as_ptr(),
            error: places.error.map_or(std::ptr::null(), at),
            bytes: entry.bytes,
        })
        .collect();
    (entries, texts)
}

/// Runs `call` with an entry as C sees it.
pub(super) fn with_entry<R>(entry: &Entry, call: impl FnOnce(*const gc_entry) -> R) -> R {
    let (entries, _texts) = entries_of(std::slice::from_ref(entry));
    call(entries.as_ptr())
}

impl gc_report {
    pub(super) fn new(report: Report) -> gc_report {
        let (entries, texts) = entries_of(&report.entries);
        let of_c = |usage| gc_fs_usage::from(&usage);
        let pace = |figures: &PaceFigures| gc_pace {
            in_flight_mean: figures.in_flight_mean,
            in_flight_most: figures.in_flight_most as u64,
            rest_seconds: figures.rest_seconds,
        };
        gc_report {
            filesystem: report.filesystem.map(|(b, a)| (of_c(b), of_c(a))),
            pace: report.pace.map(pace),
            report,
            entries,
            _texts: texts,
        }
    }

    pub(super) fn report(&self) -> &Report {
        &self.report
    }
}

fn or_null<T>(found: Option<&T>) -> *const T {
    found.map_or(std::ptr::null(), std::ptr::from_ref)
}

/// Returns 1 for the report of a dry run, where GC_REMOVED means "would be removed"; else 0. 0 for NULL. May be called from
/// callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_dry_run(report: *const gc_report) -> i32 {
    // SAFETY: the host's promise.
    unsafe { read(report, 0, |r| r.report.dry_run.into()) }
}

/// Returns when the pass began, in nanoseconds since the epoch, by gc_clock_fn if it is set. 0 for NULL, and for a pass that failed
/// because gc_clock_fn returned 0 or less. May be called from callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_started(report: *const gc_report) -> i64 {
    // SAFETY: the host's promise.
    unsafe { read(report, 0, |r| r.report.started) }
}

/// Returns how long the pass took, in seconds. 0 for NULL. May be called from callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_seconds(report: *const gc_report) -> f64 {
    // SAFETY: the host's promise.
    unsafe { read(report, 0.0, |r| r.report.seconds) }
}

/// Returns how the pass ended: GC_OK, or the status of its error. GC_OK for NULL. May be called from callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_status(report: *const gc_report) -> gc_status {
    guarded(Status::Internal as gc_status, || {
        // SAFETY: the host's promise.
        let report = unsafe { report.as_ref() };
        report.map_or(Status::Ok, |r| r.report.status()) as gc_status
    })
}

/// Returns how full the image filesystem was when the pass first read it. The struct is valid until the report is freed. Returns NULL
/// if the pass did not read it (a container pass, or an image pass that ended earlier or could not read it), and for NULL. May be
/// called from callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_fs_before(report: *const gc_report) -> *const gc_fs_usage {
    let before = |r: &gc_report| or_null(r.filesystem.as_ref().map(|(before, _)| before));
    // SAFETY: the host's promise.
    unsafe { read(report, std::ptr::null(), before) }
}

/// The same when the pass last read it, after its removals. If the pass removed nothing, both structs are equal.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_fs_after(report: *const gc_report) -> *const gc_fs_usage {
    let after = |r: &gc_report| or_null(r.filesystem.as_ref().map(|(_, after)| after));
    // SAFETY: the host's promise.
    unsafe { read(report, std::ptr::null(), after) }
}

/// Returns how the removals of a kind ran: how many at once, and how long nothing was begun because they had become slow. The struct is
/// valid until the report is freed. Returns NULL if the runtime was not called to remove an object of this kind, and for NULL. May be
/// called from callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_pace(report: *const gc_report, kind: gc_kind) -> *const gc_pace {
    let pace = |r: &gc_report| or_null(kind_of(kind).and_then(|kind| r.pace.get(kind)));
    // SAFETY: the host's promise.
    unsafe { read(report, std::ptr::null(), pace) }
}

/// Returns how many objects have this kind (or GC_ANY_KIND) and this outcome (or GC_ANY_OUTCOME). 0 for NULL, and for numbers that
/// this version does not know. May be called from callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_count(
    report: *const gc_report,
    kind: gc_kind,
    outcome: gc_outcome,
) -> usize {
    let counts = |e: &&gc_entry| {
        (kind == GC_ANY_KIND || e.kind == kind)
            && (outcome == GC_ANY_OUTCOME || e.outcome == outcome)
    };
    // SAFETY: the host's promise.
    unsafe { read(report, 0, |r| r.entries.iter().filter(counts).count()) }
}

/// Returns how many bytes the removed images had (in a dry run: those that would be removed), as the runtime reports their sizes. 0
/// for NULL. May be called from callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_bytes_freed(report: *const gc_report) -> u64 {
    // SAFETY: the host's promise.
    unsafe { read(report, 0, |r| r.report.bytes_freed) }
}

/// Returns the number of entries. 0 for NULL. May be called from callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_len(report: *const gc_report) -> usize {
    // SAFETY: the host's promise.
    unsafe { read(report, 0, |r| r.entries.len()) }
}

/// Returns the entry at `index`, counted from 0. It is valid until the report is freed. Returns NULL past the end, and for NULL. May
/// be called from callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_entry(
    report: *const gc_report,
    index: usize,
) -> *const gc_entry {
    let entry = |r: &gc_report| or_null(r.entries.get(index));
    // SAFETY: the host's promise.
    unsafe { read(report, std::ptr::null(), entry) }
}

/// Returns the report as one JSON object: {"pass": "containers" | "images" | "pod", "status": "GC_OK" or another status, "error": text
/// or null, "dry_run": bool, "started": RFC 3339 time, "seconds": number, "removed": {"container": n, "sandbox": n, "pod-logs": n,
/// "log-link": n, "image": n}, the same for "kept", "failed" and "refused", "bytes_freed": n, "fs": {"capacity",
/// "available_before", "available_after" in bytes, "inodes", "inodes_free_before", "inodes_free_after"} or null (see
/// gc_report_fs_before), "pace": {"container": {"in_flight_mean", "in_flight_most", "rest_seconds"}, ...} (the kinds for which
/// gc_report_pace is not NULL), "entries": [{"kind", "outcome", "id", "name", "pod_uid", "reason", "error" (or null), "bytes"}]}. The
/// caller frees it with gc_string_free. Returns NULL for NULL. May be called from callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_json(report: *const gc_report) -> *mut c_char {
    // SAFETY: the host's promise.
    unsafe { read(report, std::ptr::null_mut(), |r| owned(&r.report.json())) }
}

/// Frees a report. NULL does nothing. In a callback it frees nothing; the report that a callback receives is only borrowed.
///
/// # Safety
/// `report` is NULL or a handle that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_free(report: *mut gc_report) {
    // SAFETY: the host's promise.
    outside((), || unsafe { free(report) });
}
