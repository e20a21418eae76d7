//! Whole passes over logs that are not where they should be: links and mounts on the way, logs elsewhere, a key that is wrong, log
//! directories that are one and the same, places of links that cannot be written (S2.4).

use crigc::engine::{PassEnd, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, LogLevel};
use crigc::report::Outcome;
use crisim::node::Word;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use test_support::bench::{
    Bench, DRY_RUN, INTERNAL, Maker, NOT_FOUND, code, fate, id, sandbox_id, there, write,
};
use test_support::mounts::Mounted;
use test_support::rules::Rules;

const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");

/// One pass, and its log from `Warn` up.
fn collect(bench: &Bench, keys: &[(&str, &str)], flags: PassOptions) -> (PassEnd, Vec<String>) {
    collect_up_to(LogLevel::Warn, bench, keys, flags)
}

fn collect_up_to(
    level: LogLevel,
    bench: &Bench,
    keys: &[(&str, &str)],
    flags: PassOptions,
) -> (PassEnd, Vec<String>) {
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = lines.clone();
    let mut hooks = bench.hooks();
    let log = move |_: LogLevel, line: &str| heard.lock().unwrap().push(line.to_owned());
    hooks.log = Some((level, Hook::new(Box::new(log))));
    let end = bench.engine(keys, hooks).containers(flags, None);
    let lines = lines.lock().unwrap().clone();
    (end, lines)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn s2_4_a_link_to_the_logs_of_another_pod_costs_that_pod_nothing() {
    let mut rules = Rules::default();
    // What is a link, and where to.
    let links = [
        ("pods/ns_pod-u1_u1/app", "../ns_pod-u2_u2/app"),
        ("pods/ns_pod-u1_u1", "ns_pod-u2_u2"),
    ];
    for (link, target) in links {
        for labelled in [true, false] {
            rules.case("S2.4");
            let mut maker = Maker::new();
            maker.sandbox("u2", 0, Word::Ready);
            maker.container("u2", "app", 0, Word::Running);
            let path = maker.path(link);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, &path).unwrap();
            let dead = maker.bare("u1", "app", 0, Word::Exited);
            if !labelled {
                dead.labels.remove("io.kubernetes.pod.name");
            }
            let bench = maker.start();
            let log = bench.log("u2", "app", 0);
            let mut told = Vec::new();
            for flags in [DRY_RUN, PassOptions::default()] {
                let (end, lines) = collect(&bench, &[NONE_KEPT], flags);
                assert_eq!(end.error, None);
                let report = end.report.unwrap();
                assert_eq!(fate(&report, &id("u1", "app", 0)).0, Outcome::Removed);
                told.extend(lines);
            }
            assert!(!bench.containers().contains(&id("u1", "app", 0)));
            assert!(
                there(&log),
                "{link}: the log of a running container was deleted"
            );
            let rotated = log.with_extension("log.20261123-000000");
            assert!(there(&rotated), "{link}: its rotated sibling was deleted");
            assert_eq!(told.len(), 2, "one line a pass: {told:?}");
            let example = |line: &String| line.contains("ns_pod-u1_u1/app/0.log");
            assert!(told.iter().all(example), "{told:?}");
        }
    }
}

#[test]
fn s2_4_a_log_elsewhere_is_left_alone_and_logged_once_a_pass() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let mut maker = Maker::new();
    maker.container("u1", "own", 0, Word::Exited);
    for n in 0..3 {
        let outside = maker.path(&format!("outside/{n}.log"));
        write(&outside);
        let container = maker.bare("u1", "app", n, Word::Exited);
        container.log_path = text(&outside).into();
        if n == 0 {
            container.labels.clear();
        }
    }
    let bench = maker.start();
    for flags in [DRY_RUN, PassOptions::default()] {
        let (end, lines) = collect(&bench, &[NONE_KEPT], flags);
        assert_eq!(end.error, None);
        let report = end.report.unwrap();
        assert_eq!(report.count(None, Some(Outcome::Failed)), 0);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(" 3 containers"), "{lines:?}");
        assert!(lines[0].contains(".log of container c"), "{lines:?}");
    }
    assert!(bench.containers().is_empty());
    assert!(!there(&bench.log("u1", "own", 0)));
    for n in 0..3 {
        assert!(there(&bench.path(&format!("outside/{n}.log"))));
    }
}

