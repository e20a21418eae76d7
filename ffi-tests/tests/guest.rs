//! crigc as a guest in someone's process: small stacks, forks, many descriptors and none, closed streams, locales, a runtime that
//! closes its socket at every frame (rules 8 and 12 of the C interface).

use crisim::fault::{Action, Fault};
use crisim::{Options, Server};
use ffi_tests::simulated::without_files;
use ffi_tests::{check, compile, run, skip};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

/// Far above what a run takes.
const WATCHDOG: Duration = Duration::from_secs(120);

fn guest() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || compile("guest", "cc", &["ffi-tests/c/guest.c"], &["-std=c99"]);
    BUILT.get_or_init(build).clone()
}

fn run_guest(server: &Server, mode: &str, more: &[&str]) -> Output {
    let mut command = Command::new(guest());
    command.arg(mode).arg(server.endpoint()).args(more);
    run(&mut command, WATCHDOG)
}

#[test]
fn a_pass_works_in_processes_of_all_sorts_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let witness = folder.path().join("witness");
    std::fs::write(&witness, "").expect("a file");
    let witness = witness.to_str().expect("text");
    let modes: [(&str, &[&str]); 7] = [
        ("plain", &[]),
        ("stack", &[]),
        ("fork", &[]),
        ("descriptors", &[]),
        ("no-descriptors", &[]),
        ("closed", &[witness]),
        ("locale", &["C.UTF-8"]),
    ];
    for (mode, more) in modes {
        let server = without_files(Options::default());
        let output = run_guest(&server, mode, more);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{mode}: {} {error}", output.status);
        assert!(
            output.stdout.is_empty() && error.is_empty(),
            "{mode}: {error}"
        );
    }
}

/// A host that never heard of SIGPIPE: the runtime closes its socket after so many bytes of an answer, for each of its first
/// answers.
#[test]
fn a_socket_that_closes_is_an_error_and_no_signal() {
    let mut runs = 0;
    for call in [0, 1, 2, 3, 10] {
        for action in [
            Action::Half(0),
            Action::Half(1),
            Action::Half(9),
            Action::Half(40),
            Action::Half(400),
            Action::Disconnect,
            Action::Garbage,
        ] {
            let options = Options {
                faults: vec![Fault {
                    skip: call,
                    ..Fault::all("*", action.clone())
                }],
                ..Options::default()
            };
            let output = run_guest(&without_files(options), "plain", &["may-fail"]);
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.signal(),
                None,
                "{action:?} at {call}: {error}"
            );
            assert!(output.status.success(), "{action:?} at {call}: {error}");
            runs += 1;
        }
    }
    println!("{runs} runs against a socket that closes");
}

/// Rules 10 and 13, under AddressSanitizer.
#[test]
fn callbacks_may_answer_nonsense_and_take_their_time() {
    let flags = ["-std=c99", "-fsanitize=address", "-fno-omit-frame-pointer"];
    let program = compile("callbacks", "cc", &["ffi-tests/c/callbacks.c"], &flags);
    let server = without_files(Options::default());
    let output = run(Command::new(program).arg(server.endpoint()), WATCHDOG);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {error}", output.status);
}

/// Locales that write numbers with a comma, and with other signs altogether.
#[test]
fn numbers_are_the_same_in_every_locale() {
    if !Path::new("/usr/share/i18n/locales/ps_AF").exists() {
        return skip("the sources of locales are not installed");
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (locale, number) in [("de_DE", "1,5"), ("ps_AF", "1\u{66b}5")] {
        let name = format!("{locale}.UTF-8");
        let mut define = Command::new("localedef");
        define.args(["-i", locale, "-f", "UTF-8"]);
        check(define.arg(folder.path().join(&name)));
        let server = without_files(Options::default());
        let mut command = Command::new(guest());
        command
            .args(["locale", &server.endpoint(), &name, number])
            .env("LOCPATH", folder.path());
        let output = run(&mut command, WATCHDOG);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && error.is_empty(),
            "{name}: {error}"
        );
    }
}
