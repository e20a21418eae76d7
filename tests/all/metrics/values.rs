//! The numbers after passes that are known.

use super::exposition::numbers;
use crigc::engine::{Engine, PassOptions};
use crigc::hooks::{Hook, Hooks};
use crigc::report::{Pass, Report};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use test_support::bench::{Bench, DRY_RUN, INTERNAL, Maker, code, id};
use test_support::images::{self, Host, image, node, user};

/// What is written of a metric, without its labels; 0 = it is not written.
fn value(text: &str, series: &str) -> f64 {
    numbers(text).get(series).copied().unwrap_or(0.0)
}

/// The series of a metric that are not 0.
fn series(text: &str, name: &str) -> BTreeMap<String, f64> {
    let mut all = numbers(text);
    all.retain(|series, value| series.starts_with(&format!("{name}{{")) && *value != 0.0);
    all
}

fn expect(text: &str, name: &str, expected: &[(&str, f64)]) {
    let expected: BTreeMap<String, f64> = expected
        .iter()
        .map(|(labels, value)| (format!("{name}{{{labels}}}"), *value))
        .collect();
    assert_eq!(series(text, name), expected, "{text}");
}

/// Two restarted pods and one that is gone: five containers, a sandbox, and its logs and links are removed.
fn containers() -> Bench {
    let mut maker = Maker::new();
    maker.restarted("u1", 3);
    maker.restarted("u2", 3);
    maker.container("u1", "side", 0, Word::Running);
    maker.container("u2", "side", 0, Word::Created);
    maker.sandbox("gone", 0, Word::NotReady);
    maker.container("gone", "app", 0, Word::Exited);
    let bench = maker.start();
    bench.host.remove_pod("gone");
    bench
}

fn engine(bench: &Bench, keys: &[(&str, &str)]) -> Engine {
    bench.engine(keys, bench.hooks())
}

fn report(end: crigc::engine::PassEnd) -> Report {
    assert_eq!(end.error, None);
    end.report.unwrap()
}

#[test]
fn a_pass_over_containers_is_counted() {
    let bench = containers();
    let engine = engine(&bench, &[]);
    let pass = report(engine.containers(PassOptions::PLAIN, None));
    let text = engine.metrics();
    expect(
        &text,
        "crigc_passes_total",
        &[("pass=containers,status=GC_OK", 1.0)],
    );
    expect(
        &text,
        "crigc_removals_total",
        &[
            ("kind=container,outcome=removed,reason=unit-limit", 4.0),
            ("kind=container,outcome=removed,reason=pod-removed", 1.0),
            ("kind=container,outcome=kept,reason=within-limit", 3.0),
            ("kind=container,outcome=kept,reason=running", 1.0),
            ("kind=sandbox,outcome=removed,reason=pod-removed", 1.0),
            ("kind=sandbox,outcome=kept,reason=active", 2.0),
            ("kind=pod-logs,outcome=removed,reason=pod-removed", 1.0),
            ("kind=pod-logs,outcome=kept,reason=pod-exists", 2.0),
        ],
    );
    // The last lists are those after the removals of containers.
    expect(
        &text,
        "crigc_objects",
        &[
            ("kind=container,state=created", 1.0),
            ("kind=container,state=exited", 2.0),
            ("kind=container,state=running", 1.0),
            ("kind=sandbox,state=not-ready", 1.0),
            ("kind=sandbox,state=ready", 2.0),
        ],
    );
    assert_eq!(
        value(&text, "crigc_pass_duration_seconds_count{pass=containers}"),
        1.0
    );
    let sum = value(&text, "crigc_pass_duration_seconds_sum{pass=containers}");
    assert!((sum - pass.seconds).abs() < 1e-6, "{sum}, {}", pass.seconds);
    let end = pass.started as f64 / 1e9 + pass.seconds;
    let success = value(
        &text,
        "crigc_last_success_timestamp_seconds{pass=containers}",
    );
    assert!((success - end).abs() < 0.001, "{success}, {end}");
    for (kind, figures) in pass.pace.iter() {
        let of = |name: &str| {
            value(
                &text,
                &format!("crigc_removals_{name}{{kind={}}}", kind.word()),
            )
        };
        assert_eq!(of("in_flight_mean"), figures.in_flight_mean);
        assert_eq!(of("in_flight_most"), figures.in_flight_most as f64);
        assert_eq!(of("rest_seconds_total"), figures.rest_seconds);
    }
    assert_eq!(pass.pace.iter().count(), 2, "of containers and sandboxes");
    assert_eq!(value(&text, "crigc_removals_in_flight{}"), 0.0);
    assert_eq!(value(&text, "crigc_image_freed_bytes_total{}"), 0.0);
}

