//! The file that stops all removals while it exists (S0.7).

use super::host_root::Root;
use crate::panic_points;
use rustix::io::Errno;
use std::io;

/// Whether the file exists; an error = that is unknown.
pub fn is_there(root: &Root, path: &str) -> io::Result<bool> {
    panic_points::point("look for the hold file");
    match root.lstat(path) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e.into()),
    }
}
