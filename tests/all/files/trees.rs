//! Removing a tree of logs leaves everything outside alone: links, mounts, what cannot be read (S4.1).

use crigc::fs::host_root::Root;
use crigc::fs::logs::{Lies, Names, OpenLogDir};
use crigc::fs::mounts::mounts;
use crigc::fs::open_beneath::Means;
use rustix::fs::{CWD, Mode, OFlags};
use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use test_support::mounts::Mounted;
use test_support::rules::Rules;

const BOTH: [Means; 2] = [Means::Openat2, Means::Walk];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn always() -> bool {
    true
}

/// A log directory with one tree in it, and a directory beside it.
struct Place {
    top: TempDir,
    tree: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new() -> Place {
        let top = TempDir::new().unwrap();
        let (tree, outside) = (
            top.path().join("pods/ns_pod_uid"),
            top.path().join("outside"),
        );
        fs::create_dir_all(tree.join("c")).unwrap();
        fs::write(tree.join("c/0.log"), "x").unwrap();
        fs::create_dir_all(outside.join("sub")).unwrap();
        fs::write(outside.join("sub/canary"), "keep").unwrap();
        Place { top, tree, outside }
    }

    fn remove(&self, name: &str, means: Means) -> Result<(), String> {
        let room = OpenLogDir::open(&Root::default(), text(&self.top.path().join("pods")))
            .unwrap()
            .by(means);
        room.remove_tree(OsStr::new(name), &always)
            .map_err(|e| e.to_string())
    }

    fn canary(&self) -> bool {
        self.outside.join("sub/canary").is_file()
    }
}

/// Says that a test did not run; in CI every test has to.
fn skip(why: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}");
    println!("skipped: {why}");
}

#[test]
fn s4_1_a_tree_is_deleted_with_all_below_it_and_links_as_links() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S4.1");
        let place = Place::new();
        symlink(&place.outside, place.tree.join("out")).unwrap();
        symlink("../../outside/sub/canary", place.tree.join("c/1.log")).unwrap();
        fs::write(place.tree.join(OsStr::from_bytes(b"bad\xff\n")), "x").unwrap();
        fs::create_dir(place.tree.join("empty")).unwrap();
        place.remove("ns_pod_uid", means).unwrap();
        assert!(!there(&place.tree));
        assert!(place.canary());
        place
            .remove("ns_pod_uid", means)
            .expect("a tree that is gone is fine");
    }
}

#[test]
fn s4_1_an_entry_that_is_not_a_directory_is_deleted_as_such() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S4.1");
        let place = Place::new();
        let pods = place.top.path().join("pods");
        symlink(&place.outside, pods.join("a_link_uid")).unwrap();
        fs::write(pods.join("a_file_uid"), "x").unwrap();
        rustix::fs::mknodat(
            CWD,
            pods.join("a_fifo_uid"),
            rustix::fs::FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();
        for name in ["a_link_uid", "a_file_uid", "a_fifo_uid"] {
            place.remove(name, means).unwrap();
            assert!(!there(&pods.join(name)), "{name}");
        }
        assert!(place.canary() && there(&place.tree));
    }
}

#[test]
fn s4_1_names_that_are_not_entries_are_refused() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S4.1");
        let place = Place::new();
        for name in [
            "",
            ".",
            "..",
            "/",
            "ns_pod_uid/c",
            "../outside",
            "ns_pod_uid/",
            "a\0b",
        ] {
            assert!(place.remove(name, means).is_err(), "{name:?}");
        }
        assert!(place.canary() && there(&place.tree.join("c/0.log")));
    }
}

