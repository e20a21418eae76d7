//! The C programs with several threads under ThreadSanitizer, which sees all of crigc and its dependencies. Of the standard library
//! it sees nothing: `c/std_locks.c` tells it of its locks, and the fence before an `Arc` is freed is the one thing it does not know.

use crisim::Options;
use crisim::fault::{Action, Fault};
use ffi_tests::simulated::without_files;
use ffi_tests::{has, root, run, skip};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Far above what any run takes.
const WATCHDOG: Duration = Duration::from_secs(120);
const TARGET: &str = "x86_64-unknown-linux-gnu";

fn done(command: &mut Command) -> String {
    let output = command.output().expect("a command");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The static library with ThreadSanitizer in it; the standard library comes without.
fn library() -> PathBuf {
    done(
        Command::new(env!("CARGO"))
            .args(["rustc", "-q", "-p", "crigc", "--release"])
            .args(["--crate-type", "staticlib"])
            .args(["--target", TARGET, "--target-dir", "target/tsan"])
            .env("RUSTC_BOOTSTRAP", "1")
            .env(
                "RUSTFLAGS",
                "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
            )
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .current_dir(root()),
    );
    root().join(format!("target/tsan/{TARGET}/release/libcrigc.a"))
}

/// The functions of the standard library that take a lock, by the name that `c/std_locks.c` has for it, and the ends of the real names.
const LOCKS: [(&str, &str); 5] = [
    ("MUTEX_LOCK", "5mutex5futexNtB2_5Mutex14lock_contended"),
    ("READ_LOCK", "6rwlock5futexNtB2_6RwLock14read_contended"),
    ("WRITE_LOCK", "6rwlock5futexNtB2_6RwLock15write_contended"),
    ("WAIT", "7condvar5futexNtB2_7Condvar4wait"),
    ("WAIT_TIMEOUT", "7condvar5futexNtB2_7Condvar12wait_timeout"),
];

/// Their real names in a library.
fn real_names(library: &Path) -> Vec<(&'static str, String)> {
    let symbols = done(Command::new("nm").arg(library));
    let real = |end: &str| {
        let mut names = symbols.split_whitespace();
        let found = names.find(|name| name.starts_with("_R") && name.ends_with(end));
        found.unwrap_or_else(|| panic!("no {end}")).to_owned()
    };
    LOCKS.iter().map(|(name, end)| (*name, real(end))).collect()
}

fn object(name: &str, flags: &[String]) -> PathBuf {
    let object = root().join(format!("target/tsan/{name}.o"));
    done(
        Command::new("clang")
            .args(["-g", "-std=c99", "-Wall", "-Wextra", "-Werror", "-Iinclude"])
            .args(flags)
            .arg("-c")
            .arg(format!("ffi-tests/c/{name}.c"))
            .arg("-o")
            .arg(&object)
            .current_dir(root()),
    );
    object
}

/// With the runtime of rustc, whose LLVM is newer than that of the C compiler.
fn program(name: &str, library: &Path, runtime: &Path) -> PathBuf {
    let locks = real_names(library);
    let defines = locks.iter().map(|(name, real)| format!("-D{name}={real}"));
    let wraps = locks.iter().map(|(_, real)| format!("-Wl,--wrap={real}"));
    let program = root().join("target/tsan").join(name);
    done(
        Command::new("clang")
            .args(["-no-pie", "-rdynamic"])
            .arg(object(name, &["-fsanitize=thread".to_owned()]))
            .arg(object("std_locks", &defines.collect::<Vec<_>>()))
            .args(wraps)
            .arg(library)
            .arg("-Wl,--whole-archive")
            .arg(runtime)
            .arg("-Wl,--no-whole-archive")
            .args(["-lstdc++", "-lm", "-o"])
            .arg(&program),
    );
    program
}

#[test]
fn thread_sanitizer_finds_nothing_but_a_race_that_is_there() {
    let sysroot = done(Command::new("rustc").args(["--print", "sysroot"]));
    let runtime = format!("{sysroot}/lib/rustlib/{TARGET}/lib/librustc-stable_rt.tsan.a");
    if !has("clang") || !Path::new(&runtime).exists() {
        return skip("clang is not installed, or rustc has no ThreadSanitizer here");
    }
    let library = library();
    let suppressions = root().join("target/tsan/suppressions");
    std::fs::write(&suppressions, "race:drop_slow\n").expect("a writable target folder");
    let options = format!("suppressions={}", suppressions.display());
    let good = without_files(Options::default());
    let bad = without_files(Options {
        faults: ["RemoveContainer", "StopContainer", "RemoveImage"]
            .map(|method| Fault::all(method, Action::Hang))
            .to_vec(),
        ..Options::default()
    });
    let (good, bad) = (good.endpoint(), bad.endpoint());
    let rounds = "200".to_owned();
    let locked = "locked".to_owned();
    let cases = [
        ("closing", vec![rounds.clone()], true),
        ("passes", vec![good.clone(), bad], true),
        ("counts", vec![good.clone(), rounds.clone(), locked], true),
        ("counts", vec![good, rounds], false),
    ];
    for (name, arguments, clean) in cases {
        let program = program(name, &library, Path::new(&runtime));
        let mut command = Command::new(program);
        command.args(&arguments).env("TSAN_OPTIONS", &options);
        let out = run(&mut command, WATCHDOG);
        let error = String::from_utf8_lossy(&out.stderr);
        println!("{name}: {}", out.status);
        assert_eq!(out.status.success(), clean, "{name} {arguments:?}: {error}");
        let found = error.contains("ThreadSanitizer: data race");
        assert_eq!(found, !clean, "{name} {arguments:?}: {error}");
    }
}
