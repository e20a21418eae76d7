//! Deleting logs and links cannot leave the log directory, by either means of opening directories (S2.4).

use crigc::fs::host_root::Root;
use crigc::fs::logs::{Lies, Names, OpenLogDir};
use crigc::fs::open_beneath::Means;
use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use test_support::rules::Rules;

const BOTH: [Means; 2] = [Means::Openat2, Means::Walk];

/// A log directory, and beside it what must never be touched.
struct Place {
    _top: TempDir,
    room: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new() -> Place {
        let top = TempDir::new().unwrap();
        let (room, outside) = (top.path().join("pods"), top.path().join("outside"));
        fs::create_dir_all(&room).unwrap();
        fs::create_dir_all(outside.join("c")).unwrap();
        for canary in ["canary", "0.log", "0.log.1", "c/0.log", "c/0.log.1"] {
            fs::write(outside.join(canary), "keep").unwrap();
        }
        Place {
            _top: top,
            room,
            outside,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        let path = self.room.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        path
    }

    fn open(&self, means: Means) -> OpenLogDir {
        OpenLogDir::open(&Root::default(), text(&self.room))
            .unwrap()
            .by(means)
    }

    fn all_outside_is_there(&self) {
        for canary in ["canary", "0.log", "0.log.1", "c/0.log", "c/0.log.1"] {
            assert!(self.outside.join(canary).is_file(), "{canary} is gone");
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn always() -> bool {
    true
}

fn there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[test]
fn s2_4_a_log_is_deleted_with_its_rotated_siblings_and_nothing_else() {
    let mut rules = Rules::default();
    let gone = [
        "0.log",
        "0.log.1",
        "0.log.20261123-100000.gz",
        "0.log.",
        "0.log.tmp.x",
    ];
    let stays = [
        "0.logx", "0.log1", "00.log", "1.log", "a0.log", "0.lo", ".0.log.1",
    ];
    for means in BOTH {
        rules.case("S2.4");
        let place = Place::new();
        for name in gone.iter().chain(&stays) {
            place.file(&format!("ns_pod_uid/c/{name}"));
        }
        let room = place.open(means);
        let log = format!("{}/ns_pod_uid/c/0.log", room.dir());
        room.remove_log(&log, Names::Fresh, &always).unwrap();
        for name in gone {
            assert!(
                !there(&place.room.join("ns_pod_uid/c").join(name)),
                "{name} {means:?}"
            );
        }
        for name in stays {
            assert!(
                there(&place.room.join("ns_pod_uid/c").join(name)),
                "{name} {means:?}"
            );
        }
        room.remove_log(&log, Names::Fresh, &always)
            .expect("missing files are fine");
    }
}

#[test]
fn s2_4_names_of_logs_are_names_and_no_patterns() {
    let mut rules = Rules::default();
    let long = "x".repeat(255);
    let names = [
        "*", "?", "[a]", "*.log", "a\nb", "-rf", "{a,b}", "\\", " ", "é", "~", "$HOME", &long,
    ];
    for means in BOTH {
        rules.case("S2.4");
        for name in names {
            let place = Place::new();
            let log = place.file(name);
            let rotated = (name.len() < 250).then(|| place.file(&format!("{name}.1")));
            for other in ["a", "a.1", "b", "ab.log", "other.log.1"] {
                place.file(other);
            }
            place
                .open(means)
                .remove_log(text(&log), Names::Fresh, &always)
                .unwrap();
            assert!(!there(&log), "{name:?}");
            assert!(rotated.is_none_or(|r| !there(&r)), "{name:?}");
            for other in ["a", "a.1", "b", "ab.log", "other.log.1"] {
                assert!(there(&place.room.join(other)), "{name:?} took {other}");
            }
        }
    }
}

#[test]
fn s2_4_a_rotated_log_whose_name_is_not_utf8_is_deleted() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let place = Place::new();
    let log = place.file("p/0.log");
    let rotated = place.room.join("p").join(OsStr::from_bytes(b"0.log.\xff"));
    fs::write(&rotated, "x").unwrap();
    place
        .open(Means::Openat2)
        .remove_log(text(&log), Names::Fresh, &always)
        .unwrap();
    assert!(!there(&log) && !there(&rotated));
}

#[test]
fn s2_4_the_last_component_is_unlinked_and_never_followed() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S2.4");
        let place = Place::new();
        let log = place.room.join("p/0.log");
        fs::create_dir_all(place.room.join("p")).unwrap();
        symlink(place.outside.join("0.log"), &log).unwrap();
        symlink(place.outside.join("0.log.1"), place.room.join("p/0.log.1")).unwrap();
        symlink(place.outside.join("c"), place.room.join("p/0.log.dir")).unwrap();
        place
            .open(means)
            .remove_log(text(&log), Names::Fresh, &always)
            .unwrap();
        assert_eq!(fs::read_dir(place.room.join("p")).unwrap().count(), 0);
        place.all_outside_is_there();
    }
}

#[test]
fn s2_4_a_log_that_is_elsewhere_is_left_alone() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S2.4");
        let place = Place::new();
        place.file("p/keep");
        symlink(&place.outside, place.room.join("absolute")).unwrap();
        symlink("../outside", place.room.join("relative")).unwrap();
        symlink("../../outside", place.room.join("p/deep")).unwrap();
        symlink("/proc/self/root", place.room.join("root")).unwrap();
        let outside = text(&place.outside);
        let paths = [
            format!("{outside}/0.log"),
            format!("{}/absolute/0.log", text(&place.room)),
            format!("{}/relative/0.log", text(&place.room)),
            format!("{}/relative/c/0.log", text(&place.room)),
            format!("{}/p/deep/0.log", text(&place.room)),
            format!("{}/root{outside}/0.log", text(&place.room)),
            format!("{}/../outside/0.log", text(&place.room)),
            format!("{}/p/../../outside/0.log", text(&place.room)),
            format!("{}-more/0.log", text(&place.room)),
            format!("{}/p/..", text(&place.room)),
            format!("{}/.", text(&place.room)),
            format!("{}/p/a\0b", text(&place.room)),
            text(&place.room).to_owned(),
            "0.log".to_owned(),
            "../outside/0.log".to_owned(),
            "/0.log".to_owned(),
        ];
        let room = place.open(means);
        for path in &paths {
            for done in [
                room.check_log(path, Names::Fresh, &always),
                room.remove_log(path, Names::Fresh, &always),
            ] {
                assert_eq!(done.unwrap(), Lies::Elsewhere, "{means:?} {path}");
            }
        }
        assert!(there(&place.room.join("p/keep")));
        place.all_outside_is_there();
    }
}

