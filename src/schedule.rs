//! Periodic passes (S6.1, S6.2), and the looks at images between them (S5.1). Each kind has one thread, which owns only its stack
//! between passes.

use crate::clock::BootInstant;
use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::fs::signals;
use crate::hooks::LogLevel;
use crate::panic_points;
use crate::panics;
use crate::pass::{PassOptions, Trigger, event, log};
use crate::report::Pass;
use crate::stop::Flag;
use crate::turns::{PassEnd, Shared};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The stack of a thread in bytes. The largest pass of the tests uses a fraction of it.
const STACK: usize = 1 << 20;
/// With this high threshold, and no maximum age, there are no periodic image passes (S5.6).
const OFF: u8 = 100;
/// The shortest time between looks that only record.
const CLOSEST_LOOKS: Duration = Duration::from_secs(15);
/// How many looks there are within image-maximum-gc-age.
const LOOKS_IN_AN_AGE: u32 = 4;

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
        let mut kinds = vec![(Pass::Containers, config.container_gc_period)];
        if config.image_gc_high_threshold < OFF || config.image_maximum_gc_age.is_some() {
            kinds.push((Pass::Images, config.image_gc_period));
        }
        let mut schedule = Schedule {
            shared: shared.clone(),
            stopped,
            threads: Vec::new(),
        };
        for (kind, period) in kinds {
            schedule.spawn(kind, period)?;
        }
        Ok(schedule)
    }

    fn spawn(&mut self, kind: Pass, period: Duration) -> Result<()> {
        let (shared, stopped) = (self.shared.clone(), self.stopped.clone());
        let name = match kind {
            Pass::Containers => "crigc-containers",
            Pass::Images => "crigc-images",
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
        self.shared.metrics.runs_every(kind, Some(period));
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
        for kind in Pass::ALL {
            self.shared.metrics.runs_every(kind, None);
        }
    }
}

/// How far apart the looks at images between two passes are; `None` = the passes are enough (S5.1). An image counts as unused from the
/// first look that saw it unused.
fn looks(config: &Config) -> Option<Duration> {
    let often = (config.image_maximum_gc_age? / LOOKS_IN_AN_AGE).max(CLOSEST_LOOKS);
    (often < config.image_gc_period).then_some(often)
}

/// Waits for the next pass, and looks at images meanwhile; true = the thread is to end.
fn wait(shared: &Shared, stopped: &Flag, kind: Pass, next: BootInstant) -> bool {
    let looks = looks(&shared.config).filter(|_| kind == Pass::Images);
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
        let look = || shared.pass(kind, options, None, Some(stopped));
        let _ = catch_unwind(AssertUnwindSafe(look));
    }
    shared.closed.is_raised() || stopped.wait_until(next)
}

/// Runs the passes of one thread.
fn periodic(shared: &Shared, stopped: &Flag, kind: Pass, period: Duration) {
    let options = PassOptions {
        trigger: Trigger::Period,
        ..PassOptions::default()
    };
    let mut failures = 0;
    while !stopped.is_raised() && !shared.closed.is_raised() {
        let pass = || shared.pass(kind, options, None, Some(stopped));
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
        // The next period starts when the pass ends. Closing wakes the thread, as stopping does.
        let next = BootInstant::now().plus(period);
        if wait(shared, stopped, kind, next) {
            return;
        }
    }
}

/// Sends the event of a failed periodic pass (S6.2).
fn send(shared: &Shared, kind: Pass, failures: u32, error: &Error) {
    match kind {
        Pass::Containers => event(&shared.hooks, "ContainerGCFailed", &error.message),
        Pass::Images if failures > 1 => event(&shared.hooks, "ImageGCFailed", &error.message),
        Pass::Images => log(&shared.hooks, LogLevel::Warn, &error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn s5_1_there_are_four_looks_within_an_age_but_never_closer_than_15_seconds() {
        // The age, the period, and the seconds between two looks.
        let table = [
            ("0s", "5m", None),
            ("20m", "5m", None),
            ("19m", "5m", Some(285)),
            ("4m", "5m", Some(60)),
            ("1m", "5m", Some(15)),
            ("1s", "5m", Some(15)),
            ("1m", "15s", None),
            ("1m", "16s", Some(15)),
            ("2400h", "5m", None),
        ];
        for (age, period, seconds) in table {
            let mut settings = Settings::default();
            settings.set("image-maximum-gc-age", age).unwrap();
            settings.set("image-gc-period", period).unwrap();
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(looks(&settings.config()), expected, "{age}, {period}");
        }
    }
}
