//! Signal masks of threads. The library's threads start with nearly all signals blocked, so that the host's handlers run on the host's
//! threads, and a write beyond RLIMIT_FSIZE is only an error. Nothing else in `src/fs/` calls libc.
#![allow(unsafe_code, reason = "signal masks have no safe interface")]

use std::mem::MaybeUninit;

/// A fault raises these in its own thread, where the host may want to handle them: its callbacks run there, too.
const FAULTS: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
];

/// Runs `spawn` with all signals blocked but those of faults: a thread that it starts inherits the mask. Then the mask is restored.
pub(crate) fn with_signals_blocked<R>(spawn: impl FnOnce() -> R) -> R {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises `all`, which sigdelset then changes.
    let all = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        for fault in FAULTS {
            libc::sigdelset(all.as_mut_ptr(), fault);
        }
        all.assume_init()
    };
    let _restored = Mask::change(libc::SIG_SETMASK, &all);
    spawn()
}

/// Runs `write`, in which a file may grow beyond RLIMIT_FSIZE, so that it fails with EFBIG only: SIGXFSZ would end a host that does not
/// handle it. The kernel sends the signal to the thread that writes, where it is blocked, and then consumed. To read the limit first
/// would not help: another thread may lower it meanwhile.
pub(crate) fn without_sigxfsz<R>(write: impl FnOnce() -> R) -> R {
    let mut xfsz = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises `xfsz`, which sigaddset then changes.
    let xfsz = unsafe {
        libc::sigemptyset(xfsz.as_mut_ptr());
        libc::sigaddset(xfsz.as_mut_ptr(), libc::SIGXFSZ);
        xfsz.assume_init()
    };
    let Some(restored) = Mask::change(libc::SIG_BLOCK, &xfsz) else {
        return write();
    };
    let _consumed = Consume {
        xfsz,
        // A signal that was pending before is for the host.
        is_ours: !is_pending(libc::SIGXFSZ),
        _restored: restored,
    };
    write()
}

fn is_pending(signal: libc::c_int) -> bool {
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigpending initialises `pending` where it returns 0.
    unsafe {
        libc::sigpending(pending.as_mut_ptr()) == 0
            && libc::sigismember(pending.as_ptr(), signal) == 1
    }
}

/// Consumes a SIGXFSZ that is pending in this thread, and then restores its mask.
struct Consume {
    xfsz: libc::sigset_t,
    is_ours: bool,
    _restored: Mask,
}

impl Drop for Consume {
    fn drop(&mut self) {
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: both are initialised and only read; a null pointer is allowed.
        let take =
            || unsafe { libc::sigtimedwait(&raw const self.xfsz, std::ptr::null_mut(), &at_once) };
        // EINTR: a handler of the host ran meanwhile.
        while self.is_ours
            && take() == -1
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR)
        {}
    }
}

/// The mask of this thread as it was; dropping this restores it.
struct Mask(libc::sigset_t);

impl Mask {
    /// Changes the mask; `None` = that failed.
    fn change(how: libc::c_int, signals: &libc::sigset_t) -> Option<Mask> {
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: pthread_sigmask reads `signals`, and initialises `before` where it returns 0.
        unsafe {
            let done = libc::pthread_sigmask(how, signals, before.as_mut_ptr()) == 0;
            done.then(|| Mask(before.assume_init()))
        }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: the mask came from the system.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut());
        }
    }
}
