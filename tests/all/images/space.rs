//! When images are removed for space, and when enough is free, by the filesystem itself: layers that images share, filesystems that show late
//! what is freed, a minimum of available bytes, and inodes (S5.6, S5.8, S5.9, S5.11).

use crigc::engine::{Call, PassEnd, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks, LogLevel};
use crigc::node::FsUsage;
use crisim::Server;
use crisim::fault::{Action, Fault};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use test_support::disk::{Disk, Layer};
use test_support::images::*;
use test_support::rules::Rules;

const DRY_RUN: PassOptions = PassOptions {
    dry_run: true,
    ..PassOptions::PLAIN
};
const MEASURED: (&str, &str) = ("image-free-accounting", "measured");
const INODES: (&str, &str) = ("image-gc-inode-thresholds", "true");

/// A node with so many images of this reported size.
fn images(count: usize, size: u64) -> Arc<Server> {
    let images = (0..count).map(|n| image(&format!("i{n}"), &format!("r/i{n}:1"), size));
    Arc::new(start(node(images.collect())))
}

/// The layers of such images: one in common, and one of its own for each.
fn shared(count: usize, common: u64, own: u64) -> Vec<Layer> {
    let layers = (0..count).flat_map(|n| {
        let image = format!("i{n}");
        let base = (image.clone(), "base".to_owned(), common, 0);
        [base, (image.clone(), image, own, 0)]
    });
    layers.collect()
}

/// The layers of such images: one for each, with so many inodes.
fn files(count: usize, inodes: u64) -> Vec<Layer> {
    let layer = |n| (format!("i{n}"), format!("i{n}"), 1, inodes);
    (0..count).map(layer).collect()
}

fn usage(capacity: u64, available: u64) -> FsUsage {
    FsUsage {
        capacity,
        available,
        ..FsUsage::default()
    }
}

/// Hooks with the log up to a level.
fn logging(hooks: Hooks, up_to: LogLevel) -> (Hooks, Arc<Mutex<Vec<String>>>) {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = told.clone();
    let log = move |_: LogLevel, line: &str| log.lock().unwrap().push(line.to_owned());
    let hooks = Hooks {
        log: Some((up_to, Hook::new(Box::new(log) as _))),
        ..hooks
    };
    (hooks, told)
}

fn removed(end: &PassEnd) -> usize {
    let told = told(end);
    told.iter().filter(|l| l.contains(" removed ")).count()
}

fn kept(end: &PassEnd, reason: &str) -> usize {
    let told = told(end);
    let ends = format!(" kept {reason}");
    told.iter().filter(|l| l.ends_with(&ends)).count()
}

fn after(end: &PassEnd) -> FsUsage {
    let (_, after) = end.report.as_ref().unwrap().filesystem.unwrap();
    after
}

/// kubernetes#71869 and kubernetes#120698: the sizes of images count shared layers once for each image, so a pass that believes them ends
/// with a disk that is still full.
#[test]
fn s5_8_shared_layers_count_once_where_the_filesystem_is_asked() {
    let mut rules = Rules::default();
    // The accounting, how many at once, how late the filesystem shows what is freed, how many images go for 600 bytes, what is available then.
    let table = [
        ("reported", "1", 0, 2, 1600),
        ("reported", "1", 3, 2, 1400),
        ("measured", "1", 0, 6, 2000),
        ("measured", "1", 1, 6, 2000),
        ("measured", "1", 3, 6, 2000),
        ("measured", "4", 0, 6, 2000),
    ];
    for (accounting, at_once, late, go, available) in table {
        rules.case("S5.8");
        let what = format!("{accounting}, {at_once} at once, {late} looks late");
        let server = images(9, 300);
        let disk = Disk {
            figures: usage(10_000, 1400),
            layers: shared(9, 200, 100),
            late,
        };
        let host = Host::new(1, 1);
        let keys = [
            ("image-free-accounting", accounting),
            ("max-parallel-image-removals", at_once),
        ];
        let engine = engine(&server, disk.hooks(host.hooks(true), &server), &keys);
        let end = engine.images(PassOptions::PLAIN, None);
        assert_eq!(
            (removed(&end), there(&server).len()),
            (go, 9 - go),
            "{what}"
        );
        assert_eq!(kept(&end, "enough-freed"), 9 - go, "{what}");
        assert_eq!(status(&end), None, "{what}: {:?}", end.error);
        assert_eq!(after(&end).available, available, "{what}");
    }
}

