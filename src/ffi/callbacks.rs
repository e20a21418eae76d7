//! The callbacks of the host, each with its type, and how it becomes a closure that a pass can call (see Callbacks in crigc.h).

use super::boundary::{Context, c_message, c_string, outside};
use super::config::gc_config;
use super::error::{gc_error, gc_status};
use super::report::{gc_entry, gc_kind, gc_pass, gc_report, with_entry};
use crate::error::{Error, Status};
use crate::hooks::{Hook, Hooks, LogLevel};
use crate::node::{FsUsage, PodState, PodStates, Text};
use crate::report::{Entry, Kind, Pass, Report};
use std::collections::HashMap;
use std::ffi::{CString, c_char, c_void};

/// What may be removed of a pod, as bits; 0 = keep everything. Unknown bits are ignored.
pub type gc_pod_state = u32;
/// Everything that the pod left behind may be removed: the pod was evicted, or it was deleted and has terminated, or the host
/// knows all its pods and does not know this UID.
pub const GC_POD_CONTENT_REMOVABLE: gc_pod_state = 1;
/// The pod's containers and sandboxes may be removed, because the pod has terminated; it may still exist. This bit has an
/// effect in passes with GC_ALL_UNUSED, and on containers that are older than maximum-dead-container-age. GC_POD_CONTENT_REMOVABLE includes it.
pub const GC_POD_RUNTIME_REMOVABLE: gc_pod_state = 2;

/// The level of a log message.
pub type gc_log_level = i32;
/// Something failed.
pub const GC_LOG_ERROR: gc_log_level = 0;
/// Something is odd.
pub const GC_LOG_WARN: gc_log_level = 1;
/// Something was done.
pub const GC_LOG_INFO: gc_log_level = 2;
/// Why each object was kept.
pub const GC_LOG_DEBUG: gc_log_level = 3;

/// Size and use of a filesystem. The library allocates it, and later versions add fields at the end: do not allocate one, and do
/// not embed one in a struct of yours.
#[repr(C)]
#[derive(Default)]
pub struct gc_fs_usage {
    /// Size in bytes.
    pub capacity: u64,
    /// Bytes that are available to users without privileges.
    pub available: u64,
    /// Number of inodes; 0 = unknown.
    pub inodes: u64,
    /// Inodes that users without privileges may still use.
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

/// Changes the callbacks of a configuration. In a callback, where the configuration may be in use, nothing refers to it.
///
/// # Safety
/// `config` is NULL or a live handle; outside of callbacks nobody else uses it meanwhile.
pub(super) unsafe fn change(config: *mut gc_config, set: impl FnOnce(&mut Hooks)) {
    outside((), || {
        // SAFETY: the caller's promise, and this thread is not in a callback.
        if let Some(config) = unsafe { config.as_mut() } {
            set(&mut config.hooks);
        }
    });
}

/// Receives a line of the log. `message` is borrowed for the call.
pub type gc_log_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, level: gc_log_level, message: *const c_char)>;

/// Sets the callback for the log. It receives messages up to the level `up_to`, from GC_LOG_ERROR (only errors) to GC_LOG_DEBUG
/// (everything); a number outside of that range counts as the nearer end. A NULL function clears the callback. With a NULL
/// config, and in a callback, it does nothing.
///
/// # Safety
/// `config` is NULL or a live handle that nobody else uses; function and context are usable until config and engine are both freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set_log(
    config: *mut gc_config,
    up_to: gc_log_level,
    function: gc_log_fn,
    context: *mut c_void,
) {
    let context = Context(context);
    let up_to = match up_to {
        ..=GC_LOG_ERROR => LogLevel::Error,
        GC_LOG_WARN => LogLevel::Warn,
        GC_LOG_INFO => LogLevel::Info,
        _ => LogLevel::Debug,
    };
    let hook = function.map(|f| {
        let log = move |level: LogLevel, message: &str| {
            let message = c_message(message);
            // SAFETY: the message lives through the call; the function is the host's.
            context.call(|context| unsafe { f(context, level as gc_log_level, message.as_ptr()) });
        };
        (up_to, Hook::new(Box::new(log) as _))
    });
    // SAFETY: the host's promise.
    unsafe { change(config, |hooks| hooks.log = hook) };
}

