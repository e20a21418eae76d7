//! Test hook: each call out of the process is announced here first, so that a test can make it panic. Only builds with the feature
//! `panic-points` contain it.

/// Announces a call of the runtime, of the host or of the file system.
#[inline]
pub(crate) fn point(what: &'static str) {
    reached(false, what);
}

/// The same in a task that runs beside the pass. How often it is called depends on how the bytes arrive.
#[inline]
pub(crate) fn point_beside(what: &'static str) {
    reached(true, what);
}

#[cfg(feature = "panic-points")]
use panics::reached;

#[cfg(not(feature = "panic-points"))]
#[inline]
fn reached(_is_beside: bool, _what: &'static str) {}

/// Chooses the places at which the calling thread panics.
#[cfg(feature = "panic-points")]
pub mod panics {
    use std::cell::{Cell, RefCell};

    thread_local! {
        /// Whether places beside the pass are counted or those of the pass, and how many are left.
        static LEFT: Cell<(bool, u64)> = const { Cell::new((false, 0)) };
        /// The place that panics each time, after its first panic.
        static EACH: Cell<Option<&'static str>> = const { Cell::new(None) };
        static FROM: Cell<bool> = const { Cell::new(false) };
        static PASSED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn reached(is_beside: bool, what: &'static str) {
        assert!(
            EACH.get() != Some(what),
            "a panic on purpose before: {what}"
        );
        let (beside, left) = LEFT.get();
        if is_beside != beside || left == 0 {
            return;
        }
        PASSED.with_borrow_mut(|passed| passed.push(what));
        LEFT.set((beside, left - 1));
        if left == 1 && FROM.get() {
            EACH.set(Some(what));
        }
        assert!(left != 1, "a panic on purpose before: {what}");
    }

    /// Lets the `nth` place of a pass that this thread reaches from now on panic, once; 0 = none.
    pub fn at(nth: u64) {
        set(false, nth);
    }

    /// The same, and then each time at every place of that name.
    pub fn from(nth: u64) {
        set(false, nth);
        FROM.set(true);
    }

    /// As `at`, for the places beside the pass.
    pub fn at_beside(nth: u64) {
        set(true, nth);
    }

    fn set(beside: bool, nth: u64) {
        LEFT.set((beside, nth));
        FROM.set(false);
        EACH.set(None);
        PASSED.take();
    }

    /// The places that this thread has reached since then, up to the one that panicked.
    pub fn passed() -> Vec<&'static str> {
        PASSED.with_borrow(Clone::clone)
    }
}
