//! Reads and changes the machine itself: log files, filesystems, signals. Decides nothing.

pub mod changed;
pub mod config_files;
pub mod filesystem;
pub mod hold;
pub mod host_root;
pub mod image_ages;
mod image_ages_lock;
pub mod links;
mod log_files;
pub mod logs;
pub mod mounts;
pub mod nesting;
pub mod open_beneath;
mod orphan_files;
pub(crate) mod signals;
mod tree;
