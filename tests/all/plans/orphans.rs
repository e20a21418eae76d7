//! S4.3: which log files are removed that belong to no container. Tables whose rows read like the rule.

use crigc::node::{Container, ContainerState, LogFile, PodStates, Sandbox, SandboxState, Snapshot};
use crigc::plan::Step;
use crigc::plan::orphans::{self, Owners};
use crigc::plan::pods::{Brake, PodView};
use test_support::node::{S, answer, container, exited, look, sandbox};
use test_support::rules::Rules;

/// Files that changed before this are old.
const OLDEST: i64 = 1000 * S;
const TTL: i64 = 60 * S;

#[test]
fn s4_3_only_names_that_a_kubelet_makes_have_a_number() {
    let mut rules = Rules::default();
    let cases = [
        ("0.log", Some(0)),
        ("12.log", Some(12)),
        ("4294967295.log", Some(u32::MAX)),
        ("1.log.20200604-080302", Some(1)),
        ("1.log.20200604-080302.gz", Some(1)),
        ("1.log.20200604-080302.tmp", Some(1)),
        ("1.log.2.log", Some(1)),
        ("01.log", None),
        ("+1.log", None),
        ("-1.log", None),
        ("4294967296.log", None),
        (".log", None),
        ("1.logx", None),
        ("1.log.", None),
        ("1.lo", None),
        ("1", None),
        ("a.log", None),
        ("app.log.1", None),
        ("1x.log", None),
        (" 1.log", None),
        ("\u{661}.log", None),
        ("", None),
    ];
    for (name, want) in cases {
        assert_eq!(orphans::number(name), want, "{name:?}");
        rules.case("S4.3");
    }
}

/// `container/name` in the directory of pod `p`, old.
fn file(path: &str) -> LogFile {
    file_in("ns_pod-p_p", path)
}

fn file_in(pod: &str, path: &str) -> LogFile {
    let (container, name) = path.split_once('/').unwrap();
    LogFile {
        pod: pod.into(),
        container: container.into(),
        name: name.into(),
        changed: OLDEST - 1,
    }
}

fn files(paths: &[&str]) -> Vec<LogFile> {
    paths.iter().map(|path| file(path)).collect()
}

/// A container of pod `p` with this attempt.
fn listed(name: &str, attempt: u32) -> Container {
    Container {
        attempt,
        ..exited(&format!("{name}{attempt}"), "p", name, S)
    }
}

struct Case {
    what: &'static str,
    files: Vec<LogFile>,
    containers: Vec<Container>,
    sandboxes: Vec<Sandbox>,
    host: PodStates,
    brake: Brake,
    /// `container/name reason`
    removed: &'static [&'static str],
    kept: &'static [&'static str],
}

impl Case {
    fn new(what: &'static str) -> Case {
        Case {
            what,
            files: files(&["app/0.log", "app/1.log", "app/2.log"]),
            containers: vec![],
            sandboxes: vec![sandbox("sb-p", "p", SandboxState::Ready, S)],
            host: answer(&["p"]),
            brake: Brake::Off,
            removed: &[],
            kept: &[],
        }
    }
}

