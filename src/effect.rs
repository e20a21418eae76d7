//! Where a pass touches the world: each such place says so here, just before it does. In a build with the feature `panic-points`, which
//! only tests have, a place can be told to panic; in any other build nothing is left of it.

/// Something is about to happen outside of crigc: a call of the runtime, of the host, of the file system.
#[inline]
pub(crate) fn point(what: &'static str) {
    #[cfg(feature = "panic-points")]
    panics::reached(what);
    #[cfg(not(feature = "panic-points"))]
    let _ = what;
}

/// Panics on purpose, of the thread that asks for them.
#[cfg(feature = "panic-points")]
pub mod panics {
    use std::cell::{Cell, RefCell};

    thread_local! {
        static LEFT: Cell<u64> = const { Cell::new(0) };
        static PASSED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn reached(what: &'static str) {
        let left = LEFT.get();
        if left > 0 {
            PASSED.with_borrow_mut(|passed| passed.push(what));
        }
        LEFT.set(left.saturating_sub(1));
        assert!(left != 1, "a panic on purpose before: {what}");
    }

    /// The `nth` place that this thread comes to from now on panics, once; 0 = none does.
    pub fn at(nth: u64) {
        LEFT.set(nth);
        PASSED.take();
    }

    /// The places that this thread came to since then, up to the one that has panicked.
    pub fn passed() -> Vec<&'static str> {
        PASSED.with_borrow(Clone::clone)
    }
}
