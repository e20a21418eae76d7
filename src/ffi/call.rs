//! `gc_call`: the deadline of one call, and the means to cancel it.

use super::boundary::{free, outside, read};
use crate::engine::Call;

/// The deadline of a call of gc_containers, gc_images or gc_pod, and the means to cancel it. Make one with gc_call_new, and free it with
/// gc_call_free. Several calls may share one, one after the other or at once: then they share the deadline and the cancel.
pub struct gc_call(pub(super) Call);

/// Makes a deadline `timeout_ms` milliseconds from now; 0 = no deadline. The time counts from here, so it includes the wait for the
/// call's turn. A call that begins after its deadline fails at once with GC_ERROR_TIMEOUT. The caller frees the handle with
/// gc_call_free once the call and every gc_call_cancel for it have returned. Returns NULL in a callback.
#[unsafe(no_mangle)]
pub extern "C" fn gc_call_new(timeout_ms: u64) -> *mut gc_call {
    outside(std::ptr::null_mut(), || {
        Box::into_raw(Box::new(gc_call(Call::new(timeout_ms))))
    })
}

/// Cancels the call: it ends with GC_ERROR_CANCELLED, and its report says what was done. The call ends within a second even if the
/// runtime hangs, but not while a callback or a system call of crigc hangs. Requests in flight get 300 ms of that second. A cancel
/// lasts: a call that begins later ends at once. May be called from any thread and from callbacks, but not in a signal handler.
/// Never blocks. NULL does nothing.
///
/// # Safety
/// `call` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_call_cancel(call: *mut gc_call) {
    // SAFETY: the host's promise; a cancel takes a shared reference, so a pass may use the call meanwhile.
    unsafe { read(call, (), |call| call.0.cancel()) };
}

/// Frees the handle. NULL does nothing. In a callback it frees nothing.
///
/// # Safety
/// `call` is NULL or a handle that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_call_free(call: *mut gc_call) {
    // SAFETY: the host's promise.
    outside((), || unsafe { free(call) });
}
