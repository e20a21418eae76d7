//! How image passes end: failing removals, no figures, periods and their events (S5.6, S5.8, S5.9, S5.11, S6), cancel, close and deadlines,
//! a runtime that stops answering half way (S6.5), and their progress.

use crigc::engine::{Call, Engine, PassOptions};
use crigc::error::Status;
use crigc::hooks::Hook;
use crigc::report::Kind;
use crisim::Server;
use crisim::fault::{Action, Fault};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use test_support::images::*;
use test_support::records::{ALL_UNUSED, NOW, Place, good};
use test_support::rules::Rules;

const SOON: (&str, &str) = ("runtime-request-timeout", "300ms");

/// Waits until something is so.
fn until(what: &str, done: &dyn Fn() -> bool) {
    for _ in 0..6000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never: {what}");
}

#[test]
fn a_removal_that_fails_is_made_up_for_and_fails_the_pass() {
    let mut rules = Rules::default();
    let server = start(node(vec![
        image("a", "r/a:1", 100),
        image("b", "r/b:1", 100),
        image("c", "r/c:1", 100),
    ]));
    server.set_faults(vec![Fault::of(
        "RemoveImage",
        "a",
        Action::Code(13, "busy".into()),
    )]);
    let host = Host::new(1000, 100);
    let engine = engine(&server, host.hooks(true), &[]);
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(
        told(&end),
        ["a failed space", "b removed space", "c kept enough-freed"],
        "S5.8"
    );
    let error = end.error.expect("S5.9");
    assert_eq!(error.status, Status::Runtime, "S5.9");
    assert!(
        error.message.contains("image a") && error.message.contains("busy"),
        "S5.9: {error}"
    );
    assert!(
        host.events.lock().unwrap().is_empty(),
        "S5.9: not for want of images"
    );
    rules.case("S5.8");
    rules.case("S5.9");
}

