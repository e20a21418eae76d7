//! Images that grow older within the life of an engine (S5.7): the clock that cannot be set is put ahead for the thread of the test.

use crigc::clock;
use crigc::engine::PassOptions;
use crigc::error::Status;
use crisim::Server;
use crisim::fault::{Action, Fault};
use crisim::node::Node;
use std::time::Duration;
use test_support::images::*;
use test_support::records::{ALL_UNUSED, NOW};
use test_support::rules::Rules;

#[test]
fn below_the_threshold_a_pass_lists_and_asks_nothing_else() {
    let mut rules = Rules::default();
    let server = start(node(vec![image("a", "r/a:1", 100)]));
    let host = Host::new(1000, 160);
    let engine = engine(&server, host.hooks(true), &[]);
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(told(&end), ["a kept below-threshold"]);
    let learning = ["StreamContainers", "StreamImages", "Version"];
    assert_eq!(
        called(&server),
        [&["ListContainers", "ListImages"][..], &learning].concat(),
        "S5.1"
    );
    server.edit(|node| node.images.push(image("b", "r/b:1", 900)));
    *host.usage.lock().unwrap() = Some((1000, 0));
    *host.now.lock().unwrap() = 1010 * S;
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(
        told(&end),
        ["a removed space", "b kept too-young"],
        "S5.7: found by the second look"
    );
    assert_eq!(status(&end), Some(Status::NotEnoughFreed), "S5.9");
    assert_eq!(
        *host.events.lock().unwrap(),
        ["FreeDiskSpaceFailed"],
        "S6.2"
    );
    *host.now.lock().unwrap() = 1140 * S;
    clock::ahead::by(Duration::from_secs(130));
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(told(&end), ["b removed space"], "S5.7: old enough");
    for rule in ["S5.1", "S5.7", "S5.9", "S6.2"] {
        rules.case(rule);
    }
}

/// RemoveImage by this name answers OK and removes nothing.
fn lies(name: &str) -> Fault {
    Fault::of("RemoveImage", name, Action::Nothing)
}

fn calls(server: &Server, method: &str) -> Vec<String> {
    let trace = server.trace().into_iter();
    trace.filter(|c| c.method == method).map(|c| c.id).collect()
}

/// S5.12: CRI-O reports that it removed an OCI artifact by its ID, and it is still there. It is reported as failed, others take its place,
/// it counts as new, and when it is old enough again it is removed by its tag.
#[test]
fn s5_12_an_image_that_is_still_listed_is_removed_by_its_tag_later() {
    let mut rules = Rules::default();
    rules.case("S5.12");
    let server = start(hundreds(&["artifact", "b", "c"]));
    server.set_faults(vec![lies("artifact")]);
    let host = Host::new(1000, 100);
    let engine = engine(&server, host.hooks(true), &[]);
    let end = engine.images(PassOptions::default(), None);
    let first = [
        "artifact failed space",
        "b removed space",
        "c kept enough-freed",
    ];
    assert_eq!(told(&end), first);
    assert_eq!(status(&end), Some(Status::Runtime));
    let report = end.report.as_ref().unwrap();
    let error = report.entries[0].error.as_deref().unwrap_or_default();
    assert!(error.contains("image artifact is still listed"), "{error}");
    assert_eq!(report.bytes_freed, 100, "its bytes do not count");
    // The first list, and one closing list for each of two rounds.
    assert_eq!(calls(&server, "ListImages").len(), 3);
    // It may have been pulled again, so it is too young, and others are removed.
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(told(&end), ["artifact kept too-young", "c removed space"]);
    assert_eq!(status(&end), None);
    clock::ahead::by(Duration::from_secs(150));
    *host.now.lock().unwrap() += 150 * S;
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(told(&end), ["artifact removed space"]);
    assert_eq!(status(&end), None);
    let asked = calls(&server, "RemoveImage");
    assert_eq!(asked, ["artifact", "b", "c", "r/artifact:1"]);
    assert!(calls(&server, "ImageStatus").contains(&"r/artifact:1".to_owned()));
    assert!(there(&server).is_empty());
}

/// S5.7: within the life of an engine the clock that advanced less counts.
#[test]
fn s5_7_a_wall_clock_that_leaps_ahead_makes_no_image_old() {
    let mut rules = Rules::default();
    rules.case("S5.7");
    let server = start(node(vec![]));
    let host = Host::new(1000, 900);
    let engine = engine(&server, host.hooks(true), &[]);
    engine.images(PassOptions::default(), None);
    server.edit(|node| node.images.push(image("a", "r/a:1", 100)));
    engine.images(PassOptions::default(), None);
    *host.usage.lock().unwrap() = Some((1000, 150));
    // A clock of 1970 that is set, a second after the image came.
    *host.now.lock().unwrap() = NOW;
    assert_eq!(
        told(&engine.images(PassOptions::default(), None)),
        ["a kept too-young"]
    );
    assert_eq!(told(&engine.images(ALL_UNUSED, None)), ["a kept too-young"]);
    // With a margin of a minute on both sides.
    clock::ahead::by(Duration::from_secs(60));
    assert_eq!(told(&engine.images(ALL_UNUSED, None)), ["a kept too-young"]);
    clock::ahead::by(Duration::from_secs(120));
    assert_eq!(
        told(&engine.images(PassOptions::default(), None)),
        ["a removed space"]
    );
}

/// The images of these IDs, each of 100 bytes.
fn hundreds(ids: &[&str]) -> Node {
    let images = ids.iter().map(|id| image(id, &format!("r/{id}:1"), 100));
    node(images.collect())
}
