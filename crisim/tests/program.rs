//! The program `crisim`: a node by flags and by file, its files, faults from a file, state and trace at its end.

use crisim::client::Cri;
use crisim::node::Node;
use rustix::process::Signal;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running crisim; it is killed with its test.
struct Program {
    child: Child,
    folder: PathBuf,
    out: BufReader<ChildStdout>,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts it with paths in `folder`, and waits until it listens.
    fn start(folder: &Path, more: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crisim"));
        for (flag, name) in [
            ("--socket", "cri.sock"),
            ("--state-out", "state"),
            ("--trace-out", "trace"),
        ] {
            command.arg(flag).arg(folder.join(name));
        }
        let mut child = command
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("crisim starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut program = Program {
            child,
            folder: folder.to_owned(),
            out,
        };
        let line = program.line();
        assert!(line.contains("listening"), "{line}");
        program
    }

    /// The next line that it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("readable");
        line
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("an ID");
        let id = rustix::process::Pid::from_raw(id).expect("not 0");
        rustix::process::kill_process(id, signal).expect("my child");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).expect("a file")
    }

    fn connect(&self) -> Cri {
        Cri::connect(&self.folder.join("cri.sock")).expect("a connection")
    }

    /// Ends it as a service manager does; its last state and its trace.
    fn end(mut self) -> (Node, Vec<serde_json::Value>) {
        self.signal(Signal::TERM);
        assert!(self.child.wait().expect("it ends").success());
        let state = serde_json::from_str(&self.read("state")).expect("a node");
        let trace = self.read("trace");
        let trace = trace
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        (state, trace.collect())
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // A run that failed may have left it.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn count(top: &Path) -> usize {
    let entries = std::fs::read_dir(top).expect("a folder");
    let size = |path: PathBuf| {
        if path.is_dir() && !path.is_symlink() {
            count(&path)
        } else {
            1
        }
    };
    entries
        .map(|entry| size(entry.expect("an entry").path()))
        .sum()
}

#[test]
fn a_node_by_numbers_with_its_files() {
    let folder = folder("numbers");
    let at = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let [pods, links, live, kubelet, fill] = ["pods", "links", "live", "kubelet", "fill"].map(at);
    let program = Program::start(
        &folder,
        &[
            "--pods",
            "10",
            "--dead-containers",
            "40",
            "--images",
            "8",
            "--seed",
            "5",
            "--pod-logs-dir",
            &pods,
            "--container-logs-dir",
            &links,
            "--live-pods-out",
            &live,
            "--kubelet-dir-out",
            &kubelet,
            "--usage-file",
            &fill,
            "--delay",
            "ListImages=1",
        ],
    );
    let cri = program.connect();
    let containers = cri.containers().expect("a list");
    assert_eq!(
        containers.len(),
        48,
        "40 dead ones, and one in each of 8 live pods"
    );
    assert!(
        count(Path::new(&pods)) >= 48,
        "a log for each, and rotated ones"
    );
    assert!(count(Path::new(&links)) >= 46, "a link to each that ran");
    let live = std::fs::read_to_string(live).expect("a file");
    assert_eq!(live.lines().count(), 8);
    for uid in live.lines() {
        assert!(Path::new(&kubelet).join("pods").join(uid).is_dir());
    }
    assert!(
        std::fs::read_to_string(&fill)
            .expect("a file")
            .contains(' ')
    );
    assert_eq!(cri.tags().expect("a list").len(), 8);
    let (node, trace) = program.end();
    assert_eq!(node.containers.len(), 48);
    let methods: Vec<&str> = trace
        .iter()
        .filter_map(|call| call["method"].as_str())
        .collect();
    assert_eq!(methods, ["ListContainers", "ListImages"]);
    assert!(trace[1]["end"].as_u64() >= trace[1]["start"].as_u64().map(|start| start + 1000));

    let summary = Command::new(env!("CARGO_BIN_EXE_crisim"))
        .arg("--summary")
        .arg(folder.join("state"))
        .output()
        .expect("it runs");
    let text = String::from_utf8(summary.stdout).expect("UTF-8");
    assert!(text.contains("8 running     40 dead"), "{text}");
}

#[test]
fn a_node_by_file_with_faults_by_file() {
    let folder = folder("file");
    let node = r#"{"containers": [{"id": "c1", "name": "app", "state": "exited"}, {"id": "c2", "state": 7}],
        "images": [{"id": "sha256:1", "tags": ["r/a:1"], "size": 5}], "sandbox_image": "r/pause:1"}"#;
    std::fs::write(folder.join("node"), node).expect("a file");
    let faults =
        r#"[{"method": "ListContainers", "count": 1, "action": {"code": [13, "as ordered"]}}]"#;
    std::fs::write(folder.join("faults"), faults).expect("a file");
    let at = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let arguments = ["--node", &at("node"), "--faults", &at("faults")];
    let program = Program::start(&folder, &arguments);
    let cri = program.connect();
    let error = cri.containers().expect_err("the fault");
    assert_eq!(error.message(), "as ordered");
    assert_eq!(cri.containers().expect("only once"), ["c1", "c2"]);
    let (left, trace) = program.end();
    assert_eq!(left, serde_json::from_str(node).expect("the same node"));
    assert_eq!(
        (&trace[0]["code"], &trace[1]["code"]),
        (&13.into(), &0.into())
    );
}

