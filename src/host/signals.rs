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
    // SAFETY: `before` was initialised by the call, where that was successful.
    let _restored = blocked.then(|| Mask(unsafe { before.assume_init() }));
    spawn()
}

/// The mask of this thread as it was, and as it will be again.
struct Mask(libc::sigset_t);

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: the mask came from the system.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut());
        }
    }
}
