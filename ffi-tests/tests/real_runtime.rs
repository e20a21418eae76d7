//! A real runtime, collected by the C agent: exactly what the rules say is removed, by the runtime's own lists. It is a containerd, or a CRI-O
//! where CRIGC_TEST_RUNTIME=crio.

use crisim::client::{Cri, log_directory, pod};
use crisim::proto::{self, PodSandboxConfig};
use ffi_tests::containerd::{SANDBOX_IMAGE, is_second};
use ffi_tests::process::{Running, wait_for};
use ffi_tests::runtime::Runtime;
use ffi_tests::simulated::compile_agent;
use ffi_tests::{run, skip};
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const EXITED: i32 = 2;
const RUNNING: i32 = 1;
const APP: &str = "crigc.test/app:1";

/// A node on a runtime, with the files that a kubelet keeps.
struct Node {
    runtime: Runtime,
    agent: PathBuf,
}

impl Node {
    fn cri(&self) -> &Cri {
        self.runtime.cri()
    }

    fn pod(&self, uid: &str, attempt: u32) -> (String, PodSandboxConfig) {
        let config = pod(uid, attempt, &self.runtime.path("pods"));
        std::fs::create_dir_all(log_directory(uid, &self.runtime.path("pods"))).unwrap();
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
        let log = log_directory(&uid, &self.runtime.path("pods"))
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
                .runtime
                .path(&format!("links/pod-{uid}_ns_{name}-{id}.log"));
            symlink(&log, link).unwrap();
        }
        id
    }

    /// The agent on this node.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.agent);
        for (option, value) in [
            (
                "--container-runtime-endpoint",
                self.runtime.endpoint().into(),
            ),
            ("--pod-logs-dir", self.runtime.path("pods")),
            ("--container-logs-dir", self.runtime.path("links")),
            ("--kubelet-dir", self.runtime.path("kubelet")),
        ] {
            command.arg(option).arg(value);
        }
        command.args(arguments);
        command
    }

    /// Runs the agent; its reports by pass.
    fn agent(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let mut command = self.command(&["--once", "--now", "--json"]);
        let output = run(command.args(arguments), Duration::from_secs(120));
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
            .arg(self.runtime.path(below))
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

/// A node on a runtime that runs; none where there can be none.
fn node() -> Option<Node> {
    if let Some(why) = Runtime::missing() {
        skip(why);
        return None;
    }
    Some(Node {
        agent: compile_agent("agent", &[]),
        runtime: Runtime::start().unwrap(),
    })
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
fn a_real_runtime_is_collected_by_the_rules() {
    let Some(node) = node() else { return };
    for (name, salt) in [
        (APP, "app"),
        ("crigc.test/unused:1", "unused"),
        ("crigc.test/unused:2", "unused"),
        ("crigc.test/keep:1", "keep"),
    ] {
        node.runtime.import(name, salt).unwrap();
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
    // The newest attempt of this one has not started: the last that ran stays as well.
    let next: Vec<String> = (0..3)
        .map(|attempt| node.container(&live, "next", attempt, exit.filter(|_| attempt < 2)))
        .collect();
    let before = node.cri().state(&running).unwrap();
    // A deleted pod: stopped, with two dead containers.
    let gone = node.pod(GONE, 0);
    let left: Vec<String> = (0..2)
        .map(|attempt| node.container(&gone, "app", attempt, exit))
        .collect();
    stop(&gone.0);
    std::fs::create_dir_all(node.runtime.path("kubelet/pods").join(LIVE)).unwrap();
    // A link to a missing log, of a container that never existed.
    symlink(
        "/nonexistent",
        node.runtime.path("links/x_ns_app-0123456789abcdef.log"),
    )
    .unwrap();

    // The rotated logs of a dead attempt go with it, those of the running one stay.
    let app = log_directory(LIVE, &node.runtime.path("pods")).join("app");
    for rotated in [
        "0.log.20261101-000000.gz",
        "0.log.20261102-000000",
        "3.log.20261102-000000",
    ] {
        std::fs::write(app.join(rotated), "old").unwrap();
    }

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
    let removed = set(&[&dead[0], &dead[1], &left[0], &left[1], &next[0]]);
    assert_eq!(ids(report, "container", "removed"), removed, "{report}");
    assert_eq!(
        ids(report, "sandbox", "removed"),
        set(&[&old, &gone.0]),
        "{report}"
    );
    let after = node.picture();
    let kept = set(&[&dead[2], &running, &made, &next[1], &next[2]]);
    assert_eq!(after.containers, kept);
    assert_eq!(after.sandboxes, set(&[&live.0]));
    assert_eq!(after.tags, untouched.tags);
    let (mut logs, links) = (after.logs, after.links);
    // CRI-O makes the log of a container that is only made.
    logs.retain(|log| !log.ends_with("made/0.log") && !log.ends_with("next/2.log"));
    assert_eq!(
        logs.len(),
        4,
        "the logs of the newest dead ones, and of the running one with its rotated one: {logs:?}"
    );
    assert_eq!(links.len(), 3, "{links:?}");
    assert!(!log_directory(GONE, &node.runtime.path("pods")).exists());
    assert_eq!(
        node.cri().state(&running).unwrap(),
        before,
        "the running one still runs"
    );
    if let Runtime::Containerd(containerd) = &node.runtime {
        let tasks = containerd.ctr(&["containers", "ls", "-q"]).unwrap();
        assert_eq!(tasks.lines().count(), 6, "containerd agrees: {tasks}");
    }

    // Images: a full disk by a file's figures, then everything unused.
    let fill = node.runtime.path("fill");
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

/// One pod that has ended is collected, with its logs and links: another one runs on, what has no labels keeps the sandbox, and a pod starts
/// afterwards, under the old UID as well.
#[test]
fn a_real_runtime_loses_one_pod_and_nothing_else() {
    let Some(node) = node() else { return };
    node.runtime.import(APP, "app").unwrap();
    let exit: Option<&[&str]> = Some(&["exit", "3"]);
    let live = node.pod(LIVE, 0);
    let dead: Vec<String> = (0..3)
        .map(|attempt| node.container(&live, "app", attempt, exit))
        .collect();
    let running = node.container(&live, "app", 3, Some(&["sleep"]));
    let before = node.cri().state(&running).unwrap();
    let gone = node.pod(GONE, 0);
    // Of two names: the limits on dead containers keep both.
    let left = ["app", "side"].map(|name| node.container(&gone, name, 0, exit));
    let mut without_labels = gone.clone();
    without_labels.1.labels.clear();
    let stray = node.container(&without_labels, "stray", 0, exit);
    std::fs::create_dir_all(node.runtime.path("kubelet/pods").join(LIVE)).unwrap();
    let untouched = node.picture();
    let one = ["--pod", GONE, "--pod-gone"];
    let apply = ["--pod", GONE, "--pod-gone", "--apply"];

    // Its sandbox is ready.
    let report = &node.agent(&apply)[0];
    assert_eq!(report["pass"], "pod", "{report}");
    assert_eq!(node.picture(), untouched, "{report}");
    let request = proto::StopPodSandboxRequest {
        pod_sandbox_id: gone.0.as_str().into(),
    };
    node.cri().stop_pod_sandbox(request).unwrap();

    let dry = &node.agent(&one)[0];
    assert_eq!(node.picture(), untouched, "a dry run touches nothing");
    let report = &node.agent(&apply)[0];
    for kind in ["container", "sandbox", "pod-logs"] {
        let removed = ids(report, kind, "removed");
        assert_eq!(ids(dry, kind, "would-remove"), removed, "{kind}");
        assert!(ids(report, kind, "failed").is_empty(), "{kind}: {report}");
    }
    let removed = ids(report, "container", "removed");
    assert_eq!(removed, set(&[&left[0], &left[1]]), "{report}");
    assert!(ids(report, "sandbox", "removed").is_empty(), "{report}");
    let request = proto::RemoveContainerRequest {
        container_id: stray.as_str().into(),
    };
    node.cri().remove_container(request).unwrap();
    let report = &node.agent(&apply)[0];
    let removed = ids(report, "sandbox", "removed");
    assert_eq!(removed, set(&[&gone.0]), "{report}");

    let after = node.picture();
    let kept = set(&[&dead[0], &dead[1], &dead[2], &running]);
    assert_eq!(after.containers, kept);
    assert_eq!(after.sandboxes, set(&[&live.0]));
    let of_live = |all: &BTreeSet<String>| {
        let own = all.iter().filter(|path| path.contains(LIVE));
        own.cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(after.logs, of_live(&untouched.logs));
    let stray_link = |path: &String| path.contains("stray");
    let links: BTreeSet<String> = after
        .links
        .iter()
        .filter(|l| !stray_link(l))
        .cloned()
        .collect();
    assert_eq!(links, of_live(&untouched.links));
    assert_eq!(node.cri().state(&running).unwrap(), before, "it still runs");
    for uid in ["6f2d41ba-3c11-4c58-9d0a-0a5b7a0f7c02", GONE] {
        let pod = node.pod(uid, 1);
        let runs = node.container(&pod, "app", 0, Some(&["sleep"]));
        assert_eq!(node.cri().state(&runs).unwrap().0, RUNNING, "{uid}");
    }
}

/// An image as the runtime knows it.
fn image_of(cri: &Cri, name: &str) -> proto::Image {
    let request = || proto::ImageStatusRequest {
        image: crisim::client::image(name),
        verbose: false,
    };
    wait_for(|| cri.image_status(request()).ok()?.image).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Images that are used by tag, ID and digest, mounted as a volume or pinned stay in a pass that removes all that is unused; an untagged one
/// goes. The sandbox image stays, and a new pod starts.
#[test]
fn a_real_runtime_keeps_images_that_are_used_in_any_way() {
    let Some(node) = node() else { return };
    let cri = node.cri();
    let knows_pins = match &node.runtime {
        Runtime::Containerd(_) => is_second().unwrap(),
        Runtime::Crio(_) => true,
    };
    let mut kept = vec![APP, "crigc.test/by-id:1", "crigc.test/by-digest:1"];
    for name in [
        APP,
        "crigc.test/by-id:1",
        "crigc.test/by-digest:1",
        "crigc.test/moved:1",
    ] {
        node.runtime.import(name, name).unwrap();
    }
    let moved = image_of(cri, "crigc.test/moved:1").id;
    node.runtime.import("crigc.test/moved:1", "again").unwrap();
    wait_for(|| (image_of(cri, "crigc.test/moved:1").id != moved).then_some(()))
        .expect("the tag moves");

    let pod = node.pod(LIVE, 0);
    let create = |name: &str, from: (&str, &str), mounts: Vec<proto::Mount>| {
        // The kubelet makes the directory of the log.
        let logs = log_directory(LIVE, &node.runtime.path("pods")).join(name);
        std::fs::create_dir_all(logs).unwrap();
        let made = cri.create_with(&pod.0, &pod.1, name, 0, from, &[], mounts);
        made.unwrap()
    };
    create("by-tag", (APP, APP), Vec::new());
    let by_id = text(&image_of(cri, "crigc.test/by-id:1").id);
    create("by-id", (&by_id, "crigc.test/by-id:1"), Vec::new());
    if let Runtime::Containerd(containerd) = &node.runtime {
        containerd.tag_digest("crigc.test/by-digest:1").unwrap();
    }
    let by_digest = wait_for(|| {
        let digests = image_of(cri, "crigc.test/by-digest:1").repo_digests;
        digests.first().map(|digest| text(digest))
    });
    let by_digest = &*by_digest.expect("it has a digest");
    create("by-digest", (by_digest, by_digest), Vec::new());
    if knows_pins {
        for name in ["crigc.test/pinned:1", "crigc.test/volume:1"] {
            node.runtime.import(name, name).unwrap();
            kept.push(name);
        }
        if let Runtime::Containerd(containerd) = &node.runtime {
            let label = [
                "images",
                "label",
                "crigc.test/pinned:1",
                "io.cri-containerd.pinned=pinned",
            ];
            containerd.ctr(&label).unwrap();
        }
        wait_for(|| image_of(cri, "crigc.test/pinned:1").pinned.then_some(()))
            .expect("it is pinned");
        let volume = proto::Mount {
            container_path: b"/volume".to_vec(),
            readonly: true,
            image: Some(proto::ImageSpec {
                image: b"crigc.test/volume:1".to_vec(),
                user_specified_image: b"crigc.test/volume:1".to_vec(),
                ..Default::default()
            }),
            ..Default::default()
        };
        create("volume", (APP, APP), vec![volume]);
    }

    std::fs::create_dir_all(node.runtime.path("kubelet/pods").join(LIVE)).unwrap();
    let dry = node.agent(&["--images", "--all-unused"]);
    let report = &node.agent(&["--images", "--all-unused", "--apply"])[0];
    assert_eq!(
        ids(&dry[0], "image", "would-remove"),
        ids(report, "image", "removed")
    );
    assert!(
        ids(report, "image", "removed").contains(&text(&moved)),
        "{report}"
    );
    assert!(ids(report, "image", "failed").is_empty(), "{report}");
    let mut tags = cri.tags().unwrap();
    kept.push(SANDBOX_IMAGE);
    kept.sort_unstable();
    tags.sort();
    assert_eq!(tags, kept);
    let late = node.pod(GONE, 0);
    let request = proto::PodSandboxStatusRequest {
        pod_sandbox_id: late.0.into(),
        verbose: false,
    };
    assert!(cri.pod_sandbox_status(request).is_ok(), "a new pod starts");
}

/// The runtime is killed in the middle of a pass: nothing goes that must stay, and the next pass removes the rest.
#[test]
fn a_real_runtime_is_collected_after_it_was_killed_in_a_pass() {
    let Some(mut node) = node() else { return };
    node.runtime.import(APP, "app").unwrap();
    let live = node.pod(LIVE, 0);
    let running = node.container(&live, "app", 80, Some(&["sleep"]));
    for attempt in 0..80 {
        node.container(&live, "app", attempt, Some(&["exit", "0"]));
    }
    std::fs::create_dir_all(node.runtime.path("kubelet/pods").join(LIVE)).unwrap();
    let mut pass = node.command(&["--once", "--containers", "--apply"]);
    pass.stdout(Stdio::null()).stderr(Stdio::null());
    let mut pass = Running(pass.spawn().unwrap());
    wait_for(|| (node.cri().containers().ok()?.len() < 76).then_some(())).expect("it removes");
    node.runtime.kill_and_restart().unwrap();
    let ended = wait_for(|| pass.0.try_wait().ok()?).expect("it ends");
    assert!(!ended.success(), "it was killed after the pass");
    let report = &node.agent(&["--containers", "--apply"])[0];
    assert!(ids(report, "container", "failed").is_empty(), "{report}");
    let left = node.cri().containers().unwrap();
    assert_eq!(
        left.len(),
        2,
        "the running one and the newest dead one: {left:?}"
    );
    assert_eq!(node.cri().state(&running).unwrap().0, RUNNING);
}

/// Periodic passes for five minutes, while pods come and go: what lives goes on, and what was left is gone at the end.
#[test]
#[cfg(feature = "slow-tests")]
fn a_real_runtime_is_collected_while_pods_come_and_go() {
    let Some(node) = node() else { return };
    node.runtime.import(APP, "app").unwrap();
    let pods = node.runtime.path("kubelet/pods");
    let lives = |uid: &str| std::fs::create_dir_all(pods.join(uid)).unwrap();
    lives(LIVE);
    let live = node.pod(LIVE, 0);
    let running = node.container(&live, "app", 1, Some(&["sleep"]));
    let before = node.cri().state(&running).unwrap();
    let mut agent = node.command(&[
        "--apply",
        "--container-gc-period",
        "3s",
        "--image-gc-period",
        "7s",
    ]);
    agent.stdout(Stdio::null()).stderr(Stdio::null());
    let agent = Running(agent.spawn().unwrap());
    let end = std::time::Instant::now() + Duration::from_secs(300);
    let mut number = 0;
    while std::time::Instant::now() < end {
        number += 1;
        let uid = format!("6f2d41ba-3c11-4c58-9d0a-{number:012}");
        lives(&uid);
        let pod = node.pod(&uid, 0);
        node.container(&pod, "app", 0, Some(&["exit", "1"]));
        let runs = node.container(&pod, "app", 1, Some(&["sleep"]));
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(
            node.cri().state(&runs).unwrap().0,
            RUNNING,
            "pod {number} lives"
        );
        let request = proto::StopPodSandboxRequest {
            pod_sandbox_id: pod.0.into(),
        };
        node.cri().stop_pod_sandbox(request).unwrap();
        std::fs::remove_dir(pods.join(&uid)).unwrap();
    }
    assert!(number > 20, "{number}");
    assert_eq!(node.cri().state(&running).unwrap(), before, "it still runs");
    wait_for(|| (node.picture().sandboxes.len() == 1).then_some(())).expect("all is collected");
    drop(agent);
    let left = node.picture();
    assert_eq!(left.containers, set(&[&running]));
    assert_eq!(left.links.len(), 1, "{:?}", left.links);
    assert!(
        left.logs.iter().all(|log| log.contains(LIVE)),
        "{:?}",
        left.logs
    );
}
