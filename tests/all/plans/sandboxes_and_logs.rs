//! S3 and S4: which sandboxes, logs and links are removed. Tables whose rows read like their rules.

use crigc::node::{Container, ContainerState, PodStates, Sandbox, SandboxState, Text};
use crigc::plan::Step;
use crigc::plan::logs::{self, ByLabels, LinkEvidence, Live};
use crigc::plan::pods::PodView;
use crigc::plan::sandboxes;
use crigc::report::Compared;
use test_support::node::{S, answer, container, exited, look, sandbox};
use test_support::rules::Rules;

/// `id reason` of the steps.
fn lines<T>(steps: &[Step<'_, T>], id: impl Fn(&T) -> &Text) -> Vec<String> {
    let line = |step: &Step<'_, T>| format!("{} {}", id(step.object), step.reason.word());
    steps.iter().map(line).collect()
}

type SandboxCase = (
    &'static str,
    &'static str,
    Vec<Sandbox>,
    Vec<Container>,
    PodStates,
    bool,
    &'static [&'static str],
    &'static [&'static str],
);

fn sandbox_cases() -> Vec<SandboxCase> {
    use SandboxState::{NotReady, Ready, Undefined};
    let two = || {
        vec![
            sandbox("old", "p", NotReady, S),
            sandbox("new", "p", NotReady, 2 * S),
        ]
    };
    let dead = |sandbox_id: &str| Container {
        sandbox_id: sandbox_id.into(),
        ..exited("c", "p", "c", S)
    };
    let exists = || answer(&["p"]);
    vec![
        (
            "S3.3",
            "the newest inactive one is kept",
            two(),
            vec![],
            exists(),
            false,
            &["old older-sandbox"],
            &["new newest-sandbox"],
        ),
        (
            "S3.3",
            "of a removable pod all inactive ones are removed",
            two(),
            vec![],
            answer(&["+p"]),
            false,
            &["old pod-removed", "new pod-removed"],
            &[],
        ),
        (
            "S3.3",
            "a terminated pod keeps its newest",
            two(),
            vec![],
            answer(&["~p"]),
            false,
            &["old older-sandbox"],
            &["new newest-sandbox"],
        ),
        (
            "S3.3",
            "a terminated pod loses all in an all-unused pass",
            two(),
            vec![],
            answer(&["~p"]),
            true,
            &["old pod-terminated", "new pod-terminated"],
            &[],
        ),
        (
            "S3.3",
            "the newest counts though it is active",
            vec![
                sandbox("old", "p", NotReady, S),
                sandbox("new", "p", Ready, 2 * S),
            ],
            vec![],
            exists(),
            false,
            &["old older-sandbox"],
            &["new active"],
        ),
        (
            "S3.2",
            "one with a container is active",
            two(),
            vec![dead("old")],
            exists(),
            false,
            &[],
            &["new newest-sandbox", "old active"],
        ),
        (
            "S3.2",
            "one with a container is kept though its pod is gone",
            two(),
            vec![dead("new")],
            answer(&["+p"]),
            false,
            &["old pod-removed"],
            &["new active"],
        ),
        (
            "S3.2",
            "a ready one is never removed",
            vec![sandbox("x", "p", Ready, S)],
            vec![],
            answer(&["+p"]),
            true,
            &[],
            &["x active"],
        ),
        (
            "S3.2",
            "a state that CRI does not define is never removed",
            vec![
                sandbox("x", "p", Undefined(7), S),
                sandbox("y", "p", NotReady, 2 * S),
            ],
            vec![],
            exists(),
            false,
            &[],
            &["x unknown-state", "y newest-sandbox"],
        ),
        (
            "S0.4",
            "a pod that runs keeps its inactive ones, for that reason",
            vec![
                sandbox("x", "p", NotReady, 2 * S),
                sandbox("y", "p", Ready, S),
            ],
            vec![],
            answer(&["+p"]),
            false,
            &[],
            &["x pod-active", "y active"],
        ),
        (
            "S0.2",
            "before sources are ready only limits hold",
            two(),
            vec![],
            PodStates {
                ready: false,
                ..answer(&["+p"])
            },
            false,
            &["old older-sandbox"],
            &["new sources-not-ready"],
        ),
        (
            "S1.7",
            "of equal age the greater ID is newer",
            vec![
                sandbox("b", "p", NotReady, S),
                sandbox("a", "p", NotReady, S),
            ],
            vec![],
            exists(),
            false,
            &["a older-sandbox"],
            &["b newest-sandbox"],
        ),
        (
            "S0.4",
            "an ID twice with different content is kept",
            vec![
                sandbox("a", "p", NotReady, S),
                sandbox("a", "p", NotReady, 3 * S),
                sandbox("z", "p", NotReady, 4 * S),
            ],
            vec![],
            exists(),
            false,
            &[],
            &["a unknown-state", "z newest-sandbox"],
        ),
    ]
}

