//! All tests of crigc that can share a process. What cannot is a binary of its own beside this one and says why. What the tests stand
//! on is the package `tests/support`.
//!
//! A name begins with the number of the rule that its test is about: `cargo test -p crigc s1_5` runs the tests of S1.5 that stand alone.
//! Most rules are rows of a table as well, one for each kind of object: `cargo test -p crigc --test all plans::` runs the tables, and
//! `cargo test -p crigc --test all images::` all that is about images.

mod containers;
mod ends;
mod faults;
mod files;
mod host;
mod images;
mod interface;
mod logs;
mod metrics;
mod one_pod;
mod plans;
mod sandboxes;
mod slow;
mod turns;

/// A feature holds for all that is built with it: where a package that panics on purpose is built beside this one, these are tests of
/// another crigc.
#[test]
fn the_code_under_test_is_the_code_that_is_shipped() {
    let shipped = !cfg!(feature = "panic-points");
    assert!(
        shipped,
        "test each package by itself, as in `cargo test -p crigc`"
    );
}
