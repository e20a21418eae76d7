//! Whole passes over nodes with objects by the hundred: what they cost (S2.6, S2.7, S7.3).

use crigc::engine::PassOptions;
use crigc::report::{Kind, Outcome};
use crisim::node::Word;
use std::time::Duration;
use test_support::bench::{Maker, most_at_once};
use test_support::large;
use test_support::rules::Rules;

/// The bench of CI: `make bench` measures the same on large nodes, beside the kubelet.
#[test]
fn s2_6_s2_7_each_container_costs_one_call_and_no_more_are_in_flight_than_allowed() {
    let mut rules = Rules::default();
    for streams in [false, true] {
        for parallel in [1, 4, 16] {
            rules.case("S2.6");
            let mut maker = Maker::new();
            for pod in 0..10 {
                maker.restarted(&format!("u{pod}"), 50);
            }
            maker.options.streams = streams;
            // Long enough that all slots are filled before the first is free again.
            let delay = Duration::from_millis(2 * parallel as u64);
            maker.options.delays.insert("RemoveContainer".into(), delay);
            let bench = maker.start();
            let report = bench.collected(&[("max-parallel-removals", &parallel.to_string())]);
            let removed = report.count(Some(Kind::Container), Some(Outcome::Removed));
            assert_eq!(removed, 490);
            let trace = bench.server.trace();
            let each = trace.len() as f64 / removed as f64;
            let in_flight = most_at_once(&trace, &["RemoveContainer"]);
            println!(
                "streams {streams}, {parallel} at once: {each:.3} RPCs for a container, {in_flight} in flight"
            );
            assert!(each <= 1.02, "{each} RPCs for a container");
            assert_eq!(in_flight, parallel);
            assert!(trace.iter().all(|call| call.in_flight <= parallel));
        }
    }
}

/// Sandboxes whose containers are known lead to no parts of their own.
#[test]
fn s7_3_sandboxes_by_the_hundred_do_not_make_parts_by_the_hundred() {
    let mut rules = Rules::default();
    // UIDs, and whether the host calls them gone.
    for (deleted, most) in [(false, 8), (true, 8)] {
        rules.case("S7.3");
        let uids: Vec<String> = (0..150).map(|n| format!("p{n}")).collect();
        let pods: Vec<large::Pod<'_>> = uids
            .iter()
            .map(|uid| large::Pod {
                namespace: "shop",
                uid,
                state: Word::NotReady,
                names: &["web", "side", "log"],
                dead: 1,
            })
            .collect();
        let bench = large::node(60, &pods, large::nothing);
        if deleted {
            uids.iter().for_each(|uid| bench.host.remove_pod(uid));
        }
        let end = bench.collect(&[], PassOptions::default());
        assert_eq!(end.error, None);
        let left = if deleted { 0 } else { 450 };
        assert_eq!(bench.containers().len(), left);
        // Whole, what runs, whole with the three names, and the same for the second lists.
        assert!(bench.calls("ListContainers").len() <= 2 * most, "{deleted}");
    }
}
