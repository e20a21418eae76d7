//! A host that connects to the runtime itself: the C interface, and the example.

use crisim::{Options, Server};
use ffi_tests::simulated::with_deleted_pods;
use ffi_tests::{check, compile, run};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

/// Far above what any run takes.
const WATCHDOG: Duration = Duration::from_secs(60);

fn socket(server: &Server) -> String {
    let endpoint = server.endpoint();
    endpoint.trim_start_matches("unix://").to_owned()
}

#[test]
fn a_host_connects_and_crigc_owns_its_descriptors() {
    let flags = ["-std=c99", "-fsanitize=address", "-fno-omit-frame-pointer"];
    let program = compile("connect-asan", "cc", &["ffi-tests/c/connect.c"], &flags);
    let server = with_deleted_pods(Options::default());
    let out = check(Command::new(program).arg(socket(&server)));
    if out.contains("no vsock") {
        // No package brings it: the kernel has it or not.
        println!("skipped: this kernel has no loopback of vsock");
    }
}

/// Listens on loopback, and puts each client through to the runtime.
fn by_tcp(server: &Server) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let runtime = socket(server);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, runtime) = (
                client.expect("a client"),
                UnixStream::connect(&runtime).expect("the runtime"),
            );
            let mut there = (
                client.try_clone().expect("a copy"),
                runtime.try_clone().expect("a copy"),
            );
            let mut back = (runtime, client);
            std::thread::spawn(move || {
                // An error is an end, too.
                let _ = std::io::copy(&mut there.0, &mut there.1);
                let _ = there.1.shutdown(Shutdown::Both);
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut back.0, &mut back.1);
                let _ = back.1.shutdown(Shutdown::Both);
            });
        }
    });
    format!("tcp:127.0.0.1:{port}")
}

#[test]
fn the_example_collects_by_a_path_and_by_tcp() {
    let program = compile(
        "connect-example",
        "cc",
        &["examples-c/connect.c"],
        &["-std=c99"],
    );
    let server = with_deleted_pods(Options::default());
    let collect = |address: &str, more: &[&str]| {
        let mut command = Command::new(&program);
        command.args([address, "pod-logs-dir=", "container-logs-dir="]);
        let output = run(command.args(more), WATCHDOG);
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let tcp = by_tcp(&server);
    let (code, dry, error) = collect(&socket(&server), &[]);
    assert_eq!((code, &*error), (Some(0), ""));
    let removed = |out: &str| {
        let lines = out.lines().filter(|line| line.starts_with("removed "));
        lines.count()
    };
    assert!(removed(&dry) > 0, "{dry}");
    assert_eq!(collect(&tcp, &[]), (Some(0), dry.clone(), String::new()));
    let before = server.state().containers.len();
    let (code, out, error) = collect(&tcp, &["--apply"]);
    assert_eq!((code, removed(&out), &*error), (Some(0), removed(&dry), ""));
    assert!(server.state().containers.len() < before);
    for nowhere in ["/nonexistent/x.sock", "tcp:127.0.0.1:1", "pigeon:a:b", "x"] {
        let (code, _, error) = collect(nowhere, &[]);
        let says = format!(
            "GC_ERROR_UNAVAILABLE: cannot connect to {nowhere}: the connect callback has no connection"
        );
        assert!(code == Some(1) && error.contains(&says), "{error}");
    }
}
