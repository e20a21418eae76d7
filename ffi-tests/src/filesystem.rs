//! A small filesystem of the test's own, for the images of a containerd.

use crate::has;
use crate::process::{Made, output};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An ext4 on a loop device.
pub struct Filesystem {
    folder: tempfile::TempDir,
}

/// Why there can be no containerd on one here, if so.
pub fn missing() -> Option<&'static str> {
    let can_mount = has("mkfs.ext4") && has("mount") && Path::new("/dev/loop-control").exists();
    crate::containerd::missing()
        .or_else(|| (!can_mount).then_some("mkfs.ext4, mount or loop devices are missing"))
}

impl Filesystem {
    /// Makes and mounts one of this size, with more options of mkfs.
    pub fn make(mebibytes: u64, options: &[&str]) -> Made<Filesystem> {
        let folder = tempfile::Builder::new().prefix("crigc-node").tempdir()?;
        let disk = folder.path().join("disk");
        std::fs::File::create(&disk)?.set_len(mebibytes << 20)?;
        let mut make = Command::new("mkfs.ext4");
        output(make.args(["-q", "-m0"]).args(options).arg(&disk))?;
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

    /// A folder on another filesystem, which goes with this one.
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
