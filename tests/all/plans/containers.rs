//! S0.2 to S0.4, S0.9 and S1: which dead containers are removed. One table; each row reads like its rule.

use crigc::config::AgeFrom;
use crigc::node::{Container, ContainerState, PodStates, Sandbox, SandboxState, Snapshot};
use crigc::plan::Step;
use crigc::plan::containers::{self, ContainerPolicy};
use crigc::plan::pods::{self, PodView};
use crigc::report::Compared;
use test_support::node::{S, answer, container, exited, look, sandbox};
use test_support::rules::Rules;

const NOW: i64 = 1_000_000 * S;

/// The kubelet's defaults.
fn defaults() -> ContainerPolicy {
    ContainerPolicy {
        min_age: 0,
        per_unit: Some(1),
        total: None,
        max_age: None,
        late: false,
        age_from: AgeFrom::Created,
    }
}

struct Case {
    rule: &'static str,
    what: &'static str,
    containers: Vec<Container>,
    sandboxes: Vec<Sandbox>,
    policy: ContainerPolicy,
    host: PodStates,
    all_unused: bool,
    /// `id reason`, in the order of removal.
    removed: &'static [&'static str],
    /// `id reason` of some that are kept.
    kept: &'static [&'static str],
}

impl Case {
    fn new(rule: &'static str, what: &'static str) -> Case {
        Case {
            rule,
            what,
            containers: vec![],
            sandboxes: vec![],
            policy: defaults(),
            host: answer(&[]),
            all_unused: false,
            removed: &[],
            kept: &[],
        }
    }
}

fn with_state(id: &str, state: ContainerState) -> Container {
    container(id, "p", "c", state, S)
}

fn three_of_a_unit() -> Vec<Container> {
    vec![
        exited("new", "p", "c", 3 * S),
        exited("old", "p", "c", S),
        exited("mid", "p", "c", 2 * S),
    ]
}

fn units(per_unit: &[(&str, &str, usize)]) -> Vec<Container> {
    let mut out = Vec::new();
    for (uid, name, count) in per_unit {
        for n in 0..*count {
            let created = (out.len() as i64 + 1) * S;
            out.push(exited(&format!("{uid}{name}{n}"), uid, name, created));
        }
    }
    out
}

