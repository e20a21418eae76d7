//! S2.7: how long removals rest after slow ones. One table, and what holds for any times.

use crigc::plan::pace::Pace;
use proptest::prelude::*;
use std::time::Duration;
use test_support::rules::Rules;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The rests after removals that took so long.
fn rests(percent: u32, times: impl IntoIterator<Item = Duration>) -> Vec<Duration> {
    let mut pace = Pace::new(percent);
    times
        .into_iter()
        .map(|t| pace.rest_after(true, t))
        .collect()
}

#[test]
fn s2_7_only_what_takes_longer_than_quick_ones_is_followed_by_a_rest() {
    let mut rules = Rules::default();
    // After twenty removals of 8 ms, which make no rest, one is quick up to 8 + 2 + 1 ms.
    let cases: [(&str, u32, u64, Duration); 9] = [
        ("as long as the others", 200, 8, ms(0)),
        ("a little longer", 200, 11, ms(0)),
        ("longer", 200, 31, ms(40)),
        ("longer, half of it", 50, 31, ms(10)),
        ("longer, but rests are off", 0, 31, ms(0)),
        ("much longer, all of it ten times", 1000, 111, ms(1000)),
        ("its deadline", 200, 120_000, ms(1000)),
        ("no time", 200, 0, ms(0)),
        ("less than a timer can", 10, 20, ms(0)),
    ];
    for (what, percent, took, rest) in cases {
        rules.case("S2.7");
        let times = [ms(8); 20].into_iter().chain([ms(took)]);
        let rests = rests(percent, times);
        assert_eq!(rests[..20], [ms(0); 20], "{what}");
        assert_eq!(rests[20], rest, "{what}");
    }
}

#[test]
fn s2_7_what_is_less_than_a_timer_can_adds_up() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    // 0.5 ms each.
    let times = [ms(8); 20].into_iter().chain([ms(16); 4]);
    let rests = rests(10, times);
    assert_eq!(rests[20..], [ms(0), ms(1), ms(0), ms(1)]);
}

#[test]
fn s2_7_what_a_quick_one_takes_is_known_by_some_that_removed() {
    let mut rules = Rules::default();
    // How many removals before, how many failures at once after them, and whether a slow one causes a rest.
    for (removals, failures, rest) in [
        (9, 0, 0),
        (9, 20, 0),
        (10, 0, 40),
        (10, 200, 40),
        (100, 0, 40),
    ] {
        rules.case("S2.7");
        let mut pace = Pace::new(200);
        for _ in 0..removals {
            assert!(pace.rest_after(true, ms(8)).is_zero());
        }
        for _ in 0..failures {
            assert!(pace.rest_after(false, ms(0)).is_zero());
        }
        assert_eq!(
            pace.rest_after(true, ms(31)),
            ms(rest),
            "{removals}, {failures}"
        );
    }
    // A slow failure makes a rest, too.
    let mut pace = Pace::new(200);
    for _ in 0..20 {
        pace.rest_after(true, ms(8));
    }
    assert_eq!(pace.rest_after(false, ms(31)), ms(40));
}

#[test]
fn s2_7_a_runtime_that_became_slower_for_good_is_the_new_measure() {
    let mut rules = Rules::default();
    rules.case("S2.7");
    let times = [ms(8); 100].into_iter().chain([ms(80); 100]);
    let rests = rests(200, times);
    assert!(rests[100..150].iter().all(|r| *r > ms(0)));
    assert!(rests[164..].iter().all(|r| r.is_zero()));
}

proptest! {
    /// No rest is longer than a second; together they are no longer than that part of what removals took longer than the quickest.
    #[test]
    fn s2_7_rests_are_bounded(percent in 0..1001u32, times in prop::collection::vec(0..5_000_000_000u64, 1..200)) {
        let times: Vec<Duration> = times.into_iter().map(Duration::from_nanos).collect();
        let rests = rests(percent, times.iter().copied());
        prop_assert!(rests.iter().all(|r| *r <= ms(1000) && (r.is_zero() || *r >= ms(1))));
        let quickest = *times.iter().min().unwrap();
        let longer: Duration = times.iter().map(|t| *t - quickest).sum();
        prop_assert!(rests.iter().sum::<Duration>() <= longer * percent / 100);
    }

    /// If all take equally long there is no rest, whatever a busy machine adds.
    #[test]
    fn s2_7_equal_removals_never_rest(percent in 0..1001u32, base in 0..10_000_000u64, noise in prop::collection::vec(0..1_000_000u64, 1..200)) {
        let times = noise.into_iter().map(|n| Duration::from_nanos(base + n));
        prop_assert!(rests(percent, times).iter().all(Duration::is_zero));
    }
}
