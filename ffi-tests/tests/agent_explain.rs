//! `--explain` of the agent: what it finds, what it says of it, and what it refuses.

use crisim::fault::{Action, Fault};
use crisim::node::Image;
use ffi_tests::simulated::{Bench, Told};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// The fields of an entry of the report that a dry run prints as JSON.
#[derive(Debug)]
struct Entry {
    kind: String,
    outcome: String,
    id: String,
    name: String,
    pod_uid: String,
    reason: String,
}

fn run(bench: &Bench, more: &[&str]) -> Told {
    let kubelet = bench.at("kubelet");
    bench.run(&[&["--kubelet-dir", &kubelet], more].concat())
}

/// The entries of the lines of JSON.
fn values(told: &Told) -> Vec<Value> {
    let lines = told.out.lines().map(|line| -> Value {
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
    });
    let entries = lines.map(|report| report["entries"].as_array().expect("entries").clone());
    entries.flatten().collect()
}

fn entries(bench: &Bench) -> Vec<Entry> {
    let told = run(bench, &["--once", "--json"]);
    let text = |value: &Value, field: &str| value[field].as_str().expect("a text").to_owned();
    let entry = |value: &Value| Entry {
        kind: text(value, "kind"),
        outcome: text(value, "outcome"),
        id: text(value, "id"),
        name: text(value, "name"),
        pod_uid: text(value, "pod_uid"),
        reason: text(value, "reason"),
    };
    values(&told).iter().map(entry).collect()
}

fn named<'e>(all: &'e [Entry], kind: &str, reason: &str) -> &'e Entry {
    let found = all.iter().find(|e| e.kind == kind && e.reason == reason);
    found.unwrap_or_else(|| panic!("no {kind} with {reason}"))
}

/// The objects that an explanation is about: lines that are not indented, without titles.
fn explained(told: &Told) -> BTreeSet<&str> {
    let lines = told.out.lines();
    let objects = lines.filter(|line| !line.starts_with(' ') && !line.ends_with(':'));
    objects.filter_map(|line| line.split(' ').nth(1)).collect()
}

/// The beginning of an ID that no other entry has, with an algorithm's name in front or without.
fn shortest<'e>(all: &[Entry], id: &'e str) -> &'e str {
    let bare = |id: &'e str| id.strip_prefix("sha256:").unwrap_or(id);
    let id = bare(id);
    let is_its = |end: usize| {
        let begin = &id[..end];
        let is_other = |e: &Entry| {
            let other = e.id.strip_prefix("sha256:").unwrap_or(&e.id);
            [other, &*e.pod_uid]
                .into_iter()
                .any(|of| of != id && of.starts_with(begin))
        };
        !all.iter().any(is_other)
    };
    &id[..(4..=id.len()).find(|end| is_its(*end)).expect("an ID")]
}

#[test]
fn an_object_is_found_by_what_people_call_it_and_its_values_are_said() {
    let bench = Bench::new(Vec::new());
    let before = bench.server.state();
    let all = entries(&bench);
    // Kind, reason, and a value that was compared.
    let cases = [
        (
            "container",
            "unit-limit",
            "maximum-dead-containers-per-container is 1.",
        ),
        ("container", "within-limit", "It is number 1 of "),
        ("container", "running", "Kept: it is running."),
        (
            "container",
            "pod-removed",
            "Would be removed: its pod is gone.",
        ),
        ("sandbox", "active", "Its state is READY."),
        ("image", "in-use", "Container "),
        (
            "image",
            "space",
            "image-gc-high-threshold is 85, image-gc-low-threshold 80.",
        ),
        ("pod-logs", "pod-exists", "Kept: its pod exists."),
    ];
    for (kind, reason, value) in cases {
        let entry = named(&all, kind, reason);
        let mut names = vec![entry.id.as_str()];
        match kind {
            "image" => names.extend([entry.name.as_str(), shortest(&all, &entry.id)]),
            "pod-logs" => {}
            _ => names.push(shortest(&all, &entry.id)),
        }
        for name in names {
            let told = run(&bench, &["--explain", name]);
            assert_eq!((told.code, &*told.error), (Some(0), ""), "{name}");
            assert_eq!(
                explained(&told),
                [&*entry.id].into(),
                "{name}: {}",
                told.out
            );
            assert!(
                told.out.contains(&format!("\n  reason  {reason}\n")),
                "{}",
                told.out
            );
            assert!(told.out.contains(value), "{value}: {}", told.out);
            let begin = if entry.outcome == "kept" {
                "  Kept: "
            } else {
                "  Would be removed: "
            };
            assert!(told.out.contains(begin), "{}", told.out);
            let of_pod = |e: &&Entry| !e.pod_uid.is_empty() && e.pod_uid == entry.pod_uid;
            for other in all.iter().filter(of_pod).filter(|e| e.id != entry.id) {
                assert!(told.out.contains(&*other.id), "{}: {}", other.id, told.out);
            }
        }
    }
    assert_eq!(bench.server.state(), before, "it only looks");
}