fn limits() -> Vec<Case> {
    let policy = |per_unit: i64, total: i64| ContainerPolicy {
        per_unit: usize::try_from(per_unit).ok(),
        total: usize::try_from(total).ok(),
        ..defaults()
    };
    vec![
        Case {
            containers: three_of_a_unit(),
            removed: &["old unit-limit", "mid unit-limit"],
            kept: &["new within-limit"],
            ..Case::new("S1.5", "the newest of a unit is kept")
        },
        Case {
            containers: three_of_a_unit(),
            policy: policy(2, -1),
            removed: &["old unit-limit"],
            ..Case::new("S1.5", "the newest two are kept")
        },
        Case {
            containers: three_of_a_unit(),
            policy: policy(0, -1),
            removed: &["old unit-limit", "mid unit-limit", "new unit-limit"],
            ..Case::new("S1.5", "none is kept")
        },
        Case {
            containers: three_of_a_unit(),
            policy: policy(-1, -1),
            kept: &["old within-limit", "mid within-limit"],
            ..Case::new("S1.5", "a negative limit is none")
        },
        Case {
            containers: units(&[("a", "x", 2), ("b", "x", 2)]),
            removed: &["ax0 unit-limit", "bx0 unit-limit"],
            ..Case::new("S1.3", "units differ by pod")
        },
        Case {
            containers: units(&[("a", "x", 2), ("a", "y", 2)]),
            removed: &["ax0 unit-limit", "ay0 unit-limit"],
            ..Case::new("S1.3", "units differ by name")
        },
        Case {
            containers: units(&[("a", "x", 3), ("b", "x", 3)]),
            policy: policy(-1, 4),
            removed: &["ax0 total-limit", "bx0 total-limit"],
            ..Case::new("S1.6", "each unit keeps its share")
        },
        Case {
            containers: units(&[("a", "x", 1), ("b", "x", 1), ("c", "x", 1)]),
            policy: policy(-1, 2),
            removed: &["ax0 total-limit"],
            ..Case::new("S1.6", "then the oldest of all are removed")
        },
        Case {
            containers: units(&[("a", "x", 2), ("b", "x", 1)]),
            policy: policy(1, 0),
            removed: &["ax0 unit-limit", "ax1 total-limit", "bx0 total-limit"],
            ..Case::new("S1.6", "a limit of none leaves none")
        },
        Case {
            containers: units(&[("a", "x", 2), ("b", "x", 2)]),
            policy: policy(-1, 4),
            kept: &["ax0 within-limit"],
            ..Case::new("S1.6", "at the limit nothing is removed")
        },
        Case {
            containers: units(&[("a", "x", 3), ("b", "x", 3), ("c", "x", 3)]),
            policy: policy(-1, 5),
            removed: &[
                "ax0 total-limit",
                "ax1 total-limit",
                "bx0 total-limit",
                "bx1 total-limit",
                "cx0 total-limit",
                "cx1 total-limit",
            ],
            ..Case::new(
                "S1.6",
                "the share is a whole number, though fewer are kept than could be",
            )
        },
        Case {
            containers: units(&[("a", "x", 5), ("b", "x", 1)]),
            policy: policy(3, 3),
            removed: &[
                "ax0 unit-limit",
                "ax1 unit-limit",
                "ax2 total-limit",
                "ax3 total-limit",
            ],
            kept: &["ax4 within-limit", "bx0 within-limit"],
            ..Case::new(
                "S1.6",
                "it begins where the limit of each unit has left off",
            )
        },
        Case {
            containers: units(&[("a", "x", 1), ("a", "y", 1), ("b", "x", 2), ("c", "x", 2)]),
            policy: policy(-1, 2),
            removed: &[
                "bx0 total-limit",
                "cx0 total-limit",
                "ax0 total-limit",
                "ay0 total-limit",
            ],
            kept: &["bx1 within-limit", "cx1 within-limit"],
            ..Case::new(
                "S1.6",
                "with more units than the limit the oldest of all are removed",
            )
        },
        Case {
            containers: vec![exited("b", "p", "c", S), exited("a", "p", "c", S)],
            removed: &["a unit-limit"],
            ..Case::new("S1.7", "of equal age the greater ID is newer")
        },
        Case {
            containers: vec![
                exited("a", "p", "c", S),
                Container {
                    attempt: 1,
                    ..exited("0", "p", "c", S)
                },
            ],
            removed: &["a unit-limit"],
            ..Case::new("S1.7", "of equal age the higher attempt is newer")
        },
    ]
}

