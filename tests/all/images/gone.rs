//! When enough is free, and whether removed images are gone: figures after each removal (S5.8), the
//! list at the end (S5.12), by-age removals that fail (S5.5).

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks};
use crigc::node::FsUsage;
use crigc::report::Report;
use crisim::Server;
use crisim::fault::{Action, Fault};
use crisim::node::Node;
use std::sync::Arc;
use std::time::Duration;
use test_support::images::*;
use test_support::records;
use test_support::records::{NOW, Place};
use test_support::rules::Rules;

const ALL_UNUSED: PassOptions = PassOptions {
    all_unused: true,
    ..PassOptions::PLAIN
};
const DRY_RUN: PassOptions = PassOptions {
    dry_run: true,
    ..PassOptions::PLAIN
};

/// RemoveImage by this name answers OK and removes nothing.
fn lies(name: &str) -> Fault {
    Fault::of("RemoveImage", name, Action::Nothing)
}

fn calls(server: &Server, method: &str) -> Vec<String> {
    let trace = server.trace().into_iter();
    trace.filter(|c| c.method == method).map(|c| c.id).collect()
}

/// The images of these IDs, each of 100 bytes.
fn hundreds(ids: &[&str]) -> Node {
    let images = ids.iter().map(|id| image(id, &format!("r/{id}:1"), 100));
    node(images.collect())
}

/// A filesystem of that capacity, with so much available, and so much more for each image that is not there any more.
fn frees(hooks: Hooks, server: &Arc<Server>, capacity: u64, available: u64, each: u64) -> Hooks {
    let server = server.clone();
    let count = move || u64::try_from(server.state().images.len()).unwrap();
    let all = count();
    let usage = move || {
        Some(FsUsage {
            capacity,
            available: available + each * (all - count()),
            ..FsUsage::default()
        })
    };
    Hooks {
        image_fs: Some(Hook::new(Box::new(usage) as _)),
        ..hooks
    }
}

fn available(report: &Report) -> Option<(u64, u64)> {
    let (before, after) = report.filesystem?;
    Some((before.available, after.available))
}

/// S5.8: nine unused images with a reported size of 0: no more are removed than needed, and the pass succeeds.
#[test]
fn s5_8_images_of_size_0_go_until_enough_is_available() {
    let mut rules = Rules::default();
    // The reported size of each image, the bytes that it really frees, how many may be removed at once, and how many have to be removed for
    // 200 bytes.
    let table = [
        (0, 60, "1", 4),
        (0, 60, "16", 4),
        (1, 60, "1", 4),
        (0, 200, "16", 1),
        (1000, 10, "1", 1),
        (100, 60, "1", 2),
        (50, 60, "16", 4),
    ];
    for (size, each, at_once, go) in table {
        rules.case("S5.8");
        let what = format!("{size} bytes, {each} freed, {at_once} at once");
        let nine = (0..9).map(|n| image(&format!("i{n}"), &format!("r/i{n}:1"), size));
        let server = Arc::new(start(node(nine.collect())));
        let host = Host::new(1000, 0);
        let hooks = frees(host.hooks(true), &server, 1000, 0, each);
        let keys = [("max-parallel-image-removals", at_once)];
        let engine = engine(&server, hooks, &keys);
        let end = engine.images(PassOptions::default(), None);
        assert_eq!(9 - there(&server).len(), go, "{what}");
        assert_eq!(status(&end), None, "{what}: {:?}", end.error);
        assert_eq!(*host.events.lock().unwrap(), [""; 0], "{what}");
        let told = told(&end);
        let kept = told.iter().filter(|l| l.ends_with(" kept enough-freed"));
        assert_eq!(kept.count(), 9 - go, "{what}: {told:?}");
        let report = end.report.unwrap();
        let after = each * u64::try_from(go).unwrap();
        assert_eq!(available(&report), Some((0, after)), "{what}");
    }
}

