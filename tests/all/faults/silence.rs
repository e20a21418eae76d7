//! A runtime that does not answer, one whose calls of one kind hang, one that says very much, and a socket that is none (S6.5, S0.6): how
//! soon a pass ends, and how often it is reported.

use crigc::config::Settings;
use crigc::engine::{Engine, PassEnd, PassOptions};
use crigc::error::Status;
use crigc::hooks::Hooks;
use crigc::report::{Kind, Outcome};
use crisim::fault::{Action, Fault};
use crisim::node::Word;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use test_support::bench::{Bench, INTERNAL, Maker, fate, id, sandbox_id, there};
use test_support::images;
use test_support::rules::Rules;

const SOON: (&str, &str) = ("runtime-request-timeout", "300ms");
const ALL_UNUSED: PassOptions = PassOptions {
    all_unused: true,
    ..PassOptions::PLAIN
};

/// Twelve sandboxes to remove, a dead link of an unknown container, and a dead container.
fn sandboxes() -> Maker {
    let mut maker = Maker::new();
    for n in 0..12 {
        maker.sandbox(&format!("g{n:02}"), 0, Word::NotReady);
    }
    maker.restarted("u1", 3);
    symlink("/nowhere", maker.path("links/p_n_c-0123456789.log")).unwrap();
    maker
}

/// "Ten in a row" is counted for each kind of call.
#[test]
fn s6_5_what_hangs_is_counted_for_each_kind_of_call() {
    let mut rules = Rules::default();
    for method in ["StopPodSandbox", "RemovePodSandbox"] {
        rules.case("S6.5");
        let mut maker = sandboxes();
        let hangs = Fault::all(method, Action::Hang);
        maker.options.faults.push(hangs);
        let bench = maker.start();
        (0..12).for_each(|n| bench.host.remove_pod(&format!("g{n:02}")));
        let end = bench.collect(&[SOON], PassOptions::default());
        let report = end.report.unwrap();
        let count = |outcome| report.count(Some(Kind::Sandbox), Some(outcome));
        assert_eq!((count(Outcome::Failed), count(Outcome::Removed)), (10, 0));
        assert_eq!(fate(&report, &sandbox_id("g11", 0)).1, "not-reached");
        assert_eq!(bench.calls(method).len(), 10);
        // The dead link gets its verdict.
        let link = bench.path("links/p_n_c-0123456789.log");
        let (outcome, reason, _) = fate(&report, link.to_str().unwrap());
        assert_eq!((outcome, reason), (Outcome::Removed, "dead-link"));
        assert!(!there(&link));
        let error = end.error.expect("it gave up");
        assert_eq!(error.status, Status::Timeout, "{error}");
        assert!(error.message.contains(method), "{error}");
    }
}

/// A runtime that answers no call of all.
fn mute(bench: &Bench) {
    let hangs = Fault::all("*", Action::Hang);
    bench.server.renew(bench.server.state(), vec![hangs]);
}

fn methods(bench: &Bench) -> Vec<&'static str> {
    let mut methods: Vec<_> = bench.server.trace().iter().map(|c| c.method).collect();
    methods.sort();
    methods
}

fn told_once(end: &PassEnd) {
    let error = end.error.as_ref().expect("nothing answers");
    assert_eq!(error.status, Status::Timeout, "{error}");
    let told = error.message.matches("no answer within").count();
    assert_eq!(told, 1, "{error}");
}

/// After one request timeout no further call is made, where nothing has ever been answered.
#[test]
fn s6_5_a_runtime_that_never_answered_is_asked_no_further() {
    let mut rules = Rules::default();
    let mut maker = sandboxes();
    maker.options.streams = true;
    let bench = maker.start();
    // Containers and sandboxes are asked for beside each other, images after the containers.
    for (images, expected) in [
        (false, &["StreamContainers", "StreamPodSandboxes"][..]),
        (true, &["StreamContainers"]),
    ] {
        rules.case("S6.5");
        mute(&bench);
        let mut hooks = bench.hooks();
        hooks.image_fs = images::Host::new(1000, 0).hooks(true).image_fs;
        let engine = bench.engine(&[SOON], hooks);
        let end = if images {
            engine.images(ALL_UNUSED, None)
        } else {
            engine.containers(PassOptions::default(), None)
        };
        told_once(&end);
        assert_eq!(methods(&bench), expected);
    }
}