/// A pass over one pod is of a kind of its own, and what it lists is not the node.
#[test]
fn a_pass_over_one_pod_is_counted() {
    let bench = containers();
    let engine = engine(&bench, &[]);
    report(engine.pod("gone", true, PassOptions::PLAIN, None));
    let text = engine.metrics();
    let ok = ("pass=pod,status=GC_OK", 1.0);
    expect(&text, "crigc_passes_total", &[ok]);
    let removed = [
        ("kind=container,outcome=removed,reason=pod-removed", 1.0),
        ("kind=sandbox,outcome=removed,reason=pod-removed", 1.0),
        ("kind=pod-logs,outcome=removed,reason=pod-removed", 1.0),
    ];
    expect(&text, "crigc_removals_total", &removed);
    expect(&text, "crigc_objects", &[]);
    let success = series(&text, "crigc_last_success_timestamp_seconds");
    let names: Vec<&String> = success.keys().collect();
    assert_eq!(names, ["crigc_last_success_timestamp_seconds{pass=pod}"]);
}

/// Each call that crisim heard of is in the durations.
#[test]
fn the_calls_of_the_runtime_are_counted() {
    let bench = containers();
    let engine = engine(&bench, &[]);
    report(engine.containers(PassOptions::PLAIN, None));
    let mut expected = BTreeMap::new();
    for call in bench.ended_trace() {
        *expected.entry(call.method).or_insert(0.0) += 1.0;
    }
    assert!(expected["RemoveContainer"] == 5.0, "{expected:?}");
    let text = engine.metrics();
    for (method, count) in expected {
        let series = format!("crigc_rpc_duration_seconds_count{{method={method}}}");
        assert_eq!(value(&text, &series), count, "{text}");
    }
}

#[test]
fn what_a_dry_run_would_remove_is_not_removed() {
    let bench = containers();
    // An engine for both, and an engine that makes nothing else: for it a dry run is a success.
    for (keys, succeeds) in [(&[][..], false), (&[("dry-run", "true")], true)] {
        let engine = engine(&bench, keys);
        let dry = report(engine.containers(DRY_RUN, None));
        let text = engine.metrics();
        let removed = dry.count(None, Some(crigc::report::Outcome::Removed));
        let of = |outcome: &str| -> f64 {
            let all = series(&text, "crigc_removals_total");
            let word = format!("outcome={outcome},");
            all.iter()
                .filter(|(name, _)| name.contains(&word))
                .map(|(_, count)| count)
                .sum()
        };
        assert_eq!((of("would-remove"), of("removed")), (removed as f64, 0.0));
        assert_eq!(
            value(&text, "crigc_passes_total{pass=containers,status=GC_OK}"),
            1.0
        );
        let success = value(
            &text,
            "crigc_last_success_timestamp_seconds{pass=containers}",
        );
        assert_eq!(success > 0.0, succeeds, "{text}");
        assert_eq!(
            value(
                &text,
                "crigc_rpc_duration_seconds_count{method=RemoveContainer}"
            ),
            0.0
        );
    }
}

