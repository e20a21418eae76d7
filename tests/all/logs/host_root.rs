//! Whole passes of an agent in a container, in which the host's root is mounted somewhere (S5.11). The paths of the runtime are the host's.

use crigc::engine::{Engine, PassOptions};
use crigc::error::Status;
use crigc::report::{Outcome, Report};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use test_support::bench::{Bench, DRY_RUN, Maker, alive_beside_gone, fate, id, with, write};
use test_support::images;
use test_support::mounts::Mounted;
use test_support::rules::Rules;

const PODS: &str = "/var/log/pods";
const LINKS: &str = "/var/log/containers";

/// A node whose files are those of a host that is mounted at `host`, beside what is not the host's.
fn mounted(mut maker: Maker) -> Maker {
    let top = maker.top.path().to_owned();
    fs::create_dir_all(top.join("host/var/log")).unwrap();
    fs::rename(top.join("pods"), top.join("host/var/log/pods")).unwrap();
    fs::rename(top.join("links"), top.join("host/var/log/containers")).unwrap();
    let on_host = |path: &str| path.replace(top.join("pods").to_str().unwrap(), PODS);
    for container in &mut maker.node.containers {
        container.log_path = on_host(&container.log_path.to_string()).as_str().into();
    }
    for entry in fs::read_dir(top.join("host/var/log/containers")).unwrap() {
        let link = entry.unwrap().path();
        let target = fs::read_link(&link).unwrap();
        fs::remove_file(&link).unwrap();
        symlink(on_host(target.to_str().unwrap()), &link).unwrap();
    }
    maker
}

/// The keys of an agent in a container.
fn keys(host: &Path) -> [(&'static str, String); 3] {
    [
        ("host-root", host.to_str().unwrap().to_owned()),
        ("pod-logs-dir", PODS.to_owned()),
        ("container-logs-dir", LINKS.to_owned()),
    ]
}

fn engine(bench: &Bench, more: &[(&str, &str)]) -> Engine {
    let own = keys(&bench.path("host"));
    let own = own.iter().map(|(key, value)| (*key, value.as_str()));
    let own: Vec<_> = own.chain(more.iter().copied()).collect();
    bench.engine(&own, bench.hooks())
}

/// All objects that pods left, and a link that is only found dead.
fn node() -> Maker {
    let maker = alive_beside_gone();
    let target = maker.path("pods/ns_other_gone/app/0.log");
    symlink(target, maker.path("links/p_n_c-0123456789ab.log")).unwrap();
    maker
}

/// The entries with one outcome, with paths as on the host.
fn told(report: &Report, outcome: Outcome, bench: &Bench) -> BTreeSet<String> {
    let (pods, links) = (bench.path("pods"), bench.path("links"));
    let line = |(kind, id, reason): (_, String, _)| {
        let id = id.replace(pods.to_str().unwrap(), PODS);
        let id = id.replace(links.to_str().unwrap(), LINKS);
        format!("{kind:?} {id} {reason}")
    };
    with(report, outcome).into_iter().map(line).collect()
}

/// All files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(dir) = ahead.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            all.insert(entry.path().strip_prefix(folder).unwrap().to_owned());
            if entry.file_type().unwrap().is_dir() {
                ahead.push(entry.path());
            }
        }
    }
    all
}

#[test]
fn s5_11_a_mounted_host_is_collected_like_one_that_crigc_runs_on() {
    let mut rules = Rules::default();
    for flags in [DRY_RUN, PassOptions::default()] {
        rules.case("S5.11");
        let (plain, hosted) = (node().start(), mounted(node()).start());
        let by_plain = {
            plain.host.remove_pod("gone");
            plain.collect(&[], flags)
        };
        hosted.host.remove_pod("gone");
        let by_hosted = engine(&hosted, &[]).containers(flags, None);
        assert_eq!((&by_plain.error, &by_hosted.error), (&None, &None));
        let (by_plain, by_hosted) = (by_plain.report.unwrap(), by_hosted.report.unwrap());
        for outcome in [Outcome::Removed, Outcome::Kept, Outcome::Failed] {
            let told = |report, bench| told(report, outcome, bench);
            assert_eq!(
                told(&by_hosted, &hosted),
                told(&by_plain, &plain),
                "{outcome:?}"
            );
        }
        let removed = told(&by_hosted, Outcome::Removed, &hosted);
        for part in [
            "p_n_c-0123456789ab.log dead-link",
            "ns_other_gone pod-removed",
        ] {
            assert!(
                removed.iter().any(|line| line.ends_with(part)),
                "{part}: {removed:?}"
            );
        }
        let left = files(&hosted.path("host/var/log/pods"));
        assert_eq!(left, files(&plain.path("pods")));
        let left = files(&hosted.path("host/var/log/containers"));
        assert_eq!(left, files(&plain.path("links")));
    }
}