#[test]
fn s2_4_an_empty_path_or_one_that_ends_in_a_slash_deletes_nothing() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let place = Place::new();
    let kept = place.file("p/0.log");
    let room = place.open(Means::Openat2);
    for path in [
        "",
        "/",
        "//",
        &format!("{}/", room.dir()),
        &format!("{}/p/", room.dir()),
    ] {
        room.remove_log(path, Names::Fresh, &always).unwrap();
        room.check_log(path, Names::Fresh, &always).unwrap();
    }
    assert!(there(&kept));
}

#[test]
fn s2_4_a_directory_in_the_place_of_a_log_is_kept() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S2.4");
        let place = Place::new();
        let inside = place.file("p/0.log/precious");
        let room = place.open(means);
        let log = format!("{}/p/0.log", room.dir());
        let error = room
            .remove_log(&log, Names::Fresh, &always)
            .unwrap_err()
            .to_string();
        assert!(error.contains("/p/0.log"), "{error}");
        assert!(room.check_log(&log, Names::Fresh, &always).is_err());
        assert!(there(&inside));
    }
}

#[test]
fn s2_4_the_log_itself_is_kept_while_a_rotated_one_cannot_be_deleted() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let place = Place::new();
    let log = place.file("p/0.log");
    place.file("p/0.log.1/precious");
    let room = place.open(Means::Openat2);
    assert!(
        room.check_log(text(&log), Names::Fresh, &always).is_err(),
        "a dry run sees it"
    );
    assert!(room.remove_log(text(&log), Names::Fresh, &always).is_err());
    assert!(
        there(&log),
        "the next pass would not find the rotated one any more"
    );
}

