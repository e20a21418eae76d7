//! A panic inside of crigc as a C host sees it (rule 5 of the C interface): an error, nothing printed, and an engine that works on.
//! Where each place of a pass panics, and what it leaves, is `tests/pass_panics.rs`'s.

use crisim::Options;
use ffi_tests::simulated::without_files;
use ffi_tests::{compile_with, panicking_library, run};
use std::process::Command;
use std::time::Duration;

/// Far above what a run takes.
const WATCHDOG: Duration = Duration::from_secs(60);
/// What the program says where there are fewer places.
const PAST_THE_END: i32 = 7;

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
        ("periodic", 41),
    ] {
        let mut panics = 0;
        for nth in (1..).step_by(every) {
            // Each begins without records, so that it comes to the same places.
            let _ = std::fs::remove_file(&records);
            let server = without_files(Options::default());
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
            match output.status.code() {
                Some(0) => panics += 1,
                code => {
                    assert_eq!(code, Some(PAST_THE_END), "{what} {nth}: {}", output.status);
                    break;
                }
            }
        }
        println!("{what}: {panics} panics");
        assert!(panics > 0, "{what}");
    }
}
