//! The C interface: one file a C object, and what they share in `boundary` and `callbacks`. Only translates; its doc
//! comments are the manual in `include/crigc.h`.
#![allow(unsafe_code, reason = "pointers of C are used here and nowhere else")]
#![allow(non_camel_case_types, reason = "names of C")]

mod boundary;
pub mod call;
pub mod callbacks;
pub mod config;
pub mod engine;
pub mod error;
#[cfg(feature = "panic-points")]
pub mod panics;
pub mod report;
