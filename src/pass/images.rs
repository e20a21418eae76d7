//! A pass over images, from the lists to the report (S5).

use super::context::Context;
use super::defects::stage;
use super::image_figures::{Gauge, NoGauge};
use super::image_records;
use super::image_removals;
use super::image_snapshot::{self, ImageMemory, ImageSnapshot, Services, keep};
use super::snapshots::ended;
use crate::causes::Causes;
use crate::config::Accounting;
use crate::config::duration::nanoseconds;
use crate::cri::Capabilities;
use crate::cri::client;
use crate::error::{Error, Result, Status};
use crate::hooks::LogLevel;
use crate::node::{FsUsage, Image, ImageKey};
use crate::plan::exempt::Exempt;
use crate::plan::images::{self as plans, Goal, SandboxImages};
use crate::plan::space::{self, Growth, Limits, Missing, Wanted};
use crate::plan::tally::{Ending, Tally, ending, in_vain};
use crate::plan::{Plan, Step};
use crate::report::Reason;
use std::collections::HashSet;

/// The message of the newest kubelet about a filesystem without a size (S5.6).
const NO_CAPACITY: &str = "invalid capacity 0 on image filesystem";

/// Runs the pass; its errors are in the report.
pub(crate) async fn pass(ctx: &Context<'_>, capabilities: &Capabilities, memory: &mut ImageMemory) {
    image_records::load(ctx, memory);
    if ctx.only_records && !memory.records.has_looked() {
        // What the first look finds counts as detected in the past, so the first look is left to a pass.
        return;
    }
    match collect(ctx, capabilities, memory).await {
        Ok(()) => drop(ended(ctx)),
        Err(e) => ctx.fail(e),
    }
}

async fn collect(
    ctx: &Context<'_>,
    capabilities: &Capabilities,
    memory: &mut ImageMemory,
) -> Result<()> {
    let services = Services {
        images: client::images(ctx.config, ctx.hooks, ctx.stop, capabilities, ctx.metrics).await?,
        runtime: client::runtime(ctx.config, ctx.hooks, ctx.stop, capabilities, ctx.metrics)
            .await?,
    };
    capabilities.renew(&services.runtime).await;
    // The question for its version may have been the first call (S6.5).
    if let Some(e) = services.runtime.lost() {
        return Err(e);
    }
    let done = stage(ctx, stages(ctx, &services, memory)).await;
    capabilities.sign(&services.runtime).await;
    let defects = [services.images.panicked(), services.runtime.panicked()];
    defects.into_iter().flatten().for_each(|e| ctx.fail(e));
    done.unwrap_or(Ok(()))
}

async fn stages(
    ctx: &Context<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
) -> Result<()> {
    // A periodic pass without records only looks and records (S5.1).
    let only_look = ctx.periodic && !memory.records.has_looked();
    let mut snapshot = image_snapshot::take(ctx, services, memory).await?;
    // Every look asks for image volumes: they decide when an image was last used, and so its place in the order (S5.4).
    let asked = image_snapshot::learn_mounts(ctx, services, memory, &mut snapshot).await;
    if ctx.only_records {
        image_records::save(ctx, memory);
        return asked.map(|_| ());
    }
    let mut pass = ImagePass {
        ctx,
        services,
        memory,
        snapshot,
        unasked: asked.err(),
        sandbox: SandboxImages::NotAsked,
        exempt: Exempt::new(&ctx.config.image_gc_exempt),
        gauge: None,
        usage: FsUsage::default(),
        latest: FsUsage::default(),
        is_out_of_reach: false,
        blind: false,
        tried: HashSet::new(),
        has_removed: false,
        held: false,
        failures: Vec::new(),
    };
    let freed = if only_look { 0 } else { pass.by_age().await };
    let failed = !pass.failures.is_empty();
    let goal = match plans::goal(only_look, failed, &pass.sandbox, ctx.all_unused) {
        Some(goal) => goal,
        None => pass.space_goal(freed).await.unwrap_or_else(|e| {
            ctx.fail(e);
            Goal::Unknown
        }),
    };
    if goal == Goal::AllUnused {
        pass.find_gauge().await;
    }
    pass.by_goal(&goal).await;
    image_records::save(ctx, pass.memory);
    Ok(())
}

/// An image pass after its first look.
pub(super) struct ImagePass<'r, 'a> {
    pub(super) ctx: &'r Context<'a>,
    pub(super) services: &'r Services<'a>,
    pub(super) memory: &'r mut ImageMemory,
    pub(super) snapshot: ImageSnapshot,
    /// Why image volumes are unknown, if they are.
    unasked: Option<Error>,
    sandbox: SandboxImages,
    exempt: Exempt,
    /// Where the figures of the image filesystem come from, if they were read.
    pub(super) gauge: Option<Gauge>,
    /// The figures by which the space goal was made.
    usage: FsUsage,
    /// The figures after the last removal for it.
    pub(super) latest: FsUsage,
    /// `image-gc-min-available` is more than the filesystem has.
    is_out_of_reach: bool,
    /// The users of images are not known any more.
    pub(super) blind: bool,
    /// Images that have had their turn.
    pub(super) tried: HashSet<ImageKey>,
    /// The runtime said that it removed an image.
    pub(super) has_removed: bool,
    /// An image was not removed because everything is held (S0.7).
    pub(super) held: bool,
    /// The messages of failed removals.
    pub(super) failures: Vec<String>,
}

