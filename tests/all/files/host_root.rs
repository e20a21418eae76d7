//! Where the host's paths lead below host-root, and where they must not (S5.11).

use crigc::fs::host_root::Root;
use crigc::fs::logs::{Lies, Names, OpenLogDir};
use crigc::fs::mounts::mounts;
use crigc::fs::{filesystem, hold};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use test_support::mounts::Mounted;
use test_support::rules::Rules;

/// A host in a folder, beside what is not the host's.
struct Host {
    top: TempDir,
}

impl Host {
    fn new() -> Host {
        let top = TempDir::new().unwrap();
        for dir in [
            "host/mnt/logs/pods/ns_p_u/c",
            "host/var",
            "outside/pods/ns_p_u/c",
        ] {
            fs::create_dir_all(top.path().join(dir)).unwrap();
        }
        fs::write(top.path().join("host/mnt/logs/pods/ns_p_u/c/0.log"), "x").unwrap();
        fs::write(top.path().join("outside/pods/ns_p_u/c/0.log"), "keep").unwrap();
        Host { top }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.top.path().join("host").join(path)
    }

    fn outside(&self) -> PathBuf {
        self.top.path().join("outside")
    }

    fn root(&self) -> Root {
        Root::open(self.at("").to_str()).unwrap()
    }

    fn link(&self, target: impl AsRef<Path>, path: &str) {
        symlink(target, self.at(path)).unwrap();
    }

    fn canary(&self) -> bool {
        self.outside().join("pods/ns_p_u/c/0.log").is_file()
    }
}

/// Links by which a path may lead anywhere: where it is, and its target.
fn links(host: &Host) {
    host.link("/mnt/logs", "var/log");
    host.link("mnt", "relative");
    host.link("../../../../../mnt/logs", "above");
    host.link(host.outside(), "out");
    host.link("../outside", "beside");
    host.link("/proc/self/root", "self");
    host.link("/proc/self/cwd", "cwd");
    host.link("/loop", "loop");
    host.link("/out/pods", "chain");
}

#[test]
fn s5_11_a_path_leads_where_it_leads_on_the_host() {
    let mut rules = Rules::default();
    let host = Host::new();
    links(&host);
    let root = host.root();
    // A path of the host, and where it leads; `None` = nowhere, though this process would find something.
    let table = [
        ("/mnt/logs/pods", Some("/mnt/logs/pods")),
        ("/var/log/pods", Some("/mnt/logs/pods")),
        ("//var/./log/pods/", Some("/mnt/logs/pods")),
        ("/relative/logs/pods", Some("/mnt/logs/pods")),
        ("/above/pods", Some("/mnt/logs/pods")),
        ("/../../mnt/logs/pods", Some("/mnt/logs/pods")),
        ("/var/log/../logs/pods", Some("/mnt/logs/pods")),
        ("/out/pods", None),
        ("/beside/pods", None),
        ("/../outside/pods", None),
        ("/self/tmp", None),
        ("/cwd", None),
        ("/chain", None),
        ("/loop", None),
        ("/nothing", None),
    ];
    for (path, leads) in table {
        rules.case("S5.11");
        let opened = OpenLogDir::open(&root, path);
        let found = opened.as_ref().ok().map(|dir| dir.entry("x"));
        let expected = leads.map(|leads| Path::new(leads).join("x"));
        assert_eq!(found, expected, "{path}: {opened:?}");
        assert_eq!(
            hold::is_there(&root, path).is_ok_and(|there| there),
            leads.is_some() || is_link(&host, path),
            "{path}"
        );
        assert_eq!(
            filesystem::usage(&root, path).is_ok(),
            leads.is_some(),
            "{path}"
        );
    }
}

/// Whether the last component is a link on the host, wherever it leads: a hold file may be one.
fn is_link(host: &Host, path: &str) -> bool {
    let name = path.trim_start_matches('/');
    fs::symlink_metadata(host.at(name)).is_ok_and(|found| found.is_symlink())
}

#[test]
fn s5_11_a_magic_link_leads_nowhere() {
    let mut rules = Rules::default();
    let host = Host::new();
    fs::create_dir(host.at("proc")).unwrap();
    let Some(_proc) = Mounted::bind(Path::new("/proc"), &host.at("proc")) else {
        return;
    };
    links(&host);
    let root = host.root();
    for path in [
        "/self/tmp",
        "/self",
        "/cwd",
        "/proc/self/root",
        "/proc/thread-self/cwd",
    ] {
        rules.case("S5.11");
        let error = OpenLogDir::open(&root, path).unwrap_err();
        let is_refused = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        assert!(is_refused, "{path}: {error}");
        assert!(filesystem::usage(&root, path).is_err(), "{path}");
    }
}

