//! A pass over images, from look to report (S5).

use super::defects::stage;
use super::image_figures::{Gauge, NoGauge};
use super::image_look::{self, ImageLook, ImageMemory, Services, keep};
use super::image_records;
use super::image_removals;
use super::look::ended;
use super::run::Run;
use crate::causes::Causes;
use crate::config::duration::nanoseconds;
use crate::cri::Capabilities;
use crate::cri::client;
use crate::error::{Error, Result, Status};
use crate::hooks::LogLevel;
use crate::node::{FsUsage, Image, ImageKey};
use crate::plan::exempt::Exempt;
use crate::plan::images::{self as plans, Ending, Goal, SandboxImages, Tally};
use crate::plan::{Plan, Step};
use crate::report::Reason;
use std::collections::HashSet;

/// S5.6: what the newest kubelet says of a filesystem without a size.
const NO_CAPACITY: &str = "invalid capacity 0 on image filesystem";

/// Runs the pass; what fails is in the run.
pub(crate) async fn pass(run: &Run<'_>, capabilities: &Capabilities, memory: &mut ImageMemory) {
    image_records::load(run, memory);
    if run.only_records && !memory.records.has_looked() {
        // What the first look finds counts as of the past: that one is a pass, with a whole period behind it.
        return;
    }
    match collect(run, capabilities, memory).await {
        Ok(()) => {
            ended(run);
        }
        Err(e) => run.fail(e),
    }
}

async fn collect(
    run: &Run<'_>,
    capabilities: &Capabilities,
    memory: &mut ImageMemory,
) -> Result<()> {
    let services = services(run, capabilities).await?;
    capabilities.renew(&services.runtime).await;
    // The question for its version may have been the first one (S6.5).
    if let Some(e) = services.runtime.lost() {
        return Err(e);
    }
    let done = stage(run, stages(run, &services, memory)).await;
    capabilities.sign(&services.runtime).await;
    let defects = [services.images.defect(), services.runtime.defect()];
    defects.into_iter().flatten().for_each(|e| run.fail(e));
    done.unwrap_or(Ok(()))
}

async fn services<'a>(run: &Run<'a>, capabilities: &'a Capabilities) -> Result<Services<'a>> {
    Ok(Services {
        images: client::images(run.config, run.stop, capabilities).await?,
        runtime: client::runtime(run.config, run.stop, capabilities).await?,
    })
}

async fn stages(run: &Run<'_>, services: &Services<'_>, memory: &mut ImageMemory) -> Result<()> {
    // A periodic pass without records only looks.
    let only_look = run.periodic && !memory.records.has_looked();
    let mut look = image_look::look(run, services, memory).await?;
    // Who uses an image by mounting it is asked at every look: when it was last used is part of the order (S5.4).
    let asked = image_look::learn_mounts(run, services, memory, &mut look).await;
    if run.only_records {
        image_records::save(run, memory);
        return asked.map(|_| ());
    }
    let mut pass = ImagePass {
        run,
        services,
        memory,
        look,
        unasked: asked.err(),
        sandbox: SandboxImages::NotAsked,
        exempt: Exempt::new(&run.config.image_gc_exempt),
        gauge: None,
        usage: FsUsage::default(),
        blind: false,
        tried: HashSet::new(),
        has_removed: false,
        held: false,
        failures: Vec::new(),
    };
    let freed = if only_look { 0 } else { pass.by_age().await };
    let failed = !pass.failures.is_empty();
    let goal = match plans::goal(only_look, failed, &pass.sandbox, run.all_unused) {
        Some(goal) => goal,
        None => {
            let goal = pass.space_goal(freed).await;
            goal.unwrap_or_else(|e| {
                run.fail(e);
                Goal::Unknown
            })
        }
    };
    if goal == Goal::AllUnused {
        pass.find_gauge().await;
    }
    pass.by_goal(&goal).await;
    image_records::save(run, pass.memory);
    Ok(())
}

/// An image pass under way, once it has looked.
pub(super) struct ImagePass<'r, 'a> {
    pub(super) run: &'r Run<'a>,
    pub(super) services: &'r Services<'a>,
    pub(super) memory: &'r mut ImageMemory,
    pub(super) look: ImageLook,
    /// Why nobody knows who mounts what.
    unasked: Option<Error>,
    sandbox: SandboxImages,
    exempt: Exempt,
    /// Who tells how full the image filesystem is, if somebody was asked.
    pub(super) gauge: Option<Gauge>,
    /// The figures by which space is wanted.
    usage: FsUsage,
    /// Nobody can tell any more who uses what.
    pub(super) blind: bool,
    /// Images that have had their turn.
    pub(super) tried: HashSet<ImageKey>,
    /// The runtime said that it removed something.
    pub(super) has_removed: bool,
    /// Something was not removed because all is held (S0.7).
    pub(super) held: bool,
    /// What failed, in words.
    pub(super) failures: Vec<String>,
}

impl ImagePass<'_, '_> {
    /// Whether nothing goes because the runtime no longer answers: what else it would have to be asked is left.
    fn is_mute(&self) -> bool {
        self.unasked.is_some() && self.services.runtime.is_doubtful()
    }

