//! Lets a C program of the tests choose where a pass panics. Only in builds with the feature `panic-points`, and not in the header.

use crate::panic_points::panics;

/// Lets the `nth` panic point that this thread reaches from now on panic; 0 = none. Returns how many it reached since the last call.
#[unsafe(no_mangle)]
pub extern "C" fn gc_test_panic_at(nth: u64) -> u64 {
    let passed = panics::passed().len() as u64;
    panics::at(nth);
    passed
}
