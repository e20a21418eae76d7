//! The form of the text: names, units, labels and their values, and that docs/metrics.md describes it all.

use super::exposition::{Family, Sample, families};
use crigc::engine::{Engine, PassOptions};
use crigc::error::Status;
use crigc::report::{Kind, Pass, Reason};
use crisim::node::Word;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use test_support::bench::{Bench, DRY_RUN, Maker, alive_beside_gone};
use test_support::images::image;

/// A node with something of every kind, collected once by passes of all sorts.
fn collected() -> (Bench, Engine) {
    let mut maker = alive_beside_gone();
    // Names that would break a text that held them.
    for uid in ["evil\"1", "evil\n2", "evil{3}"] {
        maker.sandbox(uid, 0, Word::Ready);
        maker.bare(uid, "a\"} 1\n# EOF", 0, Word::Exited);
        maker.bare(uid, "a\"} 1\n# EOF", 1, Word::Exited);
    }
    maker.node.images = vec![
        image("sha256:one", "registry.example/\"quoted\"\n:v1", 100),
        image("sha256:two", "registry.example/plain:v1", 100),
    ];
    let bench = maker.start();
    bench.host.remove_pod("gone");
    let mut hooks = bench.hooks();
    hooks.image_fs = test_support::images::Host::new(1000, 10)
        .hooks(true)
        .image_fs;
    let engine = bench.new_engine(&[], hooks);
    engine.start().unwrap();
    for flags in [DRY_RUN, PassOptions::PLAIN] {
        engine.pod("gone", true, flags, None);
        engine.containers(flags, None);
        engine.images(flags, None);
    }
    (bench, engine)
}

/// The values that a label may have.
fn allowed(label: &str) -> BTreeSet<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match label {
        "engine" => (0..100_000).map(|n: u32| n.to_string()).collect(),
        "pass" => Pass::ALL.map(|pass| pass.word().to_owned()).into(),
        "status" => {
            let names = (0..).map_while(Status::name_of);
            names
                .map(|name| name.to_str().unwrap().to_owned())
                .collect()
        }
        "kind" => Kind::ALL.map(|kind| kind.word().to_owned()).into(),
        "outcome" => words(&["kept", "removed", "failed", "refused", "would-remove"]),
        "reason" => Reason::ALL.iter().map(|r| r.word().to_owned()).collect(),
        "state" => words(&[
            "created",
            "running",
            "exited",
            "unknown",
            "undefined",
            "ready",
            "not-ready",
            "in-use",
            "unused",
        ]),
        "version" => words(&[env!("CARGO_PKG_VERSION")]),
        "method" => methods(),
        label => panic!("a label that nobody knows: {label}"),
    }
}

/// The calls of CRI that src/cri makes.
fn methods() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for file in ["client.rs", "budget.rs", "capabilities.rs"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/cri")
            .join(file);
        let source = fs::read_to_string(path).unwrap();
        for behind in source.split("\"/runtime.v1.").skip(1) {
            let path = behind.split('"').next().unwrap();
            all.insert(path.rsplit('/').next().unwrap().to_owned());
        }
    }
    assert!(all.len() >= 17, "{all:?}");
    all
}

fn check_histogram(family: &Family) {
    // By the other labels: the buckets, the sum and the count.
    let mut series: BTreeMap<Vec<(String, String)>, Vec<&Sample>> = BTreeMap::new();
    for sample in &family.samples {
        let others = sample.labels.iter().filter(|(key, _)| *key != "le");
        let key = others
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        series.entry(key).or_default().push(sample);
    }
    for (key, samples) in series {
        let of = |suffix: &str| {
            let name = format!("{}{suffix}", family.name);
            samples
                .iter()
                .filter(|s| s.name == name)
                .copied()
                .collect::<Vec<_>>()
        };
        let (buckets, sum, count) = (of("_bucket"), of("_sum"), of("_count"));
        assert_eq!((sum.len(), count.len()), (1, 1), "{key:?}");
        assert_eq!(buckets.len() + 2, samples.len(), "{key:?}");
        let bounds: Vec<&str> = buckets.iter().map(|b| &*b.labels["le"]).collect();
        assert_eq!(bounds.last(), Some(&"+Inf"));
        let bounds: Vec<f64> = bounds
            .iter()
            .map(|b| b.replace("+Inf", "inf").parse().unwrap())
            .collect();
        assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
        let counts: Vec<f64> = buckets.iter().map(|b| b.value).collect();
        assert!(counts.is_sorted(), "{counts:?}");
        assert_eq!(counts.last(), Some(&count[0].value));
    }
}

