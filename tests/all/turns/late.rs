//! What comes at the end of a pass: removals that were begun before and did not end, and the pods of containers that were removed late
//! (S0.8, S2.3).

use crigc::engine::{Call, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks};
use crigc::node::Text;
use crigc::report::{Kind, Outcome};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use test_support::bench::{Bench, DRY_RUN, INTERNAL, Maker, code, fate, id, there, with, write};
use test_support::rules::Rules;

const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");

/// Questions that hang in any number: groups of them do not take turns for ever.
#[test]
fn s0_8_s1_2_many_questions_that_hang_keep_no_other_container_for_ever() {
    let mut rules = Rules::default();
    rules.case("S0.8");
    rules.case("S1.2");
    let mut maker = Maker::new();
    for n in 0..42 {
        maker.bare("u1", &format!("c{n:02}"), 0, Word::Exited);
        if n < 40 {
            let own = id("u1", &format!("c{n:02}"), 0);
            maker.fault("ContainerStatus", &own, Action::Hang);
        }
    }
    let bench = maker.start();
    let keys = [
        NONE_KEPT,
        ("container-age-from", "finished"),
        ("minimum-container-ttl-duration", "1h"),
        ("runtime-request-timeout", "300ms"),
        ("pod-logs-dir", ""),
    ];
    let engine = bench.engine(&keys, bench.hooks());
    let mut passes = 0;
    while bench.containers().len() > 40 {
        passes += 1;
        assert!(passes <= 9, "{:?}", bench.containers());
        engine.containers(PassOptions::default(), None);
    }
}

/// A second list of the log directory reports each entry once.
#[test]
fn s2_3_s0_6_an_unreadable_object_has_one_entry_however_often_it_is_listed() {
    let mut rules = Rules::default();
    rules.case("S0.6");
    rules.case("S2.3");
    let mut maker = Maker::new();
    maker.sandbox("gone", 0, Word::NotReady);
    maker.container("gone", "lost", 0, Word::Unknown);
    let odd = maker.path("pods").join(OsStr::from_bytes(b"ns_p_\xff"));
    std::fs::create_dir(odd).unwrap();
    let bench = maker.start();
    bench.host.remove_pod("gone");
    let report = bench.collected(&[]);
    assert!(!bench.containers().contains(&id("gone", "lost", 0)));
    let kept = with(&report, Outcome::Kept);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(report.count(None, Some(Outcome::Kept)), 1);
}

/// A link about which the runtime gave no answer in the pass before, and which leads somewhere again when it has its turn.
#[test]
fn s0_8_s4_2_a_link_that_dangles_no_more_at_its_turn_is_not_reported_as_removed() {
    let mut rules = Rules::default();
    rules.case("S0.8");
    rules.case("S4.2");
    let maker = Maker::new();
    let (link, target) = (
        maker.path("links/p_n_c-0123456789.log"),
        maker.path("back.log"),
    );
    symlink(&target, &link).unwrap();
    let bench = maker.start();
    bench.server.set_faults(vec![Fault {
        count: Some(1),
        ..Fault::all("ContainerStatus", Action::Hang)
    }]);
    let engine = bench.engine(&[("runtime-request-timeout", "500ms")], bench.hooks());
    let report = engine
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    let path = link.to_str().unwrap();
    assert_eq!(fate(&report, path).1, "link-unknown");
    // The next pass lists once, and once more for what it has put off.
    let file = target.clone();
    bench
        .server
        .change_at("ListContainers", 1, move |_| write(&file));
    let report = engine
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    assert_eq!(bench.server.changes_ahead(), 0);
    assert!(there(&link));
    let (outcome, reason, _) = fate(&report, path);
    assert_eq!((outcome, reason), (Outcome::Kept, "link-alive"));
}

