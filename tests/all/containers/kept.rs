//! Whole passes over objects that have to be kept (S0.4, S1.1, S1.2, S1.5, S3.3): the last crash
//! behind attempts that never started, what is about to be started, what has just ended, and the
//! highest attempt where a clock was set back.

use crigc::engine::PassOptions;
use crigc::error::Status;
use crigc::hooks::Hook;
use crigc::report::{Outcome, Report};
use crisim::node::{State, Word};
use test_support::bench::{
    Bench, DRY_RUN, INTERNAL, Maker, NOT_FOUND, code, fate, id, sandbox_id, there, with,
};
use test_support::rules::Rules;

const S: i64 = 1_000_000_000;
/// The host's clock.
const NOW: i64 = 1_700_000_000 * S;
const ALL_UNUSED: PassOptions = PassOptions {
    all_unused: true,
    ..PassOptions::PLAIN
};
const NONE_KEPT: [(&str, &str); 2] = [
    ("maximum-dead-containers-per-container", "0"),
    ("maximum-dead-containers", "0"),
];

/// A pass by a host whose clock says that it is now.
fn collected(bench: &Bench, own: &[(&str, &str)], flags: PassOptions, now: i64) -> Report {
    let mut hooks = bench.hooks();
    hooks.clock = Some(Hook::new(Box::new(move || now)));
    let end = bench.engine(own, hooks).containers(flags, None);
    assert_eq!(end.error, None);
    end.report.unwrap()
}

fn kept(report: &Report, id: &str) -> &'static str {
    let (outcome, reason, error) = fate(report, id);
    assert_eq!(outcome, Outcome::Kept, "{id}: {reason} {error}");
    reason
}

/// A second pass finds nothing to do.
fn nothing_more(bench: &Bench, own: &[(&str, &str)]) {
    let more = collected(bench, own, PassOptions::default(), NOW);
    assert!(with(&more, Outcome::Removed).is_empty());
}

/// A container half a second old, in a READY sandbox, with a limit of 0: it is kept, and removed in a later pass.
#[test]
fn s1_1_a_container_that_is_about_to_be_started_is_kept_in_every_pass() {
    let mut rules = Rules::default();
    for (gone, flags) in [
        (false, PassOptions::default()),
        (true, PassOptions::default()),
        (true, ALL_UNUSED),
    ] {
        rules.case("S1.1");
        let mut maker = Maker::new();
        let state = if gone { Word::NotReady } else { Word::Ready };
        maker.sandbox("u1", 0, state);
        maker.container("u1", "app", 0, Word::Created);
        maker.node.containers[0].created_at = NOW - S / 2;
        let bench = maker.start();
        if gone {
            bench.host.remove_pod("u1");
        }
        let app = id("u1", "app", 0);
        for dry_run in [true, false] {
            let flags = PassOptions { dry_run, ..flags };
            let report = collected(&bench, &NONE_KEPT, flags, NOW);
            assert_eq!(kept(&report, &app), "too-young");
            assert_eq!(kept(&report, &sandbox_id("u1", 0)), "active");
            let tree = bench.path("pods/ns_pod-u1_u1");
            let reason = if gone { "active" } else { "pod-exists" };
            assert_eq!(kept(&report, tree.to_str().unwrap()), reason);
        }
        assert!(there(&bench.log("u1", "app", 0)) && there(&bench.link("u1", "app", 0)));
        assert_eq!(bench.calls("RemoveContainer"), [""; 0]);
        let report = collected(&bench, &NONE_KEPT, flags, NOW + 120 * S);
        assert_eq!(fate(&report, &app).0, Outcome::Removed);
    }
}

#[test]
fn s1_5_attempts_stuck_in_created_do_not_take_the_log_of_the_last_crash() {
    let mut rules = Rules::default();
    rules.case("S1.5");
    let mut maker = Maker::new();
    maker.sandbox("u1", 0, Word::Ready);
    for attempt in 0..2 {
        maker.container("u1", "app", attempt, Word::Exited);
    }
    for attempt in 2..5 {
        maker.container("u1", "app", attempt, Word::Created);
    }
    let bench = maker.start();
    // With the defaults.
    let report = collected(&bench, &[], PassOptions::default(), NOW);
    for attempt in [1, 4] {
        assert_eq!(kept(&report, &id("u1", "app", attempt)), "within-limit");
        assert!(there(&bench.log("u1", "app", attempt)), "{attempt}");
        assert!(there(&bench.link("u1", "app", attempt)), "{attempt}");
    }
    for attempt in [0, 2, 3] {
        assert_eq!(fate(&report, &id("u1", "app", attempt)).1, "unit-limit");
    }
    nothing_more(&bench, &[]);
    // The next attempt has run: it is the last crash.
    bench.server.edit(|node| {
        let mut next = node.containers.last().unwrap().clone();
        next.id = "next-attempt".into();
        next.state = State::Word(Word::Exited);
        next.attempt = 5;
        next.created_at += S;
        node.containers.push(next);
    });
    let report = collected(&bench, &[], PassOptions::default(), NOW);
    assert_eq!(kept(&report, "next-attempt"), "within-limit");
    for attempt in [1, 4] {
        assert_eq!(fate(&report, &id("u1", "app", attempt)).1, "unit-limit");
    }
}

