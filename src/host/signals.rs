//! Threads of the library are born with all signals blocked, so that the host's handlers run on the host's threads. The one
//! place of `src/host/` that calls libc.
#![allow(unsafe_code)] // signal masks have no safe interface

use std::mem::MaybeUninit;

/// Runs `spawn` with all signals blocked in this thread: a thread made in it inherits that. The mask is put back after.
pub(crate) fn with_all_blocked<R>(spawn: impl FnOnce() -> R) -> R {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises `all`; pthread_sigmask reads it, and initialises `before` where it returns 0.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = spawn();
    if blocked {
        // SAFETY: `before` was initialised by the successful call above.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        }
    }
    result
}
