//! Passes of one kind take turns (S6.3). A caller waits here for its turn, and receives how its pass ended.

use crate::clock::BootInstant;
use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::hooks::Hooks;
use crate::metrics::Metrics;
use crate::panics;
use crate::pass::{self, Common, Memory, PassOptions, Scope, Task, Trigger};
use crate::report::Report;
use crate::stop::{Call, Flag, Queue, Stop};
use tokio::sync::Mutex as Turns;
use tokio::sync::MutexGuard as Turn;

/// How a call ended: a report if and only if the pass began, an error if and only if it failed.
#[derive(Debug, Default)]
pub struct PassEnd {
    /// What the pass decided and did.
    pub report: Option<Report>,
    /// Why the call failed.
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

/// The passes of one kind, one after the other.
struct Lane {
    /// What passes of this kind remember. The pass that holds the lock has the turn; the lock is fair, so callers are served in order.
    turns: Turns<Memory>,
    /// The calls of the host that wait for their turn.
    queue: Queue,
}

impl Lane {
    fn new(memory: Memory) -> Lane {
        Lane {
            turns: Turns::new(memory),
            queue: Queue::default(),
        }
    }
}

/// The data that the threads of an engine share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) hooks: Hooks,
    pub(crate) metrics: Metrics,
    pub(crate) closed: Flag,
    containers: Lane,
    images: Lane,
}

impl Shared {
    /// Locks the records file.
    pub(crate) fn new(config: Config, hooks: Hooks) -> Result<Shared> {
        let containers = Memory::of_containers(&config);
        let images = Memory::of_images(&config)?;
        Ok(Shared {
            config,
            hooks,
            metrics: Metrics::new(),
            closed: Flag::new(),
            containers: Lane::new(containers),
            images: Lane::new(images),
        })
    }

    /// See `Engine::assume_that_many_pay`.
    pub(crate) fn assume_that_many_pay(&mut self) {
        for lane in [&mut self.containers, &mut self.images] {
            lane.turns.get_mut().assume_that_many_pay();
        }
    }

    /// Runs one pass when its turn comes. The host's call or the schedule's flag can end it early.
    pub(crate) fn pass(
        &self,
        task: Task<'_>,
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
            Ok(runtime) => runtime.block_on(self.take_turn(task, stop)),
            Err(e) => PassEnd::from(Error::new(
                Status::Io,
                format!("cannot start a pass: {e}; see the limit of open files of this process"),
            )),
        }
    }

    async fn take_turn(&self, mut task: Task<'_>, mut stop: Stop<'_>) -> PassEnd {
        let lane = match task.scope {
            Scope::Node | Scope::Pod(_) => &self.containers,
            Scope::Images => &self.images,
        };
        let mut memory = match turn(lane, task.options, &stop).await {
            Ok(memory) => memory,
            Err(e) => return PassEnd::from(e),
        };
        stop.pass_deadline = self
            .config
            .pass_timeout
            .map(|limit| (BootInstant::now().plus(limit), limit));
        task.options.dry_run |= self.config.dry_run;
        let common = Common {
            config: &self.config,
            hooks: &self.hooks,
            metrics: &self.metrics,
        };
        let (mut report, error) = pass::run(task, &mut memory, common, stop, &lane.queue).await;
        if task.options.trigger == Trigger::Look {
            return error.map(PassEnd::from).unwrap_or_default();
        }
        let ended = panics::caught(|| {
            if let Some(hook) = &self.hooks.pass {
                hook.with(|ended| ended(task.scope.pass(), Some(&report), error.as_ref()));
            }
        });
        // A panic after the pass does not lose the report of the pass.
        let errors: Vec<Error> = error.into_iter().chain(ended.err()).collect();
        let error = Error::all(&errors);
        report.failure.clone_from(&error);
        PassEnd {
            report: Some(report),
            error,
        }
    }
}

/// Waits for the turn of a pass. The result has what passes of this kind remember; the next one finds it, however this one ends.
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
