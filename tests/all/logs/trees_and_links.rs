//! Whole passes over logs and links that are left behind on a node that does not change (S4).

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::report::{Kind, Outcome};
use crisim::fault::Action;
use crisim::node::Word;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use test_support::bench::{
    DRY_RUN, INTERNAL, Maker, NOT_FOUND, code, fate, id, there, with, write,
};
use test_support::rules::Rules;

#[test]
fn s4_1_entries_of_removed_pods_go_whatever_they_are() {
    let mut rules = Rules::default();
    // name, is it of a removed pod
    let table = [
        ("ns_pod_gone", true),
        ("ns_pod_alive", false),
        ("gone", true),
        ("alive", false),
        ("_gone", true),
        ("a_b_c_d_gone", true),
        ("gone_x", false),
        ("ns_pod_gone ", false),
        ("ns_pod_", false),
        ("unasked", false),
    ];
    let kinds: [fn(&Path, &Path); 3] = [
        |path, _| write(&path.join("app/0.log")),
        |path, _| write(path),
        |path, outside| symlink(outside, path).unwrap(),
    ];
    for make in kinds {
        rules.case("S4.1");
        let maker = Maker::new();
        for (name, _) in table {
            make(&maker.path("pods").join(name), &maker.path("outside"));
        }
        let bench = maker.start();
        bench.host.remove_pod("gone");

        bench.host.set_ready(false);
        let report = bench.collected(&[]);
        let kept = with(&report, Outcome::Kept);
        assert!(
            kept.iter()
                .all(|(_, _, reason)| *reason == "sources-not-ready")
        );
        assert_eq!(kept.len(), table.len());

        bench.host.set_ready(true);
        let report = bench.collected(&[]);
        for (name, goes) in table {
            let path = bench.path("pods").join(name);
            assert_eq!(there(&path), !goes, "{name}");
            let reason = if goes { "pod-removed" } else { "pod-exists" };
            assert_eq!(fate(&report, path.to_str().unwrap()).1, reason, "{name}");
        }
        assert!(there(&bench.path("outside/canary")));
    }
}

#[test]
fn s4_1_a_tree_is_kept_as_long_as_a_container_of_its_pod() {
    let mut rules = Rules::default();
    rules.case("S4.1");
    let mut maker = Maker::new();
    maker.container("u1", "app", 0, Word::Exited);
    maker.container("u2", "app", 0, Word::Exited);
    maker.fault("RemoveContainer", &id("u1", "app", 0), code(INTERNAL));
    let bench = maker.start();
    bench.host.remove_pod("u1");
    bench.host.remove_pod("u2");
    let report = bench.collected(&[]);
    let tree = |uid: &str| bench.path(&format!("pods/ns_pod-{uid}_{uid}"));
    assert!(there(&tree("u1")) && !there(&tree("u2")));
    assert_eq!(fate(&report, tree("u1").to_str().unwrap()).1, "active");
    bench.server.set_faults(Vec::new());
    bench.collected(&[]);
    assert!(!there(&tree("u1")));
}

#[test]
fn s4_1_a_pod_that_runs_keeps_its_tree_whatever_the_host_says() {
    let mut rules = Rules::default();
    rules.case("S4.1");
    let mut maker = Maker::new();
    for uid in ["u1", "u2", "u3"] {
        maker.sandbox(uid, 0, Word::Ready);
        maker.container(uid, "app", 0, Word::Running);
    }
    let bench = maker.start();
    bench.host.remove_pod("u1");
    let before = bench.everything();
    let report = bench.collected(&[]);
    assert_eq!(bench.everything(), before);
    let tree = bench.path("pods/ns_pod-u1_u1");
    assert_eq!(fate(&report, tree.to_str().unwrap()).1, "pod-active");
}

#[test]
fn s4_1_a_directory_that_cannot_be_read_fails_the_pass_and_links_are_left_alone() {
    let mut rules = Rules::default();
    rules.case("S4.1");
    let mut maker = Maker::new();
    maker.restarted("u1", 2);
    symlink("/nowhere", maker.path("links/a_b_c-0123456789.log")).unwrap();
    let bench = maker.start();
    let missing = bench.path("none");
    let end = bench.collect(
        &[("pod-logs-dir", missing.to_str().unwrap())],
        PassOptions::default(),
    );
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Io);
    assert!(
        error.message.contains(missing.to_str().unwrap()),
        "{}",
        error.message
    );
    assert!(there(&bench.path("links/a_b_c-0123456789.log")));

    let file = bench.path("outside/canary");
    let end = bench.collect(
        &[("container-logs-dir", file.to_str().unwrap())],
        PassOptions::default(),
    );
    assert_eq!(end.error.unwrap().status, Status::Io);
    assert!(there(&file));
}

