//! What crisim promises of a runtime with limited hands. Calls may take longer than they are asked to, on a busy machine; never less.

use crisim::client::Cri;
use crisim::made::Order;
use crisim::proto::RemoveContainerRequest;
use crisim::trace::Call;
use crisim::workers::Work;
use crisim::{Options, Server};
use std::time::Duration;

const DELAY: Duration = Duration::from_millis(20);

/// Removes containers, each over a connection of its own and all at once; the calls in the order in which they ended.
fn removals(count: usize, work: Work, later: Vec<(usize, Work)>) -> Vec<Call> {
    let order = Order {
        pods: 10,
        deleted_percent: 20,
        dead_containers: 40,
        images: 0,
        fill_percent: 0,
        seed: 1,
        now: 1_700_000_000_000_000_000,
        pod_logs_dir: None,
        container_logs_dir: None,
        mountpoint: "/".into(),
        usage_file: None,
    };
    let options = Options {
        delays: [("RemoveContainer".to_owned(), DELAY)].into(),
        work,
        later,
        ..Options::default()
    };
    let server = Server::start(order.make().expect("no files").node, options).expect("a socket");
    std::thread::scope(|scope| {
        for container in server.state().containers.into_iter().take(count) {
            let cri = Cri::connect(server.socket()).expect("a connection");
            scope.spawn(move || {
                let container_id = container.id.0;
                let request = RemoveContainerRequest { container_id };
                cri.remove_container(request).expect("removed");
            });
        }
    });
    let mut calls = server.trace();
    calls.retain(|call| call.method == "RemoveContainer");
    calls.sort_by_key(|call| call.end);
    assert_eq!(calls.len(), count);
    calls
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).expect("short")
}

/// How long all of them took together.
fn span(calls: &[Call]) -> u64 {
    let first = calls.iter().map(|call| call.start).min();
    let last = calls.iter().map(|call| call.end).max();
    last.zip(first).map_or(0, |(last, first)| last - first)
}

#[test]
fn workers_bound_what_runs_at_once() {
    for workers in [1, 2, 3] {
        let work = Work {
            workers,
            ..Work::default()
        };
        let calls = removals(9, work, Vec::new());
        let rounds = 9_u32.div_ceil(workers as u32);
        assert!(
            span(&calls) >= micros(DELAY * rounds),
            "{workers}: {calls:?}"
        );
    }
}

#[test]
fn who_came_first_is_served_first() {
    let work = Work {
        workers: 1,
        ..Work::default()
    };
    let calls = removals(9, work, Vec::new());
    assert!(calls.is_sorted_by_key(|call| call.seq), "{calls:?}");
}

#[test]
fn the_serial_part_is_held_by_one_at_a_time() {
    let work = Work {
        serial: DELAY / 2,
        ..Work::default()
    };
    let calls = removals(8, work, Vec::new());
    assert!(span(&calls) >= micros(DELAY / 2 * 8), "{calls:?}");
}

#[test]
fn it_changes_after_so_many_removals() {
    let workers = |workers| Work {
        workers,
        ..Work::default()
    };
    let calls = removals(12, workers(2), vec![(4, workers(1))]);
    // Two rounds of two; then one at a time, beside one that was under way: not six rounds of two.
    assert!(span(&calls) >= micros(DELAY * 9), "{calls:?}");
}

#[test]
fn sizes_and_noise_are_those_of_the_object() {
    let sizes = [1, 5, 50].map(Duration::from_millis);
    let work = Work {
        workers: 4,
        noise_percent: 50,
        sizes: [("RemoveContainer".to_owned(), sizes.to_vec())].into(),
        ..Work::default()
    };
    let took = |calls: Vec<Call>| {
        let mut took: Vec<_> = (calls.into_iter())
            .map(|call| (call.id, call.end - call.start))
            .collect();
        took.sort_unstable();
        took
    };
    // None takes less than the least, and some third takes as long as the largest.
    let took = took(removals(12, work, Vec::new()));
    assert!(took.iter().all(|(_, time)| *time >= 500), "{took:?}");
    assert!(took.iter().any(|(_, time)| *time >= 25_000), "{took:?}");
}
