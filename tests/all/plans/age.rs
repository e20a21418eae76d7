//! S1.9: which dead containers are removed for their age. Tables whose rows read like the rule.

use crigc::config::AgeFrom;
use crigc::node::{Container, ContainerState, PodStates, Sandbox, SandboxState};
use crigc::plan::Step;
use crigc::plan::containers::{self, ContainerPolicy};
use crigc::plan::pods::{self, Brake, PodView};
use crigc::report::{Compared, Reason};
use test_support::node::{S, answer, container, exited, look, sandbox};
use test_support::rules::Rules;

const NOW: i64 = 1_000_000 * S;
const AGE: i64 = 1000 * S;
const OLD: i64 = NOW - AGE - S;
const YOUNG: i64 = NOW - AGE + S;

/// All dead containers are kept, but for their age.
fn by_age() -> ContainerPolicy {
    ContainerPolicy {
        min_age: 0,
        per_unit: None,
        total: None,
        max_age: Some(AGE),
        late: false,
        age_from: AgeFrom::Created,
    }
}

fn attempt(id: &str, attempt: u32, state: ContainerState, created: i64) -> Container {
    Container {
        attempt,
        ..container(id, "p", "c", state, created)
    }
}

fn dead(id: &str, attempt: u32, created: i64) -> Container {
    self::attempt(id, attempt, ContainerState::Exited, created)
}

struct Case {
    rule: &'static str,
    what: &'static str,
    containers: Vec<Container>,
    sandboxes: Vec<Sandbox>,
    host: PodStates,
    policy: ContainerPolicy,
    /// `id reason`, with `!` behind if it rests on the host's answer; in the order of removal.
    removed: &'static [&'static str],
    kept: &'static [&'static str],
}

impl Case {
    fn new(what: &'static str) -> Case {
        Case {
            rule: "S1.9",
            what,
            containers: vec![],
            sandboxes: vec![],
            host: answer(&["p"]),
            policy: by_age(),
            removed: &[],
            kept: &[],
        }
    }
}

fn three() -> Vec<Container> {
    vec![
        dead("a", 0, OLD - 2 * S),
        dead("b", 1, OLD - S),
        dead("c", 2, OLD),
    ]
}

fn living_pods() -> Vec<Case> {
    use ContainerState::{Created, Running};
    let with = |mut all: Vec<Container>, more| {
        all.push(more);
        all
    };
    vec![
        Case {
            containers: three(),
            removed: &["a age", "b age"],
            kept: &["c within-limit"],
            ..Case::new("the newest of a unit never goes")
        },
        Case {
            containers: vec![
                dead("a", 0, OLD),
                dead("exact", 1, NOW - AGE),
                dead("b", 2, YOUNG),
            ],
            removed: &["a age"],
            kept: &["b within-limit", "exact within-limit"],
            ..Case::new("what is not older stays")
        },
        Case {
            containers: vec![exited("x", "p", "x", OLD), exited("y", "p", "y", OLD)],
            kept: &["x within-limit", "y within-limit"],
            ..Case::new("each unit has a newest one")
        },
        Case {
            containers: with(three(), attempt("r", 3, Running, YOUNG)),
            removed: &["a age", "b age"],
            kept: &["c within-limit", "r running"],
            ..Case::new("beside one that runs, the newest dead one stays as well")
        },
        Case {
            containers: vec![
                dead("a", 0, OLD - 2 * S),
                dead("b", 1, OLD - S),
                attempt("c", 2, Created, OLD),
            ],
            removed: &["a age"],
            kept: &["b within-limit", "c within-limit"],
            ..Case::new("the last that ran stays if the newest was never started")
        },
        Case {
            containers: vec![
                dead("a", 0, OLD - 2 * S),
                dead("b", 7, OLD - S),
                dead("c", 2, OLD),
            ],
            removed: &["a age"],
            kept: &["b within-limit", "c within-limit"],
            ..Case::new("the highest attempt stays if a clock was set back")
        },
        Case {
            containers: vec![dead("a", 0, 0), dead("b", 1, OLD)],
            kept: &["a within-limit", "b within-limit"],
            ..Case::new("one without a creation time has no age")
        },
        Case {
            containers: three(),
            host: answer(&[]),
            removed: &["a age", "b age"],
            kept: &["c within-limit"],
            ..Case::new("the same if the host does not know the pod")
        },
        Case {
            containers: three(),
            policy: ContainerPolicy {
                max_age: None,
                late: false,
                ..by_age()
            },
            kept: &["a within-limit", "b within-limit", "c within-limit"],
            ..Case::new("without the key no age counts")
        },
    ]
}

