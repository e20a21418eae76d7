//! The sentences, in one table over all reasons, values, kinds and outcomes.

use super::*;
use crate::error::{Error, Status};
use crate::report::{ByKind, Pass};
use std::collections::BTreeSet;

const S: i64 = 1_000_000_000;
const NOW: i64 = 1_700_000_000 * S;

/// Reasons for which a decision compares values that it always knows.
const WITH_VALUES: [Reason; 16] = [
    Reason::UnitLimit,
    Reason::TotalLimit,
    Reason::OlderSandbox,
    Reason::DeadLink,
    Reason::Age,
    Reason::Space,
    Reason::Unused,
    Reason::TooYoung,
    Reason::WithinLimit,
    Reason::Active,
    Reason::NewestSandbox,
    Reason::InUse,
    Reason::SandboxImage,
    Reason::Exempt,
    Reason::Backoff,
    Reason::EnoughFreed,
];

fn entry(kind: Kind, outcome: Outcome, reason: Reason, compared: Compared) -> Entry {
    Entry {
        kind,
        outcome,
        id: "i".into(),
        name: "n".into(),
        pod_uid: "u".into(),
        reason,
        compared,
        error: None,
        bytes: 0,
    }
}

fn report(entries: Vec<Entry>) -> Report {
    Report {
        pass: Pass::Containers,
        dry_run: false,
        started: NOW,
        seconds: 0.0,
        bytes_freed: 0,
        filesystem: None,
        disk: None,
        hold_file: None,
        pace: ByKind::default(),
        failure: None,
        entries,
    }
}

fn explained(entry: &Entry) -> String {
    explain(&report(vec![]), entry)
}

fn age(since: Since, age: i64, limit: i64) -> Compared {
    Compared::Age(Age { since, age, limit })
}

