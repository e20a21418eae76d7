//! What a pass costs, as a bound that a small node shows: calls for each removed container, removals at once, and how CPU grows with
//! the node (S2.6, S2.7). `make bench` measures the same on large nodes, beside the kubelet.

#[path = "common/bench.rs"]
mod bench;
#[path = "common/rules.rs"]
mod rules;

use bench::Maker;
use crigc::engine::Flags;
use crigc::report::{Kind, Outcome};
use crisim::node::Word;
use rules::Rules;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// How often each container of these nodes has ended.
const ATTEMPTS: usize = 50;
/// How much larger the large node is, and how many times the CPU of the small one it may take: a quarter more for each container. A
/// cost that grew with the square of the size would take 256 times as much.
const LARGER: usize = 16;
const CPU: f64 = 20.0;
/// How often a growth is measured anew before it counts.
const TRIES: usize = 5;

/// What one pass cost.
struct Cost {
    removed: usize,
    rpcs: usize,
    in_flight: usize,
    /// Of the thread that the pass ran on: it starts none.
    cpu: Duration,
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
}

/// Collects a node of that many dead containers, with their logs or without.
fn cost(dead: usize, logs: bool, parallel: usize, change: impl FnOnce(&mut Maker)) -> Cost {
    let mut maker = Maker::new();
    for pod in 0..dead / ATTEMPTS {
        let uid = format!("u{pod}");
        maker.sandbox(&uid, 0, Word::Ready);
        for attempt in (0..ATTEMPTS).filter_map(|attempt| u32::try_from(attempt).ok()) {
            match logs {
                true => maker.container(&uid, "app", attempt, Word::Exited),
                false => drop(maker.bare(&uid, "app", attempt, Word::Exited)),
            }
        }
    }
    change(&mut maker);
    let bench = maker.start();
    let parallel = parallel.to_string();
    let engine = bench.engine(&[("max-parallel-removals", &parallel)], bench.hooks());
    let before = cpu();
    let end = engine.containers(Flags::default(), None);
    let cpu = cpu() - before;
    assert_eq!(end.error, None);
    let report = end.report.unwrap();
    let removed = report.count(Some(Kind::Container), Some(Outcome::Removed));
    assert_eq!(removed, dead - dead / ATTEMPTS);
    let trace = bench.server.trace();
    Cost {
        removed,
        rpcs: trace.len(),
        in_flight: trace.iter().map(|call| call.in_flight).max().unwrap_or(0),
        cpu,
    }
}

#[test]
fn s2_6_calls_stay_one_for_each_container_and_no_more_are_in_flight_than_allowed() {
    let mut rules = Rules::default();
    for streams in [false, true] {
        for parallel in [1, 4, 16] {
            rules.case("S2.6");
            let cost = cost(500, true, parallel, |maker| {
                maker.options.streams = streams;
                let delay = Duration::from_millis(1);
                maker.options.delays.insert("RemoveContainer".into(), delay);
            });
            let each = cost.rpcs as f64 / cost.removed as f64;
            println!(
                "streams {streams}, {parallel} at once: {each:.3} RPCs for a container, {} in flight",
                cost.in_flight
            );
            assert!(each <= 1.02, "{each} RPCs for a container");
            assert!(cost.in_flight <= parallel, "{} at once", cost.in_flight);
        }
    }
}

/// The growth of CPU from a node to a larger one, from the least that each took: what else the machine does can only add to it.
fn growth(dead: usize, logs: bool, streams: bool) -> f64 {
    let once = |dead: usize| {
        cost(dead, logs, 4, |maker| maker.options.streams = streams)
            .cpu
            .as_secs_f64()
    };
    let (mut small, mut large) = (f64::MAX, f64::MAX);
    for _ in 0..TRIES {
        small = small.min(once(dead));
        large = large.min(once(dead * LARGER));
        if large / small <= CPU {
            break;
        }
    }
    println!(
        "{dead} containers, logs {logs}, streams {streams}: {LARGER} times as many take {:.1} times the CPU ({:.0} and {:.0} ms)",
        large / small,
        small * 1e3,
        large * 1e3
    );
    large / small
}

#[test]
fn cpu_grows_as_the_node_does() {
    // Without logs the kernel's work does not hide ours, and there can be more of them.
    for (dead, logs, streams) in [(100, true, false), (500, false, false), (500, false, true)] {
        assert!(growth(dead, logs, streams) <= CPU);
    }
}
