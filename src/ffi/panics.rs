//! Lets a C program of the tests choose where a pass panics. Only in builds with the feature `panic-points`, and in no header.

use crate::panic_points::panics;

/// The `nth` place that this thread comes to from now on panics; 0 = none. How many it came to since the last call.
#[unsafe(no_mangle)]
pub extern "C" fn gc_test_panic_at(nth: u64) -> u64 {
    let passed = panics::passed().len() as u64;
    panics::at(nth);
    passed
}
