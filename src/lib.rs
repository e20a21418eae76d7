//! crigc: the kubelet's garbage collection of containers, sandboxes, logs and images, as a library with a C interface.
//!
//! The interface is `include/crigc.h`. The Rust modules are public only for crigc's own tests; they may change at any time.

mod causes;
pub mod clock;
mod compared;
pub mod config;
pub(crate) mod cri;
pub mod engine;
pub mod error;
mod explain;
pub mod ffi;
pub mod fs;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod hooks;
pub mod load;
mod metrics;
pub mod node;
#[cfg(not(feature = "panic-points"))]
mod panic_points;
#[cfg(feature = "panic-points")]
pub mod panic_points;
mod panics;
pub mod pass;
pub mod plan;
mod reason;
pub mod report;
mod schedule;
pub(crate) mod stop;
mod turns;