/// The last image of a layer frees it, and no image more goes than that.
#[test]
fn s5_8_a_pass_that_measures_ends_when_the_goal_holds() {
    let mut rules = Rules::default();
    // How many images share a layer of 900 bytes, which is what is wanted, and how many go.
    for (share, go) in [(1, 1), (2, 2)] {
        rules.case("S5.8");
        let server = images(8, 900);
        let mut layers = shared(8, 0, 900);
        for (image, layer, bytes, _) in &mut layers {
            let number: usize = image[1..].parse().unwrap();
            if layer == "base" {
                *bytes = 0;
            } else if number < share {
                *layer = "shared".to_owned();
            }
        }
        let disk = Disk {
            figures: usage(10_000, 1100),
            layers,
            late: 0,
        };
        let hooks = disk.hooks(Host::new(1, 1).hooks(true), &server);
        let end = engine(&server, hooks, &[MEASURED]).images(PassOptions::PLAIN, None);
        assert_eq!((removed(&end), status(&end)), (go, None), "{share}");
        assert_eq!(after(&end).available, 2000, "{share}");
    }
}

/// A dry run knows the sizes alone, however the pass would count.
#[test]
fn s5_8_a_dry_run_counts_sizes_in_each_accounting() {
    let mut rules = Rules::default();
    for accounting in ["reported", "measured"] {
        rules.case("S5.8");
        let server = images(9, 300);
        let disk = Disk {
            figures: usage(10_000, 1400),
            layers: shared(9, 200, 100),
            late: 0,
        };
        let hooks = disk.hooks(Host::new(1, 1).hooks(true), &server);
        let keys = [("image-free-accounting", accounting)];
        let end = engine(&server, hooks, &keys).images(DRY_RUN, None);
        assert_eq!((removed(&end), status(&end)), (2, None), "{accounting}");
        assert_eq!(there(&server).len(), 9, "{accounting}");
    }
}

/// A removal that fails shows nothing, and is none of the five.
#[test]
fn s5_8_a_failed_removal_is_not_one_without_effect() {
    let mut rules = Rules::default();
    rules.case("S5.8");
    let server = images(9, 300);
    let faults = (0..6).map(|n| {
        let busy = Action::Code(13, "busy".into());
        Fault::of("RemoveImage", &format!("i{n}"), busy)
    });
    server.set_faults(faults.collect());
    let disk = Disk {
        figures: usage(10_000, 1400),
        layers: shared(9, 0, 300),
        late: 0,
    };
    let hooks = disk.hooks(Host::new(1, 1).hooks(true), &server);
    let end = engine(&server, hooks, &[MEASURED]).images(PassOptions::PLAIN, None);
    assert_eq!(there(&server).len(), 7);
    assert_eq!((removed(&end), kept(&end, "enough-freed")), (2, 1));
    assert_eq!(status(&end), Some(Status::Runtime), "S5.9");
}

/// The figures get lost: then the sizes count.
#[test]
fn s5_8_a_pass_that_measures_without_figures_counts_sizes() {
    let mut rules = Rules::default();
    for later in [None, Some(usage(0, 9000))] {
        rules.case("S5.8");
        let server = images(9, 300);
        let first = Mutex::new(Some(usage(10_000, 1400)));
        let figures = move || first.lock().unwrap().take().or(later);
        let hooks = Hooks {
            image_fs: Some(Hook::new(Box::new(figures) as _)),
            ..Host::new(1, 1).hooks(false)
        };
        let end = engine(&server, hooks, &[MEASURED]).images(PassOptions::PLAIN, None);
        assert_eq!((removed(&end), status(&end)), (2, None), "{later:?}");
    }
}

