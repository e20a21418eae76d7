//! How the cost of a pass in our process grows with the node, in instructions that valgrind counts: the same each time, whatever else
//! the machine does. `make bench` measures time, on large nodes and beside the kubelet.

use crisim::made::{Made, Order};
use crisim::node::{Container, State, Word};
use crisim::{Options, Server};
use ffi_tests::{compile, has, run, skip};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Dead containers of the small node.
const SMALL: usize = 400;
/// How many times larger the large one is.
const LARGER: usize = 16;
/// How much more a container may cost on it. Lists and directories are sorted, which adds a little; what grew with the square of
/// the size would add 1500 percent.
const MORE: f64 = 1.05;
/// Far above what any run takes.
const WATCHDOG: Duration = Duration::from_secs(300);

/// How a list comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Message,
    Stream,
    /// By namespaces: the whole does not fit, each of them does.
    Parts,
}

/// About what a container takes in a list of crisim, in bytes.
const ROW: usize = 900;

/// Instructions of a process that collects a node of this number of dead containers, 50 in a pod.
fn instructions(driver: &Path, dead: usize, logs: bool, way: Way) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for name in ["pods", "links"] {
        fs::create_dir(at(name)).expect("a folder");
    }
    let order = Order {
        pods: dead / 50,
        deleted_percent: 20,
        dead_containers: dead,
        images: 12,
        fill_percent: 50,
        seed: 7,
        now: 1_700_000_000_000_000_000,
        pod_logs_dir: logs.then(|| at("pods")),
        container_logs_dir: logs.then(|| at("links")),
        mountpoint: "/".into(),
        usage_file: None,
    };
    let Made { node, live } = order.make().expect("a node with files");
    fs::write(at("live"), live.join("\n") + "\n").expect("a file");
    let mut options = Options {
        streams: way == Way::Stream,
        ..Options::default()
    };
    if way == Way::Parts {
        options.message_limit = dead * ROW * 2 / 5;
    }
    let server = Server::start(node, options).expect("a socket");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(driver).arg("containers");
    // Nobody asks for the fill of a disk here.
    command.args([at("live"), at("usage")]);
    command
        .arg(server.endpoint())
        .args([at("pods"), at("links")]);
    let output = run(&mut command, WATCHDOG);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains(r#""failed_removals":0,"error":"""#),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // Of the ended containers, one of each living pod may be kept.
    let state = server.state();
    let ended = |c: &&Container| c.state == State::Word(Word::Exited);
    let left = state.containers.iter().filter(ended).count();
    assert!(left <= live.len(), "{left} of {dead} are left");
    let lists = server.trace().into_iter();
    let lists = lists.filter(|call| call.method == "ListContainers").count();
    assert_eq!(lists > 4, way == Way::Parts, "{lists} lists");
    let error = String::from_utf8_lossy(&output.stderr);
    let line = error.lines().find(|line| line.contains("Collected : "));
    line.and_then(|line| line.rsplit(' ').next())
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no count: {error}"))
}

#[test]
fn instructions_grow_as_the_node_does() {
    if !has("valgrind") {
        return skip("valgrind is not installed");
    }
    let driver = compile(
        "growth",
        "cc",
        &["benches/pass-cost/drivers/crigc.c"],
        &["-std=c99", "-O2"],
    );
    for (logs, way) in [
        (false, Way::Message),
        (false, Way::Stream),
        (true, Way::Message),
        (true, Way::Parts),
    ] {
        let small = instructions(&driver, SMALL, logs, way);
        let large = instructions(&driver, SMALL * LARGER, logs, way);
        let more = large / small / LARGER as f64;
        println!(
            "{SMALL} containers, logs {logs}, {way:?}: {:.0} instructions each, {more:.3} times that for {LARGER} times as many",
            small / SMALL as f64
        );
        assert!(more <= MORE, "{more}");
    }
}
