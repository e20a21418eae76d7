//! How full the image filesystem is: who tells, and what is told again after each removal (S5.6, S5.8, S5.11).

use super::context::Context;
use super::image_snapshot::{ImageMemory, Services};
use crate::cri::client::ImageFilesystem;
use crate::error::{Error, Result, Status};
use crate::fs::filesystem;
use crate::hooks::LogLevel;
use crate::node::{FsUsage, Text};
use crate::plan::images::{fuller, is_another};
use crate::report::visible;

/// Who tells the figures, which can be asked again without a call of the runtime.
pub(super) enum Gauge {
    /// The host's callback.
    Host,
    /// statvfs of this mount point.
    MountPoint(Text),
}

/// Why nobody tells the figures.
pub(super) enum NoGauge {
    /// The call failed, as any may. The kubelet makes no event of it.
    Failed(Error),
    /// There are none.
    NoFigures(Error),
}

impl Gauge {
    /// Finds out who tells, and what.
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
        let usage = figures(&first).map_err(NoGauge::NoFigures)?;
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
            Gauge::MountPoint(mount_point) => filesystem::usage(mount_point)?,
        };
        ctx.report.saw_filesystem(usage);
        Ok(usage)
    }

    /// For messages.
    pub(super) fn source(&self) -> String {
        match self {
            Gauge::Host => "the host".to_owned(),
            Gauge::MountPoint(mount_point) => format!("statvfs of {}", visible(mount_point)),
        }
    }
}

/// What statvfs says of a filesystem that the runtime names. An agent in a container sees its own there (S5.11).
fn figures(filesystem: &ImageFilesystem) -> Result<FsUsage> {
    let mount_point = &filesystem.mount_point;
    let usage = filesystem::usage(mount_point)?;
    if !is_another(&usage, filesystem.used) {
        return Ok(usage);
    }
    let (capacity, used) = (usage.capacity, filesystem.used.unwrap_or(0));
    let why = format!(
        "it holds {capacity} bytes, but the runtime says that it uses {used} there, so it is another one"
    );
    Err(filesystem::no_figures(mount_point, &why))
}

/// S5.11: nobody says which images lie on which filesystem, so the first is acted on, and the host is told once of a fuller one.
fn log_fuller(
    ctx: &Context<'_>,
    memory: &mut ImageMemory,
    (first, usage): (&ImageFilesystem, &FsUsage),
    others: impl Iterator<Item = ImageFilesystem>,
) {
    if memory.logged_fuller {
        return;
    }
    // One without figures says nothing.
    let (others, usages): (Vec<ImageFilesystem>, Vec<FsUsage>) = others
        .filter_map(|other| {
            let usage = figures(&other).ok()?;
            Some((other, usage))
        })
        .unzip();
    if let Some(other) = fuller(usage, &usages).and_then(|at| others.get(at)) {
        memory.logged_fuller = true;
        let message = format!(
            "the runtime names several image filesystems, and {} is fuller than the first, {}, which alone is acted on; free it by hand, or give figures by the image_fs callback",
            visible(&other.mount_point),
            visible(&first.mount_point)
        );
        ctx.log(LogLevel::Warn, &message);
    }
}
