//! A panic inside of crigc as a C host sees it (rule 5 of the C interface): an error, nothing printed, and an engine that finishes
//! the job.
//! Where each place of a pass panics, and what it leaves, is `panic-tests/tests/panics/passes.rs`'s.

use crisim::{Options, Server};
use ffi_tests::simulated::without_files;
use ffi_tests::{compile_with, panicking_library, run};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

/// Far above what a run takes.
const WATCHDOG: Duration = Duration::from_secs(60);
/// The program's answer if there are fewer places.
const PAST_THE_END: i32 = 7;

fn images_and_containers(server: &Server) -> BTreeSet<String> {
    let node = server.state();
    let containers = node.containers.iter().map(|c| c.id.to_string());
    let images = node.images.iter().map(|image| image.id.to_string());
    containers.chain(images).collect()
}

#[test]
fn a_panic_is_an_error_and_nothing_is_printed() {
    let program = compile_with(
        &panicking_library(),
        "panics",
        "cc",
        &["ffi-tests/c/panics.c"],
        &["-std=c99"],
    );
    let folder = tempfile::tempdir().expect("a folder");
    let records = folder.path().join("records.json");
    // All places of few, and some of many.
    for (what, every) in [
        ("engine", 1),
        ("images", 5),
        ("containers", 23),
        ("periodic-images", 5),
        ("periodic-containers", 41),
    ] {
        let mut left = BTreeMap::new();
        for nth in (1..).step_by(every) {
            // Each begins without records, so that it comes to the same places.
            let _ = std::fs::remove_file(&records);
            let server = without_files(Options::default());
            let before = images_and_containers(&server);
            let output = run(
                Command::new(&program)
                    .arg(server.endpoint())
                    .arg(nth.to_string())
                    .arg(what)
                    .arg(&records),
                WATCHDOG,
            );
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.stdout.is_empty() && error.is_empty(),
                "{what} {nth}: {error}"
            );
            let after = images_and_containers(&server);
            if output.status.code() == Some(0) {
                left.insert(nth, after);
                continue;
            }
            assert_eq!(output.status.code(), Some(PAST_THE_END), "{what} {nth}");
            assert_eq!(after.len() < before.len(), what != "engine", "{what}");
            // The same as without a panic; but an object whose removal panicked in a periodic pass is left alone for a while (S0.8).
            let waits = usize::from(what.starts_with("periodic"));
            for (nth, left) in &left {
                let more: Vec<&String> = left.difference(&after).collect();
                assert!(after.is_subset(left), "{what} {nth}");
                assert!(more.len() <= waits, "{what} {nth}: {more:?}");
            }
            break;
        }
        println!("{what}: {} panics", left.len());
        assert!(!left.is_empty(), "{what}");
    }
}