/// S5.8: a dry run has the sizes alone; where they do not come to what is wanted, it fails as before.
#[test]
fn s5_8_a_dry_run_counts_sizes_alone() {
    let mut rules = Rules::default();
    rules.case("S5.8");
    let nine = (0..9).map(|n| image(&format!("i{n}"), &format!("r/i{n}:1"), 0));
    let server = Arc::new(start(node(nine.collect())));
    let hooks = frees(Host::new(1000, 0).hooks(true), &server, 1000, 0, 60);
    let end = engine(&server, hooks, &[]).images(DRY_RUN, None);
    assert_eq!(end.report.unwrap().entries.len(), 9);
    assert_eq!(there(&server).len(), 9);
    assert_eq!(end.error.unwrap().status, Status::NotEnoughFreed);
}

/// S5.6, S5.8: figures that are none after a removal say nothing, and available above the capacity counts as the capacity.
#[test]
fn s5_8_figures_that_get_lost_leave_the_sizes() {
    let mut rules = Rules::default();
    // What the host says after the first figures.
    let table: [(Option<(u64, u64)>, usize); 4] = [
        (None, 2),
        (Some((0, 500)), 2),
        (Some((1000, 199)), 2),
        (Some((1000, u64::MAX)), 1),
    ];
    for (later, go) in table {
        rules.case("S5.8");
        let server = start(hundreds(&["a", "b", "c"]));
        let first = std::sync::atomic::AtomicBool::new(true);
        let usage = move || {
            let is_first = first.swap(false, std::sync::atomic::Ordering::SeqCst);
            let (capacity, available) = if is_first { Some((1000, 0)) } else { later }?;
            Some(FsUsage {
                capacity,
                available,
                ..FsUsage::default()
            })
        };
        let hooks = Hooks {
            image_fs: Some(Hook::new(Box::new(usage) as _)),
            ..Host::new(1000, 0).hooks(false)
        };
        let end = engine(&server, hooks, &[]).images(PassOptions::default(), None);
        assert_eq!(
            (3 - there(&server).len(), status(&end)),
            (go, None),
            "{later:?}"
        );
    }
}

/// S5.12: by a tag only what has one, and only as long as that stands for the image.
#[test]
fn s5_12_an_image_is_removed_by_its_tag_only_if_the_tag_is_its_own() {
    let mut rules = Rules::default();
    type Change = fn(&mut Node);
    // What happens to the image `a` before the second pass, and by what it is asked for then.
    let table: [(&str, Change, &str); 5] = [
        ("nothing", |_| {}, "r/a:1"),
        (
            "a second tag",
            |node| node.images[0].tags.push("r/a:2".into()),
            "a",
        ),
        ("no tag", |node| node.images[0].tags.clear(), "a"),
        (
            "its tag stands for another one",
            |node| {
                let newer = image("another", "r/a:1", 1);
                node.containers = vec![user("x", "another")];
                node.images.insert(0, newer);
            },
            "a",
        ),
        (
            "another tag",
            |node| node.images[0].tags = vec!["r/z:9".into()],
            "r/z:9",
        ),
    ];
    for (what, change, name) in table {
        rules.case("S5.12");
        let server = start(hundreds(&["a"]));
        server.set_faults(vec![lies("a")]);
        let keys = [("minimum-image-ttl-duration", "0")];
        let engine = engine(&server, Host::new(1000, 1000).hooks(true), &keys);
        let end = engine.images(ALL_UNUSED, None);
        assert_eq!(told(&end), ["a failed unused"], "{what}");
        server.edit(change);
        engine.images(ALL_UNUSED, None);
        assert_eq!(calls(&server, "RemoveImage"), ["a", name], "{what}");
        let is_there = there(&server).contains("a");
        assert_eq!(is_there, name == "a", "{what}");
    }
}

