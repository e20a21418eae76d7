//! Signals that a host would feel of its guest, and who is the last owner of an engine (rule 8 of the C interface).

use crisim::Options;
use ffi_tests::simulated::without_files;
use ffi_tests::{check, compile};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || compile("signals", "cc", &["ffi-tests/c/signals.c"], &["-std=c99"]);
    BUILT.get_or_init(build).clone()
}

fn run(mode: &str, more: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(program());
    check(command.arg(mode).arg(folder.path()).arg(more));
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_no_signal() {
    let server = without_files(Options::default());
    run("file-size", &server.endpoint());
}

#[test]
fn what_faults_in_a_periodic_callback_comes_to_the_handler_of_the_host() {
    run("faults", "");
}

#[test]
fn the_records_file_is_free_once_its_engine_is_freed() {
    run("owner", "6000");
}
