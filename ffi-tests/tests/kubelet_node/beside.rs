//! The agent of `examples-c/` beside a kubelet as it is: who removes which images. docs/two-collectors.md says so in words.

use crate::{PASS, has, mentions};
use ffi_tests::kubelet::{Left, Node, missing};
use ffi_tests::process::{Running, wait_for};
use ffi_tests::simulated::{WATCHDOG, compile_agent, told};
use ffi_tests::{root, run, skip};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Unused images that both collectors remove at once.
const RACED: usize = 24;

const UID: &str = "00000000-0000-0000-0000-00000000000a";

/// The agent, built once.
fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || compile_agent("agent-beside-a-kubelet", &[]);
    BUILT.get_or_init(build).clone()
}

/// An agent for images alone that removes, with an image that only its own key protects.
fn agent(node: &Node, folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(["--images", "--apply", "--container-runtime-endpoint"])
        .arg(node.containerd.endpoint())
        .arg("--image-records-file")
        .arg(folder.join("records"))
        .args(["--image-gc-exempt", "crigc.test/exempt:1"])
        .args(more);
    command
}

/// Pins an image as containerd's manual says, and waits until CRI tells of it.
fn pin(node: &Node, name: &str) {
    let label = ["images", "label", name, "io.cri-containerd.pinned=pinned"];
    node.containerd.ctr(&label).unwrap();
    let is_pinned = || {
        let request = crisim::proto::ImageStatusRequest {
            image: crisim::client::image(name),
            verbose: false,
        };
        let image = node.containerd.cri.image_status(request).ok()?.image?;
        image.pinned.then_some(())
    };
    wait_for(is_pinned).expect("it is pinned");
}

/// How many images the kubelet has removed for space.
fn by_the_kubelet(node: &Node) -> f64 {
    let counted = node.metrics("kubelet_image_garbage_collected_total");
    counted.unwrap().values().sum()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn an_agent_for_images_works_beside_a_stock_kubelet() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let settings = json!({
        "imageGCHighThresholdPercent": 100,
        "imageMinimumGCAge": "1ns",
        "evictionHard": {"nodefs.available": "15%", "memory.available": "1Mi"},
        "evictionPressureTransitionPeriod": "10s",
    });
    let kubelet = root().join("target/kubelet-node/stock");
    let node = Node::start(&kubelet, 1000, &settings).unwrap();
    node.import("crigc.test/app:1", 1).unwrap();
    node.pod("stays", UID, "Always", &[]).unwrap();
    let runs = |left: &Left| has(left, "container stays-node/main 0 CONTAINER_RUNNING");
    node.wait_until(Instant::now() + PASS, "a pod runs", runs)
        .unwrap();
    for name in ["unused:1", "unused:2", "unused:3", "exempt:1", "pinned:1"] {
        node.import(&format!("crigc.test/{name}"), 40).unwrap();
    }
    pin(&node, "crigc.test/pinned:1");
    let folder = tempfile::tempdir().unwrap();
    the_agent_collects_alone(&node, folder.path());
    both_collect_at_once(&node, folder.path());
}

/// With its high threshold at 100 the kubelet leaves images to the agent. A pod that runs, and what is exempt or pinned, stays.
fn the_agent_collects_alone(node: &Node, folder: &Path) {
    let (log, metrics) = (folder.join("log"), folder.join("crigc.prom"));
    let mut command = agent(
        node,
        folder,
        &[
            "--image-gc-high-threshold=20",
            "--image-gc-low-threshold=1",
            "--image-gc-period=1s",
            "--minimum-image-ttl-duration=1s",
        ],
    );
    command.arg("--metrics-file").arg(&metrics);
    let file = File::create(&log).unwrap();
    command.stdout(file.try_clone().unwrap()).stderr(file);
    let running = Running(command.spawn().unwrap());
    let gone = |left: &Left| !mentions(left, "unused");
    let left = node
        .wait_until(Instant::now() + PASS, "unused images are gone", gone)
        .unwrap_or_else(|why| panic!("{why}\n{}", read(&log)));
    for line in [
        "image crigc.test/app:1",
        "image crigc.test/exempt:1",
        "image crigc.test/pinned:1",
        "image crigc.test/infra:1",
        "container stays-node/main 0 CONTAINER_RUNNING",
    ] {
        assert!(has(&left, line), "{line}: {left:#?}\n{}", read(&log));
    }
    let counts_three = || {
        let text = read(&metrics);
        let begin = "crigc_removals_total{";
        let mut removed = text
            .lines()
            .filter(|line| line.starts_with(begin) && line.contains("outcome=\"removed\""));
        removed.any(|line| line.ends_with(" 3")).then_some(())
    };
    wait_for(counts_three).unwrap_or_else(|| panic!("{}", read(&metrics)));
    drop(running);
    assert!(
        read(&log).contains("containers never, images every 1s"),
        "{}",
        read(&log)
    );
    assert!(node.log().unwrap().contains("Disable image GC"));
    assert_eq!(by_the_kubelet(node), 0.0);
}

/// Under disk pressure the kubelet removes unused images whatever its threshold is, and the agent's exempt image with them: only a pin holds
/// for both. What one of them has removed is no failure for the other.
fn both_collect_at_once(node: &Node, folder: &Path) {
    for number in 0..RACED {
        node.import(&format!("crigc.test/raced:{number}"), 8)
            .unwrap();
    }
    let filesystem = node.filesystem.path();
    let free = rustix::fs::statvfs(&filesystem).unwrap();
    let bytes = (free.f_bavail - free.f_blocks * 8 / 100) * free.f_frsize;
    let fill = File::create(filesystem.join("fill")).unwrap();
    rustix::fs::fallocate(&fill, rustix::fs::FallocateFlags::empty(), 0, bytes).unwrap();

    let end = Instant::now() + PASS;
    let raced = || {
        let tags = node.containerd.cri.tags().unwrap();
        tags.iter().filter(|tag| tag.contains("raced")).count()
    };
    while raced() == RACED {
        assert!(Instant::now() < end, "no pressure: {}", node.log().unwrap());
        std::thread::sleep(Duration::from_millis(5));
    }
    let now = ["--once", "--now", "--all-unused", "--json"];
    let told = told(run(&mut agent(node, folder, &now), WATCHDOG));
    assert_eq!(told.code, Some(0), "{}\n{}", told.out, told.error);
    let report: Value = serde_json::from_str(&told.out).expect("JSON");
    println!(
        "the agent removed {} of {RACED}",
        report["removed"]["image"]
    );
    assert_eq!(report["failed"]["image"], 0, "{report}");

    let gone = |left: &Left| !mentions(left, "raced") && !mentions(left, "exempt");
    let left = node
        .wait_until(Instant::now() + PASS, "unused images are gone", gone)
        .unwrap();
    for line in [
        "image crigc.test/app:1",
        "image crigc.test/pinned:1",
        "image crigc.test/infra:1",
        "container stays-node/main 0 CONTAINER_RUNNING",
    ] {
        assert!(has(&left, line), "{line}: {left:#?}");
    }
    assert!(by_the_kubelet(node) > 0.0);
    let log = node.log().unwrap();
    let failed = log.lines().find(|l| l.contains("Failed to remove image"));
    assert_eq!(failed, None);
}