/// The clock was set back before the newest attempt, or its time is 0; the same for sandboxes.
#[test]
fn s1_5_s3_3_the_highest_attempt_is_kept_whatever_the_times_say() {
    let mut rules = Rules::default();
    for created in [0, 1_000_000_000 * S] {
        rules.case("S1.5");
        rules.case("S3.3");
        let mut maker = Maker::new();
        for attempt in 0..3 {
            maker.sandbox("u1", attempt, Word::NotReady);
        }
        maker.sandbox("u2", 0, Word::Ready);
        for attempt in 0..3 {
            maker.container("u2", "app", attempt, Word::Exited);
        }
        maker.node.sandboxes[2].created_at = created;
        maker.node.containers[2].created_at = created;
        let bench = maker.start();
        let dry = collected(&bench, &[], DRY_RUN, NOW);
        let report = collected(&bench, &[], PassOptions::default(), NOW);
        for report in [&dry, &report] {
            assert_eq!(fate(report, &id("u2", "app", 0)).1, "unit-limit");
            assert_eq!(fate(report, &sandbox_id("u1", 0)).1, "older-sandbox");
            for attempt in [1, 2] {
                assert_eq!(kept(report, &id("u2", "app", attempt)), "within-limit");
                assert_eq!(kept(report, &sandbox_id("u1", attempt)), "newest-sandbox");
            }
        }
        nothing_more(&bench, &[]);
    }
}

/// A known limit: two of three pods were deleted by force and hang. crigc cannot distinguish that from a wrong answer, so each pass fails,
/// and keeps what other pods left, until the two have ended or the host counts them as living.
#[test]
fn s0_4_two_of_three_pods_that_were_deleted_by_force_and_hang_end_every_removal_for_gone_pods() {
    let mut rules = Rules::default();
    for ends in [true, false] {
        rules.case("S0.4");
        let mut maker = Maker::new();
        for uid in ["alive", "forced1", "forced2"] {
            maker.restarted(uid, 3);
            maker.container(uid, "app", 9, Word::Running);
        }
        maker.sandbox("gone", 0, Word::NotReady);
        maker.container("gone", "app", 0, Word::Exited);
        let bench = maker.start();
        for uid in ["forced1", "forced2", "gone"] {
            bench.host.remove_pod(uid);
        }
        let engine = bench.engine(&[], bench.hooks());
        for _ in 0..3 {
            let end = engine.containers(PassOptions::default(), None);
            let error = end.error.unwrap();
            assert_eq!(error.status, Status::Contradiction);
            assert!(
                error.message.contains("deleted by force"),
                "{}",
                error.message
            );
            let report = end.report.unwrap();
            assert_eq!(kept(&report, &id("gone", "app", 0)), "pod-active");
            // Limits hold.
            assert!(!bench.containers().contains(&id("forced1", "app", 0)));
        }
        if ends {
            bench.server.edit(|node| {
                for c in node
                    .containers
                    .iter_mut()
                    .filter(|c| c.sandbox_id != sandbox_id("alive", 0).into())
                {
                    c.state = State::Word(Word::Exited);
                }
                for s in node
                    .sandboxes
                    .iter_mut()
                    .filter(|s| s.uid != "alive".into())
                {
                    s.state = State::Word(Word::NotReady);
                }
            })
        } else {
            bench.host.keep_all();
            bench.host.remove_pod("gone");
        }
        let end = engine.containers(PassOptions::default(), None);
        assert_eq!(end.error, None);
        let report = end.report.unwrap();
        assert_eq!(fate(&report, &id("gone", "app", 0)).1, "pod-removed");
        assert_eq!(bench.containers().contains(&id("forced1", "app", 9)), !ends);
        assert!(bench.containers().contains(&id("alive", "app", 9)));
    }
}

#[test]
fn s1_2_the_runtime_is_asked_when_each_candidate_ended() {
    let mut rules = Rules::default();
    rules.case("S1.2");
    let now = 1_700_000_000 * S;
    let mut maker = Maker::new();
    // All were made long ago. Ended: long ago; just now; never reported (its creation counts); unknown; removed meanwhile.
    let ends = [
        ("old", now - 7200 * S),
        ("young", now - 60 * S),
        ("never", 0),
        ("broken", 0),
        ("gone", 0),
    ];
    for (name, end) in ends {
        maker.bare("u1", name, 0, Word::Exited).finished_at = end;
    }
    maker.bare("u1", "runs", 0, Word::Running);
    maker.fault("ContainerStatus", &id("u1", "broken", 0), code(INTERNAL));
    maker.fault("ContainerStatus", &id("u1", "gone", 0), code(NOT_FOUND));
    let bench = maker.start();
    let mut hooks = bench.hooks();
    hooks.clock = Some(Hook::new(Box::new(move || now)));
    let keys = [
        NONE_KEPT[0],
        ("container-age-from", "finished"),
        ("minimum-container-ttl-duration", "1h"),
        ("pod-logs-dir", ""),
    ];
    let report = bench
        .engine(&keys, hooks)
        .containers(PassOptions::default(), None)
        .report
        .unwrap();
    let wanted = [
        ("old", Outcome::Removed, "unit-limit"),
        ("young", Outcome::Kept, "too-young"),
        ("never", Outcome::Removed, "unit-limit"),
        ("broken", Outcome::Kept, "unknown-state"),
        ("gone", Outcome::Removed, "unit-limit"),
        ("runs", Outcome::Kept, "running"),
    ];
    for (name, outcome, reason) in wanted {
        let (was, why, _) = fate(&report, &id("u1", name, 0));
        assert_eq!((was, why), (outcome, reason), "{name}");
    }
    assert_eq!(
        bench.calls("ContainerStatus").len(),
        5,
        "each candidate once, and no other"
    );
}
