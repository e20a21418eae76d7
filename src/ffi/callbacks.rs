//! The callbacks of the host, as closures that a pass can call (see Callbacks in crigc.h).

use super::boundary::{c_message, c_string, enter_callback};
use super::error::{gc_error, gc_status};
use super::report::{gc_entry, gc_kind, gc_pass, gc_report, with_entry};
use crate::error::{Error, Status};
use crate::hooks::{Hook, Hooks, LogLevel};
use crate::node::{FsUsage, PodState, PodStates, Text};
use crate::report::{Entry, Kind, Pass, Report};
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};

/// What may go of a pod: bits. Unknown bits are ignored.
pub type gc_pod_state = u32;
/// Everything the pod left behind may go: it was evicted, or deleted and terminated, or the host, which knows all its pods,
/// does not know this UID.
pub const GC_POD_CONTENT_REMOVABLE: gc_pod_state = 1;
/// Its containers and sandboxes may go (it has terminated), though the pod may still exist. Counts with GC_ALL_UNUSED.
pub const GC_POD_RUNTIME_REMOVABLE: gc_pod_state = 2;

/// How much a log message matters.
pub type gc_log_level = i32;
/// Something failed.
pub const GC_LOG_ERROR: gc_log_level = 0;
/// Something is odd.
pub const GC_LOG_WARN: gc_log_level = 1;
/// What was done.
pub const GC_LOG_INFO: gc_log_level = 2;
/// Why each object stayed.
pub const GC_LOG_DEBUG: gc_log_level = 3;

/// Figures of a filesystem. Allocated by the library, and grows at its end: never embed or allocate one.
#[repr(C)]
#[derive(Default)]
pub struct gc_fs_usage {
    /// Size in bytes.
    pub capacity: u64,
    /// Bytes that are available to users without privileges.
    pub available: u64,
    /// How many inodes there are; 0 = unknown.
    pub inodes: u64,
    /// How many of them are free.
    pub inodes_free: u64,
}

impl From<&FsUsage> for gc_fs_usage {
    fn from(usage: &FsUsage) -> gc_fs_usage {
        gc_fs_usage {
            capacity: usage.capacity,
            available: usage.available,
            inodes: usage.inodes,
            inodes_free: usage.inodes_free,
        }
    }
}

/// Which pods may lose something. `states[0..count)` come zeroed ("keep"); set those of `uids[0..count)`, which are the
/// runtime's bytes; one with control characters or bytes that are no UTF-8 is not asked about, and limits alone hold for its
/// pod. 1 = all pod sources have been seen; anything else = not yet: nothing goes for a pod's sake, and limits hold all the same.
/// Asked a few times a pass, more often where a list comes in parts (S7), also about none (both pointers are NULL then); and once
/// right before each log directory is removed, about its pod alone.
///
/// `*as_of` comes as 0: the answer is of now. A host whose picture of its pods is of the past, such as a list that somebody made
/// 40 seconds ago, sets when the picture was true, in ns since the epoch (the time before it asked for the list, by the node's
/// clock). A pod of which a container or sandbox was created, or something in its log directory changed, after that moment is
/// then not removable in this pass, reason newer-than-answer: the picture may not know it yet. This is judged once for each pod,
/// before anything of it is removed. A moment later than now, or negative, counts as "not yet". `as_of` is never NULL.
pub type gc_pod_states_fn = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        uids: *const *const c_char,
        states: *mut gc_pod_state,
        count: usize,
        as_of: *mut i64,
    ) -> i32,
>;
/// Whether an object may be removed: 1 = yes, anything else = no. Asked right before the removal, never in a dry run. `planned`
/// is lent for the call: `reason` is why it is to go, `outcome` is GC_KEPT (nothing has happened yet), `error` NULL.
pub type gc_approve_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, planned: *const gc_entry) -> i32>;
/// The host's own figures of the image filesystem: `usage` comes zeroed; 1 = filled, anything else = none, and the pass fails
/// with GC_ERROR_IO (with GC_ALL_UNUSED it goes on: the figures are for the report alone). Asked again after each image that is
/// removed for space: when enough is available, no more are removed.
pub type gc_image_fs_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, usage: *mut gc_fs_usage) -> i32>;
/// Hears what happens, a line at a time.
pub type gc_log_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, level: gc_log_level, message: *const c_char)>;
/// Hears of events, all of the Kubernetes type Warning: from every pass FreeDiskSpaceFailed, InvalidDiskCapacity and
/// PodStatesContradicted; from periodic passes ContainerGCFailed, and ImageGCFailed from the second failure in a row.
pub type gc_event_fn = Option<
    unsafe extern "C" fn(context: *mut c_void, reason: *const c_char, message: *const c_char),