/// Kind, reason, values, and what follows the text of the reason.
fn table() -> Vec<(Kind, Reason, Compared, &'static str)> {
    use Compared::*;
    use Kind::{Container as C, Image as I, LogLink as L, PodLogs as P, Sandbox as B};
    let rank = |rank, of, limit| Rank { rank, of, limit };
    let extra = |limit, because| Extra {
        rank: 3,
        of: 4,
        limit,
        because,
    };
    let turn = |last_used| Turn {
        rank: 2,
        of: 9,
        last_used,
    };
    let used = NOW - 3661 * S;
    vec![
        (C, Reason::PodRemoved, Nothing, ""),
        (B, Reason::PodTerminated, Nothing, ""),
        (
            C,
            Reason::UnitLimit,
            rank(2, 3, Some(1)),
            "It is number 2 of 3 dead containers of this name in its pod, the newest first; maximum-dead-containers-per-container is 1.",
        ),
        (
            C,
            Reason::TotalLimit,
            Total {
                rank: 12,
                of: 15,
                limit: 10,
            },
            "maximum-dead-containers leaves room for 10 of 15 dead containers; it is number 12 of them, the newest first.",
        ),
        (
            C,
            Reason::TotalLimit,
            Share {
                rank: 4,
                share: 2,
                of: 15,
                limit: 10,
            },
            "maximum-dead-containers leaves room for 10 of 15 dead containers, so each container of a pod keeps 2 of its own; it is number 4 of those, the newest first.",
        ),
        (
            B,
            Reason::OlderSandbox,
            rank(2, 3, Some(1)),
            "It is number 2 of 3 pod sandboxes of its pod, the newest first.",
        ),
        (
            L,
            Reason::DeadLink,
            NotFound,
            "The runtime does not know its container.",
        ),
        (
            L,
            Reason::DeadLink,
            NoId,
            "Its name has no ID of a container.",
        ),
        (
            L,
            Reason::DeadLink,
            ContainerState(crate::node::ContainerState::Exited),
            "The state of its container is EXITED.",
        ),
        (
            C,
            Reason::Age,
            age(Since::Created, 7322 * S, 3600 * S),
            "It was created 2h2m2s ago; maximum-dead-container-age is 1h0m0s.",
        ),
        (
            C,
            Reason::Age,
            age(Since::Finished, 61 * S, 60 * S),
            "It ended 1m1s ago; maximum-dead-container-age is 1m0s.",
        ),
        (
            I,
            Reason::Age,
            age(Since::Unused, 61 * S, 60 * S),
            "It has been unused for 1m1s; image-maximum-gc-age is 1m0s.",
        ),
        (
            P,
            Reason::Age,
            age(Since::FileWritten, 60 * S + 1, 60 * S),
            "It was written 1m0.000000001s ago; orphan-log-ttl-duration is 1m0s.",
        ),
        (
            I,
            Reason::Space,
            turn(used),
            "It is number 2 of 9 images that may be removed, the longest unused first; crigc last saw it in use 1h1m1s ago.",
        ),
        (
            I,
            Reason::Unused,
            turn(0),
            "No container uses it; no container has used it since crigc first saw it.",
        ),
        (C, Reason::Running, Nothing, ""),
        (
            C,
            Reason::TooYoung,
            age(Since::Created, 35 * S + 7, 60 * S),
            "It was created 35s ago; minimum-container-ttl-duration is 1m0s.",
        ),
        (
            C,
            Reason::TooYoung,
            age(Since::Created, -5 * S, 0),
            "It was created 5s later than now; minimum-container-ttl-duration is 0s.",
        ),
        (
            C,
            Reason::TooYoung,
            age(Since::Finished, 59 * S + 999_500_000, 60 * S),
            "It ended 59.9995s ago; minimum-container-ttl-duration is 1m0s.",
        ),
        (
            C,
            Reason::TooYoung,
            age(Since::Starting, 1_500_000, 120 * S),
            "It was created 1.5ms ago and has not been started; it may be about to be, until it is 2m0s old.",
        ),
        (
            I,
            Reason::TooYoung,
            age(Since::Detected, 119 * S, 120 * S),
            "crigc first saw it 1m59s ago; minimum-image-ttl-duration is 2m0s.",
        ),
        (
            P,
            Reason::TooYoung,
            age(Since::TreeWritten, 5 * S, 60 * S),
            "A file in it was written 5s ago; minimum-pod-log-ttl-duration is 1m0s.",
        ),
        (
            P,
            Reason::TooYoung,
            age(Since::FileWritten, 60 * S, 60 * S),
            "It was written 1m0s ago; orphan-log-ttl-duration is 1m0s.",
        ),
        (
            C,
            Reason::WithinLimit,
            rank(1, 3, Some(1)),
            "It is number 1 of 3 dead containers of this name in its pod, the newest first; maximum-dead-containers-per-container is 1.",
        ),
        (
            C,
            Reason::WithinLimit,
            rank(1, 3, None),
            "It is number 1 of 3 dead containers of this name in its pod, the newest first; maximum-dead-containers-per-container sets no limit.",
        ),
        (
            C,
            Reason::WithinLimit,
            extra(1, super::Extra::LastRun),
            "It is number 3 of 4 dead containers of this name in its pod, the newest first; maximum-dead-containers-per-container is 1. It stays as well, because it is the last one that ran.",
        ),
        (
            C,
            Reason::WithinLimit,
            Within { left: 7, limit: 9 },
            "7 dead containers stay; maximum-dead-containers is 9.",
        ),
        (
            B,
            Reason::Active,
            Container("c1".into()),
            "Container c1 is in it.",
        ),
        (
            B,
            Reason::Active,
            SandboxState(crate::node::SandboxState::Ready),
            "Its state is READY.",
        ),
        (
            P,
            Reason::Active,
            Container("c1".into()),
            "Container c1 of its pod is left.",
        ),
        (
            B,
            Reason::NewestSandbox,
            rank(1, 1, Some(1)),
            "It is number 1 of 1 pod sandboxes of its pod, the newest first.",
        ),
        (
            B,
            Reason::NewestSandbox,
            extra(1, super::Extra::HighestAttempt),
            "It is number 3 of 4 pod sandboxes of its pod, the newest first. It stays as well, because it has the highest attempt.",
        ),
        (C, Reason::PodExists, Nothing, ""),
        (
            C,
            Reason::PodActive,
            Container("c\n".into()),
            "Container c\\n of its pod has not ended.",
        ),
        (
            C,
            Reason::PodActive,
            Sandbox("s1".into()),
            "Its pod sandbox s1 has not ended.",
        ),
        (
            L,
            Reason::LinkAlive,
            ContainerState(crate::node::ContainerState::Running),
            "The state of its container is RUNNING.",
        ),
        (
            I,
            Reason::InUse,
            Container("c1".into()),
            "Container c1 uses it.",
        ),
        (I, Reason::Pinned, Nothing, ""),
        (
            I,
            Reason::SandboxImage,
            Named("r/pause:3".into()),
            "It is known as r/pause:3.",
        ),
        (
            I,
            Reason::Exempt,
            Named("*/x:*".into()),
            "The pattern */x:* matches it.",
        ),
        (
            I,
            Reason::EnoughFreed,
            turn(NOW + S),
            "It is number 2 of 9 images that may be removed, the longest unused first; crigc last saw it in use 0s ago.",
        ),
        (I, Reason::BelowThreshold, Nothing, ""),
        (I, Reason::FirstLook, Nothing, ""),
        (C, Reason::SourcesNotReady, Nothing, ""),
        (
            C,
            Reason::UnknownState,
            ContainerState(crate::node::ContainerState::Undefined(9)),
            "Its state is 9, which CRI does not define.",
        ),
        (
            B,
            Reason::UnknownState,
            SandboxState(crate::node::SandboxState::Undefined(7)),
            "Its state is 7, which CRI does not define.",
        ),
        (I, Reason::UnknownState, Nothing, ""),
        (C, Reason::Changed, Nothing, ""),
        (C, Reason::ListIncomplete, Nothing, ""),
        (C, Reason::Held, Nothing, ""),
        (
            C,
            Reason::Backoff,
            Wait {
                failures: 3,
                left: 90 * S,
            },
            "Removals that failed in a row: 3; the next try is due in 1m30s.",
        ),
        (C, Reason::NotReached, Nothing, ""),
        (I, Reason::SandboxImageUnknown, Nothing, ""),
        (L, Reason::LinkUnknown, Nothing, ""),
        (
            C,
            Reason::NewerThanAnswer,
            Newer {
                changed: NOW,
                as_of: NOW - S,
            },
            "The host's answer describes 2023-11-14T22:13:19.000Z, and something of the pod changed at 2023-11-14T22:13:20.000Z.",
        ),
        (
            C,
            Reason::HeldByShare,
            Pods {
                losing: 12,
                pods: 20,
                percent: 50,
            },
            "12 of the 20 pods with logs would lose something; max-pod-share is 50 percent.",
        ),
        (I, Reason::NoEffect, Nothing, ""),
    ]
}

