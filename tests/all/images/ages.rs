//! Ages of images, by the file of records: whole passes of one engine after another (S5.5).

use crigc::engine::PassOptions;
use crigc::hooks::{Hook, Hooks};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use test_support::images;
use test_support::images::{Host, S, image, node, start, status, told, user};
use test_support::records::{ALL_UNUSED, NOW, Place};
use test_support::rules::Rules;

/// A host's clock that moves only while a test waits. Ages count by the clock that advanced less:
/// without a wait no time passes, however long it takes.
#[derive(Clone)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn new() -> Clock {
        Clock(Arc::new(AtomicI64::new(NOW)))
    }

    fn set(&self, hooks: &mut Hooks) {
        let clock = self.clone();
        let tell = move || clock.0.load(Ordering::SeqCst);
        hooks.clock = Some(Hook::new(Box::new(tell)));
    }

    /// Longer than what `AGES` says.
    fn wait(&self) {
        let time = Duration::from_millis(350);
        std::thread::sleep(time);
        self.0.fetch_add(350_000_000, Ordering::SeqCst);
    }
}

/// Ages short enough to be waited for.
const AGES: [(&str, &str); 2] = [
    ("image-maximum-gc-age", "300ms"),
    ("minimum-image-ttl-duration", "0"),
];

#[test]
fn s5_5_an_image_that_is_unused_for_too_long_is_removed_whatever_the_disk() {
    let mut rules = Rules::default();
    let (place, clock) = (Place::new(), Clock::new());
    let mut made = node(
        ["a", "b", "used"]
            .map(|id| image(id, &format!("r/{id}:1"), 1))
            .to_vec(),
    );
    made.images.push(image("infra", "r/pause:1", 1));
    made.containers.push(user("u", "r/used:1"));
    let server = start(made);
    let engine = place
        .engine_by(&server, &AGES, |hooks| clock.set(hooks))
        .unwrap();
    let pass = |flags| {
        rules.case("S5.5");
        told(&engine.images(flags, None))
    };
    let mut pass = pass;
    let stays = [
        "a kept below-threshold",
        "b kept below-threshold",
        "infra kept sandbox-image",
        "used kept in-use",
    ];
    assert_eq!(
        pass(PassOptions::default()),
        stays,
        "the first look is the beginning"
    );
    // For the first ones it is over soon; one that comes now has its time.
    clock.wait();
    server.edit(|node| node.images.push(image("late", "r/late:1", 1)));
    let gone = [
        "a removed age",
        "b removed age",
        "infra kept sandbox-image",
        "late kept below-threshold",
        "used kept in-use",
    ];
    let dry_run = PassOptions {
        dry_run: true,
        ..PassOptions::default()
    };
    assert_eq!(pass(dry_run), gone);
    assert_eq!(pass(PassOptions::default()), gone);
    // The user is removed: its image is unused since the last list that saw the user.
    server.edit(|node| node.containers.clear());
    assert!(pass(PassOptions::default()).contains(&"used kept below-threshold".to_owned()));
    clock.wait();
    let all = pass(ALL_UNUSED);
    assert_eq!(
        all,
        [
            "infra kept sandbox-image",
            "late removed age",
            "used removed age"
        ]
    );
}

/// S5.5, S5.6: the disk is read after the images that were too old have been removed, and a dry run counts them as removed.
#[test]
fn s5_5_an_image_that_was_removed_by_age_is_not_wanted_for_space() {
    let mut rules = Rules::default();
    for dry_run in [true, false] {
        rules.case("S5.5");
        let server = start(node(vec![
            image("a", "r/a:1", 100),
            image("b", "r/b:1", 100),
        ]));
        let host = Host::new(1000, 200);
        // 80 percent full: 40 bytes too many, which the old one frees.
        let mut hooks = host.hooks(true);
        let clock = Clock::new();
        clock.set(&mut hooks);
        let usage = host.usage.clone();
        hooks.progress = Some(Hook::new(Box::new(move |_, _, _| {
            if !dry_run {
                *usage.lock().unwrap() = Some((1000, 300));
            }
        })));
        let mut keys = AGES.to_vec();
        keys.extend([
            ("image-gc-high-threshold", "78"),
            ("image-gc-low-threshold", "76"),
        ]);
        let engine = images::engine(&server, hooks, &keys);
        server.edit(|node| node.containers.push(user("u", "r/b:1")));
        let looks_only = PassOptions {
            dry_run: true,
            ..PassOptions::default()
        };
        engine.images(looks_only, None);
        clock.wait();
        engine.images(looks_only, None);
        server.edit(|node| node.containers.clear());
        let flags = PassOptions {
            dry_run,
            ..PassOptions::default()
        };
        let end = engine.images(flags, None);
        assert_eq!(
            told(&end),
            ["a removed age", "b kept below-threshold"],
            "dry run: {dry_run}"
        );
        assert_eq!(status(&end), None);
    }
}

#[test]
fn s5_5_time_without_an_engine_makes_nothing_old() {
    let mut rules = Rules::default();
    rules.case("S5.5");
    let (place, clock) = (Place::new(), Clock::new());
    let server = start(node(vec![image("a", "r/a:1", 1)]));
    drop(
        place
            .engine_by(&server, &AGES, |hooks| clock.set(hooks))
            .unwrap()
            .images(PassOptions::default(), None),
    );
    clock.wait();
    let engine = place
        .engine_by(&server, &AGES, |hooks| clock.set(hooks))
        .unwrap();
    assert_eq!(
        told(&engine.images(PassOptions::default(), None)),
        ["a kept below-threshold"]
    );
    clock.wait();
    assert_eq!(
        told(&engine.images(PassOptions::default(), None)),
        ["a removed age"]
    );
}

/// S5.1, S5.5: a clock that leaps by years makes nothing old.
#[test]
fn s5_5_a_clock_that_leaps_makes_nothing_old() {
    let mut rules = Rules::default();
    let server = start(node(vec![image("a", "r/a:1", 1)]));
    let host = Host::new(1000, 500);
    let keys = [("image-maximum-gc-age", "1h")];
    let engine = images::engine(&server, host.hooks(true), &keys);
    for year in [0, 10, -5, 30] {
        rules.case("S5.5");
        *host.now.lock().unwrap() = NOW + year * 365 * 86_400 * S;
        let end = engine.images(PassOptions::default(), None);
        assert_eq!(told(&end), ["a kept below-threshold"], "{year}");
    }
}
