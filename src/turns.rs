//! Passes of one kind take turns (S6.3): whoever calls for one waits here for its turn, and is told how it ended.

use crate::clock::Boot;
use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::hooks::Hooks;
use crate::pass::{self, How, Memory};
use crate::quiet;
use crate::report::{Pass, Report};
use crate::stop::{Call, Flag, Queue, Stop};
use tokio::sync::Mutex as Turns;
use tokio::sync::MutexGuard as Turn;

/// How a pass is to be run; the flags of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Decide and report, remove nothing (S0.5).
    pub dry_run: bool,
    /// The kubelet under disk pressure (S1.4, S3.3, S5.10).
    pub all_unused: bool,
    /// `Busy` rather than waiting for a pass of the kind that runs.
    pub no_wait: bool,
}

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

/// Who asks for a pass.
#[derive(Clone, Copy)]
pub(crate) enum Asker<'a> {
    Host(Option<&'a Call>),
    /// The schedule; its flag ends the pass.
    Schedule(&'a Flag),
    /// The schedule, for a look between two passes that only records (S5.1); nobody hears of it.
    Look(&'a Flag),
}

/// Where the passes of one kind run one after the other.
#[derive(Default)]
struct Lane {
    /// What they remember: whoever holds it has the turn. Fair, so callers wait in turn.
    turns: Turns<Memory>,
    /// The calls of the host that wait for theirs.
    queue: Queue,
}

/// What the threads of an engine share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) hooks: Hooks,
    pub(crate) closed: Flag,
    containers: Lane,
    images: Lane,
}

impl Shared {
    /// Takes hold of the file of records.
    pub(crate) fn new(config: Config, hooks: Hooks) -> Result<Shared> {
        let images = Memory::of_images(&config)?;
        Ok(Shared {
            config,
            hooks,
            closed: Flag::new(),
            containers: Lane::default(),
            images: Lane {
                turns: Turns::new(images),
                ..Lane::default()
            },
        })
    }

    /// Runs one pass, once it has its turn.
    pub(crate) fn pass(&self, kind: Pass, flags: Flags, asker: Asker<'_>) -> PassEnd {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.take_turn(kind, flags, asker)),
            Err(e) => PassEnd::from(Error::new(
                Status::Io,
                format!("cannot start a pass: {e}; see the limit of open files of this process"),
            )),
        }
    }

    async fn take_turn(&self, kind: Pass, flags: Flags, asker: Asker<'_>) -> PassEnd {
        let (call, stopped) = match asker {
            Asker::Host(call) => (call, None),
            Asker::Schedule(flag) | Asker::Look(flag) => (None, Some(flag)),
        };
        let only_records = matches!(asker, Asker::Look(_));
        let mut stop = Stop {
            closed: &self.closed,
            stopped,
            call,
            pass_deadline: None,
        };
        let lane = match kind {
            Pass::Containers => &self.containers,
            Pass::Images => &self.images,
        };
        let mut memory = match turn(lane, flags, &stop).await {
            Ok(memory) => memory,
            Err(e) => return PassEnd::from(e),
        };
        let limit = self.config.pass_timeout;
        if !limit.is_zero() {
            stop.pass_deadline = Some((Boot::now().plus(limit), limit));
        }
        let how = How {
            dry_run: flags.dry_run || self.config.dry_run,
            all_unused: flags.all_unused,
            periodic: stopped.is_some(),
            only_records,
            queue: &lane.queue,
        };
        let (mut report, error) =
            pass::run(&mut memory, &self.config, &self.hooks, stop, how).await;
        if only_records {
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
async fn turn<'a>(lane: &'a Lane, flags: Flags, stop: &Stop<'_>) -> Result<Turn<'a, Memory>> {
    if let Some(cause) = stop.cause() {
        return Err(cause.error());
    }
    if flags.no_wait {
        return lane.turns.try_lock().map_err(|_| {
            Error::new(
                Status::Busy,
                "a pass of this kind runs already; call without GC_NO_WAIT to wait for its end",
            )
        });
    }
    let _waits = stop.stopped.is_none().then(|| lane.queue.join());
    tokio::select! {
        turn = lane.turns.lock() => Ok(turn),
        cause = stop.wait() => Err(cause.error()),
    }
}
