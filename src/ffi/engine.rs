//! `gc_engine`, and the functions of the library as a whole.

use super::boundary::{
    Callbacks, fallible, free, guarded, in_callback, outside, owned, read, required, status, text,
};
use super::call::gc_call;
use super::config::gc_config;
use super::error::{gc_error, gc_status};
use super::report::gc_report;
use crate::engine::{Call, Engine, PassEnd, PassOptions};
use crate::error::{Error, Result, Status};
use std::ffi::{CStr, CString, c_char};

/// The version of this interface. A program works with a library if `gc_abi() == GC_ABI`; compare them before you call anything else,
/// since a shared library may be of another version than the header. The number changes when something in this header changes its
/// meaning or its layout. It stays when a version only adds functions, constants, keys or reasons.
pub const GC_ABI: u32 = 1;

/// Flag: decide and report, but remove nothing.
pub const GC_DRY_RUN: u32 = 1;
/// Flag: collect as the kubelet does under disk pressure. A container pass also removes containers and sandboxes of terminated pods.
/// An image pass removes all images that are unused and not protected, however empty the disk is. See GC_POD_RUNTIME_REMOVABLE.
pub const GC_ALL_UNUSED: u32 = 2;
/// Flag: if a pass of the same kind is running, return GC_ERROR_BUSY instead of waiting. With image-maximum-gc-age the thread of
/// gc_start also reads the list of images between two passes; meanwhile an image pass with this flag returns GC_ERROR_BUSY, too.
pub const GC_NO_WAIT: u32 = 4;
/// Flag of gc_pod alone: the host says that everything the pod left behind may be removed.
pub const GC_POD_GONE: u32 = 8;

/// A configured collector. Make one with gc_engine_new, and free it with gc_engine_free. Any number of threads may use it at once.
pub struct gc_engine(Engine, Callbacks);

/// Makes an engine from a copy of the configuration and its callbacks. The runtime need not be running yet. The caller frees the engine
/// with gc_engine_free. On failure it returns NULL, and the error has one of these statuses: GC_ERROR_CONFIG (values are wrong only
/// together, or an endpoint is not a unix socket and there is no gc_connect_fn), GC_ERROR_BUSY (another engine holds image-records-file, or
/// this is a callback), GC_ERROR_IO (image-records-file cannot be locked, such as in a directory that does not exist or cannot be written)
/// or GC_ERROR_INVALID_ARGUMENT (`config` is NULL). With the key dry-run the engine only reads image-records-file: it does not lock it, and
/// the file need not exist.
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
            Ok(Box::into_raw(Box::new(gc_engine(
                engine,
                Callbacks::default(),
            ))))
        })
    }
}

/// Closes an engine: running passes end soon with GC_ERROR_CLOSED (if one is in a callback, once that returns), and later calls fail
/// with GC_ERROR_CLOSED. The engine still has to be freed. Never blocks, not even while a callback does. May be called from any thread
/// and from callbacks, but not in a signal handler. NULL does nothing.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_close(engine: *mut gc_engine) {
    // SAFETY: the host's promise; closing takes a shared reference, so passes may run meanwhile.
    unsafe { read(engine, (), |engine| engine.0.close()) };
}

/// Closes an engine, waits for its passes, its threads and all calls of other threads that are inside it, and frees it. When it
/// returns, no thread and no descriptor is left, and another engine can hold image-records-file. No other call for this engine may
/// begin once this one has; make sure that no thread is about to call. Reports and errors of the engine stay valid. Do not call it in
/// a callback: there it only closes the engine, and its memory is never freed. Call gc_close there, and this after the pass; until
/// then the contexts of all callbacks have to stay usable. It blocks for less than a second, even if the runtime hangs; a callback
/// and a system call of crigc that hang keep it waiting. NULL does nothing.
///
/// # Safety
/// `engine` is NULL or a handle on which no call begins any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_engine_free(engine: *mut gc_engine) {
    if in_callback() {
        // SAFETY: the host's promise.
        return unsafe { gc_close(engine) };
    }
    // SAFETY: the host's promise; `finish` waits for the calls that are still inside.
    guarded((), || unsafe {
        if let Some(engine) = engine.as_ref() {
            engine.0.finish();
        }
        free(engine);
    });
}

/// The flags of every pass.
const OF_PASSES: (u32, &str) = (
    GC_DRY_RUN | GC_ALL_UNUSED | GC_NO_WAIT,
    "GC_DRY_RUN, GC_ALL_UNUSED and GC_NO_WAIT",
);
/// The flags of gc_pod.
const OF_ONE_POD: (u32, &str) = (
    GC_DRY_RUN | GC_ALL_UNUSED | GC_NO_WAIT | GC_POD_GONE,
    "GC_DRY_RUN, GC_ALL_UNUSED, GC_NO_WAIT and GC_POD_GONE",
);

