//! crigc as a guest in someone's process: small stacks, forks, many descriptors and none, closed streams, locales, a runtime that
//! closes its socket at every frame (rules 8 and 12 of the C interface).

use crisim::fault::{Action, Fault};
use crisim::node::Node;
use ffi_tests::simulated::Bench;
use ffi_tests::{check, compile, run, skip};
use std::collections::BTreeSet;
use std::fs;
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

fn run_guest(bench: &Bench, mode: &str, more: &[&str]) -> Output {
    let mut command = Command::new(guest());
    command
        .args([mode, &bench.server.endpoint()])
        .arg(bench.folder.path())
        .args(more);
    run(&mut command, WATCHDOG)
}

/// All below a folder that is none itself.
fn below(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() && !path.is_symlink() {
                below(&path)
            } else {
                [path].into()
            }
        })
        .collect()
}

/// A deleted pod whose logs are in deep directories.
fn deep_logs(bench: &Bench) {
    let is_live = |name: &str| bench.live.iter().any(|uid| name.ends_with(uid));
    let pods = fs::read_dir(bench.at("pods")).expect("pods");
    let mut pods = pods.map(|entry| entry.expect("a pod").path());
    let deleted = pods.find(|path| !is_live(&path.to_string_lossy()));
    let deep = deleted.expect("a deleted pod").join("deep/".repeat(200));
    fs::create_dir_all(&deep).expect("folders");
    fs::write(deep.join("0.log"), "deep").expect("a file");
}

/// The logs of the containers that are there, and no others, are there, and so are their links; the file of records holds the images
/// that stayed.
fn only_files_of_removed_objects_are_deleted(bench: &Bench, before: &Node, mode: &str) {
    let node = bench.server.state();
    assert!(node.containers.len() < before.containers.len(), "{mode}");
    let stay: BTreeSet<PathBuf> = node
        .containers
        .iter()
        .map(|container| PathBuf::from(container.log_path.to_string()))
        .filter(|path| path != Path::new(""))
        .collect();
    let (rotated, logs): (BTreeSet<_>, BTreeSet<_>) = below(Path::new(&bench.at("pods")))
        .into_iter()
        .partition(|path| path.extension().is_some_and(|extension| extension == "gz"));
    assert_eq!(logs, stay, "{mode}");
    let logs_of = |path: PathBuf| path.with_extension("").with_extension("");
    let mut logs = rotated.into_iter().map(logs_of);
    assert!(logs.all(|log| stay.contains(&log)), "{mode}");
    let links = below(Path::new(&bench.at("links")));
    let targets = links
        .iter()
        .map(|link| fs::read_link(link).expect("a link"));
    assert_eq!(targets.collect::<BTreeSet<_>>(), stay, "{mode}");
    let records = fs::read_to_string(bench.at("records.json")).expect("records");
    let _: serde_json::Value = serde_json::from_str(&records).expect("JSON");
    let recorded = |node: &Node| -> BTreeSet<String> {
        let ids = node.images.iter().map(|image| image.id.to_string());
        ids.filter(|id| records.contains(id)).collect()
    };
    assert!(node.images.len() < before.images.len(), "{mode}");
    assert_eq!(recorded(&node).len(), node.images.len(), "{mode}");
    assert_eq!(recorded(before), recorded(&node), "{mode}");
}

#[test]
fn a_pass_works_in_processes_of_all_sorts_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let witness = folder.path().join("witness");
    fs::write(&witness, "").expect("a file");
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
        let bench = Bench::new(vec![]);
        deep_logs(&bench);
        let before = bench.server.state();
        let output = run_guest(&bench, mode, more);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{mode}: {} {error}", output.status);
        assert!(
            output.stdout.is_empty() && error.is_empty(),
            "{mode}: {error}"
        );
        only_files_of_removed_objects_are_deleted(&bench, &before, mode);
    }
}

/// A host that does not handle SIGPIPE: the runtime closes its socket after this number of bytes of
/// an answer, for each of its first answers.
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
            let fault = Fault {
                skip: call,
                ..Fault::all("*", action.clone())
            };
            let output = run_guest(&Bench::new(vec![fault]), "plain", &["may-fail"]);
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
fn callbacks_may_answer_nonsense_take_their_time_and_block() {
    let flags = ["-std=c99", "-fsanitize=address", "-fno-omit-frame-pointer"];
    let program = compile("callbacks", "cc", &["ffi-tests/c/callbacks.c"], &flags);
    let bench = Bench::new(vec![]);
    let gone: Vec<String> = bench.uids().difference(&bench.living()).cloned().collect();
    let mut command = Command::new(program);
    command.args([bench.server.endpoint(), gone.join(" ")]);
    let output = run(&mut command, WATCHDOG);
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
        let bench = Bench::new(vec![]);
        let mut command = Command::new(guest());
        command
            .args(["locale", &bench.server.endpoint()])
            .arg(bench.folder.path())
            .args([&name, number])
            .env("LOCPATH", folder.path());
        let output = run(&mut command, WATCHDOG);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && error.is_empty(),
            "{name}: {error}"
        );
    }
}