/// Four images of 100 bytes, of which one is in use and three are removed for space.
fn full() -> (crisim::Server, Host) {
    let names = ["a", "b", "c", "used"];
    let mut made = node(
        names
            .map(|name| image(name, &format!("r/{name}:1"), 100))
            .into(),
    );
    made.containers.push(user("u1", "r/used:1"));
    (images::start(made), Host::new(1000, 0))
}

#[test]
fn a_pass_over_images_is_counted() {
    let (server, host) = full();
    let engine = images::engine(&server, host.hooks(true), &[]);
    report(engine.images(DRY_RUN, None));
    assert_eq!(
        value(&engine.metrics(), "crigc_image_freed_bytes_total{}"),
        0.0
    );
    let end = engine.images(PassOptions::PLAIN, None);
    let freed = end.report.unwrap().bytes_freed;
    assert_eq!(freed, 200);
    let text = engine.metrics();
    assert_eq!(
        value(&text, "crigc_image_freed_bytes_total{}"),
        freed as f64
    );
    expect(
        &text,
        "crigc_passes_total",
        &[("pass=images,status=GC_OK", 2.0)],
    );
    expect(
        &text,
        "crigc_removals_total",
        &[
            ("kind=image,outcome=would-remove,reason=space", 2.0),
            ("kind=image,outcome=removed,reason=space", 2.0),
            ("kind=image,outcome=kept,reason=enough-freed", 2.0),
            ("kind=image,outcome=kept,reason=in-use", 2.0),
        ],
    );
    expect(&text, "crigc_image_fs_capacity_bytes", &[("", 1000.0)]);
    *host.usage.lock().unwrap() = Some((1000, 600));
    report(engine.images(PassOptions::PLAIN, None));
    let text = engine.metrics();
    expect(&text, "crigc_image_fs_available_bytes", &[("", 600.0)]);
    expect(
        &text,
        "crigc_objects",
        &[
            ("kind=container,state=exited", 1.0),
            ("kind=image,state=in-use", 1.0),
            ("kind=image,state=unused", 1.0),
        ],
    );
}

/// The status of a pass, and how often passes had it.
#[test]
fn passes_that_fail_are_counted_by_their_status() {
    let (server, host) = full();
    let engine = images::engine(&server, host.hooks(true), &[]);
    *host.usage.lock().unwrap() = None;
    let first = engine.images(PassOptions::PLAIN, None);
    *host.usage.lock().unwrap() = Some((1_000_000, 0));
    let second = engine.images(PassOptions::PLAIN, None);
    *host.now.lock().unwrap() = -1;
    let third = engine.images(PassOptions::PLAIN, None);
    engine.close();
    let fourth = engine.images(PassOptions::PLAIN, None);
    let mut expected: BTreeMap<String, f64> = BTreeMap::new();
    for end in [&first, &second, &third] {
        let status = end.error.as_ref().unwrap().status.name();
        *expected
            .entry(format!("crigc_passes_total{{pass=images,status={status}}}"))
            .or_default() += 1.0;
    }
    assert_eq!(expected.len(), 3, "{expected:?}");
    // It never began.
    assert!(fourth.report.is_none());
    let text = engine.metrics();
    assert_eq!(series(&text, "crigc_passes_total"), expected);
    assert!(
        series(&text, "crigc_last_success_timestamp_seconds").is_empty(),
        "{text}"
    );
}

/// Prometheus sees a change only of what it has seen before.
#[test]
fn every_status_is_there_from_the_beginning() {
    let bench = Maker::new().start();
    let all = numbers(&engine(&bench, &[]).metrics());
    for pass in Pass::ALL.map(Pass::word) {
        for status in [
            "GC_OK",
            "GC_ERROR_NOT_ENOUGH_FREED",
            "GC_ERROR_CONTRADICTION",
        ] {
            let series = format!("crigc_passes_total{{pass={pass},status={status}}}");
            assert_eq!(all.get(&series), Some(&0.0), "{all:?}");
        }
    }
}

