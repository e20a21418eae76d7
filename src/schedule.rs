//! Periodic passes (S6.1, S6.2), and the looks at images between them (S5.1). Each kind has one thread, which owns only its stack
//! between passes.

use crate::clock::BootInstant;
use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::fs::signals;
use crate::hooks::LogLevel;
use crate::panic_points;
use crate::panics;
use crate::pass::{PassOptions, Scope, Task, Trigger, event, log};
use crate::stop::Flag;
use crate::turns::{PassEnd, Shared};
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The stack of a thread in bytes. The largest pass of the tests uses a fraction of it.
const STACK: usize = 1 << 20;
/// With this high threshold, no maximum age and no minimum of available bytes, there are no periodic image passes (S5.6).
const OFF: u8 = 100;
/// The shortest time between looks that only record.
const CLOSEST_LOOKS: Duration = Duration::from_secs(15);
/// How many looks there are within image-maximum-gc-age.
const LOOKS_IN_AN_AGE: u32 = 4;

/// The kinds of periodic passes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Containers,
    Images,
}

impl Kind {
    fn task(self, options: PassOptions) -> Task<'static> {
        Task {
            scope: self.scope(),
            options,
        }
    }

    fn scope(self) -> Scope<'static> {
        match self {
            Kind::Containers => Scope::Node,
            Kind::Images => Scope::Images,
        }
    }

    fn runs_every(self, period: Option<Duration>, shared: &Shared) {
        shared.metrics.runs_every(self.scope().pass(), period);
    }
}

/// The running threads. Dropping it cancels their passes and waits for them.
pub(crate) struct Schedule {
    shared: Arc<Shared>,
    stopped: Arc<Flag>,
    threads: Vec<JoinHandle<()>>,
}

impl Schedule {
    /// Starts the threads. They block all signals except those of faults.
    pub(crate) fn start(shared: &Arc<Shared>, stopped: Arc<Flag>) -> Result<Schedule> {
        let config = &shared.config;
        let periods = [
            (Kind::Containers, config.container_gc_period),
            (Kind::Images, image_period(config)),
        ];
        if periods.iter().all(|(_, period)| period.is_none()) {
            return Err(nothing_to_start());
        }
        let mut schedule = Schedule {
            shared: shared.clone(),
            stopped,
            threads: Vec::new(),
        };
        for (kind, period) in periods {
            if let Some(period) = period {
                schedule.spawn(kind, period)?;
            }
        }
        Ok(schedule)
    }

    fn spawn(&mut self, kind: Kind, period: Duration) -> Result<()> {
        let (shared, stopped) = (self.shared.clone(), self.stopped.clone());
        let name = match kind {
            Kind::Containers => "crigc-containers",
            Kind::Images => "crigc-images",
        };
        panic_points::point("start a thread");
        let thread = signals::with_signals_blocked(|| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .stack_size(STACK)
                .spawn(move || {
                    let _quiet = panics::enter();
                    periodic(&shared, &stopped, kind, period);
                })
        });
        let thread = thread.map_err(|e| {
            Error::new(
                Status::Io,
                format!(
                    "cannot start the thread {name}: {e}; see the limit of threads of this process"
                ),
            )
        })?;
        self.threads.push(thread);
        kind.runs_every(Some(period), &self.shared);
        Ok(())
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.stopped.raise();
        for thread in self.threads.drain(..) {
            // A panic of the thread was caught and reported there.
            let _ = thread.join();
        }
        for kind in [Kind::Containers, Kind::Images] {
            kind.runs_every(None, &self.shared);
        }
    }
}

/// The random part of a period: at most this percentage of it. Every number is as likely as any other.
fn jitter(period: Duration, percent: u8, random: u64) -> Duration {
    let most = period.as_nanos() * u128::from(percent) / 100;
    // A key takes at most 63 bits of nanoseconds, so the product fits.
    let part = (most + 1).saturating_mul(u128::from(random)) >> u64::BITS;
    Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
}