/// S2.6 saves the call about the place of these logs; they are logged all the same.
#[test]
fn s2_4_containers_of_pods_without_a_directory_are_removed_and_logged_once_a_pass() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    rules.case("S2.6");
    let mut maker = Maker::new();
    maker.container("u1", "app", 0, Word::Exited);
    for uid in ["u2", "u3"] {
        maker.bare(uid, "app", 0, Word::Exited);
    }
    let bench = maker.start();
    for flags in [DRY_RUN, PassOptions::default()] {
        let (end, lines) = collect_up_to(LogLevel::Info, &bench, &[NONE_KEPT], flags);
        assert_eq!(end.error, None);
        let told = lines
            .iter()
            .filter(|line| line.contains("have no directory"));
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 1, "{lines:?}");
        assert!(told[0].contains(" 2 containers"), "{told:?}");
    }
    assert!(bench.containers().is_empty() && bench.calls("ContainerStatus").is_empty());
}

/// A log on a mount below the log directory; and one on a log directory that is a mount itself.
#[test]
fn s2_4_a_log_on_a_mount_below_is_left_alone_and_its_container_is_removed() {
    let mut rules = Rules::default();
    for (mount, stays) in [("pods/ns_pod-u1_u1/app", true), ("pods", false)] {
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Exited);
        maker.container("u1", "other", 0, Word::Exited);
        let path = maker.path(mount);
        let Some(_mounted) = Mounted::bind(&path, &path) else {
            return;
        };
        rules.case("S2.4");
        let bench = maker.start();
        for flags in [DRY_RUN, PassOptions::default()] {
            let (end, lines) = collect(&bench, &[NONE_KEPT], flags);
            assert_eq!(end.error, None);
            assert_eq!(lines.len(), usize::from(stays), "{lines:?}");
        }
        assert!(bench.containers().is_empty());
        assert_eq!(there(&bench.log("u1", "app", 0)), stays);
        assert!(!there(&bench.log("u1", "other", 0)));
    }
}

/// A file mounted in the place of the log, or of the link: it is found before the log is deleted.
#[test]
fn s2_4_a_mounted_file_keeps_its_container_only_in_the_place_of_the_link() {
    let mut rules = Rules::default();
    for (of_log, goes) in [(true, true), (false, false)] {
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Exited);
        maker.container("u1", "other", 0, Word::Exited);
        let place = if of_log {
            maker.log("u1", "app", 0)
        } else {
            maker.link("u1", "app", 0)
        };
        fs::remove_file(&place).unwrap();
        write(&place);
        let Some(_mounted) = Mounted::bind(&maker.path("outside/canary"), &place) else {
            return;
        };
        rules.case("S2.4");
        let bench = maker.start();
        let log = bench.log("u1", "app", 0);
        for flags in [DRY_RUN, PassOptions::default()] {
            let (end, lines) = collect(&bench, &[NONE_KEPT], flags);
            assert_eq!(end.error, None);
            assert_eq!(lines.len(), 1, "{lines:?}");
            let outcome = fate(&end.report.unwrap(), &id("u1", "app", 0)).0;
            let expected = if goes {
                Outcome::Removed
            } else {
                Outcome::Failed
            };
            assert_eq!(outcome, expected, "{of_log}");
        }
        assert_eq!(bench.containers().is_empty(), goes);
        assert!(there(&log) && there(&bench.path("outside/canary")));
        let rotated = log.with_extension("log.20261123-000000");
        assert_eq!(there(&rotated), !goes);
    }
}

