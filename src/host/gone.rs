//! What a dry run would have deleted, so that links which only dangle through it are seen (S0.5).

use super::logs::LogRoom;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// How many links are followed, as in the kernel.
const LINKS: usize = 40;

/// Paths that count as gone.
#[derive(Debug, Default)]
pub struct GonePaths {
    logs: HashSet<PathBuf>,
    trees: HashSet<PathBuf>,
}

/// A path with the links of its directory resolved, and its last component as it stands.
fn place(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?.canonicalize().ok()?;
    Some(parent.join(path.file_name()?))
}

impl GonePaths {
    /// A log and its rotated siblings.
    pub fn add_log(&mut self, log_path: &str) {
        if !log_path.is_empty() && !log_path.ends_with('/') {
            self.logs.extend(place(Path::new(log_path)));
        }
    }

    /// An entry of a directory with all below it.
    pub fn add_tree(&mut self, room: &LogRoom, name: &str) {
        self.trees.extend(place(&Path::new(room.dir()).join(name)));
    }

    /// Whether something at this path would be gone, or would point to what is gone.
    pub fn covers(&self, path: &Path) -> bool {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            let Some(here) = place(&path) else {
                return true;
            };
            if self.takes(&here) {
                return true;
            }
            match std::fs::read_link(&here) {
                Ok(next) => path = here.parent().unwrap_or(Path::new("/")).join(next),
                Err(_) => return false,
            }
        }
        false
    }

    fn takes(&self, place: &Path) -> bool {
        if self.logs.contains(place) || place.ancestors().any(|dir| self.trees.contains(dir)) {
            return true;
        }
        // A rotated sibling: `<log>.<anything>`.
        let Some(name) = place.file_name().and_then(|name| name.to_str()) else {
            return false;
        };
        name.match_indices('.')
            .any(|(dot, _)| self.logs.contains(&place.with_file_name(&name[..dot])))
    }
}
