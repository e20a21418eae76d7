//! Whole image passes where lists are streamed or do not fit a message (S7).

use crigc::engine::PassOptions;
use crigc::error::Status;
use crisim::fault::{Action, Fault};
use crisim::{Options, Server};
use test_support::images::*;
use test_support::large;
use test_support::rules::Rules;

const ALL_UNUSED: PassOptions = PassOptions {
    all_unused: true,
    ..PassOptions::PLAIN
};

/// gRPC's codes.
const EXHAUSTED: i32 = 8;
const UNIMPLEMENTED: i32 = 12;

/// Twenty images, of which one is in use. In 250 bytes the list of containers fits, that of images does not.
fn server(streams: bool, message_limit: usize, faults: Vec<Fault>) -> Server {
    let name = |n: usize| format!("i{n:02}");
    let images = (0..20).map(|n| image(&name(n), &format!("r/{}:1", name(n)), 100));
    let mut node = node(images.collect());
    node.containers = vec![user("x", "r/i07:1")];
    let options = Options {
        streams,
        stream_items: 3,
        message_limit,
        faults,
        ..Options::default()
    };
    Server::start(node, options).unwrap()
}

/// How the list of images arrives, or why not; then nothing is removed.
#[test]
fn s7_1_s7_2_images_are_streamed_else_listed_in_one_message() {
    let mut rules = Rules::default();
    let (small, large) = (250, 1 << 20);
    let fault = |action| vec![Fault::all("StreamImages", action)];
    let without = || fault(Action::Code(UNIMPLEMENTED, "unknown method".into()));
    let breaks = |code| fault(Action::Break(2, code, "as the test wants it".into()));
    let too_large = "cannot list images at ";
    let broke_off = "the list broke off after 6 rows";
    // Whether the runtime streams, its limit for messages, faults, how often StreamImages and ListImages are called, and what the
    // error says; "" = there is none.
    type Case = (bool, usize, Vec<Fault>, [usize; 2], &'static str);
    let table: [Case; 8] = [
        // And once more after images were removed (S5.12).
        (true, large, vec![], [2, 0], ""),
        (true, small, vec![], [2, 0], ""),
        (false, large, vec![], [1, 2], ""),
        (true, large, without(), [1, 2], ""),
        (false, small, vec![], [1, 1], too_large),
        (true, small, without(), [1, 1], too_large),
        (true, large, breaks(EXHAUSTED), [1, 0], broke_off),
        (true, large, breaks(UNIMPLEMENTED), [1, 0], broke_off),
    ];
    for (row, (streams, limit, faults, calls, says)) in table.into_iter().enumerate() {
        rules.case("S7.1");
        rules.case("S7.2");
        let server = server(streams, limit, faults);
        let engine = engine(&server, Host::new(1000, 0).hooks(true), &[]);
        let end = engine.images(ALL_UNUSED, None);
        let trace = server.trace();
        let count = |method: &str| trace.iter().filter(|c| c.method == method).count();
        let made = ["StreamImages", "ListImages"].map(count);
        assert_eq!(made, calls, "row {row}");
        let left = server.state().images.len();
        if says.is_empty() {
            assert_eq!((status(&end), left), (None, 1), "row {row}");
            assert!(told(&end).contains(&"i07 kept in-use".to_owned()));
            continue;
        }
        assert_eq!((left, count("RemoveImage")), (20, 0), "row {row}");
        assert_eq!(told(&end), [""; 0], "row {row}: no image is known");
        let error = end.error.unwrap();
        assert_eq!(error.status, Status::Runtime, "row {row}: {error}");
        assert!(error.message.contains(says), "row {row}: {error}");
        if says == too_large {
            for part in ["the list is too large for one message: ", " vs. 250)"] {
                assert!(error.message.contains(part), "row {row}: {error}");
            }
        }
    }
}

/// If not all containers are reached, the users of an image are unknown; if the parts are complete, they are known.
#[test]
fn s7_3_images_go_where_the_containers_in_parts_are_whole() {
    let mut rules = Rules::default();
    for (unreached, outcome) in [
        (true, "sha256:0123456789ab kept list-incomplete"),
        (false, "sha256:0123456789ab removed unused"),
    ] {
        rules.case("S7.3");
        let more = if unreached {
            large::strays
        } else {
            large::nothing
        };
        let bench = large::node(40, &large::PODS, more);
        bench.server.edit(|node| {
            let unused = image("sha256:0123456789ab", "app:1", 1000);
            node.images.push(unused);
        });
        let end = bench
            .engine(&[], Host::new(1000, 0).hooks(true))
            .images(ALL_UNUSED, None);
        assert_eq!(told(&end), [outcome]);
        let left = bench.server.state().images.len();
        assert_eq!(left, usize::from(unreached));
        let expected = unreached.then_some(Status::Runtime);
        assert_eq!(status(&end), expected, "{:?}", end.error);
    }
}