/// Each row is the text of its reason, and its values. All reasons are there, those that always have values with some.
#[test]
fn every_reason_is_explained_with_its_values() {
    let (mut all, mut with_values) = (BTreeSet::new(), BTreeSet::new());
    for (kind, reason, compared, want) in table() {
        let text = reason.c_text().to_str().unwrap();
        let (outcome, begin) = match text.split_once(": ").unwrap() {
            ("kept", text) => (Outcome::Kept, format!("Kept: {text}.")),
            (_, text) => (Outcome::Removed, format!("Removed: {text}.")),
        };
        let has_values = compared != Compared::Nothing;
        let entry = entry(kind, outcome, reason, compared);
        let want = format!("{begin} {want}").trim_end().to_owned();
        assert_eq!(explained(&entry), want, "{reason:?}");
        all.insert(reason);
        with_values.extend(has_values.then_some(reason));
    }
    assert_eq!(all, Reason::ALL.iter().copied().collect());
    for reason in WITH_VALUES {
        assert!(with_values.contains(&reason), "{reason:?} has no values");
    }
}

/// The same reason in other outcomes, and what the report adds.
#[test]
fn outcomes_and_the_pass_are_part_of_an_explanation() {
    let older = || Compared::Rank {
        rank: 2,
        of: 2,
        limit: Some(1),
    };
    let of = |outcome| entry(Kind::Sandbox, outcome, Reason::OlderSandbox, older());
    let values = "It is number 2 of 2 pod sandboxes of its pod, the newest first.";
    let mut dry = report(vec![]);
    dry.dry_run = true;
    assert_eq!(
        explain(&dry, &of(Outcome::Removed)),
        format!("Would be removed: its pod has a newer sandbox. {values}")
    );
    let mut failed = of(Outcome::Failed);
    failed.error = Some("cannot stop it: no\nidea.".to_owned());
    assert_eq!(
        explained(&failed),
        format!(
            "Not removed: cannot stop it: no\\nidea. It was to be removed: its pod has a newer sandbox. {values}"
        )
    );
    let mut refused = of(Outcome::Refused);
    refused.error = Some("the host did not approve of the removal".to_owned());
    assert!(explained(&refused).starts_with(
        "Not removed: the host did not approve of the removal. It was to be removed: its pod"
    ));
    let kept = |reason| entry(Kind::Container, Outcome::Kept, reason, Compared::Nothing);
    let mut broken = report(vec![]);
    broken.failure = Some(Error::new(Status::Timeout, "it took\u{7} too long"));
    broken.hold_file = Some("/run/hold".to_owned());
    let end = "The pass failed: it took\\u{7} too long.";
    for reason in Reason::ALL.iter().copied() {
        let blames = matches!(
            reason,
            Reason::NotReached
                | Reason::ListIncomplete
                | Reason::SandboxImageUnknown
                | Reason::PodActive
        );
        let text = explain(&broken, &kept(reason));
        assert_eq!(text.ends_with(end), blames, "{text}");
        let names_file = text.ends_with(" hold-file is /run/hold.");
        assert_eq!(names_file, reason == Reason::Held, "{text}");
    }
}