/// The answers of ContainerStatus about candidates whose pods have no log directory: for a few each its own, for the others like the first.
#[test]
fn s2_4_a_key_that_is_likely_wrong_keeps_all_containers_and_fails_the_pass() {
    let mut rules = Rules::default();
    // How many candidates; which of them logs below pod-logs-dir, which is unknown to the runtime, which gives no answer; does the
    // pod of another one have its directory; does pod-logs-dir exist; is the key taken for wrong.
    struct Case {
        count: u32,
        inside: Option<u32>,
        fault: Option<i32>,
        directory: bool,
        exists: bool,
        wrong: bool,
    }
    let plain = Case {
        count: 1,
        inside: None,
        fault: None,
        directory: false,
        exists: true,
        wrong: true,
    };
    let table = [
        Case { ..plain },
        Case { count: 20, ..plain },
        Case {
            count: 20,
            exists: false,
            ..plain
        },
        Case {
            count: 8,
            inside: Some(5),
            wrong: false,
            ..plain
        },
        Case {
            count: 3,
            directory: true,
            wrong: false,
            ..plain
        },
        Case {
            count: 3,
            fault: Some(NOT_FOUND),
            wrong: false,
            ..plain
        },
        Case {
            count: 3,
            fault: Some(INTERNAL),
            wrong: false,
            ..plain
        },
    ];
    for (number, case) in table.iter().enumerate() {
        rules.case("S2.4");
        let mut maker = Maker::new();
        for n in 0..case.count {
            let outside = maker.path(&format!("outside/{n}.log"));
            write(&outside);
            let container = maker.bare(&format!("u{n}"), "app", 0, Word::Exited);
            if case.inside != Some(n) {
                container.log_path = text(&outside).into();
            }
            if let Some(status) = case.fault {
                maker.fault(
                    "ContainerStatus",
                    &id(&format!("u{n}"), "app", 0),
                    code(status),
                );
            }
        }
        if case.directory {
            maker.container("dir", "app", 0, Word::Exited);
        }
        maker
            .bare("nolabels", "app", 0, Word::Exited)
            .labels
            .clear();
        if !case.exists {
            fs::remove_dir(maker.path("pods")).unwrap();
        }
        let bench = maker.start();
        let before = bench.everything();
        for flags in [DRY_RUN, PassOptions::default()] {
            let asked = bench.calls("ContainerStatus").len();
            let (end, _) = collect(&bench, &[NONE_KEPT], flags);
            let error = end.error.map(|e| e.to_string()).unwrap_or_default();
            assert_eq!(
                error.contains("is likely wrong"),
                case.wrong && case.exists,
                "{number}: {error}"
            );
            let told = error.matches("pod-logs-dir (").count();
            assert!(told <= 1, "{number}: {error}");
            if case.wrong {
                assert!(error.contains("pod-logs-dir"), "{number}: {error}");
                let asked = bench.calls("ContainerStatus").len() - asked;
                assert_eq!(asked, case.count.min(8) as usize, "{number}");
                let report = end.report.unwrap();
                assert_eq!(report.count(None, Some(Outcome::Removed)), 0, "{number}");
                assert_eq!(fate(&report, &id("nolabels", "app", 0)).1, "not-reached");
                assert_eq!(bench.everything(), before, "{number}");
            }
        }
        assert_eq!(bench.containers().is_empty(), !case.wrong, "{number}");
        for n in 0..case.count {
            assert!(there(&bench.path(&format!("outside/{n}.log"))), "{number}");
        }
    }
}

/// The entry in the place of a container's link.
type Place = fn(&mut Maker) -> Option<Mounted>;