#[test]
fn names_units_and_labels_are_those_that_are_promised() {
    let (_bench, engine) = collected();
    let text = engine.metrics();
    let mut seen = BTreeSet::new();
    for family in families(&text) {
        let name = &*family.name;
        assert!(name.starts_with("crigc_"), "{name}");
        assert_eq!(family.kind == "counter", name.ends_with("_total"), "{name}");
        assert!(family.help.ends_with('.'), "{name}: {}", family.help);
        assert!(!family.samples.is_empty(), "{name}");
        let unit = name.trim_end_matches("_total").rsplit('_').next().unwrap();
        let is_time = ["duration", "timestamp", "period", "rest"]
            .iter()
            .any(|w| name.contains(w));
        assert_eq!(is_time, unit == "seconds", "{name}");
        let is_size = ["freed", "capacity", "available"]
            .iter()
            .any(|w| name.contains(w));
        assert_eq!(is_size, unit == "bytes", "{name}");
        if family.kind == "histogram" {
            check_histogram(&family);
        }
        for sample in &family.samples {
            for (label, value) in sample.labels.iter().filter(|(label, _)| *label != "le") {
                assert!(allowed(label).contains(value), "{sample:?}");
            }
            assert!(sample.labels.contains_key("engine"), "{sample:?}");
        }
        seen.insert(family.name);
    }
    let promised = [
        "crigc_passes_total",
        "crigc_removals_total",
        "crigc_image_freed_bytes_total",
        "crigc_pass_duration_seconds",
        "crigc_rpc_duration_seconds",
        "crigc_last_success_timestamp_seconds",
        "crigc_held",
        "crigc_period_seconds",
        "crigc_image_fs_capacity_bytes",
        "crigc_image_fs_available_bytes",
        "crigc_objects",
        "crigc_backoff_objects",
        "crigc_removals_in_flight",
        "crigc_removals_in_flight_mean",
        "crigc_removals_in_flight_most",
        "crigc_removals_rest_seconds_total",
        "crigc_build_info",
    ];
    assert_eq!(seen, promised.map(str::to_owned).into());
}

#[test]
fn nothing_that_the_node_named_is_in_the_text() {
    let (bench, engine) = collected();
    let text = engine.metrics();
    let state = bench.server.state();
    let ids = state.containers.iter().map(|c| c.id.to_string());
    let ids = ids.chain(state.images.iter().map(|i| i.id.to_string()));
    let named = [
        "evil", "alive", "gone", "quoted", "registry", "pod-u", "app", "EOF",
    ];
    for word in ids.chain(named.map(str::to_owned)) {
        assert!(!text.contains(&word), "{word}:\n{text}");
    }
}

/// Each metric has a row in the manual: its type and its labels; and the manual has no other rows.
#[test]
fn the_manual_describes_every_metric() {
    let (_bench, engine) = collected();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = fs::read_to_string(root.join("docs/metrics.md")).unwrap();
    let mut rows: BTreeSet<String> = manual
        .lines()
        .filter(|line| line.starts_with("| `crigc_"))
        .map(|line| {
            line.split('|')
                .skip(1)
                .take(3)
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" | ")
        })
        .collect();
    for family in families(&engine.metrics()) {
        let labels = family
            .samples
            .iter()
            .flat_map(|sample| sample.labels.keys());
        let labels: BTreeSet<&String> = labels.filter(|l| *l != "engine" && *l != "le").collect();
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format!(
            "`{}` | {} | {}",
            family.name,
            family.kind,
            labels.join(", ")
        );
        assert!(rows.remove(&row), "docs/metrics.md has no row: | {row} |");
    }
    assert!(rows.is_empty(), "{rows:?}");
    for (name, bounds) in [
        ("pass", "crigc_pass_duration_seconds"),
        ("rpc", "crigc_rpc_duration_seconds"),
    ] {
        let text = engine.metrics();
        let all = families(&text);
        let family = all.iter().find(|family| family.name == bounds).unwrap();
        let le: Vec<&str> = family
            .samples
            .iter()
            .filter_map(|sample| sample.labels.get("le").map(String::as_str))
            .take_while(|bound| *bound != "+Inf")
            .collect();
        assert!(manual.contains(&le.join(", ")), "{name}: {}", le.join(", "));
    }
}

/// The manual names all values of labels whose values it lists.
#[test]
fn the_manual_names_the_values_of_labels() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = fs::read_to_string(root.join("docs/metrics.md")).unwrap();
    for label in ["pass", "kind", "outcome", "state"] {
        let begin = format!("| `{label}` | ");
        let row = manual.lines().find(|line| line.starts_with(&begin));
        for value in allowed(label) {
            let is_named = row.unwrap().contains(&format!("`{value}`"));
            assert!(is_named, "docs/metrics.md, label {label}: {value}");
        }
    }
}

#[test]
fn the_text_of_a_new_engine_is_whole() {
    let bench = Maker::new().start();
    let engine = bench.new_engine(&[], bench.hooks());
    let names: Vec<String> = families(&engine.metrics())
        .into_iter()
        .map(|f| f.name)
        .collect();
    let expected = [
        "crigc_passes_total",
        "crigc_pass_duration_seconds",
        "crigc_image_freed_bytes_total",
        "crigc_removals_in_flight",
        "crigc_backoff_objects",
        "crigc_build_info",
    ];
    assert_eq!(names, expected);
}
