//! A real containerd whose images lie on a small filesystem, collected by the C agent: what is freed by the sizes that containerd reports,
//! and by what the filesystem has (S5.8, S5.11).

use ffi_tests::containerd::{Containerd, SANDBOX_IMAGE};
use ffi_tests::filesystem::{Filesystem, missing};
use ffi_tests::image::Layer;
use ffi_tests::simulated::compile_agent;
use ffi_tests::{run, skip};
use serde_json::Value;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A containerd on a filesystem of its own. Fields are dropped in this order.
struct Disk {
    containerd: Containerd,
    filesystem: Filesystem,
    agent: PathBuf,
}

/// How a run of the agent over images ended.
struct Told {
    report: Value,
    code: Option<i32>,
    error: String,
}

impl Told {
    /// How many images have an outcome and a reason.
    fn count(&self, outcome: &str, reason: &str) -> usize {
        let entries = self.report["entries"].as_array().unwrap().iter();
        let wanted = entries.filter(|e| e["outcome"] == outcome && e["reason"] == reason);
        wanted.count()
    }

    fn is(&self, status: &str, code: i32) {
        let told = (&self.report["status"], self.code);
        assert_eq!(told, (&status.into(), Some(code)), "{}", self.error);
    }

    fn figure(&self, name: &str) -> u64 {
        self.report["fs"][name].as_u64().unwrap()
    }
}

impl Disk {
    /// None where there can be none.
    fn make(mebibytes: u64, options: &[&str]) -> Option<Disk> {
        if let Some(why) = missing() {
            skip(why);
            return None;
        }
        let filesystem = Filesystem::make(mebibytes, options).unwrap();
        let containerd = Containerd::start_with(&filesystem.path(), "overlayfs", "").unwrap();
        Some(Disk {
            containerd,
            filesystem,
            agent: compile_agent("agent", &[]),
        })
    }

    fn import(&self, name: &str, layers: &[Layer]) {
        let beside = self.filesystem.beside();
        let name = format!("crigc.test/{name}:1");
        self.containerd
            .import_layers(beside, &name, layers)
            .unwrap();
    }

    /// The images that are there, beside the one that sandboxes are made from.
    fn left(&self) -> usize {
        let tags = self.containerd.cri.tags().unwrap();
        tags.iter().filter(|tag| *tag != SANDBOX_IMAGE).count()
    }

    /// One pass over images, by containerd's own figures.
    fn collect(&self, arguments: &[&str]) -> Told {
        let mut command = Command::new(&self.agent);
        command
            .args(["--once", "--now", "--images", "--json"])
            .arg("--container-runtime-endpoint")
            .arg(self.containerd.endpoint())
            .args(arguments);
        let output = run(&mut command, Duration::from_secs(120));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let out = String::from_utf8_lossy(&output.stdout);
        Told {
            report: serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}\n{error}")),
            code: output.status.code(),
            error,
        }
    }
}

/// kubernetes#71869, kubernetes#120698: four images have a large layer in common. By the sizes that containerd reports two of them are
/// enough, and the disk stays full; who asks the disk removes all four.
#[test]
fn s5_8_a_disk_whose_images_share_a_layer_is_freed_if_it_is_measured() {
    let Some(disk) = Disk::make(300, &[]) else {
        return;
    };
    let base = Layer::filled("base", 60);
    for number in 0..4 {
        let name = format!("app{number}");
        disk.import(&name, &[base.clone(), Layer::filled(&name, 2)]);
    }
    let full = [
        "--image-gc-high-threshold=30",
        "--image-gc-low-threshold=20",
    ];
    let filled = disk.filesystem.usage().unwrap();
    assert!(filled > 40, "{filled} %");

    let told = disk.collect(&[&full[..], &["--apply"]].concat());
    told.is("GC_OK", 0);
    assert_eq!(told.count("removed", "space"), 2, "{}", told.report);
    let still = disk.filesystem.usage().unwrap();
    assert!(
        still > 40,
        "reported sizes free little: {filled} %, {still} %"
    );

    let measured = [&full[..], &["--apply", "--image-free-accounting=measured"]].concat();
    let told = disk.collect(&measured);
    told.is("GC_OK", 0);
    assert_eq!((told.count("removed", "space"), disk.left()), (2, 0));
    let free = disk.filesystem.usage().unwrap();
    assert!(free <= 20, "{filled} %, {still} %, {free} %");

    // From the full disk on, in one pass.
    for number in 0..4 {
        let name = format!("app{number}");
        disk.import(&name, &[base.clone(), Layer::filled(&name, 2)]);
    }
    let told = disk.collect(&measured);
    told.is("GC_OK", 0);
    assert_eq!((told.count("removed", "space"), disk.left()), (4, 0));
}