>;
/// Hears how far the removals of one kind are. `done` counts those that ended, removed or failed; `total` is that and what may
/// still go: it becomes less where objects stay after all (refused, held, changed), so a stage may end below it. Not called in a
/// dry run, and not after a cancel, a close or a deadline.
pub type gc_progress_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, kind: gc_kind, done: usize, total: usize)>;
/// Hears that a pass has ended, periodic or called. `report` and `error` are lent for the call; `report` is never NULL, `error`
/// is NULL if all went well. Not called for a call whose pass never began (it was closed, cancelled or busy before its turn).
pub type gc_pass_fn = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        pass: gc_pass,
        status: gc_status,
        report: *const gc_report,
        error: *const gc_error,
    ),
>;
/// The wall clock: nanoseconds since the epoch. A value that is not above 0 fails the pass
/// (GC_ERROR_INVALID_ARGUMENT).
pub type gc_clock_fn = Option<unsafe extern "C" fn(context: *mut c_void) -> i64>;

/// The host's context: handed through, never dereferenced.
#[derive(Clone, Copy)]
pub(super) struct Context(*mut c_void);

// SAFETY: only the host's functions look behind it, and the interface tells the host on which threads they run.
unsafe impl Send for Context {}

impl Context {
    pub(super) fn new(context: *mut c_void) -> Context {
        Context(context)
    }

    /// A method, so that closures take the whole value and not the bare pointer in it.
    fn pointer(self) -> *mut c_void {
        self.0
    }
}

/// A function with its context; `None` = not set.
#[derive(Clone, Copy)]
pub(super) struct Callback<F>(Option<(F, Context)>);

impl<F> Default for Callback<F> {
    fn default() -> Callback<F> {
        Callback(None)
    }
}

impl<F> Callback<F> {
    pub(super) fn set(&mut self, function: Option<F>, context: *mut c_void) {
        self.0 = function.map(|function| (function, Context::new(context)));
    }
}

type PodStatesFn = unsafe extern "C" fn(
    *mut c_void,
    *const *const c_char,
    *mut gc_pod_state,
    usize,
    *mut i64,
) -> i32;
type ApproveFn = unsafe extern "C" fn(*mut c_void, *const gc_entry) -> i32;
type ImageFsFn = unsafe extern "C" fn(*mut c_void, *mut gc_fs_usage) -> i32;
type LogFn = unsafe extern "C" fn(*mut c_void, gc_log_level, *const c_char);
type EventFn = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char);
type ProgressFn = unsafe extern "C" fn(*mut c_void, gc_kind, usize, usize);
type PassFn =
    unsafe extern "C" fn(*mut c_void, gc_pass, gc_status, *const gc_report, *const gc_error);
type ClockFn = unsafe extern "C" fn(*mut c_void) -> i64;

/// All callbacks of a configuration.
#[derive(Clone, Copy, Default)]
pub(super) struct Callbacks {
    pub(super) pod_states: Callback<PodStatesFn>,
    pub(super) approve: Callback<ApproveFn>,
    pub(super) image_fs: Callback<ImageFsFn>,
    pub(super) log: Callback<LogFn>,
    pub(super) log_level: gc_log_level,
    pub(super) event: Callback<EventFn>,
    pub(super) progress: Callback<ProgressFn>,
    pub(super) pass: Callback<PassFn>,
    pub(super) clock: Callback<ClockFn>,
}

fn ask_pods(function: PodStatesFn, context: Context, uids: &[Text]) -> PodStates {
    // A UID with a NUL is never asked about (S0.3), so none is dropped here.
    let asked: Vec<(&Text, CString)> = uids
        .iter()
        .filter_map(|uid| Some((uid, CString::new(uid.as_bytes()).ok()?)))
        .collect();
    let pointers: Vec<*const c_char> = asked.iter().map(|(_, uid)| uid.as_ptr()).collect();
    let mut states: Vec<gc_pod_state> = vec![0; asked.len()];
    // An empty vector's pointer is no address, and some languages look at what they are handed.
    let (first_uid, first_state) = match asked.is_empty() {
        true => (std::ptr::null(), std::ptr::null_mut()),
        false => (pointers.as_ptr(), states.as_mut_ptr()),
    };
    let mut as_of = 0;
    let ready = {
        let _callback = enter_callback();
        let (count, as_of) = (asked.len(), &raw mut as_of);
        // SAFETY: both arrays have `count` elements and live through the call, as `as_of` does; the function is the host's.
        unsafe { function(context.pointer(), first_uid, first_state, count, as_of) }
    };
    let states: HashMap<Text, PodState> = asked
        .iter()
        .zip(states)
        .map(|((uid, _), bits)| ((*uid).clone(), state(bits)))
        .collect();
    PodStates {
        ready: ready == 1,
        states,
        as_of,
    }
}

