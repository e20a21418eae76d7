//! Whole passes over sandboxes: when they are listed, and how they are removed (S3).

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::report::Outcome;
use crisim::fault::Fault;
use crisim::node::Word;
use std::collections::BTreeSet;
use test_support::bench::{INTERNAL, Maker, NOT_FOUND, code, fate, sandbox_id, there, write};
use test_support::rules::Rules;

#[test]
fn s3_1_sandboxes_are_listed_after_the_containers_were_removed() {
    let mut rules = Rules::default();
    rules.case("S3.1");
    let mut maker = Maker::new();
    for attempt in 0..3 {
        maker.sandbox("u1", attempt, Word::NotReady);
        let container = maker.bare("u1", "app", attempt, Word::Exited);
        container.sandbox_id = sandbox_id("u1", attempt).into();
    }
    let bench = maker.start();
    let report = bench.collected(&[]);
    assert_eq!(bench.sandboxes(), BTreeSet::from([sandbox_id("u1", 2)]));
    assert_eq!(fate(&report, &sandbox_id("u1", 0)).1, "older-sandbox");
    let trace = bench.server.trace();
    let at = |method: &str| trace.iter().rposition(|c| c.method == method).unwrap();
    assert!(at("ListContainers") > at("RemoveContainer"));
    assert!(at("ListPodSandbox") > at("RemoveContainer"));
}

#[test]
fn s3_1_sandboxes_and_logs_go_also_where_the_first_list_failed() {
    let mut rules = Rules::default();
    rules.case("S3.1");
    let mut maker = Maker::new();
    maker.restarted("u1", 3);
    maker.sandbox("u2", 0, Word::NotReady);
    maker.sandbox("u2", 1, Word::NotReady);
    write(&maker.path("pods/ns_pod-u3_u3/app/0.log"));
    maker.options.faults.push(Fault {
        count: Some(1),
        ..Fault::all("ListContainers", code(INTERNAL))
    });
    let bench = maker.start();
    bench.host.remove_pod("u3");
    let end = bench.collect(&[], PassOptions::default());
    assert_eq!(end.error.unwrap().status, Status::Runtime);
    assert_eq!(bench.containers().len(), 3);
    let left = BTreeSet::from([sandbox_id("u1", 0), sandbox_id("u2", 1)]);
    assert_eq!(bench.sandboxes(), left);
    assert!(!there(&bench.path("pods/ns_pod-u3_u3")));
}

#[test]
fn s3_1_s4_1_nothing_is_removed_by_a_second_list_that_failed() {
    let mut rules = Rules::default();
    for list in ["ListContainers", "ListPodSandbox"] {
        rules.case("S3.1");
        rules.case("S4.1");
        let mut maker = Maker::new();
        maker.sandbox("u2", 0, Word::NotReady);
        maker.sandbox("u2", 1, Word::NotReady);
        write(&maker.path("pods/ns_pod-u3_u3/app/0.log"));
        maker.options.faults.push(Fault {
            skip: 1,
            ..Fault::all(list, code(INTERNAL))
        });
        let bench = maker.start();
        bench.host.remove_pod("u3");
        let before = bench.everything();
        let end = bench.collect(&[], PassOptions::default());
        assert_eq!(end.error.unwrap().status, Status::Runtime, "{list}");
        assert_eq!(bench.everything(), before, "{list}");
        let tree = bench.path("pods/ns_pod-u3_u3");
        let report = end.report.unwrap();
        assert_eq!(fate(&report, tree.to_str().unwrap()).1, "list-incomplete");
    }
}

#[test]
fn s3_4_a_sandbox_is_stopped_and_then_removed() {
    let mut rules = Rules::default();
    // call that fails, status, is it removed
    let table = [
        (None, 0, true),
        (Some("StopPodSandbox"), INTERNAL, false),
        (Some("StopPodSandbox"), NOT_FOUND, true),
        (Some("RemovePodSandbox"), INTERNAL, false),
        (Some("RemovePodSandbox"), NOT_FOUND, true),
    ];
    for (failing, status, success) in table {
        rules.case("S3.4");
        let mut maker = Maker::new();
        for attempt in 0..3 {
            maker.sandbox("u1", attempt, Word::NotReady);
        }
        let first = sandbox_id("u1", 0);
        if let Some(method) = failing {
            maker.fault(method, &first, code(status));
        }
        let bench = maker.start();
        let report = bench.collected(&[]);
        let (outcome, _, error) = fate(&report, &first);
        let expected = if success {
            Outcome::Removed
        } else {
            Outcome::Failed
        };
        assert_eq!(outcome, expected, "{failing:?} {status}");
        if !success {
            assert!(
                error.contains(&first) && error.contains("as the test wants it"),
                "{error}"
            );
        }
        let stopped = failing != Some("StopPodSandbox") || success;
        let removals = bench.calls("RemovePodSandbox");
        assert_eq!(removals.contains(&first), stopped, "{failing:?} {status}");
        assert_eq!(fate(&report, &sandbox_id("u1", 1)).0, Outcome::Removed);
        let trace = bench.server.trace();
        for id in removals {
            let end = |method: &str| {
                trace
                    .iter()
                    .find(|c| c.method == method && c.id == id)
                    .unwrap()
            };
            assert!(end("StopPodSandbox").end <= end("RemovePodSandbox").start);
        }
    }
}
