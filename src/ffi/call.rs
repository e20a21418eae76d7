//! `gc_call`: one call's deadline and its cancel button.

use super::boundary::{free, guarded, outside};
use crate::engine::Call;

/// One call's deadline and its cancel button. Made for one call of gc_containers or gc_images, freed with gc_call_free.
pub struct gc_call(pub(super) Call);

/// Makes a deadline `timeout_ms` milliseconds from now (0 = none). It counts from here, so waiting for the call's turn is
/// included; a call that begins after it ends at once with GC_ERROR_TIMEOUT. The caller frees it with gc_call_free once the
/// call and all its cancels have returned. NULL in a callback.
#[unsafe(no_mangle)]
pub extern "C" fn gc_call_new(timeout_ms: u64) -> *mut gc_call {
    outside(std::ptr::null_mut(), || {
        Box::into_raw(Box::new(gc_call(Call::new(timeout_ms))))
    })
}

/// Cancels: the call ends with GC_ERROR_CANCELLED, within a second also where the runtime hangs (requests in flight get 300
/// ms), and its report says how far it came. Sticky: it may come before the call begins. From any thread, signal handlers
/// excepted, and from callbacks; never blocks. NULL does nothing.
///
/// # Safety
/// `call` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_call_cancel(call: *mut gc_call) {
    // SAFETY: the host's promise; cancelling takes a shared reference, so a pass may use it meanwhile.
    guarded((), || {
        if let Some(call) = unsafe { call.as_ref() } {
            call.0.cancel();
        }
    });
}

/// Frees it. NULL does nothing; in a callback nothing is freed.
///
/// # Safety
/// `call` is NULL or a handle that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_call_free(call: *mut gc_call) {
    // SAFETY: the host's promise.
    outside((), || unsafe { free(call) });
}