/// A pass that is cancelled while it waits for the filesystem ends, and the image that it removed is reported as removed.
#[test]
fn s6_5_a_pass_that_waits_for_the_filesystem_can_be_cancelled() {
    let mut rules = Rules::default();
    rules.case("S6.5");
    rules.case("S5.8");
    let server = images(3, 300);
    let (call, looks) = (Arc::new(Call::new(0)), Mutex::new(0));
    let cancel = call.clone();
    let figures = move || {
        let mut looks = looks.lock().unwrap();
        *looks += 1;
        // The goal, and two looks after the first removal.
        if *looks == 3 {
            cancel.cancel();
        }
        Some(usage(10_000, 1400))
    };
    let hooks = Hooks {
        image_fs: Some(Hook::new(Box::new(figures) as _)),
        ..Host::new(1, 1).hooks(false)
    };
    let end = engine(&server, hooks, &[MEASURED]).images(PassOptions::PLAIN, Some(&call));
    let want = [
        "i0 removed space",
        "i1 kept not-reached",
        "i2 kept not-reached",
    ];
    assert_eq!(
        (told(&end), status(&end)),
        (want.map(String::from).to_vec(), Some(Status::Cancelled))
    );
    assert_eq!(there(&server).len(), 2);
}

/// An image that was removed is reported as removed, though the host's figures panic behind it. No more images go than one whose end is known.
#[test]
fn s5_8_a_panic_of_the_figures_loses_no_removal() {
    let mut rules = Rules::default();
    // At which looks the callback panics: the first is for the goal, the second before the first removal, the third while that is waited for.
    let table = [
        (
            2,
            2,
            [
                "failed space",
                "kept list-incomplete",
                "kept list-incomplete",
            ],
        ),
        (
            3,
            3,
            ["removed space", "removed space", "kept enough-freed"],
        ),
        (
            3,
            99,
            [
                "removed space",
                "kept list-incomplete",
                "kept list-incomplete",
            ],
        ),
    ];
    for (from, to, want) in table {
        rules.case("S5.8");
        let server = images(3, 300);
        let disk = Disk {
            figures: usage(10_000, 1400),
            layers: shared(3, 0, 300),
            late: 0,
        };
        let hooks = disk.hooks(Host::new(1, 1).hooks(true), &server);
        let (figures, looks) = (hooks.image_fs.clone().unwrap(), AtomicUsize::new(0));
        let breaking = move || {
            let look = 1 + looks.fetch_add(1, Ordering::SeqCst);
            assert!(!(from..=to).contains(&look), "broken");
            figures.with(|figures| figures())
        };
        let hooks = Hooks {
            image_fs: Some(Hook::new(Box::new(breaking) as _)),
            ..hooks
        };
        let end = engine(&server, hooks, &[MEASURED]).images(PassOptions::PLAIN, None);
        let want: Vec<String> = (0..3).map(|n| format!("i{n} {}", want[n])).collect();
        assert_eq!(told(&end), want, "{from} to {to}");
        assert_eq!(there(&server).len(), 3 - removed(&end), "{from} to {to}");
        assert_eq!(status(&end), Some(Status::Internal), "{from} to {to}");
    }
}

