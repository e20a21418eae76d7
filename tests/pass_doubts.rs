//! Whole passes where the runtime or the host is not what it was a moment ago: it dies, hangs, comes back, or takes its time
//! (S0.3, S2.1, S2.4, S2.5).

#[path = "common/bench.rs"]
mod bench;
#[path = "common/rules.rs"]
mod rules;

use bench::{Bench, INTERNAL, Maker, code, fate, id, there};
use crigc::engine::Flags;
use crigc::error::Status;
use crigc::hooks::Hook;
use crigc::report::{Entry, Kind, Outcome};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use rules::Rules;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const ONE_BY_ONE: (&str, &str) = ("max-parallel-removals", "1");
const NONE_KEPT: (&str, &str) = ("maximum-dead-containers-per-container", "0");

/// `count` dead containers of one pod, with logs and links.
fn dead(count: u32) -> Maker {
    let mut maker = Maker::new();
    for n in 0..count {
        maker.container("u1", &format!("c{n:02}"), 0, Word::Exited);
    }
    maker
}

/// How many of them still have their log and their link.
fn with_logs(bench: &Bench, count: u32) -> usize {
    let whole = |n: &u32| {
        let name = format!("c{n:02}");
        there(&bench.log("u1", &name, 0)) && there(&bench.link("u1", &name, 0))
    };
    (0..count).filter(whole).count()
}

#[test]
fn s2_4_a_runtime_that_dies_under_way_costs_one_container_its_logs() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    let mut maker = dead(20);
    // Two lists, two removals; from then on every connection is cut.
    maker.options.faults.push(Fault {
        skip: 4,
        ..Fault::all("*", Action::Disconnect)
    });
    let bench = maker.start();
    let end = bench.collect(&[ONE_BY_ONE, NONE_KEPT], Flags::default());
    let report = end.report.unwrap();
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Removed)),
        2
    );
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Failed)),
        18
    );
    assert_eq!(with_logs(&bench, 20), 17, "two went, and one had begun to");
    // The lists after it failed, and so did the pass.
    assert_eq!(end.error.map(|e| e.status), Some(Status::Unavailable));
}

#[test]
fn s6_5_a_runtime_whose_removals_hang_is_not_asked_for_ever() {
    let mut rules = Rules::default();
    rules.case("S6.5");
    let mut maker = dead(40);
    maker
        .options
        .faults
        .push(Fault::all("RemoveContainer", Action::Hang));
    let bench = maker.start();
    let settings = [ONE_BY_ONE, NONE_KEPT, ("runtime-request-timeout", "3s")];
    let end = bench.collect(&settings, Flags::default());
    let report = end.report.unwrap();
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Failed)),
        10
    );
    assert_eq!(fate(&report, &id("u1", "c39", 0)).1, "not-reached");
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Timeout, "{error}");
    assert!(error.message.contains("the last 10 calls"), "{error}");
    assert_eq!(bench.calls("RemoveContainer").len(), 10);
}

#[test]
fn s2_7_single_removals_that_hang_do_not_end_the_others() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    let mut maker = dead(24);
    for n in (0..24).step_by(2) {
        let id = id("u1", &format!("c{n:02}"), 0);
        maker
            .options
            .faults
            .push(Fault::of("RemoveContainer", &id, Action::Hang));
    }
    let bench = maker.start();
    let settings = [ONE_BY_ONE, NONE_KEPT, ("runtime-request-timeout", "3s")];
    let end = bench.collect(&settings, Flags::default());
    assert_eq!(end.error, None);
    let report = end.report.unwrap();
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Failed)),
        12
    );
    assert_eq!(
        report.count(Some(Kind::Container), Some(Outcome::Removed)),
        12
    );
}

