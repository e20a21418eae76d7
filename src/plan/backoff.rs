//! How long periodic passes leave an object alone whose removal failed (S0.8).

use crate::node::Text;
use crate::report::Kind;
use std::collections::HashMap;
use std::time::Duration;

/// The wait after the first failure, and the longest one.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// Failures of one object in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    number: u32,
    /// When passes try it again.
    again: Duration,
}

/// The objects whose last removal failed. Times are since the machine booted.
#[derive(Clone, Debug, Default)]
pub struct Backoff(HashMap<(Kind, Text), Failures>);

impl Backoff {
    /// Whether passes still leave an object alone.
    pub fn waits(&self, kind: Kind, id: &Text, now: Duration) -> bool {
        self.left(kind, id, now).is_some()
    }

    /// How often its removal failed in a row, and how long passes still leave it alone, if they do.
    pub fn left(&self, kind: Kind, id: &Text, now: Duration) -> Option<(u32, Duration)> {
        // Cloning a text copies no bytes.
        let failures = self.0.get(&(kind, id.clone()))?;
        (now < failures.again).then(|| (failures.number, failures.again - now))
    }

    /// How many objects of a kind passes still leave alone.
    pub fn waiting(&self, kind: Kind, now: Duration) -> usize {
        let failures = self.0.iter();
        let waiting = failures.filter(|((of, _), failures)| *of == kind && now < failures.again);
        waiting.count()
    }

    /// Its removal failed, or got no answer.
    pub fn failed(&mut self, kind: Kind, id: &Text, now: Duration) {
        let failures = self.0.entry((kind, id.clone())).or_default();
        failures.number = failures.number.saturating_add(1);
        failures.again = now.saturating_add(wait(failures.number));
    }

    /// It has been removed.
    pub fn removed(&mut self, kind: Kind, id: &Text) {
        if !self.0.is_empty() {
            self.0.remove(&(kind, id.clone()));
        }
    }

    /// Forgets what no pass has tried to remove for an hour after its wait: something else removed it.
    pub fn forget_old(&mut self, now: Duration) {
        self.0
            .retain(|_, failures| now < failures.again.saturating_add(2 * LONGEST));
    }
}

/// A minute after the first failure, then twice as long each time.
fn wait(failures: u32) -> Duration {
    let factor = 2u32.saturating_pow(failures.saturating_sub(1));
    FIRST.saturating_mul(factor).min(LONGEST)
}
