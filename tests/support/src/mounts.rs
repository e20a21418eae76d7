//! Mounts for tests.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mount, undone when dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    fn by(arguments: &[&str], to: &Path) -> bool {
        let done = Command::new("mount").args(arguments).arg(to).output();
        done.is_ok_and(|output| output.status.success())
    }

    fn made(arguments: &[&str], to: &Path) -> Option<Mounted> {
        if Mounted::by(arguments, to) {
            return Some(Mounted(to.to_owned()));
        }
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "cannot mount");
        println!("skipped: mounts need root");
        None
    }

    /// A bind mount; `None` = this machine does not allow it, which may not be in CI.
    pub fn bind(from: &Path, to: &Path) -> Option<Mounted> {
        Mounted::made(&["--bind", from.to_str().unwrap()], to)
    }

    /// An empty filesystem of this size.
    pub fn tmpfs(size: &str, to: &Path) -> Option<Mounted> {
        let options = format!("size={size}");
        Mounted::made(&["-t", "tmpfs", "-o", &options, "tmpfs"], to)
    }

    pub fn read_only(self) -> Mounted {
        assert!(Mounted::by(&["-o", "remount,bind,ro"], &self.0));
        self
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A failure shows as a temporary directory that cannot be removed.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
