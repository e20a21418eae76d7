//! The agent names exempt images that a kubelet beside it would remove.

use ffi_tests::run;
use ffi_tests::simulated::{Bench, WATCHDOG, agent, signalled, told};
use rustix::process::Signal;
use std::cell::Cell;
use std::fs;

const PINS: &str = "agent: image-gc-exempt binds crigc alone: the kubelet may still remove ";

/// A pod need not see the directories of the kubelet that runs it.
#[test]
fn s5_3_an_agent_in_a_pod_is_beside_a_kubelet() {
    let bench = Bench::new(Vec::new());
    bench.add_image("exempt", false);
    // No host has this root, so no directory of a kubelet is found there.
    fs::create_dir(bench.at("var")).expect("a folder");
    let root = format!("--host-root={}", bench.at("").trim_end_matches('/'));
    let options = [
        "--once",
        "--now",
        "--images",
        "--image-gc-exempt=*/exempt*:*",
        &root,
    ];
    for in_pod in [false, true] {
        let mut command = bench.command(&agent(), &options);
        command.env_remove("KUBERNETES_SERVICE_HOST");
        if in_pod {
            command.env("KUBERNETES_SERVICE_HOST", "10.96.0.1");
        }
        let told = told(run(&mut command, WATCHDOG));
        assert_eq!(told.error.contains(PINS), in_pod, "{}", told.error);
    }
}

/// The logs of a pod that is gone wait for crigc alone.
#[test]
fn s4_1_an_age_of_logs_has_no_effect_beside_a_kubelet_and_that_is_told() {
    let said = "minimum-pod-log-ttl-duration binds crigc alone";
    let ttl = "--minimum-pod-log-ttl-duration=1h";
    let kubelet = "--kubelet-dir=KUBELET";
    let cases: [(&[&str], bool); 4] = [
        (&[kubelet, ttl], true),
        (&[kubelet], false),
        (&[kubelet, "--images", ttl], false),
        (&[kubelet, "--minimum-pod-log-ttl-duration=0"], false),
    ];
    for (options, tells) in cases {
        let bench = Bench::new(Vec::new());
        let path = |word: &&str| word.replace("KUBELET", &bench.at("kubelet"));
        let options: Vec<String> = options.iter().map(path).collect();
        let mut all = vec!["--once", "--now"];
        all.extend(options.iter().map(String::as_str));
        let told = bench.run(&all);
        let times = usize::from(tells);
        assert_eq!(told.error.matches(said).count(), times, "{}", told.error);
    }
}

#[test]
fn s5_3_exempt_images_that_are_not_pinned_are_told_beside_a_kubelet() {
    let exempt = "--image-gc-exempt=*/*exempt*:*";
    // What to make below the host's root, options, and whether they are told.
    type Case<'a> = (&'a str, &'a [&'a str], bool);
    let cases: [Case; 8] = [
        ("", &["--images", "--kubelet-dir=KUBELET", exempt], true),
        ("", &["--kubelet-dir=KUBELET", "--json", exempt], true),
        (
            "",
            &["--images", "--apply", "--kubelet-dir=KUBELET", exempt],
            true,
        ),
        (
            "var/lib/kubelet",
            &["--images", "--host-root=HOST", exempt],
            true,
        ),
        ("var/lib", &["--images", "--host-root=HOST", exempt], false),
        ("", &["--images", "--kubelet-dir=KUBELET"], false),
        (
            "",
            &["--containers", "--kubelet-dir=KUBELET", exempt],
            false,
        ),
        (
            "",
            &[
                "--images",
                "--kubelet-dir=KUBELET",
                "--image-gc-exempt=*/pinned-*",
            ],
            false,
        ),
    ];
    for (directory, options, tells) in cases {
        let bench = Bench::new(Vec::new());
        bench.add_image("pinned-exempt", true);
        (0..7).for_each(|n| bench.add_image(&format!("exempt{n}"), false));
        fs::create_dir_all(bench.at(directory)).expect("a folder");
        let path = |word: &&str| {
            let word = word.replace("KUBELET", &bench.at("kubelet"));
            word.replace("HOST", bench.at("").trim_end_matches('/'))
        };
        let options: Vec<String> = options.iter().map(path).collect();
        let mut all = vec!["--once", "--now", "--image-gc-high-threshold=99"];
        all.extend(options.iter().map(String::as_str));
        let told = bench.run(&all);
        let case = format!("{options:?}: {}{}", told.out, told.error);
        assert_eq!(told.code, Some(0), "{case}");
        assert_eq!(
            told.error.matches(PINS).count(),
            usize::from(tells),
            "{case}"
        );
        for part in [
            "registry.example/exempt0:v1, registry.example/exempt1:v1, registry.example/exempt2:v1 and 4 more; pin them",
            "`ctr --namespace k8s.io images label IMAGE io.cri-containerd.pinned=pinned`",
            "pinned_images in the table crio.image",
        ] {
            assert_eq!(told.error.contains(part), tells, "{part}: {case}");
        }
        assert!(!told.error.contains("pinned-exempt"), "{case}");
    }
}

/// Each is told once, however many passes follow.
#[test]
fn s5_3_periodic_passes_tell_of_an_exempt_image_once() {
    let bench = Bench::new(Vec::new());
    bench.add_image("exempt0", false);
    let kubelet = bench.at("kubelet");
    let options = [
        "--image-gc-period=100ms",
        "--image-gc-high-threshold=99",
        "--image-gc-exempt=*/exempt*:*",
        "--kubelet-dir",
        &kubelet,
    ];
    let is_added = Cell::new(false);
    let is_enough = |error: &str| {
        if error.contains("exempt0:v1; pin") && !is_added.replace(true) {
            bench.add_image("exempt1", false);
        }
        error.contains("exempt1:v1; pin")
    };
    let told = signalled(
        &mut bench.command(&agent(), &options),
        is_enough,
        Signal::TERM,
    );
    assert_eq!(told.code, Some(0), "{}", told.error);
    for part in ["exempt0", "exempt1"] {
        assert_eq!(told.error.matches(part).count(), 1, "{}", told.error);
    }
    assert_eq!(told.error.matches(PINS).count(), 2, "{}", told.error);
}
