//! A pass from its turn to its end. The stages are in `containers` (S1 to S4) and `images` (S5), the decisions in `plan`.

mod attempts;
mod container_removal;
mod containers;
mod context;
mod dead_containers;
mod defects;
pub mod dry_run;
mod fate;
mod gate;
mod image_figures;
mod image_gone;
mod image_records;
mod image_removals;
mod image_snapshot;
mod images;
mod later;
mod log_dirs;
mod log_place;
mod logs;
mod options;
mod pace;
mod parts;
mod pod_evidence;
mod removals;
mod report;
mod sandboxes;
mod snapshots;
mod stops;
mod words;

pub use options::{PassOptions, Trigger};
pub(crate) use report::{event, log};

use crate::clock::BootInstant;
use crate::config::Config;
use crate::cri::Capabilities;
use crate::error::{Error, Result, Status};
use crate::hooks::Hooks;
use crate::metrics::Metrics;
use crate::panics;
use crate::plan::backoff::Backoff;
use crate::plan::order::Unfinished;
use crate::report::{Kind, Outcome, Pass, Report};
use crate::stop::{Queue, Stop};
use context::{Context, wall_time};
use image_snapshot::ImageMemory;
use pace::Windows;
use std::cell::RefCell;

/// What all passes of an engine share.
#[derive(Clone, Copy)]
pub(crate) struct Common<'a> {
    pub(crate) config: &'a Config,
    pub(crate) hooks: &'a Hooks,
    pub(crate) metrics: &'a Metrics,
}

/// What the engine remembers between passes of one kind. A pass changes it in place, so that a panic does not lose it.
pub(crate) struct Memory {
    /// What the runtime can do.
    capabilities: Capabilities,
    experience: Experience,
    /// Only image passes have it.
    images: Option<ImageMemory>,
}

/// What earlier passes of one kind learned about objects, and about how many removals at once pay.
pub(crate) struct Experience {
    /// How long objects are left alone after a failed removal (S0.8).
    backoff: RefCell<Backoff>,
    /// The objects that are handled last (S0.8).
    unfinished: RefCell<Unfinished>,
    /// How many objects are removed at once (S2.7).
    windows: Windows,
}

impl Experience {
    pub(crate) fn new(config: &Config) -> Experience {
        Experience {
            backoff: RefCell::default(),
            unfinished: RefCell::default(),
            windows: Windows::new(config),
        }
    }
}

impl Memory {
    /// That of the container passes of a new engine.
    pub(crate) fn of_containers(config: &Config) -> Memory {
        Memory {
            capabilities: Capabilities::default(),
            experience: Experience::new(config),
            images: None,
        }
    }

    /// See `Engine::assume_that_many_pay`.
    pub(crate) fn assume_that_many_pay(&mut self) {
        self.experience.windows.assume_that_many_pay();
    }

    /// That of the image passes of a new engine, with the lock of the records file.
    pub(crate) fn of_images(config: &Config) -> Result<Memory> {
        Ok(Memory {
            images: Some(ImageMemory::of(config)?),
            ..Memory::of_containers(config)
        })
    }
}

/// Runs one pass of the kind whose memory this is. It is the turn of this pass.
pub(crate) async fn run(
    memory: &mut Memory,
    common: Common<'_>,
    stop: Stop<'_>,
    options: PassOptions,
    queue: &Queue,
) -> (Report, Option<Error>) {
    let began = BootInstant::now();
    let clock = panics::caught(|| wall_time(common.hooks));
    // Without a clock the pass does nothing.
    let now = *clock.as_ref().unwrap_or(&0);
    let experience = &mut memory.experience;
    experience.backoff.get_mut().forget_old(began.since_boot());
    let unfinished = experience.unfinished.get_mut();
    unfinished.forget_old(began.since_boot());
    let ctx = Context::new(common, stop, options, queue, now, experience);
    let capabilities = &memory.capabilities;
    let pass = match memory.images {
        None => Pass::Containers,
        Some(_) => Pass::Images,
    };
    let work = async {
        match (clock, &mut memory.images) {
            (Err(defect), _) => ctx.fail(defect),
            // S0.10: with such a clock no age is known.
            (Ok(..=0), _) => ctx.fail(Error::new(
                Status::InvalidArgument,
                format!("the host's clock says {now} ns since the epoch; it has to be above 0"),
            )),
            (_, None) => containers::pass(&ctx, capabilities).await,
            (_, Some(memory)) => images::pass(&ctx, capabilities, memory).await,
        }
    };
    // Caught, so that the report of what was done is not lost.
    if let Err(defect) = panics::caught_async(work).await {
        ctx.fail(defect);
    }
    ctx.report.log_causes();
    pace::log(&ctx);
    let pace = ctx.report.pace();
    let (entries, filesystem, error) = ctx.report.into_parts();
    let bytes_freed = entries
        .iter()
        .filter(|e| e.kind == Kind::Image && e.outcome == Outcome::Removed)
        .fold(0, |sum: u64, e| sum.saturating_add(e.bytes));
    let report = Report {
        pass,
        dry_run: options.dry_run,
        started: now.max(0),
        seconds: BootInstant::now().since(began).as_secs_f64(),
        bytes_freed,
        filesystem,
        pace,
        failure: error.clone(),
        entries,
    };
    if options.trigger != Trigger::Look {
        count(&report, common, &memory.experience);
    }
    (report, error)
}

/// Counts a pass that has ended.
fn count(report: &Report, common: Common<'_>, experience: &Experience) {
    let as_configured = report.dry_run == common.config.dry_run;
    let now = BootInstant::now().since_boot();
    let backoff = experience.backoff.borrow();
    let waiting = |kind| backoff.waiting(kind, now);
    common.metrics.ended(report, as_configured, waiting);
}
