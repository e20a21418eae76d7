//! Two real kubelets side by side, one with crigc inside and one as it is, each on a containerd of its own: what is left on both nodes is the
//! same. And the agent beside a kubelet as it is. `make test-kubelet-node` builds the kubelets and runs this; it takes about half an hour.

mod beside;
mod nodes;

use ffi_tests::kubelet::{Figures, Left, Node};
use nodes::nodes;
use std::time::{Duration, Instant};

/// A pass over containers, with the kubelet's period of a minute, and what it takes.
const PASS: Duration = Duration::from_secs(100);
/// The kubelet's period of looks and passes over images, and what they take. An image that a pass is the first to see is too young for it.
const IMAGE_PASS: Duration = Duration::from_secs(330);
/// How many unused images are there when the runtime is killed.
const UNUSED: usize = 24;
/// How long the kubelets are watched for leaks.
const WATCH: Duration = Duration::from_secs(15 * 60);

/// What counts the images that were removed for space.
const BY_SPACE: &str = "kubelet_image_garbage_collected_total{reason=\"space\"}";

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

    for number in 0..5 {
        for node in nodes.both() {
            node.import(&format!("crigc.test/unused:{number}"), 80)
                .unwrap();
        }
    }
    println!("an operator removes an image between two passes");
    for node in nodes.both() {
        let removed = ["images", "rm", "--sync", "crigc.test/unused:0"];
        node.containerd.ctr(&removed).unwrap();
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
    nodes.fill(8);
    nodes.agree(PASS, "pressure removes an unused image at once", |left| {
        !mentions(left, "pressed") && has(left, "container stays-node/main 0 CONTAINER_RUNNING")
    });
    nodes.count(BY_SPACE, 5.0);
    for node in nodes.both() {
        std::fs::remove_file(node.filesystem.path().join("fill")).unwrap();
    }
    let records = "kubelet_imagemanager_ondisk_pulledrecords";
    let [stock, crigc] = nodes.both().map(|node| node.metrics(records).unwrap());
    println!("{records}: {stock:?} without crigc, {crigc:?} with it");
    assert!(stock.keys().eq(crigc.keys()));
    assert!(stock.values().zip(crigc.values()).all(|(s, c)| c >= s));
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

/// On a disk that nothing can relieve, and beside a runtime that is down, both kubelets report the same events.
#[test]
fn a_kubelet_with_crigc_reports_the_events_that_a_kubelet_reports() {
    let Some(mut nodes) = nodes(&[]) else { return };
    nodes.fill(30);
    nodes.report("FreeDiskSpaceFailed", IMAGE_PASS);
    nodes.report("ImageGCFailed", IMAGE_PASS);
    for node in [&mut nodes.stock, &mut nodes.crigc] {
        node.containerd.stop();
    }
    std::thread::sleep(PASS);
    for node in [&mut nodes.stock, &mut nodes.crigc] {
        node.containerd.start_again().unwrap();
    }
    for node in nodes.both() {
        let events = node.events("ContainerGCFailed").unwrap();
        println!("{events:?}");
        assert!(!events.is_empty(), "{}", node.log().unwrap());
    }
}

/// A runtime that is killed while its images are collected: the next pass removes the rest, and nothing that must stay.
#[test]
fn a_kubelet_with_crigc_goes_on_after_a_runtime_that_was_killed_meanwhile() {
    let Some(mut nodes) = nodes(&[]) else { return };
    let uid = "00000000-0000-0000-0000-00000000000a";
    nodes.pod("stays", uid, "Always", &[]);
    nodes.agree(PASS, "a pod runs", |left| {
        has(left, "container stays-node/main 0 CONTAINER_RUNNING")
    });
    for number in 0..UNUSED {
        for node in nodes.both() {
            node.import(&format!("crigc.test/unused:{number}"), 14)
                .unwrap();
        }
    }
    std::thread::scope(|scope| {
        for (name, node) in [("stock", &mut nodes.stock), ("crigc", &mut nodes.crigc)] {
            scope.spawn(move || {
                let unused = |node: &Node| {
                    let tags = node.containerd.cri.tags().unwrap();
                    tags.iter().filter(|tag| tag.contains("unused")).count()
                };
                let end = Instant::now() + 2 * IMAGE_PASS;
                while unused(node) == UNUSED {
                    assert!(Instant::now() < end, "{name} removes no image");
                    std::thread::sleep(Duration::from_millis(5));
                }
                node.containerd.kill_and_restart().unwrap();
                let left = unused(node);
                println!("{name}: killed with {left} of {UNUSED} unused images left");
                assert!((1..UNUSED).contains(&left), "{left}");
            });
        }
    });
    nodes.agree(2 * IMAGE_PASS, "the next pass removes the rest", |left| {
        !mentions(left, "unused")
            && has(left, "image crigc.test/app:1")
            && has(left, "container stays-node/main 0 CONTAINER_RUNNING")
    });
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
