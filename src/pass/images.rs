//! A pass over images, from look to report (S5).

use super::containers::ended;
use super::defects::stage;
use super::image_figures::{Gauge, NoGauge};
use super::image_look::{self, ImageMemory, Services, keep, key};
use super::image_records;
use super::image_removals::{Removals, min_age};
use super::run::Run;
use crate::causes::Causes;
use crate::cri::Learnt;
use crate::cri::client;
use crate::error::{Error, Result, Status};
use crate::hooks::LogLevel;
use crate::node::Image;
use crate::plan::images::{self as plans, Goal, SandboxImages, Tally};
use crate::plan::{Plan, Step};
use crate::report::Reason;

/// S5.6: what the newest kubelet says of a filesystem without a size.
const NO_CAPACITY: &str = "invalid capacity 0 on image filesystem";

/// Runs the pass; what fails is in the run.
pub(crate) async fn pass(run: &Run<'_>, learnt: &Learnt, memory: &mut ImageMemory) {
    image_records::load(run, memory);
    if run.only_records && !memory.records.has_looked() {
        // What the first look finds counts as of the past: that one is a pass, with a whole period behind it.
        return;
    }
    match collect(run, learnt, memory).await {
        Ok(()) => {
            ended(run);
        }
        Err(e) => run.fail(e),
    }
}

async fn collect(run: &Run<'_>, learnt: &Learnt, memory: &mut ImageMemory) -> Result<()> {
    let services = services(run, learnt).await?;
    learnt.renew(&services.runtime).await;
    // The question for its version may have been the first one (S6.5).
    if let Some(e) = services.runtime.lost() {
        return Err(e);
    }
    let done = stage(run, stages(run, &services, memory)).await;
    learnt.sign(&services.runtime).await;
    let defects = [services.images.defect(), services.runtime.defect()];
    defects.into_iter().flatten().for_each(|e| run.fail(e));
    done.unwrap_or(Ok(()))
}

