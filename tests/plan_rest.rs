//! S3, S4 and S5: which sandboxes, logs, links and images go. Tables whose rows read like their rules.

#[path = "common/node.rs"]
mod node;
#[path = "common/rules.rs"]
mod rules;

use crigc::config::{Config, Settings};
use crigc::node::{
    Container, ContainerState, FsUsage, Image, PodStates, Sandbox, SandboxState, Text,
};
use crigc::plan::exempt::Exempt;
use crigc::plan::images::{self, Goal, ImageLook, NoFigures, SandboxImages, Tally};
use crigc::plan::in_use::InUse;
use crigc::plan::logs::{self, LinkEvidence};
use crigc::plan::pods::PodView;
use crigc::plan::records::Records;
use crigc::plan::{Plan, sandboxes};
use node::{S, answer, container, exited, image, look, sandbox};
use rules::Rules;

/// `id reason` of the steps.
fn lines<'a>(steps: &[crigc::plan::Step], id: impl Fn(usize) -> &'a Text) -> Vec<String> {
    let line = |step: &crigc::plan::Step| format!("{} {}", id(step.index), step.reason.word());
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
            "the newest inactive one stays",
            two(),
            vec![],
            exists(),
            false,
            &["old older-sandbox"],
            &["new newest-sandbox"],
        ),
        (
            "S3.3",
            "of a removable pod all inactive ones go",
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
            "one with a container stays though its pod is gone",
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

#[test]
fn sandboxes_go_by_the_rules() {
    let mut rules = Rules::default();
    for (rule, what, list, containers, host, all_unused, removed, kept) in sandbox_cases() {
        let snapshot = look(containers, list);
        let pods = PodView::new(&snapshot, &host, all_unused, false);
        let plan = sandboxes::plan(&snapshot, &pods);
        let rows = snapshot.sandboxes.as_ref().expect("given above");
        assert_eq!(
            lines(&plan.remove, |i| &rows[i].id),
            removed,
            "{rule}: {what}"
        );
        assert_eq!(lines(&plan.keep, |i| &rows[i].id), kept, "{rule}: {what}");
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
            "a container of the pod stays",
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
        let snapshot = look(containers, vec![]);
        let pods = PodView::new(&snapshot, &host, true, false);
        let plan = logs::trees(&[name.into()], &snapshot, arrived, &pods);
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
fn image_users_are_found_by_every_reference() {
    let mut rules = Rules::default();
    let subject = Image {
        digests: vec!["reg/a@sha256:dd".into()],
        ..image("sha256:aa", "reg/a:v1", 1)
    };
    let uses = |c: Container| InUse::new([&c], []).uses(&subject);
    let blank = exited("c", "p", "c", S);
    let by = |reference: &str, field: fn(&mut Container, Text)| {
        let mut c = blank.clone();
        field(&mut c, reference.into());
        c
    };
    let cases = [
        (by("sha256:aa", |c, r| c.image_id = r), true),
        (by("aa", |c, r| c.image_id = r), true),
        (by("sha256:aa", |c, r| c.image_ref = r), true),
        (by("reg/a@sha256:dd", |c, r| c.image_ref = r), true),
        (
            by("docker-pullable://reg/a@sha256:dd", |c, r| c.image_ref = r),
            true,
        ),
        (by("docker://sha256:aa", |c, r| c.image_ref = r), true),
        (by("reg/a:v1", |c, r| c.image = r), true),
        (by("reg/a:v2", |c, r| c.image = r), false),
        (blank.clone(), false),
    ];
    for (c, want) in cases {
        assert_eq!(uses(c.clone()), want, "S5.2: {c:?}");
        rules.case("S5.2");
    }
    assert!(
        InUse::new([], ["reg/a:v1"]).uses(&subject),
        "S5.2: image volumes count"
    );
    rules.case("S5.2");
}

#[test]
fn thresholds_are_the_kubelets() {
    let mut rules = Rules::default();
    let usage = |capacity, available| FsUsage {
        capacity,
        available,
        ..FsUsage::default()
    };
    let cases = [
        (usage(100, 16), Ok(Goal::BelowThreshold)),
        (usage(100, 15), Ok(Goal::Free(5))),
        (usage(1000, 159), Ok(Goal::Free(41))),
        (usage(1000, 160), Ok(Goal::BelowThreshold)),
        (usage(100, 200), Ok(Goal::BelowThreshold)),
        (usage(u64::MAX, 0), Ok(Goal::Free(u64::MAX / 5))),
        (usage(0, 0), Err(NoFigures)),
    ];
    for (figures, want) in cases {
        assert_eq!(
            images::space_goal(&figures, 85, 80),
            want,
            "S5.6: {figures:?}"
        );
        rules.case("S5.6");
    }
}

/// Names of images of the table below, by what protects them.
fn protected_images() -> Vec<(Image, &'static str, &'static str)> {
    vec![
        (image("used", "reg/used:1", 1), "in-use", "S5.2"),
        (
            Image {
                pinned: true,
                ..image("pinned", "reg/p:1", 1)
            },
            "pinned",
            "S5.3",
        ),
        (image("told", "reg/infra:1", 1), "sandbox-image", "S5.3"),
        (
            image("pause", "reg:5000/x/pause:3.6", 1),
            "sandbox-image",
            "S5.3",
        ),
        (
            image("custom", "reg/my-pause:1", 1),
            "sandbox-image",
            "S5.3",
        ),
        (image("exempt", "keep/this:1", 1), "exempt", "S5.3"),
        (image("young", "reg/young:1", 1), "too-young", "S5.7"),
        (
            Image {
                readable: false,
                ..image("odd", "reg/odd:1", 1)
            },
            "unknown-state",
            "S0.6",
        ),
    ]
}

fn plan_images(list: &[Image], sandbox: &SandboxImages, goal: &Goal) -> Plan {
    let mut records = Records::default();
    let in_use = InUse::new([], ["used"]);
    let old: Vec<Image> = list.iter().filter(|i| &*i.id != "young").cloned().collect();
    records.look(&old, &in_use, S);
    records.look(list, &in_use, 1000 * S);
    let exempt = Exempt::parse("keep/*, other/?");
    let look = ImageLook {
        images: list,
        in_use: &in_use,
        records: &records,
        sandbox,
        exempt: &exempt,
    };
    images::plan(&look, goal, 120 * S, 1001 * S)
}

#[test]
fn protected_images_stay() {
    let mut rules = Rules::default();
    let known = SandboxImages::Known(vec!["reg/infra:1".into()]);
    for goal in [Goal::Free(u64::MAX), Goal::AllUnused] {
        for (subject, reason, rule) in protected_images() {
            let list = [subject, image("free", "reg/pausexyz:1", 1)];
            let plan = plan_images(&list, &known, &goal);
            let word = if goal == Goal::AllUnused {
                "unused"
            } else {
                "space"
            };
            assert_eq!(
                lines(&plan.remove, |i| &list[i].id),
                [format!("free {word}")],
                "{rule}"
            );
            assert_eq!(
                lines(&plan.keep, |i| &list[i].id),
                [format!("{} {reason}", list[0].id)],
                "{rule}"
            );
            rules.case(rule);
            if goal == Goal::AllUnused {
                rules.case("S5.10");
            }
        }
    }
    let list = [image("free", "reg/a:1", 1)];
    let told = [
        (
            SandboxImages::Failed,
            Goal::AllUnused,
            "free sandbox-image-unknown",
            "S5.3",
        ),
        (
            SandboxImages::NotAsked,
            Goal::BelowThreshold,
            "free below-threshold",
            "S5.6",
        ),
        (
            SandboxImages::NotAsked,
            Goal::FirstLook,
            "free first-look",
            "S5.1",
        ),
    ];
    for (sandbox, goal, line, rule) in told {
        let plan = plan_images(&list, &sandbox, &goal);
        assert_eq!(lines(&plan.keep, |i| &list[i].id), [line], "{rule}");
        assert!(plan.remove.is_empty(), "{rule}");
        rules.case(rule);
    }
}

#[test]
fn images_go_least_recently_used_first() {
    let mut rules = Rules::default();
    let list = [
        image("b", "", 1),
        image("a", "", 1),
        image("used-late", "", 1),
        image("used-early", "", 1),
        image("found-late", "", 1),
    ];
    let mut records = Records::default();
    let used = |id: &'static str| InUse::new([], [id]);
    records.look(&list[..4], &used("none"), S);
    records.look(&list[..4], &used("used-early"), 2 * S);
    records.look(&list, &used("used-late"), 3 * S);
    let (in_use, exempt) = (used("none"), Exempt::default());
    let look = ImageLook {
        images: &list,
        in_use: &in_use,
        records: &records,
        sandbox: &SandboxImages::Known(vec![]),
        exempt: &exempt,
    };
    let plan = images::plan(&look, &Goal::Free(9), 0, 9 * S);
    let order = lines(&plan.remove, |i| &list[i].id);
    assert_eq!(
        order,
        [
            "a space",
            "b space",
            "found-late space",
            "used-early space",
            "used-late space"
        ],
        "S5.4"
    );
    rules.case("S5.4");
    records.look(&list[1..], &used("none"), 5 * S);
    assert!(
        records.get(&list[0]).is_none(),
        "S5.1: what is gone is forgotten"
    );
    let found = records.get(&list[4]).expect("it is there");
    assert_eq!(
        (found.first_detected, found.last_used),
        (Some(3 * S), None),
        "S5.1"
    );
    let old = records.get(&list[1]).expect("it is there");
    assert_eq!(
        old.first_detected, None,
        "S5.1: the first look finds what was there before"
    );
    rules.case("S5.1");
}

#[test]
fn exempt_patterns_match_whole_names() {
    let mut rules = Rules::default();
    let cases = [
        ("reg/a:1", "reg/a:1", true),
        ("reg/*", "reg/a:1", true),
        ("reg/a", "reg/a:1", false),
        ("*:1", "reg/a:1", true),
        ("r?g/*a*1", "reg/a:1", true),
        ("REG/*", "reg/a:1", false),
        ("*", "", true),
        ("x, reg/a:?", "reg/a:1", true),
        ("sha256:i*", "reg/a:1", true),
        ("", "reg/a:1", false),
    ];
    for (patterns, tag, want) in cases {
        let exempt = Exempt::parse(patterns);
        assert_eq!(
            exempt.matches(&image("sha256:id", tag, 1)),
            want,
            "S5.3: {patterns} {tag}"
        );
        rules.case("S5.3");
    }
    let hostile = Exempt::parse(&"*a".repeat(2000));
    assert!(
        !hostile.matches(&image("x", &"a".repeat(1500), 1)),
        "S5.3: no backtracking without end"
    );
    rules.case("S5.3");
}

#[test]
fn no_more_images_go_than_are_needed() {
    let mut rules = Rules::default();
    let mut tally = Tally::new(&Goal::Free(10));
    tally.started(6);
    assert!(tally.may_start(), "S5.8: 6 of 10 in flight");
    tally.started(6);
    assert!(!tally.may_start(), "S5.8: 12 of 10 in flight");
    tally.ended(6, false);
    assert!(
        tally.may_start(),
        "S5.8: a failed one counts nothing, the next takes its place"
    );
    tally.ended(6, true);
    assert_eq!(
        (tally.freed(), tally.satisfied(), tally.shortfall()),
        (6, false, Some((10, 6))),
        "S5.9"
    );
    tally.started(4);
    tally.ended(4, true);
    assert_eq!(
        (tally.satisfied(), tally.shortfall(), tally.may_start()),
        (true, None, false),
        "S5.8"
    );
    let all = Tally::new(&Goal::AllUnused);
    assert_eq!((all.may_start(), all.shortfall()), (true, None), "S5.10");
    for rule in ["S5.8", "S5.9", "S5.10"] {
        rules.case(rule);
    }
}

#[test]
fn defaults_are_the_kubelets_and_bad_values_are_named() {
    let config = Config::default();
    assert_eq!(config.maximum_dead_containers_per_container, 1);
    assert_eq!(config.maximum_dead_containers, -1);
    assert_eq!(
        (
            config.image_gc_high_threshold,
            config.image_gc_low_threshold
        ),
        (85, 80)
    );
    assert_eq!(config.runtime_request_timeout.as_secs(), 120);
    assert_eq!(config.minimum_image_ttl_duration.as_secs(), 120);
    let mut settings = Settings::default();
    for key in crigc::config::keys::KEYS {
        assert_eq!(settings.set(key.name, key.default), Ok(()), "{}", key.name);
        assert!(settings.get(key.name) == Ok(key.default));
    }
    let bad = [
        ("no-such-key", "1", "unknown key `no-such-key`"),
        (
            "maximum-dead-container",
            "1",
            "did you mean maximum-dead-containers?",
        ),
        ("image-gc-high-threshold", "101", "out of range"),
        ("image-gc-high-threshold", "85%", "no whole number"),
        ("pass-timeout", "5", "has no unit"),
        ("runtime-request-timeout", "0", "it is zero"),
        ("dry-run", "yes", "`true` or `false`"),
        ("pod-logs-dir", "logs", "no absolute path"),
        ("pod-logs-dir", "/var/log\n/pods", "control character \\n"),
        (
            "container-runtime-endpoint",
            "tcp://1.2.3.4:5",
            "does not speak `tcp`",
        ),
        ("container-age-from", "birth", "`created` or `finished`"),
        ("image-gc-exempt", "a,,b", "empty pattern"),
        ("max-parallel-removals", "0", "out of range"),
    ];
    for (key, value, part) in bad {
        let e = settings.set(key, value).expect_err(key);
        assert!(
            e.message.contains(part) && e.message.contains(key),
            "{key}={value}: {e}"
        );
    }
}
