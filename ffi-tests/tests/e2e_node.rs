//! The kubelet's own node tests, with a kubelet that has crigc inside and with one as it is: what passes with the kubelet passes with crigc.
//! `make test-e2e-node` builds the tests and the kubelets, and runs this.

use ffi_tests::process::Made;
use ffi_tests::{has, kubelet, root, skip};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Specs that run one after the other on a new node, by the word that their names begin with.
struct Group {
    name: &'static str,
    words: &'static [&'static str],
    minutes: u64,
}

/// All groups. Those that `CRIGC_E2E_GROUPS` names are run.
const GROUPS: [Group; 6] = [
    Group {
        name: "containers",
        words: &["GarbageCollect", "ContainerLogPath"],
        minutes: 40,
    },
    Group {
        name: "images",
        words: &["ImageGarbageCollect"],
        minutes: 40,
    },
    Group {
        name: "logs",
        words: &[
            "ContainerLogRotation",
            "ContainerLogRotationWithMultipleWorkers",
        ],
        minutes: 30,
    },
    Group {
        name: "pods",
        words: &["MirrorPod", "MirrorPodWithGracePeriod", "StaticPod"],
        minutes: 60,
    },
    Group {
        name: "pressure",
        words: &[
            "ImageGCNoEviction",
            "ImageGCTerminatedPodsContainersCleanup",
        ],
        minutes: 90,
    },
    Group {
        name: "evictions",
        words: &[
            "LocalStorageEviction",
            "PriorityLocalStorageEvictionOrdering",
        ],
        minutes: 90,
    },
];

/// What cannot run on this node, by a part of its name, and why.
const LEFT_OUT: [(&str, &str); 2] = [
    (
        "temporarily failed termination due to volume failing to unmount",
        "needs an image with an NFS server",
    ),
    (
        "the container runtime is temporarily down",
        "stops containerd through the D-Bus of systemd",
    ),
];

/// What came of a spec.
#[derive(Clone)]
struct Outcome {
    state: String,
    seconds: f64,
    why: String,
}

impl Outcome {
    fn passed(&self) -> bool {
        self.state == "passed"
    }

    fn cell(&self) -> String {
        format!("{}, {:.0} s", self.state, self.seconds)
    }
}

type Outcomes = BTreeMap<String, Outcome>;

