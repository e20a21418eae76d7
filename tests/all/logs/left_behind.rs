//! Whole passes over logs and links that are left behind while the node changes: pods that come back between question and
//! removal (S4.1), links whose names were cut (S4.2), directories with very many entries (S6.5).

use crigc::engine::PassOptions;
use crigc::hooks::Hook;
use crigc::node::Text;
use crigc::report::{Entry, Kind, Outcome};
use crisim::fault::Fault;
use crisim::node::{Container, State, Word};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use test_support::bench;
use test_support::bench::{Bench, DRY_RUN, INTERNAL, Maker, code, fate, there, write};
use test_support::rules::Rules;

/// Pods that are gone, with a tree each.
const GONE: [&str; 3] = ["u1", "u2", "u3"];

fn with_trees() -> Bench {
    let maker = Maker::new();
    for uid in GONE {
        write(&maker.log(uid, "app", 0));
    }
    let bench = maker.start();
    GONE.iter().for_each(|uid| bench.host.remove_pod(uid));
    bench
}

fn tree(bench: &Bench, uid: &str) -> PathBuf {
    bench.path(&format!("pods/ns_pod-{uid}_{uid}"))
}

#[test]
fn s4_1_a_static_pod_that_comes_back_while_the_host_approves_keeps_its_tree() {
    let mut rules = Rules::default();
    for back in GONE {
        rules.case("S4.1");
        let bench = with_trees();
        let host = bench.host.clone();
        let mut hooks = bench.hooks();
        // The answer of the stage is young: `evidence-max-age` is at its default.
        let approve = move |entry: &Entry| {
            if entry.kind == Kind::PodLogs && &*entry.pod_uid == back {
                host.0.lock().unwrap().1.remove(back);
            }
            true
        };
        hooks.approve = Some(Hook::new(Box::new(approve)));
        let report = bench
            .engine(&[], hooks)
            .containers(PassOptions::default(), None)
            .report;
        let report = report.unwrap();
        for uid in GONE {
            let path = tree(&bench, uid);
            assert_eq!(there(&path), uid == back, "{back}: {uid}");
            let reason = if uid == back {
                "changed"
            } else {
                "pod-removed"
            };
            assert_eq!(
                fate(&report, path.to_str().unwrap()).1,
                reason,
                "{back}: {uid}"
            );
        }
    }
}

/// What happened: a question for UIDs, an approval of an entry.
#[derive(Clone, Debug, PartialEq)]
enum Happened {
    Asked(Vec<String>),
    Approved(String),
}

#[test]
fn s4_1_the_host_is_asked_right_before_each_tree_about_its_pod_alone() {
    let mut rules = Rules::default();
    for flags in [DRY_RUN, PassOptions::default()] {
        rules.case("S4.1");
        let bench = with_trees();
        let happened: Arc<Mutex<Vec<Happened>>> = Arc::default();
        let (host, seen) = (bench.host.clone(), happened.clone());
        let mut hooks = bench.hooks();
        let answer = move |uids: &[Text]| {
            let asked = uids.iter().map(|uid| uid.to_string()).collect();
            seen.lock().unwrap().push(Happened::Asked(asked));
            host.answer(uids)
        };
        hooks.pod_states = Some(Hook::new(Box::new(answer)));
        let seen = happened.clone();
        let approve = move |entry: &Entry| {
            seen.lock()
                .unwrap()
                .push(Happened::Approved(entry.pod_uid.to_string()));
            true
        };
        hooks.approve = Some(Hook::new(Box::new(approve)));
        bench.engine(&[], hooks).containers(flags, None);
        let happened = happened.lock().unwrap();
        let expected: Vec<Happened> = GONE
            .iter()
            .flat_map(|uid| {
                let approved = (!flags.dry_run).then(|| Happened::Approved((*uid).to_owned()));
                approved
                    .into_iter()
                    .chain([Happened::Asked(vec![(*uid).to_owned()])])
            })
            .collect();
        assert!(happened.ends_with(&expected), "{happened:?}");
    }
}

