//! Figures of the image filesystem (S5.11).

use super::host_root::Root;
use crate::error::{Error, Result, Status};
use crate::node::FsUsage;
use crate::panic_points;

/// The error if the figures of a mount point cannot be read or used.
pub fn no_figures(root: &Root, mount_point: &str, why: &str) -> Error {
    let place = root.shown(mount_point);
    let mount = if root.is_mounted() {
        "see whether the host's root is mounted there with all that is mounted in it"
    } else {
        "if crigc runs in a container, set host-root to where the host's root is mounted"
    };
    let message = format!(
        "no figures of the image filesystem at {place}: {why}; {mount}, or give figures by the image_fs callback"
    );
    Error::new(Status::Io, message)
}

/// The figures that statvfs returns for a mount point.
pub fn usage(root: &Root, mount_point: &str) -> Result<FsUsage> {
    panic_points::point("ask for figures of a filesystem");
    let stat = root.statvfs(mount_point);
    let stat = stat.map_err(|e| no_figures(root, mount_point, &e.to_string()))?;
    Ok(FsUsage {
        capacity: stat.f_blocks.saturating_mul(stat.f_frsize),
        available: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes: stat.f_files,
        // As for the bytes: what processes without privileges may still use. On Linux it is the same as f_ffree.
        inodes_free: stat.f_favail,
    })
}