fn candidates() -> Vec<Case> {
    use ContainerState::{Created, Exited, Running, Undefined, Unknown};
    let none = ContainerPolicy {
        per_unit: Some(0),
        ..defaults()
    };
    let old = ContainerPolicy {
        min_age: 10 * S,
        ..none
    };
    let finished = ContainerPolicy {
        age_from: AgeFrom::Finished,
        ..old
    };
    let ended = |id: &str, at: i64| Container {
        finished_at: Some(at),
        ..with_state(id, Exited)
    };
    vec![
        Case {
            containers: vec![with_state("r", Running)],
            policy: none,
            kept: &["r running"],
            ..Case::new("S1.1", "a running one is never touched")
        },
        Case {
            containers: vec![
                with_state("c", Created),
                with_state("e", Exited),
                with_state("u", Unknown),
            ],
            policy: none,
            removed: &["c unit-limit", "e unit-limit", "u unit-limit"],
            ..Case::new("S1.1", "created, exited and unknown are candidates")
        },
        Case {
            containers: vec![with_state("x", Undefined(9))],
            policy: none,
            kept: &["x unknown-state"],
            ..Case::new("S1.1", "a state that CRI does not define is never touched")
        },
        Case {
            containers: vec![Container {
                readable: false,
                ..with_state("x", Exited)
            }],
            policy: none,
            kept: &["x unknown-state"],
            ..Case::new("S0.6", "what cannot be read is kept")
        },
        Case {
            containers: vec![
                with_state("x", Exited),
                Container {
                    attempt: 3,
                    ..with_state("x", Exited)
                },
            ],
            policy: none,
            kept: &["x unknown-state"],
            ..Case::new("S0.4", "an ID twice with different content is kept")
        },
        Case {
            containers: vec![with_state("x", Exited), with_state("x", Exited)],
            policy: none,
            removed: &["x unit-limit"],
            ..Case::new("S0.4", "an ID twice with the same content counts once")
        },
        Case {
            containers: vec![
                exited("y", "p", "c", NOW - 9 * S),
                exited("o", "p", "c", NOW - 10 * S),
            ],
            policy: old,
            removed: &["o unit-limit"],
            kept: &["y too-young"],
            ..Case::new("S1.2", "younger than the TTL is no candidate")
        },
        Case {
            containers: vec![exited("y", "p", "c", NOW + S)],
            policy: none,
            kept: &["y too-young"],
            ..Case::new("S1.2", "made in the future is too young")
        },
        Case {
            containers: vec![exited("y", "p", "c", NOW - S)],
            policy: old,
            host: answer(&["+p"]),
            kept: &["y too-young"],
            ..Case::new("S1.2", "the TTL holds for removable pods too")
        },
        Case {
            containers: vec![ended("y", NOW - S), ended("o", NOW - 10 * S), ended("z", 0)],
            policy: finished,
            removed: &["o unit-limit", "z unit-limit"],
            kept: &["y too-young"],
            ..Case::new("S1.2", "age may count from the end")
        },
    ]
}

fn pods_cases() -> Vec<Case> {
    let dead = || vec![exited("a", "p", "c", S), exited("b", "q", "c", S)];
    let ready = |uid: &str| sandbox(&format!("sb-{uid}"), uid, SandboxState::Ready, S);
    let unready = PodStates {
        ready: false,
        ..answer(&["+p", "+q"])
    };
    let unlabelled = Container {
        pod_uid: None,
        ..exited("n", "", "c", S)
    };
    let running = |uid: &str| container(&format!("r{uid}"), uid, "c", ContainerState::Running, S);
    vec![
        Case {
            containers: dead(),
            host: answer(&["+p", "q"]),
            removed: &["a pod-removed"],
            kept: &["b within-limit"],
            ..Case::new("S1.4", "a removable pod loses all")
        },
        Case {
            containers: dead(),
            host: answer(&["~p", "q"]),
            kept: &["a within-limit"],
            ..Case::new("S1.4", "a terminated pod loses nothing in an ordinary pass")
        },
        Case {
            containers: dead(),
            host: answer(&["~p", "q"]),
            all_unused: true,
            removed: &["a pod-terminated"],
            ..Case::new("S1.4", "a terminated pod loses all in an all-unused pass")
        },
        Case {
            containers: dead(),
            host: unready,
            kept: &["a sources-not-ready", "b sources-not-ready"],
            ..Case::new("S0.2", "before sources are ready no pod is removable")
        },
        Case {
            containers: vec![unlabelled],
            host: answer(&["+"]),
            removed: &["n pod-removed"],
            ..Case::new("S0.1", "without a label the UID is empty")
        },
        Case {
            containers: dead(),
            host: answer(&["+p"]),
            removed: &["a pod-removed"],
            kept: &["b within-limit"],
            ..Case::new("S0.3", "a UID that was not asked about is not removable")
        },
        Case {
            containers: dead(),
            sandboxes: vec![ready("p")],
            host: answer(&["+p", "q"]),
            kept: &["a pod-active"],
            ..Case::new("S0.4", "a pod with a ready sandbox is not removable")
        },
        Case {
            containers: vec![exited("a", "p", "c", S), running("p")],
            host: answer(&["+p"]),
            kept: &["a pod-active", "rp running"],
            ..Case::new("S0.4", "a pod with a running container is not removable")
        },
        Case {
            containers: vec![exited("a", "p", "c", S), exited("z", "p", "c", 2 * S)],
            sandboxes: vec![ready("p")],
            host: answer(&["+p"]),
            removed: &["a unit-limit"],
            kept: &["z pod-active"],
            ..Case::new(
                "S0.9",
                "the first rule that removes is the reason, else the one that holds back",
            )
        },
        Case {
            containers: vec![
                exited("a", "d", "c", S),
                running("p"),
                running("q"),
                running("r"),
            ],
            host: answer(&["+d", "+p", "+q", "r"]),
            kept: &["a pod-active"],
            ..Case::new("S0.4", "a broken picture makes no pod removable")
        },
        Case {
            containers: vec![
                exited("a", "p", "c", 3 * S),
                exited("b", "q", "c", S),
                running("p"),
            ],
            host: answer(&["+p", "q"]),
            policy: ContainerPolicy {
                total: Some(1),
                ..defaults()
            },
            removed: &["a total-limit"],
            kept: &["b within-limit", "rp running"],
            ..Case::new(
                "S1.6",
                "containers that only S0.4 keeps give way to all others",
            )
        },
        Case {
            containers: vec![exited("a", "d", "c", S), running("p"), running("q")],
            host: answer(&["+d", "+p", "q"]),
            removed: &["a pod-removed"],
            ..Case::new("S0.4", "half is not more than half")
        },
    ]
}

