//! When something in a pod's log directory changed last (S0.3): all of it counts, and nothing that links or mounts lead to.

use crigc::fs::changed::{LastChange, Question};
use crigc::fs::host_root::Root;
use crigc::fs::logs::OpenLogDir;
use crigc::fs::open_beneath::Means;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use test_support::rules::Rules;

const BOTH: [Means; 2] = [Means::Openat2, Means::Walk];
const S: i64 = 1_000_000_000;
const SINCE: i64 = 1_600_000_000 * S;
const OLD: i64 = SINCE - S;
const NEW: i64 = SINCE + S;
const NOW: i64 = 1_700_000_000 * S;
/// Beyond any now of the host and of this machine.
const BEYOND: i64 = 9_000_000_000 * S;

fn date(path: &Path, time: i64) {
    let time = Timespec {
        tv_sec: time / S,
        tv_nsec: time % S,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn date_all(path: &Path, time: i64) {
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            date_all(&entry.unwrap().path(), time);
        }
    }
    date(path, time);
}

/// A log directory with an old tree in it, and a directory beside it.
struct Place {
    top: TempDir,
    tree: PathBuf,
    files_only: bool,
    /// What is below this path does not count.
    skipped: &'static str,
}

impl Place {
    fn new() -> Place {
        let top = TempDir::new().unwrap();
        let tree = top.path().join("pods/ns_pod_uid");
        for name in ["a", "b"] {
            fs::create_dir_all(tree.join(name)).unwrap();
            fs::write(tree.join(name).join("0.log"), "x").unwrap();
        }
        fs::create_dir(top.path().join("outside")).unwrap();
        fs::write(top.path().join("outside/file"), "x").unwrap();
        date_all(&tree, OLD);
        Place {
            top,
            tree,
            files_only: false,
            skipped: "none",
        }
    }

    fn ask(&self, name: &str, means: Means, go_on: &dyn Fn() -> bool) -> io::Result<LastChange> {
        let dir = self.top.path().join("pods");
        let room = OpenLogDir::open(&Root::default(), dir.to_str().unwrap())
            .unwrap()
            .by(means);
        let question = Question {
            since: SINCE,
            now: NOW,
            files_only: self.files_only,
            skips: &|path| path.starts_with(self.skipped),
            go_on,
        };
        room.last_change(OsStr::new(name), &question)
    }
}

const fn found(newest: i64, beyond: bool) -> LastChange {
    LastChange { newest, beyond }
}

#[test]
fn s0_3_all_that_is_in_a_tree_counts_and_nothing_else() {
    let mut rules = Rules::default();
    type Case = (&'static str, fn(&Place), LastChange);
    let cases: [Case; 9] = [
        ("nothing is new", |_| {}, found(OLD, false)),
        (
            "the entry itself",
            |place| date(&place.tree, NEW),
            found(NEW, false),
        ),
        (
            "a directory",
            |place| date(&place.tree.join("b"), NEW),
            found(NEW, false),
        ),
        (
            "a file",
            |place| date(&place.tree.join("b/0.log"), NEW),
            found(NEW, false),
        ),
        (
            "just at the moment",
            |place| date(&place.tree.join("b/0.log"), SINCE),
            found(SINCE, false),
        ),
        (
            "beyond now",
            |place| date(&place.tree.join("b/0.log"), BEYOND),
            found(OLD, true),
        ),
        (
            "after the host's now, but not after this machine's",
            |place| date(&place.tree.join("b/0.log"), NOW + S),
            found(NOW + S, false),
        ),
        (
            "links to what is new",
            |place| {
                let outside = place.top.path().join("outside");
                symlink(outside.join("file"), place.tree.join("a/file")).unwrap();
                symlink(&outside, place.tree.join("dir")).unwrap();
                symlink("/nowhere", place.tree.join("dangling")).unwrap();
                date_all(&place.tree, OLD);
            },
            found(OLD, false),
        ),
        (
            "as deep as may be",
            |place| {
                let deepest = place.tree.join("d/".repeat(63));
                fs::create_dir_all(&deepest).unwrap();
                fs::write(deepest.join("file"), "x").unwrap();
                date_all(&place.tree, OLD);
                date(&deepest.join("file"), NEW);
            },
            found(NEW, false),
        ),
    ];
    for means in BOTH {
        for (what, change, want) in &cases {
            rules.case("S0.3");
            let place = Place::new();
            change(&place);
            let have = place.ask("ns_pod_uid", means, &|| true).unwrap();
            assert_eq!(have, *want, "{what} {means:?}");
        }
    }
}

#[test]
fn s0_3_where_only_files_are_asked_about_directories_have_no_say() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S0.3");
        let mut place = Place::new();
        place.files_only = true;
        date(&place.tree, NEW);
        date(&place.tree.join("b"), BEYOND);
        let have = place.ask("ns_pod_uid", means, &|| true).unwrap();
        assert_eq!(have, found(OLD, false), "{means:?}");
        date(&place.tree.join("b/0.log"), NEW);
        let have = place.ask("ns_pod_uid", means, &|| true).unwrap();
        assert_eq!(have, found(NEW, false), "{means:?}");
    }
}

