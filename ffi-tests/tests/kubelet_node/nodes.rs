//! Two nodes that are to have the same, and what is asked of both.

use crate::PASS;
use ffi_tests::kubelet::{Left, Node, missing};
use ffi_tests::{root, skip};
use serde_json::json;
use std::time::{Duration, Instant};

/// Words that a kubelet's operator does not know: parts of crigc's interface.
const FOREIGN: [&str; 5] = [
    "Config.",
    "gc_config",
    "GC_ALL_UNUSED",
    "gc_images",
    "ImageFS",
];

/// A node with the kubelet as it is, and one with crigc inside.
pub struct Nodes {
    pub stock: Node,
    pub crigc: Node,
}

impl Nodes {
    pub fn both(&self) -> [&Node; 2] {
        [&self.stock, &self.crigc]
    }

    pub fn pod(&self, name: &str, uid: &str, restart: &str, args: &[&str]) {
        for node in self.both() {
            node.pod(name, uid, restart, args).unwrap();
        }
    }

    pub fn delete_pod(&self, name: &str) {
        for node in self.both() {
            node.delete_pod(name).unwrap();
        }
    }

    /// Waits until both nodes are so, for as long as each may take, and then until they have the same.
    pub fn agree(&self, limit: Duration, what: &str, is_so: impl Fn(&Left) -> bool + Copy) {
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
    pub fn count(&self, metric: &str, number: f64) {
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

    /// Fills both disks until so many percent are available.
    pub fn fill(&self, available: u64) {
        for node in self.both() {
            let filesystem = node.filesystem.path();
            let free = rustix::fs::statvfs(&filesystem).unwrap();
            let whole = free.f_blocks * free.f_frsize;
            let fill = free.f_bavail * free.f_frsize - whole * available / 100;
            let file = std::fs::File::create(filesystem.join("fill")).unwrap();
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, fill).unwrap();
        }
    }

    /// crigc has said something, and nothing that an operator does not know.
    pub fn speaks_to_operators(&self) {
        let log = self.crigc.log().unwrap();
        assert!(log.contains("removed "), "crigc says nothing:\n{log}");
        for word in FOREIGN {
            let line = log.lines().find(|line| line.contains(word));
            assert_eq!(line, None, "an operator does not know {word}");
        }
    }

    /// Whether the crigc node's kubelet has counted, timed or seen the failure of such a call of the runtime of its own. It has listed
    /// containers in any case.
    pub fn called(&self, operation: &str) -> bool {
        let counted = self.crigc.metrics("kubelet_runtime_operations_").unwrap();
        let has = |family: &str, operation: &str| {
            let name =
                format!("kubelet_runtime_operations_{family}{{operation_type=\"{operation}\"}}");
            counted.contains_key(&name)
        };
        for family in ["total", "duration_seconds_count"] {
            assert!(has(family, "list_containers"), "{counted:?}");
        }
        let families = ["total", "duration_seconds_count", "errors_total"];
        families.iter().any(|family| has(family, operation))
    }

    /// Waits until both kubelets have reported such an event, in the same words.
    pub fn report(&self, reason: &str, limit: Duration) {
        println!("{reason}");
        let end = Instant::now() + limit;
        let [stock, crigc] = self.both().map(|node| {
            loop {
                let events = node.events(reason).unwrap();
                if !events.is_empty() {
                    return events;
                }
                assert!(
                    Instant::now() < end,
                    "no {reason}:\n{}",
                    node.log().unwrap()
                );
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        assert_eq!(stock, crigc, "{reason}");
    }
}

/// Without what crashes: of that, the bounds alone are compared.
fn steady(left: &Left) -> Left {
    let steady = left.0.iter().filter(|line| !line.contains("crash"));
    Left(steady.cloned().collect())
}

/// Both nodes; none where there can be none.
pub fn nodes(more: &[(&str, &str)]) -> Option<Nodes> {
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