fn state(bits: gc_pod_state) -> PodState {
    PodState {
        content_removable: bits & GC_POD_CONTENT_REMOVABLE != 0,
        runtime_removable: bits & GC_POD_RUNTIME_REMOVABLE != 0,
    }
}

fn ask_approval(function: ApproveFn, context: Context, planned: &Entry) -> bool {
    with_entry(planned, |entry| {
        let _callback = enter_callback();
        // SAFETY: the entry lives through the call; the function is the host's.
        unsafe { function(context.pointer(), entry) == 1 }
    })
}

fn ask_usage(function: ImageFsFn, context: Context) -> Option<FsUsage> {
    let mut usage = gc_fs_usage::default();
    let filled = {
        let _callback = enter_callback();
        // SAFETY: `usage` lives through the call; the function is the host's.
        unsafe { function(context.pointer(), &raw mut usage) }
    };
    (filled == 1).then_some(FsUsage {
        capacity: usage.capacity,
        available: usage.available,
        inodes: usage.inodes,
        inodes_free: usage.inodes_free,
    })
}

fn tell_pass(
    function: PassFn,
    context: Context,
    pass: Pass,
    report: Option<&Report>,
    error: Option<&Error>,
) {
    let status = error.map_or(Status::Ok, |e| e.status);
    let report = report.cloned().map(gc_report::new);
    let error = error.map(gc_error::new);
    let report = report.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let error = error.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let _callback = enter_callback();
    // SAFETY: report and error live through the call; the function is the host's.
    unsafe {
        function(
            context.pointer(),
            pass as gc_pass,
            status as gc_status,
            report,
            error,
        );
    }
}

fn level(level: gc_log_level) -> LogLevel {
    match level {
        ..=GC_LOG_ERROR => LogLevel::Error,
        GC_LOG_WARN => LogLevel::Warn,
        GC_LOG_INFO => LogLevel::Info,
        _ => LogLevel::Debug,
    }
}

impl Callbacks {
    /// The closures that an engine calls.
    pub(super) fn hooks(&self) -> Hooks {
        Hooks {
            pod_states: self.pod_states.0.map(|(f, context)| {
                Hook::new(Box::new(move |uids: &[Text]| ask_pods(f, context, uids)) as _)
            }),
            approve: self.approve.0.map(|(f, context)| {
                Hook::new(Box::new(move |planned: &Entry| ask_approval(f, context, planned)) as _)
            }),
            image_fs: self
                .image_fs
                .0
                .map(|(f, context)| Hook::new(Box::new(move || ask_usage(f, context)) as _)),
            log: self.log.0.map(|(f, context)| {
                let tell = move |level: LogLevel, message: &str| {
                    let message = c_message(message);
                    let _callback = enter_callback();
                    // SAFETY: the message lives through the call; the function is the host's.
                    unsafe { f(context.pointer(), level as gc_log_level, message.as_ptr()) }
                };
                (level(self.log_level), Hook::new(Box::new(tell) as _))
            }),
            event: self.event.0.map(|(f, context)| {
                let tell = move |reason: &str, message: &str| {
                    let (reason, message) = (c_string(reason), c_message(message));
                    let _callback = enter_callback();
                    // SAFETY: both strings live through the call; the function is the host's.
                    unsafe { f(context.pointer(), reason.as_ptr(), message.as_ptr()) }
                };
                Hook::new(Box::new(tell) as _)
            }),
            progress: self.progress.0.map(|(f, context)| {
                let tell = move |kind: Kind, done: usize, total: usize| {
                    let _callback = enter_callback();
                    // SAFETY: plain numbers; the function is the host's.
                    unsafe { f(context.pointer(), kind as gc_kind, done, total) }
                };
                Hook::new(Box::new(tell) as _)
            }),
            pass: self.pass.0.map(|(f, context)| {
                let tell = move |pass: Pass, report: Option<&Report>, error: Option<&Error>| {
                    tell_pass(f, context, pass, report, error);
                };
                Hook::new(Box::new(tell) as _)
            }),
            clock: self.clock.0.map(|(f, context)| {
                let ask = move || {
                    let _callback = enter_callback();
                    // SAFETY: no arguments but the context; the function is the host's.
                    unsafe { f(context.pointer()) }
                };
                Hook::new(Box::new(ask) as _)
            }),
            stop_wait: None,
        }
    }
}
