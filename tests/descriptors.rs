//! A connection lives for one pass (S0.11). A binary of its own, because it counts the descriptors of the process.

use crigc::config::Settings;
use crigc::engine::{Engine, PassOptions};
use crigc::hooks::Hooks;
use crisim::node::{Container, Node, State, Word};
use crisim::{Options, Server};
use test_support::rules::Rules;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn start(folder: &std::path::Path, id: &str) -> Server {
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
        // The server closes its end when it sees ours closed.
        let mut tries = 0;
        while descriptors() != listening && tries < 1000 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            tries += 1;
        }
        assert_eq!(descriptors(), listening, "S0.11: nothing is left open");
        drop(server);
        rules.case("S0.11");
    }
}