/// A host that is not ready any more, or does not answer, says no.
#[test]
fn s4_1_an_answer_at_the_last_moment_can_only_keep() {
    let mut rules = Rules::default();
    for ready in [true, false] {
        rules.case("S4.1");
        let bench = with_trees();
        let host = bench.host.clone();
        let mut hooks = bench.hooks();
        let approve = move |_: &Entry| {
            host.set_ready(ready);
            if ready {
                host.keep_all();
            }
            true
        };
        hooks.approve = Some(Hook::new(Box::new(approve)));
        bench
            .engine(&[], hooks)
            .containers(PassOptions::default(), None);
        assert!(GONE.iter().all(|uid| there(&tree(&bench, uid))), "{ready}");
    }
}

const LONG: (&str, &str) = ("maximum-dead-containers-per-container", "-1");

/// A container whose pod's name is that long, and its dead link with a name of 255 bytes.
fn long(maker: &mut Maker, pod: usize, attempt: u32, state: Word) -> PathBuf {
    let container = maker.bare("u1", "app", attempt, state);
    let pod = "p".repeat(pod);
    let key = "io.kubernetes.pod.name".to_owned();
    container.labels.insert(key, pod.as_str().into());
    let mut stem = format!("{pod}_ns_app-{}", container.id);
    stem.truncate(251);
    let link = maker.path("links").join(format!("{stem}.log"));
    if !there(&link) {
        symlink("/nowhere", &link).unwrap();
    }
    link
}

#[test]
fn s4_2_a_cut_link_of_a_running_container_is_kept() {
    let mut rules = Rules::default();
    // With the whole ID, with more or less of it, with none.
    for pod in [200, 231, 233, 234, 235, 240, 242, 243, 244, 250, 253] {
        for (state, goes) in [
            (Word::Running, false),
            (Word::Unknown, false),
            (Word::Exited, true),
        ] {
            rules.case("S4.2");
            let mut maker = Maker::new();
            let link = long(&mut maker, pod, 0, state);
            let bench = maker.start();
            for flags in [DRY_RUN, PassOptions::default()] {
                let end = bench.collect(&[LONG], flags);
                assert_eq!(end.error, None);
                let report = end.report.unwrap();
                let reason = if goes { "dead-link" } else { "link-alive" };
                let told = fate(&report, link.to_str().unwrap()).1;
                assert_eq!(told, reason, "{pod} {state:?}");
            }
            assert_eq!(there(&link), !goes, "{pod} {state:?}");
        }
    }
}

#[test]
fn s4_2_of_containers_that_share_a_link_any_that_has_not_ended_keeps_it() {
    let mut rules = Rules::default();
    use Word::{Created, Exited, Running, Unknown};
    // Their states, which of them has no status, the reason.
    let table: [(&[Word], Option<u32>, &str); 7] = [
        (&[Exited, Exited, Exited], None, "dead-link"),
        (&[Exited, Exited, Running], None, "link-alive"),
        (&[Running, Exited, Exited], None, "link-alive"),
        (&[Exited, Created, Exited], None, "link-alive"),
        (&[Exited, Unknown], Some(0), "link-alive"),
        (&[Exited, Exited, Exited], Some(1), "link-unknown"),
        (&[Exited, Running], Some(1), "link-unknown"),
    ];
    for (states, failing, reason) in table {
        rules.case("S4.2");
        let mut maker = Maker::new();
        let mut link = PathBuf::new();
        for (attempt, state) in (0..).zip(states) {
            link = long(&mut maker, 250, attempt, *state);
        }
        if let Some(attempt) = failing {
            maker.fault(
                "ContainerStatus",
                &bench::id("u1", "app", attempt),
                code(INTERNAL),
            );
        }
        let bench = maker.start();
        let report = bench.collected(&[LONG]);
        let told = fate(&report, link.to_str().unwrap()).1;
        assert_eq!(told, reason, "{states:?} {failing:?}");
        assert_eq!(there(&link), reason != "dead-link", "{states:?}");
    }
}

/// An ID with a dash in it: the name does not show where it begins.
#[test]
fn s4_2_a_listed_container_is_asked_about_by_its_listed_id() {
    let mut rules = Rules::default();
    rules.case("S4.2");
    let mut maker = Maker::new();
    maker.bare("u1", "app", 0, Word::Running).id = "0123-4567-89".into();
    let link = maker.path("links/pod-u1_ns_app-0123-4567-89.log");
    symlink("/nowhere", &link).unwrap();
    let bench = maker.start();
    bench.collected(&[]);
    assert!(there(&link));
    assert_eq!(bench.calls("ContainerStatus"), ["0123-4567-89"]);
}

