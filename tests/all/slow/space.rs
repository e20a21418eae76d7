//! Filesystems that take their time, or for ever, to show what the removal of an image freed: each removal is waited for (S5.8, S5.11).

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::node::FsUsage;
use std::sync::Arc;
use test_support::disk::{Disk, Layer};
use test_support::images::{Host, engine, image, node, start, status, there, told};
use test_support::rules::Rules;

const MEASURED: (&str, &str) = ("image-free-accounting", "measured");
const INODES: (&str, &str) = ("image-gc-inode-thresholds", "true");

/// As a thin volume, whose figures are those of another disk: five removals show that more would not help.
#[test]
fn s5_8_a_filesystem_that_shows_nothing_ends_the_pass_after_five_removals() {
    let mut rules = Rules::default();
    let figures = FsUsage {
        capacity: 1000,
        available: 900,
        inodes: 1000,
        inodes_free: 900,
    };
    let no_bytes = FsUsage {
        available: 100,
        ..figures
    };
    let no_inodes = FsUsage {
        inodes_free: 30,
        ..figures
    };
    let table = [
        (no_bytes, [MEASURED].to_vec(), "a quarter of the size"),
        (no_inodes, [INODES].to_vec(), "no inode more was free"),
        (no_inodes, [INODES, MEASURED].to_vec(), "no inode more"),
    ];
    for (figures, keys, says) in table {
        rules.case("S5.8");
        rules.case("S5.11");
        let images = (0..8).map(|n| image(&format!("i{n}"), &format!("r/i{n}:1"), 10));
        let server = Arc::new(start(node(images.collect())));
        let layers = (0..8).map(|n| (format!("i{n}"), format!("i{n}"), 10, 40));
        let disk = Disk {
            figures,
            layers: layers.collect(),
            late: usize::MAX,
        };
        let host = Host::new(1, 1);
        let engine = engine(&server, disk.hooks(host.hooks(true), &server), &keys);
        let end = engine.images(PassOptions::PLAIN, None);
        let told = told(&end);
        let count = |end: &str| told.iter().filter(|line| line.ends_with(end)).count();
        let counts = (count(" removed space"), count(" kept no-effect"));
        assert_eq!(counts, (5, 3), "{keys:?}: {told:?}");
        assert_eq!(there(&server).len(), 3, "{keys:?}");
        assert_eq!(*host.events.lock().unwrap(), ["FreeDiskSpaceFailed"]);
        assert_eq!(status(&end), Some(Status::NotEnoughFreed), "{keys:?}");
        let message = end.error.unwrap().message;
        assert!(message.contains(says), "{keys:?}: {message}");
        assert!(message.contains("does not show what is freed"), "{message}");
    }
}

/// The first four images hold only a layer that the fifth has, too: four removals without effect are not yet a sign.
#[test]
fn s5_8_the_last_image_of_a_shared_layer_frees_it() {
    let mut rules = Rules::default();
    rules.case("S5.8");
    let images = (0..8).map(|n| image(&format!("i{n}"), &format!("r/i{n}:1"), 900));
    let server = Arc::new(start(node(images.collect())));
    let layer = |n: usize| -> Layer {
        let layer = if n < 5 {
            "shared".to_owned()
        } else {
            format!("i{n}")
        };
        (format!("i{n}"), layer, 900, 0)
    };
    let disk = Disk {
        figures: FsUsage {
            capacity: 10_000,
            available: 1100,
            ..FsUsage::default()
        },
        layers: (0..8).map(layer).collect(),
        late: 0,
    };
    let hooks = disk.hooks(Host::new(1, 1).hooks(true), &server);
    let end = engine(&server, hooks, &[MEASURED]).images(PassOptions::PLAIN, None);
    assert_eq!((there(&server).len(), status(&end)), (3, None));
    let (before, after) = end.report.unwrap().filesystem.unwrap();
    assert_eq!((before.available, after.available), (1100, 2000));
}