/// 20 GiB free on a disk of 2 TiB, and not a byte more.
#[test]
fn s5_6_a_minimum_of_available_bytes_is_kept_on_a_large_disk() {
    const GIB: u64 = 1 << 30;
    let mut rules = Rules::default();
    let large = |available| usage(2048 * GIB, available * GIB);
    let switched_off: &[_] = &[("image-gc-high-threshold", "100")];
    // What is available in GiB, keys beside the minimum, the accounting, how many images of 3 GiB go, and how the pass ends.
    let table = [
        (20, switched_off, "reported", 0, None),
        (19, switched_off, "reported", 1, None),
        (14, switched_off, "reported", 2, None),
        (14, switched_off, "measured", 2, None),
        (0, switched_off, "reported", 7, None),
        // The threshold of 85 % is reached, too, and wants more than there is to remove.
        (19, &[], "reported", 8, Some(Status::NotEnoughFreed)),
    ];
    for (available, keys, accounting, go, ended) in table {
        rules.case("S5.6");
        let what = format!("{available} GiB, {accounting}");
        let server = images(8, 3 * GIB);
        let disk = Disk {
            figures: large(available),
            layers: shared(8, 0, 3 * GIB),
            late: 0,
        };
        let host = Host::new(1, 1);
        let keys = [
            keys,
            &[
                ("image-gc-min-available", "20Gi"),
                ("image-free-accounting", accounting),
            ],
        ];
        let hooks = disk.hooks(host.hooks(true), &server);
        let end = engine(&server, hooks, &keys.concat()).images(PassOptions::PLAIN, None);
        assert_eq!((removed(&end), status(&end)), (go, ended), "{what}");
        let reason = if go > 0 {
            "enough-freed"
        } else {
            "below-threshold"
        };
        assert_eq!(kept(&end, reason), 8 - go, "{what}");
    }
    // Too little: the kubelet's words, and the key.
    let server = images(2, 3 * GIB);
    let disk = Disk {
        figures: large(10),
        layers: shared(2, 0, 3 * GIB),
        late: 0,
    };
    let host = Host::new(1, 1);
    let hooks = disk.hooks(host.hooks(true), &server);
    let keys = [switched_off, &[("image-gc-min-available", "20Gi")]].concat();
    let end = engine(&server, hooks, &keys).images(PassOptions::PLAIN, None);
    assert_eq!(*host.events.lock().unwrap(), ["FreeDiskSpaceFailed"]);
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::NotEnoughFreed);
    for part in [
        "Insufficient free disk space on the node's image filesystem (100% of 2.0 TiB used).",
        "(freed 6442450944 bytes)",
        "10737418240 bytes were available, and image-gc-min-available asks for 21474836480.",
    ] {
        assert!(error.message.contains(part), "{part}: {error}");
    }
    rules.case("S5.9");
}

/// A minimum that no disk of this size can have is a mistake: it removes nothing, and the threshold still counts.
#[test]
fn s5_6_a_minimum_above_the_size_of_the_disk_removes_nothing() {
    let mut rules = Rules::default();
    for (available, go) in [(500, 0), (100, 1)] {
        rules.case("S5.6");
        let server = images(3, 100);
        let host = Host::new(1000, available);
        let keys = [("image-gc-min-available", "1001")];
        let end = engine(&server, host.hooks(true), &keys).images(PassOptions::PLAIN, None);
        assert_eq!((removed(&end), there(&server).len()), (go, 3 - go));
        let error = end.error.unwrap();
        assert_eq!(error.status, Status::Config, "{error}");
        assert!(
            error.message.contains("image-gc-min-available (1001)"),
            "{error}"
        );
        assert!(error.message.contains("1000 bytes"), "{error}");
    }
}

/// kubernetes#41033 and kubernetes#32400: 97 % of the inodes are used, the bytes are not, and the kubelet's collector does nothing.
#[test]
fn s5_11_images_are_removed_until_enough_inodes_are_free() {
    let mut rules = Rules::default();
    // Keys, how late the filesystem shows what is freed, and how many images of 40 inodes go for 170.
    type Row<'a> = (&'a [(&'a str, &'a str)], usize, usize);
    let table: [Row<'_>; 6] = [
        (&[], 0, 0),
        (&[INODES], 0, 5),
        (&[INODES], 3, 5),
        (&[INODES, MEASURED], 0, 5),
        (&[INODES, ("max-parallel-image-removals", "4")], 0, 5),
        (&[INODES, ("image-gc-high-threshold", "98")], 0, 0),
    ];
    for (keys, late, go) in table {
        rules.case("S5.11");
        let what = format!("{keys:?}, {late} looks late");
        let server = images(8, 1 << 30);
        let disk = Disk {
            figures: FsUsage {
                inodes: 1000,
                inodes_free: 30,
                ..usage(1 << 40, 1 << 39)
            },
            layers: files(8, 40),
            late,
        };
        let (hooks, log) = logging(Host::new(1, 1).hooks(true), LogLevel::Info);
        let hooks = disk.hooks(hooks, &server);
        let end = engine(&server, hooks, keys).images(PassOptions::PLAIN, None);
        assert_eq!((removed(&end), status(&end)), (go, None), "{what}");
        assert_eq!(there(&server).len(), 8 - go, "{what}");
        let reason = if go > 0 {
            "enough-freed"
        } else {
            "below-threshold"
        };
        assert_eq!(kept(&end, reason), 8 - go, "{what}");
        let log = log.lock().unwrap();
        let says = log.iter().any(|l| l.starts_with("97% of the 1000 inodes"));
        assert_eq!(says, go > 0, "{what}: {log:?}");
        if go > 0 {
            assert_eq!(after(&end).inodes_free, 230, "{what}");
            let json = end.report.unwrap().json();
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let keys = ["inodes", "inodes_free_before", "inodes_free_after"];
            let figures = keys.map(|key| json["fs"][key].as_u64());
            assert_eq!(figures, [1000, 30, 230].map(Some), "{what}");
        }
    }
}

