//! The file that holds all removals while it is there (S0.7).

use crate::panic_points;
use std::io;

/// Whether the file is there; an error = nobody can tell.
pub fn is_there(path: &str) -> io::Result<bool> {
    panic_points::point("look for the hold file");
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
