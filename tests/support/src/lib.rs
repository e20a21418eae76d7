//! Helpers of tests. They are a package, because the test binaries of crigc and those of `panic-tests` share them.
#![allow(missing_docs, reason = "the name and the tests that use it say it")]
#![expect(clippy::new_without_default, reason = "`new` makes folders")]

pub mod bench;
pub mod defects;
pub mod dice;
pub mod disk;
pub mod fault_node;
pub mod images;
pub mod large;
pub mod mounts;
pub mod node;
pub mod random_node;
pub mod records;
pub mod rules;
pub mod straced;