fn options(bits: u32, (known, names): (u32, &str)) -> Result<PassOptions> {
    let unknown = bits & !known;
    if unknown != 0 {
        return Err(Error::new(
            Status::InvalidArgument,
            format!("unknown bits {unknown:#x} in flags; {names} are known"),
        ));
    }
    Ok(PassOptions {
        dry_run: bits & GC_DRY_RUN != 0,
        all_unused: bits & GC_ALL_UNUSED != 0,
        no_wait: bits & GC_NO_WAIT != 0,
        ..PassOptions::default()
    })
}

/// Runs a pass, and hands its report and error to the host.
///
/// # Safety
/// As for gc_containers.
unsafe fn pass(
    engine: *mut gc_engine,
    bits: u32,
    known: (u32, &str),
    call: *mut gc_call,
    report: *mut *mut gc_report,
    error: *mut *mut gc_error,
    run: impl FnOnce(&Engine, PassOptions, Option<&Call>) -> Result<PassEnd>,
) -> gc_status {
    if !report.is_null() {
        // SAFETY: not NULL, and the host's promise.
        unsafe { report.write(std::ptr::null_mut()) };
    }
    // SAFETY: the host's promise.
    unsafe {
        status(error, || {
            let options = options(bits, known)?;
            let engine = &required(engine, "engine")?.0;
            let call = call.as_ref().map(|call| &call.0);
            let end = run(engine, options, call)?;
            if let (false, Some(pass)) = (report.is_null(), end.report) {
                report.write(Box::into_raw(Box::new(gc_report::new(pass))));
            }
            end.error.map_or(Ok(()), Err)
        })
    }
}

/// Removes dead containers, pod sandboxes, pod logs and log links. Blocks until the pass is over. If another pass of this kind is
/// running, it waits for its turn first (unless GC_NO_WAIT).
///
/// `flags` is any of GC_DRY_RUN, GC_ALL_UNUSED and GC_NO_WAIT, joined with |, or 0. `call` has the deadline of this call and can cancel
/// it; NULL = neither. `*report` receives the report if the pass began, even if it failed later, else NULL; the caller frees it with
/// gc_report_free. `*error` receives the error, which the caller frees with gc_error_free, or NULL on success. `report` and `error`
/// may be NULL.
///
/// Returns GC_OK if the pass read what it had to know, decided, and did what it could; single removals may have failed, and the report
/// lists them. Else it returns GC_ERROR_UNAVAILABLE, GC_ERROR_RUNTIME, GC_ERROR_TIMEOUT (the deadline of the call, of the pass or of a
/// request), GC_ERROR_CANCELLED, GC_ERROR_CLOSED, GC_ERROR_BUSY (GC_NO_WAIT, or in a callback), GC_ERROR_IO (a directory or filesystem
/// cannot be read, or no descriptor is left), GC_ERROR_CONFIG (one log directory is, or is inside, the other), GC_ERROR_CONTRADICTION,
/// GC_ERROR_INVALID_ARGUMENT (`engine` is NULL, a flag is unknown, or gc_clock_fn returned 0 or less) or GC_ERROR_INTERNAL.
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
    unsafe {
        pass(
            engine,
            flags,
            OF_PASSES,
            call,
            report,
            error,
            |engine, options, call| Ok(engine.containers(options, call)),
        )
    }
}

/// Removes unused images if the image filesystem (with image-gc-inode-thresholds: or its inodes) is at least image-gc-high-threshold full,
/// or if fewer bytes are available than image-gc-min-available; with GC_ALL_UNUSED, and those that have been unused for
/// image-maximum-gc-age, however empty it is. Arguments and statuses are those of gc_containers. In addition the pass fails if a removal
/// failed (GC_ERROR_RUNTIME), if less was freed than image-gc-low-threshold or image-gc-min-available asks for (GC_ERROR_NOT_ENOUGH_FREED),
/// and if image-gc-min-available is more than the filesystem has (GC_ERROR_CONFIG). Images that an engine finds in its first image pass are
/// not protected by minimum-image-ttl-duration: the first call on a new engine may remove an image that was pulled a second ago. To protect
/// it, call this once with GC_DRY_RUN, wait for minimum-image-ttl-duration, and call it again.
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
    unsafe {
        pass(
            engine,
            flags,
            OF_PASSES,
            call,
            report,
            error,
            |engine, options, call| Ok(engine.images(options, call)),
        )
    }
}

