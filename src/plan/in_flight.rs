//! How many calls of a kind run at once: what the window of S2.7 and the report measure.

use std::time::Duration;

/// How many calls are in flight, and how many were over the time while there was at least one. Times are in seconds.
#[derive(Clone, Debug, Default)]
pub struct InFlight {
    number: usize,
    most: usize,
    now: Duration,
    /// While at least one was in flight.
    busy: f64,
    /// The sum of all in flight over that time.
    sum: f64,
}

impl InFlight {
    /// A call has begun.
    pub fn begun(&mut self, now: Duration) {
        self.pass(now);
        self.number += 1;
        self.most = self.most.max(self.number);
    }

    /// A call has ended.
    pub fn ended(&mut self, now: Duration) {
        self.pass(now);
        self.number = self.number.saturating_sub(1);
    }

    fn pass(&mut self, now: Duration) {
        let time = now.saturating_sub(self.now).as_secs_f64();
        if self.number > 0 {
            self.busy += time;
            self.sum += time * self.number as f64;
        }
        self.now = self.now.max(now);
    }

    /// How many there are now.
    pub fn number(&self) -> usize {
        self.number
    }

    /// For how long there was at least one: never 0, so that others can divide by it.
    pub fn busy(&self) -> f64 {
        self.busy.max(1e-9)
    }

    /// The most at once.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The average over the time while there was at least one.
    pub fn mean(&self) -> f64 {
        self.sum / self.busy()
    }

    /// What was is forgotten; what is in flight stays so.
    pub fn restart(&mut self) {
        (self.busy, self.sum) = (0.0, 0.0);
    }
}
