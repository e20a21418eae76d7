//! A pass in a process of its own, under strace, which makes system calls fail: what tests of faults of files stand on.

use crigc::config::Settings;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The settings of the pass in the other process; the second names the file for its report.
const SETTINGS: &str = "CRIGC_TEST_SETTINGS";
const REPORT: &str = "CRIGC_TEST_REPORT";

/// In the other process: the settings, and the file for the report; `None` = this is not that process.
pub fn task() -> Option<(Settings, PathBuf)> {
    let (settings, report) = (std::env::var_os(SETTINGS)?, std::env::var_os(REPORT)?);
    let mut all = Settings::default();
    for line in fs::read_to_string(settings).unwrap().lines() {
        let (key, value) = line.split_once('=').unwrap();
        all.set(key, value).unwrap();
    }
    Some((all, report.into()))
}

/// In the other process: from here on faults are the pass's.
pub fn begin(report: &Path) {
    fs::create_dir(report.with_extension("begun")).unwrap();
}

/// The system calls of a pass, and its report; `None` = the process did not come as far as the pass.
pub struct Seen {
    pub trace: String,
    pub report: Option<String>,
}

/// Runs a test of this binary with these settings, `key=value` each, under strace with these arguments.
pub fn run(test: &str, settings: &[String], arguments: &[&str]) -> Seen {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("settings"), settings.join("\n")).unwrap();
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(path("trace"))
        .args(arguments)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads", "1"])
        .env(SETTINGS, path("settings"))
        .env(REPORT, path("report"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let begun = path("report.begun").exists();
    assert!(status.success() || !begun, "{arguments:?}: {status}");
    Seen {
        trace: fs::read_to_string(path("trace")).unwrap(),
        report: begun.then(|| fs::read_to_string(path("report")).unwrap()),
    }
}

/// Whether there is a strace; where all has to be tested it must be.
pub fn is_there(what: &str) -> bool {
    let there = Command::new("strace").arg("-V").output().is_ok();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "there is no strace");
        println!("skipped: {what}, there is no strace");
    }
    there
}