/// S3.3: sandboxes whose attempts and times disagree.
fn disagreeing_cases() -> Vec<SandboxCase> {
    use SandboxState::{NotReady, Ready};
    let attempt = |id: &str, attempt: u32, state, created: i64| Sandbox {
        attempt,
        ..sandbox(id, "p", state, created * S)
    };
    let set_back = |highest| {
        vec![
            attempt("s0", 0, NotReady, 50),
            attempt("s1", 1, NotReady, 51),
            attempt("s2", 2, highest, 10),
        ]
    };
    vec![
        (
            "S3.3",
            "the highest attempt is kept if a clock was set back",
            set_back(NotReady),
            vec![],
            answer(&["p"]),
            false,
            &["s0 older-sandbox"],
            &["s1 newest-sandbox", "s2 newest-sandbox"],
        ),
        (
            "S3.3",
            "or its time is 0",
            vec![
                attempt("s0", 0, NotReady, 1),
                attempt("s1", 1, NotReady, 2),
                attempt("s2", 2, NotReady, 0),
            ],
            vec![],
            answer(&["p"]),
            false,
            &["s0 older-sandbox"],
            &["s1 newest-sandbox", "s2 newest-sandbox"],
        ),
        (
            "S3.3",
            "the highest counts though it is active",
            set_back(Ready),
            vec![],
            answer(&["p"]),
            false,
            &["s0 older-sandbox"],
            &["s1 newest-sandbox", "s2 active"],
        ),
        (
            "S3.3",
            "of equal attempts only the newest is kept",
            vec![
                attempt("a", 7, NotReady, 1),
                attempt("b", 7, NotReady, 2),
                attempt("c", 0, NotReady, 3),
            ],
            vec![],
            answer(&["p"]),
            false,
            &["a older-sandbox"],
            &["b newest-sandbox", "c newest-sandbox"],
        ),
        (
            "S3.3",
            "of a removable pod the highest is removed like all others",
            set_back(NotReady),
            vec![],
            answer(&["+p"]),
            false,
            &["s2 pod-removed", "s0 pod-removed", "s1 pod-removed"],
            &[],
        ),
        (
            "S3.3",
            "of a pod that runs both are kept for that reason",
            vec![
                attempt("s0", 0, NotReady, 50),
                attempt("s1", 1, Ready, 51),
                attempt("s2", 2, NotReady, 10),
            ],
            vec![],
            answer(&["+p"]),
            false,
            &["s0 older-sandbox"],
            &["s1 active", "s2 pod-active"],
        ),
    ]
}

#[test]
fn sandboxes_go_by_the_rules() {
    let mut rules = Rules::default();
    for (rule, what, list, containers, host, all_unused, removed, kept) in
        sandbox_cases().into_iter().chain(disagreeing_cases())
    {
        let snapshot = look(containers, list);
        let pods = PodView::new(&snapshot, &host, all_unused, false);
        let plan = sandboxes::plan(&snapshot, &pods);
        assert_eq!(lines(&plan.remove, |s| &s.id), removed, "{rule}: {what}");
        assert_eq!(lines(&plan.keep, |s| &s.id), kept, "{rule}: {what}");
        rules.case(rule);
    }
}

