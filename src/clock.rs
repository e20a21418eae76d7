//! The clocks: CLOCK_BOOTTIME for periods, deadlines and the age of evidence, wall time for stamps (S0.10), CLOCK_MONOTONIC for
//! how long an image has been unused (S5.5).

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A time of CLOCK_BOOTTIME, which nobody can set and which advances while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootInstant(Duration);

impl BootInstant {
    /// Now.
    pub fn now() -> BootInstant {
        let now = BootInstant(elapsed(ClockId::Boottime));
        #[cfg(feature = "panic-points")]
        return now.plus(ahead::get());
        #[cfg(not(feature = "panic-points"))]
        now
    }

    /// How long the machine has been up.
    pub fn since_boot(self) -> Duration {
        self.0
    }

    /// The moment `time` later.
    pub fn plus(self, time: Duration) -> BootInstant {
        BootInstant(self.0.saturating_add(time))
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: BootInstant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Sets CLOCK_BOOTTIME ahead for one thread, so that a test need not wait. Only in builds with the feature `panic-points`, for tests.
#[cfg(feature = "panic-points")]
pub mod ahead {
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        static AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(super) fn get() -> Duration {
        AHEAD.get()
    }

    /// Sets this thread's clock ahead by `time` more.
    pub fn by(time: Duration) {
        AHEAD.set(AHEAD.get().saturating_add(time));
    }
}

/// The system's wall clock; ns since the epoch.
pub fn wall_now() -> i64 {
    nanoseconds(ClockId::Realtime)
}

/// How long the machine has been awake since it booted.
pub fn awake_for() -> Duration {
    elapsed(ClockId::Monotonic)
}

/// The time of a clock that is never below 0.
fn elapsed(clock: ClockId) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds(clock)).unwrap_or(0))
}

fn nanoseconds(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s0_10_times_saturate_and_never_go_back() {
        let early = BootInstant(Duration::from_nanos(5));
        let late = BootInstant(Duration::from_nanos(1_000_000_005));
        assert_eq!(late.since(early), Duration::from_secs(1));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.plus(Duration::from_secs(1)), late);
        assert_eq!(late.plus(Duration::MAX), BootInstant(Duration::MAX));
        let first = BootInstant::now();
        assert!(BootInstant::now() >= first);
        assert!(wall_now() > 0);
    }
}
