//! S4.3: log files by their directories, and deleting single ones, which cannot lead to anything else.

use crigc::fs::host_root::Root;
use crigc::fs::logs::OpenLogDir;
use crigc::fs::open_beneath::Means;
use crigc::node::LogFile;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use test_support::bench::{date_back, there, write};
use test_support::rules::Rules;

const BOTH: [Means; 2] = [Means::Openat2, Means::Walk];

fn is_log(name: &str) -> bool {
    name.contains(".log")
}

/// A directory of logs, and one beside it that nothing may touch.
fn place() -> TempDir {
    let top = TempDir::new().unwrap();
    for file in ["app/0.log", "app/1.log.x", "app/note", "side/0.log", "file"] {
        write(&top.path().join("pods/ns_pod_u").join(file));
    }
    write(&top.path().join("outside/app/0.log"));
    top
}

fn open(top: &TempDir, means: Means) -> OpenLogDir {
    let dir = top.path().join("pods");
    OpenLogDir::open(&Root::default(), dir.to_str().unwrap())
        .unwrap()
        .by(means)
}

fn files(dir: &OpenLogDir, pod: &str) -> Vec<LogFile> {
    dir.log_files(pod, &is_log, &|| true).unwrap()
}

fn paths(files: &[LogFile]) -> Vec<String> {
    files.iter().map(LogFile::path).collect()
}

#[test]
fn s4_3_only_files_in_directories_of_containers_are_found() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S4.3");
        let top = place();
        let pod = top.path().join("pods/ns_pod_u");
        let outside = top.path().join("outside");
        symlink(outside.join("app"), pod.join("linked")).unwrap();
        symlink(&outside, top.path().join("pods/ns_link_u")).unwrap();
        symlink(outside.join("app/0.log"), pod.join("app/2.log")).unwrap();
        fs::create_dir(pod.join("app/3.log")).unwrap();
        let dir = open(&top, means);
        let found = [
            "ns_pod_u/app/0.log",
            "ns_pod_u/app/1.log.x",
            "ns_pod_u/app/2.log",
            "ns_pod_u/side/0.log",
        ];
        assert_eq!(paths(&files(&dir, "ns_pod_u")), found, "{means:?}");
        for none in ["ns_link_u", "ns_pod_u/file", "gone"] {
            assert_eq!(files(&dir, none), [], "{none} {means:?}");
        }
        let few = open(&top, means).holding(2);
        assert!(files(&few, "ns_pod_u").len() < 4, "{means:?}");
        let ended = dir.log_files("ns_pod_u", &is_log, &|| false);
        assert!(ended.is_ok(), "few names are read without a question");
    }
}

/// The file that was found, however it is deleted.
fn found(dir: &OpenLogDir, path: &str) -> LogFile {
    let files = files(dir, "ns_pod_u").into_iter();
    let mut wanted = files.filter(|file| file.path() == path);
    wanted.next().expect(path)
}

#[test]
fn s4_3_a_file_is_deleted_if_it_is_still_the_one_that_was_found() {
    let mut rules = Rules::default();
    type Change = fn(&Path);
    // What happens to the pod's directory meanwhile; what the deletion says, and whether 0.log is left.
    let cases: [(&str, Change, Result<bool, &str>, bool); 7] = [
        ("nothing", |_| {}, Ok(true), false),
        (
            "it is gone",
            |pod| fs::remove_file(pod.join("app/0.log")).unwrap(),
            Ok(true),
            false,
        ),
        (
            "its directory is gone",
            |pod| fs::remove_dir_all(pod.join("app")).unwrap(),
            Ok(true),
            false,
        ),
        (
            "it is written",
            |pod| date_back(&pod.join("app/0.log"), Duration::from_secs(5)),
            Ok(false),
            true,
        ),
        (
            "it is a directory",
            |pod| {
                fs::remove_file(pod.join("app/0.log")).unwrap();
                fs::create_dir(pod.join("app/0.log")).unwrap();
            },
            Ok(false),
            true,
        ),
        (
            "its directory is a link",
            |pod| {
                fs::rename(pod.join("app"), pod.join("was")).unwrap();
                symlink(pod.join("../../outside/app"), pod.join("app")).unwrap();
            },
            Err("symbolic link"),
            true,
        ),
        (
            "the pod's directory is a link",
            |pod| {
                let top = pod.ancestors().nth(2).unwrap();
                fs::rename(pod, top.join("was")).unwrap();
                symlink(top.join("outside"), pod).unwrap();
            },
            Err("symbolic link"),
            true,
        ),
    ];
    for means in BOTH {
        for (what, change, want, left) in &cases {
            for really in [false, true] {
                rules.case("S4.3");
                let top = place();
                let dir = open(&top, means);
                let file = found(&dir, "ns_pod_u/app/0.log");
                let pod = top.path().join("pods/ns_pod_u");
                let was_there = |path: &str| there(&pod.join(path));
                change(&pod);
                let before = was_there("app/0.log");
                let said = if really {
                    dir.remove_log_file(&file)
                } else {
                    dir.check_log_file(&file)
                };
                match (said, want) {
                    (Ok(said), Ok(want)) => assert_eq!(said, *want, "{what}"),
                    (Err(said), Err(want)) => {
                        assert!(said.to_string().contains(want), "{what}: {said}");
                    }
                    (said, want) => panic!("{what} {means:?}: {said:?} {want:?}"),
                }
                let expected = if really { *left } else { before };
                assert_eq!(was_there("app/0.log"), expected, "{what} {means:?}");
                assert!(there(&top.path().join("outside/app/0.log")), "{what}");
            }
        }
    }
}

#[test]
fn s4_3_a_link_is_deleted_as_such() {
    let mut rules = Rules::default();
    for means in BOTH {
        rules.case("S4.3");
        let top = place();
        let target = top.path().join("outside/app/0.log");
        symlink(&target, top.path().join("pods/ns_pod_u/app/2.log")).unwrap();
        let dir = open(&top, means);
        let file = found(&dir, "ns_pod_u/app/2.log");
        assert!(dir.remove_log_file(&file).unwrap());
        assert!(!there(&top.path().join("pods/ns_pod_u/app/2.log")));
        assert!(there(&target));
    }
}

#[test]
fn s4_3_a_name_that_leads_elsewhere_is_none() {
    let mut rules = Rules::default();
    let top = place();
    let dir = open(&top, Means::Walk);
    let good = found(&dir, "ns_pod_u/app/0.log");
    for hostile in ["..", ".", "", "a/b"] {
        let of = |pod: &str, container: &str, name: &str| LogFile {
            pod: pod.into(),
            container: container.into(),
            name: name.into(),
            changed: good.changed,
        };
        for file in [
            of(hostile, "app", "0.log"),
            of("ns_pod_u", hostile, "0.log"),
            of("ns_pod_u", "app", hostile),
        ] {
            rules.case("S4.3");
            assert!(dir.remove_log_file(&file).is_err(), "{file:?}");
        }
    }
    assert_eq!(files(&dir, "ns_pod_u").len(), 3);
}
