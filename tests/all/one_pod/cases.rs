//! What is removed and kept of the pod, and why: a table whose rows read like the rule (S8).

use super::node::{UID, collect, ended, lines, rest, selectors, with_others};
use crigc::engine::PassOptions;
use crigc::hooks::Hooks;
use crigc::node::PodState;
use crisim::node::Word;
use test_support::bench::{Bench, DRY_RUN, Maker, sandbox_id, write};
use test_support::rules::Rules;

/// What the host's callback says.
#[derive(Clone, Copy)]
enum Host {
    /// There is none.
    Silent,
    Exists,
    Gone,
    Ended,
    NotReady,
}

impl Host {
    fn hooks(self, bench: &Bench) -> Hooks {
        match self {
            Host::Silent => return Hooks::default(),
            Host::Exists => {}
            Host::Gone => bench.host.remove_pod(UID),
            Host::Ended => {
                let state = PodState {
                    content_removable: false,
                    runtime_removable: true,
                };
                let mut host = bench.host.0.lock().unwrap();
                host.1.insert(UID.to_owned(), state);
            }
            Host::NotReady => {
                bench.host.remove_pod(UID);
                bench.host.set_ready(false);
            }
        }
        bench.hooks()
    }
}

struct Case {
    what: &'static str,
    make: fn(&mut Maker),
    /// The call says that the pod is gone.
    is_gone: bool,
    host: Host,
    keys: &'static [(&'static str, &'static str)],
    all_unused: bool,
    expected: &'static [&'static str],
}

const GONE: Case = Case {
    what: "",
    make: ended,
    is_gone: true,
    host: Host::Silent,
    keys: &[],
    all_unused: false,
    expected: &[],
};

const LEFT: Case = Case {
    is_gone: false,
    ..GONE
};

/// Everything of `ended`.
const EVERYTHING: &[&str] = &[
    "removed container ct1app0x0000 pod-removed",
    "removed container ct1side0x0000 pod-removed",
    "removed pod-logs pods/ns_pod-t1_t1 pod-removed",
    "removed sandbox st1a0x0000 pod-removed",
];

/// Nothing of it: no limit is exceeded.
const NOTHING: &[&str] = &[
    "kept container ct1app0x0000 within-limit",
    "kept container ct1side0x0000 within-limit",
    "kept pod-logs pods/ns_pod-t1_t1 pod-exists",
    "kept sandbox st1a0x0000 active",
];

const ACTIVE: &[&str] = &[
    "kept container ct1app0x0000 pod-active",
    "kept container ct1side0x0000 pod-active",
    "kept pod-logs pods/ns_pod-t1_t1 pod-active",
    "kept sandbox st1a0x0000 active",
];

fn restarted(maker: &mut Maker) {
    maker.restarted(UID, 3);
}

fn container_runs(maker: &mut Maker) {
    ended(maker);
    maker.bare(UID, "app", 1, Word::Running);
}

fn sandbox_is_ready(maker: &mut Maker) {
    ended(maker);
    maker.node.sandboxes.last_mut().unwrap().state = crisim::node::State::Word(Word::Ready);
}

/// A container without labels in the sandbox.
fn stray(maker: &mut Maker, state: Word) {
    ended(maker);
    let stray = maker.bare(UID, "stray", 0, state);
    stray.labels.clear();
    stray.log_path = "".into();
}

fn older_sandboxes(maker: &mut Maker) {
    for attempt in 0..3 {
        maker.sandbox(UID, attempt, Word::NotReady);
    }
}

fn is_unknown(maker: &mut Maker) {
    ended(maker);
    maker.node.containers.last_mut().unwrap().state = crisim::node::State::Word(Word::Unknown);
}

