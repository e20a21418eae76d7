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
mod log_ages;
mod log_dirs;
mod log_place;
mod logs;
mod one_pod;
mod options;
mod orphan_logs;
mod pace;
mod parts;
mod pod_evidence;
mod pod_share;
mod removals;
mod report;
mod sandboxes;
mod snapshots;
mod stops;
mod words;

pub(crate) use one_pod::OnePod;
pub use options::{PassOptions, Trigger};
pub(crate) use options::{Scope, Task};
pub(crate) use report::{event, log};

use crate::clock::BootInstant;
use crate::config::{Config, HOST_ROOT_KEY};
use crate::cri::Capabilities;
use crate::error::{Error, Result, Status};
use crate::fs::host_root::Root;
use crate::hooks::Hooks;
use crate::metrics::Metrics;
use crate::panics;
use crate::plan::backoff::Backoff;
use crate::plan::order::Unfinished;
use crate::report::{Kind, Outcome, Report, visible};
use crate::stop::{Queue, Stop};
use context::{Context, no_time, wall_time};
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

/// Opens `host-root`, if it is set (S5.11).
fn open_root(config: &Config) -> Result<Root> {
    let dir = config.host_root.as_deref();
    Root::open(dir).map_err(|e| {
        let dir = visible(dir.unwrap_or_default());
        let way_out = "mount the host's root directory there, or leave the key empty if crigc runs on the host itself";
        Error::new(Status::Io, format!("cannot use {HOST_ROOT_KEY} ({dir}): {e}; {way_out}"))
    })
}

/// Runs one pass of the kind whose memory this is. It is the turn of this pass.
pub(crate) async fn run(
    task: Task<'_>,
    memory: &mut Memory,
    common: Common<'_>,
    stop: Stop<'_>,
    queue: &Queue,
) -> (Report, Option<Error>) {
    let began = BootInstant::now();
    let clock = panics::caught(|| wall_time(common.hooks));
    // Without a clock the pass does nothing.
    let now = *clock.as_ref().unwrap_or(&0);
    let root = panics::caught(|| open_root(common.config)).and_then(|root| root);
    let (root, rootless) = match root {
        Ok(root) => (root, None),
        Err(e) => (Root::default(), Some(e)),
    };
    let experience = &mut memory.experience;
    experience.backoff.get_mut().forget_old(began.since_boot());
    let unfinished = experience.unfinished.get_mut();
    unfinished.forget_old(began.since_boot());
    let ctx = Context {
        root,
        ..Context::new(common, stop, task, queue, now, experience)
    };
    let capabilities = &memory.capabilities;
    let work = async {
        if common.hooks.clock.is_some() {
            ctx.warn_of_units("the time of the host's clock", now);
        }
        gate::check_hold_file(&ctx);
        match (clock, rootless, &mut memory.images) {
            (Err(defect), ..) => ctx.fail(defect),
            (Ok(..=0), ..) => ctx.fail(no_time(now)),
            // Any other root would be that of another machine.
            (_, Some(e), _) => ctx.fail(e),
            (_, _, None) => containers::pass(&ctx, capabilities).await,
            (_, _, Some(memory)) => images::pass(&ctx, capabilities, memory).await,
        }
    };
    // Caught, so that the report of what was done is not lost.
    if let Err(defect) = panics::caught_async(work).await {
        ctx.fail(defect);
    }
    ctx.report.log_causes();
    pace::log(&ctx);
    let pace = ctx.report.pace();
    let disk = ctx.report.disk();
    let (entries, filesystem, error) = ctx.report.into_parts();
    let bytes_freed = entries
        .iter()
        .filter(|e| e.kind == Kind::Image && e.outcome == Outcome::Removed)
        .fold(0, |sum: u64, e| sum.saturating_add(e.bytes));
    let report = Report {
        pass: task.scope.pass(),
        dry_run: task.options.dry_run,
        started: now.max(0),
        seconds: BootInstant::now().since(began).as_secs_f64(),
        bytes_freed,
        filesystem,
        disk,
        hold_file: common.config.hold_file.clone(),
        pace,
        failure: error.clone(),
        entries,
    };
    if task.options.trigger != Trigger::Look {
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
