//! Figures of the image filesystem (S5.11).

use crigc::error::Status;
use crigc::fs::filesystem::usage;
use crigc::fs::host_root::Root;
use crigc::report::visible;

#[test]
fn s5_11_statvfs_gives_the_figures() {
    let usage = usage(&Root::default(), "/").unwrap();
    assert!(usage.capacity > 0 && usage.available <= usage.capacity);
}

#[test]
fn s5_11_a_missing_mount_point_has_no_figures() {
    for mount_point in ["/no/such\nplace", ""] {
        let error = usage(&Root::default(), mount_point).unwrap_err();
        assert_eq!(error.status, Status::Io);
        assert!(error.message.contains(&visible(mount_point)));
        assert!(error.message.contains("image_fs"), "no way out: {error}");
    }
}