impl ImagePass<'_, '_> {
    /// Whether the runtime does not answer any more. Then no image is removed, and it is not asked anything else.
    fn is_mute(&self) -> bool {
        self.unasked.is_some() && self.services.runtime.is_doubtful()
    }

    /// All that is known of these images, for a plan.
    pub(super) fn seen<'i>(&self, images: &'i [Image]) -> plans::ImageState<'i, '_> {
        plans::ImageState {
            images,
            in_use: &self.snapshot.in_use,
            records: &self.memory.records,
            sandbox: &self.sandbox,
            exempt: &self.exempt,
        }
    }

    /// Removes images that have been unused for too long, however full the disk is (S5.5). Returns the freed bytes.
    async fn by_age(&mut self) -> u64 {
        let Some(longest) = self.ctx.config.image_maximum_gc_age else {
            return 0;
        };
        let goal = Goal::Aged(longest);
        let images = self.snapshot.images.clone();
        if self.plan(&images, &goal).remove.is_empty() {
            return 0;
        }
        self.find_gauge().await;
        let plan = self.decide(&images, &goal).await;
        let is_unknown = |step: &&Step<'_, Image>| step.reason == Reason::ListIncomplete;
        for step in plan.keep.iter().filter(is_unknown) {
            self.tried.insert(step.object.key());
            keep(self.ctx, step.object, step.why());
        }
        let tally = image_removals::carry_out(self, plan.remove, &goal).await;
        tally.freed()
    }

    /// Removes images for the goal of the disk or the host, and reports all that are kept (S5.6 to S5.10).
    async fn by_goal(&mut self, goal: &Goal) {
        let ctx = self.ctx;
        let images = self.snapshot.images.clone();
        let plan = match goal {
            Goal::Free(_) | Goal::AllUnused => self.decide(&images, goal).await,
            _ => {
                // A failed question does not fail this pass, because no image is removed; the next pass asks again.
                if let Some(e) = self.unasked.as_ref().filter(|_| !ctx.report.has_failed()) {
                    ctx.log(LogLevel::Warn, &e.message);
                }
                self.plan(&images, goal)
            }
        };
        let tally = image_removals::carry_out(self, plan.remove, goal).await;
        // For a space goal it was read after each removal.
        if !matches!(goal, Goal::Free(_)) {
            self.read_gauge().await;
        }
        for step in &plan.keep {
            keep(ctx, step.object, step.why());
        }
        self.conclude(goal, &tally);
    }

    /// The plan for a goal, after all questions that come before a removal.
    async fn decide<'i>(&mut self, images: &'i [Image], goal: &Goal) -> Plan<'i, Image> {
        if self.sandbox == SandboxImages::NotAsked && !self.is_mute() {
            let known = image_snapshot::sandbox_images(self.ctx, self.services).await;
            self.sandbox = known.unwrap_or_else(|e| {
                self.ctx.fail(e);
                SandboxImages::Failed
            });
        }
        let mut plan = self.plan(images, goal);
        if let Some(e) = &self.unasked {
            // The users of images are unknown, so all are kept.
            plan.spare(Reason::ListIncomplete, |_| true);
            self.ctx.fail(e.clone());
        }
        plan
    }

    /// The plan for a goal, over the images that have not had their turn yet.
    fn plan<'i>(&self, images: &'i [Image], goal: &Goal) -> Plan<'i, Image> {
        let ctx = self.ctx;
        let mut plan = plans::plan(&self.seen(images), goal, min_age(ctx), ctx.now);
        let is_new = |step: &Step<'_, Image>| !self.tried.contains(&step.object.key());
        plan.remove.retain(is_new);
        plan.keep.retain(is_new);
        plans::number_turns(&mut plan);
        plan
    }

    /// How much space has to be freed (S5.6). The figures do not show what a dry run would have `freed`.
    async fn space_goal(&mut self, freed: u64) -> Result<Goal> {
        let ctx = self.ctx;
        let figures = match self.gauge.take() {
            // The figures have grown old.
            Some(gauge) => {
                let usage = gauge.read(ctx).map_err(NoGauge::NoFigures);
                usage.map(|usage| (gauge, usage))
            }
            None => Gauge::find(ctx, self.services, self.memory).await,
        };
        let (gauge, mut usage) = figures.map_err(|e| match e {
            NoGauge::Failed(e) => e,
            NoGauge::NoFigures(e) => {
                ctx.report.event("InvalidDiskCapacity", &e.message);
                e
            }
        })?;
        let source = gauge.source();
        self.gauge = Some(gauge);
        if ctx.dry_run {
            usage.available = usage.available.saturating_add(freed);
        }
        (self.usage, self.latest) = (usage, usage);
        let limits = Limits::from(ctx.config);
        let goal = space::space_goal(&usage, &limits).map_err(|_| {
            ctx.report.event("InvalidDiskCapacity", NO_CAPACITY);
            Error::new(Status::Io, format!(
                "{NO_CAPACITY}, by the figures of {source}; see whether it is mounted, or give figures by the image_fs callback"
            ))
        })?;
        ctx.report.saw_disk(space::compared(&usage, &limits));
        self.check(&limits, &source);
        if let Goal::Free(wanted) = &goal {
            log_causes(ctx, &usage, &limits, wanted);
        }
        Ok(goal)
    }

    /// Reports limits that this filesystem cannot have.
    fn check(&mut self, limits: &Limits, source: &str) {
        let ctx = self.ctx;
        if let Some(least) = limits.out_of_reach(&self.usage) {
            let capacity = self.usage.capacity;
            self.is_out_of_reach = true;
            ctx.fail(Error::new(Status::Config, format!(
                "image-gc-min-available ({least}) is more than the {capacity} bytes that the image filesystem has, by the figures of {source}; set it lower"
            )));
        }
        if limits.inodes && self.usage.inodes == 0 && !self.memory.logged_no_inodes {
            self.memory.logged_no_inodes = true;
            let message = format!(
                "the figures of {source} have no number of inodes, so image-gc-inode-thresholds removes nothing"
            );
            ctx.log(LogLevel::Warn, &message);
        }
    }

    /// Reads figures before a removal, for the report alone: the pass does not depend on them.
    async fn find_gauge(&mut self) {
        if self.gauge.is_none() && !self.is_mute() {
            let found = stage(self.ctx, Gauge::find(self.ctx, self.services, self.memory)).await;
            self.gauge = found.and_then(|found| found.ok()).map(|(gauge, _)| gauge);
        }
    }

    /// The same at the end, if an image was removed.
    async fn read_gauge(&self) {
        if let Some(gauge) = self.gauge.as_ref().filter(|_| self.has_removed) {
            let _ = stage(self.ctx, async { gauge.read(self.ctx) }).await;
        }
    }

    /// Ends the pass (S5.9).
    fn conclude(&self, goal: &Goal, tally: &Tally) {
        let ctx = self.ctx;
        ended(ctx);
        // That a limit cannot be reached does not excuse the others.
        let excused = self.held || (ctx.report.has_failed() && !self.is_out_of_reach);
        let why = tally
            .shortfall()
            .filter(|_| tally.is_in_vain())
            .map(in_vain);
        match (ending(!self.failures.is_empty(), excused, tally), goal) {
            (Ending::TooLittle(missing), Goal::Free(wanted)) => {
                self.too_little(wanted, missing, tally, why);
            }
            (Ending::RemovalsFailed, _) => {
                let mut causes = Causes::default();
                for failure in &self.failures {
                    causes.add("image", &[], failure);
                }
                ctx.fail(Error::new(Status::Runtime, causes.message()));
                why.iter().for_each(|why| ctx.log(LogLevel::Warn, why));
            }
            _ => why.iter().for_each(|why| ctx.log(LogLevel::Warn, why)),
        }
    }

    /// The pass fails because it freed less than wanted.
    fn too_little(&self, wanted: &Wanted, missing: Missing, tally: &Tally, why: Option<String>) {
        let ctx = self.ctx;
        let mut freed = space::growth(&self.usage, &self.latest);
        if ctx.dry_run || ctx.config.image_free_accounting == Accounting::Reported {
            freed = Growth {
                bytes: tally.freed(),
                ..freed
            };
        }
        let mut message = space::too_little(&self.usage, wanted, missing, freed);
        message.extend(why.iter().flat_map(|why| [" ", why]));
        ctx.report.event("FreeDiskSpaceFailed", &message);
        ctx.fail(Error::new(Status::NotEnoughFreed, message));
    }
}

/// Logs which limits the filesystem has passed (S5.6, S5.11).
fn log_causes(ctx: &Context<'_>, usage: &FsUsage, limits: &Limits, wanted: &Wanted) {
    for line in space::causes(usage, limits, wanted) {
        ctx.log(LogLevel::Info, &line);
    }
    if ctx.dry_run && wanted.inodes.is_some() {
        ctx.log(
            LogLevel::Info,
            "how many inodes an image frees is unknown before its removal, so the dry run lists all images that may be removed",
        );
    }
}

/// `minimum-image-ttl-duration` in ns.
pub(super) fn min_age(ctx: &Context<'_>) -> i64 {
    nanoseconds(ctx.config.minimum_image_ttl_duration)
}