/// The period of image passes; `None` = there are none (S5.6, S6.1).
fn image_period(config: &Config) -> Option<Duration> {
    let collects = config.image_gc_high_threshold < OFF
        || config.image_maximum_gc_age.is_some()
        || config.image_gc_min_available.is_some();
    config.image_gc_period.filter(|_| collects)
}

fn nothing_to_start() -> Error {
    let message = "no pass is periodic: container-gc-period is 0, and so is image-gc-period, or image-gc-high-threshold is 100 without image-maximum-gc-age and image-gc-min-available; set one of these keys, or do not start periodic passes";
    Error::new(Status::Config, message.to_owned())
}

/// How far apart the looks at images between two passes are; `None` = the passes are enough (S5.1). An image counts as unused from the
/// first look that saw it unused.
fn looks(config: &Config) -> Option<Duration> {
    let period = config.image_gc_period?;
    let often = (config.image_maximum_gc_age? / LOOKS_IN_AN_AGE).min(period);
    let often = often.max(CLOSEST_LOOKS);
    let longest = period.saturating_add(jitter(period, config.gc_period_jitter, u64::MAX));
    (often < longest).then_some(often)
}

/// Waits for the next pass, and looks at images meanwhile; true = the thread is to end.
fn wait(shared: &Shared, stopped: &Flag, kind: Kind, next: BootInstant) -> bool {
    let looks = looks(&shared.config).filter(|_| kind == Kind::Images);
    while let Some(often) = looks {
        let look = BootInstant::now().plus(often);
        if look >= next {
            break;
        }
        if shared.closed.is_raised() || stopped.wait_until(look) {
            return true;
        }
        // Do not wait for a running pass: it looks, too.
        let options = PassOptions {
            no_wait: true,
            trigger: Trigger::Look,
            ..PassOptions::default()
        };
        // The next pass reports the same failure.
        let look = || shared.pass(kind.task(options), None, Some(stopped));
        let _ = catch_unwind(AssertUnwindSafe(look));
    }
    shared.closed.is_raised() || stopped.wait_until(next)
}

/// Runs the passes of one thread.
fn periodic(shared: &Shared, stopped: &Flag, kind: Kind, period: Duration) {
    let options = PassOptions {
        trigger: Trigger::Period,
        ..PassOptions::default()
    };
    let mut failures = 0;
    let random = RandomState::new();
    let mut passes: u64 = 0;
    while !stopped.is_raised() && !shared.closed.is_raised() {
        let pass = || shared.pass(kind.task(options), None, Some(stopped));
        let end =
            catch_unwind(AssertUnwindSafe(pass)).unwrap_or_else(|_| PassEnd::from(panics::error()));
        let over = stopped.is_raised() || shared.closed.is_raised();
        match end.error.filter(|_| !over) {
            Some(error) => {
                failures += 1;
                // A panic in a hook must not end the thread.
                let _ = catch_unwind(AssertUnwindSafe(|| send(shared, kind, failures, &error)));
            }
            None => failures = 0,
        }
        passes += 1;
        let extra = jitter(
            period,
            shared.config.gc_period_jitter,
            random.hash_one(passes),
        );
        // The next period starts when the pass ends. Closing wakes the thread, as stopping does.
        let next = BootInstant::now().plus(period).plus(extra);
        if wait(shared, stopped, kind, next) {
            return;
        }
    }
}

