//! The values that a whole pass hands on from its decisions to the entries of its report.

use crigc::report::{Age, Compared, Disk, Entry, Reason, Report, Since};
use std::os::unix::fs::symlink;
use test_support::bench::{self, DRY_RUN, Maker, id, sandbox_id, write};
use test_support::images;

fn entry<'r>(report: &'r Report, id: &str) -> &'r Entry {
    let found = report.entries.iter().find(|e| *e.id == *id);
    found.unwrap_or_else(|| panic!("{id} is not in {:?}", report.entries))
}

fn rank(rank: u32, of: u32) -> Compared {
    let limit = Some(1);
    Compared::Rank { rank, of, limit }
}

#[test]
fn a_container_pass_reports_what_was_compared() {
    let mut maker = Maker::new();
    maker.restarted("a", 3);
    maker.sandbox("two", 0, crisim::node::Word::NotReady);
    maker.sandbox("two", 1, crisim::node::Word::NotReady);
    write(&maker.path("pods/ns_pod-young_young/app/0.log"));
    symlink("/nowhere", maker.path("links/noid.log")).unwrap();
    symlink("/nowhere", maker.path("links/pod_ns_app-deadbeef.log")).unwrap();
    let bench = maker.start();
    bench.host.remove_pod("young");
    for flags in [DRY_RUN, Default::default()] {
        let keys = [("minimum-pod-log-ttl-duration", "1h")];
        let report = bench.collect(&keys, flags).report.unwrap();
        let path = |relative: &str| bench.path(relative).to_str().unwrap().to_owned();
        let cases = [
            (id("a", "app", 0), Reason::UnitLimit, rank(3, 3)),
            (id("a", "app", 1), Reason::UnitLimit, rank(2, 3)),
            (id("a", "app", 2), Reason::WithinLimit, rank(1, 3)),
            (sandbox_id("two", 0), Reason::OlderSandbox, rank(2, 2)),
            (sandbox_id("two", 1), Reason::NewestSandbox, rank(1, 2)),
            (path("links/noid.log"), Reason::DeadLink, Compared::NoId),
            (
                path("links/pod_ns_app-deadbeef.log"),
                Reason::DeadLink,
                Compared::NotFound,
            ),
        ];
        for (id, reason, compared) in cases {
            let entry = entry(&report, &id);
            assert_eq!((entry.reason, &entry.compared), (reason, &compared), "{id}");
        }
        let young = entry(&report, &path("pods/ns_pod-young_young"));
        let Compared::Age(age) = young.compared else {
            panic!("{young:?}");
        };
        let is_of_file = age.since == Since::TreeWritten && age.is_below();
        assert!(young.reason == Reason::TooYoung && is_of_file, "{age:?}");
    }
}

#[test]
fn a_container_that_is_refused_or_fails_keeps_the_values_of_its_plan() {
    let mut maker = Maker::new();
    maker.restarted("a", 3);
    maker.fault("RemoveContainer", &id("a", "app", 1), bench::code(13));
    let bench = maker.start();
    let mut hooks = bench.hooks();
    let refused = id("a", "app", 0);
    let approve = move |planned: &Entry| *planned.id != *refused;
    hooks.approve = Some(crigc::hooks::Hook::new(Box::new(approve)));
    let end = bench
        .engine(&[], hooks)
        .containers(Default::default(), None);
    let report = end.report.unwrap();
    for (attempt, want) in [(0, rank(3, 3)), (1, rank(2, 3))] {
        let entry = entry(&report, &id("a", "app", attempt));
        assert!(entry.error.is_some(), "{entry:?}");
        assert_eq!((entry.reason, &entry.compared), (Reason::UnitLimit, &want));
    }
}

#[test]
fn an_image_pass_reports_what_was_compared_and_how_full_the_disk_was() {
    let server = images::full();
    let host = images::Host::new(1000, 120);
    let keys = [
        ("pod-infra-container-image", "r/infra:1"),
        ("image-gc-exempt", "r/mount*"),
        ("image-gc-min-available", "5"),
    ];
    let engine = images::engine(&server, host.hooks(true), &keys);
    let turn = |rank| Compared::Turn {
        rank,
        of: 2,
        last_used: 0,
    };
    let report = engine.images(DRY_RUN, None).report.unwrap();
    let disk = Disk {
        used: 88,
        thresholds: (85, 80),
        by_percent: true,
        available: 120,
        least: Some(5),
        inodes: None,
    };
    assert_eq!(report.disk, Some(disk));
    let cases = [
        ("a", Reason::Space, turn(1)),
        ("b", Reason::EnoughFreed, turn(2)),
        ("used", Reason::InUse, Compared::Container("u1".into())),
        ("mounted", Reason::InUse, Compared::Container("u2".into())),
        ("pinned", Reason::Pinned, Compared::Nothing),
    ];
    for (id, reason, compared) in cases {
        let entry = entry(&report, id);
        assert_eq!((entry.reason, &entry.compared), (reason, &compared), "{id}");
    }
    for id in ["infra", "own"] {
        let entry = entry(&report, id);
        let is_named = matches!(&entry.compared, Compared::Named(name) if name.contains(id));
        assert!(
            entry.reason == Reason::SandboxImage && is_named,
            "{entry:?}"
        );
    }
    // Below the threshold the figures are there as well.
    *host.usage.lock().unwrap() = Some((1000, 500));
    let report = engine.images(DRY_RUN, None).report.unwrap();
    assert_eq!(
        report.disk.map(|disk| (disk.used, disk.available)),
        Some((50, 500))
    );
    assert_eq!(entry(&report, "a").reason, Reason::BelowThreshold);
    // A young image.
    server.edit(|node| node.images.push(images::image("young", "r/young:1", 1)));
    *host.now.lock().unwrap() += images::S;
    let all = crigc::engine::PassOptions {
        all_unused: true,
        ..DRY_RUN
    };
    engine.images(DRY_RUN, None);
    let report = engine.images(all, None).report.unwrap();
    let young = entry(&report, "young");
    let Compared::Age(Age { since, limit, .. }) = young.compared else {
        panic!("{young:?}");
    };
    assert_eq!(
        (young.reason, since, limit),
        (Reason::TooYoung, Since::Detected, 120 * images::S)
    );
    assert_eq!(entry(&report, "b").compared, turn(2));
    assert_eq!(report.disk, None);
}
