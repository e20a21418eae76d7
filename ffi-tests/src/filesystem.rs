//! A small filesystem of the test's own.

use crate::process::{Made, output};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An ext4 of its own on a loop device.
pub struct Filesystem {
    folder: tempfile::TempDir,
}

impl Filesystem {
    /// Makes and mounts one of this size.
    pub fn make(mebibytes: u64) -> Made<Filesystem> {
        let folder = tempfile::Builder::new()
            .prefix("crigc-node")
            .tempdir_in("/tmp")?;
        let disk = folder.path().join("disk");
        std::fs::File::create(&disk)?.set_len(mebibytes << 20)?;
        output(Command::new("mkfs.ext4").args(["-q", "-m0"]).arg(&disk))?;
        let mount = folder.path().join("fs");
        std::fs::create_dir(&mount)?;
        output(
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(&disk)
                .arg(&mount),
        )?;
        Ok(Filesystem { folder })
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("fs")
    }

    /// A folder that is not on it.
    pub fn beside(&self) -> &Path {
        self.folder.path()
    }

    /// How full it is, in percent.
    pub fn usage(&self) -> Made<u64> {
        let figures = rustix::fs::statvfs(self.path())?;
        Ok(100 - figures.f_bavail * 100 / figures.f_blocks)
    }
}

impl Drop for Filesystem {
    fn drop(&mut self) {
        // A mount that is still in use goes with its last user.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