#[test]
fn s4_1_an_entry_whose_name_is_not_utf8_is_kept() {
    let mut rules = Rules::default();
    rules.case("S4.1");
    use std::os::unix::ffi::OsStrExt;
    let maker = Maker::new();
    let odd = maker
        .path("pods")
        .join(std::ffi::OsStr::from_bytes(b"ns_\xff_gone"));
    write(&odd.join("app/0.log"));
    write(&maker.path("pods/ns_pod_gone/app/0.log"));
    let bench = maker.start();
    bench.host.remove_pod("gone");
    let report = bench.collected(&[]);
    assert!(there(&odd) && !there(&bench.path("pods/ns_pod_gone")));
    assert_eq!(report.count(Some(Kind::PodLogs), Some(Outcome::Kept)), 1);
}

#[test]
fn s0_6_a_dead_link_whose_name_is_not_utf8_is_kept() {
    let mut rules = Rules::default();
    rules.case("S0.6");
    use std::os::unix::ffi::OsStrExt;
    let maker = Maker::new();
    let odd = maker
        .path("links")
        .join(std::ffi::OsStr::from_bytes(b"p_n_\xff-0123456789.log"));
    symlink("/nowhere", &odd).unwrap();
    let bench = maker.start();
    let report = bench.collected(&[]);
    assert!(odd.is_symlink());
    assert_eq!(report.entries[0].reason.word(), "unknown-state");
    assert_eq!(report.entries.len(), 1);
    assert!(bench.calls("ContainerStatus").is_empty());
}

/// S0.5: a mount in a tree keeps the tree, and the dry run says so.
#[test]
fn s0_5_s4_1_a_tree_with_a_mount_in_it_fails_in_the_dry_run_too() {
    let mut rules = Rules::default();
    let maker = Maker::new();
    let inside = maker.path("pods/ns_pod_gone/app");
    fs::create_dir_all(&inside).unwrap();
    let mount = |arguments: &[&str]| {
        let status = std::process::Command::new(arguments[0])
            .args(&arguments[1..])
            .arg(&inside)
            .status();
        status.is_ok_and(|s| s.success())
    };
    let outside = maker.path("outside");
    if !mount(&["mount", "--bind", outside.to_str().unwrap()]) {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "cannot mount");
        return println!("skipped: bind mounts need root");
    }
    let bench = maker.start();
    bench.host.remove_pod("gone");
    let fates = [DRY_RUN, PassOptions::default()].map(|flags| {
        let report = bench.collect(&[], flags).report.unwrap();
        let tree = bench.path("pods/ns_pod_gone");
        fate(&report, tree.to_str().unwrap()).0
    });
    let kept = there(&bench.path("outside/canary"));
    assert!(mount(&["umount", "-l"]));
    assert_eq!((fates, kept), ([Outcome::Failed; 2], true));
    rules.case("S0.5");
    rules.case("S4.1");
}

#[test]
fn s4_2_a_dead_link_is_removed_unless_its_container_may_come_back() {
    let mut rules = Rules::default();
    // the state of its container, the fault of ContainerStatus, the reason
    let table = [
        (Some(Word::Exited), None, "dead-link"),
        (Some(Word::Running), None, "link-alive"),
        (Some(Word::Created), None, "link-alive"),
        (Some(Word::Unknown), None, "link-alive"),
        (None, None, "dead-link"),
        (Some(Word::Exited), Some(INTERNAL), "link-unknown"),
        (Some(Word::Running), Some(NOT_FOUND), "dead-link"),
    ];
    for (state, fault, reason) in table {
        rules.case("S4.2");
        let mut maker = Maker::new();
        let own = id("u1", "app", 0);
        if let Some(state) = state {
            maker.bare("u1", "app", 0, state);
        }
        if let Some(status) = fault {
            maker.fault("ContainerStatus", &own, code(status));
        }
        write(&maker.path("pods/ns_pod-u1_u1/app/keep"));
        symlink(maker.log("u1", "app", 0), maker.link("u1", "app", 0)).unwrap();
        let bench = maker.start();
        let all_stay = [("maximum-dead-containers-per-container", "5")];
        let report = bench.collected(&all_stay);
        let link = bench.link("u1", "app", 0);
        assert_eq!(
            fate(&report, link.to_str().unwrap()).1,
            reason,
            "{state:?} {fault:?}"
        );
        assert_eq!(there(&link), reason != "dead-link", "{state:?} {fault:?}");
    }
}