/// S1.1: a CREATED container that may be about to be started.
fn starting() -> Vec<Case> {
    const MINUTE: i64 = 60 * S;
    use ContainerState::{Created, Exited, Unknown};
    let at = |id: &str, state, created| container(id, "p", "c", state, created);
    let none = ContainerPolicy {
        per_unit: Some(0),
        total: Some(0),
        ..defaults()
    };
    let finished = ContainerPolicy {
        min_age: S,
        age_from: AgeFrom::Finished,
        ..none
    };
    vec![
        Case {
            containers: vec![
                at("just-old", Created, NOW - 2 * MINUTE),
                at("half-a-second", Created, NOW - S / 2),
                at("nearly-old", Created, NOW - 2 * MINUTE + 1),
                at("tomorrow", Created, NOW + 24 * 60 * MINUTE),
            ],
            policy: none,
            removed: &["just-old unit-limit"],
            kept: &[
                "half-a-second too-young",
                "nearly-old too-young",
                "tomorrow too-young",
            ],
            ..Case::new("S1.1", "younger than 2 minutes is removed for no limit")
        },
        Case {
            containers: vec![at("young", Created, NOW - S)],
            policy: none,
            host: answer(&["+p"]),
            all_unused: true,
            kept: &["young too-young"],
            ..Case::new(
                "S1.1",
                "nor in an all-unused pass, nor because its pod is gone",
            )
        },
        Case {
            containers: vec![at("e", Exited, NOW - S), at("u", Unknown, NOW - S)],
            policy: none,
            removed: &["e unit-limit", "u unit-limit"],
            ..Case::new("S1.1", "what is not CREATED has no such time")
        },
        Case {
            containers: vec![at("never", Created, 0), at("before-1970", Created, -S)],
            policy: none,
            removed: &["before-1970 unit-limit", "never unit-limit"],
            ..Case::new(
                "S1.1",
                "of unknown age is not young, or it would be kept for ever",
            )
        },
        Case {
            containers: vec![Container {
                finished_at: Some(S),
                ..at("young", Created, NOW - S)
            }],
            policy: finished,
            kept: &["young too-young"],
            ..Case::new(
                "S1.1",
                "it counts from when it was made, whatever the age of others counts from",
            )
        },
        Case {
            containers: vec![
                at("crash", Exited, NOW - 9 * S),
                at("next", Created, NOW - S),
            ],
            kept: &["crash within-limit", "next too-young"],
            ..Case::new("S1.1", "it takes no place of the last crash")
        },
    ]
}

/// One unit: ID, state, attempt, when it was made.
fn attempts(rows: &[(&str, ContainerState, u32, i64)]) -> Vec<Container> {
    let row = |&(id, state, attempt, created): &(&str, ContainerState, u32, i64)| Container {
        attempt,
        ..container(id, "p", "c", state, created * S)
    };
    rows.iter().map(row).collect()
}

