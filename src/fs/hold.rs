//! The file that stops all removals while it exists (S0.7).

use super::host_root::Root;
use crate::panic_points;
use rustix::io::Errno;
use std::io;
use std::path::Path;

/// Whether the file exists; an error = that is unknown. Below `host-root` its directory has to exist: else the host, or that part of it, may
/// not be mounted there.
pub fn is_there(root: &Root, path: &str) -> io::Result<bool> {
    panic_points::point("look for the hold file");
    match root.lstat(path) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) if root.is_mounted() => {
            let parent = Path::new(path).parent().unwrap_or(Path::new("/"));
            root.stat(parent)?;
            Ok(false)
        }
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Whether the directory of a file exists, as far as that can be known.
pub fn has_directory(path: &Path) -> bool {
    let directory = path.parent();
    directory.is_none_or(|directory| directory.try_exists().unwrap_or(true))
}
