//! A real containerd, collected by the C agent: exactly what the rules say is removed, by containerd's own lists.

use crisim::client::{Cri, log_directory, pod};
use crisim::proto::{self, PodSandboxConfig};
use ffi_tests::containerd::{Containerd, SANDBOX_IMAGE, missing};
use ffi_tests::runtime::wait_for;
use ffi_tests::simulated::compile_agent;
use ffi_tests::{run, skip};
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const EXITED: i32 = 2;
const RUNNING: i32 = 1;
const APP: &str = "crigc.test/app:1";

/// A node on a containerd, with the files that a kubelet keeps.
struct Node {
    containerd: Containerd,
    agent: PathBuf,
}

impl Node {
    fn cri(&self) -> &Cri {
        &self.containerd.cri
    }

    fn pod(&self, uid: &str, attempt: u32) -> (String, PodSandboxConfig) {
        let config = pod(uid, attempt, &self.containerd.path("pods"));
        std::fs::create_dir_all(log_directory(uid, &self.containerd.path("pods"))).unwrap();
        (self.cri().run_pod(config.clone()).unwrap(), config)
    }

    /// A container with its log and link; `args` of the program, none = only made.
    fn container(
        &self,
        of: &(String, PodSandboxConfig),
        name: &str,
        attempt: u32,
        args: Option<&[&str]>,
    ) -> String {
        let (sandbox, config) = of;
        let uid = String::from_utf8_lossy(&config.metadata.as_ref().unwrap().uid).into_owned();
        let log = log_directory(&uid, &self.containerd.path("pods"))
            .join(name)
            .join(format!("{attempt}.log"));
        std::fs::create_dir_all(log.parent().unwrap()).unwrap();
        let id = self
            .cri()
            .create(sandbox, config, name, attempt, APP, args.unwrap_or(&[]))
            .unwrap();
        if let Some(args) = args {
            self.cri().start(&id).unwrap();
            let want = if args.first() == Some(&"exit") {
                EXITED
            } else {
                RUNNING
            };
            wait_for(|| {
                self.cri()
                    .state(&id)
                    .ok()
                    .filter(|(state, _)| *state == want)
            })
            .expect("it comes to its state");
            let link = self
                .containerd
                .path(&format!("links/pod-{uid}_ns_{name}-{id}.log"));
            symlink(&log, link).unwrap();
        }
        id
    }

    /// Runs the agent; its reports by pass.
    fn agent(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let mut command = Command::new(&self.agent);
        command
            .args([
                "--once",
                "--now",
                "--json",
                "--container-runtime-endpoint",
                &self.containerd.endpoint(),
            ])
            .args([
                "--pod-logs-dir",
                self.containerd.path("pods").to_str().unwrap(),
            ])
            .args([
                "--container-logs-dir",
                self.containerd.path("links").to_str().unwrap(),
            ])
            .args([
                "--kubelet-dir",
                self.containerd.path("kubelet").to_str().unwrap(),
            ])
            .args(arguments);
        let output = run(&mut command, Duration::from_secs(120));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{arguments:?}: {} {error}",
            output.status
        );
        let out = String::from_utf8_lossy(&output.stdout);
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn files(&self, below: &str) -> BTreeSet<String> {
        let list = Command::new("find")
            .arg(self.containerd.path(below))
            .args(["-not", "-type", "d"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&list.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Everything on the node.
    fn picture(&self) -> Picture {
        let set = |list: Vec<String>| list.into_iter().collect();
        let cri = self.cri();
        Picture {
            containers: set(cri.containers().unwrap()),
            sandboxes: set(cri.sandboxes().unwrap()),
            tags: cri.tags().unwrap(),
            logs: self.files("pods"),
            links: self.files("links"),
        }
    }
}

/// The UID of a pod that lives.
const LIVE: &str = "6f2d41ba-3c11-4c58-9d0a-0a5b7a0f7c01";
/// The UID of a static pod that was deleted.
const GONE: &str = "0123456789abcdef0123456789abcdef";

/// The objects that exist.
#[derive(Debug, PartialEq)]
struct Picture {
    containers: BTreeSet<String>,
    sandboxes: BTreeSet<String>,
    tags: Vec<String>,
    logs: BTreeSet<String>,
    links: BTreeSet<String>,
}

/// IDs of the entries of a kind with an outcome.
fn ids(report: &serde_json::Value, kind: &str, outcome: &str) -> BTreeSet<String> {
    let entries = report["entries"].as_array().unwrap().iter();
    let wanted = entries.filter(|e| e["kind"] == kind && e["outcome"] == outcome);
    wanted
        .map(|e| e["id"].as_str().unwrap().to_owned())
        .collect()
}

fn set(ids: &[&String]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).clone()).collect()
}

#[test]
fn a_real_containerd_is_collected_by_the_rules() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let agent = compile_agent("agent", &[]);
    let node = Node {
        containerd: Containerd::start().unwrap(),
        agent,
    };
    for (name, salt) in [
        (APP, "app"),
        ("crigc.test/unused:1", "unused"),
        ("crigc.test/unused:2", "unused"),
        ("crigc.test/keep:1", "keep"),
    ] {
        node.containerd.import(name, salt).unwrap();
    }
    let stop = |id: &str| {
        let request = proto::StopPodSandboxRequest {
            pod_sandbox_id: id.into(),
        };
        node.cri().stop_pod_sandbox(request).unwrap();
    };
    let exit: Option<&[&str]> = Some(&["exit", "3"]);

