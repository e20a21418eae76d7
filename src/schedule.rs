//! Periodic passes (S6.1, S6.2): one thread for each kind, which owns nothing between passes but its stack.

use crate::effect;
use crate::engine::{Asker, Flags, PassEnd, Shared};
use crate::error::{Error, Result, Status};
use crate::hooks::LogLevel;
use crate::host::clock::Boot;
use crate::host::signals;
use crate::pass::cancel::Flag;
use crate::pass::{event, log};
use crate::quiet;
use crate::report::Pass;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Stack of a thread; the largest pass of the tests takes a fraction of it.
const STACK: usize = 1 << 20;
/// With this high threshold, and no age, the periodic image collection is off (S5.6).
const OFF: u8 = 100;

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
        if config.image_gc_high_threshold < OFF || !config.image_maximum_gc_age.is_zero() {
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
        effect::point("start a thread");
        let thread = signals::with_signals_blocked(|| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .stack_size(STACK)
                .spawn(move || {
                    let _quiet = quiet::enter();
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

/// The life of one thread.
fn periodic(shared: &Shared, stopped: &Flag, kind: Pass, period: Duration) {
    let mut failures = 0;
    while !stopped.is_raised() && !shared.closed.is_raised() {
        let pass = || shared.pass(kind, Flags::default(), Asker::Schedule(stopped));
        let end =
            catch_unwind(AssertUnwindSafe(pass)).unwrap_or_else(|_| PassEnd::from(quiet::defect()));
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
        let next = Boot::now().plus(period);
        if shared.closed.is_raised() || stopped.wait_until(next) {
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
