//! `gc_config`: keys and callbacks.

use super::boundary::{
    fallible, free, guarded, outside, owned, required, required_mut, status, text,
};
use super::callbacks::{
    Callbacks, gc_approve_fn, gc_clock_fn, gc_event_fn, gc_image_fs_fn, gc_log_fn, gc_log_level,
    gc_pass_fn, gc_pod_states_fn, gc_progress_fn,
};
use super::error::{gc_error, gc_status};
use crate::config::Settings;
use crate::config::keys::{self, KEYS};
use std::ffi::{CString, c_char, c_void};
use std::sync::OnceLock;

/// Keys and callbacks of an engine to be. Made by gc_config_new, freed by gc_config_free; used from one thread at a time.
#[derive(Default)]
pub struct gc_config {
    pub(super) settings: Settings,
    pub(super) callbacks: Callbacks,
}

/// Makes a configuration with the kubelet's defaults. The caller frees it with gc_config_free. NULL in a callback.
#[unsafe(no_mangle)]
pub extern "C" fn gc_config_new() -> *mut gc_config {
    outside(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Sets a key (a name of the kubelet's flags, see gc_config_key) to a value as on the kubelet's command line; both are
/// copied. GC_ERROR_INVALID_ARGUMENT for an unknown key, a bad value or a NULL, which changes nothing; the error names it
/// and says what would be right. GC_ERROR_BUSY in a callback.
///
/// # Safety
/// `config` is NULL or a live handle, `key` and `value` are NULL or NUL-terminated, `error` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_set(
    config: *mut gc_config,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut gc_error,
) -> gc_status {
    // SAFETY: the host's promise.
    unsafe {
        status(error, || {
            let (key, value) = (text(key, "key")?, text(value, "value")?);
            required_mut(config, "config")?.settings.set(key, value)
        })
    }
}

/// The value of a key: what was set, or its default. The caller frees it with gc_string_free. NULL and an error for an
/// unknown key or a NULL (GC_ERROR_INVALID_ARGUMENT), and in a callback (GC_ERROR_BUSY).
///
/// # Safety
/// As for gc_config_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_get(
    config: *const gc_config,
    key: *const c_char,
    error: *mut *mut gc_error,
) -> *mut c_char {
    // SAFETY: the host's promise.
    unsafe {
        fallible(error, std::ptr::null_mut(), || {
            let key = text(key, "key")?;
            required(config, "config")?.settings.get(key).map(owned)
        })
    }
}

/// Frees a configuration; engines made from it live on. NULL does nothing; in a callback nothing is freed.
///
/// # Safety
/// `config` is NULL or a handle that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_free(config: *mut gc_config) {
    // SAFETY: the host's promise.
    outside((), || unsafe { free(config) });
}

/// Names and helps of all keys, as C wants them.
fn table() -> &'static [(CString, CString)] {
    static TABLE: OnceLock<Vec<(CString, CString)>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let c = |text: &str| CString::new(text).unwrap_or_default();
        KEYS.iter()
            .map(|key| (c(key.name), c(&key.help())))
            .collect()
    })
}

/// The names of all keys in turn: 0, 1, ... until it answers NULL. Valid for ever. May be called from callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn gc_config_key(index: usize) -> *const c_char {
    guarded(std::ptr::null(), || {
        table()
            .get(index)
            .map_or(std::ptr::null(), |(name, _)| name.as_ptr())
    })
}

/// What a key does, its default and range, for a host's own help; valid for ever. NULL for an unknown key and for NULL. May
/// be called from callbacks.
///
/// # Safety
/// `key` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_key_help(key: *const c_char) -> *const c_char {
    // SAFETY: the host's promise.
    guarded(std::ptr::null(), || {
        let name = unsafe { text(key, "key") }.unwrap_or_default();
        let help = keys::find(name).and_then(|_| {
            table()
                .iter()
                .find(|(n, _)| n.as_bytes() == name.as_bytes())
        });
        help.map_or(std::ptr::null(), |(_, help)| help.as_ptr())
    })
}

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
    // SAFETY: the host's promise.
    outside((), || {
        if let Some(config) = unsafe { config.as_mut() } {
            config.callbacks.log_level = up_to;
            config.callbacks.log.set(function, context);
        }
    });
}

/// Changes the callbacks of a configuration, unless that is NULL or a callback asks for it.
///
/// # Safety
/// `config` is NULL or a live handle that nobody else uses meanwhile.
unsafe fn change(config: *mut gc_config, set: impl FnOnce(&mut Callbacks)) {
    outside((), || {
        // SAFETY: the caller's promise.
        if let Some(config) = unsafe { config.as_mut() } {
            set(&mut config.callbacks);
        }
    });
}

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
    // SAFETY: the host's promise.
    unsafe {
        change(config, |callbacks| {
            callbacks.pod_states.set(function, context)
        })
    };
}

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
    // SAFETY: the host's promise.
    unsafe { change(config, |callbacks| callbacks.approve.set(function, context)) };
}

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
    // SAFETY: the host's promise.
    unsafe {
        change(config, |callbacks| {
            callbacks.image_fs.set(function, context)
        })
    };
}

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
    // SAFETY: the host's promise.
    unsafe { change(config, |callbacks| callbacks.event.set(function, context)) };
}

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
    // SAFETY: the host's promise.
    unsafe {
        change(config, |callbacks| {
            callbacks.progress.set(function, context)
        })
    };
}

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
    // SAFETY: the host's promise.
    unsafe { change(config, |callbacks| callbacks.pass.set(function, context)) };
}

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
    // SAFETY: the host's promise.
    unsafe { change(config, |callbacks| callbacks.clock.set(function, context)) };
}