fn ended_pods() -> Vec<Case> {
    let unready = |pods: &[&str]| PodStates {
        ready: false,
        ..answer(pods)
    };
    let ready = sandbox("sb", "p", SandboxState::Ready, S);
    vec![
        Case {
            containers: three(),
            host: answer(&["~p"]),
            removed: &["a age!", "b age!", "c age!"],
            ..Case::new("of a pod that has ended all go")
        },
        Case {
            containers: vec![dead("a", 0, OLD), dead("b", 1, YOUNG)],
            host: answer(&["~p"]),
            removed: &["a age!"],
            kept: &["b within-limit"],
            ..Case::new("but those that are young")
        },
        Case {
            containers: three(),
            host: unready(&["~p"]),
            removed: &["a age", "b age"],
            kept: &["c sources-not-ready"],
            ..Case::new("before sources are ready no pod has ended")
        },
        Case {
            containers: three(),
            sandboxes: vec![ready.clone()],
            host: answer(&["~p"]),
            removed: &["a age", "b age"],
            kept: &["c pod-active"],
            ..Case::new("a pod that runs has not ended")
        },
        Case {
            containers: three(),
            sandboxes: vec![ready],
            host: answer(&["+p"]),
            removed: &["a age", "b age"],
            kept: &["c pod-active"],
            ..Case::new("nor is it gone")
        },
        Case {
            containers: vec![dead("a", 0, OLD), dead("b", 1, YOUNG)],
            host: unready(&["~p"]),
            removed: &["a age"],
            kept: &["b within-limit"],
            ..Case::new("only what is old is held back")
        },
    ]
}

fn beside_other_rules() -> Vec<Case> {
    let finished = ContainerPolicy {
        age_from: AgeFrom::Finished,
        ..by_age()
    };
    let ended = |id: &str, at: Option<i64>| Container {
        finished_at: at,
        ..exited(id, "p", id, S)
    };
    vec![
        Case {
            containers: three(),
            host: answer(&["+p"]),
            removed: &["a pod-removed!", "b pod-removed!", "c pod-removed!"],
            rule: "S0.9",
            ..Case::new("S1.4 comes first")
        },
        Case {
            containers: three(),
            policy: ContainerPolicy {
                per_unit: Some(2),
                ..by_age()
            },
            removed: &["a unit-limit", "b age"],
            kept: &["c within-limit"],
            rule: "S0.9",
            ..Case::new("then S1.5")
        },
        Case {
            containers: three(),
            policy: ContainerPolicy {
                total: Some(2),
                ..by_age()
            },
            removed: &["a total-limit", "b age"],
            kept: &["c within-limit"],
            rule: "S0.9",
            ..Case::new("then S1.6")
        },
        Case {
            containers: three(),
            host: answer(&["~p"]),
            policy: ContainerPolicy {
                total: Some(0),
                late: true,
                ..by_age()
            },
            removed: &["a age!", "b age!", "c age!"],
            ..Case::new("late, the limit of an earlier list does not come before the age")
        },
        Case {
            containers: three(),
            host: answer(&["~p"]),
            policy: ContainerPolicy {
                min_age: 2 * AGE,
                ..by_age()
            },
            kept: &["a too-young", "b too-young", "c too-young"],
            rule: "S1.2",
            ..Case::new("what is too young for any rule is no candidate")
        },
        Case {
            containers: vec![
                ended("a", Some(OLD)),
                ended("b", Some(YOUNG)),
                ended("n", None),
            ],
            host: answer(&["~p"]),
            policy: finished,
            removed: &["a age!"],
            kept: &["b within-limit", "n within-limit"],
            ..Case::new("age may count from the end, if that is known")
        },
    ]
}