/// Which figures of the image filesystem are named, and for which reasons.
#[test]
fn the_disk_is_part_of_what_was_kept_or_removed_for_space() {
    let disk = Disk {
        used: 91,
        thresholds: (85, 80),
        by_percent: true,
        available: 500,
        least: None,
        inodes: None,
    };
    let keys = "image-gc-high-threshold is 85, image-gc-low-threshold 80.";
    let percent = format!("The image filesystem was 91% full; {keys}");
    let least = "500 bytes were available on the image filesystem; image-gc-min-available is 600.";
    let inodes = format!("97% of the inodes of the image filesystem were used; {keys}");
    let cases = [
        (disk, percent.clone()),
        (
            Disk {
                by_percent: false,
                least: Some(600),
                ..disk
            },
            least.to_owned(),
        ),
        (
            Disk {
                least: Some(600),
                inodes: Some(97),
                ..disk
            },
            format!("{percent} {inodes} {least}"),
        ),
    ];
    for (disk, want) in cases {
        let mut of_images = report(vec![]);
        of_images.disk = Some(disk);
        for reason in Reason::ALL.iter().copied() {
            let names_disk = matches!(
                reason,
                Reason::Space | Reason::EnoughFreed | Reason::BelowThreshold | Reason::NoEffect
            );
            let entry = entry(Kind::Image, Outcome::Kept, reason, Compared::Nothing);
            let text = explain(&of_images, &entry);
            assert_eq!(text.ends_with(&want), names_disk, "{text}");
        }
    }
}

#[test]
fn durations_are_written_as_go_writes_them() {
    let cases = [
        (0, 1, "0s"),
        (1, 1, "1ns"),
        (1_100, 1, "1.1µs"),
        (2_000_000, 1, "2ms"),
        (1_500_000_000, 1, "1.5s"),
        (1_500_000_000, SECOND, "1s"),
        (60 * SECOND, 1, "1m0s"),
        (3600 * SECOND, 1, "1h0m0s"),
        (90_061 * SECOND + 5, SECOND, "25h1m1s"),
        (u64::MAX, SECOND, "5124095h34m33s"),
    ];
    for (ns, unit, want) in cases {
        assert_eq!(duration(ns, unit), want);
        let read = crate::config::duration::parse(want);
        assert!(read.is_ok() || ns == u64::MAX, "{want}");
    }
}