#[test]
fn a_hold_is_counted_and_a_backoff_too() {
    let mut maker = Maker::new();
    maker.restarted("u1", 3);
    maker.fault("RemoveContainer", &id("u1", "app", 0), code(INTERNAL));
    let bench = maker.start();
    let hold = bench.path("outside/hold");
    let engine = engine(&bench, &[("hold-file", hold.to_str().unwrap())]);
    fs::write(&hold, "").unwrap();
    report(engine.containers(PassOptions::PLAIN, None));
    report(engine.containers(PassOptions::PLAIN, None));
    let held = "crigc_removals_total{kind=container,outcome=kept,reason=held}";
    assert_eq!(value(&engine.metrics(), held), 4.0);
    let of_last = |text: &str| numbers(text).get("crigc_held{pass=containers}").copied();
    assert_eq!(of_last(&engine.metrics()), Some(1.0));
    fs::remove_file(&hold).unwrap();
    expect(&engine.metrics(), "crigc_backoff_objects", &[]);
    report(engine.containers(PassOptions::PLAIN, None));
    let text = engine.metrics();
    expect(&text, "crigc_backoff_objects", &[("kind=container", 1.0)]);
    let failed = "crigc_removals_total{kind=container,outcome=failed,reason=unit-limit}";
    assert_eq!((value(&text, held), value(&text, failed)), (4.0, 1.0));
    assert_eq!(of_last(&text), Some(0.0));
    // A pass over images says nothing of containers.
    engine.images(PassOptions::PLAIN, None);
    expect(
        &engine.metrics(),
        "crigc_backoff_objects",
        &[("kind=container", 1.0)],
    );
    bench.server.edit(|node| node.containers.clear());
    report(engine.containers(PassOptions::PLAIN, None));
    assert_eq!(
        value(
            &engine.metrics(),
            "crigc_objects{kind=container,state=exited}"
        ),
        0.0
    );
}

/// A list that failed says nothing of the node: the one before counts.
#[test]
fn objects_are_those_of_the_last_whole_list() {
    let mut maker = Maker::new();
    maker.restarted("u1", 2);
    maker.options.faults = vec![Fault {
        skip: 4,
        ..Fault::all("ListContainers", Action::Code(INTERNAL, String::new()))
    }];
    maker.options.faults.push(Fault::all(
        "StreamContainers",
        Action::Code(12, String::new()),
    ));
    let bench = maker.start();
    let engine = engine(&bench, &[("maximum-dead-containers-per-container", "-1")]);
    let exited = "crigc_objects{kind=container,state=exited}";
    let mut failures = 0;
    for _ in 0..6 {
        failures += usize::from(engine.containers(PassOptions::PLAIN, None).error.is_some());
        assert_eq!(value(&engine.metrics(), exited), 2.0);
    }
    assert!((1..6).contains(&failures), "{failures}");
}

/// The pass is in the numbers before the host learns that it has ended.
#[test]
fn a_pass_is_counted_before_its_end_is_told() {
    let bench = containers();
    let engine: Arc<Mutex<Option<Arc<Engine>>>> = Arc::default();
    let seen: Arc<Mutex<Vec<f64>>> = Arc::default();
    let (asked, told) = (engine.clone(), seen.clone());
    let hooks = Hooks {
        pass: Some(Hook::new(Box::new(
            move |_: crigc::report::Pass, _: Option<&Report>, _: Option<&crigc::error::Error>| {
                let engine = asked.lock().unwrap().clone().unwrap();
                let ok = "crigc_passes_total{pass=containers,status=GC_OK}";
                told.lock().unwrap().push(value(&engine.metrics(), ok));
            },
        ))),
        ..bench.hooks()
    };
    let own = Arc::new(bench.engine(&[], hooks));
    *engine.lock().unwrap() = Some(own.clone());
    report(own.containers(PassOptions::PLAIN, None));
    report(own.containers(PassOptions::PLAIN, None));
    assert_eq!(*seen.lock().unwrap(), [1.0, 2.0]);
    engine.lock().unwrap().take();
}