/// kubernetes#41033, kubernetes#32400: images of many small files use up the inodes of a disk that has bytes enough.
#[test]
fn s5_11_a_disk_without_free_inodes_is_collected_if_inodes_count() {
    let Some(disk) = Disk::make(200, &["-N", "6000"]) else {
        return;
    };
    for number in 0..4 {
        let name = format!("files{number}");
        disk.import(&name, &[Layer::new(&name, 1000)]);
    }
    let limits = [
        "--image-gc-high-threshold=60",
        "--image-gc-low-threshold=30",
    ];
    let apply = [&limits[..], &["--apply"]].concat();
    let told = disk.collect(&apply);
    told.is("GC_OK", 0);
    assert!(
        told.count("kept", "below-threshold") >= 4,
        "{}",
        told.report
    );
    assert_eq!(disk.left(), 4);

    let by_inodes = "--image-gc-inode-thresholds=true";
    let dry = disk.collect(&[&limits[..], &[by_inodes]].concat());
    dry.is("GC_OK", 0);
    assert_eq!(dry.count("would-remove", "space"), 4, "{}", dry.report);

    let told = disk.collect(&[&apply[..], &[by_inodes]].concat());
    told.is("GC_OK", 0);
    assert_eq!(told.count("removed", "space"), 3, "{}", told.report);
    assert_eq!((told.count("kept", "enough-freed"), disk.left()), (1, 1));
    let (all, before) = (told.figure("inodes"), told.figure("inodes_free_before"));
    let after = told.figure("inodes_free_after");
    assert!(
        before * 100 / all < 40 && after * 100 / all >= 70,
        "{}",
        told.report
    );

    // More than the images have.
    let none = ["--image-gc-high-threshold=1", "--image-gc-low-threshold=0"];
    let told = disk.collect(&[&none[..], &["--apply", by_inodes]].concat());
    told.is("GC_ERROR_NOT_ENOUGH_FREED", 1);
    assert_eq!(disk.left(), 0);
    for part in ["Too few free inodes", "more have to be free"] {
        assert!(told.error.contains(part), "{part}: {}", told.error);
    }
}

/// Opens all large files below a folder.
fn hold(folder: &Path, held: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, file_type) = (entry.path(), entry.file_type().unwrap());
        if file_type.is_dir() {
            hold(&path, held);
        } else if file_type.is_file() && entry.metadata().unwrap().size() > 1 << 20 {
            held.push(File::open(path).unwrap());
        }
    }
}

/// A program holds the files of the images open, so that the filesystem does not show what is freed: five images are enough to see that.
#[test]
fn s5_8_a_disk_whose_deleted_files_are_still_open_loses_five_images_and_no_more() {
    let Some(disk) = Disk::make(200, &[]) else {
        return;
    };
    for number in 0..8 {
        let name = format!("held{number}");
        disk.import(&name, &[Layer::filled(&name, 8)]);
    }
    let mut held = Vec::new();
    for folder in [
        "root/io.containerd.content.v1.content/blobs",
        "root/io.containerd.snapshotter.v1.overlayfs/snapshots",
    ] {
        hold(&disk.containerd.path(folder), &mut held);
    }
    assert!(held.len() >= 16, "{}", held.len());
    let filled = disk.filesystem.usage().unwrap();
    let measured = [
        "--apply",
        "--image-gc-high-threshold=30",
        "--image-gc-low-threshold=10",
        "--image-free-accounting=measured",
    ];
    let told = disk.collect(&measured);
    told.is("GC_ERROR_NOT_ENOUGH_FREED", 1);
    assert_eq!(told.count("removed", "space"), 5, "{}", told.report);
    assert_eq!((told.count("kept", "no-effect"), disk.left()), (3, 3));
    let says = "the filesystem does not show what is freed";
    assert!(told.error.contains(says), "{}", told.error);
    let still = disk.filesystem.usage().unwrap();
    assert!(filled >= 30 && still + 5 > filled, "{filled} %, {still} %");
    drop(held);
    let free = disk.filesystem.usage().unwrap();
    assert!(
        free + 30 < filled,
        "they were removed: {filled} %, {free} %"
    );
}
