//! A directory that becomes a symlink while it is deleted: the target of the link is kept (S4.1,
//! S2.4). The same swaps make a deleter that uses paths delete the target. A binary of its own,
//! because its threads swap without a pause and leave nothing of the processors to tests that have
//! deadlines.

use crigc::fs::host_root::Root;
use crigc::fs::logs::{Names, OpenLogDir};
use crigc::fs::open_beneath::Means;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use test_support::rules::Rules;

/// Deletions during which a swap happened, at least: a deleter that follows links dies in one of a thousand. And the watchdog, far
/// above what they take.
const ENOUGH: usize = 6000;
const WATCHDOG: Duration = Duration::from_secs(1800);

/// A log directory, and outside of it a folder with files of the same names as the logs.
struct Place {
    top: TempDir,
    done: AtomicBool,
    swaps: AtomicUsize,
    /// Held while a swap, or its directories, are made: a swap that has found its names continues where they have moved.
    making: Mutex<()>,
    /// Somebody waits for the lock to make directories: the swapper, which hardly ever lets go, makes no swap then.
    wanted: AtomicBool,
}

/// Ends the swaps also where the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Place {
    fn new() -> Place {
        let top = TempDir::new().unwrap();
        for folder in ["pods", "outside/sub"] {
            fs::create_dir_all(top.path().join(folder)).unwrap();
        }
        let place = Place {
            top,
            done: AtomicBool::new(false),
            swaps: AtomicUsize::new(0),
            making: Mutex::new(()),
            wanted: AtomicBool::new(false),
        };
        place
            .canaries()
            .iter()
            .for_each(|path| fs::write(path, "keep").unwrap());
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    fn canaries(&self) -> [PathBuf; 3] {
        ["outside/0.log", "outside/0.log.1", "outside/sub/0.log"].map(|name| self.path(name))
    }

    fn is_alive(&self) -> bool {
        self.canaries().iter().all(|path| path.exists())
    }

    /// No swap is made while this is held.
    fn without_swaps(&self) -> MutexGuard<'_, ()> {
        self.wanted.store(true, Ordering::Relaxed);
        let making = self.making.lock().unwrap();
        self.wanted.store(false, Ordering::Relaxed);
        making
    }

    /// Puts a tree of logs there, and the link that takes its directory's place.
    fn build(&self) {
        let _making = self.without_swaps();
        let new = self.path("new");
        fs::create_dir_all(new.join("app/sub")).unwrap();
        for file in ["app/0.log", "app/0.log.1", "app/sub/0.log"] {
            fs::write(new.join(file), "x").unwrap();
        }
        // The swapper may have left either of them in the place of the link.
        let link = self.path("link");
        match fs::symlink_metadata(&link) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&link).unwrap(),
            Ok(_) => fs::remove_file(&link).unwrap(),
            Err(_) => {}
        }
        symlink(self.path("outside"), &link).unwrap();
        fs::rename(&new, self.path("pods/ns_pod_uid")).unwrap();
    }

    /// Takes away what a deletion has left.
    fn clear(&self) {
        let _making = self.without_swaps();
        let tree = self.path("pods/ns_pod_uid");
        // Out of the swapper's reach first: this deleter is not the one that is tested.
        if fs::rename(&tree, self.path("old")).is_ok() {
            fs::remove_dir_all(self.path("old")).unwrap();
        }
    }

    /// Swaps the directory and the link for as long as the test runs.
    fn swap(&self) {
        let (dir, link) = (self.path("pods/ns_pod_uid/app"), self.path("link"));
        while !self.done.load(Ordering::Relaxed) {
            if self.wanted.load(Ordering::Relaxed) {
                std::thread::yield_now();
                continue;
            }
            let _making = self.making.lock();
            if renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE).is_ok() {
                self.swaps.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Deletes again and again while directory and link are swapped, until that is enough; how many deletions saw a swap, and of how
    /// many.
    fn race(&self, delete: impl Fn(), enough: impl Fn(usize) -> bool) -> (usize, usize) {
        let (mut hit, mut all) = (0, 0);
        let began = Instant::now();
        self.done.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let _ends = Ends(&self.done);
            scope.spawn(|| self.swap());
            while !enough(hit) && began.elapsed() < WATCHDOG {
                self.build();
                let before = self.swaps.load(Ordering::Relaxed);
                delete();
                hit += usize::from(self.swaps.load(Ordering::Relaxed) > before);
                all += 1;
                self.clear();
            }
        });
        (hit, all)
    }
}

/// The simple way: checks what it is, then opens it by its path.
fn naive(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    for entry in fs::read_dir(path)? {
        naive(&entry?.path())?;
    }
    fs::remove_dir(path)
}

#[test]
fn s4_1_a_directory_that_becomes_a_link_is_not_followed() {
    let mut rules = Rules::default();
    for means in [Means::Openat2, Means::Walk] {
        for what in ["tree", "log"] {
            rules.case("S4.1");
            let place = Place::new();
            let pods = place.path("pods");
            let room = OpenLogDir::open(&Root::default(), pods.to_str().unwrap())
                .unwrap()
                .by(means);
            let log = place.path("pods/ns_pod_uid/app/0.log");
            let delete = || {
                // It may fail: the tree is not what it was.
                match what {
                    "tree" => drop(room.remove_tree(OsStr::new("ns_pod_uid"), &|| true)),
                    _ => drop(room.remove_log(log.to_str().unwrap(), Names::Fresh, &|| true)),
                }
            };
            let (hit, all) = place.race(delete, |hit| hit >= ENOUGH);
            println!("{what} by {means:?}: {hit} of {all} deletions saw a swap");
            assert!(hit >= ENOUGH);
            assert!(place.is_alive(), "{what} by {means:?}");
        }
    }
    // So that it is known that these swaps are deadly.
    let place = Place::new();
    let delete = || drop(naive(&place.path("pods/ns_pod_uid")));
    let (hit, all) = place.race(delete, |_| !place.is_alive());
    println!("a naive deleter killed the canary in deletion {all}, after {hit} that saw a swap");
    assert!(!place.is_alive());
}
