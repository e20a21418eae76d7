//! Statuses and `gc_error`.

use super::boundary::{c_message, free, guarded, read};
use crate::error::{Error, Status};
use std::ffi::{CString, c_char};

/// How a call ended. The numbers never change. Treat a number that you do not know as a failure.
pub type gc_status = i32;

/// The pass read what it had to know, decided, and did what it could. In a container pass single removals may have failed; the
/// report lists them.
pub const GC_OK: gc_status = 0;
/// A required argument is NULL, a flag bit or a key is unknown, a value is wrong by itself, or gc_clock_fn returned 0 or less.
pub const GC_ERROR_INVALID_ARGUMENT: gc_status = 1;
/// Values are wrong only together, such as a low threshold above the high one; or what is in a file of gc_config_load is wrong; or
/// gc_start has no pass to start.
pub const GC_ERROR_CONFIG: gc_status = 2;
/// No runtime answers at the endpoint.
pub const GC_ERROR_UNAVAILABLE: gc_status = 3;
/// The runtime answered with an error, or with something that is not CRI.
pub const GC_ERROR_RUNTIME: gc_status = 4;
/// A deadline passed: that of the call, of the pass, or of one request.
pub const GC_ERROR_TIMEOUT: gc_status = 5;
/// The call was cancelled by gc_call_cancel, or a periodic pass was ended by gc_stop.
pub const GC_ERROR_CANCELLED: gc_status = 6;
/// A file or filesystem of the host cannot be read, image-records-file cannot be locked, or the process can get no more descriptors
/// or threads.
pub const GC_ERROR_IO: gc_status = 7;
/// No removal of an image failed, but less was freed than image-gc-low-threshold or image-gc-min-available asks for.
pub const GC_ERROR_NOT_ENOUGH_FREED: gc_status = 8;
/// crigc panicked, which is a bug in crigc. Please report the error's message.
pub const GC_ERROR_INTERNAL: gc_status = 9;
/// A pass of this kind is running (with GC_NO_WAIT), another engine holds image-records-file, or the function was called from a
/// callback.
pub const GC_ERROR_BUSY: gc_status = 10;
/// The engine was closed.
pub const GC_ERROR_CLOSED: gc_status = 11;
/// The host reported more than half of the pods that run, and at least two, as gone. Every pod counted as existing; limits were
/// applied.
pub const GC_ERROR_CONTRADICTION: gc_status = 12;

/// A failure: its status and a message. Whoever receives it through a `gc_error **` frees it with gc_error_free. It outlives the
/// engine, and several threads may read it at once.
pub struct gc_error {
    status: gc_status,
    message: CString,
}

impl gc_error {
    pub(super) fn new(e: &Error) -> gc_error {
        gc_error {
            status: e.status as gc_status,
            message: c_message(&e.message),
        }
    }
}

/// Returns the name of a status, such as "GC_ERROR_TIMEOUT", or "GC_ERROR_UNKNOWN" for a number that this version does not know.
/// Never NULL. The string is always valid; do not free it. May be called from callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn gc_status_name(status: gc_status) -> *const c_char {
    const UNKNOWN: &std::ffi::CStr = c"GC_ERROR_UNKNOWN";
    guarded(UNKNOWN.as_ptr(), || {
        Status::name_of(status).unwrap_or(UNKNOWN).as_ptr()
    })
}

/// Returns the status of a failure; GC_OK for NULL. May be called from callbacks.
///
/// # Safety
/// `error` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_error_status(error: *const gc_error) -> gc_status {
    guarded(Status::Internal as gc_status, || {
        // SAFETY: the host's promise.
        unsafe { error.as_ref() }.map_or(GC_OK, |e| e.status)
    })
}

/// Returns what failed, on which object, why, and what to do about it. The string is valid until the error is freed. Returns NULL
/// for NULL. May be called from callbacks.
///
/// # Safety
/// `error` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_error_message(error: *const gc_error) -> *const c_char {
    // SAFETY: the host's promise.
    unsafe { read(error, std::ptr::null(), |e| e.message.as_ptr()) }
}

/// Frees an error. NULL does nothing. May be called from callbacks.
///
/// # Safety
/// `error` is NULL or a handle that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_error_free(error: *mut gc_error) {
    // SAFETY: the host's promise.
    guarded((), || unsafe { free(error) });
}