async fn services<'a>(run: &Run<'a>, learnt: &'a Learnt) -> Result<Services<'a>> {
    Ok(Services {
        images: client::images(run.config, run.stop, learnt).await?,
        runtime: client::runtime(run.config, run.stop, learnt).await?,
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
    let mut removals = Removals::over(look, run, services);
    let mut stages = Stages {
        run,
        services,
        unasked: asked.err(),
    };
    let freed = match only_look {
        true => 0,
        false => stages.by_age(memory, &mut removals).await,
    };
    let goal = match only_look {
        true => Goal::FirstLook,
        // S5.5: as in the kubelet.
        false if !removals.failures.is_empty() => Goal::Unknown,
        // Nothing goes, however full the disk is.
        false if removals.sandbox == SandboxImages::Failed => Goal::Unknown,
        false => stages
            .goal(memory, &mut removals, freed)
            .await
            .unwrap_or_else(|e| {
                run.fail(e);
                Goal::Unknown
            }),
    };
    stages.by_goal(memory, &mut removals, &goal).await;
    image_records::save(run, memory);
    Ok(())
}

/// What the stages of one pass know besides their look.
struct Stages<'r, 'a> {
    run: &'r Run<'a>,
    services: &'r Services<'a>,
    /// Why nobody knows who mounts what.
    unasked: Option<Error>,
}

impl Stages<'_, '_> {
    /// Whether nothing goes because the runtime no longer answers: what else it would have to be asked is left.
    fn is_mute(&self) -> bool {
        self.unasked.is_some() && self.services.runtime.is_doubtful()
    }

    /// S5.5: what has been unused for too long goes, whatever the disk. The bytes that it freed.
    async fn by_age(&mut self, memory: &mut ImageMemory, removals: &mut Removals<'_, '_>) -> u64 {
        let longest = self.run.config.image_maximum_gc_age;
        let goal = Goal::Aged(longest);
        let images = removals.look.images.clone();
        if longest.is_zero()
            || self
                .plan(memory, removals, &images, &goal)
                .remove
                .is_empty()
        {
            return 0;
        }
        self.find_gauge(memory, removals).await;
        let plan = self.decide(memory, removals, &images, &goal).await;
        let unknown = plan.keep.iter().map(|step| (step.object, step.reason));
        for (image, reason) in unknown.filter(|(_, reason)| *reason == Reason::ListIncomplete) {
            removals.tried.insert(key(image));
            keep(self.run, image, reason);
        }
        let tally = removals.carry_out(memory, plan.remove, &goal).await;
        tally.freed()
    }

    /// S5.6 to S5.10: what the disk, or the host, asks for; and the report about all that stays.
    async fn by_goal(
        &mut self,
        memory: &mut ImageMemory,
        removals: &mut Removals<'_, '_>,
        goal: &Goal,
    ) {
        let run = self.run;
        let images = removals.look.images.clone();
        let plan = match goal {
            Goal::Free(_) | Goal::AllUnused => self.decide(memory, removals, &images, goal).await,
            _ => {
                // The next look asks again.
                if let Some(e) = self.unasked.as_ref().filter(|_| !run.report.has_failed()) {
                    run.log(LogLevel::Warn, &e.message);
                }
                self.plan(memory, removals, &images, goal)
            }
        };
        let tally = removals.carry_out(memory, plan.remove, goal).await;
        if !matches!(goal, Goal::Free(_)) {
            // Else it was read after each removal.
            self.read_gauge(removals).await;
        }
        for step in &plan.keep {
            keep(run, step.object, step.reason);
        }
        conclude(run, &tally, removals);
    }

    /// What a goal comes to, after all has been asked that has to be known before anything goes.
    async fn decide<'i>(
        &mut self,
        memory: &ImageMemory,
        removals: &mut Removals<'_, '_>,
        images: &'i [Image],
        goal: &Goal,
    ) -> Plan<'i, Image> {
        if removals.sandbox == SandboxImages::NotAsked && !self.is_mute() {
            let known = image_look::sandbox_images(self.run, self.services).await;
            removals.sandbox = known.unwrap_or_else(|e| {
                self.run.fail(e);
                SandboxImages::Failed
            });
        }
        let mut plan = self.plan(memory, removals, images, goal);
        if let Some(e) = &self.unasked {
            // Nobody knows who uses what: all stays.
            plan.spare(Reason::ListIncomplete, |_| true);
            self.run.fail(e.clone());
        }
        plan
    }

    /// What a goal comes to over the images that have not had their turn yet.
    fn plan<'i>(
        &self,
        memory: &ImageMemory,
        removals: &Removals<'_, '_>,
        images: &'i [Image],
        goal: &Goal,
    ) -> Plan<'i, Image> {
        let run = self.run;
        let seen = removals.seen(memory, images);
        let mut plan = plans::plan(&seen, goal, min_age(run), run.now);
        let is_new = |step: &Step<'_, Image>| !removals.tried.contains(&key(step.object));
        plan.remove.retain(is_new);
        plan.keep.retain(is_new);
        plan
    }

    /// S5.6, S5.10: what is to be reached. What a dry run would have freed is still there when the disk is looked at.
    async fn goal(
        &self,
        memory: &mut ImageMemory,
        removals: &mut Removals<'_, '_>,
        freed: u64,
    ) -> Result<Goal> {
        let run = self.run;
        if run.all_unused {
            self.find_gauge(memory, removals).await;
            return Ok(Goal::AllUnused);
        }
        let figures = match removals.gauge.take() {
            // They have grown old.
            Some(gauge) => {
                let usage = gauge.read(run).map_err(NoGauge::NoFigures);
                usage.map(|usage| (gauge, usage))
            }
            None => Gauge::find(run, self.services, memory).await,
        };
        let (gauge, mut usage) = figures.map_err(|e| match e {
            NoGauge::Failed(e) => e,
            NoGauge::NoFigures(e) => no_figures(run, e),
        })?;
        let source = gauge.source();
        removals.gauge = Some(gauge);
        if run.dry_run {
            usage.available = usage.available.saturating_add(freed);
        }
        removals.usage = usage;
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
    async fn find_gauge(&self, memory: &mut ImageMemory, removals: &mut Removals<'_, '_>) {
        if removals.gauge.is_none() && !self.is_mute() {
            let found = stage(self.run, Gauge::find(self.run, self.services, memory)).await;
            removals.gauge = found.and_then(|found| found.ok()).map(|(gauge, _)| gauge);
        }
    }

    /// The same at the end, if something went.
    async fn read_gauge(&self, removals: &Removals<'_, '_>) {
        if let Some(gauge) = removals.gauge.as_ref().filter(|_| removals.has_removed) {
            let _ = stage(self.run, async { gauge.read(self.run) }).await;
        }
    }
}

fn no_figures(run: &Run<'_>, error: Error) -> Error {
    run.report.event("InvalidDiskCapacity", &error.message);
    error
}

/// S5.9: errors of removals fail the pass; without any, and where nothing was held, freeing less than wanted does.
fn conclude(run: &Run<'_>, tally: &Tally, removals: &Removals<'_, '_>) {
    let failures = &removals.failures;
    ended(run);
    if !failures.is_empty() {
        let mut causes = Causes::default();
        for failure in failures {
            causes.add("image", &[], failure);
        }
        let message = causes.message();
        return run.fail(Error::new(Status::Runtime, message));
    }
    if removals.held || run.report.has_failed() {
        return;
    }
    if let Some((_, freed)) = tally.shortfall() {
        let message = plans::too_little(&removals.usage, freed);
        run.report.event("FreeDiskSpaceFailed", &message);
        run.fail(Error::new(Status::NotEnoughFreed, message));
    }
}