/// A dry run leaves out what would be gone by then; it is asked only about what is new.
#[test]
fn s4_1_what_would_be_gone_has_no_say() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S4.1");
        let mut place = Place::new();
        place.skipped = "ns_pod_uid/b";
        date(&place.tree.join("b/0.log"), NEW);
        date(&place.tree.join("b"), NEW);
        let have = place.ask("ns_pod_uid", means, &|| true).unwrap();
        assert_eq!(have, found(OLD, false), "{means:?}");
        date(&place.tree.join("b/0.log"), BEYOND);
        let have = place.ask("ns_pod_uid", means, &|| true).unwrap();
        assert_eq!(have, found(OLD, false), "{means:?}");
        date(&place.tree.join("a/0.log"), NEW);
        let have = place.ask("ns_pod_uid", means, &|| true).unwrap();
        assert_eq!(have, found(NEW, false), "{means:?}");
        place.skipped = "ns_pod_uid";
        let have = place.ask("ns_pod_uid", means, &|| true).unwrap();
        assert_eq!(have, found(OLD, false), "{means:?}");
    }
}

#[test]
fn s0_3_an_entry_may_be_a_file_a_link_or_gone() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S0.3");
        let place = Place::new();
        let pods = place.top.path().join("pods");
        fs::write(pods.join("file"), "x").unwrap();
        date(&pods.join("file"), NEW);
        symlink(place.top.path().join("outside"), pods.join("link")).unwrap();
        date(&pods.join("link"), OLD);
        for (name, want) in [("file", NEW), ("link", OLD), ("gone", 0)] {
            let have = place.ask(name, means, &|| true).unwrap();
            assert_eq!(have, found(want, false), "{name} {means:?}");
        }
    }
}

/// A search that could not be finished gives no answer.
#[test]
fn s0_3_a_search_that_is_ended_or_too_deep_fails() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S0.3");
        let place = Place::new();
        for n in 0..1000 {
            fs::write(place.tree.join(format!("a/{n}")), "x").unwrap();
        }
        date_all(&place.tree, OLD);
        let asked = Cell::new(0);
        let twice = || {
            asked.set(asked.get() + 1);
            asked.get() < 3
        };
        let error = place.ask("ns_pod_uid", means, &twice).unwrap_err();
        assert_eq!((error.kind(), asked.get()), (io::ErrorKind::Interrupted, 3));

        let place = Place::new();
        fs::create_dir_all(place.tree.join("d/".repeat(64))).unwrap();
        date_all(&place.tree, OLD);
        let error = place.ask("ns_pod_uid", means, &|| true).unwrap_err();
        assert!(error.to_string().contains("too deep"), "{error}");
    }
}

/// A mount below is not entered.
#[test]
fn s0_3_mounts_are_not_crossed() {
    let mut rules = Rules::default();
    for means in BOTH {
        let place = Place::new();
        let (outside, point) = (place.top.path().join("outside"), place.tree.join("a"));
        date(&outside.join("file"), NEW);
        date(&outside, OLD);
        let mount = |program: &str, arguments: &[&Path]| {
            let mut command = Command::new(program);
            if program == "mount" {
                command.arg("--bind");
            }
            command.args(arguments).stderr(std::process::Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if !mount("mount", &[&outside, &point]) {
            assert_ne!(
                std::env::var("CI").as_deref(),
                Ok("true"),
                "bind mounts need root"
            );
            println!("skipped: bind mounts need root");
            continue;
        }
        rules.case("S0.3");
        let have = place.ask("ns_pod_uid", means, &|| true);
        assert!(mount("umount", &[&point]));
        assert_eq!(have.unwrap(), found(OLD, false), "{means:?}");
    }
}
