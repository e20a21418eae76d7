//! The text of `gc_metrics`: its format, its numbers after passes that are known, and while passes run.

mod exposition;
mod format;
mod running;
mod sums;
mod values;
