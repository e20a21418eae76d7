//! The agent names exempt images that a kubelet beside it would remove.

use ffi_tests::simulated::{Bench, agent, signalled};
use rustix::process::Signal;
use std::cell::Cell;
use std::fs;

const PINS: &str = "agent: image-gc-exempt binds crigc alone: the kubelet may still remove ";

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
