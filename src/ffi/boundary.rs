//! What every function of the interface passes through: the panic boundary, the checks of pointers and strings, and the refusal of
//! calls from callbacks, as the head of crigc.h promises.

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

/// While it lives, this thread is in a callback of the host.
struct InCallback;

impl Drop for InCallback {
    fn drop(&mut self) {
        CALLBACKS.set(CALLBACKS.get() - 1);
    }
}

/// The host's context: passed on, never dereferenced.
#[derive(Clone, Copy)]
pub(super) struct Context(pub(super) *mut c_void);

// SAFETY: only the host's functions dereference it, and the header says on which threads they run.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// Calls a function of the host with the context. Meanwhile this thread is in a callback.
    pub(super) fn call<R>(self, function: impl FnOnce(*mut c_void) -> R) -> R {
        CALLBACKS.set(CALLBACKS.get() + 1);
        let _callback = InCallback;
        function(self.0)
    }
}

/// Whether this thread is in a callback of the host.
pub(super) fn in_callback() -> bool {
    CALLBACKS.get() > 0
}

/// How functions of the library's second object find out that they are called from a callback (packaging/object.sh): that object has
/// thread-local data of its own, and no callback is made there. They get this from a handle, which the first object made.
#[derive(Clone, Copy)]
pub(super) struct Callbacks(fn() -> bool);

impl Default for Callbacks {
    fn default() -> Callbacks {
        Callbacks(in_callback)
    }
}

impl Callbacks {
    /// Whether this thread is in a callback of the host.
    pub(super) fn are_running(self) -> bool {
        (self.0)()
    }

    /// An error in a callback.
    pub(super) fn refuse(self) -> Result<()> {
        refuse(self.are_running())
    }
}

fn refuse(in_callback: bool) -> Result<()> {
    if !in_callback {
        return Ok(());
    }
    Err(Error::new(
        Status::Busy,
        "this function cannot be called from a callback; call it after the pass",
    ))
}

/// Runs the body of a function without an error; if the body panics, the function returns `fallback`.
pub(super) fn guarded<R>(fallback: R, body: impl FnOnce() -> R) -> R {
    let _quiet = panics::enter();
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// The same for a function that does nothing in a callback and returns `fallback` there.
pub(super) fn outside<R>(fallback: R, body: impl FnOnce() -> R) -> R {
    if in_callback() {
        return fallback;
    }
    guarded(fallback, body)
}

/// Reads something from a handle, also in a callback. The result is `nothing` if the handle is NULL, and if crigc panics.
///
/// # Safety
/// `handle` is NULL or a live handle that nobody changes meanwhile.
pub(super) unsafe fn read<T, R: Copy>(
    handle: *const T,
    nothing: R,
    read: impl FnOnce(&T) -> R,
) -> R {
    // SAFETY: the caller's promise.
    guarded(nothing, || unsafe { handle.as_ref() }.map_or(nothing, read))
}

/// Runs the body of a function that can fail, and hands its failure to the host.
///
/// # Safety
/// `error` is NULL or points to where a pointer may be written.
pub(super) unsafe fn fallible<R>(
    error: *mut *mut gc_error,
    fallback: R,
    body: impl FnOnce() -> Result<R>,
) -> R {
    let (value, failure) = match caught(body) {
        Ok(value) => (value, None),
        Err(e) => (fallback, Some(e)),
    };
    // SAFETY: the caller's promise.
    unsafe { hand_over(error, failure) };
    value
}

/// The same for a function that returns a status.
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

/// Runs the body of a function that is refused in a callback; a panic becomes an error.
fn caught<R>(body: impl FnOnce() -> Result<R>) -> Result<R> {
    refuse(in_callback())?;
    let _quiet = panics::enter();
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(panics::error()))
}

/// Writes an error, or NULL, to where the host wants it.
///
/// # Safety
/// `error` is NULL or points to where a pointer may be written; the old value is neither read nor freed.
unsafe fn hand_over(error: *mut *mut gc_error, failure: Option<Error>) {
    if error.is_null() {
        return;
    }
    let handle = failure.map_or(std::ptr::null_mut(), |e| {
        Box::into_raw(Box::new(gc_error::new(&e)))
    });
    // SAFETY: not NULL, and the caller's promise.
    unsafe { error.write(handle) };
}

pub(super) fn missing(name: &str) -> Error {
    Error::new(
        Status::InvalidArgument,
        format!("{name} is NULL; it is required"),
    )
}

/// A required handle.
///
/// # Safety
/// `handle` is NULL or a live handle that nobody changes meanwhile.
pub(super) unsafe fn required<'a, T>(handle: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller's promise.
    unsafe { handle.as_ref() }.ok_or_else(|| missing(name))
}

/// A required handle that is changed.
///
/// # Safety
/// `handle` is NULL or a live handle that nobody else uses meanwhile.
pub(super) unsafe fn required_mut<'a, T>(handle: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller's promise.
    unsafe { handle.as_mut() }.ok_or_else(|| missing(name))
}

/// A required string from the host.
///
/// # Safety
/// `string` is NULL or a NUL-terminated string that lives as long as the result is used.
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
                "{name} is not UTF-8: `{}`",
                visible(&bytes.to_string_lossy())
            ),
        )
    })
}

/// A string for the host: control characters are escaped, so it holds no NUL.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(visible(text)).unwrap_or_default()
}

/// A message for the host.
pub(super) fn c_message(text: &str) -> CString {
    CString::new(printable(text)).unwrap_or_default()
}

/// A string that the host owns and frees with `gc_string_free`.
pub(super) fn owned(text: &str) -> *mut c_char {
    CString::new(text).unwrap_or_default().into_raw()
}

/// Frees a handle.
///
/// # Safety
/// `handle` is NULL or came from `Box::into_raw`, and nobody uses it any more.
pub(super) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(handle) });
    }
}
