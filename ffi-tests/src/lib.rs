//! Helpers for the tests of the C interface: the static library, C programs against it, and running them under a watchdog.

pub mod containerd;
pub mod crio;
pub mod filesystem;
pub mod image;
pub mod kubelet;
pub mod process;
pub mod promtool;
pub mod registry;
pub mod runtime;
pub mod simulated;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The top of the tree.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The static library: the one that CRIGC_STATIC_LIBRARY names, else built once.
pub fn static_library() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| match std::env::var_os("CRIGC_STATIC_LIBRARY") {
        Some(path) => path.into(),
        None => {
            let status = Command::new(root().join("packaging/library.sh")).status();
            assert!(
                status.is_ok_and(|s| s.success()),
                "the library does not build"
            );
            root().join("target/library/libcrigc.a")
        }
    });
    built.clone()
}

/// The same with places that can be made to panic, built as fast as possible.
pub fn panicking_library() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args(["rustc", "-q", "-p", "crigc", "--crate-type", "staticlib"])
            .args(["--features", "panic-points"])
            .current_dir(root())
            .status();
        assert!(
            status.is_ok_and(|s| s.success()),
            "the static library does not build"
        );
        root().join("target/debug/libcrigc.a")
    });
    built.clone()
}

/// An archive of cargo's, made into one object as `packaging/library.sh` does.
pub fn packed(archive: &Path) -> PathBuf {
    let folder = root().join("target/ffi-tests");
    std::fs::create_dir_all(&folder).expect("a writable target folder");
    let library = folder.join("packed.a");
    let status = Command::new(root().join("packaging/object.sh"))
        .args([archive, &library])
        .status();
    assert!(status.is_ok_and(|s| s.success()), "it cannot be packed");
    library
}

/// Whether a command exists.
pub fn has(command: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {command}")])
        .stdout(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

/// Says that a test was skipped, and why; where CI=true it fails instead.
pub fn skip(why: &str) {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "cannot be skipped in CI: {why}"
    );
    println!("skipped: {why}");
}

/// Builds a program of `sources` (paths from the top of the tree) against header and library.
pub fn compile(name: &str, compiler: &str, sources: &[&str], flags: &[&str]) -> PathBuf {
    compile_with(&static_library(), name, compiler, sources, flags)
}

/// The same with another library.
pub fn compile_with(
    library: &Path,
    name: &str,
    compiler: &str,
    sources: &[&str],
    flags: &[&str],
) -> PathBuf {
    let folder = root().join("target/ffi-tests");
    std::fs::create_dir_all(&folder).expect("a writable target folder");
    let program = folder.join(name);
    let output = Command::new(compiler)
        .args([
            "-g",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Wconversion",
            "-Werror",
            "-Iinclude",
            "-Iffi-tests/c",
        ])
        .args(flags)
        .args(sources)
        .arg(library)
        .arg("-Wl,--gc-sections")
        .arg("-o")
        .arg(&program)
        .current_dir(root())
        .output()
        .expect("a C compiler");
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    program
}

/// Runs a program; one that is not done after `limit` is killed, and the test fails.
pub fn run(command: &mut Command, limit: Duration) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let id = child.id();
    let began = Instant::now();
    let (done, is_done) = std::sync::mpsc::channel();
    let watchdog = std::thread::spawn(move || {
        if is_done.recv_timeout(limit).is_err()
            && let Some(id) = i32::try_from(id)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
        {
            // It may have ended just now; nothing else has its ID before it is waited for below.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
        }
    });
    let mut error = child.stderr.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut error, &mut text).map(|_| text)
    });
    let mut stdout = Vec::new();
    let mut out = child.stdout.take().expect("piped");
    std::io::Read::read_to_end(&mut out, &mut stdout).expect("readable");
    let status = child.wait().expect("it ends");
    // The watchdog may have ended already.
    let _ = done.send(());
    watchdog.join().expect("the watchdog");
    let stderr = reader.join().expect("the reader").expect("readable");
    assert!(
        began.elapsed() < limit,
        "not done after {limit:?}: {}",
        String::from_utf8_lossy(&stderr)
    );
    Output {
        status,
        stdout,
        stderr,
    }
}

/// Runs a program that checks itself.
pub fn check(command: &mut Command) -> String {
    let output = run(command, Duration::from_secs(120));
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?}: {}\n{out}\n{error}",
        output.status
    );
    out.into_owned()
}