#[test]
fn s0_3_what_the_host_says_is_looked_at_after_its_approval() {
    let mut rules = Rules::default();
    rules.case("S0.3");
    let bench = dead(1).start();
    bench.host.remove_pod("u1");
    let host = bench.host.clone();
    let mut hooks = bench.hooks();
    let approve = move |_: &Entry| {
        host.keep_all(); // the pod is back
        std::thread::sleep(Duration::from_millis(20));
        true
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let engine = bench.engine(&[("evidence-max-age", "10ms")], hooks);
    let report = engine.containers(Flags::default(), None).report.unwrap();
    assert_eq!(fate(&report, &id("u1", "c00", 0)).1, "changed");
    assert_eq!(with_logs(&bench, 1), 1);
    assert!(bench.calls("RemoveContainer").is_empty());
}

#[test]
fn s0_3_a_slow_question_on_the_way_makes_the_answer_old() {
    let mut rules = Rules::default();
    rules.case("S0.3");
    let mut maker = Maker::new();
    maker.container("u1", "c00", 0, Word::Created);
    let delay = Duration::from_millis(300);
    maker
        .options
        .delays
        .insert("ContainerStatus".to_owned(), delay);
    let bench = maker.start();
    bench.host.remove_pod("u1");
    let host = bench.host.clone();
    let mut hooks = bench.hooks();
    let approve = move |_: &Entry| {
        host.keep_all();
        true
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let engine = bench.engine(&[("evidence-max-age", "250ms")], hooks);
    let report = engine.containers(Flags::default(), None).report.unwrap();
    assert_eq!(fate(&report, &id("u1", "c00", 0)).1, "changed");
    assert_eq!(with_logs(&bench, 1), 1);
}

#[test]
fn s2_1_approval_is_asked_right_before_a_stop() {
    let mut rules = Rules::default();
    rules.case("S2.1");
    let mut maker = Maker::new();
    for n in 0..6 {
        maker.container("u1", &format!("c{n:02}"), 0, Word::Unknown);
    }
    let delay = Duration::from_millis(20);
    maker
        .options
        .delays
        .insert("StopContainer".to_owned(), delay);
    let bench = Arc::new(maker.start());
    // How many stops had ended when each approval was asked.
    let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (told, node) = (seen.clone(), bench.clone());
    let mut hooks = bench.hooks();
    let approve = move |_: &Entry| {
        let ended = |c: &&crisim::trace::Call| c.method == "StopContainer" && c.end > 0;
        let ended = node.server.trace().iter().filter(ended).count();
        told.lock().unwrap().push(ended);
        true
    };
    hooks.approve = Some(Hook::new(Box::new(approve)));
    let engine = bench.engine(&[NONE_KEPT], hooks);
    engine.containers(Flags::default(), None);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 6);
    // Two slots: the third waits for one to end, and so on.
    assert!(
        seen.iter().enumerate().all(|(n, &ended)| ended + 2 > n),
        "{seen:?}"
    );
}

#[test]
fn s2_4_the_log_of_a_running_container_stays_whoever_claims_it() {
    let mut rules = Rules::default();
    rules.case("S2.4");
    for by_status in [false, true] {
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Running);
        let log = maker.log("u1", "app", 0);
        // Another one, dead, of the same name and attempt; or one whose path only ContainerStatus tells.
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

#[test]
fn s0_4_a_contradiction_is_the_status_whatever_failed_before() {
    let mut rules = Rules::default();
    rules.case("S0.4");
    let mut maker = Maker::new();
    for uid in ["u1", "u2"] {
        maker.container(uid, "app", 0, Word::Running);
        maker.sandbox(uid, 0, Word::Ready);
    }
    // The first list of sandboxes fails; at the second look the host's picture is broken.
    maker.options.faults.push(Fault {
        count: Some(1),
        ..Fault::all("ListPodSandbox", code(INTERNAL))
    });
    let bench = maker.start();
    bench.host.remove_pod("u1");
    bench.host.remove_pod("u2");
    let end = bench.collect(&[], Flags::default());
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Contradiction, "{error}");
    assert!(error.message.contains("as the test wants it"), "{error}");
}