/// By which link of the host the log directory is another one, and where it is then.
#[test]
fn s5_11_links_of_the_host_are_followed_in_it() {
    let mut rules = Rules::default();
    for (link, target) in [
        ("host/var/log", "/mnt/logs"),
        ("host/var/log", "../../../../mnt/logs"),
        ("host/var", "mnt/var"),
        ("host/var/log/pods", "/mnt/pods"),
    ] {
        rules.case("S5.11");
        let maker = mounted(node());
        let top = maker.top.path().to_owned();
        let moved = top.join("host").join(target.trim_start_matches(['.', '/']));
        fs::create_dir_all(moved.parent().unwrap()).unwrap();
        fs::rename(top.join(link), &moved).unwrap();
        symlink(target, top.join(link)).unwrap();
        let bench = maker.start();
        bench.host.remove_pod("gone");
        let end = engine(&bench, &[]).containers(PassOptions::default(), None);
        assert_eq!(end.error, None, "{link}");
        let report = end.report.unwrap();
        let gone = format!("{PODS}/ns_pod-gone_gone");
        assert_eq!(fate(&report, &gone).0, Outcome::Removed, "{link}");
        assert_eq!(
            fate(&report, &id("alive1", "app", 0)).0,
            Outcome::Removed,
            "{link}"
        );
        let left = files(&moved);
        assert!(
            !left
                .iter()
                .any(|path| path.to_str().unwrap().contains("gone")),
            "{link}: {left:?}"
        );
        let log = |attempt: u32| format!("ns_pod-alive1_alive1/app/{attempt}.log");
        let has = |name: &str| left.iter().any(|path| path.ends_with(name));
        assert!(!has(&log(0)) && has(&log(9)), "{link}: {left:?}");
    }
}

/// What somebody on the host could do so that crigc deletes outside of it.
fn attack(what: &str, maker: &mut Maker) -> Option<Vec<Mounted>> {
    let top = maker.top.path().to_owned();
    let (host, outside) = (top.join("host"), top.join("outside"));
    let (pods, links) = (host.join("var/log/pods"), host.join("var/log/containers"));
    let replaced = |target: &Path| {
        fs::rename(&pods, host.join("pods")).unwrap();
        symlink(target, &pods).unwrap();
    };
    let log_path = |maker: &mut Maker, path: String| {
        let containers = maker.node.containers.iter_mut();
        containers.for_each(|c| c.log_path = path.as_str().into());
    };
    let canary = outside.join("canary");
    match what {
        "the log directory is a link out" => replaced(&outside),
        "the log directory is above" => replaced(Path::new("../../../outside")),
        "the log directory is far above" => replaced(Path::new(&format!(
            "../../../../../../../../../../..{}",
            outside.display()
        ))),
        "the log directory is behind a link out" => {
            symlink(&outside, host.join("out")).unwrap();
            replaced(Path::new("/out"));
        }
        "the log directory is behind a magic link" => {
            fs::create_dir(host.join("proc")).unwrap();
            let proc = Mounted::bind(Path::new("/proc"), &host.join("proc"))?;
            replaced(Path::new(&format!("/proc/self/root{}", outside.display())));
            return Some(vec![proc]);
        }
        "a pod is a link out" => symlink(&outside, pods.join("ns_p_gone")).unwrap(),
        "a pod is a link to the canary" => symlink(&canary, pods.join("ns_q_gone")).unwrap(),
        "a directory of a pod is a link out" => {
            symlink(&outside, pods.join("ns_pod-gone_gone/out")).unwrap();
        }
        "a directory of a container is a link out" => {
            let app = pods.join("ns_pod-gone_gone/app");
            fs::remove_dir_all(&app).unwrap();
            symlink(&outside, app).unwrap();
            log_path(maker, format!("{PODS}/ns_pod-gone_gone/app/canary"));
        }
        "a directory of a pod is a mount" => {
            fs::create_dir(pods.join("ns_pod-gone_gone/mounted")).unwrap();
            let to = pods.join("ns_pod-gone_gone/mounted");
            return Some(vec![Mounted::bind(&outside, &to)?]);
        }
        "a log is outside" => log_path(maker, canary.display().to_string()),
        "a log is above" => log_path(maker, format!("{PODS}/../../../../outside/canary")),
        "a log is far above" => log_path(maker, format!("/..{}", canary.display())),
        "a log is behind a magic link" => {
            log_path(maker, format!("/proc/self/root{}", canary.display()))
        }
        "a link leads out" => symlink(&canary, links.join("p_n_c-0123456789ff.log")).unwrap(),
        "a link leads above" => symlink(
            "../../../../outside/canary",
            links.join("p_n_c-0123456789ff.log"),
        )
        .unwrap(),
        what => panic!("{what}"),
    }
    Some(Vec::new())
}

