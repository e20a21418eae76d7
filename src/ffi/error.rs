//! Statuses and `gc_error`.

use super::boundary::{c_message, free, guarded};
use crate::error::{Error, Status};
use std::ffi::{CString, c_char};

/// How a call ended. Numbers never change; take one that you do not know for a failure.
pub type gc_status = i32;

/// The pass could look and decide, and did what it could. Single removals that failed are in the report.
pub const GC_OK: gc_status = 0;
/// A NULL for a required argument, an unknown flag bit, an unknown key, a value that is wrong by itself, or a clock that tells no
/// time.
pub const GC_ERROR_INVALID_ARGUMENT: gc_status = 1;
/// Values that are wrong only together, such as a low threshold above the high one.
pub const GC_ERROR_CONFIG: gc_status = 2;
/// No runtime answers at the endpoint.
pub const GC_ERROR_UNAVAILABLE: gc_status = 3;
/// The runtime answered with an error, or with something that is no CRI.
pub const GC_ERROR_RUNTIME: gc_status = 4;
/// A deadline passed: of the call, of the pass, or of one request.
pub const GC_ERROR_TIMEOUT: gc_status = 5;
/// The call was cancelled by gc_call_cancel, or a periodic pass was ended by gc_stop.
pub const GC_ERROR_CANCELLED: gc_status = 6;
/// Files or filesystems of the host cannot be read, the records file cannot be held, or no descriptor or thread is to be had.
pub const GC_ERROR_IO: gc_status = 7;
/// All removals went well, and still fewer bytes were freed than the low threshold asks for.
pub const GC_ERROR_NOT_ENOUGH_FREED: gc_status = 8;
/// A defect of crigc.
pub const GC_ERROR_INTERNAL: gc_status = 9;
/// A pass of this kind runs already (GC_NO_WAIT), another engine holds the records file, or the function was called from a
/// callback.
pub const GC_ERROR_BUSY: gc_status = 10;
/// The engine was closed.
pub const GC_ERROR_CLOSED: gc_status = 11;
/// The host said that most of what runs is gone; nothing was removed for a pod's sake.
pub const GC_ERROR_CONTRADICTION: gc_status = 12;

/// A failure with its story. Whoever received it frees it with gc_error_free. It outlives the engine, and may be read from
/// several threads at once.
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

/// The name of a status, such as "GC_ERROR_TIMEOUT"; "GC_ERROR_UNKNOWN" for a number that this version does not know. Never
/// NULL, valid for ever. May be called from callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn gc_status_name(status: gc_status) -> *const c_char {
    const UNKNOWN: &std::ffi::CStr = c"GC_ERROR_UNKNOWN";
    guarded(UNKNOWN.as_ptr(), || {
        Status::name_of(status).unwrap_or(UNKNOWN).as_ptr()
    })
}

/// The status of a failure; GC_OK for NULL. May be called from callbacks.
///
/// # Safety
/// `error` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_error_status(error: *const gc_error) -> gc_status {
    // SAFETY: the host's promise.
    guarded(Status::Internal as gc_status, || {
        unsafe { error.as_ref() }.map_or(GC_OK, |e| e.status)
    })
}

/// What failed, on which object, why, and what to do about it; valid until the error is freed. NULL for NULL. May be called
/// from callbacks.
///
/// # Safety
/// `error` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_error_message(error: *const gc_error) -> *const c_char {
    // SAFETY: the host's promise.
    guarded(std::ptr::null(), || {
        unsafe { error.as_ref() }.map_or(std::ptr::null(), |e| e.message.as_ptr())
    })
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
