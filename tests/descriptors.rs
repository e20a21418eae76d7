//! A connection lives for one pass (S0.11). A binary of its own, because it counts the descriptors of the process.

use crigc::config::Settings;
use crigc::engine::{Engine, PassOptions};
use crigc::hooks::{Descriptor, Hook, Hooks, Service};
use crisim::node::{Container, Node, State, Word};
use crisim::{Options, Server};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use test_support::rules::Rules;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn start(folder: &Path, id: &str) -> Server {
    let running = Container {
        id: id.into(),
        state: State::Word(Word::Running),
        ..Container::default()
    };
    let node = Node {
        containers: vec![running],
        ..Node::default()
    };
    let socket = Some(folder.join("cri.sock"));
    Server::start(
        node,
        Options {
            socket,
            ..Options::default()
        },
    )
    .unwrap()
}

#[test]
fn a_connection_lives_for_one_pass() {
    let mut rules = Rules::default();
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    let endpoint = folder.path().join("cri.sock");
    settings
        .set("container-runtime-endpoint", endpoint.to_str().unwrap())
        .unwrap();
    settings.set("pod-logs-dir", "").unwrap();
    settings.set("container-logs-dir", "").unwrap();
    let engine = Engine::new(settings.config(), Hooks::default()).unwrap();
    for id in ["first", "second"] {
        let server = start(folder.path(), id);
        let listening = descriptors();
        let end = engine.containers(PassOptions::default(), None);
        let ids: Vec<String> = end
            .report
            .unwrap()
            .entries
            .iter()
            .map(|e| e.id.to_string())
            .collect();
        assert_eq!(
            (ids, end.error),
            (vec![id.to_owned()], None),
            "S0.11: the runtime that is there now"
        );
        closed_again(listening, id);
        of_the_host(folder.path(), listening, &mut rules);
        drop(server);
        rules.case("S0.11");
    }
}

/// The server closes its end when it sees ours closed.
fn closed_again(before: usize, what: &str) {
    let mut tries = 0;
    while descriptors() != before && tries < 1000 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        tries += 1;
    }
    assert_eq!(descriptors(), before, "S0.11: nothing is left open: {what}");
}

/// Descriptors that the host gave, whether they are connections or not.
fn of_the_host(folder: &Path, before: usize, rules: &mut Rules) {
    let socket = folder.join("cri.sock");
    for what in [
        "connections",
        "files",
        "listeners",
        "pairs without a runtime",
    ] {
        rules.case("S0.11");
        let path = socket.clone();
        let connect = move |_: Service| {
            let socket: OwnedFd = match what {
                "connections" => UnixStream::connect(&path).unwrap().into(),
                "files" => std::fs::File::open("/dev/null").unwrap().into(),
                "listeners" => {
                    let own = path.with_extension("own");
                    // One of an earlier pass may be there.
                    let _ = std::fs::remove_file(&own);
                    UnixListener::bind(own).unwrap().into()
                }
                _ => UnixStream::pair().unwrap().0.into(),
            };
            Some(Descriptor {
                number: socket.as_raw_fd(),
                socket: Ok(socket),
            })
        };
        let mut settings = Settings::default();
        settings
            .set("container-runtime-endpoint", "of the host")
            .unwrap();
        settings.set("pod-logs-dir", "").unwrap();
        settings.set("container-logs-dir", "").unwrap();
        let hooks = Hooks {
            connect: Some(Hook::new(Box::new(connect))),
            ..Hooks::default()
        };
        let engine = Engine::new(settings.config(), hooks).unwrap();
        for pass in [Engine::containers, Engine::images] {
            let end = pass(&engine, PassOptions::default(), None);
            let failed = end.error.is_some_and(|e| e.message.contains("connect"));
            assert_eq!(failed, what != "connections", "{what}");
            closed_again(before, what);
        }
    }
}