#[test]
fn s5_9_too_few_inodes_are_reported_with_their_numbers() {
    let mut rules = Rules::default();
    rules.case("S5.9");
    rules.case("S5.11");
    let server = images(3, 10);
    server.edit(|node| node.containers.push(user("u", "r/i2:1")));
    let disk = Disk {
        figures: FsUsage {
            inodes: 1000,
            inodes_free: 30,
            ..usage(1000, 900)
        },
        layers: files(3, 40),
        late: 0,
    };
    let host = Host::new(1, 1);
    let hooks = disk.hooks(host.hooks(true), &server);
    let end = engine(&server, hooks, &[INODES]).images(PassOptions::PLAIN, None);
    let want = ["i0 removed space", "i1 removed space", "i2 kept in-use"];
    assert_eq!(told(&end), want);
    assert_eq!(*host.events.lock().unwrap(), ["FreeDiskSpaceFailed"]);
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::NotEnoughFreed);
    for part in [
        "(97% of 1000 used)",
        "freed 80 inodes, and 90 more have to be free",
        "image-gc-low-threshold (80)",
    ] {
        assert!(error.message.contains(part), "{part}: {error}");
    }
    assert!(!error.message.contains("disk space"), "{error}");
}

/// A dry run lists what may be removed at most, says so, and does not fail for what it cannot know.
#[test]
fn s5_11_a_dry_run_for_inodes_lists_all_images_that_may_be_removed() {
    let mut rules = Rules::default();
    for keys in [&[INODES][..], &[INODES, MEASURED]] {
        rules.case("S5.11");
        let server = images(8, 1 << 30);
        let disk = Disk {
            figures: FsUsage {
                inodes: 1000,
                inodes_free: 30,
                ..usage(1 << 40, 1 << 39)
            },
            layers: files(8, 40),
            late: 0,
        };
        let (hooks, log) = logging(Host::new(1, 1).hooks(true), LogLevel::Info);
        let hooks = disk.hooks(hooks, &server);
        let end = engine(&server, hooks, keys).images(DRY_RUN, None);
        assert_eq!((removed(&end), status(&end)), (8, None));
        assert_eq!(there(&server).len(), 8, "S0.5");
        let log = log.lock().unwrap();
        let says = |line: &String| line.contains("lists all images that may be removed");
        assert!(log.iter().any(says), "{log:?}");
    }
}

/// Without a number of inodes, as btrfs reports none, the bytes alone count; the host hears of it once.
#[test]
fn s5_11_a_filesystem_without_a_number_of_inodes_has_no_such_limit() {
    let mut rules = Rules::default();
    rules.case("S5.11");
    let server = images(3, 100);
    let host = Host::new(1000, 900);
    let (hooks, log) = logging(host.hooks(true), LogLevel::Warn);
    let engine = engine(&server, hooks, &[INODES]);
    for _ in 0..2 {
        let end = engine.images(PassOptions::PLAIN, None);
        assert_eq!((kept(&end, "below-threshold"), status(&end)), (3, None));
    }
    let log = log.lock().unwrap();
    let told = log
        .iter()
        .filter(|l| l.contains("image-gc-inode-thresholds"));
    assert_eq!(told.count(), 1, "{log:?}");
}