fn files_cases() -> Vec<Case> {
    let young = |path: &str, changed| LogFile {
        changed,
        ..file(path)
    };
    vec![
        Case {
            containers: vec![listed("app", 2)],
            removed: &["app/0.log age", "app/1.log age"],
            ..Case::new("what belongs to no container goes")
        },
        Case {
            containers: vec![listed("app", 0), listed("app", 2)],
            removed: &["app/1.log age"],
            ..Case::new("what belongs to a container stays")
        },
        Case {
            files: files(&[
                "app/1.log.1.gz",
                "app/1.log.2",
                "app/2.log.1.gz",
                "app/3.log",
                "app/3.log.1.gz",
            ]),
            containers: vec![listed("app", 2)],
            removed: &["app/1.log.1.gz age", "app/1.log.2 age"],
            ..Case::new("rotated ones have the number of their log")
        },
        Case {
            removed: &["app/0.log age", "app/1.log age"],
            ..Case::new("the highest number stays, whose ever it is")
        },
        Case {
            files: files(&["app/1.log", "app/5.log.1", "app/5.log.2"]),
            removed: &["app/1.log age"],
            ..Case::new("all files of the highest number stay")
        },
        Case {
            files: files(&["app/1.log", "app/2.log", "side/0.log", "side/1.log"]),
            containers: vec![listed("app", 1)],
            removed: &["side/0.log age"],
            ..Case::new("each directory has a highest number")
        },
        Case {
            files: files(&["app/1.log", "app/9.logx", "app/note.log", "app/2.log"]),
            containers: vec![listed("app", 2)],
            removed: &["app/1.log age"],
            ..Case::new("other names are left alone, and have no number")
        },
        Case {
            files: vec![
                file("app/0.log"),
                young("app/1.log", OLDEST),
                young("app/2.log", OLDEST + S),
                young("app/3.log", OLDEST + S),
            ],
            removed: &["app/0.log age"],
            kept: &["app/1.log too-young", "app/2.log too-young"],
            ..Case::new("what is not older stays")
        },
    ]
}

fn pods_cases() -> Vec<Case> {
    let two = || files(&["app/0.log", "app/1.log"]);
    let unready = PodStates {
        ready: false,
        ..answer(&["p"])
    };
    vec![
        Case {
            files: two(),
            host: answer(&["+p"]),
            ..Case::new("the directory of a pod that is gone goes as a whole")
        },
        Case {
            files: two(),
            host: answer(&["+p"]),
            brake: Brake::All,
            sandboxes: vec![sandbox("sb-p", "p", SandboxState::NotReady, S)],
            ..Case::new("that of a pod that is said to be gone, and held back, is left alone")
        },
        Case {
            files: two(),
            host: answer(&["~p"]),
            removed: &["app/0.log age"],
            ..Case::new("a pod that has ended stays")
        },
        Case {
            files: two(),
            host: answer(&[]),
            removed: &["app/0.log age"],
            ..Case::new("so does one of which the host says nothing")
        },
        Case {
            files: two(),
            host: unready,
            removed: &["app/0.log age"],
            ..Case::new("and one that the host does not know yet")
        },
        Case {
            files: two(),
            sandboxes: vec![],
            ..Case::new("of a pod of which the lists have nothing all files are left alone")
        },
        Case {
            files: two(),
            sandboxes: vec![],
            containers: vec![listed("other", 0)],
            removed: &["app/0.log age"],
            ..Case::new("one container is enough")
        },
        Case {
            files: vec![
                file_in("ns_other_p", "app/0.log"),
                file_in("ns_other_p", "app/1.log"),
                file_in("p", "app/0.log"),
                file_in("p", "app/1.log"),
            ],
            ..Case::new("another directory with its UID is not known")
        },
    ]
}

fn unclear_cases() -> Vec<Case> {
    let two = || files(&["app/0.log", "app/1.log"]);
    let unlabelled = |sandbox: &str| Container {
        pod_uid: None,
        sandbox_id: sandbox.into(),
        ..exited("x", "p", "x", S)
    };
    vec![
        Case {
            files: two(),
            containers: vec![Container {
                readable: false,
                ..listed("x", 0)
            }],
            kept: &["app/0.log unknown-state"],
            ..Case::new("a container that cannot be read may have any of them")
        },
        Case {
            files: two(),
            containers: vec![Container {
                pod_name: Some("a/b".into()),
                ..listed("x", 0)
            }],
            kept: &["app/0.log unknown-state"],
            ..Case::new("so may one with labels that name no path")
        },
        Case {
            files: two(),
            containers: vec![unlabelled("sb-p")],
            kept: &["app/0.log unknown-state"],
            ..Case::new("or without labels, in a sandbox of the pod")
        },
        Case {
            files: two(),
            containers: vec![unlabelled("gone")],
            kept: &["app/0.log unknown-state"],
            ..Case::new("or of a pod that is not known")
        },
        Case {
            files: two(),
            containers: vec![Container {
                sandbox_id: "sb-p".into(),
                ..container("x", "other", "x", ContainerState::Running, S)
            }],
            kept: &["app/0.log unknown-state"],
            ..Case::new("or with the labels of another pod")
        },
        Case {
            files: two(),
            containers: vec![Container {
                readable: false,
                ..exited("x", "other", "x", S)
            }],
            removed: &["app/0.log age"],
            ..Case::new("of another pod it does not matter")
        },
    ]
}

