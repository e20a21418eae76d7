//! Passes in which the runtime or a callback of the host fails.

mod callbacks_that_panic;
mod each_call;
mod hangs_and_restarts;
mod silence;
