//! A pass over images, from look to report (S5).

use super::containers::ended;
use super::image_look::{self, ImageMemory, Services};
use super::image_records;
use super::image_removals::{Removals, entry};
use super::run::{Done, Run};
use crate::causes::Causes;
use crate::cri::Learnt;
use crate::cri::client;
use crate::error::{Error, Result, Status};
use crate::hooks::LogLevel;
use crate::host::clock::Boot;
use crate::host::filesystem;
use crate::node::FsUsage;
use crate::plan::exempt::Exempt;
use crate::plan::images::{self as plans, Goal, SandboxImages, Tally};
use crate::plan::{Plan, Step};
use crate::quiet;
use crate::report::{Reason, visible};

/// Runs the pass; what fails is in the run.
pub(crate) async fn pass(run: &Run<'_>, learnt: &Learnt, memory: &mut ImageMemory) {
    image_records::load(run, memory);
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
    let done = quiet::caught_async(stages(run, &services, memory)).await;
    let done = done.and_then(|done| done);
    learnt.sign(&services.runtime).await;
    let defects = [services.images.defect(), services.runtime.defect()];
    defects.into_iter().flatten().for_each(|e| run.fail(e));
    done
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
    let looked = Boot::now();
    let look = image_look::look(run, services, memory).await?;
    let mut removals = Removals::over(look, looked, run, services);
    let mut stages = Stages {
        run,
        services,
        sandbox: SandboxImages::NotAsked,
        unasked: None,
    };
    // Who uses an image by mounting it is asked at every look: when it was last used is part of the order (S5.4).
    let asked = image_look::learn_mounts(run, services, memory, &mut removals.look).await;
    stages.unasked = asked.err();
    let freed = match only_look {
        true => 0,
        false => stages.by_age(memory, &mut removals).await,
    };
    let goal = match only_look {
        true => Goal::FirstLook,
        // What a dry run would have freed is still there when the disk is looked at.
        false => goal(run, services, if run.dry_run { freed } else { 0 })
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
    sandbox: SandboxImages,
    /// Why nobody knows who mounts what.
    unasked: Option<Error>,
}

impl Stages<'_, '_> {
    /// S5.5: what has been unused for too long goes, whatever the disk. The bytes that it freed.
    async fn by_age(&mut self, memory: &mut ImageMemory, removals: &mut Removals<'_, '_>) -> u64 {
        let longest = self.run.config.image_maximum_gc_age;
        let goal = Goal::Aged(longest);
        if longest.is_zero() || self.plan(memory, removals, &goal).remove.is_empty() {
            return 0;
        }
        let plan = self.decide(memory, removals, &goal).await;
        let unknown = |step: &&Step| step.reason == Reason::ListIncomplete;
        for step in plan.keep.iter().filter(unknown) {
            removals.tried.insert(step.index);
            self.keep(removals, *step);
        }
        let tally = removals.carry_out(memory, &plan.remove, &goal).await;
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
        let plan = match goal {
            Goal::Free(_) | Goal::AllUnused => self.decide(memory, removals, goal).await,
            _ => {
                // The next look asks again.
                if let Some(e) = self.unasked.as_ref().filter(|_| !run.has_failed()) {
                    run.log(LogLevel::Warn, &e.message);
                }
                self.plan(memory, removals, goal)
            }
        };
        let tally = removals.carry_out(memory, &plan.remove, goal).await;
        for step in &plan.keep {
            self.keep(removals, *step);
        }
        conclude(run, &tally, &removals.failures, removals.held);
    }

    fn keep(&self, removals: &Removals<'_, '_>, step: Step) {
        let entry = entry(&removals.look.images, step);
        self.run.record(entry, Done::Kept(step.reason));
    }

    /// What a goal comes to, after all has been asked that has to be known before anything goes.
    async fn decide(
        &mut self,
        memory: &ImageMemory,
        removals: &Removals<'_, '_>,
        goal: &Goal,
    ) -> Plan {
        if self.sandbox == SandboxImages::NotAsked {
            let known = image_look::sandbox_images(self.run, self.services).await;
            self.sandbox = known.unwrap_or_else(|e| {
                self.run.fail(e);
                SandboxImages::Failed
            });
        }
        let mut plan = self.plan(memory, removals, goal);
        if let Some(e) = &self.unasked {
            // Nobody knows who uses what: all stays.
            let reason = Reason::ListIncomplete;
            let stay = plan.remove.drain(..).map(|step| Step { reason, ..step });
            plan.keep.extend(stay);
            self.run.fail(e.clone());
        }
        plan
    }

    /// What a goal comes to over the images that have not had their turn yet.
    fn plan(&self, memory: &ImageMemory, removals: &Removals<'_, '_>, goal: &Goal) -> Plan {
        let run = self.run;
        let exempt = Exempt::parse(&run.config.image_gc_exempt);
        let seen = plans::ImageLook {
            images: &removals.look.images,
            in_use: &removals.look.in_use,
            records: &memory.records,
            sandbox: &self.sandbox,
            exempt: &exempt,
        };
        let min_age =
            i64::try_from(run.config.minimum_image_ttl_duration.as_nanos()).unwrap_or(i64::MAX);
        let mut plan = plans::plan(&seen, goal, min_age, run.now);
        let is_new = |step: &Step| !removals.tried.contains(&step.index);
        plan.remove.retain(is_new);
        plan.keep.retain(is_new);
        plan
    }
}

/// S5.6, S5.10: what is to be reached.
async fn goal(run: &Run<'_>, services: &Services<'_>, freed: u64) -> Result<Goal> {
    if run.all_unused {
        return Ok(Goal::AllUnused);
    }
    let (mut usage, status, source) = usage(run, services).await?;
    usage.available = usage.available.saturating_add(freed);
    let (high, low) = (
        run.config.image_gc_high_threshold,
        run.config.image_gc_low_threshold,
    );
    plans::space_goal(&usage, high, low).map_err(|_| {
        no_figures(run, Error::new(status, format!(
            "invalid capacity 0 of the image filesystem, as told by {source}; see whether it is mounted, or give figures by the image_fs callback"
        )))
    })
}

/// S5.11: the figures, which status their lack has, and who gave them.
async fn usage(run: &Run<'_>, services: &Services<'_>) -> Result<(FsUsage, Status, String)> {
    if let Some(image_fs) = &run.hooks.image_fs {
        return match image_fs.with(|image_fs| image_fs()) {
            Some(usage) => Ok((usage, Status::Io, "the host".to_owned())),
            None => Err(no_figures(
                run,
                Error::new(
                    Status::Io,
                    "the host's image_fs callback gave no figures of the image filesystem; see the host, or clear the callback so that the runtime is asked",
                ),
            )),
        };
    }
    let Some(filesystem) = services.images.filesystem().await? else {
        return Err(no_figures(
            run,
            Error::new(
                Status::Runtime,
                format!(
                    "the runtime at {} names no image filesystem; see its log, or give figures by the image_fs callback",
                    services.images.endpoint
                ),
            ),
        ));
    };
    let usage = filesystem::usage(&filesystem.mount_point, filesystem.used)
        .map_err(|e| no_figures(run, e))?;
    let source = format!("statvfs of {}", visible(&filesystem.mount_point));
    Ok((usage, Status::Io, source))
}

fn no_figures(run: &Run<'_>, error: Error) -> Error {
    run.event("InvalidDiskCapacity", &error.message);
    error
}

/// S5.9: errors of removals fail the pass; without any, and where nothing was held, freeing less than wanted does.
fn conclude(run: &Run<'_>, tally: &Tally, failures: &[String], held: bool) {
    ended(run);
    if !failures.is_empty() {
        let mut causes = Causes::default();
        for failure in failures {
            causes.add("image", &[], failure);
        }
        let message = causes.message();
        return run.fail(Error::new(Status::Runtime, message));
    }
    if held || run.has_failed() {
        return;
    }
    if let Some((wanted, freed)) = tally.shortfall() {
        let message = format!(
            "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only found {freed} bytes eligible to free."
        );
        run.event("FreeDiskSpaceFailed", &message);
        run.fail(Error::new(Status::NotEnoughFreed, message));
    }
}