#[test]
fn s5_11_nothing_on_the_host_leads_to_a_deletion_outside() {
    let mut rules = Rules::default();
    for what in [
        "the log directory is a link out",
        "the log directory is above",
        "the log directory is far above",
        "the log directory is behind a link out",
        "the log directory is behind a magic link",
        "a pod is a link out",
        "a pod is a link to the canary",
        "a directory of a pod is a link out",
        "a directory of a container is a link out",
        "a directory of a pod is a mount",
        "a log is outside",
        "a log is above",
        "a log is far above",
        "a log is behind a magic link",
        "a link leads out",
        "a link leads above",
    ] {
        for flags in [DRY_RUN, PassOptions::default()] {
            rules.case("S5.11");
            let mut maker = mounted(node());
            // As if it were the log directory.
            write(&maker.path("outside/ns_pod-gone_gone/app/0.log"));
            write(&maker.path("outside/canary.1"));
            let Some(_mounts) = attack(what, &mut maker) else {
                continue;
            };
            let bench = maker.start();
            bench.host.remove_pod("gone");
            let before = files(&bench.path("outside"));
            let keys = [("maximum-dead-containers-per-container", "0")];
            let end = engine(&bench, &keys).containers(flags, None);
            assert_eq!(files(&bench.path("outside")), before, "{what}");
            assert_eq!(
                fs::read(bench.path("outside/canary")).unwrap(),
                b"keep",
                "{what}"
            );
            let is_elsewhere = what.starts_with("the log directory");
            assert_eq!(end.error.is_some(), is_elsewhere, "{what}: {:?}", end.error);
            // Without its directory no log can be deleted, so all containers stay.
            let report = end.report.unwrap();
            let removed =
                report.count(Some(crigc::report::Kind::Container), Some(Outcome::Removed));
            assert_eq!(removed == 0, is_elsewhere, "{what}");
        }
    }
}

#[test]
fn s5_11_without_the_host_a_pass_does_nothing() {
    let mut rules = Rules::default();
    let bench = mounted(node()).start();
    bench.host.remove_pod("gone");
    write(&bench.path("file"));
    let before = bench.everything();
    for (name, cause) in [
        ("none", "No such file or directory"),
        ("file", "Not a directory"),
    ] {
        rules.case("S5.11");
        let root = bench.path(name);
        let engine = engine(&bench, &[("host-root", root.to_str().unwrap())]);
        for pass in [Engine::containers, Engine::images] {
            let end = pass(&engine, PassOptions::default(), None);
            let error = end.error.unwrap();
            assert_eq!(error.status, Status::Io);
            let start = format!("cannot use host-root ({}): {cause}", root.display());
            assert!(error.message.starts_with(&start), "{error}");
            assert!(end.report.unwrap().entries.is_empty());
        }
    }
    assert_eq!(bench.everything(), before);
    assert!(bench.server.trace().is_empty());
}

