//! `gc_engine`, and what belongs to the library as a whole.

use super::boundary::{fallible, free, guarded, in_callback, outside, required, status};
use super::call::gc_call;
use super::config::gc_config;
use super::error::{gc_error, gc_status};
use super::report::gc_report;
use crate::engine::{Call, Engine, PassEnd, PassOptions};
use crate::error::{Error, Result, Status};
use std::ffi::{CStr, CString, c_char};

/// Version of this interface: compare with what gc_abi answers before anything else.
pub const GC_ABI: u32 = 1;

/// Decide and report, remove nothing.
pub const GC_DRY_RUN: u32 = 1;
/// The kubelet under disk pressure: containers and sandboxes of terminated pods go too, and all images that are unused and
/// not protected, whatever the disk.
pub const GC_ALL_UNUSED: u32 = 2;
/// If a pass of the same kind is running, return GC_ERROR_BUSY instead of waiting. So it is while the periodic passes of gc_start
/// only look at images between two passes (image-maximum-gc-age).
pub const GC_NO_WAIT: u32 = 4;

/// A configured collector. May be used from any number of threads at once.
pub struct gc_engine(Engine);

/// Makes an engine from a copy of the configuration and its callbacks; needs no running runtime yet. The caller frees it with
/// gc_engine_free. On failure it answers NULL, and the error says GC_ERROR_CONFIG (values that are wrong only together),
/// GC_ERROR_BUSY (another engine holds image-records-file, or this is a callback), GC_ERROR_IO (image-records-file cannot be
/// held, such as in a directory that is missing or cannot be written) or GC_ERROR_INVALID_ARGUMENT (a NULL).
///
/// # Safety
/// `config` is NULL or a live handle, `error` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_engine_new(
    config: *const gc_config,
    error: *mut *mut gc_error,
) -> *mut gc_engine {
    // SAFETY: the host's promise.
    unsafe {
        fallible(error, std::ptr::null_mut(), || {
            let config = required(config, "config")?;
            let engine = Engine::new(config.settings.config(), config.hooks.clone())?;
            Ok(Box::into_raw(Box::new(gc_engine(engine))))
        })
    }
}

/// Closes an engine: passes under way end soon with GC_ERROR_CLOSED (once a callback that they are in has returned), and so do
/// later calls. Never blocks, also while a callback does; may be called from any thread and from callbacks, not in a signal
/// handler. It is to be freed all the same. NULL does nothing.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_close(engine: *mut gc_engine) {
    // SAFETY: the host's promise; closing takes a shared reference, so passes may run meanwhile.
    guarded((), || {
        if let Some(engine) = unsafe { engine.as_ref() } {
            engine.0.close();
        }
    });
}

/// Closes an engine, waits for its passes, its threads and all calls that are inside, and frees it: when it returns, no thread
/// and no descriptor is left, and image-records-file is free for another engine. No other call may begin from here on: a thread
/// that is just about to call has begun. Reports and errors that came from it stay. In a callback it
/// closes the engine and leaks it. NULL does nothing.
///
/// # Safety
/// `engine` is NULL or a handle on which no call begins any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_engine_free(engine: *mut gc_engine) {
    if in_callback() {
        // SAFETY: the host's promise.
        return unsafe { gc_close(engine) };
    }
    // SAFETY: the host's promise; calls that are still inside are waited for before the memory goes.
    guarded((), || unsafe {
        if let Some(engine) = engine.as_ref() {
            engine.0.finish();
        }
        free(engine);
    });
}

fn options(bits: u32) -> Result<PassOptions> {
    let unknown = bits & !(GC_DRY_RUN | GC_ALL_UNUSED | GC_NO_WAIT);
    if unknown != 0 {
        return Err(Error::new(
            Status::InvalidArgument,
            format!(
                "unknown bits {unknown:#x} in flags; GC_DRY_RUN, GC_ALL_UNUSED and GC_NO_WAIT are known"
            ),
        ));
    }
    Ok(PassOptions {
        dry_run: bits & GC_DRY_RUN != 0,
        all_unused: bits & GC_ALL_UNUSED != 0,
        no_wait: bits & GC_NO_WAIT != 0,
        ..PassOptions::default()
    })
}

/// Runs a pass, and hands over report and error.
///
/// # Safety
/// As for gc_containers.
unsafe fn pass(
    engine: *mut gc_engine,
    bits: u32,
    call: *mut gc_call,
    report: *mut *mut gc_report,
    error: *mut *mut gc_error,
    run: impl FnOnce(&Engine, PassOptions, Option<&Call>) -> PassEnd,
) -> gc_status {
    if !report.is_null() {
        // SAFETY: not NULL, and the host's promise.
        unsafe { report.write(std::ptr::null_mut()) };
    }
    // SAFETY: the host's promise.
    unsafe {
        status(error, || {
            let options = options(bits)?;
            let engine = &required(engine, "engine")?.0;
            let call = call.as_ref().map(|call| &call.0);
            let end = run(engine, options, call);
            if let (false, Some(pass)) = (report.is_null(), end.report) {
                report.write(Box::into_raw(Box::new(gc_report::new(pass))));
            }
            end.error.map_or(Ok(()), Err)
        })
    }
}

