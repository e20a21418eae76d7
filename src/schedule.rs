//! Periodic passes (S6.1, S6.2), and the looks at images between them (S5.1): one thread for each kind, which owns nothing between
//! passes but its stack.

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

/// Stack of a thread; the largest pass of the tests takes a fraction of it.
const STACK: usize = 1 << 20;
/// With this high threshold, and no age, the periodic image collection is off (S5.6).
const OFF: u8 = 100;
/// Looks that only record come no closer than this.
const CLOSEST_LOOKS: Duration = Duration::from_secs(15);
/// And four of them within the age that makes an image go.
const LOOKS_IN_AN_AGE: u32 = 4;

/// The running threads. Dropping it ends them.
pub(crate) struct Schedule {
    stopped: Arc<Flag>,
    threads: Vec<JoinHandle<()>>,
}

impl Schedule {
    /// Starts the threads, with all signals blocked but those of faults.
    pub(crate) fn start(shared: &Arc<Shared>, stopped: Arc<Flag>) -> Result<Schedule> {
        let config = &shared.config;
        let mut kinds = vec![(Pass::Containers, config.container_gc_period)];
        if config.image_gc_high_threshold < OFF || config.image_maximum_gc_age.is_some() {
            kinds.push((Pass::Images, config.image_gc_period));
        }
        let mut schedule = Schedule {
            stopped,
            threads: Vec::new(),
        };
        for (kind, period) in kinds {
            schedule.spawn(shared, kind, period)?;
        }
        Ok(schedule)
    }

    fn spawn(&mut self, shared: &Arc<Shared>, kind: Pass, period: Duration) -> Result<()> {
        let (shared, stopped) = (shared.clone(), self.stopped.clone());
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
        Ok(())
    }

    /// Cancels the passes and waits for the threads.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.stopped.raise();
        for thread in self.threads.drain(..) {
            // A panic inside was caught and reported; the handle holds nothing else.
            let _ = thread.join();
        }
    }
}

/// S5.1: how often somebody looks at images between two passes; `None` = the passes are looks enough. An image counts as unused from
/// the look that first saw it so.
fn looks(config: &Config) -> Option<Duration> {
    let often = (config.image_maximum_gc_age? / LOOKS_IN_AN_AGE).max(CLOSEST_LOOKS);
    (often < config.image_gc_period).then_some(often)
}

/// Waits for the next pass, and looks at images meanwhile; whether the thread is to end.
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
        // A pass that runs looks as well.
        let options = PassOptions {
            no_wait: true,
            trigger: Trigger::Look,
            ..PassOptions::default()
        };
        // What goes wrong is told by the next pass.
        let look = || shared.pass(kind, options, None, Some(stopped));
        let _ = catch_unwind(AssertUnwindSafe(look));
    }
    shared.closed.is_raised() || stopped.wait_until(next)
}

/// The life of one thread.
fn periodic(shared: &Shared, stopped: &Flag, kind: Pass, period: Duration) {
    let options = PassOptions {
        trigger: Trigger::Period,
        ..PassOptions::default()
    };
    let mut failures = 0;
    while !stopped.is_raised() && !shared.closed.is_raised() {
        let pass = || shared.pass(kind, options, None, Some(stopped));
        let end = catch_unwind(AssertUnwindSafe(pass))
            .unwrap_or_else(|_| PassEnd::from(panics::defect()));
        let over = stopped.is_raised() || shared.closed.is_raised();
        match end.error.filter(|_| !over) {
            Some(error) => {
                failures += 1;
                // A defect in a hook must not end the thread.
                let _ = catch_unwind(AssertUnwindSafe(|| tell(shared, kind, failures, &error)));
            }
            None => failures = 0,
        }
        // The next period starts when the pass ends. Closing wakes the thread as stopping does.
        let next = BootInstant::now().plus(period);
        if wait(shared, stopped, kind, next) {
            return;
        }
    }
}

/// S6.2: the events of failed periodic passes.
fn tell(shared: &Shared, kind: Pass, failures: u32, error: &Error) {
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
    fn s5_1_where_ages_count_somebody_looks_four_times_an_age_but_no_closer_than_15_seconds() {
        // The age, the period, and how often somebody looks between passes.
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