/// An answer that a runtime gives without looking at what it has, to Version or to a call that it does not know, is none.
#[test]
fn s6_5_a_runtime_that_answers_only_trivial_calls_is_asked_no_further() {
    let mut rules = Rules::default();
    let no_such_call = Action::Code(12, "unknown method".to_owned());
    let streams = ["StreamContainers", "StreamPodSandboxes", "StreamImages"];
    let without_streams = || streams.map(|method| Fault::all(method, no_such_call.clone()));
    let table: [(bool, bool, &[&str]); 4] = [
        (
            false,
            false,
            &[
                "ListContainers",
                "ListPodSandbox",
                "StreamContainers",
                "StreamPodSandboxes",
            ],
        ),
        (
            false,
            true,
            &["ListContainers", "ListPodSandbox", "Version"],
        ),
        (true, false, &["ListContainers", "StreamContainers"]),
        (true, true, &["ListContainers", "Version"]),
    ];
    for (images, has_learnt, expected) in table {
        rules.case("S6.5");
        let mut maker = sandboxes();
        maker.options.faults.extend(without_streams());
        let bench = maker.start();
        let mut hooks = bench.hooks();
        hooks.image_fs = images::Host::new(1000, 0).hooks(true).image_fs;
        let engine = bench.engine(&[SOON], hooks);
        let pass = || {
            if images {
                engine.images(ALL_UNUSED, None)
            } else {
                engine.containers(PassOptions::default(), None)
            }
        };
        if has_learnt {
            assert_eq!(pass().error, None);
        }
        let mut faults = without_streams().to_vec();
        let hang = [
            "ListContainers",
            "ListPodSandbox",
            "ListImages",
            "ContainerStatus",
        ];
        faults.extend(hang.map(|method| Fault::all(method, Action::Hang)));
        bench.server.renew(bench.server.state(), faults);
        let end = pass();
        told_once(&end);
        assert_eq!(methods(&bench), expected, "{images} {has_learnt}");
    }
}

/// The Version call at the beginning of a pass is one of them.
#[test]
fn s6_5_a_version_call_that_hangs_ends_the_pass() {
    let mut rules = Rules::default();
    for images in [false, true] {
        for method in ["*", "Version"] {
            rules.case("S6.5");
            let bench = sandboxes().start();
            let mut hooks = bench.hooks();
            hooks.image_fs = images::Host::new(1000, 0).hooks(true).image_fs;
            let engine = bench.engine(&[SOON], hooks);
            let pass = || {
                if images {
                    engine.images(ALL_UNUSED, None)
                } else {
                    engine.containers(PassOptions::default(), None)
                }
            };
            // It finds out that there are no streams.
            assert_eq!(pass().error, None);
            bench
                .server
                .renew(bench.server.state(), vec![Fault::all(method, Action::Hang)]);
            let end = pass();
            told_once(&end);
            assert_eq!(methods(&bench), ["Version"], "{method} hangs");
        }
    }
}

/// A message of the runtime is cut and kept, however long; no other call suffers.
#[test]
fn s0_6_a_long_message_of_the_runtime_is_cut_and_kept() {
    let mut rules = Rules::default();
    for bytes in [20 << 10, 200 << 10, 2 << 20] {
        rules.case("S0.6");
        let text = format!("device busy: {}", "x".repeat(bytes));
        let mut maker = Maker::new();
        for n in 0..12 {
            maker.container("u1", &format!("c{n:02}"), 0, Word::Exited);
        }
        let failing = id("u1", "c03", 0);
        maker.fault(
            "RemoveContainer",
            &failing,
            Action::Code(INTERNAL, text.clone()),
        );
        let bench = maker.start();
        let keys = [
            ("maximum-dead-containers-per-container", "0"),
            ("max-parallel-removals", "4"),
        ];
        let report = bench.collected(&keys);
        let (outcome, _, error) = fate(&report, &failing);
        assert_eq!(outcome, Outcome::Failed);
        assert!(error.contains("device busy: xxx"), "{}", error.len());
        assert!(error.len() < 6 << 10, "{}", error.len());
        assert!(error.contains(&text.len().to_string()), "how long it was");
        assert!(!error.contains("not CRI"), "{error}");
        assert_eq!(report.count(None, Some(Outcome::Removed)), 11);
        // The same of a list, whose words a pass fails with.
        let broken = Action::Code(INTERNAL, text);
        bench
            .server
            .set_faults(vec![Fault::all("ListContainers", broken)]);
        let end = bench.collect(&keys, PassOptions::default());
        let error = end.error.unwrap();
        assert_eq!(error.status, Status::Runtime);
        assert!(error.message.contains("device busy: xxx"));
        assert!(error.message.len() < 12 << 10, "{}", error.message.len());
        assert!(!error.message.contains("not CRI"), "{error}");
    }
}