/// Sends the event of a failed periodic pass (S6.2), but not of a dry run. A pass logs its own errors; one that panicked may not have.
fn send(shared: &Shared, kind: Kind, failures: u32, error: &Error) {
    match kind {
        Kind::Containers if !shared.config.dry_run => {
            event(&shared.hooks, "ContainerGCFailed", &error.message);
        }
        Kind::Images if !shared.config.dry_run && failures > 1 => {
            event(&shared.hooks, "ImageGCFailed", &error.message);
        }
        _ if error.status == Status::Internal => {
            log(&shared.hooks, LogLevel::Warn, &error.message);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn s5_6_a_high_threshold_of_100_switches_image_passes_off_unless_a_key_needs_them() {
        let off = [("image-gc-high-threshold", "100")];
        let never = ("image-gc-period", "0");
        let table: [(&[(&str, &str)], bool); 9] = [
            (&[], true),
            (&off, false),
            (&[off[0], ("image-maximum-gc-age", "1h")], true),
            (&[off[0], ("image-gc-min-available", "20Gi")], true),
            (&[off[0], ("image-gc-min-available", "0")], false),
            (&[off[0], ("image-gc-inode-thresholds", "true")], false),
            (&[("image-gc-high-threshold", "99")], true),
            // A period of 0 is none, whatever asks for passes (S6.1).
            (&[never], false),
            (&[never, ("image-maximum-gc-age", "1h")], false),
        ];
        for (keys, collects) in table {
            let mut settings = Settings::default();
            for (key, value) in keys {
                settings.set(key, value).unwrap();
            }
            let period = image_period(&settings.config());
            assert_eq!(period.is_some(), collects, "{keys:?}");
        }
    }

    #[test]
    fn s5_1_there_are_four_looks_within_an_age_but_never_closer_than_15_seconds() {
        // The age, the period, its jitter, and the seconds between two looks.
        let table = [
            ("0s", "5m", "0", None),
            ("20m", "5m", "0", None),
            ("19m", "5m", "0", Some(285)),
            ("4m", "5m", "0", Some(60)),
            ("1m", "5m", "0", Some(15)),
            ("1s", "5m", "0", Some(15)),
            ("1m", "15s", "0", None),
            ("1m", "16s", "0", Some(15)),
            ("1m", "0", "0", None),
            ("2400h", "5m", "0", None),
            // A period that is longer by chance has a look where the pass would have been.
            ("0s", "5m", "100", None),
            ("2400h", "5m", "1", Some(300)),
            ("20m", "5m", "100", Some(300)),
            ("4m", "5m", "100", Some(60)),
            ("1m", "10s", "50", None),
            ("1m", "10s", "51", Some(15)),
        ];
        for (age, period, percent, seconds) in table {
            let mut settings = Settings::default();
            settings.set("image-maximum-gc-age", age).unwrap();
            settings.set("image-gc-period", period).unwrap();
            settings.set("gc-period-jitter", percent).unwrap();
            let expected = seconds.map(Duration::from_secs);
            let what = format!("{age}, {period}, {percent}");
            assert_eq!(looks(&settings.config()), expected, "{what}");
        }
    }

    #[test]
    fn s6_1_a_period_grows_by_a_part_of_its_percentage() {
        let minute = Duration::from_secs(60);
        let nanoseconds = Duration::from_nanos;
        let longest = nanoseconds(i64::MAX.unsigned_abs());
        let seconds = Duration::from_secs;
        // The period, the percentage, the random number, and how much longer the period is.
        let table = [
            (minute, 0, 0, Duration::ZERO),
            (minute, 0, u64::MAX, Duration::ZERO),
            (minute, 10, 0, Duration::ZERO),
            (minute, 10, u64::MAX / 2 + 1, seconds(3)),
            (minute, 10, u64::MAX, seconds(6)),
            (minute, 100, u64::MAX / 4, seconds(15)),
            (minute, 100, u64::MAX, minute),
            (nanoseconds(1), 99, u64::MAX, Duration::ZERO),
            (nanoseconds(1), 100, u64::MAX, nanoseconds(1)),
            (longest, 100, 0, Duration::ZERO),
            (longest, 100, u64::MAX, longest),
        ];
        for (period, percent, random, extra) in table {
            let what = format!("{period:?}, {percent}, {random}");
            assert_eq!(jitter(period, percent, random), extra, "{what}");
        }
    }

    #[test]
    fn s6_1_every_thread_draws_numbers_of_its_own() {
        let draw = || {
            let random = RandomState::new();
            let numbers = (1..=64u64).map(move |pass| random.hash_one(pass));
            numbers.map(|number| jitter(Duration::from_secs(60), 100, number))
        };
        let seconds: Vec<u64> = draw().map(|extra| extra.as_secs()).collect();
        assert!(seconds.iter().any(|s| *s < 30) && seconds.iter().any(|s| *s >= 30));
        assert!(draw().zip(draw()).any(|(one, other)| one != other));
    }
}