#[test]
fn a_pod_is_explained_with_all_that_it_has() {
    let bench = Bench::new(Vec::new());
    let all = entries(&bench);
    let of_pod = named(&all, "container", "pod-removed");
    let want = |of: &dyn Fn(&Entry) -> bool| -> BTreeSet<&str> {
        all.iter().filter(|e| of(e)).map(|e| &*e.id).collect()
    };
    let whole = want(&|e| e.pod_uid == of_pod.pod_uid);
    assert!(whole.len() >= 3, "{whole:?}");
    let pod = of_pod.name.rsplit_once('/').expect("a name").0;
    let by_name = want(&|e| e.name == pod || e.name.starts_with(&format!("{pod}/")));
    let short = shortest(&all, &of_pod.pod_uid);
    for (name, want) in [(&*of_pod.pod_uid, &whole), (short, &whole), (pod, &by_name)] {
        let told = run(&bench, &["--explain", name]);
        assert_eq!(
            (told.code, &explained(&told)),
            (Some(0), want),
            "{name}: {}",
            told.error
        );
    }
    // A path in its logs stands for them; the rest of the pod is listed.
    let logs = all
        .iter()
        .find(|e| e.kind == "pod-logs" && e.pod_uid == of_pod.pod_uid);
    let logs = &logs.expect("logs").id;
    for path in [
        logs.clone(),
        format!("{logs}/"),
        format!("{logs}/app/0.log"),
    ] {
        let told = run(&bench, &["--explain", &path]);
        assert_eq!(explained(&told), [&**logs].into(), "{path}: {}", told.error);
        assert!(
            told.out
                .contains("\nother objects of its pod:\n  would remove "),
            "{}",
            told.out
        );
    }
    // Only that pod is looked at.
    let told = run(&bench, &["--explain", &of_pod.id, "--pod", &of_pod.pod_uid]);
    assert_eq!(explained(&told), [&*of_pod.id].into(), "{}", told.error);
}

fn add_image(bench: &Bench, id: &str, tag: &str) {
    bench.server.edit(|node| {
        node.images.push(Image {
            id: id.into(),
            tags: vec![tag.into()],
            size: 1 << 20,
            ..Image::default()
        });
    });
}

#[test]
fn what_may_be_several_things_or_none_is_said() {
    let bench = Bench::new(Vec::new());
    add_image(&bench, "sha256:beef01", "registry.example:5000/a/twin:v1");
    add_image(&bench, "sha256:beef02", "registry.example:5000/b/twin:v2");
    let found = "found no ";
    let several = "may be one of several; give more of it:";
    // Name, options, the exit code, what is said, and which image is explained.
    let cases: [(&str, &[&str], i32, &str, &str); 12] = [
        ("twin:v2", &[], 0, "", "sha256:beef02"),
        ("a/twin", &[], 0, "", "sha256:beef01"),
        (
            "registry.example:5000/a/twin:v1",
            &[],
            0,
            "",
            "sha256:beef01",
        ),
        ("registry.example:5000/b/twin", &[], 0, "", "sha256:beef02"),
        ("sha256:beef01", &["--images"], 0, "", "sha256:beef01"),
        ("beef01", &[], 0, "", "sha256:beef01"),
        ("twin", &[], 2, several, ""),
        ("beef", &[], 2, several, ""),
        ("bee", &[], 1, found, ""),
        ("win:v2", &[], 1, found, ""),
        ("beef01", &["--containers"], 1, found, ""),
        (
            "/var/log/containers/none.log",
            &[],
            1,
            "log links that lead nowhere",
            "",
        ),
    ];
    for (name, more, code, says, image) in cases {
        let told = run(&bench, &[&["--explain", name], more].concat());
        let want = Some(image).filter(|image| !image.is_empty());
        assert_eq!(
            told.code,
            Some(code),
            "{name}: {}\n{}",
            told.out,
            told.error
        );
        assert_eq!(explained(&told), want.into_iter().collect(), "{name}");
        assert!(told.error.contains(says), "{name}: {}", told.error);
        assert_eq!(
            told.error.is_empty(),
            says.is_empty(),
            "{name}: {}",
            told.error
        );
        if says == several {
            let both = told.error.contains("beef01") && told.error.contains("beef02");
            assert!(both, "{name}: {}", told.error);
        }
    }
}

