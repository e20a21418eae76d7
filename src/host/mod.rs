//! What a pass does to, and asks of, the machine itself: log files, filesystems, clocks, signals. Decides nothing.

pub mod beneath;
pub mod changed;
pub mod clock;
pub mod filesystem;
pub mod hold;
pub mod links;
mod log_files;
pub mod logs;
pub mod mounts;
pub mod nesting;
pub mod records;
pub(crate) mod signals;
mod tree;
