//! What a trial of the window (S2.7) measures and finds.

/// Removing twice as many in a second is worth 2^5 = 32 times as many in flight. Measured on a runtime that removed 2.04 times as many
/// with 16 at once, where that was better for the pods that started meanwhile (2.04^5 = 35): see docs/pod-starts.md.
const POWER: i32 = 5;

/// However unequal removals are, what a trial found is doubted by this share of it at most.
const MOST_DOUBT: f64 = 0.3;

/// How long removals took. Times are in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    /// All that count, and those of them that removed something.
    pub(super) ended: u32,
    pub(super) removed: u32,
    sum: f64,
    squares: f64,
}

impl Meter {
    pub(super) fn count(&mut self, took: f64, removed: bool) {
        self.ended += 1;
        self.removed += u32::from(removed);
        self.sum += took;
        self.squares += took * took;
    }

    /// How long one took, on average.
    pub(super) fn mean(&self) -> f64 {
        self.sum / f64::from(self.ended.max(1))
    }

    /// How far off that mean may be (the standard error).
    pub(super) fn error(&self) -> f64 {
        let number = f64::from(self.ended.max(1));
        let variance = (self.squares / number - self.mean().powi(2)).max(0.0);
        (variance / number).sqrt()
    }

    /// The same as a share of the mean.
    pub(super) fn doubt(&self) -> f64 {
        (self.error() / self.mean()).min(MOST_DOUBT)
    }
}

/// What a trial found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) size: usize,
    pub(super) rate: f64,
    pub(super) width: f64,
    pub(super) mean: f64,
    /// How far off all that may be, as a share of it.
    pub(super) error: f64,
}

impl Found {
    /// Of one at a time; beside it there may be one that hangs.
    pub(super) fn alone(meter: &Meter) -> Found {
        Found {
            size: 1,
            rate: f64::from(meter.removed) / meter.sum,
            width: 1.0,
            mean: meter.mean(),
            error: meter.doubt(),
        }
    }

    /// What it is worth, by the rate that one at a time has at best, and more at once at worst: in doubt fewer are in flight.
    pub(super) fn worth(&self) -> f64 {
        let doubt = if self.size == 1 {
            self.error
        } else {
            -self.error
        };
        (self.rate * (1.0 + doubt)).powi(POWER) / self.width
    }
}
