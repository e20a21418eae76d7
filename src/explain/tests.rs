//! The sentences, in one table over all reasons, values, kinds and outcomes.

mod table;

use super::*;
use crate::error::{Error, Status};
use crate::report::{ByKind, Pass};
use std::collections::BTreeSet;
use table::table;

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
            "Removal failed: cannot stop it: no\\nidea. It was to be removed: its pod has a newer sandbox. {values}"
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