#[test]
fn json_has_the_reports_with_what_was_found() {
    let bench = Bench::new(Vec::new());
    add_image(&bench, "sha256:beef01", "a\\\"b/c:v1");
    let all = entries(&bench);
    let container = named(&all, "container", "unit-limit");
    for (name, is_image) in [(container.id.as_str(), false), ("sha256:beef01", true)] {
        let told = run(
            &bench,
            &["--explain", name, "--json", "--image-gc-exempt=*c:v1"],
        );
        assert_eq!((told.code, &*told.error), (Some(0), ""));
        assert_eq!(told.out.lines().count(), 2, "{}", told.out);
        let found = values(&told);
        assert_eq!(found.len(), 1, "{}", told.out);
        assert_eq!(found[0]["id"], name);
        let text = found[0]["explanation"].as_str().expect("an explanation");
        if is_image {
            assert_eq!(
                text,
                "Kept: image-gc-exempt names it. The pattern *c:v1 matches it."
            );
        } else {
            assert_eq!(found[0]["outcome"], "would-remove");
            assert!(
                text.starts_with("Would be removed: newer dead ones"),
                "{text}"
            );
        }
    }
    let told = run(&bench, &["--explain", "nothing-of-this", "--json"]);
    assert_eq!(told.code, Some(1), "{}", told.error);
    assert_eq!(
        (told.out.lines().count(), values(&told).len()),
        (2, 0),
        "{}",
        told.out
    );
}

#[test]
fn failures_have_their_exit_codes_and_removing_is_refused() {
    let deny = Fault::all("ListContainers", Action::Code(13, "not today".to_owned()));
    let bench = Bench::new(vec![deny]);
    let file = bench.at("metrics.prom");
    // Options, the exit code, and what is said.
    let cases: [(&[&str], i32, &str); 10] = [
        (
            &["--explain", "x", "--apply"],
            2,
            "--explain only looks, and removes nothing; leave out --apply",
        ),
        (&["--explain", ""], 2, "give an ID behind --explain"),
        (
            &["--explain", "--images"],
            2,
            "give an ID behind --explain, not --images",
        ),
        (
            &["--explain", "x", "--healthy", &file],
            2,
            "leave out --explain",
        ),
        (
            &["--explain", "x", "--metrics-file", &file],
            2,
            "leave out --metrics-file",
        ),
        (&["--explain", "x", "--json=changes"], 2, "give --json"),
        (
            &["--explain", "nothing"],
            1,
            "containers: failed: the runtime reports an error: ",
        ),
        (
            &[
                "--explain",
                "nothing",
                "--container-runtime-endpoint=unix:///nonexistent/x",
            ],
            4,
            "found no nothing among 0 containers",
        ),
        (
            &["--explain", "nothing", "--kubelet-dir", "/nonexistent"],
            1,
            "/nonexistent",
        ),
        (&["--explain"], 2, "a value is missing behind --explain"),
    ];
    for (options, code, says) in cases {
        let told = bench.run(options);
        assert_eq!(told.code, Some(code), "{options:?}: {}", told.error);
        assert!(told.error.contains(says), "{options:?}: {}", told.error);
        assert_eq!(told.out, "", "{options:?}");
    }
    assert!(fs::metadata(&file).is_err());
    // Without its list of pods the agent explains what it would do without.
    let bench = Bench::new(Vec::new());
    let all = entries(&bench);
    let gone = named(&all, "sandbox", "pod-removed");
    let told = bench.run(&["--explain", &gone.id, "--kubelet-dir", &bench.at("none")]);
    assert_eq!(told.code, Some(6), "{}", told.error);
    assert!(told.out.contains("sources-not-ready"), "{}", told.out);
}
