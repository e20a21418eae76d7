//! Signals of this thread: threads of the library are born with nearly all of them blocked, so that the host's handlers run on the
//! host's threads, and a write that hits RLIMIT_FSIZE is an error alone. The one place of `src/fs/` that calls libc.
#![allow(unsafe_code, reason = "signal masks have no safe interface")]

use std::mem::MaybeUninit;

/// What a fault raises in the thread that makes it, and what a host may want to handle wherever it comes: in its callbacks, too.
const FAULTS: [libc::c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
];

/// Runs `spawn` with all signals but faults blocked in this thread: a thread made in it inherits that. The mask is put back after.
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

/// Runs `write`, in which a file may grow beyond RLIMIT_FSIZE: that is EFBIG, and no SIGXFSZ, which ends a host that never heard of it.
/// The kernel sends it to the thread that writes: there it is blocked, and taken back. To read the limit first would not do, another
/// thread may lower it meanwhile.
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
    let _taken_back = TakeBack {
        xfsz,
        // One that the host has blocked and that waits already is the host's.
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

/// Takes a SIGXFSZ that waits for this thread, and then puts its mask back.
struct TakeBack {
    xfsz: libc::sigset_t,
    is_ours: bool,
    _restored: Mask,
}

impl Drop for TakeBack {
    fn drop(&mut self) {
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: both are initialised and only read; who sent it is not asked. EINTR: a handler of the host ran meanwhile.
        while self.is_ours
            && unsafe { libc::sigtimedwait(&raw const self.xfsz, std::ptr::null_mut(), &at_once) }
                == -1
            && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR)
        {}
    }
}

/// The mask of this thread as it was, and as it will be again.
struct Mask(libc::sigset_t);

impl Mask {
    /// Changes the mask; `None` = the system would not.
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