fn only_logs(maker: &mut Maker) {
    write(&maker.path("pods/ns_pod-t1_t1/app/0.log"));
    write(&maker.path("pods/t1/app_0.log"));
    write(&maker.path("pods/left_t1"));
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            what: "a pod that has ended loses everything",
            expected: EVERYTHING,
            ..GONE
        },
        Case {
            what: "so it does if the host's callback says that it is gone",
            host: Host::Gone,
            expected: EVERYTHING,
            ..LEFT
        },
        Case {
            what: "and if both do",
            host: Host::Gone,
            expected: EVERYTHING,
            ..GONE
        },
        Case {
            what: "without either only limits apply",
            make: restarted,
            expected: &[
                "kept container ct1app2x0000 within-limit",
                "kept pod-logs pods/ns_pod-t1_t1 pod-exists",
                "kept sandbox st1a0x0000 active",
                "removed container ct1app0x0000 unit-limit",
                "removed container ct1app1x0000 unit-limit",
            ],
            ..LEFT
        },
        Case {
            what: "the host's callback can keep what the call calls gone",
            host: Host::Exists,
            expected: NOTHING,
            ..GONE
        },
        Case {
            what: "also by not being ready",
            host: Host::NotReady,
            expected: &[
                "kept container ct1app0x0000 sources-not-ready",
                "kept container ct1side0x0000 sources-not-ready",
                "kept pod-logs pods/ns_pod-t1_t1 sources-not-ready",
                "kept sandbox st1a0x0000 active",
            ],
            ..GONE
        },
        Case {
            what: "a pod with a container that runs is kept, whatever is said",
            make: container_runs,
            host: Host::Gone,
            expected: &[
                "kept container ct1app0x0000 pod-active",
                "kept container ct1app1x0000 running",
                "kept container ct1side0x0000 pod-active",
                "kept pod-logs pods/ns_pod-t1_t1 pod-active",
                "kept sandbox st1a0x0000 active",
            ],
            ..GONE
        },
        Case {
            what: "so is one whose sandbox is ready",
            make: sandbox_is_ready,
            expected: ACTIVE,
            ..GONE
        },
        Case {
            what: "and one in whose sandbox a container without labels runs",
            make: |maker| stray(maker, Word::Running),
            expected: ACTIVE,
            ..GONE
        },
        Case {
            what: "a container without labels that has ended keeps the sandbox, and is no object of the pod",
            make: |maker| stray(maker, Word::Exited),
            expected: &[
                "kept sandbox st1a0x0000 active",
                "removed container ct1app0x0000 pod-removed",
                "removed container ct1side0x0000 pod-removed",
                "removed pod-logs pods/ns_pod-t1_t1 pod-removed",
            ],
            ..GONE
        },
        Case {
            what: "a living pod keeps its newest sandbox",
            make: older_sandboxes,
            expected: &[
                "kept sandbox st1a2x0000 newest-sandbox",
                "removed sandbox st1a0x0000 older-sandbox",
                "removed sandbox st1a1x0000 older-sandbox",
            ],
            ..LEFT
        },
        Case {
            what: "an UNKNOWN container is stopped first, and then its sandbox and its logs are removed",
            make: is_unknown,
            expected: EVERYTHING,
            ..GONE
        },
        Case {
            what: "all entries of pod-logs-dir with its UID are removed",
            make: only_logs,
            expected: &[
                "removed pod-logs pods/left_t1 pod-removed",
                "removed pod-logs pods/ns_pod-t1_t1 pod-removed",
                "removed pod-logs pods/t1 pod-removed",
            ],
            ..GONE
        },
        Case {
            what: "a pod of which nothing is left has no entries",
            make: |_| {},
            ..GONE
        },
        Case {
            what: "an all-unused pass removes what an ended pod left in the runtime",
            host: Host::Ended,
            all_unused: true,
            expected: &[
                "kept pod-logs pods/ns_pod-t1_t1 pod-exists",
                "removed container ct1app0x0000 pod-terminated",
                "removed container ct1side0x0000 pod-terminated",
                "removed sandbox st1a0x0000 pod-terminated",
            ],
            ..LEFT
        },
        Case {
            what: "another pass does not",
            host: Host::Ended,
            expected: NOTHING,
            ..LEFT
        },
        Case {
            what: "the limit of the node does not count (S1.6)",
            keys: &[("maximum-dead-containers", "0")],
            expected: NOTHING,
            ..LEFT
        },
        Case {
            what: "the limit of each container does",
            keys: &[("maximum-dead-containers-per-container", "0")],
            expected: &[
                "kept pod-logs pods/ns_pod-t1_t1 pod-exists",
                "kept sandbox st1a0x0000 newest-sandbox",
                "removed container ct1app0x0000 unit-limit",
                "removed container ct1side0x0000 unit-limit",
            ],
            ..LEFT
        },
        Case {
            what: "so do ages",
            keys: &[("minimum-container-ttl-duration", "200000h")],
            expected: &[
                "kept container ct1app0x0000 too-young",
                "kept container ct1side0x0000 too-young",
                "kept pod-logs pods/ns_pod-t1_t1 active",
                "kept sandbox st1a0x0000 active",
            ],
            ..GONE
        },
        Case {
            what: "log directories whose key is empty are left alone",
            keys: &[("pod-logs-dir", ""), ("container-logs-dir", "")],
            expected: &[
                "removed container ct1app0x0000 pod-removed",
                "removed container ct1side0x0000 pod-removed",
                "removed sandbox st1a0x0000 pod-removed",
            ],
            ..GONE
        },
        Case {
            what: "while hold-file exists nothing is removed",
            keys: &[("hold-file", "/dev/null")],
            expected: &[
                "kept container ct1app0x0000 held",
                "kept container ct1side0x0000 held",
                "kept pod-logs pods/ns_pod-t1_t1 active",
                "kept sandbox st1a0x0000 active",
            ],
            ..GONE
        },
    ]
}

