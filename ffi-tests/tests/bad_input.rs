//! Bad input: each gives the right status and a message that names the thing, the cause and the way out, and nothing hangs
//! longer than the request timeout.

use crisim::fault::{Action, Fault};
use crisim::node::Node;
use crisim::{Options, Server};
use ffi_tests::{compile, has, run, skip};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// Far above what any run takes.
const WATCHDOG: Duration = Duration::from_secs(60);

fn program() -> std::path::PathBuf {
    static BUILT: std::sync::OnceLock<std::path::PathBuf> = std::sync::OnceLock::new();
    BUILT
        .get_or_init(|| compile("hopeless", "cc", &["ffi-tests/c/hopeless.c"], &["-std=c99"]))
        .clone()
}

/// Runs it with keys and values, behind `wrapper`; status and message must be as wanted.
fn expect(wrapper: &[&str], settings: &[&str], status: &str, parts: &[&str]) {
    let program = program();
    let mut words: Vec<&str> = wrapper.to_vec();
    words.push(program.to_str().expect("UTF-8"));
    words.extend(settings);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    let began = Instant::now();
    let output = run(&mut command, WATCHDOG);
    // `at` sets a request timeout of 1 s; less than the 2 minutes that would be waited without it.
    assert!(began.elapsed() < Duration::from_secs(50), "{settings:?}");
    let out = String::from_utf8_lossy(&output.stdout);
    let (told, message) = out.split_once('\n').unwrap_or((&out, ""));
    assert_eq!(told, status, "{settings:?}: {message}");
    for part in parts {
        assert!(
            message.contains(part),
            "{settings:?}: `{part}` is not in: {message}"
        );
    }
}

fn at(endpoint: &str, status: &str, parts: &[&str]) {
    let settings = [
        "container-runtime-endpoint",
        endpoint,
        "runtime-request-timeout",
        "1s",
        "pod-logs-dir",
        "",
        "container-logs-dir",
        "",
    ];
    expect(&[], &settings, status, parts);
}

#[test]
fn a_socket_that_is_not_there() {
    at(
        "unix:///nonexistent/x.sock",
        "GC_ERROR_UNAVAILABLE",
        &[
            "unix:///nonexistent/x.sock",
            "No such file",
            "start the runtime",
        ],
    );
}

#[test]
fn a_file_that_is_not_a_socket() {
    at(
        "/etc/passwd",
        "GC_ERROR_UNAVAILABLE",
        &[
            "/etc/passwd: it is not a socket",
            "set container-runtime-endpoint",
        ],
    );
}

#[test]
fn a_socket_without_a_listener() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("left.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    let path = path.to_str().expect("UTF-8");
    at(
        path,
        "GC_ERROR_UNAVAILABLE",
        &[path, "no process listens on it", "start the runtime"],
    );
}

#[test]
fn the_image_services_socket_is_named_by_its_own_key() {
    let settings = [
        "images",
        "",
        "image-service-endpoint",
        "/nonexistent/images.sock",
    ];
    let parts = ["/nonexistent/images.sock", "set image-service-endpoint"];
    expect(&[], &settings, "GC_ERROR_UNAVAILABLE", &parts);
}

#[test]
fn a_socket_that_never_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("silent.sock");
    let _listener = UnixListener::bind(&path).expect("a socket");
    let path = path.to_str().expect("UTF-8");
    at(
        path,
        "GC_ERROR_TIMEOUT",
        &[path, "runtime-request-timeout (1s)", "hangs"],
    );
}

#[test]
fn a_full_backlog() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("full.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    rustix::net::listen(&listener, 0).expect("a short backlog");
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            rustix::net::SocketFlags::NONBLOCK,
            None,
        );
        let socket = socket.expect("a socket");
        let address = rustix::net::SocketAddrUnix::new(&path).expect("a short path");
        if rustix::net::connect(&socket, &address).is_err() {
            break;
        }
        waiting.push(UnixStream::from(socket));
    }
    assert!(waiting.len() < 64, "the backlog never fills");
    let path = path.to_str().expect("UTF-8");
    at(path, "GC_ERROR_TIMEOUT", &[path, "backlog", "1s"]);
}

#[test]
fn a_socket_that_may_not_be_opened() {
    if !has("setpriv") || !rustix::process::geteuid().is_root() {
        return skip("only root can become an unprivileged user, with setpriv");
    }
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("mine");
    let socket = folder.path().join("root.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).expect("mine");
    // Only root may be able to read the build tree, so the program is copied.
    let copy = folder.path().join("hopeless");
    std::fs::copy(program(), &copy).expect("a copy");
    let output = run(
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy)
            .args([
                "container-runtime-endpoint",
                socket.to_str().expect("UTF-8"),
            ]),
        WATCHDOG,
    );
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.starts_with("GC_ERROR_UNAVAILABLE\n"), "{out}");
    assert!(
        out.contains("Permission denied") && out.contains("run as a user"),
        "{out}"
    );
}

fn crisim(options: Options) -> Server {
    Server::start(Node::default(), options).expect("a socket")
}

#[test]
fn a_runtime_that_speaks_only_v1alpha2() {
    let old = crisim(Options {
        only_v1alpha2: true,
        ..Options::default()
    });
    at(
        &old.endpoint(),
        "GC_ERROR_RUNTIME",
        &[&old.endpoint(), "runtime.v1.RuntimeService", "CRI v1"],
    );
}

#[test]
fn a_runtime_that_answers_with_garbage() {
    let faults = vec![Fault::all("*", Action::Garbage)];
    let noise = crisim(Options {
        faults,
        ..Options::default()
    });
    at(
        &noise.endpoint(),
        "GC_ERROR_RUNTIME",
        &[&noise.endpoint(), "not CRI", "container-runtime-endpoint"],
    );
}

#[test]
fn a_list_that_does_not_fit_a_message() {
    let small = crisim(Options {
        message_limit: 0,
        ..Options::default()
    });
    small.edit(|node| {
        node.containers.push(crisim::node::Container {
            id: "a".into(),
            ..Default::default()
        })
    });
    at(
        &small.endpoint(),
        "GC_ERROR_RUNTIME",
        &["list containers", "too large", "max_send_message_size"],
    );
}

#[test]
fn values_that_are_wrong() {
    let cases: [(&[&str], &str, &[&str]); 6] = [
        (
            &["image-gc-high-threshold", "850"],
            "GC_ERROR_INVALID_ARGUMENT",
            &["`850`", "image-gc-high-threshold", "0 to 100"],
        ),
        (
            &["image-gc-high-threshold", "70"],
            "GC_ERROR_CONFIG",
            &[
                "image-gc-low-threshold (80)",
                "image-gc-high-threshold (70)",
            ],
        ),
        (
            &["pass-timeout", "30"],
            "GC_ERROR_INVALID_ARGUMENT",
            &["`30` has no unit", "pass-timeout", "1h30m"],
        ),
        (
            &["pod-logs-dir", "/var/log\n/pods"],
            "GC_ERROR_INVALID_ARGUMENT",
            &["pod-logs-dir", "control character \\n"],
        ),
        (
            &["max-dead-containers", "5"],
            "GC_ERROR_INVALID_ARGUMENT",
            &[
                "unknown key `max-dead-containers`",
                "maximum-dead-containers?",
            ],
        ),
        (
            &["container-runtime-endpoint", "http://x"],
            "GC_ERROR_CONFIG",
            &["`http`", "unix://PATH", "gc_config_set_connect"],
        ),
    ];
    for (settings, status, parts) in cases {
        expect(&[], settings, status, parts);
    }
}
