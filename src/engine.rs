//! The engine: what a host holds, and what `ffi` calls. A called pass runs on the caller's thread (see Callbacks in crigc.h).

use crate::config::Config;
use crate::error::Result;
use crate::hooks::Hooks;
use crate::report::Pass;
use crate::schedule::Schedule;
use crate::stop::{Cause, Flag};
use crate::turns::Shared;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub use crate::pass::{PassOptions, Trigger};
pub use crate::stop::Call;
pub use crate::turns::PassEnd;

/// A mutex whose data stays usable after a panic: what is behind ours is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many calls of the host are inside, whatever they do.
#[derive(Default)]
struct Calls {
    inside: Mutex<usize>,
    one_left: Condvar,
}

/// A call that is inside the engine, and the last thing that it touches: the engine may be freed by whom its end wakes.
struct Inside(Arc<Calls>);

impl Inside {
    fn enter(calls: &Arc<Calls>) -> Inside {
        *lock(&calls.inside) += 1;
        Inside(calls.clone())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        *lock(&self.0.inside) -= 1;
        self.0.one_left.notify_all();
    }
}

/// A configured collector. May be used from any number of threads at once. Dropping it closes it and waits for its passes. Calls borrow
/// what they share with its threads, so that it is the last owner: with it go the descriptors.
pub struct Engine {
    shared: Arc<Shared>,
    calls: Arc<Calls>,
    /// The periodic passes. Held while they are started, and while their end is waited for.
    schedule: Mutex<Option<Schedule>>,
    /// What stops them; a lock of its own, held for an instant, because closing never waits.
    stop_periodic: Mutex<Option<Arc<Flag>>>,
}

impl Engine {
    /// Needs no running runtime yet. What is wrong only together is refused here, and a records file that another engine holds.
    pub fn new(config: Config, hooks: Hooks) -> Result<Engine> {
        config.check()?;
        Ok(Engine {
            shared: Arc::new(Shared::new(config, hooks)?),
            calls: Arc::default(),
            schedule: Mutex::default(),
            stop_periodic: Mutex::default(),
        })
    }

    /// Does the work of a call. Nothing of the engine is touched behind it.
    fn inside<R>(&self, work: impl FnOnce(&Arc<Shared>) -> R) -> R {
        let _inside = Inside::enter(&self.calls);
        work(&self.shared)
    }

    /// S1 to S4.
    pub fn containers(&self, options: PassOptions, call: Option<&Call>) -> PassEnd {
        self.inside(|shared| shared.pass(Pass::Containers, called(options), call, None))
    }

    /// S5.
    pub fn images(&self, options: PassOptions, call: Option<&Call>) -> PassEnd {
        self.inside(|shared| shared.pass(Pass::Images, called(options), call, None))
    }

    /// S6 in the background; twice is fine.
    pub fn start(&self) -> Result<()> {
        self.inside(|shared| {
            let mut schedule = lock(&self.schedule);
            if schedule.is_none() {
                // First the flag, then the look: whoever closes after the look finds the flag.
                let stopped = Arc::new(Flag::new());
                *lock(&self.stop_periodic) = Some(stopped.clone());
                if !shared.closed.is_raised() {
                    *schedule = Some(Schedule::start(shared, stopped)?);
                }
            }
            if shared.closed.is_raised() {
                Err(Cause::Closed.error())
            } else {
                Ok(())
            }
        })
    }

    /// Cancels the periodic passes and waits for them, as does everyone who calls it meanwhile; may be started again.
    pub fn stop(&self) {
        self.inside(|_| {
            let mut schedule = lock(&self.schedule);
            if let Some(schedule) = schedule.take() {
                schedule.stop();
            }
        });
    }

    /// Never waits: passes end soon with `Closed`, so do later calls.
    pub fn close(&self) {
        self.inside(|shared| {
            shared.closed.raise();
            if let Some(stopped) = &*lock(&self.stop_periodic) {
                stopped.raise();
            }
        });
    }

    /// Closes it and waits for all that is inside.
    pub fn finish(&self) {
        self.close();
        self.stop();
        let mut inside = lock(&self.calls.inside);
        while *inside > 0 {
            inside = self
                .calls
                .one_left
                .wait(inside)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A call of the host is no other pass, whatever it asks for.
fn called(options: PassOptions) -> PassOptions {
    PassOptions {
        trigger: Trigger::Call,
        ..options
    }
}
