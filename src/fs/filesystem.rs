//! Figures of the image filesystem (S5.11).

use crate::error::{Error, Result, Status};
use crate::node::FsUsage;
use crate::panic_points;
use crate::report::visible;

/// The error if the figures of a mount point cannot be read or used.
pub fn no_figures(mount_point: &str, why: &str) -> Error {
    let mount_point = visible(mount_point);
    let message = format!(
        "no figures of the image filesystem at {mount_point}: {why}; give figures by the image_fs callback"
    );
    Error::new(Status::Io, message)
}

/// The figures that statvfs returns for a mount point.
pub fn usage(mount_point: &str) -> Result<FsUsage> {
    panic_points::point("ask for figures of a filesystem");
    let stat = rustix::fs::statvfs(mount_point);
    let stat = stat.map_err(|e| no_figures(mount_point, &e.to_string()))?;
    Ok(FsUsage {
        capacity: stat.f_blocks.saturating_mul(stat.f_frsize),
        available: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
    })
}