#[test]
fn s4_2_the_id_in_a_links_name_may_be_cut_short_or_missing() {
    let mut rules = Rules::default();
    // name of the link, and whether it is removed though the container runs
    let own = id("u1", "app", 0);
    let table = [
        (format!("p_n_c-{own}.log"), false),
        (format!("p_n_c-{}.log", &own[..9]), false),
        (format!("p_n_c-{}.log", &own[..6]), false),
        (format!("p_n_c-{}.log", &own[..5]), true),
        ("p_n_c-.log".to_owned(), true),
        ("plain.log".to_owned(), true),
        ("-.log".to_owned(), true),
        ("p_n_c-nobody-knows-0123456789.log".to_owned(), true),
    ];
    let mut maker = Maker::new();
    maker.sandbox("u1", 0, Word::Ready);
    maker.bare("u1", "app", 0, Word::Running);
    for (name, _) in &table {
        rules.case("S4.2");
        symlink("/nowhere", maker.path("links").join(name)).unwrap();
    }
    let others = ["p_n_c-0123456789.txt", "log", "p_n_c-0123456789.log.1"];
    for other in others {
        symlink("/nowhere", maker.path("links").join(other)).unwrap();
    }
    write(&maker.path("links/file-0123456789.log"));
    symlink(
        maker.path("outside"),
        maker.path("links/dir-0123456789.log"),
    )
    .unwrap();
    let bench = maker.start();
    bench.collected(&[]);
    for (name, goes) in &table {
        assert_eq!(there(&bench.path("links").join(name)), !goes, "{name}");
    }
    for stays in others
        .iter()
        .chain(&["file-0123456789.log", "dir-0123456789.log"])
    {
        assert!(there(&bench.path("links").join(stays)), "{stays}");
    }
}

#[test]
fn s4_2_a_link_that_cannot_be_followed_is_not_dead() {
    let mut rules = Rules::default();
    rules.case("S4.2");
    let maker = Maker::new();
    symlink(
        maker.path("outside/canary/x"),
        maker.path("links/a_b_c-0123456789.log"),
    )
    .unwrap();
    symlink(
        "loop-0123456789.log",
        maker.path("links/loop-0123456789.log"),
    )
    .unwrap();
    let bench = maker.start();
    let report = bench.collected(&[]);
    assert!(report.entries.is_empty(), "{:?}", report.entries);
    let dry = bench.collect(&[], DRY_RUN).report.unwrap();
    assert!(dry.entries.is_empty(), "{:?}", dry.entries);
}

#[test]
fn s4_2_links_that_only_dangle_through_the_pass_go_in_it() {
    let mut rules = Rules::default();
    rules.case("S4.2");
    let mut maker = Maker::new();
    maker.restarted("u1", 2);
    let log = maker.log("u1", "app", 0);
    let first = id("u1", "app", 0);
    // Another link to its log, one to a rotated one, one to its link, and one into a tree that is removed.
    symlink(&log, maker.path(&format!("links/second-{first}.log"))).unwrap();
    let rotated = log.with_extension("log.20261123-000000");
    symlink(&rotated, maker.path(&format!("links/third-{first}.log"))).unwrap();
    symlink(
        maker.link("u1", "app", 0),
        maker.path(&format!("links/chain-{first}.log")),
    )
    .unwrap();
    write(&maker.path("pods/ns_pod_gone/app/0.log"));
    let in_tree = maker.path("links/tree_b_c-0123456789.log");
    symlink(maker.path("pods/ns_pod_gone/app/0.log"), &in_tree).unwrap();
    let bench = maker.start();
    bench.host.remove_pod("gone");
    let before = bench.everything();
    let dry = bench.collect(&[], DRY_RUN).report.unwrap();
    assert_eq!(bench.everything(), before);
    let report = bench.collected(&[]);
    assert_eq!(
        with(&dry, Outcome::Removed),
        with(&report, Outcome::Removed)
    );
    assert_eq!(report.count(Some(Kind::LogLink), Some(Outcome::Removed)), 4);
    let left: Vec<_> = fs::read_dir(bench.path("links")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(there(&bench.link("u1", "app", 1)));
}

#[test]
fn s4_2_a_runtime_that_hangs_keeps_its_link_and_no_other() {
    let mut rules = Rules::default();
    rules.case("S4.2");
    let mut maker = Maker::new();
    let names: Vec<String> = (0..9)
        .map(|n| format!("links/p_n_c-{n}123456789.log"))
        .collect();
    for name in &names {
        symlink("/nowhere", maker.path(name)).unwrap();
    }
    maker.fault("ContainerStatus", "3123456789", Action::Hang);
    let bench = maker.start();
    let report = bench.collected(&[("runtime-request-timeout", "10s")]);
    for name in &names {
        assert_eq!(
            there(&bench.path(name)),
            name.contains("/p_n_c-3"),
            "{name}"
        );
    }
    let hung = bench.path(&names[3]);
    assert_eq!(fate(&report, hung.to_str().unwrap()).1, "link-unknown");
}
