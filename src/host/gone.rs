//! What a dry run would have deleted, so that links which only dangle through it are seen (S0.5).

use super::logs::LogRoom;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

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

    /// An entry of a log directory, with all below it if it is a tree.
    pub fn add_tree(&mut self, room: &LogRoom, name: &str) {
        self.trees.extend(place(&Path::new(room.dir()).join(name)));
    }

    /// Whether something at this path would be gone, or would point to what is gone. It is walked as the kernel walks it: a
    /// link on the way may be what goes.
    pub fn covers(&self, path: &Path) -> bool {
        if self.logs.is_empty() && self.trees.is_empty() {
            return false;
        }
        let mut here = PathBuf::from("/");
        let mut ahead = parts(path);
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == ".." {
                here.pop();
                continue;
            }
            let next = here.join(part);
            if self.takes(&next) {
                return true;
            }
            match std::fs::read_link(&next) {
                Err(_) => here = next,
                Ok(_) if links == LINKS => return false,
                Ok(target) => {
                    links += 1;
                    if target.is_absolute() {
                        here = PathBuf::from("/");
                    }
                    ahead.extend(parts(&target));
                }
            }
        }
        false
    }

    fn takes(&self, place: &Path) -> bool {
        if self.trees.contains(place) || self.logs.contains(place) {
            return true;
        }
        // A rotated sibling: `<log>.<anything>`.
        let name = place.file_name().map_or(&[][..], OsStr::as_bytes);
        let dots = (0..name.len()).filter(|&i| name[i] == b'.');
        dots.map(|dot| OsStr::from_bytes(&name[..dot]))
            .any(|stem| !stem.is_empty() && self.logs.contains(&place.with_file_name(stem)))
    }
}

/// The steps of a path, the first one last.
fn parts(path: &Path) -> Vec<OsString> {
    let steps = path.components().filter_map(|step| match step {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut steps: Vec<OsString> = steps.collect();
    steps.reverse();
    steps
}
