//! S0.8: how long an object is left alone after its removal failed.

use crigc::node::Text;
use crigc::plan::backoff::Backoff;
use crigc::report::Kind;
use std::time::Duration;
use test_support::rules::Rules;

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// How long an object waits that failed just now.
fn is_wait(backoff: &Backoff, id: &Text, now: Duration, wait: u64) {
    let end = now + minutes(wait);
    let last = end - Duration::from_nanos(1);
    assert!(backoff.waits(Kind::Container, id, last), "{wait}");
    assert!(!backoff.waits(Kind::Container, id, end), "{wait}");
    // Neither another object nor one of another kind.
    assert!(!backoff.waits(Kind::Container, &"c2".into(), last));
    assert!(!backoff.waits(Kind::Sandbox, id, last));
}

#[test]
fn s0_8_each_failure_doubles_the_wait_up_to_half_an_hour() {
    Rules::default().case("S0.8");
    let id = Text::from("c1");
    let mut backoff = Backoff::default();
    let mut now = minutes(7);
    for wait in [1, 2, 4, 8, 16].into_iter().chain([30; 40]) {
        assert!(!backoff.waits(Kind::Container, &id, now));
        backoff.failed(Kind::Container, &id, now);
        is_wait(&backoff, &id, now, wait);
        now += minutes(wait);
    }
    // A removed object is forgotten with its failures, and in the end so is one that no pass tries any more.
    backoff.removed(Kind::Container, &id);
    backoff.failed(Kind::Container, &id, now);
    is_wait(&backoff, &id, now, 1);
    backoff.forget_old(now + minutes(60));
    let mut remembered = backoff.clone();
    remembered.failed(Kind::Container, &id, now);
    is_wait(&remembered, &id, now, 2);
    backoff.forget_old(now + minutes(61));
    backoff.failed(Kind::Container, &id, now);
    is_wait(&backoff, &id, now, 1);
}