/// S5.12: if the call about the tag fails, nothing is removed.
#[test]
fn s5_12_an_image_whose_tag_is_unknown_to_the_runtime_is_not_removed() {
    let mut rules = Rules::default();
    rules.case("S5.12");
    let server = start(hundreds(&["a"]));
    server.set_faults(vec![lies("a")]);
    let keys = [("minimum-image-ttl-duration", "0")];
    let engine = engine(&server, Host::new(1000, 1000).hooks(true), &keys);
    engine.images(ALL_UNUSED, None);
    let broken = Action::Code(13, "broken".into());
    server.set_faults(vec![lies("a"), Fault::of("ImageStatus", "r/a:1", broken)]);
    let end = engine.images(ALL_UNUSED, None);
    assert_eq!(told(&end), ["a failed unused"]);
    assert!(end.error.unwrap().message.contains("broken"));
    assert_eq!(calls(&server, "RemoveImage"), ["a"]);
}

/// S5.9: the hold file appears while the tag is asked for: that is not missing space.
#[test]
fn s5_9_an_image_that_is_held_while_its_tag_is_asked_for_is_not_missing_space() {
    let mut rules = Rules::default();
    rules.case("S0.7");
    rules.case("S5.9");
    let server = start(hundreds(&["a"]));
    server.set_faults(vec![lies("a")]);
    let place = Place::new();
    let hold = place.path(".hold");
    let keys = [
        ("minimum-image-ttl-duration", "0"),
        ("hold-file", hold.to_str().unwrap()),
    ];
    let host = Host::new(1000, 0);
    let engine = engine(&server, host.hooks(true), &keys);
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(told(&end), ["a failed space"]);
    host.events.lock().unwrap().clear();
    server.change_at("ImageStatus", 1, move |_| {
        std::fs::write(&hold, "").unwrap();
    });
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(told(&end), ["a kept held"]);
    assert_eq!((end.error, host.events.lock().unwrap().len()), (None, 0));
}

