//! Keeps the text of a panic of ours off the host's standard error: whatever has descriptor 2 there is not ours to write to.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

/// As long as it lives, panics of this thread are crigc's, and silent.
pub(crate) struct Quiet(());

/// Marks this thread as inside crigc.
pub(crate) fn enter() -> Quiet {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let inside = INSIDE.try_with(|inside| inside.get() > 0).unwrap_or(false);
            if !inside {
                others(info);
            }
        }));
    });
    INSIDE.with(|inside| inside.set(inside.get() + 1));
    Quiet(())
}

impl Drop for Quiet {
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(inside.get() - 1));
    }
}
