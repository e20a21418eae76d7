//! S5: which images are removed, and in which order. Tables whose rows read like their rules.

use crigc::config::Settings;
use crigc::node::{Container, Image, Text};
use crigc::plan::exempt::Exempt;
use crigc::plan::images::{self, Goal, ImageState, SandboxImages};
use crigc::plan::in_use::InUse;
use crigc::plan::records::Records;
use crigc::plan::space::Wanted;
use crigc::plan::{Plan, Step};
use std::time::Duration;
use test_support::node::{S, exited, image, mounted};
use test_support::rules::Rules;

/// `id reason` of the steps.
fn lines<T>(steps: &[Step<'_, T>], id: impl Fn(&T) -> &Text) -> Vec<String> {
    let line = |step: &Step<'_, T>| format!("{} {}", id(step.object), step.reason.word());
    steps.iter().map(line).collect()
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
        mounted(["reg/a:v1"]).uses(&subject),
        "S5.2: image volumes count"
    );
    rules.case("S5.2");
}

#[test]
fn s5_6_what_a_pass_is_to_reach_where_the_disk_has_no_say() {
    let mut rules = Rules::default();
    let known = SandboxImages::Known(vec![]);
    let (asked, not_asked, failed) = (&known, &SandboxImages::NotAsked, &SandboxImages::Failed);
    // Only a look, a removal by age failed, sandbox images, all unused ones are to be removed.
    let cases = [
        ("S5.1", true, false, not_asked, false, Some(Goal::FirstLook)),
        ("S5.1", true, false, not_asked, true, Some(Goal::FirstLook)),
        ("S5.5", false, true, asked, false, Some(Goal::Unknown)),
        // The kubelet's removal of all unused images does not ask for the removals by age.
        ("S5.10", false, true, asked, true, Some(Goal::AllUnused)),
        ("S5.3", false, true, failed, true, Some(Goal::Unknown)),
        ("S5.3", false, false, failed, false, Some(Goal::Unknown)),
        ("S5.3", false, false, failed, true, Some(Goal::Unknown)),
        ("S5.10", false, false, asked, true, Some(Goal::AllUnused)),
        (
            "S5.10",
            false,
            false,
            not_asked,
            true,
            Some(Goal::AllUnused),
        ),
        ("S5.6", false, false, asked, false, None),
        ("S5.6", false, false, not_asked, false, None),
    ];
    for (rule, only_look, by_age_failed, sandbox, all_unused, want) in cases {
        let goal = images::goal(only_look, by_age_failed, sandbox, all_unused);
        assert_eq!(goal, want, "{rule}: {sandbox:?} {all_unused}");
        rules.case(rule);
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

fn exempt(patterns: &str) -> Exempt {
    let mut settings = Settings::default();
    settings.set("image-gc-exempt", patterns).unwrap();
    Exempt::new(&settings.config().image_gc_exempt)
}

/// Everything has to be freed.
const FREE: Goal = Goal::Free(Wanted {
    threshold: Some(0),
    minimum: None,
    inodes: None,
});

fn plan_images<'i>(list: &'i [Image], sandbox: &SandboxImages, goal: &Goal) -> Plan<'i, Image> {
    let mut records = Records::default();
    let in_use = mounted(["used"]);
    let old: Vec<Image> = list.iter().filter(|i| &*i.id != "young").cloned().collect();
    records.watch(S, Duration::ZERO, Duration::ZERO);
    records.look(&old, &in_use, S);
    records.watch(1000 * S, Duration::from_secs(999), Duration::from_secs(999));
    records.look(list, &in_use, 1000 * S);
    let exempt = exempt("keep/*, other/?");
    let look = ImageState {
        images: list,
        in_use: &in_use,
        records: &records,
        sandbox,
        exempt: &exempt,
    };
    images::plan(&look, goal, 120 * S, 1001 * S)
}

