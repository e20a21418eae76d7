//! Two real kubelets side by side, one with crigc inside and one as it is, each on a containerd of its own: what is left on both nodes is the
//! same. `make test-kubelet-node` builds the kubelets and runs this; it takes about half an hour.

use ffi_tests::kubelet::{Figures, Left, Node, missing};
use ffi_tests::{root, skip};
use serde_json::json;
use std::time::{Duration, Instant};

/// A pass over containers, with the kubelet's period of a minute, and what it takes.
const PASS: Duration = Duration::from_secs(100);
/// The kubelet's period of looks and passes over images, and what they take. An image that a pass is the first to see is too young for it.
const IMAGE_PASS: Duration = Duration::from_secs(330);
/// How long the kubelets are watched for leaks.
const WATCH: Duration = Duration::from_secs(15 * 60);

/// What counts the images that were removed for space.
const BY_SPACE: &str = "kubelet_image_garbage_collected_total{reason=\"space\"}";

/// Words that a kubelet's operator does not know: parts of crigc's interface.
const FOREIGN: [&str; 5] = [
    "Config.",
    "gc_config",
    "GC_ALL_UNUSED",
    "gc_images",
    "ImageFS",
];

struct Nodes {
    stock: Node,
    crigc: Node,
}

impl Nodes {
    fn both(&self) -> [&Node; 2] {
        [&self.stock, &self.crigc]
    }

    fn pod(&self, name: &str, uid: &str, restart: &str, args: &[&str]) {
        for node in self.both() {
            node.pod(name, uid, restart, args).unwrap();
        }
    }

    fn delete_pod(&self, name: &str) {
        for node in self.both() {
            node.delete_pod(name).unwrap();
        }
    }

    /// Waits until both nodes are so, for as long as each may take, and then until they have the same.
    fn agree(&self, limit: Duration, what: &str, is_so: impl Fn(&Left) -> bool + Copy) {
        println!("{what}");
        let end = Instant::now() + limit;
        for node in self.both() {
            node.wait_until(end, what, is_so).unwrap();
        }
        let end = Instant::now() + PASS;
        loop {
            let [stock, crigc] = self.both().map(|node| steady(&node.left().unwrap()));
            let differs = stock.difference(&crigc);
            if differs.is_empty() && is_so(&stock) {
                return;
            }
            assert!(Instant::now() < end, "{what}: {differs:#?}");
            std::thread::sleep(Duration::from_secs(2));
        }
    }