/// S1.5, S1.6: what is kept besides the newest of a unit.
fn extras() -> Vec<Case> {
    use ContainerState::{Created, Exited, Unknown};
    let policy = |per_unit: i64, total: i64| ContainerPolicy {
        per_unit: usize::try_from(per_unit).ok(),
        total: usize::try_from(total).ok(),
        ..defaults()
    };
    let stuck = || {
        attempts(&[
            ("old", Exited, 0, 1),
            ("crash", Exited, 1, 2),
            ("stuck2", Created, 2, 3),
            ("stuck3", Created, 3, 4),
        ])
    };
    let set_back = || {
        attempts(&[
            ("a0", Exited, 0, 50),
            ("a1", Exited, 1, 51),
            ("a2", Exited, 2, 10),
        ])
    };
    let both = || {
        attempts(&[
            ("high", Created, 9, 0),
            ("old", Exited, 0, 1),
            ("crash", Exited, 1, 2),
            ("stuck", Created, 2, 3),
        ])
    };
    let other = |id: &str, created: i64| exited(id, "q", "c", created * S);
    let with = |mut rows: Vec<Container>, more: Vec<Container>| {
        rows.extend(more);
        rows
    };
    vec![
        Case {
            containers: stuck(),
            removed: &["old unit-limit", "stuck2 unit-limit"],
            kept: &["crash within-limit", "stuck3 within-limit"],
            ..Case::new(
                "S1.5",
                "attempts stuck in CREATED do not take the place of the last crash",
            )
        },
        Case {
            containers: stuck(),
            policy: policy(2, -1),
            removed: &["old unit-limit"],
            kept: &["crash within-limit"],
            ..Case::new("S1.5", "nor do as many as the limit")
        },
        Case {
            containers: stuck(),
            policy: policy(3, -1),
            removed: &["old unit-limit"],
            ..Case::new(
                "S1.5",
                "if the crash is among the newest nothing else is kept",
            )
        },
        Case {
            containers: stuck(),
            policy: policy(0, -1),
            removed: &[
                "old unit-limit",
                "crash unit-limit",
                "stuck2 unit-limit",
                "stuck3 unit-limit",
            ],
            ..Case::new("S1.5", "a limit of 0 has no extras")
        },
        Case {
            containers: attempts(&[
                ("exited", Exited, 0, 1),
                ("lost", Unknown, 1, 2),
                ("stuck", Created, 2, 3),
            ]),
            removed: &["exited unit-limit"],
            kept: &["lost within-limit", "stuck within-limit"],
            ..Case::new("S1.5", "UNKNOWN is a crash, too")
        },
        Case {
            containers: set_back(),
            removed: &["a0 unit-limit"],
            kept: &["a1 within-limit", "a2 within-limit"],
            ..Case::new(
                "S1.5",
                "the highest attempt is kept if a clock was set back",
            )
        },
        Case {
            containers: attempts(&[
                ("a0", Exited, 0, 1),
                ("a1", Exited, 1, 2),
                ("a2", Exited, 2, 0),
            ]),
            removed: &["a0 unit-limit"],
            kept: &["a1 within-limit", "a2 within-limit"],
            ..Case::new("S1.5", "or its time is 0")
        },
        Case {
            containers: attempts(&[
                ("a", Exited, 7, 1),
                ("b", Exited, 7, 2),
                ("c", Exited, 0, 3),
            ]),
            removed: &["a unit-limit"],
            kept: &["b within-limit", "c within-limit"],
            ..Case::new("S1.5", "of equal attempts the newest")
        },
        Case {
            containers: attempts(&[("a", Exited, 7, 1), ("b", Exited, 7, 2)]),
            removed: &["a unit-limit"],
            ..Case::new(
                "S1.5",
                "where the newest has the highest attempt there is no other",
            )
        },
        Case {
            containers: both(),
            removed: &["old unit-limit"],
            kept: &[
                "crash within-limit",
                "high within-limit",
                "stuck within-limit",
            ],
            ..Case::new("S1.5", "both extras are kept")
        },
        Case {
            containers: set_back(),
            host: answer(&["+p"]),
            removed: &["a2 pod-removed", "a0 pod-removed", "a1 pod-removed"],
            ..Case::new("S1.5", "a removable pod has no extras")
        },
        Case {
            containers: both(),
            policy: policy(1, 2),
            removed: &["old unit-limit", "high total-limit"],
            kept: &["crash within-limit", "stuck within-limit"],
            ..Case::new(
                "S1.6",
                "extras are kept while the limit allows, the oldest is removed first",
            )
        },
        Case {
            containers: both(),
            policy: policy(1, 1),
            removed: &["old unit-limit", "high total-limit", "crash total-limit"],
            kept: &["stuck within-limit"],
            ..Case::new("S1.6", "if the limit is used up none is kept")
        },
        Case {
            containers: with(set_back(), vec![other("q", 1)]),
            policy: policy(1, 2),
            removed: &["a0 unit-limit", "a2 total-limit"],
            kept: &["a1 within-limit", "q within-limit"],
            ..Case::new(
                "S1.6",
                "extras take no other container's place, even if it is older",
            )
        },
        Case {
            containers: with(
                set_back(),
                vec![
                    other("q", 60),
                    container("r", "q", "d", ContainerState::Running, S),
                ],
            ),
            host: answer(&["p", "+q"]),
            policy: policy(1, 2),
            removed: &["a0 unit-limit", "q total-limit"],
            kept: &["a1 within-limit", "a2 within-limit", "r running"],
            ..Case::new(
                "S1.6",
                "containers that only S0.4 keeps give way to extras, too",
            )
        },
        Case {
            containers: with(
                set_back(),
                vec![
                    other("q", 1),
                    container("r", "p", "d", ContainerState::Running, S),
                ],
            ),
            host: answer(&["+p", "q"]),
            policy: policy(1, 2),
            removed: &["a0 unit-limit", "a2 total-limit"],
            kept: &["a1 pod-active", "q within-limit", "r running"],
            ..Case::new("S1.6", "and its own extras come last of all")
        },
    ]
}