/// The tree of a pod whose removal was broken off in the pass before, and a link into it.
fn broken_off() -> (Bench, crigc::engine::Engine, Arc<Call>) {
    let maker = Maker::new();
    let log = maker.path("pods/ns_p_gone/app/0.log");
    write(&log);
    symlink(&log, maker.path("links/p_n_c-0123456789.log")).unwrap();
    let bench = maker.start();
    bench.host.remove_pod("gone");
    let call = Arc::new(Call::new(0));
    let (host, button) = (bench.host.clone(), call.clone());
    let asked = AtomicUsize::new(0);
    let ask = move |uids: &[Text]| {
        if uids.len() == 1 && &*uids[0] == "gone" {
            // First for all, then right before its turn.
            if asked.fetch_add(1, Ordering::SeqCst) == 2 {
                button.cancel();
            }
        }
        host.answer(uids)
    };
    let hooks = Hooks {
        pod_states: Some(Hook::new(Box::new(ask) as _)),
        ..Hooks::default()
    };
    let engine = bench.engine(&[], hooks);
    (bench, engine, call)
}

#[test]
fn s0_5_s0_8_a_link_is_removed_with_a_tree_that_is_removed_at_the_end() {
    let mut rules = Rules::default();
    rules.case("S0.5");
    rules.case("S0.8");
    let (bench, engine, call) = broken_off();
    let report = engine
        .containers(PassOptions::default(), Some(&call))
        .report
        .unwrap();
    let tree = bench.path("pods/ns_p_gone");
    assert_eq!(fate(&report, tree.to_str().unwrap()).0, Outcome::Failed);
    let foretold = engine.containers(DRY_RUN, None).report.unwrap();
    let done = engine
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    assert_eq!(
        foretold.count(Some(Kind::LogLink), Some(Outcome::Removed)),
        1
    );
    assert_eq!(
        with(&foretold, Outcome::Removed),
        with(&done, Outcome::Removed)
    );
    assert!(!there(&bench.path("links/p_n_c-0123456789.log")));
}

/// S7.3: the whole list is not reached, and the runtime does not say that a container has ended after its stop.
#[test]
fn s2_3_s7_3_a_stopped_container_is_removed_without_the_whole_list() {
    let mut rules = Rules::default();
    rules.case("S2.3");
    rules.case("S7.3");
    let mut maker = Maker::new();
    for n in 0..24 {
        let uid = format!("u{n:02}");
        maker.sandbox(&uid, 0, Word::Ready);
        maker.container(&uid, "app", 0, Word::Exited);
    }
    maker.container("u99", "lost", 0, Word::Unknown);
    for n in 0..200 {
        maker
            .bare("u99", &format!("odd{n}"), 0, Word::Exited)
            .labels
            .clear();
    }
    let lost = id("u99", "lost", 0);
    maker.fault("StopContainer", &lost, Action::Nothing);
    // It ends when all that was seen has had its turn.
    let delay = std::time::Duration::from_millis(1500);
    maker
        .options
        .delays
        .insert("StopContainer".to_owned(), delay);
    maker.options.message_limit = 3_500;
    let bench = maker.start();
    let engine = bench.engine(&[NONE_KEPT], bench.hooks());
    for _ in 0..3 {
        let end = engine.containers(PassOptions::default(), None);
        eprintln!("{:?}", end.error);
        eprintln!(
            "{:?}",
            end.report.unwrap().entries.iter().find(|e| *e.id == *lost)
        );
    }
    assert!(!bench.calls("StopContainer").is_empty());
    assert!(!bench.containers().contains(&lost));
}

/// A link that is kept because of an answer is not put off any more: the pass after it lists once.
#[test]
fn s0_8_s4_2_a_link_that_was_asked_about_well_has_its_turn_with_all_others() {
    let mut rules = Rules::default();
    rules.case("S0.8");
    rules.case("S4.2");
    let mut maker = Maker::new();
    maker.sandbox("u1", 0, Word::Ready);
    maker.bare("u1", "app", 0, Word::Running);
    let own = id("u1", "app", 0);
    let link = maker.link("u1", "app", 0);
    symlink("/nowhere", &link).unwrap();
    maker.options.faults.push(Fault {
        count: Some(1),
        ..Fault::of("ContainerStatus", &own, Action::Hang)
    });
    let bench = maker.start();
    let engine = bench.engine(&[("runtime-request-timeout", "500ms")], bench.hooks());
    let path = link.to_str().unwrap();
    let mut lists = Vec::new();
    for reason in ["link-unknown", "link-alive", "link-alive"] {
        // The call that hangs may still be on its way: as long as one is, the trace is not cleared.
        let before = bench.calls("ListContainers").len();
        let report = engine
            .containers(PassOptions::default(), None)
            .report
            .unwrap();
        assert_eq!(fate(&report, path).1, reason);
        lists.push(bench.calls("ListContainers").len() - before);
    }
    assert_eq!(lists, [1, 2, 1]);
}