/// It may lead to the log of another pod.
#[test]
fn s2_4_a_link_on_the_way_is_not_followed_even_inside_the_directory() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S2.4");
        let place = Place::new();
        let log = place.file("real/c/0.log");
        let rotated = place.file("real/c/0.log.1");
        symlink("real", place.room.join("alias")).unwrap();
        symlink(".", place.room.join("loop")).unwrap();
        fs::create_dir(place.room.join("other")).unwrap();
        symlink("../real/c", place.room.join("other/c")).unwrap();
        symlink(place.room.join("real/c"), place.room.join("other/d")).unwrap();
        let room = place.open(means);
        for way in [
            "alias/c",
            "loop/real/c",
            "other/c",
            "other/d",
            "loop/loop/real/c",
        ] {
            let path = format!("{}/{way}/0.log", text(&place.room));
            for done in [
                room.check_log(&path, Names::Fresh, &always),
                room.remove_log(&path, Names::Fresh, &always),
            ] {
                assert_eq!(done.unwrap(), Lies::Elsewhere, "{means:?} {way}");
            }
            let relative = format!("{way}/0.log");
            assert!(room.exists(&relative).is_err(), "{means:?} {way}");
            assert!(room.has_log(&relative, &always).is_err(), "{means:?} {way}");
            assert!(there(&log) && there(&rotated), "{means:?} {way}");
        }
    }
}

/// Something on the way is not a directory: no log can be there.
#[test]
fn s2_4_a_log_that_cannot_be_there_is_gone() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S2.4");
        let place = Place::new();
        let file = place.file("p/file");
        let room = place.open(means);
        let long = "x".repeat(256);
        for way in [
            "none/c/0.log",
            "p/file/0.log",
            &long,
            &format!("{long}/0.log"),
        ] {
            let path = format!("{}/{way}", room.dir());
            let done = room.remove_log(&path, Names::Fresh, &always);
            assert_eq!(done.unwrap(), Lies::Here, "{means:?} {way}");
        }
        let longest = format!("{}{}/0.log", room.dir(), "/a".repeat(2_100_000));
        let done = room.remove_log(&longest, Names::Fresh, &always);
        assert_eq!(done.unwrap(), Lies::Elsewhere, "no path is that long");
        assert!(there(&file));
    }
}

#[test]
fn s2_4_the_directory_itself_may_be_a_link_and_be_named_by_any_of_its_names() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S2.4");
        let place = Place::new();
        let (first, second) = (place.outside.join("first"), place.outside.join("second"));
        symlink(&place.room, &first).unwrap();
        symlink(&first, &second).unwrap();
        let opened = [text(&first), text(&place.room)];
        let told = [text(&first), text(&second), text(&place.room)];
        for dir in opened {
            for by in told {
                let log = place.file("p/c/0.log");
                let room = OpenLogDir::open(&Root::default(), dir).unwrap().by(means);
                room.remove_log(&format!("{by}/p/c/0.log"), Names::Fresh, &always)
                    .unwrap();
                assert!(!there(&log), "opened as {dir}, reported as {by}");
            }
            let room = OpenLogDir::open(&Root::default(), &format!("{dir}//"))
                .unwrap()
                .by(means);
            let log = place.file("p/c/0.log");
            room.remove_log(&format!("{dir}///p//c/0.log"), Names::Fresh, &always)
                .unwrap();
            assert!(!there(&log));
        }
    }
}

#[test]
fn s2_4_what_is_opened_is_a_directory() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let place = Place::new();
    let file = place.file("file");
    let error = OpenLogDir::open(&Root::default(), text(&file)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotADirectory);
    let missing = OpenLogDir::open(&Root::default(), text(&place.room.join("none"))).unwrap_err();
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
    // A FIFO without a writer must not hang a pass.
    let fifo = place.room.join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let error = OpenLogDir::open(&Root::default(), text(&fifo)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotADirectory);
}

#[test]
fn s2_4_only_a_link_directly_in_the_directory_is_deleted() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S2.4");
        let place = Place::new();
        let room = place.open(means);
        symlink(place.outside.join("canary"), place.room.join("a.log")).unwrap();
        symlink(place.outside.join("c"), place.room.join("dir.log")).unwrap();
        place.file("sub/b.log");
        fs::create_dir(place.room.join("d.log")).unwrap();
        room.remove_link("a.log").unwrap();
        room.remove_link("dir.log").unwrap();
        room.remove_link("a.log").expect("a missing link is fine");
        assert!(!there(&place.room.join("a.log")) && !there(&place.room.join("dir.log")));
        let hostile = [
            "",
            ".",
            "..",
            "sub/b.log",
            "../outside/canary",
            "d.log",
            "a\0b",
            "/etc/hostname",
        ];
        for name in hostile {
            assert!(room.remove_link(name).is_err(), "{name:?}");
        }
        assert!(there(&place.room.join("sub/b.log")) && there(&place.room.join("d.log")));
        place.all_outside_is_there();
    }
}

