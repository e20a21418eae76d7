//! How full the image filesystem is: where the figures come from, and how they are read again after each removal (S5.6, S5.8, S5.11).

use super::context::Context;
use super::image_snapshot::{ImageMemory, Services};
use crate::clock::BootInstant;
use crate::cri::client::ImageFilesystem;
use crate::error::{Error, Result, Status};
use crate::fs::filesystem;
use crate::hooks::LogLevel;
use crate::node::{FsUsage, Text};
use crate::plan::space::{Wanted, fuller, is_another};
use crate::report::visible;
use std::collections::HashSet;
use std::time::Duration;

/// How long a filesystem may take to show what the removal of an image freed (S5.8).
const PATIENCE: Duration = Duration::from_secs(2);
/// The first pause between two looks at it. Each pause is twice as long as the one before, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Where the figures come from; they can be read again without a call of the runtime.
#[derive(Clone)]
pub(super) enum Gauge {
    /// The host's callback.
    Host,
    /// statvfs of this mount point.
    MountPoint(Text),
}

/// Why there are no figures.
pub(super) enum NoGauge {
    /// The call failed. The kubelet sends no event then.
    Failed(Error),
    /// Neither the host nor the runtime has any.
    NoFigures(Error),
}

impl Gauge {
    /// Finds out where the figures come from, and reads them.
    pub(super) async fn find(
        ctx: &Context<'_>,
        services: &Services<'_>,
        memory: &mut ImageMemory,
    ) -> std::result::Result<(Gauge, FsUsage), NoGauge> {
        if ctx.hooks.image_fs.is_some() {
            let usage = Gauge::Host.read(ctx).map_err(NoGauge::NoFigures)?;
            return Ok((Gauge::Host, usage));
        }
        let filesystems = services.images.filesystems().await;
        let mut filesystems = filesystems.map_err(NoGauge::Failed)?.into_iter();
        let Some(first) = filesystems.next() else {
            return Err(NoGauge::NoFigures(Error::new(
                Status::Runtime,
                format!(
                    "the runtime at {} names no image filesystem; see its log, or give figures by the image_fs callback",
                    services.images.endpoint
                ),
            )));
        };
        let usage = figures(ctx, &first).map_err(NoGauge::NoFigures)?;
        log_fuller(ctx, memory, (&first, &usage), filesystems);
        let gauge = Gauge::MountPoint(first.mount_point);
        ctx.report.saw_filesystem(usage);
        Ok((gauge, usage))
    }

    /// The figures as they are now.
    pub(super) fn read(&self, ctx: &Context<'_>) -> Result<FsUsage> {
        let usage = match self {
            Gauge::Host => {
                let image_fs = ctx.hooks.image_fs.as_ref();
                image_fs.and_then(|image_fs| image_fs.with(|image_fs| image_fs())).ok_or_else(|| Error::new(
                    Status::Io,
                    "the host's image_fs callback gave no figures of the image filesystem; see the host, or clear the callback so that the runtime is asked",
                ))?
            }
            Gauge::MountPoint(mount_point) => filesystem::usage(&ctx.root, mount_point)?,
        };
        warn_of_swapped(ctx, &usage);
        ctx.report.saw_filesystem(usage);
        Ok(usage)
    }

    /// Its name in messages.
    pub(super) fn source(&self) -> String {
        match self {
            Gauge::Host => "the host".to_owned(),
            Gauge::MountPoint(mount_point) => format!("statvfs of {}", visible(mount_point)),
        }
    }
}

/// Warns once of figures that cannot be.
fn warn_of_swapped(ctx: &Context<'_>, usage: &FsUsage) {
    let (capacity, available) = (usage.capacity, usage.available);
    if available > capacity {
        ctx.report.warn_once("image-fs", || format!(
            "of {capacity} bytes of the image filesystem {available} are said to be available; see whether the image_fs callback confuses capacity and available"
        ));
    }
}

/// The figures of a filesystem that the runtime names, by statvfs. In a container this path may be on another filesystem (S5.11).
fn figures(ctx: &Context<'_>, filesystem: &ImageFilesystem) -> Result<FsUsage> {
    let mount_point = &filesystem.mount_point;
    let usage = filesystem::usage(&ctx.root, mount_point)?;
    if !is_another(&usage, filesystem.used) {
        return Ok(usage);
    }
    let (capacity, used) = (usage.capacity, filesystem.used.unwrap_or(0));
    let why = format!(
        "it has {capacity} bytes, but the runtime says that it uses {used} there, so it is another filesystem"
    );
    Err(filesystem::no_figures(&ctx.root, mount_point, &why))
}

/// Waits until the filesystem shows what the removal of an image of this size freed, or for as long as it may take (S5.8).
pub(super) async fn settle(
    ctx: &Context<'_>,
    gauge: &Gauge,
    wanted: &Wanted,
    bytes: u64,
    before: &FsUsage,
) {
    let until = BootInstant::now().plus(PATIENCE);
    let (mut earlier, mut pause) = (*before, FIRST_PAUSE);
    // Without figures nothing can be waited for.
    while let Ok(now) = gauge.read(ctx) {
        let is_over = BootInstant::now() >= until;
        if is_over || wanted.has_settled(bytes, [before, &earlier, &now]) {
            return;
        }
        earlier = now;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = ctx.stop.wait() => return,
        }
        pause = LONGEST_PAUSE.min(2 * pause);
    }
}

/// Logs which filesystems are fuller than the first one, each once for as long as it is. Only the first is acted on, because the runtime
/// does not say which images are on which filesystem (S5.11).
fn log_fuller(
    ctx: &Context<'_>,
    memory: &mut ImageMemory,
    (first, usage): (&ImageFilesystem, &FsUsage),
    others: impl Iterator<Item = ImageFilesystem>,
) {
    // Those without figures are left out.
    let with_figures = |other: ImageFilesystem| {
        figures(ctx, &other)
            .ok()
            .map(|usage| (other.mount_point, usage))
    };
    let (others, usages): (Vec<_>, Vec<_>) = others.filter_map(with_figures).unzip();
    let fuller = fuller(usage, &usages).into_iter();
    let fuller: HashSet<Text> = fuller.map(|at| others[at].clone()).collect();
    for mount_point in fuller.difference(&memory.logged_fuller) {
        let message = format!(
            "the runtime names several image filesystems, and {} is fuller than the first, {}, which alone is acted on; free it by hand, or give figures by the image_fs callback",
            visible(mount_point),
            visible(&first.mount_point)
        );
        ctx.log(LogLevel::Warn, &message);
    }
    memory.logged_fuller = fuller;
}
