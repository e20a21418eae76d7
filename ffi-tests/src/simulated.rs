//! The agent of `examples-c/`, built under AddressSanitizer, and a simulated node with its files for it to collect.

use crate::{compile, root, run};
use crisim::fault::Fault;
use crisim::made::{Made, Order};
use crisim::node::Image;
use crisim::{Options, Server};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Far above what any run takes.
pub const WATCHDOG: Duration = Duration::from_secs(60);

/// The agent under AddressSanitizer, built once.
pub fn agent() -> PathBuf {
    static BUILT: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    BUILT
        .get_or_init(|| {
            let flags = ["-fsanitize=address", "-fno-omit-frame-pointer"];
            compile_agent("agent-asan", &flags)
        })
        .clone()
}

/// Where an agent of a test keeps files if nothing else is named: a directory that it cannot make.
pub const NO_STATE: &str = "/nonexistent/crigc-agent";

/// Builds the agent from all sources in its folder, with another default than /var/lib/crigc-agent.
pub fn compile_agent(name: &str, flags: &[&str]) -> PathBuf {
    let folder = fs::read_dir(root().join("examples-c/agent")).expect("the agent's folder");
    let sources: Vec<String> = folder
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .map(|path| path.to_str().expect("UTF-8").to_owned())
        .collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let state = format!("-DAGENT_STATE_DIRECTORY=\"{NO_STATE}\"");
    let flags = [&["-std=c99", &state], flags].concat();
    compile(name, "cc", &sources, &flags)
}

/// A simulated node with its files, and the folder that holds them.
pub struct Bench {
    /// Holds its files.
    pub folder: tempfile::TempDir,
    /// The runtime.
    pub server: Server,
    /// UIDs of the pods that live.
    pub live: Vec<String>,
}

/// What a run of the agent left.
pub struct Told {
    /// Its exit code; `None` = a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub error: String,
}

impl Bench {
    /// Ten pods, two of them deleted, with 40 dead containers, logs, links, and both sources of who lives.
    pub fn new(faults: Vec<Fault>) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["pods", "links", "kubelet/pods"] {
            fs::create_dir_all(at(name)).expect("a folder");
        }
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970");
        let order = Order {
            pods: 10,
            deleted_percent: 20,
            dead_containers: 40,
            images: 20,
            fill_percent: 92,
            seed: 3,
            now: i64::try_from(now.as_nanos()).expect("before 2262"),
            pod_logs_dir: Some(at("pods")),
            container_logs_dir: Some(at("links")),
            mountpoint: "/".into(),
            usage_file: Some(at("fill")),
        };
        let Made { node, live } = order.make().expect("a node with files");
        // As old as what wrote them.
        date_all(&at("pods"), SystemTime::now() - Duration::from_secs(3600));
        for uid in &live {
            fs::create_dir(at("kubelet/pods").join(uid)).expect("a folder");
        }
        fs::write(at("live"), live.join("\n") + "\n# a remark\n").expect("a file");
        let options = Options {
            faults,
            ..Options::default()
        };
        let server = Server::start(node, options).expect("a socket");
        Bench {
            folder,
            server,
            live,
        }
    }

    /// A path in its folder.
    pub fn at(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Adds an image that is not in use.
    pub fn add_image(&self, name: &str, pinned: bool) {
        self.server.edit(|node| {
            node.images.push(Image {
                id: format!("sha256:{name}").into(),
                tags: vec![format!("registry.example/{name}:v1").into()],
                size: 300 << 20,
                pinned,
                ..Image::default()
            });
        });
    }

    /// The agent's command line for this node. It keeps its own files in the folder `state`.
    pub fn command(&self, program: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args([
                "--container-runtime-endpoint",
                &self.server.endpoint(),
                "--pod-logs-dir",
                &self.at("pods"),
                "--container-logs-dir",
                &self.at("links"),
                "--image-fs-file",
                &self.at("fill"),
            ])
            .args(more)
            .env("STATE_DIRECTORY", self.at("state"));
        command
    }

    /// Runs the agent to its end.
    pub fn run(&self, more: &[&str]) -> Told {
        told(run(&mut self.command(&agent(), more), WATCHDOG))
    }

    /// Waits until calls of a method have begun.
    pub fn wait_for_calls(&self, method: &str, count: usize) {
        let end = Instant::now() + WATCHDOG;
        let begun = || {
            let calls = self.server.trace();
            calls.iter().filter(|c| c.method == method).count()
        };
        while begun() < count {
            assert!(Instant::now() < end, "{} calls of {method}", begun());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Dates the file of live pods.
    pub fn touch_live(&self, time: SystemTime) {
        let file = fs::File::options().write(true).open(self.at("live"));
        file.and_then(|file| file.set_modified(time))
            .expect("a file of mine");
    }

    /// UIDs of pods that left something in the runtime.
    pub fn uids(&self) -> BTreeSet<String> {
        let node = self.server.state();
        node.sandboxes.iter().map(|s| s.uid.to_string()).collect()
    }

    /// UIDs of the pods that live.
    pub fn living(&self) -> BTreeSet<String> {
        self.live.iter().cloned().collect()
    }
}

/// Dates a file, or a directory with all that is in it.
pub fn date_all(path: &Path, time: SystemTime) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder of mine") {
            date_all(&entry.expect("an entry").path(), time);
        }
    }
    let file = fs::File::open(path);
    file.and_then(|file| file.set_modified(time))
        .expect("a file of mine");
}

