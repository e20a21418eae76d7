//! Where a pass touches the world: the places at which it does say so here, before they do. In a build with the feature `panic-points`, which
//! only tests have, a place can be told to panic; in any other build nothing is left of it.

/// Something is about to happen outside of crigc: a call of the runtime, of the host, of the file system.
#[inline]
pub(crate) fn point(what: &'static str) {
    reached(false, what);
}

/// The same in a task that runs beside the pass: how often depends on how the bytes come.
#[inline]
pub(crate) fn point_beside(what: &'static str) {
    reached(true, what);
}

#[cfg(feature = "panic-points")]
use panics::reached;

#[cfg(not(feature = "panic-points"))]
#[inline]
fn reached(_is_beside: bool, _what: &'static str) {}

/// Panics on purpose, of the thread that asks for them.
#[cfg(feature = "panic-points")]
pub mod panics {
    use std::cell::{Cell, RefCell};

    thread_local! {
        /// Whether places beside the pass are counted, or those of the pass; how many are left.
        static LEFT: Cell<(bool, u64)> = const { Cell::new((false, 0)) };
        /// The place at which each time panics, once the first one has.
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

    /// The `nth` place of a pass that this thread comes to from now on panics, once; 0 = none does.
    pub fn at(nth: u64) {
        set(false, nth);
    }

    /// The same, and then each time at the place of that name.
    pub fn from(nth: u64) {
        set(false, nth);
        FROM.set(true);
    }

    /// The same of the places beside the pass.
    pub fn at_beside(nth: u64) {
        set(true, nth);
    }

    fn set(beside: bool, nth: u64) {
        LEFT.set((beside, nth));
        FROM.set(false);
        EACH.set(None);
        PASSED.take();
    }

    /// The places that this thread came to since then, up to the one that has panicked.
    pub fn passed() -> Vec<&'static str> {
        PASSED.with_borrow(Clone::clone)
    }
}