fn line(step: &Step<'_, LogFile>) -> String {
    let LogFile {
        container, name, ..
    } = step.object;
    format!("{container}/{name} {}", step.reason.word())
}

#[test]
fn s4_3_log_files_go_by_the_rules() {
    let mut rules = Rules::default();
    let cases = files_cases().into_iter().chain(pods_cases());
    for case in cases.chain(unclear_cases()) {
        let snapshot = look(case.containers, case.sandboxes);
        let pods = PodView::new(&snapshot, &case.host, false, false).braked(case.brake);
        let owners = Owners::of(&snapshot).expect("both lists are whole");
        let plan = orphans::plan(&case.files, &owners, &pods, (OLDEST + TTL, TTL));
        let lines = |steps: &[Step<'_, LogFile>]| steps.iter().map(line).collect::<Vec<_>>();
        assert_eq!(lines(&plan.remove), case.removed, "{}", case.what);
        assert_eq!(lines(&plan.keep), case.kept, "{}", case.what);
        assert!(plan.remove.iter().all(|step| !step.rests_on_pod));
        rules.case("S4.3");
    }
}

#[test]
fn s4_3_lists_that_are_not_whole_say_nothing() {
    let mut rules = Rules::default();
    let mut partial = look(vec![], vec![]);
    partial.partial = true;
    for snapshot in [partial, Snapshot::new(vec![], None)] {
        assert!(Owners::of(&snapshot).is_none());
        rules.case("S4.3");
    }
}

/// A container whose log is not where its labels say: the runtime says where, or it may be any of the pod.
#[test]
fn s4_3_the_runtime_is_asked_about_containers_without_a_file() {
    let mut rules = Rules::default();
    let all = files(&["app/0.log", "app/1.log", "app/2.log", "app/3.log"]);
    let containers = vec![listed("app", 3), listed("app", 7)];
    let snapshot = look(containers, vec![]);
    let pods = PodView::new(&snapshot, &answer(&["p"]), false, false);
    let path = |name: &str| format!("/var/log/pods/ns_pod-p_p/app/{name}");
    // What the runtime says, and what goes and stays then.
    let cases: [(Option<String>, &[&str], &[&str]); 4] = [
        (
            Some(path("1.log")),
            &["app/0.log age", "app/2.log age"],
            &[],
        ),
        (
            Some(String::new()),
            &["app/0.log age", "app/1.log age", "app/2.log age"],
            &[],
        ),
        (
            Some("/elsewhere/1.log".to_owned()),
            &["app/0.log age", "app/1.log age", "app/2.log age"],
            &[],
        ),
        (
            None,
            &[],
            &[
                "app/0.log unknown-state",
                "app/1.log unknown-state",
                "app/2.log unknown-state",
            ],
        ),
    ];
    for (said, removed, kept) in cases {
        let mut owners = Owners::of(&snapshot).unwrap();
        let asked = owners.without_file(&[&all[0]], &all);
        let ids: Vec<&str> = asked.iter().map(|c| &*c.id).collect();
        assert_eq!(ids, ["app7"]);
        owners.learn(asked[0], said.as_deref());
        let plan = orphans::plan(&all, &owners, &pods, (OLDEST + TTL, TTL));
        let lines = |steps: &[Step<'_, LogFile>]| steps.iter().map(line).collect::<Vec<_>>();
        assert_eq!(lines(&plan.remove), removed, "{said:?}");
        assert_eq!(lines(&plan.keep), kept, "{said:?}");
        rules.case("S4.3");
    }
    // Nothing of another pod is to be removed: nobody is asked about.
    let other = file_in("ns_pod-q_q", "app/0.log");
    let owners = Owners::of(&snapshot).unwrap();
    assert!(owners.without_file(&[&other], &all).is_empty());
    rules.case("S4.3");
}