/// If a runtime's own words are like those of crigc about a broken answer, they are reported as the runtime's: the advice is not to use
/// another socket, and the next container does not cost a call that checks the runtime.
#[test]
fn s0_6_a_runtime_that_speaks_of_protocols_is_one() {
    let mut rules = Rules::default();
    let cases = [
        (INTERNAL, "failed to decode the state"),
        (INTERNAL, "pull: h2 protocol error: http2 error"),
        (2, "failed to decode Protobuf message: unexpected end"),
        (2, "the answer has the HTTP status 404 Not Found"),
        (2, "the answer is too large: 9 bytes, the limit is 8"),
        (11, "the message length is too large: no bytes"),
        (
            11,
            "the message length is too large: 9 bytes, where 8 are taken",
        ),
        (10, "the list broke off after 1 rows"),
    ];
    for (code, words) in cases {
        rules.case("S0.6");
        let mut maker = Maker::new();
        maker.container("u1", "app", 0, Word::Exited);
        maker.container("u1", "web", 0, Word::Exited);
        maker.fault(
            "RemoveContainer",
            &id("u1", "app", 0),
            Action::Code(code, words.to_owned()),
        );
        let bench = maker.start();
        let report = bench.collected(&[("maximum-dead-containers-per-container", "0")]);
        let (outcome, _, error) = fate(&report, &id("u1", "app", 0));
        assert_eq!(outcome, Outcome::Failed);
        assert!(
            error.contains(words) && !error.contains("not CRI"),
            "{error}"
        );
        assert!(error.ends_with("; see the runtime's log"), "{error}");
        assert_eq!(fate(&report, &id("u1", "web", 0)).0, Outcome::Removed);
        assert_eq!(bench.calls("ContainerStatus").len(), 0, "{words}");
        // The same as the first that is heard of it: it is asked on.
        let answer = Action::Code(code, words.to_owned());
        bench.server.set_faults(vec![Fault::all("*", answer)]);
        let end = bench.collect(&[], PassOptions::default());
        let error = end.error.unwrap();
        assert_eq!(error.status, Status::Runtime, "{error}");
        assert!(
            error.message.contains(words) && !error.message.contains("not CRI"),
            "{error}"
        );
        assert!(!error.message.contains("cannot ask the runtime"), "{error}");
        assert!(!error.message.contains("is the socket of"), "{error}");
    }
    // The runtime's own message is not about the connection.
    let mut maker = Maker::new();
    maker.container("u1", "app", 0, Word::Exited);
    let words = "cannot connect again: the shim is gone";
    let failing = id("u1", "app", 0);
    maker.fault("RemoveContainer", &failing, Action::Code(14, words.into()));
    let bench = maker.start();
    let report = bench.collected(&[("maximum-dead-containers-per-container", "0")]);
    let (_, _, error) = fate(&report, &failing);
    let says = "the runtime says that it is unavailable: cannot connect again: the shim is gone";
    assert!(error.contains(says), "{error}");
}

/// A listener that answers every connection with these bytes; how many there were.
fn listener(socket: &std::path::Path, answer: &'static [u8]) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let _ = stream.write_all(answer);
                let mut nowhere = [0; 1024];
                while stream.read(&mut nowhere).is_ok_and(|n| n > 0) {}
            });
        }
    });
    connections
}

/// One cause gives one error: a socket that does not speak CRI is reported once, and gets no more calls.
#[test]
fn s6_4_a_socket_that_does_not_speak_cri_is_reported_once() {
    let mut rules = Rules::default();
    let top = tempfile::TempDir::new().unwrap();
    for dir in ["pods", "links"] {
        std::fs::create_dir(top.path().join(dir)).unwrap();
    }
    std::fs::create_dir(top.path().join("pods/a_b_c")).unwrap();
    symlink("/nowhere", top.path().join("links/p_n_c-0123456789.log")).unwrap();
    let old = crisim::Server::start(
        crisim::node::Node::default(),
        crisim::Options {
            only_v1alpha2: true,
            ..Default::default()
        },
    )
    .unwrap();
    let http = top.path().join("http.sock");
    let noise = top.path().join("noise.sock");
    let silent = top.path().join("silent.sock");
    listener(
        &http,
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request",
    );
    listener(&noise, &[0xa5; 64]);
    listener(&silent, b"");
    for (socket, status, says) in [
        (http.as_path(), Status::Runtime, "CRI"),
        (&noise, Status::Runtime, "CRI"),
        (old.socket(), Status::Runtime, "CRI v1"),
        (&silent, Status::Timeout, "no answer within"),
    ] {
        rules.case("S6.4");
        let mut settings = Settings::default();
        let (pods, links) = (top.path().join("pods"), top.path().join("links"));
        for (key, value) in [
            ("container-runtime-endpoint", socket),
            ("pod-logs-dir", &pods),
            ("container-logs-dir", &links),
        ] {
            settings.set(key, value.to_str().unwrap()).unwrap();
        }
        settings.set(SOON.0, "1s").unwrap();
        let engine = Engine::new(settings.config(), Hooks::default()).unwrap();
        for end in [
            engine.containers(PassOptions::default(), None),
            engine.images(ALL_UNUSED, None),
        ] {
            let error = end.error.unwrap();
            assert_eq!(error.status, status, "{error}");
            let told = error.message.matches(socket.to_str().unwrap()).count();
            assert_eq!(told, 1, "{error}");
            assert!(error.message.contains(says), "{error}");
            assert!(error.message.len() < 400, "{error}");
        }
    }
    assert!(there(&top.path().join("pods/a_b_c")));
}