#[test]
fn missing_figures_are_reported_by_status_and_event() {
    let mut rules = Rules::default();
    let runtime = |mountpoint: &str, size: u64| {
        let mut node = node(vec![image("a", "r/a:1", size)]);
        node.filesystem.mountpoint = mountpoint.into();
        start(node)
    };
    type Case = (&'static str, Server, Option<(u64, u64)>, bool, Status);
    let cases: [Case; 5] = [
        (
            "the host's capacity is 0",
            runtime("/", 1),
            Some((0, 0)),
            true,
            Status::Io,
        ),
        ("the host has none", runtime("/", 1), None, true, Status::Io),
        (
            "the runtime names no filesystem",
            runtime("", 1),
            None,
            false,
            Status::Runtime,
        ),
        (
            "the mount point is not there",
            runtime("/nonexistent", 1),
            None,
            false,
            Status::Io,
        ),
        (
            "the filesystem is another one",
            runtime("/", u64::MAX / 2),
            None,
            false,
            Status::Io,
        ),
    ];
    for (what, server, figures, own, want) in cases {
        let host = Host::new(1, 1);
        *host.usage.lock().unwrap() = figures;
        let engine = engine(&server, host.hooks(own), &[]);
        let end = engine.images(PassOptions::default(), None);
        assert_eq!(status(&end), Some(want), "S5.6, S5.11: {what}");
        assert_eq!(
            *host.events.lock().unwrap(),
            ["InvalidDiskCapacity"],
            "S5.6: {what}"
        );
        assert_eq!(told(&end), ["a kept not-reached"], "{what}");
        assert_eq!(server.state().images.len(), 1, "{what}");
        rules.case("S5.6");
        rules.case("S5.11");
    }
    let server = runtime("/", 1);
    let engine = engine(
        &server,
        Host::new(1, 1).hooks(false),
        &[("image-gc-high-threshold", "100")],
    );
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(
        (status(&end), told(&end)),
        (None, vec!["a kept below-threshold".to_owned()]),
        "S5.11: statvfs of /"
    );
    rules.case("S5.11");
}

#[test]
fn periodic_passes_begin_with_a_list_and_report_the_second_failure() {
    let mut rules = Rules::default();
    let server = start(node(vec![image("a", "r/a:1", 900)]));
    let host = Host::new(1000, 0);
    let engine = engine(
        &server,
        host.hooks(true),
        &[
            ("image-gc-period", "20ms"),
            ("container-gc-period", "1h"),
            ("pod-logs-dir", ""),
            ("container-logs-dir", ""),
        ],
    );
    engine.start().unwrap();
    until("the image is removed", &|| server.state().images.is_empty());
    let looks: Vec<PassLine> = host
        .passes
        .lock()
        .unwrap()
        .iter()
        .filter(|(_, lines)| !lines.is_empty())
        .cloned()
        .collect();
    assert_eq!(
        looks[0],
        (None, vec!["a kept first-look".to_owned()]),
        "S5.1: {looks:?}"
    );
    server.set_faults(vec![Fault::all(
        "ListImages",
        Action::Code(13, "broken".into()),
    )]);
    until("the event", &|| {
        host.events
            .lock()
            .unwrap()
            .contains(&"ImageGCFailed".to_owned())
    });
    let passes = host.passes.lock().unwrap().clone();
    let failed = passes
        .iter()
        .filter(|(status, _)| *status == Some(Status::Runtime))
        .count();
    assert!(failed >= 2, "S6.2: not for the first failure");
    engine.stop();
    rules.case("S5.1");
    rules.case("S6.1");
    rules.case("S6.2");
}

#[test]
fn the_periodic_collection_is_off_at_a_threshold_of_100() {
    let mut rules = Rules::default();
    let server = start(node(vec![image("a", "r/a:1", 900)]));
    let engine = engine(
        &server,
        Host::new(1000, 0).hooks(true),
        &[
            ("image-gc-high-threshold", "100"),
            ("container-gc-period", "10ms"),
            ("pod-logs-dir", ""),
            ("container-logs-dir", ""),
        ],
    );
    engine.start().unwrap();
    let lists = || {
        let trace = server.trace();
        trace
            .iter()
            .filter(|c| c.method == "ListContainers")
            .count()
    };
    until("three passes", &|| lists() >= 6);
    engine.stop();
    assert!(!called(&server).contains(&"ListImages"), "S5.6");
    rules.case("S5.6");
}

/// A node whose image removals hang.
fn hanging() -> Server {
    let server = start(node(vec![
        image("a", "r/a:1", 100),
        image("b", "r/b:1", 100),
    ]));
    server.set_faults(vec![Fault::all("RemoveImage", Action::Hang)]);
    server
}

#[test]
fn s6_5_what_ends_an_image_pass_is_its_status() {
    let mut rules = Rules::default();
    for want in [Status::Cancelled, Status::Closed, Status::Timeout] {
        let server = hanging();
        let engine = engine(&server, Host::new(1000, 0).hooks(true), &[]);
        let call = Call::new(if want == Status::Timeout { 2000 } else { 0 });
        let end = std::thread::scope(|scope| {
            let pass = scope.spawn(|| engine.images(PassOptions::default(), Some(&call)));
            until("the removal hangs", &|| {
                called(&server).contains(&"RemoveImage")
            });
            match want {
                Status::Cancelled => call.cancel(),
                Status::Closed => engine.close(),
                _ => {}
            }
            pass.join().expect("no panic")
        });
        assert_eq!(status(&end), Some(want), "{:?}", end.error);
        assert_eq!(told(&end), ["a failed space", "b kept not-reached"]);
        let report = end.report.expect("it began");
        let error = report.entries[0].error.as_deref().unwrap_or_default();
        assert!(error.contains("outcome unknown"), "{error}");
        rules.case("S6.5");
    }
}

#[test]
fn progress_counts_what_is_to_go_and_what_takes_its_place() {
    // Three of four are enough; the first fails, so all four are tried.
    for (fault, want) in [
        (false, vec![(1, 3), (2, 3), (3, 3)]),
        (true, vec![(1, 4), (2, 4), (3, 4), (4, 4)]),
    ] {
        let server = start(node(
            ["a", "b", "c", "d"]
                .map(|id| image(id, &format!("r/{id}:1"), 100))
                .to_vec(),
        ));
        if fault {
            let busy = Action::Code(13, "busy".into());
            server.set_faults(vec![Fault::of("RemoveImage", "a", busy)]);
        }
        let seen: Arc<Mutex<Vec<(usize, usize)>>> = Arc::default();
        let mut hooks = Host::new(1500, 0).hooks(true);
        let told = seen.clone();
        let progress = move |kind: Kind, done: usize, total: usize| {
            assert_eq!(kind, Kind::Image);
            told.lock().unwrap().push((done, total));
        };
        hooks.progress = Some(Hook::new(Box::new(progress)));
        engine(&server, hooks, &[]).images(PassOptions::default(), None);
        assert_eq!(*seen.lock().unwrap(), want);
    }
}

/// S5.6: a call that fails, or that the host breaks off, is not the same as a figure of 0; the kubelet sends no event for it.
#[test]
fn s5_6_a_call_for_figures_that_fails_is_no_event() {
    let mut rules = Rules::default();
    let busy = Action::Code(13, "busy".into());
    for (action, deadline, want) in [
        (busy, 0, Status::Runtime),
        (Action::Hang, 0, Status::Timeout),
        (Action::Hang, 200, Status::Timeout),
    ] {
        rules.case("S5.6");
        let server = start(node(vec![image("a", "r/a:1", 100)]));
        server.set_faults(vec![Fault::all("ImageFsInfo", action.clone())]);
        let host = Host::new(1000, 0);
        let engine = engine(&server, host.hooks(false), &[SOON]);
        let call = Call::new(deadline);
        let end = engine.images(PassOptions::default(), Some(&call));
        assert_eq!(status(&end), Some(want), "{action:?}: {:?}", end.error);
        assert_eq!(told(&end), ["a kept not-reached"]);
        assert_eq!(*host.events.lock().unwrap(), [""; 0], "{action:?}");
    }
}

/// An engine whose age limit removes the image `a`, of a node whose disk is full.
fn aged(server: &Server, place: &Place, host: &Host, own: bool, keys: &[(&str, &str)]) -> Engine {
    std::fs::write(place.path(""), good(&server.endpoint())).unwrap();
    let keys = [&[("image-maximum-gc-age", "30m")], keys].concat();
    let engine = place.engine_by(server, &keys, |hooks| {
        *hooks = host.hooks(own);
        hooks.clock = Some(Hook::new(Box::new(|| NOW + 10) as _));
    });
    engine.unwrap()
}

/// S5.9: an image that was held when it was to be removed by age is still held when it is to be removed for space.
#[test]
fn s5_9_an_image_that_is_held_by_age_is_not_missing_space() {
    let mut rules = Rules::default();
    rules.case("S0.7");
    rules.case("S5.9");
    let server = start(node(vec![image("a", "r/a:1", 100)]));
    let (place, host) = (Place::new(), Host::new(1000, 0));
    let hold = place.path(".hold");
    std::fs::write(&hold, "").unwrap();
    let keys = [("hold-file", hold.to_str().unwrap())];
    let end = aged(&server, &place, &host, true, &keys).images(PassOptions::default(), None);
    assert_eq!(told(&end), ["a kept held"]);
    assert_eq!((end.error, host.events.lock().unwrap().len()), (None, 0));
}

/// S6.5: calls that get no answer half way through a pass over images, by goal: `a` would be removed, `b` is used.
#[test]
fn s6_5_a_pass_over_images_that_can_remove_nothing_asks_for_nothing_more() {
    let mut rules = Rules::default();
    let image_calls = ["ImageStatus", "ImageFsInfo", "RemoveImage"];
    let all = [&image_calls[..], &["ContainerStatus", "Status", "Version"]].concat();
    // The calls without an answer: one request timeout each.
    let table: [(&[&'static str], PassOptions, bool, &[&str]); 7] = [
        // It matters only on a full disk that crigc does not know which containers mount which images.
        (
            &all,
            PassOptions::default(),
            false,
            &["ContainerStatus", "ImageFsInfo"],
        ),
        (&all, ALL_UNUSED, false, &["ContainerStatus"]),
        (
            &all,
            PassOptions::default(),
            true,
            &["ContainerStatus", "ImageFsInfo"],
        ),
        (&all, ALL_UNUSED, true, &["ContainerStatus"]),
        (
            &image_calls,
            PassOptions::default(),
            false,
            &["ImageFsInfo"],
        ),
        (
            &image_calls,
            ALL_UNUSED,
            false,
            &["ImageFsInfo", "ImageStatus"],
        ),
        (
            &image_calls,
            PassOptions::default(),
            true,
            &["ImageFsInfo", "ImageStatus"],
        ),
    ];
    for (hangs, flags, by_age, want) in table {
        rules.case("S6.5");
        let what = format!("{hangs:?} {flags:?} {by_age}");
        let mut made = node(vec![image("a", "r/a:1", 1), image("b", "r/b:1", 1)]);
        made.containers.push(user("u1", "r/b:1"));
        let server = start(made);
        server.set_faults(hangs.iter().map(|m| Fault::all(m, Action::Hang)).collect());
        let (place, host) = (Place::new(), Host::new(1000, 0));
        let keys = [
            SOON,
            ("image-maximum-gc-age", if by_age { "30m" } else { "0" }),
        ];
        let end = aged(&server, &place, &host, false, &keys).images(flags, None);
        assert_eq!(status(&end), Some(Status::Timeout), "{what}");
        assert_eq!(told(&end).len(), 2, "{what}");
        assert_eq!(there(&server).len(), 2, "{what}");
        let trace = server.trace().into_iter().map(|call| call.method);
        let in_vain: Vec<&str> = trace.filter(|method| hangs.contains(method)).collect();
        assert_eq!(in_vain, want, "{what}");
    }
}