#[test]
fn s8_one_pod_is_collected_by_the_rules_and_nothing_else_is_touched() {
    let mut rules = Rules::default();
    for case in cases() {
        rules.case("S8");
        let what = case.what;
        let mut maker = with_others();
        (case.make)(&mut maker);
        let bench = maker.start();
        let hooks = case.host.hooks(&bench);
        let flags = PassOptions {
            all_unused: case.all_unused,
            ..PassOptions::default()
        };
        let (others, before) = (rest(&bench), bench.everything());
        let dry_flags = PassOptions {
            dry_run: true,
            ..flags
        };
        let dry = collect(&bench, case.keys, hooks.clone(), case.is_gone, dry_flags);
        assert_eq!(dry.error, None, "{what}");
        assert_eq!(bench.everything(), before, "{what}: a dry run");
        let real = collect(&bench, case.keys, hooks, case.is_gone, flags);
        assert_eq!(real.error, None, "{what}");
        let real = lines(&bench, &real.report.unwrap());
        assert_eq!(real, case.expected, "{what}");
        assert_eq!(lines(&bench, &dry.report.unwrap()), real, "{what}");
        assert_eq!(rest(&bench), others, "{what}");
        let is_of_pod = |selector: &String| {
            selector == "io.kubernetes.pod.uid=t1" || selector.starts_with("pod_sandbox_id=st1a")
        };
        let selectors = selectors(&bench);
        assert!(selectors.iter().all(is_of_pod), "{what}: {selectors:?}");
    }
}

#[test]
fn s8_the_links_of_removed_containers_are_removed_with_them() {
    let mut rules = Rules::default();
    rules.case("S8");
    let mut maker = with_others();
    ended(&mut maker);
    let bench = maker.start();
    let links = ["app", "side"].map(|name| bench.link(UID, name, 0));
    assert!(links.iter().all(|link| test_support::bench::there(link)));
    let end = collect(&bench, &[], Hooks::default(), true, PassOptions::default());
    assert_eq!(end.error, None);
    assert!(!links.iter().any(|link| test_support::bench::there(link)));
}

#[test]
fn s8_one_pod_costs_few_calls() {
    let mut rules = Rules::default();
    rules.case("S8");
    let mut maker = with_others();
    ended(&mut maker);
    maker.options.streams = false;
    let bench = maker.start();
    let engine = bench.engine(&[], Hooks::default());
    // It learns that the runtime has no streams.
    engine.pod("nobody", true, DRY_RUN, None);
    let methods = |flags| {
        bench.server.clear_trace();
        assert_eq!(engine.pod(UID, true, flags, None).error, None);
        let trace = bench.server.trace().into_iter();
        trace.map(|c| c.method).collect::<Vec<_>>()
    };
    let lists = ["ListPodSandbox", "ListContainers", "ListContainers"];
    let removals = [
        "RemoveContainer",
        "RemoveContainer",
        "StopPodSandbox",
        "RemovePodSandbox",
    ];
    let dry: Vec<_> = ["Version"].iter().chain(&lists).chain(&lists).collect();
    assert_eq!(methods(DRY_RUN).iter().collect::<Vec<_>>(), dry);
    let mut real = vec!["Version"];
    real.extend(lists);
    real.extend(&removals[..2]);
    real.extend(lists);
    real.extend(&removals[2..]);
    assert_eq!(methods(PassOptions::default()), real);
    // Nothing is left: the lists are not taken again, and no sandbox is asked about.
    assert_eq!(
        methods(PassOptions::default()),
        ["Version", "ListPodSandbox", "ListContainers"]
    );
    assert!(!bench.sandboxes().contains(&sandbox_id(UID, 0)));
}