#[test]
fn s5_11_a_log_is_found_by_each_of_its_paths_on_the_host_and_by_no_other() {
    let mut rules = Rules::default();
    let host = Host::new();
    links(&host);
    host.link("/mnt/logs/pods/ns_p_u", "mnt/logs/pods/ns_p_linked");
    let root = host.root();
    let dir = OpenLogDir::open(&root, "/var/log/pods").unwrap();
    let here = host.at("mnt/logs/pods/ns_p_u/c/0.log");
    let outside = host.outside().join("pods/ns_p_u/c/0.log");
    let table = [
        ("/var/log/pods/ns_p_u/c/0.log", Lies::Here),
        ("/mnt/logs/pods/ns_p_u/c/0.log", Lies::Here),
        ("/relative/logs/pods/ns_p_u/c/0.log", Lies::Here),
        ("/above/pods/ns_p_u/c/0.log", Lies::Here),
        // A link below the directory may be that of another pod.
        ("/var/log/pods/ns_p_linked/c/0.log", Lies::Elsewhere),
        // The path in this process is not one of the host.
        (here.to_str().unwrap(), Lies::Elsewhere),
        (outside.to_str().unwrap(), Lies::Elsewhere),
        ("/out/pods/ns_p_u/c/0.log", Lies::Elsewhere),
        ("/beside/pods/ns_p_u/c/0.log", Lies::Elsewhere),
        ("/self/mnt/logs/pods/ns_p_u/c/0.log", Lies::Elsewhere),
        (
            "/var/log/pods/../../../outside/pods/ns_p_u/c/0.log",
            Lies::Elsewhere,
        ),
    ];
    for (path, lies) in table {
        rules.case("S5.11");
        fs::write(&here, "x").unwrap();
        let checked = dir.check_log(path, Names::Fresh, &|| true).unwrap();
        let removed = dir.remove_log(path, Names::Fresh, &|| true).unwrap();
        assert_eq!((checked, removed), (lies, lies), "{path}");
        assert_eq!(here.exists(), lies == Lies::Elsewhere, "{path}");
        assert!(host.canary(), "{path}");
    }
}

#[test]
fn s5_11_a_link_is_alive_if_its_target_is_on_the_host() {
    let mut rules = Rules::default();
    let host = Host::new();
    links(&host);
    fs::create_dir(host.at("links")).unwrap();
    let here = host.at("mnt/logs/pods/ns_p_u/c/0.log");
    let outside = host.outside().join("pods/ns_p_u/c/0.log");
    let table = [
        ("/var/log/pods/ns_p_u/c/0.log", true),
        ("/mnt/logs/pods/ns_p_u/c/0.log", true),
        ("../mnt/logs/pods/ns_p_u/c/0.log", true),
        ("../../../mnt/logs/pods/ns_p_u/c/0.log", true),
        // Whether it leads anywhere is unknown.
        ("/loop", true),
        ("/var/log/pods/ns_p_u/c/1.log", false),
        (here.to_str().unwrap(), false),
        (outside.to_str().unwrap(), false),
        ("../../outside/pods/ns_p_u/c/0.log", false),
        ("/etc/passwd", false),
    ];
    for (n, (target, _)) in table.iter().enumerate() {
        symlink(target, host.at(&format!("links/{n:02}.log"))).unwrap();
    }
    let dir = OpenLogDir::open(&host.root(), "/links").unwrap();
    let mut found = dir.log_links(true, &|| true, |_| true).unwrap();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let dead = dir.log_links(false, &|| true, |_| true).unwrap();
    for ((target, alive), link) in table.iter().zip(found) {
        rules.case("S5.11");
        assert_eq!(link.alive, *alive, "{target}");
        assert_eq!(dead.iter().any(|d| d.name == link.name), !alive, "{target}");
    }
}

#[test]
fn s5_11_mounts_below_are_seen_and_not_crossed() {
    let mut rules = Rules::default();
    rules.case("S5.11");
    let host = Host::new();
    links(&host);
    let tree = host.at("mnt/logs/pods/ns_p_u");
    fs::create_dir(tree.join("mounted")).unwrap();
    let Some(_mounted) = Mounted::bind(&host.outside(), &tree.join("mounted")) else {
        return;
    };
    let dir = OpenLogDir::open(&host.root(), "/var/log/pods").unwrap();
    let error = dir.check_tree("ns_p_u", &mounts()).unwrap_err();
    assert!(error.to_string().contains("mounted"), "S0.5: {error}");
    let error = dir.remove_tree("ns_p_u".as_ref(), &|| true).unwrap_err();
    assert!(error.to_string().contains("mount"), "{error}");
    assert!(!tree.join("c").exists() && host.canary());
}

#[test]
fn s5_11_a_root_that_is_a_link_or_missing() {
    let mut rules = Rules::default();
    rules.case("S5.11");
    let host = Host::new();
    let link = host.top.path().join("link");
    symlink("host", &link).unwrap();
    let root = Root::open(link.to_str()).unwrap();
    let dir = OpenLogDir::open(&root, "/mnt/logs/pods").unwrap();
    assert_eq!(dir.entry("x"), Path::new("/mnt/logs/pods/x"));
    let error = filesystem::usage(&root, "/none").unwrap_err();
    let shown = format!("/none below host-root ({})", link.display());
    assert!(error.message.contains(&shown), "{error}");
    for wrong in ["none", "host/mnt/logs/pods/ns_p_u/c/0.log"] {
        let path = host.top.path().join(wrong);
        assert!(Root::open(path.to_str()).is_err(), "{wrong}");
    }
}