/// Collects dead containers, pod sandboxes, pod logs and log links. Blocks until the pass is over; waits first for a pass of
/// this kind that runs (unless GC_NO_WAIT). `flags`: GC_DRY_RUN, GC_ALL_UNUSED, GC_NO_WAIT or 0. `call`: deadline and cancel
/// button, or NULL. `*report`: on return not NULL if and only if the pass began, also when it failed; the caller frees it with
/// gc_report_free; a NULL `report` is fine. `*error`: on return an error that the caller frees, or NULL.
/// GC_OK says that the pass could look and decide and did what it could; removals that failed are in the report. Else
/// GC_ERROR_UNAVAILABLE, GC_ERROR_RUNTIME, GC_ERROR_TIMEOUT (the deadline of the call, of the pass or of a request),
/// GC_ERROR_CANCELLED, GC_ERROR_CLOSED, GC_ERROR_BUSY (GC_NO_WAIT, or in a callback), GC_ERROR_IO (directories, figures, or no
/// descriptor is left), GC_ERROR_CONFIG (log directories that are, or lie in, one another), GC_ERROR_CONTRADICTION,
/// GC_ERROR_INVALID_ARGUMENT (a NULL, unknown flags, or a clock that tells no time) or GC_ERROR_INTERNAL.
///
/// # Safety
/// Handles are NULL or live, `report` and `error` are NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_containers(
    engine: *mut gc_engine,
    flags: u32,
    call: *mut gc_call,
    report: *mut *mut gc_report,
    error: *mut *mut gc_error,
) -> gc_status {
    // SAFETY: the host's promise.
    unsafe { pass(engine, flags, call, report, error, Engine::containers) }
}

/// Collects unused images when the image filesystem is fuller than image-gc-high-threshold, or, with GC_ALL_UNUSED, whatever
/// the disk. All else is as in gc_containers; in addition a removal that failed fails the pass (GC_ERROR_RUNTIME), and so does
/// freeing less than wanted (GC_ERROR_NOT_ENOUGH_FREED). What the first look of an engine finds is not protected by
/// minimum-image-ttl-duration.
///
/// # Safety
/// As for gc_containers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_images(
    engine: *mut gc_engine,
    flags: u32,
    call: *mut gc_call,
    report: *mut *mut gc_report,
    error: *mut *mut gc_error,
) -> gc_status {
    // SAFETY: the host's promise.
    unsafe { pass(engine, flags, call, report, error, Engine::images) }
}

/// Starts periodic passes in the background, on one thread for each kind: containers at once and container-gc-period after
/// each pass, images likewise with image-gc-period (not at all with image-gc-high-threshold 100, unless
/// image-maximum-gc-age is set; where there are no records yet, their first pass only looks).
/// Twice is fine. GC_ERROR_CLOSED, GC_ERROR_IO (no thread to be had), GC_ERROR_INVALID_ARGUMENT for NULL, GC_ERROR_BUSY in a
/// callback.
///
/// # Safety
/// `engine` is NULL or a live handle, `error` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_start(engine: *mut gc_engine, error: *mut *mut gc_error) -> gc_status {
    // SAFETY: the host's promise.
    unsafe { status(error, || required(engine, "engine")?.0.start()) }
}

/// Cancels the periodic passes and waits for their end, also when another thread is stopping them; gc_start starts them again.
/// Does nothing for NULL, and in a callback.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_stop(engine: *mut gc_engine) {
    // SAFETY: the host's promise.
    outside((), || {
        if let Some(engine) = unsafe { engine.as_ref() } {
            engine.0.stop();
        }
    });
}

/// The library's version, such as "0.1.0"; valid for ever. May be called from callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn gc_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    CStr::from_bytes_with_nul(VERSION.as_bytes()).map_or(std::ptr::null(), CStr::as_ptr)
}

/// The GC_ABI of the library. May be called from callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn gc_abi() -> u32 {
    GC_ABI
}

/// Frees a `char *` that the library gave. NULL does nothing. May be called from callbacks.
///
/// # Safety
/// `string` is NULL or came from this library and was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_string_free(string: *mut c_char) {
    guarded((), || {
        if !string.is_null() {
            // SAFETY: the host's promise: it came from CString::into_raw.
            drop(unsafe { CString::from_raw(string) });
        }
    });
}
