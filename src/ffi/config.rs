//! `gc_config`: the keys and callbacks that an engine is made from.

use super::boundary::{
    Callbacks, fallible, free, guarded, missing, outside, owned, required, required_mut, status,
    text,
};
use super::error::{gc_error, gc_status};
use crate::config::Settings;
use crate::config::keys::KEYS;
use crate::hooks::Hooks;
use crate::load::load;
use crate::report::visible;
use std::ffi::{CString, c_char};
use std::sync::OnceLock;

/// The keys and callbacks that engines are made from. Make one with gc_config_new, and free it with gc_config_free. Use it from one
/// thread at a time.
#[derive(Default)]
pub struct gc_config {
    pub(super) settings: Settings,
    pub(super) hooks: Hooks,
    callbacks: Callbacks,
}

/// Makes a configuration with the kubelet's defaults and no callbacks. The caller frees it with gc_config_free. Returns NULL in a
/// callback.
#[unsafe(no_mangle)]
pub extern "C" fn gc_config_new() -> *mut gc_config {
    outside(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Sets a key to a value. Keys are named like the kubelet's flags (gc_config_key lists them), and values are written as on the
/// kubelet's command line. Both strings are copied. Returns GC_ERROR_INVALID_ARGUMENT for an unknown key, a bad value or a NULL;
/// nothing is changed then, and the error names the key and what it takes. Returns GC_ERROR_BUSY in a callback.
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
            let key = text(key, "key")?;
            let value = text(value, &format!("the value of `{}`", visible(key)))?;
            required_mut(config, "config")?.settings.set(key, value)
        })
    }
}

/// Sets the keys that the kubelet's own configuration names: a KubeletConfiguration (kubelet.config.k8s.io/v1beta1), YAML or JSON. `path`
/// is a file, read as that of the kubelet's --config, or a directory, read as that of its --config-dir. Call it for the file first, then
/// for the directory, then set what the kubelet has as flags: flags override files, and crigc does not see them.
///
/// These fields set keys; all others are ignored: containerRuntimeEndpoint, imageServiceEndpoint, runtimeRequestTimeout,
/// imageGCHighThresholdPercent, imageGCLowThresholdPercent, imageMinimumGCAge (minimum-image-ttl-duration), imageMaximumGCAge
/// (image-maximum-gc-age) and podLogsDir. What the files do not name keeps its value. As in the kubelet, a duration of 0 and an empty text
/// are its default, while a threshold of 0 is 0. A relative podLogsDir in a file begins in the directory of that file. `path` is a path of
/// this process: the key host-root does not count for it. If the file is below host-root, set that key before: then a relative podLogsDir
/// becomes the host's path.
///
/// Of a directory the names that end in .conf are read, each directory in the order of its names, subdirectories too, but no links to
/// directories. The files are merged before a value is read: a later one replaces an earlier one, and null puts a field back to the
/// kubelet's default.
///
/// Only what crigc takes is set: the kubelet also starts with an endpoint that is no unix socket, or a negative runtimeRequestTimeout. If
/// anything is wrong, nothing is set. GC_ERROR_CONFIG: a file is not what it should be, or a value is wrong; the error names the file, the
/// line and the column. GC_ERROR_IO: a file or directory cannot be read, is no regular file, or is larger than 1 MiB.
/// GC_ERROR_INVALID_ARGUMENT: NULL, or an empty path. GC_ERROR_BUSY: in a callback.
///
/// Files with other names, and what the kubelet reads otherwise than its author may think, are told to the log callback as GC_LOG_WARN, on
/// the caller's thread; set it before.
///
/// # Safety
/// As for gc_config_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_load(
    config: *mut gc_config,
    path: *const c_char,
    error: *mut *mut gc_error,
) -> gc_status {
    // SAFETY: the host's promise.
    unsafe {
        status(error, || {
            if config.is_null() {
                return Err(missing("config"));
            }
            // Field by field: the log callback may call this function with the same config, which uses the other fields already.
            (*config).callbacks.refuse()?;
            load(
                text(path, "path")?,
                &mut (*config).settings,
                &(*config).hooks,
            )
        })
    }
}

/// Returns the value of a key: what was set, or else the default. The caller frees it with gc_string_free. Returns NULL and an error
/// for an unknown key or a NULL (GC_ERROR_INVALID_ARGUMENT), and in a callback (GC_ERROR_BUSY).
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

/// Frees a configuration. Engines made from it are not affected. NULL does nothing. In a callback it frees nothing.
///
/// # Safety
/// `config` is NULL or a handle that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_free(config: *mut gc_config) {
    // SAFETY: the host's promise.
    outside((), || unsafe { free(config) });
}

/// The names and help texts of all keys as C strings.
fn table() -> &'static [(CString, CString)] {
    static TABLE: OnceLock<Vec<(CString, CString)>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let c = |text: &str| CString::new(text).unwrap_or_default();
        KEYS.iter()
            .map(|key| (c(key.name), c(&key.help())))
            .collect()
    })
}

/// Returns the name of the key at `index`. To list all keys, count from 0 until it returns NULL. The string is always valid; do not
/// free it. May be called from callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn gc_config_key(index: usize) -> *const c_char {
    guarded(std::ptr::null(), || {
        table()
            .get(index)
            .map_or(std::ptr::null(), |(name, _)| name.as_ptr())
    })
}

/// Returns what a key does, which values it takes and its default, for a help text of the host. The string is always valid; do not
/// free it. Returns NULL for an unknown key and for NULL. May be called from callbacks.
///
/// # Safety
/// `key` is NULL or NUL-terminated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_config_key_help(key: *const c_char) -> *const c_char {
    guarded(std::ptr::null(), || {
        // SAFETY: the host's promise.
        let name = unsafe { text(key, "key") }.unwrap_or_default();
        let found = table()
            .iter()
            .find(|(n, _)| n.as_bytes() == name.as_bytes());
        found.map_or(std::ptr::null(), |(_, help)| help.as_ptr())
    })
}