#[test]
fn s2_4_logs_and_link_are_deleted_together_or_not() {
    let mut rules = Rules::default();
    // What it is, and whether the container is removed with everything.
    let places: [(&str, Place, bool); 5] = [
        ("a link", |_| None, true),
        (
            "nothing",
            |maker| {
                fs::remove_file(maker.link("u1", "app", 0)).unwrap();
                None
            },
            true,
        ),
        (
            "a file",
            |maker| {
                let link = maker.link("u1", "app", 0);
                fs::remove_file(&link).unwrap();
                write(&link);
                None
            },
            true,
        ),
        (
            "a directory",
            |maker| {
                let link = maker.link("u1", "app", 0);
                fs::remove_file(&link).unwrap();
                write(&link.join("precious"));
                None
            },
            false,
        ),
        (
            "a read-only directory of links",
            |maker| {
                let links = maker.path("links");
                let mounted = Mounted::bind(&links, &links).map(Mounted::read_only);
                assert!(mounted.is_some() || std::env::var("CI").as_deref() != Ok("true"));
                mounted
            },
            false,
        ),
    ];
    for (what, place, goes) in places {
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Exited);
        let mounted = place(&mut maker);
        if what.starts_with("a read-only") && mounted.is_none() {
            continue;
        }
        rules.case("S2.4");
        let bench = maker.start();
        let log = bench.log("u1", "app", 0);
        let before = bench.everything();
        for flags in [DRY_RUN, PassOptions::default()] {
            let report = bench.collect(&[NONE_KEPT], flags).report.unwrap();
            let (outcome, _, error) = fate(&report, &id("u1", "app", 0));
            let expected = if goes {
                Outcome::Removed
            } else {
                Outcome::Failed
            };
            assert_eq!(outcome, expected, "{what}: {error}");
            assert!(
                goes || error.contains(text(&bench.path("links"))),
                "{what}: {error}"
            );
            if flags == DRY_RUN || !goes {
                assert_eq!(bench.everything(), before, "{what}");
            }
        }
        assert_eq!(bench.containers().is_empty(), goes, "{what}");
        assert_eq!(!there(&log), goes, "{what}");
        assert_eq!(
            !there(&log.with_extension("log.20261123-000000")),
            goes,
            "{what}"
        );
        drop(mounted);
        // Once it is out of the way, everything is removed.
        let link = bench.link("u1", "app", 0);
        if link.is_dir() {
            fs::remove_dir_all(&link).unwrap();
        }
        bench.collected(&[NONE_KEPT]);
        assert!(
            bench.containers().is_empty() && !there(&log) && !there(&link),
            "{what}"
        );
    }
}

/// A cut name may be that of several containers; the link of one that runs is not the dead one's to take.
#[test]
fn s2_4_a_link_that_a_running_container_shares_is_kept() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let mut maker = Maker::new();
    maker.sandbox("u1", 0, Word::Ready);
    let pod = "p".repeat(250);
    for (attempt, state) in [(0, Word::Exited), (1, Word::Running)] {
        let container = maker.bare("u1", "app", attempt, state);
        let name = "io.kubernetes.pod.name".to_owned();
        container.labels.insert(name, pod.as_str().into());
    }
    let link = maker
        .path("links")
        .join(format!("{}.log", &format!("{pod}_ns_app")[..251]));
    symlink(maker.path("outside/canary"), &link).unwrap();
    let bench = maker.start();
    bench.collected(&[NONE_KEPT]);
    assert_eq!(bench.containers(), BTreeSet::from([id("u1", "app", 1)]));
    assert!(there(&link));
}

/// How the two directories come to be one, or one inside the other.
type Nesting = fn(&Maker) -> Option<(PathBuf, PathBuf, Option<Mounted>)>;

