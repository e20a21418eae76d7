//! The decisions, by tables and by random nodes: no runtime, no files.

mod backoff;
mod containers;
mod images;
mod order;
mod random;
mod sandboxes_and_logs;
mod window;
