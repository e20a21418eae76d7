//! Figures of the image filesystem (S5.11).

use crate::effect;
use crate::error::{Error, Result, Status};
use crate::node::FsUsage;
use crate::report::visible;

/// What statvfs says of a mount point. `reported_used`: the bytes that the runtime says it uses there; a filesystem smaller
/// than that is not the one it means (an agent in a container sees its own).
pub fn usage(mount_point: &str, reported_used: Option<u64>) -> Result<FsUsage> {
    let no_figures = |why: String| {
        Error::new(
            Status::Io,
            format!(
                "no figures of the image filesystem at {}: {why}; give figures by the image_fs callback",
                visible(mount_point)
            ),
        )
    };
    effect::point("ask for figures of a filesystem");
    let stat = rustix::fs::statvfs(mount_point).map_err(|e| no_figures(e.to_string()))?;
    let usage = FsUsage {
        capacity: stat.f_blocks.saturating_mul(stat.f_frsize),
        available: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
    };
    match reported_used {
        Some(used) if used > usage.capacity => Err(no_figures(format!(
            "it holds {} bytes, but the runtime says that it uses {used} there, so it is another one",
            usage.capacity
        ))),
        _ => Ok(usage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s5_11_statvfs_gives_the_figures() {
        let usage = usage("/", Some(1)).unwrap();
        assert!(usage.capacity > 0 && usage.available <= usage.capacity);
    }

    #[test]
    fn s5_11_a_missing_mount_point_and_one_that_is_too_small_are_no_figures() {
        let whole = usage("/", None).unwrap().capacity;
        for (mount_point, used) in [
            ("/no/such\nplace", None),
            ("", None),
            ("/", Some(whole + 1)),
        ] {
            let error = usage(mount_point, used).unwrap_err();
            assert_eq!(error.status, Status::Io);
            assert!(error.message.contains(&visible(mount_point)));
            assert!(
                error.message.contains("image_fs"),
                "no way out: {}",
                error.message
            );
        }
        assert!(usage("/", Some(whole)).is_ok());
    }
}
