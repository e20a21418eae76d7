//! crigc: the kubelet's garbage collection of containers, sandboxes, logs and images, as a library with a C interface.
//!
//! The interface is `include/crigc.h`. The Rust modules are public for crigc's own tests; they are no stable interface.

mod causes;
pub mod config;
pub(crate) mod cri;
#[cfg(not(feature = "panic-points"))]
mod effect;
#[cfg(feature = "panic-points")]
pub mod effect;
pub mod engine;
pub mod error;
pub mod ffi;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod hooks;
pub mod host;
pub mod node;
pub mod pass;
pub mod plan;
mod quiet;
pub mod report;
mod schedule;
