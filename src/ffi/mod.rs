//! The C interface: one file for each C object, `callbacks`, and `boundary`, which all of them use. It only translates. Its doc
//! comments become `include/crigc.h`.
#![allow(unsafe_code, reason = "pointers of C are used here and nowhere else")]
#![allow(non_camel_case_types, reason = "names of C")]

mod boundary;
pub mod call;
pub mod callbacks;
pub mod config;
pub mod connect;
pub mod engine;
pub mod error;
pub mod explain;
pub mod names;
#[cfg(feature = "panic-points")]
pub mod panics;
pub mod report;
