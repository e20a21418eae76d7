//! A dry run sees which links would dangle through what it would remove (S0.5), and what the real removal then makes of it.

use crigc::fs::host_root::Root;
use crigc::fs::links::LogLink;
use crigc::fs::logs::{Lies, Names, OpenLogDir};
use crigc::pass::dry_run::Overlay;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;
use test_support::rules::Rules;

/// Links of every kind, each with whether it dangles once log `a/c/0.log`, entries `b` and `entry` of the pods and the link
/// `own.log` are gone.
const LINKS: [(&str, &str, bool); 16] = [
    ("log", "TOP/pods/a/c/0.log", true),
    ("rotated", "TOP/pods/a/c/0.log.1", true),
    ("rotated-deep", "TOP/pods/a/c/0.log.1.gz", true),
    ("other-attempt", "TOP/pods/a/c/1.log", false),
    ("no-sibling", "TOP/pods/a/c/0.logs", false),
    ("relative", "../pods/a/c/0.log", true),
    ("in-tree", "TOP/pods/b/c/0.log", true),
    ("tree-itself", "TOP/pods/b", true),
    ("like-tree", "TOP/pods/bb/c/0.log", false),
    ("by-other-name", "TOP/alias/a/c/0.log", true),
    ("through-entry", "TOP/pods/entry/c/0.log", true),
    ("target-of-entry", "TOP/elsewhere/c/0.log", false),
    ("chain", "log", true),
    ("chain-own", "own.log", true),
    ("chain-alive", "other-attempt", false),
    ("through-file", "TOP/pods/a/c/1.log/x", false),
];

fn build(top: &Path) {
    let at = |path: &str| top.join(path);
    for dir in ["pods/a/c", "pods/b/c", "pods/bb/c", "elsewhere/c", "links"] {
        fs::create_dir_all(at(dir)).unwrap();
    }
    for file in [
        "pods/a/c/0.log",
        "pods/a/c/0.log.1",
        "pods/a/c/0.log.1.gz",
        "pods/a/c/0.logs",
        "pods/a/c/1.log",
        "pods/b/c/0.log",
        "pods/bb/c/0.log",
        "elsewhere/c/0.log",
        "keep",
    ] {
        fs::write(at(file), "x").unwrap();
    }
    symlink(at("pods"), at("alias")).unwrap();
    symlink(at("elsewhere"), at("pods/entry")).unwrap();
    symlink(at("keep"), at("links/own.log")).unwrap();
    for (name, target, _) in LINKS {
        // Those that others point to have their plain name; `*.log` is not asked for here.
        symlink(
            target.replace("TOP", top.to_str().unwrap()),
            at("links").join(name),
        )
        .unwrap();
    }
}

/// A link to something that is there.
fn to(target: &Path) -> LogLink {
    LogLink {
        name: "x.log".to_owned(),
        readable: true,
        alive: true,
        target: target.to_owned(),
    }
}

#[test]
fn s0_5_a_dry_run_and_the_removal_agree_on_every_link() {
    let mut rules = Rules::default();
    rules.case("S0.5");
    let top = TempDir::new().unwrap();
    let top = top.path().canonicalize().unwrap();
    build(&top);
    let room = OpenLogDir::open(&Root::default(), top.join("pods").to_str().unwrap()).unwrap();
    let links = OpenLogDir::open(&Root::default(), top.join("links").to_str().unwrap()).unwrap();
    let log = format!("{}/a/c/0.log", room.dir());

    let dry_run = Overlay::new(true, &Root::default());
    for (name, ..) in LINKS {
        assert!(
            !dry_run.dangles(&to(&top.join("links").join(name))),
            "nothing is gone yet: {name}"
        );
    }
    let earnest = Overlay::new(false, &Root::default());
    for overlay in [&dry_run, &earnest] {
        let here = overlay.remove_log(&room, &log, Names::Fresh, &|| true);
        assert_eq!(here.unwrap(), Lies::Here);
        overlay.remove_tree(&room, "b", &|| true).unwrap();
        overlay.remove_tree(&room, "entry", &|| true).unwrap();
        links.check_own_link("own.log").unwrap();
        overlay.remove_own_link(&links, "own.log").unwrap();
        if std::ptr::eq(overlay, &dry_run) {
            for (name, _, dangles) in LINKS {
                let target = fs::read_link(top.join("links").join(name)).unwrap();
                let link = to(&top.join("links").join(target));
                assert_eq!(overlay.dangles(&link), dangles, "{name}");
            }
        }
    }
    for (name, _, dangles) in LINKS {
        let found = fs::metadata(top.join("links").join(name));
        let dangling = found.is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        assert_eq!(dangling, dangles, "{name}");
    }
}

#[test]
fn s0_5_without_a_path_nothing_is_gone() {
    let mut rules = Rules::default();
    rules.case("S0.5");
    let top = TempDir::new().unwrap();
    let top = top.path().canonicalize().unwrap();
    fs::write(top.join("x"), "x").unwrap();
    let room = OpenLogDir::open(&Root::default(), top.to_str().unwrap()).unwrap();
    let dry_run = Overlay::new(true, &Root::default());
    let remove = |path: &str| {
        let removed = dry_run.remove_log(&room, path, Names::Fresh, &|| true);
        assert!(removed.is_ok(), "{path}");
    };
    remove("");
    remove(&format!("{}/", room.dir()));
    remove(&format!("{}/none/0.log", room.dir()));
    assert!(!dry_run.dangles(&to(&top.join("x"))));
    // A loop of links ends, and proves nothing.
    remove(&format!("{}/y.log", room.dir()));
    symlink("loop", top.join("loop")).unwrap();
    assert!(!dry_run.dangles(&to(&top.join("loop"))));
    let rotated = top.join(OsStr::from_bytes(b"y.log.\xff"));
    assert!(
        dry_run.dangles(&to(&rotated)),
        "a rotated log whose name is not UTF-8 is deleted, too"
    );
}
