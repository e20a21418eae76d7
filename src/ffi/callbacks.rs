//! The callbacks of the host, each with its type, and how it becomes a closure that a pass can call (see Callbacks in crigc.h).

use super::boundary::{Context, c_message, c_string, enter_callback, outside};
use super::config::gc_config;
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

impl From<gc_fs_usage> for FsUsage {
    fn from(usage: gc_fs_usage) -> FsUsage {
        FsUsage {
            capacity: usage.capacity,
            available: usage.available,
            inodes: usage.inodes,
            inodes_free: usage.inodes_free,
        }
    }
}

/// Changes the callbacks of a configuration, unless that is NULL or a callback asks for it.
fn change(config: Option<&mut gc_config>, set: impl FnOnce(&mut Hooks)) {
    outside((), || {
        if let Some(config) = config {
            set(&mut config.hooks);
        }
    });
}

/// Hears what happens, a line at a time.
pub type gc_log_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, level: gc_log_level, message: *const c_char)>;

/// Sets the callback for the log: messages up to the level `up_to` (below GC_LOG_ERROR counts as that, above GC_LOG_DEBUG as
/// that); a NULL function clears it. A NULL config does nothing.
///
/// # Safety
/// `config` is NULL or a live handle; function and context are usable until config and engine are both freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set_log(
    config: *mut gc_config,
    up_to: gc_log_level,
    function: gc_log_fn,
    context: *mut c_void,
) {
    let context = Context(context);
    // SAFETY: the host's promise.
    change(unsafe { config.as_mut() }, |hooks| {
        hooks.log = function.map(|f| {
            let tell = move |level: LogLevel, message: &str| {
                let message = c_message(message);
                let _callback = enter_callback();
                // SAFETY: the message lives through the call; the function is the host's.
                unsafe { f(context.pointer(), level as gc_log_level, message.as_ptr()) }
            };
            (level(up_to), Hook::new(Box::new(tell) as _))
        });
    });
}

fn level(level: gc_log_level) -> LogLevel {
    match level {
        ..=GC_LOG_ERROR => LogLevel::Error,
        GC_LOG_WARN => LogLevel::Warn,
        GC_LOG_INFO => LogLevel::Info,
        _ => LogLevel::Debug,
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

/// Sets the callback for who may lose something. Without it no pod loses anything for its own sake: only limits and
/// thresholds apply. A NULL function clears it. A NULL config does nothing.
///
/// # Safety
/// As for gc_config_set_log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set_pod_states(
    config: *mut gc_config,
    function: gc_pod_states_fn,
    context: *mut c_void,
) {
    let context = Context(context);
    // SAFETY: the host's promise.
    change(unsafe { config.as_mut() }, |hooks| {
        hooks.pod_states = function.map(|f| {
            let ask = move |uids: &[Text]| {
                ask_pods(uids, |uids, states, count, as_of| {
                    // SAFETY: both arrays have `count` elements and live through the call, as `as_of` does; the function is the host's.
                    unsafe { f(context.pointer(), uids, states, count, as_of) }
                })
            };
            Hook::new(Box::new(ask) as _)
        });
    });
}

/// Asks a callback about pods.
fn ask_pods(
    uids: &[Text],
    ask: impl FnOnce(*const *const c_char, *mut gc_pod_state, usize, *mut i64) -> i32,
) -> PodStates {
    // A UID with a NUL is never asked about (S0.3), so none is dropped here.
    let asked: Vec<(&Text, CString)> = uids
        .iter()
        .filter_map(|uid| Some((uid, CString::new(uid.as_bytes()).ok()?)))
        .collect();
    let pointers: Vec<*const c_char> = asked.iter().map(|(_, uid)| uid.as_ptr()).collect();
    let mut states: Vec<gc_pod_state> = vec![0; asked.len()];
    // An empty vector's pointer is no address, and some languages look at what they are handed.
    let (first_uid, first_state) = if asked.is_empty() {
        (std::ptr::null(), std::ptr::null_mut())
    } else {
        (pointers.as_ptr(), states.as_mut_ptr())
    };
    let mut as_of = 0;
    let ready = {
        let _callback = enter_callback();
        ask(first_uid, first_state, asked.len(), &raw mut as_of)
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

/// Whether an object may be removed: 1 = yes, anything else = no. Asked right before the removal, never in a dry run. `planned`
/// is lent for the call: `reason` is why it is to go, `outcome` is GC_KEPT (nothing has happened yet), `error` NULL.
pub type gc_approve_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, planned: *const gc_entry) -> i32>;

/// Sets the callback for the last word on each removal. Without it all is approved. A NULL function clears it. A NULL
/// config does nothing.
///
/// # Safety
/// As for gc_config_set_log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set_approve(
    config: *mut gc_config,
    function: gc_approve_fn,
    context: *mut c_void,
) {
    let context = Context(context);
    // SAFETY: the host's promise.
    change(unsafe { config.as_mut() }, |hooks| {
        hooks.approve = function.map(|f| {
            let ask = move |planned: &Entry| {
                with_entry(planned, |entry| {
                    let _callback = enter_callback();
                    // SAFETY: the entry lives through the call; the function is the host's.
                    unsafe { f(context.pointer(), entry) == 1 }
                })
            };
            Hook::new(Box::new(ask) as _)
        });
    });
}

/// The host's own figures of the image filesystem: `usage` comes zeroed; 1 = filled, anything else = none, and the pass fails
/// with GC_ERROR_IO (with GC_ALL_UNUSED it goes on: the figures are for the report alone). Asked again after each image that is
/// removed for space: when enough is available, no more are removed.
pub type gc_image_fs_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, usage: *mut gc_fs_usage) -> i32>;