#[test]
fn s4_2_a_cut_link_without_a_container_is_removed_only_with_complete_lists() {
    let mut rules = Rules::default();
    // How many lists of containers succeed.
    for skip in [Some(1), Some(0), None] {
        rules.case("S4.2");
        let mut maker = Maker::new();
        let cut = long(&mut maker, 250, 0, Word::Exited);
        maker.node.containers.clear();
        let short = maker.path("links/p_n_c-0123456789.log");
        symlink("/nowhere", &short).unwrap();
        maker.options.faults.extend(skip.map(|skip| Fault {
            skip,
            ..Fault::all("ListContainers", code(INTERNAL))
        }));
        let bench = maker.start();
        let end = bench.collect(&[], PassOptions::default());
        assert_eq!(end.error.is_some(), skip.is_some());
        let report = end.report.unwrap();
        let reason = if skip.is_some() {
            "link-unknown"
        } else {
            "dead-link"
        };
        assert_eq!(fate(&report, cut.to_str().unwrap()).1, reason, "{skip:?}");
        assert_eq!(there(&cut), skip.is_some(), "{skip:?}");
        assert!(!there(&short), "its name has its ID");
    }
}

/// A container that was created after the lists of the earlier stages.
#[test]
fn s4_2_a_container_that_came_meanwhile_keeps_its_cut_link() {
    let mut rules = Rules::default();
    rules.case("S4.2");
    let mut maker = Maker::new();
    let link = long(&mut maker, 250, 0, Word::Running);
    let late: Container = maker.node.containers.pop().unwrap();
    assert_eq!(late.state, State::Word(Word::Running));
    write(&maker.log("gone", "app", 0));
    let bench = maker.start();
    bench.host.remove_pod("gone");
    let server = bench.server.clone();
    let mut hooks = bench.hooks();
    let approve = move |entry: &Entry| {
        if entry.kind == Kind::PodLogs {
            server.edit(|node| node.containers.push(late.clone()));
        }
        true
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let end = bench
        .engine(&[], hooks)
        .containers(PassOptions::default(), None);
    assert_eq!(
        fate(&end.report.unwrap(), link.to_str().unwrap()).1,
        "link-alive"
    );
    assert!(there(&link) && !there(&tree(&bench, "gone")));
}

/// A container with very many rotated logs: the pass asks meanwhile whether they may still be deleted.
#[test]
fn s6_5_a_removal_of_very_many_logs_ends_when_it_is_told_to() {
    let mut rules = Rules::default();
    rules.case("S6.5");
    rules.case("S0.3");
    let mut maker = Maker::new();
    maker.container("u1", "app", 0, Word::Exited);
    for n in 0..1000 {
        write(&maker.log("u1", "app", 0).with_extension(format!("log.{n}")));
    }
    let bench = maker.start();
    bench.host.remove_pod("u1");
    let host = bench.host.clone();
    let mut hooks = bench.hooks();
    let asked = AtomicUsize::new(0);
    let answer = move |uids: &[Text]| {
        if asked.fetch_add(1, Ordering::SeqCst) == 9 {
            host.keep_all();
        }
        host.answer(uids)
    };
    hooks.pod_states = Some(Hook::new(Box::new(answer)));
    let engine = bench.engine(&[("evidence-max-age", "1ns")], hooks);
    let report = engine
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    let own = bench::id("u1", "app", 0);
    assert_eq!(fate(&report, &own).1, "changed");
    let log = bench.log("u1", "app", 0);
    let left = fs::read_dir(log.parent().unwrap()).unwrap().count();
    assert!((2..1000).contains(&left), "{left} logs are left");
    assert!(there(&log), "the next pass finds the others by it");
    assert!(bench.containers().contains(&own));
    bench.host.remove_pod("u1");
    let report = bench.collected(&[]);
    assert_eq!(fate(&report, &own).0, Outcome::Removed);
    assert!(!there(log.parent().unwrap()));
}