/// Reports which pods may be collected. Set states[i] for uids[i], where i is below `count`; all states start as 0 (keep). Return 1
/// once your list of pods is complete: those of the API server, static pods and any other source. With any other value every pod
/// counts as existing, and only limits apply.
///
/// A UID has the bytes that the runtime gave. A pass never asks about a UID that holds control characters or is not UTF-8: only
/// limits apply to such a pod. A pass asks a few times, more often if a list comes in parts (S7), and once more right before it
/// removes a log directory, about that directory's pod only. `count` may be 0; `uids` and `states` are NULL then.
///
/// `as_of` is never NULL, and `*as_of` starts as 0: the answer describes the moment of the call. If the answer describes the past,
/// such as a list of pods that is 40 seconds old, set `*as_of` to the moment that it describes: the node's wall clock before the
/// list was requested, in nanoseconds since the epoch. A pod counts as existing in this pass (reason newer-than-answer) if one of
/// its containers or sandboxes was created, or something in its log directory changed, after that moment: the answer may not know
/// this pod yet. A pass checks this once for each pod, before it removes anything of it. A moment in the future, and a negative
/// number, count as if the callback did not return 1.
pub type gc_pod_states_fn = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        uids: *const *const c_char,
        states: *mut gc_pod_state,
        count: usize,
        as_of: *mut i64,
    ) -> i32,
>;

/// Sets the callback that reports which pods may be collected. Without it every pod counts as existing: only limits and thresholds
/// apply. A NULL function clears it. With a NULL config, and in a callback, it does nothing.
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
    let hook = function.map(|f| {
        let ask = move |uids: &[Text]| {
            ask_pods(uids, |uids, states, count, as_of| {
                // SAFETY: the arrays have `count` elements and live through the call, as `as_of` does; the function is the host's.
                context.call(|context| unsafe { f(context, uids, states, count, as_of) })
            })
        };
        Hook::new(Box::new(ask) as _)
    });
    // SAFETY: the host's promise.
    unsafe { change(config, |hooks| hooks.pod_states = hook) };
}

/// Asks a callback about pods.
fn ask_pods(
    uids: &[Text],
    ask: impl FnOnce(*const *const c_char, *mut gc_pod_state, usize, *mut i64) -> i32,
) -> PodStates {
    // A pass never asks about a UID that holds a NUL (S0.3), so none is dropped here.
    let asked: Vec<(&Text, CString)> = uids
        .iter()
        .filter_map(|uid| Some((uid, CString::new(uid.as_bytes()).ok()?)))
        .collect();
    let pointers: Vec<*const c_char> = asked.iter().map(|(_, uid)| uid.as_ptr()).collect();
    let mut states: Vec<gc_pod_state> = vec![0; asked.len()];
    // The pointer of an empty vector is not an address, and some languages check the pointers that they receive.
    let (first_uid, first_state) = if asked.is_empty() {
        (std::ptr::null(), std::ptr::null_mut())
    } else {
        (pointers.as_ptr(), states.as_mut_ptr())
    };
    let mut as_of = 0;
    let ready = ask(first_uid, first_state, asked.len(), &raw mut as_of) == 1;
    let state = |bits: gc_pod_state| PodState {
        content_removable: bits & GC_POD_CONTENT_REMOVABLE != 0,
        runtime_removable: bits & GC_POD_RUNTIME_REMOVABLE != 0,
    };
    let states: HashMap<Text, PodState> = asked
        .iter()
        .zip(states)
        .map(|((uid, _), bits)| ((*uid).clone(), state(bits)))
        .collect();
    PodStates {
        ready,
        states,
        as_of,
    }
}

/// Approves the removal of one object: 1 = remove it, anything else = keep it. A pass calls it right before the removal (of a
/// container that has to be stopped first, before the stop), and never in a dry run. `planned` is borrowed for the call: `reason`
/// says why the object is to be removed, `outcome` is GC_KEPT because nothing has happened yet, `error` is NULL.
pub type gc_approve_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, planned: *const gc_entry) -> i32>;

/// Sets the callback that approves each removal. Without it every removal is approved. A NULL function clears it. With a NULL
/// config, and in a callback, it does nothing.
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
    let hook = function.map(|f| {
        let ask = move |planned: &Entry| {
            with_entry(planned, |entry| {
                // SAFETY: the entry lives through the call; the function is the host's.
                context.call(|context| unsafe { f(context, entry) }) == 1
            })
        };
        Hook::new(Box::new(ask) as _)
    });
    // SAFETY: the host's promise.
    unsafe { change(config, |hooks| hooks.approve = hook) };
}

/// Reports how full the image filesystem is. Fill `*usage`, which starts with zeros, and return 1. With any other value the pass
/// fails with GC_ERROR_IO; a pass with GC_ALL_UNUSED continues, because it only reports the figures. A pass calls it again after
/// each image that it removes for space, and stops removing once enough is available. With image-free-accounting measured, and for
/// inodes, it calls it several times for each image, up to 2 s long, until the figures show the removal.
pub type gc_image_fs_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, usage: *mut gc_fs_usage) -> i32>;