fn view(case: &Case, snapshot: &Snapshot) -> PodView {
    let first = PodView::new(snapshot, &case.host, case.all_unused, false);
    let broken = first.contradicted().is_some();
    PodView::new(snapshot, &case.host, case.all_unused, broken)
}

#[test]
fn dead_containers_go_by_the_rules() {
    let mut rules = Rules::default();
    let cases = limits().into_iter().chain(candidates()).chain(pods_cases());
    for case in cases.chain(starting()).chain(extras()) {
        let snapshot = look(case.containers.clone(), case.sandboxes.clone());
        let plan = containers::plan(&snapshot, &view(&case, &snapshot), &case.policy, NOW);
        let line =
            |step: &Step<'_, Container>| format!("{} {}", step.object.id, step.reason.word());
        let removed: Vec<String> = plan.remove.iter().map(line).collect();
        let kept: Vec<String> = plan.keep.iter().map(line).collect();
        assert_eq!(removed, case.removed, "{}: {}", case.rule, case.what);
        for want in case.kept {
            let count = kept.iter().filter(|line| line == want).count();
            assert_eq!(count, 1, "{}: {}: {want} in {kept:?}", case.rule, case.what);
        }
        rules.case(case.rule);
    }
}

#[test]
fn without_the_list_of_sandboxes_no_pod_is_removable() {
    let mut rules = Rules::default();
    let snapshot = Snapshot::new(vec![exited("a", "p", "c", S)], None);
    let pods = PodView::new(&snapshot, &answer(&["+p"]), false, false);
    let plan = containers::plan(&snapshot, &pods, &defaults(), NOW);
    assert!(plan.remove.is_empty(), "S1.1: {plan:?}");
    rules.case("S1.1");
}

