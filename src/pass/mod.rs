//! A pass from its turn to its end; the stages are in `containers` (S1 to S4) and `images` (S5). Holds no policy.

pub(crate) mod cancel;
mod container_removal;
mod containers;
mod dead_containers;
mod evidence;
mod image_look;
mod images;
mod logs;
mod parts;
mod removals;
mod rooms;
mod run;
mod sandboxes;

pub(crate) use image_look::ImageMemory;
pub(crate) use run::{event, log};

use crate::config::Config;
use crate::cri::Learnt;
use crate::error::{Error, Result, Status};
use crate::hooks::Hooks;
use crate::host::clock::Boot;
use crate::quiet;
use crate::report::{Kind, Outcome, Pass, Report};
use cancel::Stop;
use run::{Run, wall_time};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

/// Carries on `work`; a panic in it becomes an error, so that the report of what was done is not lost.
async fn caught(work: impl Future<Output = ()>) -> Result<()> {
    let _quiet = quiet::enter();
    let mut work = std::pin::pin!(work);
    let poll = |cx: &mut Context<'_>| {
        let step = AssertUnwindSafe(|| work.as_mut().poll(cx));
        match catch_unwind(step) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(quiet::defect())),
        }
    };
    std::future::poll_fn(poll).await
}

/// What a pass is asked to do.
pub(crate) enum Task<'a> {
    Containers {
        /// About the runtime.
        learnt: &'a Learnt,
    },
    Images {
        memory: &'a mut ImageMemory,
        /// A periodic pass without records: look, and remove nothing (S5.1).
        only_look: bool,
    },
}

/// Runs one pass, which has its turn.
pub(crate) async fn run(
    task: Task<'_>,
    config: &Config,
    hooks: &Hooks,
    stop: Stop<'_>,
    dry_run: bool,
    all_unused: bool,
) -> (Report, Option<Error>) {
    let began = Boot::now();
    let now = wall_time(hooks);
    let run = Run::new(config, hooks, stop, dry_run, all_unused, now);
    let pass = match task {
        Task::Containers { .. } => Pass::Containers,
        Task::Images { .. } => Pass::Images,
    };
    if now <= 0 {
        // S0.10: no age means anything with such a clock.
        run.fail(Error::new(
            Status::InvalidArgument,
            format!("the host's clock says {now} ns since the epoch; it has to be above 0"),
        ));
    } else {
        let work = async {
            match task {
                Task::Containers { learnt } => containers::pass(&run, learnt).await,
                Task::Images { memory, only_look } => {
                    images::pass(&run, memory, only_look).await;
                }
            }
        };
        if let Err(defect) = caught(work).await {
            run.fail(defect);
        }
    }
    let (entries, error) = run.into_parts();
    let bytes_freed = entries
        .iter()
        .filter(|e| e.kind == Kind::Image && e.outcome == Outcome::Removed)
        .fold(0, |sum: u64, e| sum.saturating_add(e.bytes));
    let report = Report {
        pass,
        dry_run,
        started: now.max(0),
        seconds: Boot::now().since(began).as_secs_f64(),
        bytes_freed,
        entries,
    };
    (report, error)
}
