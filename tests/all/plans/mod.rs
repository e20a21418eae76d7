//! The decisions, by tables and by random nodes: no runtime, no files.

mod age;
mod backoff;
mod compared;
mod containers;
mod images;
mod one_pod;
mod order;
mod orphans;
mod random;
mod sandboxes_and_logs;
mod share;
mod space;
mod window;
