//! Reasons with values, and the sentences that they make.

use super::*;

fn age(since: Since, age: i64, limit: i64) -> Compared {
    Compared::Age(Age { since, age, limit })
}

/// Kind, reason, values, and what follows the text of the reason.
pub(super) fn table() -> Vec<(Kind, Reason, Compared, &'static str)> {
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
            "12 of the 20 pods would lose something; max-pod-share is 50 percent.",
        ),
        (I, Reason::NoEffect, Nothing, ""),
    ]
}