#[test]
fn s2_6_an_entry_exists_or_not_or_is_unknown() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S2.6");
        let place = Place::new();
        place.file("pod/c/0.log");
        place.file("plain");
        symlink("nowhere", place.room.join("pod/c/1.log")).unwrap();
        symlink(&place.outside, place.room.join("out")).unwrap();
        let room = place.open(means);
        for name in ["pod", "pod/c", "pod/c/0.log", "pod/c/1.log", "out"] {
            assert!(room.exists(name).unwrap(), "{name}");
        }
        for name in ["other", "pod/d/0.log", "pod/c/2.log"] {
            assert!(!room.exists(name).unwrap(), "{name}");
        }
        for name in [
            "out/0.log",
            "../outside",
            "plain/0.log",
            "pod/../../outside/canary",
        ] {
            assert!(room.exists(name).is_err(), "{name}");
        }
    }
}

#[test]
fn s4_1_entries_are_listed_with_all_their_names() {
    let mut rules = Rules::default();
    rules.case("S4.1");
    let place = Place::new();
    place.file("a/b");
    place.file("file");
    symlink("a", place.room.join("link")).unwrap();
    fs::create_dir(place.room.join(OsStr::from_bytes(b"bad\xff"))).unwrap();
    let mut entries = place.open(Means::Openat2).entries(&always).unwrap();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let shown: Vec<(&[u8], bool)> = entries
        .iter()
        .map(|e| (e.name.as_bytes(), e.is_link))
        .collect();
    assert_eq!(
        shown,
        [
            (&b"a"[..], false),
            (b"bad\xff", false),
            (b"file", false),
            (b"link", true)
        ]
    );
}

#[test]
fn s4_2_a_link_is_dead_only_when_its_target_is_known_to_be_gone() {
    let mut rules = Rules::default();
    rules.case("S4.2");
    let place = Place::new();
    let links = place.outside.join("links");
    fs::create_dir(&links).unwrap();
    let target = place.file("pod/c/0.log");
    for (name, to) in [
        ("alive.log", text(&target)),
        ("dead.log", text(&place.room.join("pod/c/1.log"))),
        ("dead-dir.log", text(&place.room.join("none/c/1.log"))),
        ("chain.log", "alive.log"),
        ("dead-chain.log", "dead.log"),
        ("through-a-file.log", text(&target.join("x"))),
        ("loop.log", "loop.log"),
        ("no-suffix", "nowhere"),
        ("other.txt", "nowhere"),
    ] {
        symlink(to, links.join(name)).unwrap();
    }
    fs::write(links.join("file.log"), "no link").unwrap();
    let room = OpenLogDir::open(&Root::default(), text(&links)).unwrap();
    let found = |alive_too: bool| {
        let mut found: Vec<(String, bool)> = room
            .log_links(alive_too, &always, |_| true)
            .unwrap()
            .into_iter()
            .map(|link| (link.name, link.alive))
            .collect();
        found.sort();
        found
    };
    let all = found(true);
    let dead: Vec<_> = all.iter().filter(|(_, alive)| !alive).cloned().collect();
    assert_eq!(found(false), dead);
    let shown: Vec<(&str, bool)> = all.iter().map(|(name, alive)| (&**name, *alive)).collect();
    assert_eq!(
        shown,
        [
            ("alive.log", true),
            ("chain.log", true),
            ("dead-chain.log", false),
            ("dead-dir.log", false),
            ("dead.log", false),
            ("loop.log", true),
            ("through-a-file.log", true),
        ]
    );
}