    /// Waits until both kubelets have counted so many; a pass counts when it ends.
    fn count(&self, metric: &str, number: f64) {
        let end = Instant::now() + PASS;
        for node in self.both() {
            loop {
                let counted = node.metrics(metric).unwrap();
                if counted.get(metric) == Some(&number) {
                    break;
                }
                assert!(Instant::now() < end, "{metric} {number}: {counted:?}");
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }

    /// crigc has said something, and nothing that an operator does not know.
    fn speaks_to_operators(&self) {
        let log = self.crigc.log().unwrap();
        assert!(log.contains("removed "), "crigc says nothing:\n{log}");
        for word in FOREIGN {
            let line = log.lines().find(|line| line.contains(word));
            assert_eq!(line, None, "an operator does not know {word}");
        }
    }

    /// Whether the crigc node's kubelet has called this of the runtime itself. It has listed containers in any case.
    fn called(&self, operation: &str) -> bool {
        let metric = "kubelet_runtime_operations_total{operation_type=";
        let counted = self.crigc.metrics(metric).unwrap();
        let name = |operation: &str| format!("{metric}\"{operation}\"}}");
        assert!(
            counted.contains_key(&name("list_containers")),
            "{counted:?}"
        );
        counted.contains_key(&name(operation))
    }
}

/// Without what crashes: of that, the bounds alone are compared.
fn steady(left: &Left) -> Left {
    let steady = left.0.iter().filter(|line| !line.contains("crash"));
    Left(steady.cloned().collect())
}

fn has(left: &Left, line: &str) -> bool {
    left.0.contains(line)
}

fn mentions(left: &Left, name: &str) -> bool {
    left.0.iter().any(|line| line.contains(name))
}

/// A pod that crashes again and again keeps its last dead container, and the one that died since the last pass.
fn crashed(node: &Node) -> usize {
    let left = node.left().unwrap();
    let dead =
        |line: &&String| line.starts_with("container crash-node/") && line.contains("EXITED");
    left.0.iter().filter(dead).count()
}

/// Both nodes; none where there can be none.
fn nodes(more: &[(&str, &str)]) -> Option<Nodes> {
    if let Some(why) = missing() {
        skip(why);
        return None;
    }
    let kubelets = root().join("target/kubelet-node");
    let mut settings = json!({
        "imageMinimumGCAge": "5s",
        "imageGCHighThresholdPercent": 60,
        "imageGCLowThresholdPercent": 10,
        "evictionHard": {"nodefs.available": "15%", "memory.available": "1Mi"},
        "evictionPressureTransitionPeriod": "10s",
    });
    for (key, value) in more {
        settings[*key] = json!(value);
    }
    let start = |name: &str| {
        let node = Node::start(&kubelets.join(name), 1000, &settings).unwrap();
        node.import("crigc.test/app:1", 1).unwrap();
        node
    };
    Some(Nodes {
        stock: start("stock"),
        crigc: start("crigc"),
    })
}

#[test]
fn a_kubelet_with_crigc_leaves_the_pods_that_a_kubelet_leaves() {
    let Some(mut nodes) = nodes(&[]) else { return };
    nodes.pod(
        "stays",
        "00000000-0000-0000-0000-00000000000a",
        "Always",
        &[],
    );
    nodes.pod(
        "goes",
        "00000000-0000-0000-0000-00000000000b",
        "Always",
        &[],
    );
    nodes.pod(
        "ends",
        "00000000-0000-0000-0000-00000000000c",
        "Never",
        &["exit", "0"],
    );
    nodes.pod(
        "crash",
        "00000000-0000-0000-0000-00000000000d",
        "Always",
        &["exit", "1"],
    );
    nodes.agree(PASS, "pods run and end", |left| {
        has(left, "container stays-node/main 0 CONTAINER_RUNNING")
            && has(left, "container goes-node/main 0 CONTAINER_RUNNING")
            && has(left, "container ends-node/main 0 CONTAINER_EXITED")
    });

    nodes.delete_pod("goes");
    nodes.agree(2 * PASS, "what a deleted pod left is gone", |left| {
        !mentions(left, "goes")
    });
    nodes.delete_pod("ends");
    nodes.agree(2 * PASS, "what an ended pod left is gone", |left| {
        !mentions(left, "ends")
    });
    for node in nodes.both() {
        assert!((1..=3).contains(&crashed(node)), "{}", crashed(node));
    }

    println!("kubelet and containerd restart");
    nodes.stock.restart_kubelet(&[]).unwrap();
    nodes.crigc.restart_kubelet(&[]).unwrap();
    nodes.stock.containerd.restart().unwrap();
    nodes.crigc.containerd.restart().unwrap();
    nodes.pod(
        "late",
        "00000000-0000-0000-0000-00000000000e",
        "Always",
        &[],
    );
    nodes.agree(2 * PASS, "pods go on after restarts", |left| {
        has(left, "container stays-node/main 0 CONTAINER_RUNNING")
            && has(left, "container late-node/main 0 CONTAINER_RUNNING")
    });
    nodes.delete_pod("late");
    nodes.agree(2 * PASS, "passes go on after restarts", |left| {
        !mentions(left, "late")
    });

    for node in nodes.both() {
        assert!((1..=3).contains(&crashed(node)), "{}", crashed(node));
    }
    nodes.speaks_to_operators();

    println!("back to the kubelet's own collectors, and to crigc again");
    for (enabled, by_the_kubelet) in [(false, true), (true, false)] {
        let gate = format!("--feature-gates=CrigcGarbageCollection={enabled}");
        nodes.crigc.restart_kubelet(&[&gate]).unwrap();
        let uid = "00000000-0000-0000-0000-00000000000f";
        nodes.crigc.pod("again", uid, "Always", &[]).unwrap();
        let node = &nodes.crigc;
        let runs = |left: &Left| has(left, "container again-node/main 0 CONTAINER_RUNNING");
        node.wait_until(Instant::now() + PASS, "a pod runs", runs)
            .unwrap();
        node.delete_pod("again").unwrap();
        let gone = |left: &Left| !mentions(left, "again");
        node.wait_until(Instant::now() + 2 * PASS, "what it left is gone", gone)
            .unwrap();
        assert_eq!(
            nodes.called("remove_podsandbox"),
            by_the_kubelet,
            "{enabled}"
        );
    }
}

#[test]
fn a_kubelet_with_crigc_leaves_the_images_that_a_kubelet_leaves() {
    let Some(nodes) = nodes(&[]) else { return };
    let uid = "00000000-0000-0000-0000-00000000000a";
    nodes.pod("stays", uid, "Always", &[]);
    nodes.agree(PASS, "a pod runs", |left| {
        has(left, "container stays-node/main 0 CONTAINER_RUNNING")
    });

    for number in 0..4 {
        for node in nodes.both() {
            node.import(&format!("crigc.test/unused:{number}"), 80)
                .unwrap();
        }
    }
    for node in nodes.both() {
        assert!(node.filesystem.usage().unwrap() >= 60);
    }
    nodes.agree(
        2 * IMAGE_PASS,
        "unused images are gone, the others not",
        |left| {
            !mentions(left, "unused")
                && has(left, "image crigc.test/app:1")
                && has(left, "image crigc.test/infra:1")
        },
    );
    nodes.count(BY_SPACE, 4.0);

    println!("disk pressure, after a look at one more unused image");
    for node in nodes.both() {
        node.import("crigc.test/pressed:1", 80).unwrap();
    }
    std::thread::sleep(IMAGE_PASS);
    for node in nodes.both() {
        let filesystem = node.filesystem.path();
        let free = rustix::fs::statvfs(&filesystem).unwrap();
        let whole = free.f_blocks * free.f_frsize;
        let fill = free.f_bavail * free.f_frsize - whole * 8 / 100;
        let file = std::fs::File::create(filesystem.join("fill")).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, fill).unwrap();
    }
    nodes.agree(PASS, "pressure removes an unused image at once", |left| {
        !mentions(left, "pressed") && has(left, "container stays-node/main 0 CONTAINER_RUNNING")
    });
    nodes.count(BY_SPACE, 5.0);
    for node in nodes.both() {
        std::fs::remove_file(node.filesystem.path().join("fill")).unwrap();
    }
    assert!(
        !nodes.called("remove_image"),
        "crigc has its own connection"
    );
    nodes.speaks_to_operators();
}

/// A kubelet that has just started has seen no image before: on a full disk, both leave all of them until their next pass.
#[test]
fn a_kubelet_with_crigc_that_has_just_started_removes_no_image() {
    let Some(mut nodes) = nodes(&[]) else { return };
    for number in 0..4 {
        for node in nodes.both() {
            node.import(&format!("crigc.test/unused:{number}"), 80)
                .unwrap();
        }
    }
    nodes.stock.restart_kubelet(&[]).unwrap();
    nodes.crigc.restart_kubelet(&[]).unwrap();
    let started = Instant::now();
    while started.elapsed() < PASS {
        for node in nodes.both() {
            let left = node.left().unwrap();
            let unused = |line: &&String| line.contains("unused");
            assert_eq!(left.0.iter().filter(unused).count(), 4, "{left:?}");
        }
        std::thread::sleep(Duration::from_secs(5));
    }
    nodes.agree(IMAGE_PASS, "the next pass removes them", |left| {
        !mentions(left, "unused") && has(left, "image crigc.test/infra:1")
    });
    nodes.speaks_to_operators();
}

/// What the kubelet's own node test wants of `imageMaximumGCAge`: an image that came between two looks, with an age of a minute, is gone
/// within six.
#[test]
fn a_kubelet_with_crigc_removes_old_images_in_time() {
    let Some(nodes) = nodes(&[("imageMaximumGCAge", "1m")]) else {
        return;
    };
    let uid = "00000000-0000-0000-0000-00000000000a";
    nodes.pod("stays", uid, "Always", &[]);
    nodes.agree(PASS, "a pod runs", |left| {
        has(left, "container stays-node/main 0 CONTAINER_RUNNING")
    });
    for node in nodes.both() {
        node.import("crigc.test/aged:1", 1).unwrap();
    }
    nodes.agree(Duration::from_secs(360), "old images are gone", |left| {
        !mentions(left, "aged") && has(left, "image crigc.test/app:1")
    });
    nodes.count("kubelet_image_garbage_collected_total{reason=\"age\"}", 1.0);
    nodes.speaks_to_operators();
}

/// A kubelet with crigc inside grows no more than one without, while pods come and go.
#[test]
fn a_kubelet_with_crigc_does_not_grow() {
    let Some(nodes) = nodes(&[]) else { return };
    let figures = || nodes.both().map(|node| node.figures().unwrap());
    let began = Instant::now();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut number = 0;
    while began.elapsed() < WATCH {
        let name = format!("churn{}", number % 2);
        let uid = format!("00000000-0000-0000-0001-{number:012}");
        nodes.pod(&name, &uid, "Always", &[]);
        let runs = format!("container {name}-node/main 0 CONTAINER_RUNNING");
        let end = Instant::now() + PASS;
        for node in nodes.both() {
            node.wait_until(end, "running", |left| has(left, &runs))
                .unwrap();
        }
        nodes.delete_pod(&name);
        std::thread::sleep(Duration::from_secs(20));
        number += 1;
        // What is made once has been made by then; memory goes up and down, so that the least of some looks counts.
        match began.elapsed().as_secs() * 3 / WATCH.as_secs() {
            0 => {}
            1 => first.push(figures()),
            _ => last.push(figures()),
        }
    }
    nodes.agree(2 * PASS, "what the pods left is gone", |left| {
        !mentions(left, "churn")
    });
    let least = |looks: &[[Figures; 2]], node: usize, of: fn(&Figures) -> u64| {
        looks
            .iter()
            .map(|look| of(&look[node]))
            .min()
            .expect("some looks")
    };
    type Figure = fn(&Figures) -> u64;
    let figures: [(&str, Figure, u64); 3] = [
        ("memory in KiB", |figures| figures.memory, 8 << 10),
        ("threads", |figures| figures.threads, 4),
        ("descriptors", |figures| figures.descriptors, 4),
    ];
    for (what, of, more) in figures {
        let [stock, crigc] = [0, 1].map(|node| {
            let (first, last) = (least(&first, node, of), least(&last, node, of));
            println!("{}: {what}: {first} to {last}", ["stock", "crigc"][node]);
            last.saturating_sub(first)
        });
        assert!(
            crigc <= stock + more,
            "{what}: {crigc} more, {stock} without crigc"
        );
    }
}
