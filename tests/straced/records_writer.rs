//! The file of image records by itself: killed at any moment, its writer leaves the old one or the new one (S5.1).

use crigc::fs::image_ages::{RecordsFile, parse};
use crigc::node::{Image as Known, ImageRecords, Text};
use crigc::plan::in_use::InUse;
use crigc::plan::records::Records;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use test_support::rules::Rules;

const NOW: i64 = 1_700_000_000_000_000_000;

/// A folder for the file.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            folder: TempDir::new().unwrap(),
        }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("records{suffix}"))
    }

    fn text(&self) -> String {
        self.path("").to_str().unwrap().to_owned()
    }
}

/// A file that is held, and was checked.
fn hold(path: &str) -> RecordsFile {
    let mut file = RecordsFile::hold(path, ENDPOINT, false).unwrap();
    file.load(NOW).unwrap();
    file
}

/// Records of this number of images.
fn records_of(number: usize) -> ImageRecords {
    let image = |n: usize| Known {
        id: Text::from(format!("sha256:{n:064}")),
        handler: "".into(),
        tags: vec![],
        digests: vec![],
        size: number as u64,
        pinned: false,
        readable: true,
    };
    let images: Vec<Known> = (0..number).map(image).collect();
    let mut records = Records::default();
    records.look(&images, &InUse::default(), NOW);
    records.kept().clone()
}

const WRITER: &str = "CRIGC_TEST_WRITES_RECORDS";
const ENDPOINT: &str = "unix:///run/test.sock";

/// Not a test of its own: what the tests below start as a process, to kill it or to watch it.
#[test]
fn the_process_that_writes() {
    let Some(path) = std::env::var_os(WRITER) else {
        return;
    };
    let times: usize = std::env::var("CRIGC_TEST_TIMES").map_or(usize::MAX, |n| n.parse().unwrap());
    let mut file = hold(path.to_str().unwrap());
    let sets = [records_of(200), records_of(400)];
    for turn in 0..times {
        file.write(&sets[turn % 2], NOW).unwrap();
    }
}

fn writer(path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "records_writer::the_process_that_writes",
            "--test-threads",
            "1",
        ])
        .env(WRITER, path)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// S5.1: killed at any moment, the writer leaves the old file or the new one.
#[test]
fn s5_1_a_kill_at_any_moment_leaves_a_whole_file() {
    let mut rules = Rules::default();
    let place = Place::new();
    hold(&place.text()).write(&records_of(200), NOW).unwrap();
    let (mut hit, kills) = (0, 60);
    for kill in 0..kills {
        rules.case("S5.1");
        let mut child = writer(&place.path("")).spawn().unwrap();
        // Until it is at work; then some time more, another one each time.
        while !fs::read_to_string(place.path(".lock"))
            .is_ok_and(|holder| holder.contains(&format!(" {} ", child.id())))
        {
            assert_eq!(child.try_wait().unwrap(), None);
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(1500 + 137 * kill));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        // An unfinished file is still there under its temporary name.
        hit += usize::from(place.path(".new").exists());
        let bytes = fs::read(place.path("")).unwrap();
        let records = parse(&bytes, ENDPOINT, NOW).unwrap();
        assert!(
            records == records_of(200) || records == records_of(400),
            "kill {kill}"
        );
        // The lock was released with the process.
        let mut next = RecordsFile::hold(&place.text(), ENDPOINT, false).unwrap();
        assert!(next.load(NOW).unwrap().is_some());
    }
    println!("{hit} of {kills} kills hit a write");
    assert!(hit > 0);
}

/// S5.1: the bytes are on the disk before they get the name, and the name is before the write is over.
#[test]
fn s5_1_what_is_written_is_synced_before_it_is_renamed() {
    let mut rules = Rules::default();
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "there is no strace");
        return println!("skipped: the order of system calls, there is no strace");
    }
    rules.case("S5.1");
    let place = Place::new();
    let writer = writer(&place.path(""));
    let trace = place.path(".trace");
    let traced = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-e",
            "trace=write,fsync,fdatasync,rename,renameat,renameat2",
            "-o",
        ])
        .arg(&trace)
        .arg(writer.get_program())
        .args(writer.get_args())
        .env(WRITER, place.path(""))
        .env("CRIGC_TEST_TIMES", "2")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(traced.success());
    let trace = fs::read_to_string(trace).unwrap();
    let folder = place.folder.path().canonicalize().unwrap();
    let folder = folder.to_str().unwrap();
    let mut steps: Vec<&str> = Vec::new();
    for line in trace.lines().filter(|line| line.contains(folder)) {
        let step = match line {
            _ if line.contains("write(") && line.contains("records.new>") => "write",
            _ if line.contains("sync(") && line.contains("records.new>") => "sync the file",
            _ if line.contains("rename") => "rename",
            _ if line.contains("sync(") && line.contains(&format!("<{folder}>")) => {
                "sync the folder"
            }
            _ => continue,
        };
        if steps.last() != Some(&step) {
            steps.push(step);
        }
    }
    let once = ["write", "sync the file", "rename", "sync the folder"];
    assert_eq!(steps, [once, once].concat(), "{trace}");
}

/// An entry in the place of the lock that is not a lock is neither waited for nor written.
#[test]
fn s5_1_a_lock_that_is_not_a_file_is_refused() {
    let place = Place::new();
    let made = Command::new("mkfifo").arg(place.path(".lock")).status();
    assert!(made.unwrap().success());
    let error = RecordsFile::hold(&place.text(), ENDPOINT, false).unwrap_err();
    assert_eq!(error.status, crigc::error::Status::Io);
    assert!(
        error
            .message
            .contains("records.lock: it is not a regular file"),
        "{error}"
    );
}