#[test]
fn log_trees_go_by_the_rules() {
    let mut rules = Rules::default();
    let unready = PodStates {
        ready: false,
        ..answer(&["+u"])
    };
    let dead = || vec![exited("c", "u", "c", S)];
    type Case = (
        &'static str,
        &'static str,
        Vec<Container>,
        PodStates,
        bool,
        &'static str,
    );
    let cases: Vec<Case> = vec![
        (
            "ns_pod_u",
            "of a removable pod, by its path",
            vec![],
            answer(&["+u"]),
            true,
            "pod-removed",
        ),
        (
            "u",
            "of a removable pod, by its UID alone",
            vec![],
            answer(&["+u"]),
            true,
            "pod-removed",
        ),
        (
            "young_pod_u",
            "of a removable pod, with a young file",
            vec![],
            answer(&["+u"]),
            true,
            "too-young",
        ),
        (
            "young_pod_u",
            "first comes what keeps it anyhow",
            dead(),
            answer(&["+u"]),
            true,
            "active",
        ),
        (
            "young_pod_u",
            "the pod exists, however young its files are",
            vec![],
            answer(&["u"]),
            true,
            "pod-exists",
        ),
        (
            "ns_pod_u",
            "the pod exists",
            vec![],
            answer(&["u"]),
            true,
            "pod-exists",
        ),
        (
            "ns_pod_u",
            "a terminated pod still has its logs",
            vec![],
            answer(&["~u"]),
            true,
            "pod-exists",
        ),
        (
            "ns_pod_u",
            "sources are not ready",
            vec![],
            unready,
            true,
            "sources-not-ready",
        ),
        (
            "ns_pod_u",
            "a list did not arrive",
            vec![],
            answer(&["+u"]),
            false,
            "list-incomplete",
        ),
        (
            "ns_pod_u",
            "a container of the pod is kept",
            dead(),
            answer(&["+u"]),
            true,
            "active",
        ),
        (
            "ns_pod_u",
            "the pod runs",
            vec![container("c", "u", "c", ContainerState::Running, S)],
            answer(&["+u"]),
            true,
            "pod-active",
        ),
    ];
    for (name, what, containers, host, arrived, reason) in cases {
        let mut snapshot = look(containers, vec![]);
        snapshot.partial = !arrived;
        let pods = PodView::new(&snapshot, &host, true, false);
        let names = [name.into()];
        // Of these directories one has files younger than the minimum.
        let youth = |name: &Text| name.starts_with("young").then_some(Compared::Nothing);
        let plan = logs::trees(&names, &snapshot, &pods, youth);
        let steps = plan.remove.iter().chain(&plan.keep);
        let told: Vec<&str> = steps.map(|step| step.reason.word()).collect();
        assert_eq!(told, [reason], "S4.1: {what}");
        assert_eq!(
            plan.remove.len(),
            usize::from(reason == "pod-removed"),
            "S4.1: {what}"
        );
        rules.case("S4.1");
    }
}

#[test]
fn dead_links_go_by_the_rules() {
    let mut rules = Rules::default();
    let ids = [
        ("pod_ns_app-0123456789ab.log", Some("0123456789ab")),
        ("pod_ns_my-app-012345.log", Some("012345")),
        ("pod_ns_app-01234.log", None),
        ("pod.log", None),
        ("pod_ns_app-0123456789ab", None),
    ];
    for (name, id) in ids {
        assert_eq!(logs::link_container_id(name), id, "S4.2: {name}");
        rules.case("S4.2");
    }
    let cases = [
        (LinkEvidence::NoId, true, "dead-link"),
        (LinkEvidence::NotFound, true, "dead-link"),
        (
            LinkEvidence::State(ContainerState::Exited),
            true,
            "dead-link",
        ),
        (
            LinkEvidence::State(ContainerState::Running),
            false,
            "link-alive",
        ),
        (
            LinkEvidence::State(ContainerState::Created),
            false,
            "link-alive",
        ),
        (
            LinkEvidence::State(ContainerState::Unknown),
            false,
            "link-alive",
        ),
        (LinkEvidence::Error, false, "link-unknown"),
    ];
    for (evidence, removed, reason) in cases {
        let (remove, told) = logs::link(&evidence);
        assert_eq!(
            (remove, told.word()),
            (removed, reason),
            "S4.2: {evidence:?}"
        );
        rules.case("S4.2");
    }
}

#[test]
fn paths_of_logs_come_from_usable_labels_only() {
    let mut rules = Rules::default();
    let good = exited("0123", "u", "app", S);
    let log = logs::expected_log(&good).expect("all labels are there");
    assert_eq!(
        (log.pod_dir.as_str(), log.file.as_str()),
        ("ns_pod-u_u", "app/0.log"),
        "S2.6"
    );
    assert_eq!(
        logs::link_name(&good).as_deref(),
        Some("pod-u_ns_app-0123.log"),
        "S2.4"
    );
    for bad in ["", ".", "..", "a/b", "nul\0"] {
        let c = Container {
            pod_name: Some(bad.into()),
            ..good.clone()
        };
        assert_eq!(
            (logs::expected_log(&c), logs::link_name(&c)),
            (None, None),
            "S2.4: {bad:?}"
        );
        rules.case("S2.4");
    }
    assert_eq!(
        logs::expected_log(&Container {
            pod_uid: None,
            ..good.clone()
        }),
        None,
        "S2.6"
    );
    rules.case("S2.6");
    let long = Container {
        pod_name: Some("é".repeat(200).into()),
        ..good
    };
    let name = logs::link_name(&long).expect("usable");
    assert!(
        name.len() <= 255 && name.ends_with(".log"),
        "S2.4: {}",
        name.len()
    );
    rules.case("S2.4");
}