#[test]
fn s5_11_a_host_that_is_not_mounted_keeps_its_containers() {
    let mut rules = Rules::default();
    rules.case("S5.11");
    let bench = mounted(node()).start();
    bench.host.remove_pod("gone");
    // An empty directory, in which nothing is mounted yet.
    fs::create_dir(bench.path("empty")).unwrap();
    let before = bench.everything();
    let empty = bench.path("empty");
    let engine = engine(&bench, &[("host-root", empty.to_str().unwrap())]);
    let end = engine.containers(PassOptions::default(), None);
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Io, "{error}");
    let says = format!(
        "cannot read pod-logs-dir ({PODS} below host-root ({})): ",
        empty.display()
    );
    assert!(error.message.contains(&says), "{error}");
    assert!(
        error
            .message
            .contains("see whether the host's root is mounted there"),
        "{error}"
    );
    let left = bench.everything();
    let lost: Vec<&String> = before
        .difference(&left)
        .filter(|id| !id.starts_with('s'))
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn s0_7_s5_11_the_hold_file_is_one_of_the_host() {
    let mut rules = Rules::default();
    // What is where, and whether that holds.
    for (path, target, held) in [
        ("host/run/hold", None, true),
        ("host/run/hold", Some("/nowhere"), true),
        ("host/var/run", Some("/run"), false),
        // Nothing of the host is mounted where it would be.
        ("outside/hold", None, true),
        ("host/run/other", None, false),
    ] {
        rules.case("S0.7");
        let bench = mounted(node()).start();
        fs::create_dir_all(bench.path("host/run")).unwrap();
        match target {
            None => write(&bench.path(path)),
            Some(target) => symlink(target, bench.path(path)).unwrap(),
        }
        let hold = match path {
            "outside/hold" => bench.path(path).display().to_string(),
            _ => "/run/hold".to_owned(),
        };
        let report = engine(&bench, &[("hold-file", &hold)])
            .containers(DRY_RUN, None)
            .report
            .unwrap();
        let (_, reason, _) = fate(&report, &id("alive1", "app", 0));
        assert_eq!(reason == "held", held, "{path}: {reason}");
    }
}

#[test]
fn s5_11_the_image_filesystem_is_one_of_the_host() {
    let mut rules = Rules::default();
    // A mount point as the runtime names it, and whether the host has it.
    for (mountpoint, is_there) in [
        ("/data/images", true),
        ("/var/lib/images", true),
        ("/usr", false),
        ("/out", false),
    ] {
        rules.case("S5.11");
        let mut maker = mounted(Maker::new());
        maker.node.images = vec![images::image("a", "r/a:1", 1)];
        maker.node.filesystem.mountpoint = mountpoint.into();
        let host = maker.path("host");
        fs::create_dir_all(host.join("data/images")).unwrap();
        fs::create_dir_all(host.join("var/lib")).unwrap();
        symlink("/data/images", host.join("var/lib/images")).unwrap();
        symlink("/usr", host.join("out")).unwrap();
        let Some(_mounted) = Mounted::tmpfs("4m", &host.join("data/images")) else {
            return;
        };
        let bench = maker.start();
        let end = engine(&bench, &[]).images(DRY_RUN, None);
        if is_there {
            assert_eq!(end.error, None, "{mountpoint}");
            let (before, _) = end.report.unwrap().filesystem.unwrap();
            assert_eq!(before.capacity, 4 << 20, "{mountpoint}");
            continue;
        }
        let error = end.error.unwrap();
        assert_eq!(error.status, Status::Io, "{mountpoint}");
        let says = format!(
            "at {mountpoint} below host-root ({}): No such file",
            host.display()
        );
        assert!(error.message.contains(&says), "{error}");
    }
}