    /// All that is known of the images of the first look, for a plan.
    pub(super) fn seen<'i>(&self, images: &'i [Image]) -> plans::ImageLook<'i, '_> {
        plans::ImageLook {
            images,
            in_use: &self.look.in_use,
            records: &self.memory.records,
            sandbox: &self.sandbox,
            exempt: &self.exempt,
        }
    }

    /// S5.5: what has been unused for too long goes, whatever the disk. The bytes that it freed.
    async fn by_age(&mut self) -> u64 {
        let Some(longest) = self.run.config.image_maximum_gc_age else {
            return 0;
        };
        let goal = Goal::Aged(longest);
        let images = self.look.images.clone();
        if self.plan(&images, &goal).remove.is_empty() {
            return 0;
        }
        self.find_gauge().await;
        let plan = self.decide(&images, &goal).await;
        let unknown = plan.keep.iter();
        for step in unknown.filter(|step| step.reason == Reason::ListIncomplete) {
            self.tried.insert(step.object.key());
            keep(self.run, step.object, step.reason);
        }
        image_removals::carry_out(self, plan.remove, &goal)
            .await
            .freed()
    }

    /// S5.6 to S5.10: what the disk, or the host, asks for; and the report about all that stays.
    async fn by_goal(&mut self, goal: &Goal) {
        let run = self.run;
        let images = self.look.images.clone();
        let plan = match goal {
            Goal::Free(_) | Goal::AllUnused => self.decide(&images, goal).await,
            _ => {
                // The next look asks again.
                if let Some(e) = self.unasked.as_ref().filter(|_| !run.report.has_failed()) {
                    run.log(LogLevel::Warn, &e.message);
                }
                self.plan(&images, goal)
            }
        };
        let tally = image_removals::carry_out(self, plan.remove, goal).await;
        if !matches!(goal, Goal::Free(_)) {
            // Else it was read after each removal.
            self.read_gauge().await;
        }
        for step in &plan.keep {
            keep(run, step.object, step.reason);
        }
        self.conclude(&tally);
    }

    /// What a goal comes to, after all has been asked that has to be known before anything goes.
    async fn decide<'i>(&mut self, images: &'i [Image], goal: &Goal) -> Plan<'i, Image> {
        if self.sandbox == SandboxImages::NotAsked && !self.is_mute() {
            let known = image_look::sandbox_images(self.run, self.services).await;
            self.sandbox = known.unwrap_or_else(|e| {
                self.run.fail(e);
                SandboxImages::Failed
            });
        }
        let mut plan = self.plan(images, goal);
        if let Some(e) = &self.unasked {
            // Nobody knows who uses what: all stays.
            plan.spare(Reason::ListIncomplete, |_| true);
            self.run.fail(e.clone());
        }
        plan
    }

    /// What a goal comes to over the images that have not had their turn yet.
    fn plan<'i>(&self, images: &'i [Image], goal: &Goal) -> Plan<'i, Image> {
        let run = self.run;
        let mut plan = plans::plan(&self.seen(images), goal, min_age(run), run.now);
        let is_new = |step: &Step<'_, Image>| !self.tried.contains(&step.object.key());
        plan.remove.retain(is_new);
        plan.keep.retain(is_new);
        plan
    }

    /// S5.6: what the disk wants. What a dry run would have freed is still there when it is looked at.
    async fn space_goal(&mut self, freed: u64) -> Result<Goal> {
        let run = self.run;
        let figures = match self.gauge.take() {
            // They have grown old.
            Some(gauge) => {
                let usage = gauge.read(run).map_err(NoGauge::NoFigures);
                usage.map(|usage| (gauge, usage))
            }
            None => Gauge::find(run, self.services, self.memory).await,
        };
        let (gauge, mut usage) = figures.map_err(|e| match e {
            NoGauge::Failed(e) => e,
            NoGauge::NoFigures(e) => no_figures(run, e),
        })?;
        let source = gauge.source();
        self.gauge = Some(gauge);
        if run.dry_run {
            usage.available = usage.available.saturating_add(freed);
        }
        self.usage = usage;
        let (high, low) = (
            run.config.image_gc_high_threshold,
            run.config.image_gc_low_threshold,
        );
        plans::space_goal(&usage, high, low).map_err(|_| {
            run.report.event("InvalidDiskCapacity", NO_CAPACITY);
            Error::new(Status::Io, format!(
                "{NO_CAPACITY}, as told by {source}; see whether it is mounted, or give figures by the image_fs callback"
            ))
        })
    }

    /// Figures for the report alone, before anything goes: where there are none, nothing depends on them.
    async fn find_gauge(&mut self) {
        if self.gauge.is_none() && !self.is_mute() {
            let found = stage(self.run, Gauge::find(self.run, self.services, self.memory)).await;
            self.gauge = found.and_then(|found| found.ok()).map(|(gauge, _)| gauge);
        }
    }

    /// The same at the end, if something went.
    async fn read_gauge(&self) {
        if let Some(gauge) = self.gauge.as_ref().filter(|_| self.has_removed) {
            let _ = stage(self.run, async { gauge.read(self.run) }).await;
        }
    }

    /// Ends the pass (S5.9).
    fn conclude(&self, tally: &Tally) {
        let run = self.run;
        ended(run);
        let excused = self.held || run.report.has_failed();
        match plans::ending(!self.failures.is_empty(), excused, tally) {
            Ending::Settled => {}
            Ending::RemovalsFailed => {
                let mut causes = Causes::default();
                for failure in &self.failures {
                    causes.add("image", &[], failure);
                }
                run.fail(Error::new(Status::Runtime, causes.message()));
            }
            Ending::TooLittle(freed) => {
                let message = plans::too_little(&self.usage, freed);
                run.report.event("FreeDiskSpaceFailed", &message);
                run.fail(Error::new(Status::NotEnoughFreed, message));
            }
        }
    }
}

/// `minimum-image-ttl-duration` in ns.
pub(super) fn min_age(run: &Run<'_>) -> i64 {
    nanoseconds(run.config.minimum_image_ttl_duration)
}

fn no_figures(run: &Run<'_>, error: Error) -> Error {
    run.report.event("InvalidDiskCapacity", &error.message);
    error
}