/// What a finished run said.
pub fn told(output: std::process::Output) -> Told {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Told {
        code: output.status.code(),
        out: text(output.stdout),
        error: text(output.stderr),
    }
}

/// Sends the agent a signal once it has said enough on standard error, and waits for its end.
pub fn signalled(command: &mut Command, is_enough: impl Fn(&str) -> bool, signal: Signal) -> Told {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the agent starts");
    let mut stderr = child.stderr.take().expect("piped");
    let mut error = read_until(&mut stderr, is_enough);
    let id = i32::try_from(child.id()).ok();
    let id = id.and_then(Pid::from_raw).expect("an ID");
    kill_process(id, signal).expect("my child");
    stderr.read_to_string(&mut error).expect("readable");
    let output = child.wait_with_output().expect("it ends");
    Told {
        error,
        ..told(output)
    }
}

/// Reads until enough has come.
pub fn read_until(from: &mut impl Read, is_enough: impl Fn(&str) -> bool) -> String {
    let (mut text, mut room) = (String::new(), [0; 4096]);
    while !is_enough(&text) {
        let length = from.read(&mut room).expect("readable");
        assert!(length > 0, "it ended too early: {text}");
        text += &String::from_utf8_lossy(&room[..length]);
    }
    text
}

/// A runtime with 60 dead containers and 12 images, full, and without files.
pub fn without_files(options: Options) -> Server {
    small(0, "/", options)
}

/// The same, but a third of the pods were deleted and left objects behind.
pub fn with_deleted_pods(options: Options) -> Server {
    small(33, "/", options)
}

/// The same as the first, with its images on the filesystem that is mounted there.
pub fn with_images_on(mountpoint: &str, options: Options) -> Server {
    small(0, mountpoint, options)
}

fn small(deleted_percent: usize, mountpoint: &str, options: Options) -> Server {
    let order = Order {
        pods: 12,
        deleted_percent,
        dead_containers: 60,
        images: 12,
        fill_percent: 95,
        seed: 7,
        now: 1_700_000_000_000_000_000,
        pod_logs_dir: None,
        container_logs_dir: None,
        mountpoint: mountpoint.into(),
        usage_file: None,
    };
    let made = order.make().expect("a node without files");
    Server::start(made.node, options).expect("a socket")
}