/// S0.4: a contradicting answer of the host while a container is stopped beside the stages ends the removals for gone pods in all of them.
#[test]
fn s0_4_s2_3_a_contradiction_that_is_seen_beside_a_stage_ends_its_removals() {
    let mut rules = Rules::default();
    rules.case("S0.4");
    rules.case("S2.3");
    let mut maker = Maker::new();
    for uid in ["r1", "r2"] {
        maker.sandbox(uid, 0, Word::Ready);
        maker.container(uid, "app", 0, Word::Running);
    }
    for n in 0..5 {
        maker.container("gone", &format!("app{n}"), 0, Word::Exited);
    }
    maker.container("gone", "lost", 0, Word::Unknown);
    let bench = maker.start();
    bench.host.remove_pod("gone");
    let host = bench.host.clone();
    let asked = AtomicUsize::new(0);
    let ask = move |uids: &[Text]| {
        if asked.fetch_add(1, Ordering::SeqCst) == 1 {
            host.remove_pod("r1");
            host.remove_pod("r2");
        }
        host.answer(uids)
    };
    let hooks = Hooks {
        pod_states: Some(Hook::new(Box::new(ask) as _)),
        ..Hooks::default()
    };
    let engine = bench.engine(&[("max-parallel-removals", "1")], hooks);
    let end = engine.containers(PassOptions::default(), None);
    assert_eq!(end.error.map(|e| e.status), Some(Status::Contradiction));
    // One may have been on its way.
    let removed = bench.calls("RemoveContainer");
    assert!(removed.len() <= 1, "{removed:?}");
    assert!(bench.calls("StopContainer").is_empty());
}

/// S1.2: when a container ended is not asked once more at the end of the pass, where such questions may have been given up.
#[test]
fn s0_8_s1_2_an_object_that_is_tried_again_is_removed_beside_calls_that_hang() {
    let mut rules = Rules::default();
    rules.case("S0.8");
    rules.case("S1.2");
    let mut maker = Maker::new();
    let healthy = id("u1", "healthy", 0);
    maker.bare("u1", "healthy", 0, Word::Exited);
    for n in 0..20 {
        maker.bare("u1", &format!("c{n:02}"), 0, Word::Exited);
        let own = id("u1", &format!("c{n:02}"), 0);
        maker.fault("ContainerStatus", &own, Action::Hang);
    }
    maker.options.faults.push(Fault {
        count: Some(1),
        ..Fault::of("RemoveContainer", &healthy, code(INTERNAL))
    });
    let bench = maker.start();
    let keys = [
        NONE_KEPT,
        ("container-age-from", "finished"),
        ("minimum-container-ttl-duration", "1h"),
        ("runtime-request-timeout", "300ms"),
        ("pod-logs-dir", ""),
    ];
    let engine = bench.engine(&keys, bench.hooks());
    let mut passes = 0;
    while bench.containers().contains(&healthy) {
        passes += 1;
        assert!(passes <= 6, "it is kept for ever");
        engine.containers(PassOptions::default(), None);
    }
    assert_eq!(bench.calls("RemoveContainer").len(), 2);
}

/// S1.1: a container that runs by the answer about its log's path is not touched, whatever the list said.
#[test]
fn s1_1_s2_6_a_container_that_turns_out_to_be_running_is_kept() {
    let mut rules = Rules::default();
    for word in [Word::Exited, Word::Unknown] {
        rules.case("S1.1");
        rules.case("S2.6");
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, word);
        // Where its log is has to be asked.
        maker.node.containers[0].labels.clear();
        let bench = maker.start();
        bench.server.change_at("ContainerStatus", 0, |node| {
            node.containers[0].state = crisim::node::State::Word(Word::Running);
        });
        let report = bench.collected(&[NONE_KEPT]);
        assert_eq!(bench.server.changes_ahead(), 0);
        let own = id("u1", "app", 0);
        assert_eq!(fate(&report, &own).1, "running");
        assert!(bench.containers().contains(&own) && there(&bench.log("u1", "app", 0)));
    }
}
