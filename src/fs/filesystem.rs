//! Figures of the image filesystem (S5.11).

use crate::error::{Error, Result, Status};
use crate::node::FsUsage;
use crate::panic_points;
use crate::report::visible;

/// The error of a mount point that gives no figures.
pub fn no_figures(mount_point: &str, why: &str) -> Error {
    let mount_point = visible(mount_point);
    Error::new(
        Status::Io,
        format!(
            "no figures of the image filesystem at {mount_point}: {why}; give figures by the image_fs callback"
        ),
    )
}

/// What statvfs says of a mount point.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_11_statvfs_gives_the_figures() {
        let usage = usage("/").unwrap();
        assert!(usage.capacity > 0 && usage.available <= usage.capacity);
    }

    #[test]
    fn s5_11_a_missing_mount_point_has_no_figures() {
        for mount_point in ["/no/such\nplace", ""] {
            let error = usage(mount_point).unwrap_err();
            assert_eq!(error.status, Status::Io);
            assert!(error.message.contains(&visible(mount_point)));
            assert!(
                error.message.contains("image_fs"),
                "no way out: {}",
                error.message
            );
        }
    }
}
