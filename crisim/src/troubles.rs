//! Troubles that a made node can have: too few inodes, and containers that another program has removed.

use crate::node::{Layer, Node, Sandbox, State, Word};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bytes of an image for each of its inodes.
const BYTES_OF_INODE: u64 = 16 << 10;
/// How old a log is at least whose container was removed by hand.
const FORGOTTEN: Duration = Duration::from_secs(2 * 86_400);

impl Node {
    /// Gives each image a layer with inodes, and fills the filesystem with inodes to so many percent, half of them of images.
    pub fn fill_inodes(&mut self, percent: u64) {
        let mut used = 0;
        for image in &mut self.images {
            let inodes = image.size / BYTES_OF_INODE;
            used += inodes;
            image.layers = vec![Layer {
                name: image.id.clone(),
                bytes: image.size,
                inodes,
            }];
        }
        let inodes = (used * 2 * 100 / percent.max(1)).max(1);
        self.filesystem.inodes = inodes;
        self.filesystem.inodes_free = (inodes * (100 - percent.min(100))).div_ceil(100);
    }

    /// Removes up to so many of the first dead containers of each pod with a READY sandbox, as another program does: their logs and links
    /// stay, two days old.
    pub fn remove_by_hand(&mut self, containers: usize) -> io::Result<()> {
        let ready = |s: &&Sandbox| s.state == State::Word(Word::Ready);
        let ready = self.sandboxes.iter().filter(ready);
        let ready: HashSet<Vec<u8>> = ready.map(|s| s.id.0.clone()).collect();
        let mut gone: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let mut logs = Vec::new();
        self.containers.retain(|container| {
            let sandbox = &container.sandbox_id.0;
            let running = container.state == State::Word(Word::Running);
            if running || !ready.contains(sandbox) {
                return true;
            }
            let count = gone.entry(sandbox.clone()).or_default();
            *count += 1;
            if *count <= containers {
                logs.push(PathBuf::from(container.log_path.to_string()));
            }
            *count > containers
        });
        for log in logs.iter().filter(|log| log.is_absolute()) {
            make_old(log)?;
        }
        Ok(())
    }
}

/// Dates a log and its rotated siblings.
fn make_old(log: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (log.parent(), log.file_name()) else {
        return Ok(());
    };
    let name = name.to_string_lossy();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let other = entry.file_name();
        let rest = other.to_string_lossy();
        let rest = rest.strip_prefix(&*name);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            let file = std::fs::File::options().write(true).open(entry.path())?;
            file.set_modified(SystemTime::now() - FORGOTTEN)?;
        }
    }
    Ok(())
}