#[test]
fn s2_4_s4_directories_that_are_one_lose_nothing() {
    let mut rules = Rules::default();
    let nestings: [(&str, Nesting); 6] = [
        ("a link to it", |m| {
            symlink(m.path("links"), m.path("alias")).unwrap();
            Some((m.path("alias"), m.path("links"), None))
        }),
        ("the other way round", |m| {
            symlink(m.path("pods"), m.path("alias")).unwrap();
            Some((m.path("pods"), m.path("alias"), None))
        }),
        ("pods inside of links", |m| {
            fs::create_dir_all(m.path("links/deep/pods")).unwrap();
            symlink(m.path("links/deep/pods"), m.path("alias")).unwrap();
            Some((m.path("alias"), m.path("links"), None))
        }),
        ("links inside of pods", |m| {
            fs::create_dir(m.path("pods/ns_pod-u1_u1/app/in")).unwrap();
            symlink(m.path("pods/ns_pod-u1_u1/app/in"), m.path("alias")).unwrap();
            Some((m.path("pods"), m.path("alias"), None))
        }),
        ("a bind mount", |m| {
            fs::create_dir(m.path("bound")).unwrap();
            let mounted = Mounted::bind(&m.path("links"), &m.path("bound"))?;
            Some((m.path("bound"), m.path("links"), Some(mounted)))
        }),
        ("a bind mount of what is inside", |m| {
            fs::create_dir(m.path("bound")).unwrap();
            fs::create_dir_all(m.path("pods/ns_pod-gone_gone/in")).unwrap();
            let inside = m.path("pods/ns_pod-gone_gone/in");
            let mounted = Mounted::bind(&inside, &m.path("bound"))?;
            Some((m.path("pods"), m.path("bound"), Some(mounted)))
        }),
    ];
    for (what, nest) in nestings {
        let mut maker = Maker::new();
        maker.sandbox("u1", 0, Word::Ready);
        maker.container("u1", "app", 0, Word::Running);
        maker.container("u1", "app", 1, Word::Exited);
        maker.container("u1", "app", 2, Word::Exited);
        // Nothing keeps these two but S3 itself.
        maker.sandbox("u2", 0, Word::NotReady);
        maker.sandbox("u2", 1, Word::NotReady);
        write(&maker.path("pods/ns_pod-gone_gone/app/0.log"));
        symlink("/nowhere", maker.path("links/p_n_c-0123456789.log")).unwrap();
        let Some((pods, links, mounted)) = nest(&maker) else {
            continue;
        };
        rules.case("S2.4");
        rules.case("S4.1");
        rules.case("S4.2");
        let bench = maker.start();
        let host = bench.host.clone();
        host.remove_pod("gone");
        // An entry of that directory has, for an entry of pod logs, a UID like this.
        host.remove_pod(&format!("app-{}.log", id("u1", "app", 0)));
        host.remove_pod("c-0123456789.log");
        let before = bench.everything();
        let keys = [
            NONE_KEPT,
            ("pod-logs-dir", text(&pods)),
            ("container-logs-dir", text(&links)),
        ];
        for flags in [DRY_RUN, PassOptions::default()] {
            let end = bench.collect(&keys, flags);
            let error = end.error.unwrap();
            assert_eq!(error.status, Status::Config, "{what}: {error}");
            for key in ["pod-logs-dir", "container-logs-dir"] {
                assert!(error.message.contains(key), "{what}: {error}");
            }
            let report = end.report.unwrap();
            assert_eq!(
                fate(&report, &id("u1", "app", 1)).1,
                "not-reached",
                "{what}"
            );
            // Sandboxes are not files.
            assert_eq!(
                fate(&report, &sandbox_id("u2", 0)).0,
                Outcome::Removed,
                "{what}"
            );
        }
        let after = bench.everything();
        let lost: Vec<_> = before.difference(&after).collect();
        assert_eq!(lost, [&sandbox_id("u2", 0)], "{what}");
        drop(mounted);
    }
}

#[test]
fn s2_4_the_log_of_a_running_container_is_kept_even_if_another_claims_it() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    for by_status in [false, true] {
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Running);
        let log = maker.log("u1", "app", 0);
        // Another one, dead, of the same name and attempt; or one whose path only ContainerStatus has.
        let twin = maker.bare("u1", "app", 0, Word::Exited);
        twin.id = "dead".into();
        if by_status {
            twin.labels.remove("io.kubernetes.container.name");
            twin.log_path = log.to_str().unwrap().into();
        }
        let bench = maker.start();
        let report = bench.collected(&[NONE_KEPT]);
        assert_eq!(fate(&report, "dead").0, Outcome::Removed);
        assert!(there(&bench.log("u1", "app", 0)));
    }
}
