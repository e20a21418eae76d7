//! The Python module and crigc.h for cffi: the tests of `python/tests` against simulated nodes, and the module's types.

use crisim::fault::{Action, Fault};
use crisim::{Options, Server};
use ffi_tests::simulated::with_deleted_pods;
use ffi_tests::{has, root, run, skip, static_library};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Far above what the tests take.
const WATCHDOG: Duration = Duration::from_secs(300);
/// How many nodes the tests may change.
const FRESH: usize = 6;

/// A Python with what the tests need, made once; or why there is none.
fn python() -> Result<PathBuf, String> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    MADE.get_or_init(make_python).clone()
}

fn make_python() -> Result<PathBuf, String> {
    if !has("python3") {
        return Err("python3 is not installed".into());
    }
    let folder = root().join("target/python");
    let python = folder.join("bin/python");
    let there = Command::new(&python)
        .args(["-c", "import cffi, mypy"])
        .stderr(Stdio::null())
        .status();
    if there.is_ok_and(|status| status.success()) {
        return Ok(python);
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(folder);
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "-r",
    ]);
    install.arg(root().join("python/tests/requirements.txt"));
    for step in [&mut venv, &mut install] {
        let output = run(step, WATCHDOG);
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            let last = error.lines().last().unwrap_or("no reason given");
            return Err(format!("no Python environment can be made: {last}"));
        }
    }
    Ok(python)
}

/// Runs Python in the tree, and fails with what it printed.
fn succeeds(command: &mut Command) {
    let output = run(command.current_dir(root()), WATCHDOG);
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{error}");
    print!("{error}");
}

#[test]
fn the_module_passes_its_tests() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return skip(&why),
    };
    let hangs = |method| Fault::all(method, Action::Hang);
    let hanging = with_deleted_pods(Options {
        faults: ["RemoveContainer", "StopContainer", "RemoveImage"]
            .map(hangs)
            .into(),
        ..Options::default()
    });
    let fresh: Vec<Server> = (0..FRESH)
        .map(|_| with_deleted_pods(Options::default()))
        .collect();
    let endpoints: Vec<String> = fresh.iter().map(Server::endpoint).collect();
    succeeds(
        Command::new(python)
            .args([
                "-W",
                "error::ResourceWarning",
                "-m",
                "unittest",
                "discover",
                "-s",
                "python/tests",
            ])
            .env("PYTHONPATH", "python:python/tests")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env(
                "CRIGC_LIBRARY",
                static_library().with_file_name("libcrigc.so"),
            )
            .env("CRIGC_NODES", endpoints.join(" "))
            .env("CRIGC_HANGING", hanging.endpoint()),
    );
}

#[test]
fn the_module_is_typed() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return skip(&why),
    };
    let files = ["python", "python/examples", "python/tests"].map(|folder| root().join(folder));
    let files = files.iter().flat_map(|folder| {
        let entries = std::fs::read_dir(folder).expect("a folder of the tree");
        entries.map(|entry| entry.expect("an entry").path())
    });
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "py"));
    let mut mypy = Command::new(python);
    mypy.args([
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        "target/python/mypy",
    ]);
    succeeds(mypy.args(files).env("MYPYPATH", "python"));
}

#[test]
fn the_examples_are_short() {
    for example in [
        "python/examples/collect.py",
        "python/examples/collect_cffi.py",
        "examples-c/collect.cpp",
    ] {
        let text = std::fs::read_to_string(root().join(example)).expect("an example");
        assert!(text.lines().count() < 30, "{example}");
    }
}