/// Directories with very many entries: reading and deleting ask now and then whether to continue.
#[test]
fn s6_5_very_many_entries_are_read_no_longer_than_allowed() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S6.5");
        let place = Place::new();
        for n in 0..1000 {
            place.file(&format!("p/c/0.log.{n}"));
            symlink("nowhere", place.room.join(format!("{n}.log"))).unwrap();
        }
        let log = place.file("p/c/0.log");
        let room = place.open(means);
        let asked = Cell::new(0);
        let until = |limit: usize| {
            asked.set(0);
            let asked = &asked;
            move || asked.replace(asked.get() + 1) < limit
        };
        let told = |kind: std::io::ErrorKind| {
            assert_eq!(kind, std::io::ErrorKind::Interrupted);
            assert_eq!(asked.get(), 4);
        };
        told(room.entries(&until(3)).unwrap_err().kind());
        told(
            room.log_links(false, &until(3), |_| true)
                .unwrap_err()
                .kind(),
        );
        told(room.pod_logs(&until(3)).unwrap_err().kind());
        told(room.has_log("p/c/0.log", &until(3)).unwrap_err().kind());
        let error = room.remove_log(text(&log), Names::Fresh, &until(3));
        assert!(error.unwrap_err().to_string().contains("told to end"));
        let count = || fs::read_dir(place.room.join("p/c")).unwrap().count();
        assert_eq!(count(), 1001, "reading had to end");
        // Reading asks 15 times.
        let error = room.remove_log(text(&log), Names::Fresh, &until(18));
        assert!(error.unwrap_err().to_string().contains("told to end"));
        assert!((1..1001).contains(&count()), "{}", count());
        assert!(there(&log));
        room.remove_log(text(&log), Names::Fresh, &always).unwrap();
        assert_eq!(count(), 0);
    }
}

/// Only a limited number of names is held in memory: above it only those of the current log, some at a time.
#[test]
fn s2_4_a_log_is_deleted_with_more_siblings_than_names_are_held() {
    let mut rules = Rules::default();
    for most in [2, 3, 50, 150, 250] {
        rules.case("S2.4");
        let place = Place::new();
        for n in 0..100 {
            place.file(&format!("p/c/0.log.{n}"));
            place.file(&format!("p/c/1.log.{n}"));
        }
        let (log, other) = (place.file("p/c/0.log"), place.file("p/c/1.log"));
        let room = place.open(Means::Openat2).holding(most);
        room.remove_log(text(&log), Names::Known, &always).unwrap();
        let left = fs::read_dir(place.room.join("p/c")).unwrap().count();
        assert_eq!(
            (left, there(&log), there(&other)),
            (101, false, true),
            "{most}"
        );
        room.remove_log(text(&other), Names::Known, &always)
            .unwrap();
        assert_eq!(
            fs::read_dir(place.room.join("p/c")).unwrap().count(),
            0,
            "{most}"
        );
    }
}

#[test]
fn s2_4_the_place_of_a_link_is_checked_beforehand() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let place = Place::new();
    let room = place.open(Means::Openat2);
    symlink("nowhere", place.room.join("link.log")).unwrap();
    place.file("file.log");
    place.file("dir.log/precious");
    for name in ["link.log", "file.log", "none.log"] {
        room.check_own_link(name).unwrap();
        room.remove_own_link(name).unwrap();
        assert!(!there(&place.room.join(name)), "{name}");
    }
    let error = room.check_own_link("dir.log").unwrap_err().to_string();
    assert!(error.contains("dir.log"), "{error}");
    for name in ["", ".", "..", "a/b", "../outside/canary"] {
        assert!(room.check_own_link(name).is_err(), "{name:?}");
        assert!(room.remove_own_link(name).is_err(), "{name:?}");
    }
    assert!(there(&place.room.join("dir.log/precious")));
    place.all_outside_is_there();
}

/// Many pods with few logs each.
#[test]
fn s6_5_the_directories_of_many_pods_are_read_no_longer_than_allowed() {
    let mut rules = Rules::default();
    rules.case("S6.5");
    let place = Place::new();
    for n in 0..50 {
        place.file(&format!("ns_p_{n}/c/0.log"));
    }
    let room = place.open(Means::Openat2);
    let asked = Cell::new(0);
    let until = || asked.replace(asked.get() + 1) < 10;
    let error = room.pod_logs(&until).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
    assert_eq!(asked.get(), 11);
    let logs = room.pod_logs(&always).unwrap();
    assert_eq!(logs.len(), 50);
    assert!(
        logs.iter()
            .all(|pod| pod.containers == [("c".to_owned(), 1)])
    );
}
