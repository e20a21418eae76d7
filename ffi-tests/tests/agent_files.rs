//! The agent takes keys from the kubelet's files, and its command line wins.

use ffi_tests::simulated::{Bench, Told};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;

const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

/// A node whose disk is 92 % full, with a configuration that keeps its images, and one with a drop-in file that does not.
fn bench() -> Bench {
    let bench = Bench::new(Vec::new());
    for name in ["conf.d", "other.d"] {
        fs::create_dir(bench.at(name)).expect("a folder");
    }
    let files = [
        (
            "kubelet.yaml",
            "containerRuntimeEndpoint: unix:///nonexistent/x.sock\nimageGCHighThresholdPercent: 95\nimageMaximumGCAge: 0s\n",
        ),
        ("bad.yaml", "imageGCHighThresholdPercent: 95%\n"),
        ("conf.d/10.conf", "imageGCHighThresholdPercent: null\n"),
        ("other.d/10.yaml", "imageGCHighThresholdPercent: null\n"),
    ];
    for (name, fields) in files {
        fs::write(bench.at(name), HEAD.to_owned() + fields).expect("a file");
    }
    bench
}

/// How many images a run would remove.
fn images(told: &Told) -> u64 {
    assert_eq!(told.code, Some(0), "{}", told.error);
    let report: Value = serde_json::from_str(told.out.trim()).expect("JSON");
    report["removed"]["image"].as_u64().unwrap_or_default()
}

#[test]
fn the_kubelets_files_set_keys_and_the_command_line_wins() {
    let bench = bench();
    let (file, drop_ins) = (bench.at("kubelet.yaml"), bench.at("conf.d"));
    // Options, and whether images would be removed.
    let cases: [(&[&str], bool); 6] = [
        (&[], true),
        (&["--config", &file], false),
        (&["--config", &file, "--config-dir", &drop_ins], true),
        (&["--config-dir", &drop_ins, "--config", &file], true),
        (&["--image-gc-high-threshold=90", "--config", &file], true),
        (
            &["--image-gc-high-threshold=94", "--config-dir", &drop_ins],
            false,
        ),
    ];
    for (options, removes) in cases {
        let once = ["--once", "--now", "--images", "--json"];
        let told = bench.run(&[&once, options].concat());
        assert_eq!(images(&told) > 0, removes, "{options:?}: {}", told.out);
        assert_eq!(told.error, "", "{options:?}");
    }
}

#[test]
fn a_file_that_is_wrong_is_named_and_one_that_is_skipped_is_told() {
    let bench = bench();
    let (bad, other) = (bench.at("bad.yaml"), bench.at("other.d"));
    let told = bench.run(&["--once", "--config", &bad]);
    assert_eq!(told.code, Some(2), "{}", told.out);
    let says = format!("agent: {bad}:3:30: imageGCHighThresholdPercent is the text `95%`");
    assert!(told.error.starts_with(&says), "{}", told.error);
    let told = bench.run(&["--once", "--config", "/nonexistent/kubelet.yaml"]);
    assert_eq!(told.code, Some(2), "{}", told.out);
    assert!(told.error.contains("No such file"), "{}", told.error);
    let told = bench.run(&[
        "--once",
        "--now",
        "--images",
        "--json",
        "--config-dir",
        &other,
    ]);
    assert!(images(&told) > 0);
    let says = format!(
        "warning: skipped, because the kubelet reads only names that end in .conf: {other}/10.yaml\n"
    );
    assert_eq!(told.error, says);
    // The help needs no file, and neither does a probe.
    let told = bench.run(&["--config", "/nonexistent/kubelet.yaml", "--help"]);
    assert_eq!(told.code, Some(0), "{}", told.error);
    let file = bench.at("crigc.prom");
    std::fs::write(&file, "").expect("writable");
    let told = bench.run(&["--config", "/nonexistent/kubelet.yaml", "--healthy", &file]);
    assert_eq!(told.code, Some(0), "{}", told.error);
}

/// The library takes both by one function. As the kubelet's options do, the agent's say which one is meant.
#[test]
fn a_directory_in_place_of_a_file_is_refused_and_the_other_way_round() {
    let bench = bench();
    let (file, bad) = (bench.at("kubelet.yaml"), bench.at("bad.yaml"));
    let (drop_ins, link) = (bench.at("conf.d"), bench.at("link"));
    symlink(&drop_ins, &link).expect("a link");
    let is_directory =
        |path: &str| format!("agent: --config {path} is a directory; give it by --config-dir\n");
    let is_none = |path: &str| {
        format!("agent: --config-dir {path} is not a directory; give a file by --config\n")
    };
    let cases: [(&[&str], String); 6] = [
        (&["--config", &drop_ins], is_directory(&drop_ins)),
        (&["--config", &link], is_directory(&link)),
        (&["--config-dir", &file], is_none(&file)),
        (&["--config-dir", "/dev/null"], is_none("/dev/null")),
        // The first that is wrong is named; nothing is read before.
        (
            &["--config-dir", &file, "--config", &drop_ins],
            is_directory(&drop_ins),
        ),
        (&["--config", &bad, "--config-dir", &file], is_none(&file)),
    ];
    for (options, said) in cases {
        let told = bench.run(&[&["--once"], options].concat());
        assert_eq!((told.code, told.error), (Some(2), said), "{options:?}");
    }
    // A walk of the kubelet does not follow a link, which the library tells.
    let told = bench.run(&["--once", "--containers", "--config-dir", &link]);
    assert_eq!(told.code, Some(0), "{}", told.error);
    let says = format!("warning: {link} is a symbolic link to a directory; ");
    assert!(told.error.starts_with(&says), "{}", told.error);
}

/// What switches the kubelet's collector of images off would switch the agent off, too.
#[test]
fn a_threshold_of_100_in_the_files_is_told() {
    let bench = bench();
    let off = bench.at("off.yaml");
    let text = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nimageGCHighThresholdPercent: 100\n";
    std::fs::write(&off, text).expect("writable");
    for (options, is_told) in [
        (&[][..], true),
        (&["--containers"], false),
        (&["--image-gc-high-threshold", "85"], false),
        (&["--image-gc-min-available", "1Gi"], false),
        (&["--image-maximum-gc-age", "24h"], false),
        (&["--all-unused"], false),
        // The user's own 100 is meant.
        (&["--image-gc-high-threshold", "100"], false),
        (&["--image-gc-low-threshold", "70"], true),
    ] {
        let told = bench.run(&[&["--once", "--now", "--config", &off], options].concat());
        assert_eq!(told.code, Some(0), "{options:?}: {}", told.error);
        let warnings = told.error.matches("such as --image-gc-high-threshold 85");
        assert_eq!(
            warnings.count(),
            usize::from(is_told),
            "{options:?}: {}",
            told.error
        );
    }
    // Without a pass that is left, the warning says how to have one.
    let told = bench.run(&["--images", "--config", &off]);
    assert_eq!(told.code, Some(2), "{}", told.error);
    let begin = "agent: warning: the kubelet's files set imageGCHighThresholdPercent to 100, ";
    assert!(told.error.starts_with(begin), "{}", told.error);
    // Without files there is nothing to warn of.
    let told = bench.run(&["--once", "--now", "--image-gc-high-threshold", "100"]);
    assert_eq!((told.code, told.error.as_str()), (Some(0), ""));
}
