//! The README is right: its programs are built by its commands, in an empty folder and with nothing but what is installed, and collect a
//! simulated node.

use crisim::{Options, Server};
use ffi_tests::simulated::with_images_on;
use ffi_tests::{check, compile, has, root, run, skip, static_library};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Far above what all commands take.
const WATCHDOG: Duration = Duration::from_secs(600);

/// C, C++, Python and Go.
const PROGRAMS: usize = 4;

/// The socket in the README.
const SOCKET: &str = "unix:///run/containerd/containerd.sock";

/// The kubelet's directory in the README.
const KUBELET: &str = "/var/lib/kubelet";

/// Commands that are not run here, and why.
const NOT_HERE: [(&str, &str); 2] = [
    ("make run ", "tests/run.sh runs it"),
    ("make test ", "it is what runs this test"),
];

/// What follows ``` of a block, and its lines.
fn blocks() -> Vec<(String, String)> {
    let page = fs::read_to_string(root().join("README.md")).expect("the README");
    let parts: Vec<&str> = page.split("```").collect();
    assert!(parts.len() % 2 == 1, "a block does not end");
    let block = |part: &&str| {
        let (kind, text) = part.split_once('\n').expect("a line");
        (kind.to_owned(), text.to_owned())
    };
    parts.iter().skip(1).step_by(2).map(block).collect()
}

/// Writes each program to the file that its first line names, and returns how many there are.
fn write_programs(folder: &Path) -> usize {
    let mut programs = 0;
    for (kind, text) in blocks().iter().filter(|(kind, _)| kind != "sh") {
        let first = text.lines().next().unwrap_or_default();
        let name = first.trim_matches(['/', '*', '#', ' ']);
        assert!(
            name.starts_with("collect."),
            "a block of {kind} does not name its file: {first}"
        );
        assert!(
            text.lines().count() < 30,
            "{name} is too long for a first look"
        );
        fs::write(folder.join(name), text).expect("writable");
        programs += 1;
    }
    programs
}

/// The commands as a script: those of the tree run there, all others in the folder; programs run once more, to remove. Each has a node of
/// its own, the last one is the agent's.
fn script(nodes: &[Server]) -> String {
    let mut script = String::from("set -eux\n");
    let mut nodes = nodes.iter();
    let blocks = blocks();
    let lines = blocks
        .iter()
        .filter(|(kind, _)| kind == "sh")
        .flat_map(|(_, text)| text.lines());
    let mut left_out = 0;
    for line in lines {
        let endpoint = if line.contains(SOCKET) {
            nodes.next().expect("a node for each program").endpoint()
        } else {
            String::new()
        };
        let line = line
            .replace(SOCKET, &endpoint)
            .replace(KUBELET, "\"$HOME/kubelet\"");
        if NOT_HERE
            .iter()
            .any(|(command, _)| line.starts_with(command))
        {
            left_out += 1;
        } else if line.starts_with("make ") || line.starts_with("target/") {
            script += &format!("(cd '{}' && {line}\n)\n", root().display());
        } else {
            script += &format!("{line}\n");
        }
        if !endpoint.is_empty() && line.ends_with(&endpoint) {
            script += &format!("{line} dry-run=false\n");
        }
    }
    assert_eq!(
        left_out,
        NOT_HERE.len(),
        "the README has not all commands that are left out here"
    );
    script
}

#[test]
fn the_readme_says_how_to_collect_a_node() {
    static_library();
    if !rustix::process::geteuid().is_root() || !has("unshare") {
        return skip("only root can have log directories of its own at /var/log");
    }
    for tool in ["pkg-config", "go", "python3"] {
        if !has(tool) {
            return skip(&format!("{tool} is not installed"));
        }
    }
    let home = tempfile::tempdir().expect("a temporary folder");
    let folder = home.path().join("empty");
    fs::create_dir(&folder).expect("a folder");
    assert_eq!(write_programs(&folder), PROGRAMS);
    let nodes: Vec<Server> = (0..=PROGRAMS)
        .map(|_| with_images_on("/var/log", Options::default()))
        .collect();
    let node = nodes[0].state();
    let kubelet = home.path().join("kubelet");
    for sandbox in &node.sandboxes {
        let uid = sandbox.uid.to_string();
        fs::create_dir_all(kubelet.join("pods").join(uid)).expect("a folder of a pod");
    }
    // Nothing of the machine's own logs is there, the disk is empty, and Go keeps its cache.
    let place =
        "mount -t tmpfs none /var/log && mkdir /var/log/pods /var/log/containers && exec sh script";
    fs::write(folder.join("script"), script(&nodes)).expect("writable");
    let go = |name: &str| {
        let value = Command::new("go").args(["env", name]).output().expect("go");
        String::from_utf8_lossy(&value.stdout).trim().to_owned()
    };
    let kept = |name: &str, folder: &str| {
        std::env::var_os(name).unwrap_or_else(|| {
            Path::new(&std::env::var_os("HOME").unwrap_or_default())
                .join(folder)
                .into()
        })
    };
    let output = run(
        Command::new("unshare")
            .args(["--mount", "sh", "-c", place])
            .current_dir(&folder)
            .env("GOCACHE", go("GOCACHE"))
            .env("GOMODCACHE", go("GOMODCACHE"))
            .env("CARGO_HOME", kept("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", kept("RUSTUP_HOME", ".rustup"))
            .env("STATE_DIRECTORY", home.path().join("state"))
            .env("HOME", home.path()),
        WATCHDOG,
    );
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{error}");
    for server in &nodes[..PROGRAMS] {
        let left = server.state().containers.len();
        assert!(left < node.containers.len(), "nothing was removed: {out}");
    }
    // A dry run and a pass of each program say the same.
    let lines = out.lines().filter(|line| line.starts_with("removed "));
    let lines = lines.filter(|line| line.ends_with("unit-limit")).count();
    assert!(lines > 0 && lines % (2 * PROGRAMS) == 0, "{lines}: {out}");
}

/// The folder of the node, which is in the arguments of the program.
fn folder_of(arguments: &[String]) -> &Path {
    let socket = arguments[0].strip_prefix("unix://").expect("a socket");
    Path::new(socket).parent().expect("a folder")
}

#[test]
fn make_node_keeps_a_node_and_says_how_programs_try_it() {
    let program = compile("collect-node", "cc", &["examples-c/collect.c"], &[]);
    let mut node = Command::new("make")
        .args(["--no-print-directory", "node"])
        .current_dir(root())
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .expect("make");
    let lines = BufReader::new(node.stdout.take().expect("its output")).lines();
    let commands = lines.map_while(Result::ok);
    let mut commands = commands.filter_map(|line| {
        let arguments = line.trim().strip_prefix("./collect ")?.split(' ');
        Some(arguments.map(str::to_owned).collect::<Vec<_>>())
    });
    let mut removed = || {
        let arguments = commands.next().expect("a command");
        let out = check(Command::new(&program).args(&arguments));
        let lines = out.lines().filter(|line| line.starts_with("removed "));
        (lines.count(), arguments)
    };
    let ((would_be, _), (removed, arguments)) = (removed(), removed());
    assert!(would_be > 0 && removed == would_be, "{removed} {would_be}");
    // The whole group, as by Ctrl-C, which a program in the background may ignore.
    let group = rustix::process::Pid::from_child(&node);
    rustix::process::kill_process_group(group, rustix::process::Signal::TERM).expect("it runs");
    node.wait().expect("its end");
    assert!(!folder_of(&arguments).exists());
}