#[test]
fn s4_1_a_deep_tree_is_deleted() {
    let mut rules = Rules::default();
    const LEVELS: usize = 2_000;
    for means in BOTH {
        rules.case("S4.1");
        let place = Place::new();
        let mut here: OwnedFd = fs::File::open(&place.tree).unwrap().into();
        for level in 0..LEVELS {
            rustix::fs::mkdirat(&here, "deeper", Mode::RWXU).unwrap();
            if level % 100 == 0 {
                rustix::fs::openat(&here, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR)
                    .unwrap();
            }
            here = rustix::fs::openat(&here, "deeper", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        drop(here);
        place.remove("ns_pod_uid", means).unwrap();
        assert!(!there(&place.tree));
    }
}

#[test]
fn s4_1_a_wide_tree_is_deleted() {
    let mut rules = Rules::default();
    for (means, files, dirs) in [(Means::Openat2, 20_000, 2_000), (Means::Walk, 500, 500)] {
        rules.case("S4.1");
        let place = Place::new();
        for i in 0..files {
            fs::write(place.tree.join(format!("file-{i}")), "").unwrap();
        }
        for i in 0..dirs {
            fs::create_dir(place.tree.join(format!("dir-{i}"))).unwrap();
        }
        place.remove("ns_pod_uid", means).unwrap();
        assert!(!there(&place.tree));
    }
}

#[test]
fn s4_1_a_mount_below_is_not_crossed_and_the_rest_is_deleted() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S4.1");
        let place = Place::new();
        let (dir, file) = (
            place.tree.join("a/mounted"),
            place.tree.join("b/mounted.log"),
        );
        for path in [&dir, &place.tree.join("b"), &place.tree.join("z/deeper")] {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(&file, "x").unwrap();
        fs::write(place.tree.join("a/other"), "x").unwrap();
        let Some(_dir) = Mounted::bind(&place.outside, &dir) else {
            return;
        };
        let Some(_file) = Mounted::bind(&place.outside.join("sub/canary"), &file) else {
            return;
        };
        let pods = place.tree.parent().unwrap();
        let checked = OpenLogDir::open(&Root::default(), text(pods)).unwrap();
        let error = checked.check_tree("ns_pod_uid", &mounts()).unwrap_err();
        assert!(error.to_string().contains("mounted"), "S0.5: {error}");
        assert!(checked.check_tree("ns_pod", &mounts()).is_ok());
        let error = place.remove("ns_pod_uid", means).unwrap_err();
        assert!(
            error.contains(text(&dir)) || error.contains(text(&file)),
            "{error}"
        );
        assert!(error.contains("mount"), "{error}");
        assert!(place.canary(), "the mount was emptied");
        assert!(dir.join("sub/canary").is_file());
        for gone in ["c", "z", "a/other"] {
            assert!(
                !there(&place.tree.join(gone)),
                "{gone} could have been deleted"
            );
        }
    }
}

#[test]
fn s4_1_an_entry_that_is_a_mount_point_is_kept() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S4.1");
        let place = Place::new();
        let Some(_mounted) = Mounted::bind(&place.outside, &place.tree) else {
            return;
        };
        let pods = place.tree.parent().unwrap();
        let checked = OpenLogDir::open(&Root::default(), text(pods)).unwrap();
        assert!(checked.check_tree("ns_pod_uid", &mounts()).is_err());
        let error = place.remove("ns_pod_uid", means).unwrap_err();
        assert!(error.contains(text(&place.tree)), "{error}");
        assert!(place.canary());
    }
}

#[test]
fn s2_4_a_log_behind_a_mount_is_kept() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S2.4");
        let place = Place::new();
        let Some(_mounted) = Mounted::bind(&place.outside.join("sub"), &place.tree.join("c"))
        else {
            return;
        };
        let room = OpenLogDir::open(&Root::default(), text(&place.top.path().join("pods")))
            .unwrap()
            .by(means);
        let log = format!("{}/c/canary", text(&place.tree));
        let done = room.remove_log(&log, Names::Fresh, &always);
        assert_eq!(done.unwrap(), Lies::Elsewhere, "{means:?}");
        assert!(place.canary());
    }
}

#[test]
fn s4_1_an_entry_that_cannot_be_deleted_is_named_and_the_rest_is_deleted() {
    let mut rules = Rules::default();
    rules.case("S4.1");
    let place = Place::new();
    let stuck = place.tree.join("m/immutable");
    fs::create_dir_all(place.tree.join("m")).unwrap();
    fs::create_dir_all(place.tree.join("z")).unwrap();
    fs::write(&stuck, "x").unwrap();
    let chattr = |flag: &str| {
        let done = Command::new("chattr").arg(flag).arg(&stuck).output();
        done.is_ok_and(|output| output.status.success())
    };
    if !chattr("+i") {
        skip("no immutable files here");
        return;
    }
    let results = BOTH.map(|means| place.remove("ns_pod_uid", means));
    chattr("-i");
    for result in results {
        let error = result.unwrap_err();
        assert!(error.contains(text(&stuck)), "{error}");
    }
    assert!(there(&stuck) && !there(&place.tree.join("c")) && !there(&place.tree.join("z")));
    place.remove("ns_pod_uid", Means::Openat2).unwrap();
    assert!(!there(&place.tree));
}

#[test]
fn s6_5_a_removal_that_is_told_to_end_leaves_the_rest() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S6.5");
        let place = Place::new();
        for i in 0..1_000 {
            fs::write(place.tree.join(format!("file-{i}")), "").unwrap();
        }
        let asked = Cell::new(0);
        let thrice = || asked.replace(asked.get() + 1) < 3;
        let room = OpenLogDir::open(&Root::default(), text(&place.top.path().join("pods")))
            .unwrap()
            .by(means);
        let error = room
            .remove_tree(OsStr::new("ns_pod_uid"), &thrice)
            .unwrap_err();
        assert!(error.to_string().contains("told to end"), "{error}");
        let left = fs::read_dir(&place.tree).unwrap().count();
        assert!((1..1_000).contains(&left), "{left} files are left");
        place.remove("ns_pod_uid", means).unwrap();
        assert!(!there(&place.tree));
    }
}

#[test]
fn a_mount_point_with_a_blank_in_its_name_is_seen() {
    let place = Place::new();
    let blank = place.tree.join("a b");
    fs::create_dir_all(&blank).unwrap();
    let Some(_mounted) = Mounted::bind(&place.outside, &blank) else {
        return;
    };
    assert!(mounts().contains(&blank.canonicalize().unwrap()));
}