/// S5.12: if a runtime removes nothing, not every image is tried: one round, and one more in its place.
#[test]
fn s5_12_rounds_end_when_nothing_is_removed() {
    let mut rules = Rules::default();
    // Which images are kept, how many bytes are wanted, which are tried, and the whole report.
    type Case<'c> = (&'c [&'c str], u64, &'c [&'c str], &'c [&'c str]);
    let table: [Case; 4] = [
        (
            &["a", "b", "c", "d", "e"],
            100,
            &["a", "b"],
            &[
                "a failed space",
                "b failed space",
                "c kept not-reached",
                "d kept not-reached",
                "e kept not-reached",
            ],
        ),
        (
            &["a", "c"],
            200,
            &["a", "b", "c", "d"],
            &[
                "a failed space",
                "b removed space",
                "c failed space",
                "d removed space",
                "e kept enough-freed",
            ],
        ),
        (
            &["b"],
            200,
            &["a", "b", "c"],
            &[
                "a removed space",
                "b failed space",
                "c removed space",
                "d kept enough-freed",
                "e kept enough-freed",
            ],
        ),
        (
            &["a", "b", "c", "d", "e"],
            500,
            &["a", "b", "c", "d", "e"],
            &[
                "a failed space",
                "b failed space",
                "c failed space",
                "d failed space",
                "e failed space",
            ],
        ),
    ];
    for (stay, wanted, asked, entries) in table {
        rules.case("S5.12");
        let server = start(hundreds(&["a", "b", "c", "d", "e"]));
        server.set_faults(stay.iter().map(|id| lies(id)).collect());
        let host = Host::new(10_000, 2000 - wanted);
        let engine = engine(
            &server,
            host.hooks(true),
            &[("image-gc-high-threshold", "81")],
        );
        let end = engine.images(PassOptions::default(), None);
        assert_eq!(told(&end), entries, "{stay:?}");
        assert_eq!(calls(&server, "RemoveImage"), asked, "{stay:?}");
        assert_eq!(status(&end), Some(Status::Runtime), "{stay:?}");
        let left = there(&server);
        assert!(stay.iter().all(|id| left.contains(*id)), "{left:?}");
    }
}

/// S5.12: without the closing list RemoveImage's answers stand, and the pass fails for it; a dry run and a pass that removed nothing
/// take none.
#[test]
fn s5_12_the_closing_list_fails_or_is_not_taken() {
    let mut rules = Rules::default();
    rules.case("S5.12");
    let server = start(hundreds(&["a", "b"]));
    let broken = Action::Code(13, "broken".into());
    server.set_faults(vec![
        lies("a"),
        Fault {
            skip: 1,
            ..Fault::all("ListImages", broken)
        },
    ]);
    let engine = engine(&server, Host::new(1000, 100).hooks(true), &[]);
    assert_eq!(told(&engine.images(DRY_RUN, None))[0], "a removed space");
    assert_eq!(calls(&server, "ListImages").len(), 1, "a dry run");
    server.set_faults(vec![
        lies("a"),
        Fault {
            skip: 1,
            ..Fault::all("ListImages", Action::Code(13, "broken".into()))
        },
    ]);
    let end = engine.images(PassOptions::default(), None);
    assert_eq!(told(&end), ["a removed space", "b kept enough-freed"]);
    let error = end.error.unwrap();
    assert_eq!(error.status, Status::Runtime);
    assert!(error.message.contains("cannot list images"), "{error}");
    assert_eq!(end.report.unwrap().bytes_freed, 100);
}

/// S5.12, S5.1: the file has the record that began anew.
#[test]
fn s5_12_the_records_file_has_what_is_still_listed_as_new() {
    let mut rules = Rules::default();
    rules.case("S5.12");
    let place = Place::new();
    let server = start(hundreds(&["a", "b"]));
    server.set_faults(vec![lies("a")]);
    let host = Host::new(1000, 0);
    *host.now.lock().unwrap() = NOW;
    let file = place.text();
    let keys = [("image-records-file", file.as_str())];
    let first = engine(&server, host.hooks(true), &keys);
    let expected = ["a failed unused", "b removed unused"];
    assert_eq!(told(&first.images(ALL_UNUSED, None)), expected);
    drop(first);
    let text = std::fs::read_to_string(place.path("")).unwrap();
    let records: serde_json::Value = serde_json::from_str(&text).unwrap();
    let images = records["images"].as_array().unwrap();
    assert_eq!(images.len(), 1, "{text}");
    assert_eq!(images[0]["first_detected"], NOW, "{text}");
    let second = engine(&server, host.hooks(true), &keys);
    assert_eq!(told(&second.images(ALL_UNUSED, None)), ["a kept too-young"]);
}

/// S0.8: periodic passes leave alone what is still there.
#[test]
fn s0_8_what_is_still_listed_backs_off() {
    let mut rules = Rules::default();
    rules.case("S0.8");
    let server = start(hundreds(&["a"]));
    server.set_faults(vec![Fault::all("RemoveImage", Action::Nothing)]);
    let host = Host::new(1000, 0);
    let keys = [
        ("minimum-image-ttl-duration", "0"),
        ("image-gc-period", "10ms"),
        ("container-gc-period", "1h"),
        ("pod-logs-dir", ""),
        ("container-logs-dir", ""),
    ];
    let engine = engine(&server, host.hooks(true), &keys);
    engine.start().unwrap();
    let began = std::time::Instant::now();
    let told = loop {
        let passes = host.passes.lock().unwrap().clone();
        let lines: Vec<String> = passes.into_iter().flat_map(|(_, lines)| lines).collect();
        if lines.contains(&"a kept backoff".to_owned()) {
            break lines;
        }
        assert!(began.elapsed() < records::WATCHDOG, "{lines:?}");
        std::thread::sleep(Duration::from_millis(5));
    };
    engine.stop();
    let failed = told.iter().filter(|line| *line == "a failed space");
    assert_eq!(failed.count(), 1, "{told:?}");
    assert_eq!(calls(&server, "RemoveImage"), ["a"]);
}

/// S5.5: if a removal by age failed, or its image is still listed, the pass removes nothing for space.
#[test]
fn s5_5_if_a_removal_by_age_failed_nothing_is_removed_for_space() {
    let mut rules = Rules::default();
    let busy = Fault::of("RemoveImage", "a", Action::Code(13, "busy".into()));
    let kept = (["a failed age", "b kept not-reached"], Status::Runtime);
    let removed = (["a removed age", "b removed space"], Status::NotEnoughFreed);
    let unused = (["a failed age", "b removed unused"], Status::Runtime);
    let plain = PassOptions::default();
    for (fault, options, (entries, wanted)) in [
        (Some(busy.clone()), plain, kept),
        (Some(lies("a")), plain, kept),
        (None, plain, removed),
        // Which does not ask for the disk either (S5.10).
        (Some(busy), ALL_UNUSED, unused),
    ] {
        rules.case("S5.5");
        let what = format!("{fault:?} {options:?}");
        let server = start(hundreds(&["a", "b"]));
        server.edit(|node| node.containers.push(user("u", "r/b:1")));
        server.set_faults(fault.into_iter().collect());
        let host = Host::new(1000, 0);
        let keys = [
            ("image-maximum-gc-age", "300ms"),
            ("minimum-image-ttl-duration", "0"),
        ];
        // Ages count by the clock that advanced less: this one only advances in the sleep.
        let engine = engine(&server, host.hooks(true), &keys);
        engine.images(DRY_RUN, None);
        std::thread::sleep(Duration::from_millis(350));
        *host.now.lock().unwrap() += 350_000_000;
        engine.images(DRY_RUN, None);
        server.edit(|node| node.containers.clear());
        let end = engine.images(options, None);
        assert_eq!(told(&end), entries, "{what}");
        assert_eq!(status(&end), Some(wanted), "{what}");
    }
}

/// The report: how the pass ended, and what it says in JSON.
#[test]
fn the_json_of_a_report_says_how_the_pass_ended() {
    let server = start(hundreds(&["a", "b"]));
    server.set_faults(vec![lies("a")]);
    let host = Host::new(1000, 100);
    let engine = engine(&server, host.hooks(true), &[]);
    let json =
        |report: &Report| -> serde_json::Value { serde_json::from_str(&report.json()).unwrap() };
    let end = engine.images(PassOptions::default(), None);
    let report = end.report.unwrap();
    assert_eq!(report.status(), Status::Runtime);
    let told = json(&report);
    assert_eq!(told["pass"], "images");
    assert_eq!(told["status"], "GC_ERROR_RUNTIME");
    assert_eq!(told["error"], end.error.unwrap().message);
    let figures = serde_json::json!({
        "capacity": 1000, "available_before": 100, "available_after": 100,
        "inodes": 0, "inodes_free_before": 0, "inodes_free_after": 0,
    });
    assert_eq!(told["fs"], figures);
    let counts = |removed, kept, failed, refused| {
        ["removed", "kept", "failed", "refused"]
            .into_iter()
            .zip([removed, kept, failed, refused])
            .for_each(|(outcome, n)| {
                let of = serde_json::json!({"container": 0, "sandbox": 0, "pod-logs": 0, "log-link": 0, "image": n});
                assert_eq!(told[outcome], of, "{outcome}");
            });
    };
    counts(1, 0, 1, 0);
    // A pass that succeeded, and one that got no figures.
    *host.usage.lock().unwrap() = Some((1000, 900));
    let well = json(&engine.images(PassOptions::default(), None).report.unwrap());
    assert_eq!(well["status"], "GC_OK");
    assert_eq!(well["error"], serde_json::Value::Null);
    *host.usage.lock().unwrap() = None;
    let none = json(&engine.images(PassOptions::default(), None).report.unwrap());
    assert_eq!(none["status"], "GC_ERROR_IO");
    assert_eq!(none["fs"], serde_json::Value::Null);
    // The order of api.md.
    let text = report.json();
    let keys = [
        "pass",
        "status",
        "error",
        "dry_run",
        "started",
        "seconds",
        "removed",
        "kept",
        "failed",
        "refused",
        "bytes_freed",
        "fs",
        "entries",
    ];
    let mut from = 0;
    for key in keys {
        let found = text[from..].find(&format!("\"{key}\":"));
        from += found.unwrap_or_else(|| panic!("{key} is not behind the others: {text}"));
    }
}