#[test]
fn uids_with_control_characters_are_not_asked_about() {
    let mut rules = Rules::default();
    let uids = ["good", "new\nline", "nul\0", "\u{7f}", ""];
    let list = uids.iter().enumerate();
    let list = list
        .map(|(n, uid)| exited(&format!("{n}"), uid, "c", S))
        .collect();
    let asked = pods::uids_in_question(&look(list, vec![]));
    let asked: Vec<&str> = asked.iter().map(|uid| &**uid).collect();
    assert_eq!(asked, ["", "good"], "S0.3");
    rules.case("S0.3");
}

#[test]
fn an_answer_asked_again_can_only_keep_more() {
    let mut rules = Rules::default();
    let snapshot = look(vec![exited("a", "p", "c", S)], vec![]);
    let fresh = |host: &PodStates| PodView::new(&snapshot, host, false, false);
    let reason = crigc::report::Reason::PodRemoved;
    assert!(
        pods::still_stands("p", reason, &fresh(&answer(&["+p"]))),
        "S0.3"
    );
    assert!(
        !pods::still_stands("p", reason, &fresh(&answer(&["p"]))),
        "S0.3"
    );
    rules.case("S0.3");
}

#[test]
fn grace_periods_are_read_as_the_kubelet_reads_them() {
    let mut rules = Rules::default();
    let cases = [
        (Some("30"), Some("5"), 30, 30),
        (None, Some("5"), 5, 5),
        (None, None, 2, 2),
        (Some("x"), Some("5"), 5, 5),
        (Some("-3"), None, 2, 2),
        (Some("0"), None, 0, 2),
        (Some("99999999999999999999"), Some("7"), 7, 7),
        (Some("18446744073709551615"), Some("7"), 7, 7),
        (
            Some("9223372036854775807"),
            None,
            i64::MAX.cast_unsigned(),
            i64::MAX / 1_000_000_000,
        ),
    ];
    for (deletion, termination, grace, timeout) in cases {
        let read = containers::grace_period(deletion, termination);
        assert_eq!(read, grace, "S2.3: {deletion:?} {termination:?}");
        assert_eq!(
            containers::stop_timeout(read),
            timeout,
            "S2.3: {deletion:?}"
        );
        rules.case("S2.3");
    }
}

/// S0.3 comes after rules that keep anyhow; containers that it keeps give way like those that S0.4 keeps.
#[test]
fn s0_9_a_pod_that_is_newer_than_the_answer_is_kept_for_the_first_reason_that_holds_it() {
    let mut rules = Rules::default();
    let dead = || vec![exited("a", "p", "c", 2 * S), exited("b", "q", "c", S)];
    let ready = sandbox("sb-p", "p", SandboxState::Ready, S);
    let unready = PodStates {
        ready: false,
        ..answer(&["+p", "q"])
    };
    let gone = || answer(&["+p", "q"]);
    let cases = [
        (gone(), Some(vec![]), "newer-than-answer"),
        (gone(), Some(vec![ready]), "pod-active"),
        (gone(), None, "list-incomplete"),
        (unready, Some(vec![]), "sources-not-ready"),
        (answer(&["p", "q"]), Some(vec![]), "within-limit"),
    ];
    for (host, sandboxes, reason) in cases {
        let snapshot = Snapshot::new(dead(), sandboxes);
        let newer = ["p", "q"].map(|uid| (uid.into(), Compared::Nothing)).into();
        let pods = PodView::new(&snapshot, &host, false, false).holding(newer);
        let plan = containers::plan(&snapshot, &pods, &defaults(), NOW);
        let kept: Vec<&str> = plan.keep.iter().map(|step| step.reason.word()).collect();
        assert_eq!(kept, [reason, "within-limit"], "S0.9");
        rules.case("S0.9");
    }
    // Its containers are newer than those of other pods, and are removed first.
    let snapshot = look(dead(), vec![]);
    let pods = PodView::new(&snapshot, &gone(), false, false)
        .holding([("p".into(), Compared::Nothing)].into());
    let one = ContainerPolicy {
        total: Some(1),
        ..defaults()
    };
    let plan = containers::plan(&snapshot, &pods, &one, NOW);
    let removed: Vec<&str> = plan.remove.iter().map(|step| &*step.object.id).collect();
    assert_eq!(removed, ["a"], "S1.6");
    rules.case("S1.6");
}