/// Removes what one pod left behind: its dead containers, its pod sandboxes, its log directory, and the log links of the containers
/// that it removes. It is gc_containers for one pod, such as one that has just ended, and takes turns with it. It touches no other pod.
/// It lists only what the runtime files under the UID (the label io.kubernetes.pod.uid) and what is in these sandboxes, and decides by
/// the same rules and keys, except for those that concern the whole node: maximum-dead-containers, max-pod-share,
/// orphan-log-ttl-duration, and links that dangle already.
///
/// `uid` is the UID of the pod. `flags` is any of GC_DRY_RUN, GC_ALL_UNUSED, GC_NO_WAIT and GC_POD_GONE, joined with |, or 0. All other
/// arguments and statuses are those of gc_containers; GC_ERROR_INVALID_ARGUMENT also stands for a UID that is NULL or empty, has a
/// slash or a control character, or is not UTF-8.
///
/// With GC_POD_GONE this call says that everything the pod left behind may be removed, as of the moment of the call: if something of the
/// pod is newer, all of it is kept (newer-than-answer), and its logs are for as long as minimum-pod-log-ttl-duration asks (too-young); call
/// again later. gc_pod_states_fn, if it is set, is asked as well, and can only keep more. Without GC_POD_GONE its answer decides, and
/// without both only limits apply. A pod with a container that runs or with a ready sandbox is kept whatever the host says (pod-active).
///
/// It makes 3 calls of the runtime to list a pod with one sandbox (1 more for each further sandbox), lists once more if it removes
/// something, and mostly makes 1 call for each container that it removes and 2 for each sandbox. Where the runtime has no streams it also asks
/// for the version.
///
/// # Safety
/// As for gc_containers; `uid` is NULL or a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_pod(
    engine: *mut gc_engine,
    uid: *const c_char,
    flags: u32,
    call: *mut gc_call,
    report: *mut *mut gc_report,
    error: *mut *mut gc_error,
) -> gc_status {
    let is_gone = flags & GC_POD_GONE != 0;
    // SAFETY: the host's promise.
    unsafe {
        pass(
            engine,
            flags,
            OF_ONE_POD,
            call,
            report,
            error,
            |engine, options, call| Ok(engine.pod(text(uid, "uid")?, is_gone, options, call)),
        )
    }
}

/// Starts periodic passes in the background, on one thread for each kind. They remove, unless the key dry-run is true. The first container
/// pass begins at once, and each other one container-gc-period after the end of the one before; image passes do the same with
/// image-gc-period. A period of 0 means that there are no passes of this kind. If no image records exist yet, the first image pass only
/// records images and removes none. With image-gc-high-threshold 100 there are no image passes, unless image-maximum-gc-age or
/// image-gc-min-available is set. If periodic passes run already, it does nothing and returns GC_OK. Returns GC_ERROR_CLOSED,
/// GC_ERROR_CONFIG (there would be no passes of either kind), GC_ERROR_IO (a thread cannot be started), GC_ERROR_INVALID_ARGUMENT
/// (`engine` is NULL) or GC_ERROR_BUSY (in a callback).
///
/// # Safety
/// `engine` is NULL or a live handle, `error` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_start(engine: *mut gc_engine, error: *mut *mut gc_error) -> gc_status {
    // SAFETY: the host's promise.
    unsafe { status(error, || required(engine, "engine")?.0.start()) }
}

/// Cancels the periodic passes and waits until they have ended. If another thread already stops them, this call waits as well.
/// gc_start starts them again. It blocks for less than a second, even if the runtime hangs; a callback and a system call of crigc that
/// hang keep it waiting. NULL does nothing. In a callback it does nothing.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_stop(engine: *mut gc_engine) {
    // SAFETY: the host's promise.
    outside((), || unsafe { read(engine, (), |engine| engine.0.stop()) });
}

/// Returns what the engine has counted since it was made, as text in Prometheus' format (version 0.0.4, content type
/// "text/plain; version=0.0.4; charset=utf-8"). All names begin with crigc_; docs/metrics.md explains each of them. Every sample has
/// the label `engine`, a number that no other living engine of this process has. No label contains an ID or a name of the node. The
/// caller frees the text with gc_string_free. A pass is counted before gc_pass_fn is called with its end.
///
/// May be called at any time, from any thread, also after gc_close; never waits for a pass. Returns NULL if `engine` is NULL, and in a
/// callback.
///
/// # Safety
/// `engine` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_metrics(engine: *mut gc_engine) -> *mut c_char {
    let none = std::ptr::null_mut();
    let text = |gc_engine(engine, callbacks): &gc_engine| {
        if callbacks.are_running() {
            return none;
        }
        owned(&engine.metrics())
    };
    // SAFETY: the host's promise.
    unsafe { read(engine, none, text) }
}

/// Returns the version of the library, such as "0.1.0". The string is always valid; do not free it. May be called from callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn gc_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    CStr::from_bytes_with_nul(VERSION.as_bytes()).map_or(std::ptr::null(), CStr::as_ptr)
}

/// Returns the GC_ABI that the library was built with. May be called from callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn gc_abi() -> u32 {
    GC_ABI
}

/// Frees a `char *` that the library returned. NULL does nothing. May be called from callbacks.
///
/// # Safety
/// `string` is NULL, or came from this library and was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_string_free(string: *mut c_char) {
    guarded((), || {
        if !string.is_null() {
            // SAFETY: the host's promise: it came from CString::into_raw.
            drop(unsafe { CString::from_raw(string) });
        }
    });
}
