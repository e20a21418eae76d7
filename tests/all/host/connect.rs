//! A host that connects to the runtime itself (S0.11).

use crigc::engine::{Engine, PassEnd, PassOptions};
use crigc::error::Status;
use crigc::hooks::{Descriptor, Hook, Hooks, Service};
use crigc::report::{Entry, Kind, Outcome};
use crisim::fault::{Action, Fault};
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use test_support::bench::{Bench, DRY_RUN, Maker, alive_beside_gone, dead, fate, id};
use test_support::images;
use test_support::rules::Rules;

/// No path: only the host knows where that is.
const NAME: &str = "the runtime of VM 3";

/// What a stream goes through on its way to the runtime.
#[derive(Clone, Copy, Debug)]
enum Through {
    Nothing,
    PairOfSockets,
    Tcp,
}

/// Copies what comes from each side to the other, as a proxy does.
fn relay(one: UnixStream, other: UnixStream) {
    let copies = (one.try_clone().unwrap(), other.try_clone().unwrap());
    for (mut from, mut to) in [copies, (other, one)] {
        std::thread::spawn(move || {
            // An error is an end, too.
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

/// A stream socket behind which the runtime is.
fn stream(through: Through, runtime: &Path) -> OwnedFd {
    let runtime = UnixStream::connect(runtime).unwrap();
    match through {
        Through::Nothing => runtime.into(),
        Through::PairOfSockets => {
            let (ours, theirs) = UnixStream::pair().unwrap();
            relay(runtime, theirs);
            ours.into()
        }
        Through::Tcp => {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (theirs, _) = listener.accept().unwrap();
            // This type does with a TCP socket all that a relay needs.
            relay(runtime, OwnedFd::from(theirs).into());
            ours.into()
        }
    }
}

fn given(socket: impl Into<OwnedFd>) -> Option<Descriptor> {
    let socket = socket.into();
    Some(Descriptor {
        number: socket.as_raw_fd(),
        socket: Ok(socket),
    })
}

fn socket_of(bench: &Bench) -> PathBuf {
    let endpoint = bench.server.endpoint();
    endpoint.strip_prefix("unix://").unwrap_or(&endpoint).into()
}

/// Adds a callback that connects, and the services that it was asked for.
fn connecting(
    hooks: Hooks,
    connect: impl Fn(Service) -> Option<Descriptor> + Send + Sync + 'static,
) -> (Hooks, Arc<Mutex<Vec<Service>>>) {
    let asked: Arc<Mutex<Vec<Service>>> = Arc::default();
    let of_hook = asked.clone();
    let hook = move |service| {
        of_hook.lock().unwrap().push(service);
        connect(service)
    };
    let hooks = Hooks {
        connect: Some(Hook::new(Box::new(hook))),
        ..hooks
    };
    (hooks, asked)
}

/// An engine for a node whose runtime only the host can reach.
fn engine_of(
    bench: &Bench,
    keys: &[(&str, &str)],
    connect: impl Fn(Service) -> Option<Descriptor> + Send + Sync + 'static,
) -> (Engine, Arc<Mutex<Vec<Service>>>) {
    let (hooks, asked) = connecting(bench.hooks(), connect);
    let keys = [&[("container-runtime-endpoint", NAME)], keys].concat();
    (bench.engine(&keys, hooks), asked)
}

/// The status and the entries of a pass.
fn outcome(end: PassEnd) -> (Option<Status>, Vec<Entry>) {
    let entries = end.report.unwrap().entries;
    (end.error.map(|e| e.status), entries)
}

#[test]
fn s0_11_a_host_connects_by_any_stream_socket() {
    let mut rules = Rules::default();
    for through in [Through::Nothing, Through::PairOfSockets, Through::Tcp] {
        rules.case("S0.11");
        let mut maker = alive_beside_gone();
        maker.node.images = vec![images::image("a", "r/a:1", 100)];
        let bench = maker.start();
        bench.host.remove_pod("gone");
        let socket = socket_of(&bench);
        let (engine, asked) = engine_of(&bench, &[], move |_| given(stream(through, &socket)));
        let plain = bench.engine(&[], bench.hooks());
        let all_unused = PassOptions {
            all_unused: true,
            ..DRY_RUN
        };
        for pass in [Engine::containers, Engine::images] {
            let by_host = outcome(pass(&engine, all_unused, None));
            assert_eq!(
                by_host,
                outcome(pass(&plain, all_unused, None)),
                "{through:?}"
            );
            assert!(by_host.1.iter().any(|e| e.outcome == Outcome::Removed));
        }
        let expected = [Service::Runtime, Service::Image, Service::Runtime];
        assert_eq!(*asked.lock().unwrap(), expected, "{through:?}");
        let (status, _) = outcome(engine.containers(PassOptions::default(), None));
        assert_eq!((status, asked.lock().unwrap().len()), (None, 4));
        assert!(!bench.containers().contains(&id("gone", "app", 0)));
    }
}

/// What a host can give by mistake.
fn odd(what: &str) -> Option<Descriptor> {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    match what {
        "nothing" => None,
        "closed" => Some(Descriptor {
            number: 77,
            socket: Err(std::io::Error::from_raw_os_error(9)),
        }),
        "a file" => given(std::fs::File::open("/dev/null").unwrap()),
        "a datagram socket" => given(UnixDatagram::pair().unwrap().0),
        "a listener" => given(TcpListener::bind(("127.0.0.1", 0)).unwrap()),
        "a listener of unix" => {
            let folder = tempfile::tempdir().unwrap();
            given(UnixListener::bind(folder.path().join("s")).unwrap())
        }
        "not connected" => {
            let (family, kind) = (
                rustix::net::AddressFamily::INET,
                rustix::net::SocketType::STREAM,
            );
            given(rustix::net::socket(family, kind, None).unwrap())
        }
        "left" => given(ours),
        "no runtime" => {
            theirs
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
            std::thread::spawn(move || std::io::copy(&mut theirs, &mut std::io::sink()));
            given(ours)
        }
        what => panic!("{what}"),
    }
}

#[test]
fn s0_11_what_is_no_connection_is_an_error_that_names_it() {
    let mut rules = Rules::default();
    let bench = Maker::new().start();
    let cases = [
        (
            "nothing",
            "has no connection; see why the host cannot connect",
        ),
        ("closed", "gave descriptor 77: Bad file descriptor"),
        ("a file", ": Socket operation on non-socket"),
        ("a datagram socket", ": it is not a stream socket"),
        ("a listener", ": it listens and is not a connection"),
        ("a listener of unix", ": it listens and is not a connection"),
        ("not connected", ": Transport endpoint is not connected"),
        ("left", "the runtime closed it"),
        (
            "no runtime",
            "see whether the connect callback connects to a CRI v1 runtime",
        ),
    ];
    for (what, part) in cases {
        rules.case("S0.11");
        let (engine, _) = engine_of(&bench, &[], move |_| odd(what));
        for pass in [Engine::containers, Engine::images] {
            let end = pass(&engine, PassOptions::default(), None);
            let error = end.error.expect(what);
            let status = match what {
                "no runtime" => Status::Runtime,
                _ => Status::Unavailable,
            };
            assert_eq!(error.status, status, "{what}: {error}");
            let message = error.message;
            assert!(
                message.contains(part) && message.contains(NAME),
                "{what}: {message}"
            );
            assert_eq!(
                message.contains("connect callback"),
                what != "left",
                "{what}: {message}"
            );
            // The user has no path to look at.
            for elsewhere in ["container-runtime-endpoint", "start the runtime"] {
                assert!(!message.contains(elsewhere), "{what}: {message}");
            }
        }
    }
}

#[test]
fn s0_11_each_service_is_asked_for_by_its_own_name() {
    let mut rules = Rules::default();
    rules.case("S0.11");
    let bench = Maker::new().start();
    let (engine, asked) = engine_of(
        &bench,
        &[("image-service-endpoint", "images of VM 3")],
        |service| {
            odd(if service == Service::Image {
                "nothing"
            } else {
                "left"
            })
        },
    );
    let error = engine.images(PassOptions::default(), None).error.unwrap();
    assert!(
        error
            .message
            .contains("cannot connect to images of VM 3: the connect callback"),
        "{error}"
    );
    assert_eq!(*asked.lock().unwrap(), [Service::Image]);
}

#[test]
fn s0_11_a_host_connects_again_if_the_connection_breaks() {
    let mut rules = Rules::default();
    // Whether the host can connect once more.
    for again in [true, false] {
        rules.case("S0.11");
        let mut maker = dead(14);
        maker.options.faults.push(Fault {
            count: Some(1),
            ..Fault::all("RemoveContainer", Action::Disconnect)
        });
        let bench = maker.start();
        let socket = socket_of(&bench);
        let connected = Mutex::new(0);
        let connect = move |_| {
            let mut connected = connected.lock().unwrap();
            *connected += 1;
            (again || *connected == 1)
                .then(|| given(stream(Through::PairOfSockets, &socket)))
                .flatten()
        };
        let keys = [
            ("max-parallel-removals", "1"),
            ("maximum-dead-containers-per-container", "0"),
        ];
        let (engine, asked) = engine_of(&bench, &keys, connect);
        let report = engine
            .containers(PassOptions::default(), None)
            .report
            .unwrap();
        let failed = report.count(Some(Kind::Container), Some(Outcome::Failed));
        let asked = asked.lock().unwrap().len();
        if again {
            assert_eq!((failed, asked), (1, 2), "{:?}", report.entries);
            continue;
        }
        assert_eq!(failed, 14, "{:?}", report.entries);
        assert_eq!(
            asked, 11,
            "a host without a connection is asked ten times more"
        );
        let (_, _, error) = fate(&report, &id("u1", "c03", 0));
        let cause = "cannot connect again: the connect callback has no connection; see why the host cannot connect";
        assert!(error.contains(cause), "{error}");
    }
}

#[test]
fn a_connect_callback_that_panics_fails_its_pass_only() {
    let bench = alive_beside_gone().start();
    let before = bench.everything();
    let socket = socket_of(&bench);
    let panics = Arc::new(Mutex::new(true));
    let of_hook = panics.clone();
    let connect = move |_| {
        let panics = *of_hook.lock().unwrap();
        assert!(!panics, "broken");
        given(stream(Through::Nothing, &socket))
    };
    let (engine, _) = engine_of(&bench, &[], connect);
    for pass in [Engine::containers, Engine::images] {
        let error = pass(&engine, PassOptions::default(), None).error.unwrap();
        assert_eq!(error.status, Status::Internal, "{error}");
        assert!(error.message.contains("broken"), "{error}");
    }
    assert_eq!(bench.everything(), before);
    *panics.lock().unwrap() = false;
    assert_eq!(engine.containers(PassOptions::default(), None).error, None);
}

#[test]
fn s5_1_records_belong_to_the_name_of_the_image_service() {
    let mut rules = Rules::default();
    rules.case("S5.1");
    let mut maker = Maker::new();
    maker.node.images = vec![images::image("a", "r/a:1", 100)];
    let bench = maker.start();
    let records = bench.path("records");
    // Which names an engine has, and whether the records of the engine before it are its own.
    let table = [
        ("", true),
        ("images of VM 3", false),
        ("images of VM 3", true),
        ("", false),
    ];
    for (name, own) in table {
        let socket = socket_of(&bench);
        let keys = [
            ("image-service-endpoint", name),
            ("image-records-file", records.to_str().unwrap()),
        ];
        let host = images::Host::new(1000, 900);
        let (hooks, _) = connecting(host.hooks(true), move |_| {
            given(stream(Through::Nothing, &socket))
        });
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let of_hook = lines.clone();
        let log = move |_, line: &str| of_hook.lock().unwrap().push(line.to_owned());
        let hooks = Hooks {
            log: Some((crigc::hooks::LogLevel::Warn, Hook::new(Box::new(log)))),
            ..hooks
        };
        let keys = [&[("container-runtime-endpoint", NAME)][..], &keys].concat();
        let engine = bench.engine(&keys, hooks);
        assert_eq!(engine.images(PassOptions::default(), None).error, None);
        let lines = lines.lock().unwrap();
        let foreign = lines
            .iter()
            .any(|line| line.contains("its records are of the images at"));
        assert_eq!(foreign, !own, "{name}: {lines:?}");
    }
}
