//! What crigc does to files and log directories (`src/fs`), by itself.

mod changed;
mod filesystem;
mod gone;
mod host_root;
mod logs;
mod orphan_files;
mod trees;