#[test]
fn protected_images_are_kept() {
    let mut rules = Rules::default();
    let known = SandboxImages::Known(vec!["reg/infra:1".into()]);
    let aged = Goal::Aged(Duration::from_secs(998));
    for goal in [FREE, Goal::AllUnused, aged] {
        for (subject, reason, rule) in protected_images() {
            let list = [subject, image("free", "reg/pausexyz:1", 1)];
            let plan = plan_images(&list, &known, &goal);
            let word = match goal {
                Goal::AllUnused => "unused",
                Goal::Aged(_) => "age",
                _ => "space",
            };
            assert_eq!(
                lines(&plan.remove, |image| &image.id),
                [format!("free {word}")],
                "{rule}"
            );
            assert_eq!(
                lines(&plan.keep, |image| &image.id),
                [format!("{} {reason}", list[0].id)],
                "{rule}"
            );
            rules.case(rule);
            match goal {
                Goal::AllUnused => rules.case("S5.10"),
                Goal::Aged(_) => rules.case("S5.5"),
                _ => {}
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
        assert_eq!(lines(&plan.keep, |image| &image.id), [line], "{rule}");
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
    let used = |id: &'static str| mounted([id]);
    records.look(&list[..4], &used("none"), S);
    records.look(&list[..4], &used("used-early"), 2 * S);
    records.look(&list, &used("used-late"), 3 * S);
    let (in_use, exempt) = (used("none"), Exempt::default());
    let look = ImageState {
        images: &list,
        in_use: &in_use,
        records: &records,
        sandbox: &SandboxImages::Known(vec![]),
        exempt: &exempt,
    };
    let plan = images::plan(&look, &FREE, 0, 9 * S);
    let order = lines(&plan.remove, |image| &image.id);
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
        "S5.1: an image that is gone is forgotten"
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
        let exempt = exempt(patterns);
        assert_eq!(
            exempt.matches(&image("sha256:id", tag, 1)),
            want,
            "S5.3: {patterns} {tag}"
        );
        rules.case("S5.3");
    }
    let hostile = exempt(&"*a".repeat(2000));
    assert!(
        !hostile.matches(&image("x", &"a".repeat(1500), 1)),
        "S5.3: no backtracking without end"
    );
    rules.case("S5.3");
}

/// S5.7, S0.10: a clock that was a year ahead and came back does not protect images for a year.
#[test]
fn times_of_a_clock_that_was_ahead_are_taken_for_now() {
    let mut rules = Rules::default();
    let list = [image("a", "r/a:1", 1)];
    let mut records = Records::default();
    records.look(&[], &InUse::default(), S);
    records.look(&list, &InUse::default(), 1_000_000 * S);
    records.look(&list, &InUse::default(), 10 * S);
    let detected = records.get(&list[0]).and_then(|r| r.first_detected);
    assert_eq!(detected, Some(10 * S));
    rules.case("S5.7");
}

/// What happens to the one image of a look at the ages, with the time of both clocks in hours since the last event.
#[derive(Clone, Copy)]
enum Event {
    /// A look with the image in use; wall, awake.
    Used(i64, u64),
    /// A look with the image unused; wall, awake.
    Unused(i64, u64),
    /// A look without it; wall, awake.
    Gone(i64, u64),
    /// The engine ends, and the next one has its records; there is no look meanwhile.
    Restart(i64, u64),
}

/// S5.5: only time between looks of an engine counts, by the clock that advanced less.
#[test]
fn images_grow_old_only_while_an_engine_lists_them() {
    use Event::{Gone, Restart, Unused, Used};
    let mut rules = Rules::default();
    const YEAR: i64 = 365 * 24;
    // What happens, and for how many hours the image has been unused then; the last event is a look.
    let cases: &[(&[Event], u64)] = &[
        (&[Unused(0, 0)], 0),
        (&[Unused(0, 0), Unused(3, 3)], 3),
        (&[Unused(0, 0), Unused(3, 3), Unused(4, 4)], 7),
        // In use at a look: unused since then.
        (&[Used(0, 0), Unused(3, 3), Unused(1, 1)], 4),
        (&[Unused(0, 0), Used(3, 3), Unused(2, 2)], 2),
        // Found later: unused since it was found.
        (&[Gone(0, 0), Gone(5, 5), Unused(5, 5), Unused(2, 2)], 2),
        // Gone and back: a new one.
        (&[Unused(0, 0), Gone(5, 5), Unused(5, 5)], 0),
        // A clock that leaps ahead, one that is set back, and one that does both.
        (&[Unused(0, 0), Unused(YEAR, 1), Unused(1, 1)], 2),
        (&[Unused(0, 0), Unused(-YEAR, 1), Unused(1, 1)], 1),
        (
            &[
                Unused(0, 0),
                Unused(YEAR, 1),
                Unused(-YEAR, 1),
                Unused(1, 1),
            ],
            2,
        ),
        // The machine slept for a fortnight.
        (&[Unused(0, 0), Unused(14 * 24, 1)], 1),
        // A fortnight without an engine; and one that was used before it.
        (
            &[
                Unused(0, 0),
                Unused(3, 3),
                Restart(14 * 24, 14 * 24),
                Unused(0, 0),
                Unused(1, 1),
            ],
            4,
        ),
        (
            &[
                Used(0, 0),
                Restart(14 * 24, 14 * 24),
                Unused(0, 0),
                Unused(1, 1),
            ],
            1,
        ),
        // The machine was restarted in between: its clock begins anew.
        (
            &[
                Unused(0, 0),
                Unused(3, 3),
                Restart(1, 0),
                Unused(0, 0),
                Unused(1, 1),
            ],
            4,
        ),
    ];
    let list = [image("a", "r/a:1", 1)];
    for (number, (events, hours)) in cases.iter().enumerate() {
        rules.case("S5.5");
        let mut records = Records::default();
        let hour = |n: u64| Duration::from_secs(3600 * n);
        let (mut wall, mut awake) = (YEAR * 3600 * S, hour(7));
        for event in *events {
            let (Used(by_wall, by_awake)
            | Unused(by_wall, by_awake)
            | Gone(by_wall, by_awake)
            | Restart(by_wall, by_awake)) = *event;
            wall = wall.saturating_add(by_wall * 3600 * S);
            awake += hour(by_awake);
            if let Restart(..) = event {
                records = Records::restored(records.kept().clone());
                continue;
            }
            records.watch(wall, awake, awake);
            let in_use = match event {
                Used(..) => mounted(["a"]),
                _ => InUse::default(),
            };
            let there: &[Image] = if let Gone(..) = event { &[] } else { &list };
            records.look(there, &in_use, wall);
        }
        assert_eq!(records.unused_for(&list[0]), hour(*hours), "case {number}");
        // Exactly so long is not longer.
        for (limit, goes) in [
            (*hours, false),
            (hours.wrapping_sub(1).min(*hours), *hours > 0),
        ] {
            let look = ImageState {
                images: &list,
                in_use: &InUse::default(),
                records: &records,
                sandbox: &SandboxImages::Known(vec![]),
                exempt: &Exempt::default(),
            };
            let plan = images::plan(&look, &Goal::Aged(hour(limit)), 120 * S, wall);
            let want: &[&str] = if goes { &["a age"] } else { &[] };
            assert_eq!(
                lines(&plan.remove, |image| &image.id),
                want,
                "case {number}"
            );
        }
    }
}

/// S5.7: the age of an image by the clock that advanced less, wherever its record comes from.
#[test]
fn s5_7_the_age_is_that_of_the_clock_that_advanced_less() {
    let mut rules = Rules::default();
    let seconds = Duration::from_secs;
    let list = [image("a", "r/a:1", 1)];
    // Wall and boot time in seconds: at the first look, at the one that finds the image, and at the last; its age then.
    type Times = (i64, u64);
    let table: [([Times; 3], i64); 7] = [
        ([(1000, 10), (1100, 110), (1160, 170)], 60),
        // The wall clock leaps ahead, or is set back.
        ([(1000, 10), (1100, 110), (90_000, 111)], 1),
        ([(1000, 10), (1100, 110), (500, 111)], 0),
        // It is slow, or stands.
        ([(1000, 10), (1100, 110), (1101, 500)], 1),
        ([(1000, 10), (1100, 110), (1100, 500)], 0),
        // A leap before the image came is none of its own.
        ([(1000, 10), (90_000, 20), (90_030, 50)], 30),
        // Both advance while the machine sleeps.
        ([(1000, 10), (1100, 110), (8300, 7310)], 7200),
    ];
    for ([first, found, last], age) in table {
        rules.case("S5.7");
        let mut records = Records::default();
        let looks: [(Times, &[_]); 3] = [(first, &[]), (found, &list), (last, &list)];
        for ((wall, boot), images) in looks {
            records.watch(wall * S, seconds(boot), seconds(boot));
            records.look(images, &InUse::default(), wall * S);
        }
        let told = records.age(&list[0], last.0 * S);
        assert_eq!(told, Some(age * S), "{found:?}, {last:?}");
    }
    // An image of the first look is of the past, and never too young.
    let mut records = Records::default();
    records.watch(S, seconds(1), seconds(1));
    records.look(&list, &InUse::default(), S);
    assert_eq!(records.age(&list[0], 2 * S), None);
    // An image that is there again counts as new (S5.12), and has not been unused yet.
    records.watch(500 * S, seconds(500), seconds(500));
    assert_eq!(records.unused_for(&list[0]), seconds(499));
    records.begin_anew(&list[0], 500 * S, seconds(500));
    assert_eq!(records.age(&list[0], 620 * S), Some(0));
    records.watch(620 * S, seconds(620), seconds(620));
    assert_eq!(records.age(&list[0], 620 * S), Some(120 * S));
    assert_eq!(records.unused_for(&list[0]), seconds(120));
}