#[test]
fn s2_6_labels_show_where_a_log_is_unless_a_running_container_may_write_it() {
    let mut rules = Rules::default();
    let ended = exited("0123", "u", "app", S);
    let running = Container {
        state: ContainerState::Running,
        ..ended.clone()
    };
    let log = logs::expected_log(&ended).expect("all labels are there");
    let (yes, no, unknown) = (Some(true), Some(false), None);
    // What else is in the list; whether the log, the pod's directory and that of an old kubelet are there.
    let cases = [
        (&ended, yes, yes, no, ByLabels::There),
        (&ended, yes, unknown, unknown, ByLabels::There),
        (&running, yes, yes, no, ByLabels::Ask),
        (&running, no, no, no, ByLabels::NoDirectory),
        (&ended, no, yes, no, ByLabels::Ask),
        (&ended, no, no, yes, ByLabels::Ask),
        (&ended, no, no, no, ByLabels::NoDirectory),
        (&ended, unknown, no, no, ByLabels::NoDirectory),
        (&ended, no, unknown, no, ByLabels::Ask),
        (&ended, no, no, unknown, ByLabels::Ask),
        (&ended, unknown, unknown, unknown, ByLabels::Ask),
    ];
    for (other, file, dir, old, want) in cases {
        let live = Live::of(std::slice::from_ref(other));
        let has_log = |path: &str| {
            assert_eq!(path, "ns_pod-u_u/app/0.log");
            file
        };
        let has_dir = |path: &str| match path {
            "ns_pod-u_u" => dir,
            "u" => old,
            path => panic!("{path}"),
        };
        let told = logs::log_by_labels(&log, &live, has_log, has_dir);
        assert_eq!(told, want, "{:?} {file:?} {dir:?} {old:?}", other.state);
        rules.case("S2.6");
    }
}

#[test]
fn s2_4_what_a_running_container_writes_is_known_by_its_last_names() {
    let mut rules = Rules::default();
    let long = Container {
        state: ContainerState::Running,
        pod_name: Some("p".repeat(250).into()),
        ..exited("0123", "u", "app", S)
    };
    let running = Container {
        pod_name: Some("pod".into()),
        ..long.clone()
    };
    let ended = exited("4567", "v", "app", S);
    let names = [&long, &running, &ended].map(|c| logs::link_name(c).expect("usable"));
    let live = Live::of(&[long, running, ended]);
    let cases = [
        ("/var/log/pods/ns_pod_u/app/0.log", true),
        ("/other//way/ns_pod_u///app/0.log", true),
        ("ns_pod_u/app/0.log", true),
        ("/var/log/pods/ns_pod_u/app/1.log", false),
        ("/var/log/pods/ns_pod-v_v/app/0.log", false),
        ("app/0.log", false),
        ("", false),
    ];
    for (path, want) in cases {
        assert_eq!(live.writes(path), want, "{path}");
        rules.case("S2.4");
    }
    // Only a cut name may be another's, too.
    assert_eq!(names.map(|name| live.has_link(&name)), [true, false, false]);
}

/// S0.4, S3.3: a sandbox that a list has twice is not the newest of any pod, wherever its rows are.
#[test]
fn doubles_do_not_make_another_sandbox_older() {
    let mut rules = Rules::default();
    let double = |created| sandbox("a", "p", SandboxState::NotReady, created * S);
    let other = sandbox("b", "p", SandboxState::NotReady, 5 * S);
    let rows = [double(1), double(9), other];
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
        let look = look(vec![], order.map(|at| rows[at].clone()).to_vec());
        let view = PodView::new(&look, &answer(&["p"]), false, false);
        let plan = sandboxes::plan(&look, &view);
        assert!(plan.remove.is_empty());
        let kept = lines(&plan.keep, |s| &s.id);
        assert_eq!(kept, ["a unknown-state", "b newest-sandbox"]);
        rules.case("S0.4");
    }
}
