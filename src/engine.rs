//! The engine: what a host holds, and what `ffi` calls. A called pass runs on the caller's thread (see Callbacks in crigc.h);
//! passes of one kind take turns (S6.3).

use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::hooks::Hooks;
use crate::host::clock::Boot;
use crate::pass::cancel::{Cause, Flag, Stop};
use crate::pass::slots::Queue;
use crate::pass::{self, Memory, Trigger};
use crate::quiet;
use crate::report::{Pass, Report};
use crate::schedule::Schedule;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Mutex as Turns;
use tokio::sync::MutexGuard as Turn;

pub use crate::pass::PassOptions;
pub use crate::pass::cancel::Call;

/// How a call ended: a report if and only if the pass began, an error if and only if it failed.
#[derive(Debug, Default)]
pub struct PassEnd {
    /// What it decided and did.
    pub report: Option<Report>,
    /// Why it failed.
    pub error: Option<Error>,
}

impl From<Error> for PassEnd {
    fn from(error: Error) -> PassEnd {
        PassEnd {
            report: None,
            error: Some(error),
        }
    }
}

/// Where the passes of one kind run one after the other.
#[derive(Default)]
struct Lane {
    /// What they remember: whoever holds it has the turn. Fair, so callers wait in turn.
    turns: Turns<Memory>,
    /// The calls of the host that wait for theirs.
    queue: Queue,
}

/// What the engine's threads share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) hooks: Hooks,
    pub(crate) closed: Flag,
    containers: Lane,
    images: Lane,
    /// The periodic passes. Held while they are started, and while their end is waited for.
    schedule: Mutex<Option<Schedule>>,
    /// What stops them; a lock of its own, held for an instant, because closing never waits.
    stop_periodic: Mutex<Option<Arc<Flag>>>,
}

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

impl Shared {
    /// Runs one pass, once it has its turn; what ends it is the call of the host, or the flag of the schedule.
    pub(crate) fn pass(
        &self,
        kind: Pass,
        options: PassOptions,
        call: Option<&Call>,
        stopped: Option<&Flag>,
    ) -> PassEnd {
        let stop = Stop {
            closed: &self.closed,
            stopped,
            call,
            pass_deadline: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.take_turn(kind, options, stop)),
            Err(e) => PassEnd::from(Error::new(
                Status::Io,
                format!("cannot start a pass: {e}; see the limit of open files of this process"),
            )),
        }
    }

    async fn take_turn(&self, kind: Pass, mut options: PassOptions, mut stop: Stop<'_>) -> PassEnd {
        let lane = match kind {
            Pass::Containers => &self.containers,
            Pass::Images => &self.images,
        };
        let mut memory = match turn(lane, options, &stop).await {
            Ok(memory) => memory,
            Err(e) => return PassEnd::from(e),
        };
        stop.pass_deadline = self
            .config
            .pass_timeout
            .map(|limit| (Boot::now().plus(limit), limit));
        options.dry_run |= self.config.dry_run;
        let (config, hooks) = (&self.config, &self.hooks);
        let (mut report, error) =
            pass::run(&mut memory, config, hooks, stop, options, &lane.queue).await;
        if options.trigger == Trigger::Look {
            return error.map(PassEnd::from).unwrap_or_default();
        }
        let told = quiet::caught(|| {
            if let Some(ended) = &self.hooks.pass {
                ended.with(|ended| ended(kind, Some(&report), error.as_ref()));
            }
        });
        // The report of what was done is not lost for a defect that comes after it.
        let errors: Vec<Error> = error.into_iter().chain(told.err()).collect();
        let error = Error::all(&errors);
        report.failure.clone_from(&error);
        PassEnd {
            report: Some(report),
            error,
        }
    }
}

/// The turn of a pass, with what those of its kind remember; however it ends, the next one finds that.
async fn turn<'a>(
    lane: &'a Lane,
    options: PassOptions,
    stop: &Stop<'_>,
) -> Result<Turn<'a, Memory>> {
    if let Some(cause) = stop.cause() {
        return Err(cause.error());
    }
    if options.no_wait {
        return lane.turns.try_lock().map_err(|_| {
            Error::new(
                Status::Busy,
                "a pass of this kind runs already; call without GC_NO_WAIT to wait for its end",
            )
        });
    }
    let _waits = (options.trigger == Trigger::Call).then(|| lane.queue.join());
    tokio::select! {
        turn = lane.turns.lock() => Ok(turn),
        cause = stop.wait() => Err(cause.error()),
    }
}

/// A configured collector. May be used from any number of threads at once. Dropping it closes it and waits for its passes. Calls borrow
/// what they share with its threads, so that it is the last owner: with it go the descriptors.
pub struct Engine {
    shared: Arc<Shared>,
    calls: Arc<Calls>,
}

impl Engine {
    /// Needs no running runtime yet. What is wrong only together is refused here, and a records file that another engine holds.
    pub fn new(config: Config, hooks: Hooks) -> Result<Engine> {
        config.check()?;
        let images = Memory::of_images(&config)?;
        let shared = Arc::new(Shared {
            config,
            hooks,
            closed: Flag::new(),
            containers: Lane::default(),
            images: Lane {
                turns: Turns::new(images),
                ..Lane::default()
            },
            schedule: Mutex::new(None),
            stop_periodic: Mutex::new(None),
        });
        Ok(Engine {
            shared,
            calls: Arc::default(),
        })
    }

    /// Does the work of a call. Nothing of the engine is touched behind it.
    fn inside<R>(&self, work: impl FnOnce(&Arc<Shared>) -> R) -> R {
        let _inside = Inside::enter(&self.calls);
        work(&self.shared)
    }

    /// S1 to S4.
    pub fn containers(&self, options: PassOptions, call: Option<&Call>) -> PassEnd {
        self.inside(|shared| shared.pass(Pass::Containers, options, call, None))
    }

    /// S5.
    pub fn images(&self, options: PassOptions, call: Option<&Call>) -> PassEnd {
        self.inside(|shared| shared.pass(Pass::Images, options, call, None))
    }

    /// S6 in the background; twice is fine.
    pub fn start(&self) -> Result<()> {
        self.inside(|shared| {
            let mut schedule = lock(&shared.schedule);
            if schedule.is_none() {
                // First the flag, then the look: whoever closes after the look finds the flag.
                let stopped = Arc::new(Flag::new());
                *lock(&shared.stop_periodic) = Some(stopped.clone());
                if !shared.closed.is_raised() {
                    *schedule = Some(Schedule::start(shared, stopped)?);
                }
            }
            match shared.closed.is_raised() {
                true => Err(Cause::Closed.error()),
                false => Ok(()),
            }
        })
    }

    /// Cancels the periodic passes and waits for them, as does everyone who calls it meanwhile; may be started again.
    pub fn stop(&self) {
        self.inside(|shared| {
            let mut schedule = lock(&shared.schedule);
            if let Some(schedule) = schedule.take() {
                schedule.stop();
            }
        });
    }

    /// Never waits: passes end soon with `Closed`, so do later calls.
    pub fn close(&self) {
        self.inside(|shared| {
            shared.closed.raise();
            if let Some(stopped) = &*lock(&shared.stop_periodic) {
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