/// Sets the callback for figures of the image filesystem. Without it the runtime is asked where it is, and the kernel how
/// full. A NULL function clears it. A NULL config does nothing.
///
/// # Safety
/// As for gc_config_set_log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set_image_fs(
    config: *mut gc_config,
    function: gc_image_fs_fn,
    context: *mut c_void,
) {
    let context = Context(context);
    // SAFETY: the host's promise.
    change(unsafe { config.as_mut() }, |hooks| {
        hooks.image_fs = function.map(|f| {
            let ask = move || {
                let mut usage = gc_fs_usage::default();
                let _callback = enter_callback();
                // SAFETY: `usage` lives through the call; the function is the host's.
                let filled = unsafe { f(context.pointer(), &raw mut usage) };
                (filled == 1).then(|| usage.into())
            };
            Hook::new(Box::new(ask) as _)
        });
    });
}

/// Hears of events, all of the Kubernetes type Warning: from every pass FreeDiskSpaceFailed, InvalidDiskCapacity and
/// PodStatesContradicted; from periodic passes ContainerGCFailed, and ImageGCFailed from the second failure in a row.
pub type gc_event_fn = Option<
    unsafe extern "C" fn(context: *mut c_void, reason: *const c_char, message: *const c_char),
>;

/// Sets the callback for events. A NULL function clears it. A NULL config does nothing.
///
/// # Safety
/// As for gc_config_set_log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set_event(
    config: *mut gc_config,
    function: gc_event_fn,
    context: *mut c_void,
) {
    let context = Context(context);
    // SAFETY: the host's promise.
    change(unsafe { config.as_mut() }, |hooks| {
        hooks.event = function.map(|f| {
            let tell = move |reason: &str, message: &str| {
                let (reason, message) = (c_string(reason), c_message(message));
                let _callback = enter_callback();
                // SAFETY: both strings live through the call; the function is the host's.
                unsafe { f(context.pointer(), reason.as_ptr(), message.as_ptr()) }
            };
            Hook::new(Box::new(tell) as _)
        });
    });
}

/// Hears how far the removals of one kind are. `done` counts those that ended, removed or failed; `total` is that and what may
/// still go: it becomes less where objects stay after all (refused, held, changed), so a stage may end below it. Not called in a
/// dry run, and not after a cancel, a close or a deadline.
pub type gc_progress_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, kind: gc_kind, done: usize, total: usize)>;

/// Sets the callback for progress. A NULL function clears it. A NULL config does nothing.
///
/// # Safety
/// As for gc_config_set_log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set_progress(
    config: *mut gc_config,
    function: gc_progress_fn,
    context: *mut c_void,
) {
    let context = Context(context);
    // SAFETY: the host's promise.
    change(unsafe { config.as_mut() }, |hooks| {
        hooks.progress = function.map(|f| {
            let tell = move |kind: Kind, done: usize, total: usize| {
                let _callback = enter_callback();
                // SAFETY: plain numbers; the function is the host's.
                unsafe { f(context.pointer(), kind as gc_kind, done, total) }
            };
            Hook::new(Box::new(tell) as _)
        });
    });
}

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

/// Sets the callback for ended passes. A NULL function clears it. A NULL config does nothing.
///
/// # Safety
/// As for gc_config_set_log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set_pass(
    config: *mut gc_config,
    function: gc_pass_fn,
    context: *mut c_void,
) {
    let context = Context(context);
    // SAFETY: the host's promise.
    change(unsafe { config.as_mut() }, |hooks| {
        hooks.pass = function.map(|f| {
            let tell = move |pass: Pass, report: Option<&Report>, error: Option<&Error>| {
                let status = error.map_or(Status::Ok, |e| e.status) as gc_status;
                let report = report.cloned().map(gc_report::new);
                let error = error.map(gc_error::new);
                let report = report.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
                let error = error.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
                let _callback = enter_callback();
                // SAFETY: report and error live through the call; the function is the host's.
                unsafe { f(context.pointer(), pass as gc_pass, status, report, error) }
            };
            Hook::new(Box::new(tell) as _)
        });
    });
}

/// The wall clock: nanoseconds since the epoch. A value that is not above 0 fails the pass
/// (GC_ERROR_INVALID_ARGUMENT).
pub type gc_clock_fn = Option<unsafe extern "C" fn(context: *mut c_void) -> i64>;

/// Sets the callback for the wall clock. Without it the system's. A NULL function clears it. A NULL config does nothing.
///
/// # Safety
/// As for gc_config_set_log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set_clock(
    config: *mut gc_config,
    function: gc_clock_fn,
    context: *mut c_void,
) {
    let context = Context(context);
    // SAFETY: the host's promise.
    change(unsafe { config.as_mut() }, |hooks| {
        hooks.clock = function.map(|f| {
            let ask = move || {
                let _callback = enter_callback();
                // SAFETY: no arguments but the context; the function is the host's.
                unsafe { f(context.pointer()) }
            };
            Hook::new(Box::new(ask) as _)
        });
    });
}