#[test]
fn signals_ask_for_its_state_and_give_it_another_node() {
    let folder = folder("signals");
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("a file");
    let at = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let row = |id: &str| format!(r#"{{"containers": [{{"id": "{id}", "state": "exited"}}]}}"#);
    put("node", &row("first"));
    put("faults", "[]");
    let arguments = ["--node", &at("node"), "--faults", &at("faults")];
    let mut program = Program::start(&folder, &arguments);
    let cri = program.connect();
    assert_eq!(cri.containers().expect("a list"), ["first"]);
    program.signal(Signal::USR1);
    assert_eq!(program.line(), "written\n");
    assert!(program.read("state").contains("first"));
    assert_eq!(program.read("trace").lines().count(), 1);

    put("node", &row("second"));
    let fault = r#"[{"method": "ListContainers", "skip": 1, "action": {"code": [13, "anew"]}}]"#;
    put("faults", fault);
    program.signal(Signal::HUP);
    assert_eq!(program.line(), "read\n");
    assert_eq!(cri.containers().expect("a list"), ["second"]);
    let error = cri.containers().expect_err("the new fault");
    assert_eq!(error.message(), "anew");
    let (_, trace) = program.end();
    assert_eq!(trace.len(), 2, "an empty trace for the new node");
}

#[test]
fn a_node_by_file_gets_its_files() {
    let folder = folder("files");
    let at = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let labels = r#"{"io.kubernetes.pod.name": "p", "io.kubernetes.pod.namespace": "ns",
        "io.kubernetes.pod.uid": "u1", "io.kubernetes.container.name": "app"}"#;
    let log = at("pods/ns_p_u1/app/0.log");
    let node = format!(
        r#"{{"containers": [{{"id": "c1", "name": "app", "state": "exited", "labels": {labels}, "log_path": "{log}"}}],
        "sandboxes": [{{"id": "s1", "uid": "u1", "state": "ready"}}, {{"id": "s2", "uid": "u2", "state": "notready"}}],
        "filesystem": {{"capacity": 100, "available": 7}}}}"#
    );
    std::fs::write(folder.join("node"), node).expect("a file");
    let (file, pods, links, live, fill) =
        (at("node"), at("pods"), at("links"), at("live"), at("fill"));
    let arguments = [
        "--node",
        &file,
        "--pod-logs-dir",
        &pods,
        "--container-logs-dir",
        &links,
        "--live-pods-out",
        &live,
        "--usage-file",
        &fill,
        "--mountpoint",
        "/images",
    ];
    let program = Program::start(&folder, &arguments);
    assert_eq!(std::fs::read_to_string(&live).expect("a file"), "u1\n");
    assert_eq!(std::fs::read_to_string(&fill).expect("a file"), "100 7\n");
    let link = std::fs::read_link(folder.join("links/p_ns_app-c1.log"));
    assert_eq!(link.expect("a link"), Path::new(&log));
    assert!(Path::new(&log).is_file());
    let (left, _) = program.end();
    assert_eq!(left.filesystem.mountpoint, "/images".into());
}

#[test]
fn only_an_unused_socket_is_replaced() {
    let folder = folder("socket");
    let socket = folder.join("cri.sock");
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_crisim"))
            .arg("--socket")
            .arg(&socket)
            .args(["--pods", "1"])
            .output()
            .expect("it runs");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    std::fs::write(&socket, "precious").expect("a file");
    assert!(run().contains("is not a socket"));
    assert_eq!(
        std::fs::read_to_string(&socket).expect("still there"),
        "precious"
    );
    std::fs::remove_file(&socket).expect("mine");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    assert!(run().contains("is in use"));
    drop(listener);
    let program = Program::start(&folder, &["--pods", "1"]);
    assert_eq!(
        program.connect().containers().map(|c| c.len()).ok(),
        Some(2001)
    );
}

#[test]
fn a_wrong_order_is_refused() {
    let folder = folder("wrong");
    let node = folder.join("node");
    std::fs::write(&node, r#"{"containers": [{"identity": "c1"}]}"#).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_crisim"))
        .arg("--socket")
        .arg(folder.join("cri.sock"))
        .arg("--node")
        .arg(&node)
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("unknown field `identity`"), "{text}");
}

#[test]
fn a_runtime_with_limited_hands_by_flags() {
    let folder = folder("hands");
    let flags = "--pods 2 --dead-containers 4 --images 0 --workers 1 --serial-ms 1 --noise-percent 10 \
        --delay RemoveContainer=2,4 --after 1:workers=2 --after 1:noise-percent=50 --after 2:delay=RemoveContainer=1";
    let arguments: Vec<&str> = flags.split_whitespace().collect();
    let program = Program::start(&folder, &arguments);
    let cri = program.connect();
    assert!(!cri.containers().expect("a list").is_empty());
    program.end();

    let socket = folder.join("refused.sock");
    for (wrong, says) in [
        ("--delay=ListImages", "give METHOD=MS"),
        ("--delay=ListImages=x", "invalid digit"),
        ("--after=workers=1", "give REMOVALS:FLAG=VALUE"),
        (
            "--after=1:images=1",
            "workers, serial-ms, noise-percent and delay can change",
        ),
        ("--after=x:workers=1", "invalid digit"),
        (
            "--after=1:noise-percent=101",
            "noise is at most 100 percent",
        ),
        ("--noise-percent=101", "101 is not in 0..=100"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_crisim"))
            .args(["--socket", socket.to_str().expect("UTF-8"), wrong])
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains(says),
            "{wrong}: {text}"
        );
    }
}
