//! `gc_config`: keys and callbacks.

use super::boundary::{
    fallible, free, guarded, outside, owned, required, required_mut, status, text,
};
use super::error::{gc_error, gc_status};
use crate::config::Settings;
use crate::config::keys::KEYS;
use crate::hooks::Hooks;
use std::ffi::{CString, c_char};
use std::sync::OnceLock;

/// Keys and callbacks of an engine to be. Made by gc_config_new, freed by gc_config_free; used from one thread at a time.
#[derive(Default)]
pub struct gc_config {
    pub(super) settings: Settings,
    pub(super) hooks: Hooks,
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
        let found = table()
            .iter()
            .find(|(n, _)| n.as_bytes() == name.as_bytes());
        found.map_or(std::ptr::null(), |(_, help)| help.as_ptr())
    })
}