/// Sets the callback that reports how full the image filesystem is. Without it the runtime is asked where that filesystem is, and
/// the kernel how full it is. A NULL function clears it. With a NULL config, and in a callback, it does nothing.
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
    let hook = function.map(|f| {
        let ask = move || {
            let mut usage = gc_fs_usage::default();
            // SAFETY: `usage` lives through the call; the function is the host's.
            let filled = context.call(|context| unsafe { f(context, &raw mut usage) });
            (filled == 1).then(|| usage.into())
        };
        Hook::new(Box::new(ask) as _)
    });
    // SAFETY: the host's promise.
    unsafe { change(config, |hooks| hooks.image_fs = hook) };
}

/// Receives an event, always of the Kubernetes type Warning. Every pass may send FreeDiskSpaceFailed, InvalidDiskCapacity,
/// PodStatesContradicted and, if max-pod-share is set, PodShareExceeded. A periodic container pass that fails also sends
/// ContainerGCFailed; a periodic image pass sends ImageGCFailed, but not for its first failure in a row. A dry run sends no events. Both strings are borrowed
/// for the call.
pub type gc_event_fn = Option<
    unsafe extern "C" fn(context: *mut c_void, reason: *const c_char, message: *const c_char),
>;

/// Sets the callback for events. A NULL function clears it. With a NULL config, and in a callback, it does nothing.
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
    let hook = function.map(|f| {
        let send = move |reason: &str, message: &str| {
            let (reason, message) = (c_string(reason), c_message(message));
            // SAFETY: both strings live through the call; the function is the host's.
            context.call(|context| unsafe { f(context, reason.as_ptr(), message.as_ptr()) });
        };
        Hook::new(Box::new(send) as _)
    });
    // SAFETY: the host's promise.
    unsafe { change(config, |hooks| hooks.event = hook) };
}

/// Receives the progress of the removals of one kind. `done` counts the removals that ended, removed or failed. `total` is `done`
/// plus the objects that may still be removed. It shrinks when a planned object is kept (refused, held, changed), and grows when the
/// pass finds more to remove, such as containers that it has stopped. So do not wait for `done` == `total`: the pass has ended when
/// its function returns, or by gc_pass_fn. It is not called in a dry run, nor after a cancel, a close or a deadline.
pub type gc_progress_fn =
    Option<unsafe extern "C" fn(context: *mut c_void, kind: gc_kind, done: usize, total: usize)>;

/// Sets the callback for progress. A NULL function clears it. With a NULL config, and in a callback, it does nothing.
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
    let hook = function.map(|f| {
        let count = move |kind: Kind, done: usize, total: usize| {
            // SAFETY: plain numbers; the function is the host's.
            context.call(|context| unsafe { f(context, kind as gc_kind, done, total) });
        };
        Hook::new(Box::new(count) as _)
    });
    // SAFETY: the host's promise.
    unsafe { change(config, |hooks| hooks.progress = hook) };
}

/// Receives the end of a pass, periodic or called. `report` and `error` are borrowed for the call: do not free them. `report` is
/// never NULL; `error` is NULL if `status` is GC_OK. It is not called if the pass never began: before its turn came the engine was
/// closed, or the call was cancelled, reached its deadline, or did not wait (GC_NO_WAIT).
pub type gc_pass_fn = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        pass: gc_pass,
        status: gc_status,
        report: *const gc_report,
        error: *const gc_error,
    ),
>;

/// Sets the callback for ended passes. A NULL function clears it. With a NULL config, and in a callback, it does nothing.
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
    let hook = function.map(|f| {
        let end = move |pass: Pass, report: Option<&Report>, error: Option<&Error>| {
            let status = error.map_or(Status::Ok, |e| e.status) as gc_status;
            let report = report.cloned().map(gc_report::new);
            let error = error.map(gc_error::new);
            let report = report.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            let error = error.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            // SAFETY: report and error live through the call; the function is the host's.
            context.call(|context| unsafe { f(context, pass as gc_pass, status, report, error) });
        };
        Hook::new(Box::new(end) as _)
    });
    // SAFETY: the host's promise.
    unsafe { change(config, |hooks| hooks.pass = hook) };
}

/// Returns the wall clock in nanoseconds since the epoch. If the value is 0 or negative, the pass fails with
/// GC_ERROR_INVALID_ARGUMENT.
pub type gc_clock_fn = Option<unsafe extern "C" fn(context: *mut c_void) -> i64>;

/// Sets the callback for the wall clock. Without it passes read the system's clock. A NULL function clears it. With a NULL
/// config, and in a callback, it does nothing.
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
    let hook = function.map(|f| {
        let ask = move || {
            // SAFETY: no arguments but the context; the function is the host's.
            context.call(|context| unsafe { f(context) })
        };
        Hook::new(Box::new(ask) as _)
    });
    // SAFETY: the host's promise.
    unsafe { change(config, |hooks| hooks.clock = hook) };
}
