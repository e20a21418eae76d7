//! How long an object is left alone whose removal failed (S0.8).

use crate::node::Text;
use crate::report::Kind;
use std::collections::HashMap;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// After the first failure, and at most.
const FIRST: Duration = MINUTE;
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Failures of one object, one after the other.
#[derive(Clone, Copy, Debug)]
struct Failures {
    number: u32,
    /// When it is its turn again.
    again: Duration,
}

/// The objects whose last removal failed. Times are since the machine booted.
#[derive(Clone, Debug, Default)]
pub struct Backoff(HashMap<(Kind, Text), Failures>);

impl Backoff {
    /// Whether an object is to be left alone yet.
    pub fn waits(&self, kind: Kind, id: &Text, now: Duration) -> bool {
        // Cloning a text copies no bytes.
        let failures = self.0.get(&(kind, id.clone()));
        failures.is_some_and(|failures| now < failures.again)
    }

    /// Its removal failed, or got no answer.
    pub fn failed(&mut self, kind: Kind, id: &Text, now: Duration) {
        let failures = self.0.entry((kind, id.clone())).or_insert(Failures {
            number: 0,
            again: Duration::ZERO,
        });
        failures.number = failures.number.saturating_add(1);
        failures.again = now.saturating_add(wait(failures.number));
    }

    /// It is gone.
    pub fn removed(&mut self, kind: Kind, id: &Text) {
        if !self.0.is_empty() {
            self.0.remove(&(kind, id.clone()));
        }
    }

    /// Forgets what nobody has tried to remove for long: it went in another way.
    pub fn forget_old(&mut self, now: Duration) {
        self.0
            .retain(|_, failures| now < failures.again.saturating_add(2 * LONGEST));
    }
}

/// A minute after the first failure, then twice as long each time.
fn wait(failures: u32) -> Duration {
    let factor = 1u32.checked_shl(failures.saturating_sub(1));
    factor.map_or(LONGEST, |factor| {
        FIRST.saturating_mul(factor.max(1)).min(LONGEST)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s0_8_each_failure_doubles_the_wait_up_to_half_an_hour() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let id = Text::from("c1");
        let mut backoff = Backoff::default();
        let mut now = minutes(7);
        for wait in [1, 2, 4, 8, 16, 30, 30] {
            assert!(!backoff.waits(Kind::Container, &id, now));
            backoff.failed(Kind::Container, &id, now);
            now += minutes(wait) - Duration::from_nanos(1);
            assert!(backoff.waits(Kind::Container, &id, now), "{wait}");
            // Neither another object nor one of another kind.
            assert!(!backoff.waits(Kind::Container, &"c2".into(), now));
            assert!(!backoff.waits(Kind::Sandbox, &id, now));
            now += Duration::from_nanos(1);
        }
        // What went is forgotten with its failures, and what nobody tries any more in the end, too.
        backoff.removed(Kind::Container, &id);
        backoff.failed(Kind::Container, &id, now);
        assert!(!backoff.waits(Kind::Container, &id, now + minutes(1)));
        backoff.forget_old(now + minutes(60));
        assert_eq!(backoff.0.len(), 1);
        backoff.forget_old(now + minutes(61));
        assert!(backoff.0.is_empty());
        assert_eq!(wait(u32::MAX), LONGEST);
    }
}
