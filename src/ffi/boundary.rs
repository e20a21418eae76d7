//! What every function of the interface passes through: the panic boundary, pointer checks, strings, and the answer to calls
//! from callbacks, as the head of crigc.h promises.

use super::error::{gc_error, gc_status};
use crate::error::{Error, Result, Status};
use crate::panics;
use crate::report::{printable, visible};
use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CALLBACKS: Cell<u32> = const { Cell::new(0) };
}

/// As long as it lives, this thread is in a callback of the host.
pub(super) struct InCallback(());

pub(super) fn enter_callback() -> InCallback {
    CALLBACKS.with(|depth| depth.set(depth.get() + 1));
    InCallback(())
}

impl Drop for InCallback {
    fn drop(&mut self) {
        CALLBACKS.with(|depth| depth.set(depth.get() - 1));
    }
}

/// The host's context: handed through, never dereferenced.
#[derive(Clone, Copy)]
pub(super) struct Context(pub(super) *mut c_void);

// SAFETY: only the host's functions look behind it, and the interface tells the host on which threads they run.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// A method, so that closures take the whole value and not the bare pointer in it.
    pub(super) fn pointer(self) -> *mut c_void {
        self.0
    }
}

/// Whether this thread is in a callback of the host.
pub(super) fn in_callback() -> bool {
    CALLBACKS.with(Cell::get) > 0
}

/// Runs the body of a function that answers `fallback` where it cannot do its work, for a defect of crigc too.
pub(super) fn guarded<R>(fallback: R, body: impl FnOnce() -> R) -> R {
    let _quiet = panics::enter();
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// The same for a function that callbacks may not call.
pub(super) fn outside<R>(fallback: R, body: impl FnOnce() -> R) -> R {
    if in_callback() {
        return fallback;
    }
    guarded(fallback, body)
}

/// Runs the body of a function that can fail, and hands its failure over.
///
/// # Safety
/// `error` is NULL or points to where a pointer may be written.
pub(super) unsafe fn fallible<R>(
    error: *mut *mut gc_error,
    fallback: R,
    body: impl FnOnce() -> Result<R>,
) -> R {
    let result = caught(body);
    let (value, failure) = match result {
        Ok(value) => (value, None),
        Err(e) => (fallback, Some(e)),
    };
    // SAFETY: the caller's promise.
    unsafe { hand_over(error, failure) };
    value
}

/// The same for a function whose answer is a status.
///
/// # Safety
/// As for [`fallible`].
pub(super) unsafe fn status(
    error: *mut *mut gc_error,
    body: impl FnOnce() -> Result<()>,
) -> gc_status {
    let failure = caught(body).err();
    let status = failure.as_ref().map_or(Status::Ok, |e| e.status);
    // SAFETY: the caller's promise.
    unsafe { hand_over(error, failure) };
    status as gc_status
}

/// Runs the body of a function that callbacks may not call; a defect of crigc is an error.
fn caught<R>(body: impl FnOnce() -> Result<R>) -> Result<R> {
    if in_callback() {
        return Err(busy());
    }
    let _quiet = panics::enter();
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(panics::defect()))
}

fn busy() -> Error {
    Error::new(
        Status::Busy,
        "this function cannot be called from a callback; call it after the pass",
    )
}

/// Writes an error, or NULL, where the host wants it.
///
/// # Safety
/// `error` is NULL or points to where a pointer may be written; what is there is neither read nor freed.
pub(super) unsafe fn hand_over(error: *mut *mut gc_error, failure: Option<Error>) {
    if error.is_null() {
        return;
    }
    let handle = failure.map_or(std::ptr::null_mut(), |e| {
        Box::into_raw(Box::new(gc_error::new(&e)))
    });
    // SAFETY: not NULL, and the caller's promise.
    unsafe { error.write(handle) };
}

fn missing(name: &str) -> Error {
    Error::new(
        Status::InvalidArgument,
        format!("{name} is NULL; it is required"),
    )
}

/// A required handle.
///
/// # Safety
/// NULL, or a handle that lives and that nobody changes meanwhile.
pub(super) unsafe fn required<'a, T>(handle: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { handle.as_ref() }.ok_or_else(|| missing(name))
}

/// A required handle that is changed.
///
/// # Safety
/// NULL, or a handle that lives and that nobody else uses meanwhile.
pub(super) unsafe fn required_mut<'a, T>(handle: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller's promise.
    unsafe { handle.as_mut() }.ok_or_else(|| missing(name))
}

/// A required string in.
///
/// # Safety
/// NULL, or a NUL-terminated string that lives as long as the result is used.
pub(super) unsafe fn text<'a>(string: *const c_char, name: &str) -> Result<&'a str> {
    if string.is_null() {
        return Err(missing(name));
    }
    // SAFETY: not NULL, and the caller's promise.
    let bytes = unsafe { CStr::from_ptr(string) };
    bytes.to_str().map_err(|_| {
        Error::new(
            Status::InvalidArgument,
            format!(
                "{name} is no UTF-8: `{}`",
                visible(&bytes.to_string_lossy())
            ),
        )
    })
}

/// A string out: control characters escaped, so that there is no NUL in it.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(visible(text)).unwrap_or_default()
}

/// A message out.
pub(super) fn c_message(text: &str) -> CString {
    CString::new(printable(text)).unwrap_or_default()
}

/// An owned string out; the host frees it with `gc_string_free`.
pub(super) fn owned(text: &str) -> *mut c_char {
    CString::new(text).unwrap_or_default().into_raw()
}

/// Frees a handle.
///
/// # Safety
/// NULL, or a handle made by `Box::into_raw` that nobody uses any more.
pub(super) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(handle) });
    }
}