/// Runs a group with the kubelet of this name.
fn run(kubelet: &str, group: &Group) -> Made<Outcomes> {
    let built = root().join("target/kubelet-node");
    let folder = root()
        .join("target/e2e-node")
        .join(kubelet)
        .join(group.name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let left_out: Vec<&str> = LEFT_OUT.iter().map(|(part, _)| *part).collect();
    let status = Command::new(root().join("ffi-tests/e2e-node/node.sh"))
        .arg(env!("CARGO_BIN_EXE_kubelet-specs"))
        .arg(built.join("e2e_node.test"))
        .arg(built.join(kubelet))
        .arg(format!(r"\[sig-node\] ({})( |$)", group.words.join("|")))
        .arg(left_out.join("|"))
        .arg(group.minutes.to_string())
        .arg(&folder)
        .status()?;
    if !status.success() {
        return Err(format!("{status}; see {}", folder.display()).into());
    }
    outcomes(&folder.join("report.json"))
}

/// The beginning of a message; the rest is in the report.
fn short(message: &str) -> String {
    message
        .chars()
        .take(300)
        .collect::<String>()
        .replace('\n', " ")
}

/// Reads ginkgo's report. A spec that the focus leaves out is skipped there without a message.
fn outcomes(report: &Path) -> Made<Outcomes> {
    let report: Value = serde_json::from_slice(&std::fs::read(report)?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut outcomes = Outcomes::new();
    for spec in report[0]["SpecReports"].as_array().ok_or("no specs")? {
        let outcome = Outcome {
            state: text(&spec["State"]),
            seconds: spec["RunTime"].as_f64().unwrap_or_default() / 1e9,
            why: short(&text(&spec["Failure"]["Message"])),
        };
        if spec["LeafNodeType"] != "It" {
            if !outcome.passed() {
                return Err(format!("{}: {}", text(&spec["LeafNodeType"]), outcome.why).into());
            }
            continue;
        }
        if outcome.state == "skipped" && outcome.why.is_empty() {
            continue;
        }
        let texts = spec["ContainerHierarchyTexts"].as_array();
        let mut name: Vec<String> = texts.into_iter().flatten().map(text).collect();
        name.push(text(&spec["LeafNodeText"]));
        let name = name.join(" ");
        // Its labels stand in brackets.
        let words = name
            .split_whitespace()
            .filter(|word| !word.starts_with('['));
        outcomes.insert(words.collect::<Vec<&str>>().join(" "), outcome);
    }
    Ok(outcomes)
}

/// The table of both, as it stands in docs/node-tests.md.
fn table(stock: &Outcomes, crigc: &Outcomes) -> Made<String> {
    let mut table = String::from("| spec | stock | crigc |\n|---|---|---|\n");
    let cell = |outcome: Option<&Outcome>| outcome.map_or("not run".to_owned(), Outcome::cell);
    for name in stock
        .keys()
        .chain(crigc.keys().filter(|name| !stock.contains_key(*name)))
    {
        let cells = [stock, crigc].map(|outcomes| cell(outcomes.get(name)));
        writeln!(table, "| {name} | {} | {} |", cells[0], cells[1])?;
    }
    Ok(table)
}

#[test]
fn what_passes_with_the_kubelet_passes_with_crigc() {
    let all = ["ip", "busybox", "/usr/lib/cni/bridge"]
        .iter()
        .all(|command| has(command));
    let more = (!all)
        .then_some("ip, busybox or the bridge of containernetworking-plugins is not installed");
    if let Some(why) = kubelet::missing().or(more) {
        skip(why);
        return;
    }
    let wanted = std::env::var("CRIGC_E2E_GROUPS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    assert!(!wanted.is_empty(), "CRIGC_E2E_GROUPS names no group");
    for name in &wanted {
        let known = GROUPS.iter().any(|group| group.name == *name);
        assert!(known, "CRIGC_E2E_GROUPS: there is no group {name}");
    }
    let began = Instant::now();
    let (mut stock, mut crigc) = (Outcomes::new(), Outcomes::new());
    let mut broken = Vec::new();
    for group in &GROUPS {
        if !wanted.contains(&group.name) {
            continue;
        }
        for (kubelet, outcomes) in [("stock", &mut stock), ("crigc", &mut crigc)] {
            let began = Instant::now();
            let found = match run(kubelet, group) {
                Ok(found) => found,
                Err(why) => {
                    broken.push(format!("{}, {kubelet}: {why}", group.name));
                    continue;
                }
            };
            let passed = found.values().filter(|outcome| outcome.passed()).count();
            let minutes = began.elapsed().as_secs_f64() / 60.0;
            println!(
                "{}, {kubelet}: {passed} of {} passed, {minutes:.0} minutes",
                group.name,
                found.len()
            );
            for (name, outcome) in found.iter().filter(|(_, outcome)| !outcome.passed()) {
                println!("  {}: {name}: {}", outcome.state, outcome.why);
            }
            outcomes.extend(found);
        }
    }
    let table = table(&stock, &crigc).expect("a table");
    std::fs::write(root().join("target/e2e-node/results.md"), &table).expect("written");
    println!("\n{table}");
    for (part, why) in LEFT_OUT {
        println!("left out: {part}: {why}");
    }
    let lost: Vec<&String> = stock
        .iter()
        .filter(|(name, outcome)| {
            outcome.passed() && !crigc.get(*name).is_some_and(Outcome::passed)
        })
        .map(|(name, _)| name)
        .collect();
    let [of_stock, of_crigc] = [&stock, &crigc]
        .map(|outcomes| outcomes.values().filter(|outcome| outcome.passed()).count());
    println!(
        "{of_stock} of {} specs passed with the kubelet, {of_crigc} of {} with crigc; {:.0} minutes",
        stock.len(),
        crigc.len(),
        began.elapsed().as_secs_f64() / 60.0
    );
    assert_eq!(broken, Vec::<String>::new(), "these groups did not run");
    assert!(of_stock > 0, "no spec passed");
    assert_eq!(
        lost,
        Vec::<&String>::new(),
        "these pass with the kubelet alone"
    );
}