    // A live pod: an old sandbox without containers, a running container, three dead attempts, one only made.
    let old = node.pod(LIVE, 0).0;
    stop(&old);
    let live = node.pod(LIVE, 1);
    let dead: Vec<String> = (0..3)
        .map(|attempt| node.container(&live, "app", attempt, exit))
        .collect();
    let running = node.container(&live, "app", 3, Some(&["sleep"]));
    let made = node.container(&live, "made", 0, None);
    let before = node.cri().state(&running).unwrap();
    // A deleted pod: stopped, with two dead containers.
    let gone = node.pod(GONE, 0);
    let left: Vec<String> = (0..2)
        .map(|attempt| node.container(&gone, "app", attempt, exit))
        .collect();
    stop(&gone.0);
    std::fs::create_dir_all(node.containerd.path("kubelet/pods").join(LIVE)).unwrap();
    // A link to a missing log, of a container that never existed.
    symlink(
        "/nonexistent",
        node.containerd.path("links/x_ns_app-0123456789abcdef.log"),
    )
    .unwrap();

    let untouched = node.picture();
    let dry = node.agent(&["--containers"]);
    assert_eq!(node.picture(), untouched, "a dry run touches nothing");
    let reports = node.agent(&["--containers", "--apply"]);
    let report = &reports[0];
    for kind in ["container", "sandbox", "pod-logs", "log-link"] {
        assert_eq!(
            ids(&dry[0], kind, "would-remove"),
            ids(report, kind, "removed"),
            "the dry run listed what was removed: {kind}"
        );
        assert!(ids(report, kind, "failed").is_empty(), "{kind}: {report}");
    }
    let removed = set(&[&dead[0], &dead[1], &left[0], &left[1]]);
    assert_eq!(ids(report, "container", "removed"), removed, "{report}");
    assert_eq!(
        ids(report, "sandbox", "removed"),
        set(&[&old, &gone.0]),
        "{report}"
    );
    let after = node.picture();
    assert_eq!(after.containers, set(&[&dead[2], &running, &made]));
    assert_eq!(after.sandboxes, set(&[&live.0]));
    assert_eq!(after.tags, untouched.tags);
    let (logs, links) = (after.logs, after.links);
    assert_eq!(
        logs.len(),
        2,
        "the logs of the newest dead one and of the running one: {logs:?}"
    );
    assert_eq!(links.len(), 2, "{links:?}");
    assert!(!log_directory(GONE, &node.containerd.path("pods")).exists());
    assert_eq!(
        node.cri().state(&running).unwrap(),
        before,
        "the running one still runs"
    );
    let tasks = node.containerd.ctr(&["containers", "ls", "-q"]).unwrap();
    assert_eq!(tasks.lines().count(), 4, "containerd agrees: {tasks}");

    // Images: a full disk by a file's figures, then everything unused.
    let fill = node.containerd.path("fill");
    std::fs::write(&fill, "1000000 100000\n").unwrap();
    let full = [
        "--images",
        "--apply",
        "--image-fs-file",
        fill.to_str().unwrap(),
        "--image-gc-exempt",
        "crigc.test/keep:*",
    ];
    let report = &node.agent(&full)[0];
    assert_eq!(report["removed"]["image"], 1, "{report}");
    let tags = node.cri().tags().unwrap();
    assert_eq!(
        tags,
        [APP, SANDBOX_IMAGE, "crigc.test/keep:1"],
        "the unused one was removed with both its tags"
    );
    let report = &node.agent(&["--images", "--apply", "--all-unused"])[0];
    assert_eq!(report["removed"]["image"], 1, "{report}");
    assert_eq!(
        node.cri().tags().unwrap(),
        [APP, SANDBOX_IMAGE],
        "used and sandbox images are kept"
    );
    assert_eq!(
        node.cri().state(&running).unwrap(),
        before,
        "the running one still runs"
    );
    let again = node.agent(&["--apply", "--all-unused"]);
    for report in &again {
        assert!(
            report["removed"]
                .as_object()
                .unwrap()
                .values()
                .all(|n| n == 0),
            "a second pass removes nothing: {report}"
        );
    }
}