#[test]
fn s1_9_dead_containers_go_by_age() {
    let mut rules = Rules::default();
    let cases = living_pods().into_iter().chain(ended_pods());
    for case in cases.chain(beside_other_rules()) {
        let snapshot = look(case.containers, case.sandboxes);
        let is_on = case.policy.max_age.is_some();
        let pods = PodView::new(&snapshot, &case.host, false, false).by_age(is_on);
        let plan = containers::plan(&snapshot, &pods, &case.policy, NOW);
        let line = |step: &Step<'_, Container>| {
            let mark = if step.rests_on_pod { "!" } else { "" };
            format!("{} {}{mark}", step.object.id, step.reason.word())
        };
        let lines = |steps: &[Step<'_, Container>]| steps.iter().map(line).collect::<Vec<_>>();
        assert_eq!(lines(&plan.remove), case.removed, "{}", case.what);
        assert_eq!(lines(&plan.keep), case.kept, "{}", case.what);
        rules.case(case.rule);
    }
}

/// What holds back a pod that is gone holds back one that has ended.
#[test]
fn s1_9_what_the_host_says_of_an_ended_pod_is_checked() {
    let mut rules = Rules::default();
    type Change = fn(PodView) -> PodView;
    let host = answer(&["~p"]);
    let held = |change: Change, broken: bool| {
        let snapshot = look(three(), vec![]);
        let pods = change(PodView::new(&snapshot, &host, false, broken).by_age(true));
        let plan = containers::plan(&snapshot, &pods, &by_age(), NOW);
        let kept: Vec<&str> = plan.keep.iter().map(|step| step.reason.word()).collect();
        kept.join(" ")
    };
    let cases: [(Change, bool, &str); 5] = [
        (|view| view, false, ""),
        (|view| view, true, "pod-active"),
        (
            |view| view.holding([("p".into(), Compared::Nothing)].into()),
            false,
            "newer-than-answer",
        ),
        (|view| view.braked(Brake::All), false, "held-by-share"),
        (|view| view.braked(Brake::all_but(["p".into()])), false, ""),
    ];
    for (change, broken, reason) in cases {
        assert_eq!(held(change, broken), reason);
        rules.case("S1.9");
    }
    let mut snapshot = look(three(), vec![]);
    snapshot.partial = true;
    let pods = PodView::new(&snapshot, &host, false, false).by_age(true);
    let plan = containers::plan(&snapshot, &pods, &by_age(), NOW);
    assert_eq!(plan.keep[0].reason, Reason::ListIncomplete);
    rules.case("S7.3");
}

/// An answer that is asked again can only keep more.
#[test]
fn s1_9_a_removal_stands_as_long_as_the_pod_has_ended() {
    let mut rules = Rules::default();
    let snapshot = look(three(), vec![]);
    let cases = [("~p", true), ("+p", true), ("p", false), ("q", false)];
    for (pod, stands) in cases {
        let pods = PodView::new(&snapshot, &answer(&[pod]), false, false).by_age(true);
        assert_eq!(pods::still_stands("p", Reason::Age, &pods), stands, "{pod}");
        rules.case("S1.9");
    }
}

/// S0.4: with the key, a host that says of most of what runs that it has ended is not believed either.
#[test]
fn s0_4_what_is_said_of_ended_pods_contradicts_what_runs_where_it_counts() {
    let mut rules = Rules::default();
    let ready = |uid: &str| sandbox(uid, uid, SandboxState::Ready, S);
    let snapshot = look(vec![], vec![ready("p"), ready("q"), ready("r")]);
    let host = answer(&["~p", "~q", "r"]);
    for by_age in [false, true] {
        let pods = PodView::new(&snapshot, &host, false, false).by_age(by_age);
        assert_eq!(pods.contradicted().is_some(), by_age);
        rules.case("S0.4");
    }
}
