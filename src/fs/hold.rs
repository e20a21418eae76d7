//! The file that stops all removals while it exists (S0.7).

use crate::panic_points;
use std::io;

/// Whether the file exists; an error = that is unknown.
pub fn is_there(path: &str) -> io::Result<bool> {
    panic_points::point("look for the hold file");
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
