//! Passes in which the runtime or a callback of the host fails.

mod callbacks_that_panic;
mod restarts;
mod silence;
