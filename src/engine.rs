//! The engine: the host's handle, and the functions that `ffi` calls. A called pass runs on the caller's thread (see Callbacks in
//! crigc.h).

use crate::config::Config;
use crate::error::Result;
use crate::hooks::Hooks;
use crate::pass::{OnePod, Scope, Task};
use crate::schedule::Schedule;
use crate::stop::{Cause, Flag};
use crate::turns::Shared;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub use crate::pass::{PassOptions, Trigger};
pub use crate::stop::Call;
pub use crate::turns::PassEnd;

/// Locks a mutex, also after a panic: the data in ours is always replaced as a whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many calls of the host are inside.
#[derive(Default)]
struct Calls {
    inside: Mutex<usize>,
    one_left: Condvar,
}

/// A call that is inside the engine. Its end is the last access to the engine: the thread that it wakes may free the engine.
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

/// A configured collector, for any number of threads at once. Dropping it closes it and waits for its passes. Calls only borrow what
/// they share with its threads, so the engine is the last owner, and its end closes the descriptors.
pub struct Engine {
    shared: Arc<Shared>,
    calls: Arc<Calls>,
    /// The periodic passes. The lock is held while they start, and while a thread waits for their end.
    schedule: Mutex<Option<Schedule>>,
    /// The flag that stops them. It has a lock of its own, held for an instant, because closing never waits.
    stop_periodic: Mutex<Option<Arc<Flag>>>,
}

impl Engine {
    /// The runtime need not be running yet. Refuses values that are wrong only together, and a records file that another engine holds.
    pub fn new(config: Config, hooks: Hooks) -> Result<Engine> {
        config.check()?;
        config.check_endpoints(hooks.connect.is_some())?;
        Ok(Engine {
            shared: Arc::new(Shared::new(config, hooks)?),
            calls: Arc::default(),
            schedule: Mutex::default(),
            stop_periodic: Mutex::default(),
        })
    }

    /// As if trials had shown that as many removals at once pay as the keys allow (S2.7). For tests that are about something else: an
    /// engine finds that out by itself.
    #[doc(hidden)]
    pub fn assume_that_many_pay(mut self) -> Engine {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.assume_that_many_pay();
        }
        self
    }

    /// Does the work of a call, which then does not access the engine any more.
    fn inside<R>(&self, work: impl FnOnce(&Arc<Shared>) -> R) -> R {
        let _inside = Inside::enter(&self.calls);
        work(&self.shared)
    }

    /// Runs a container pass (S1 to S4).
    pub fn containers(&self, options: PassOptions, call: Option<&Call>) -> PassEnd {
        self.inside(|shared| shared.pass(called(Scope::Node, options), call, None))
    }

    /// Runs an image pass (S5).
    pub fn images(&self, options: PassOptions, call: Option<&Call>) -> PassEnd {
        self.inside(|shared| shared.pass(called(Scope::Images, options), call, None))
    }

    /// Runs a pass over the containers, sandboxes and logs of one pod (S8). `is_gone`: the host says that everything the pod left behind may
    /// be removed.
    pub fn pod(
        &self,
        uid: &str,
        is_gone: bool,
        options: PassOptions,
        call: Option<&Call>,
    ) -> PassEnd {
        self.inside(|shared| match OnePod::new(uid, is_gone, &shared.hooks) {
            Ok(pod) => shared.pass(called(Scope::Pod(&pod), options), call, None),
            Err(e) => PassEnd::from(e),
        })
    }

    /// What the engine has counted, in Prometheus' text format. Never waits for a pass.
    pub fn metrics(&self) -> String {
        self.inside(|shared| shared.metrics.text())
    }

    /// Starts periodic passes (S6), unless they run already.
    pub fn start(&self) -> Result<()> {
        self.inside(|shared| {
            let mut schedule = lock(&self.schedule);
            if schedule.is_none() {
                // Store the flag first, then check: a thread that closes after the check finds the flag.
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

    /// Cancels the periodic passes and waits until they have ended, as every other caller does meanwhile. They can be started again.
    pub fn stop(&self) {
        self.inside(|_| {
            let mut schedule = lock(&self.schedule);
            drop(schedule.take());
        });
    }

    /// Ends passes soon with `Closed`, and later calls at once. Never waits.
    pub fn close(&self) {
        self.inside(|shared| {
            shared.closed.raise();
            if let Some(stopped) = &*lock(&self.stop_periodic) {
                stopped.raise();
            }
        });
    }

    /// Closes the engine and waits for its threads and for all calls inside.
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

/// The pass of a call: its trigger is always [`Trigger::Call`].
fn called(scope: Scope<'_>, options: PassOptions) -> Task<'_> {
    Task {
        scope,
        options: PassOptions {
            trigger: Trigger::Call,
            ..options
        },
    }
}
