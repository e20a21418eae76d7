//! A pass over images, from look to report (S5).

use super::containers::ended;
use super::image_look::{self, ImageLook, ImageMemory, Services};
use super::removals::begin;
use super::run::{Done, Run, event};
use crate::cri::client;
use crate::cri::{CallError, Learnt};
use crate::error::{Error, Result, Status};
use crate::hooks::LogLevel;
use crate::host::clock::Boot;
use crate::host::filesystem;
use crate::node::{FsUsage, Image};
use crate::plan::exempt::Exempt;
use crate::plan::images::{self as plans, Goal, SandboxImages, Tally};
use crate::plan::{Plan, Step};
use crate::report::{Entry, Kind, Reason, visible};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::VecDeque;

/// How many failed removals the error of a pass names.
const SHOWN: usize = 10;

/// Runs the pass; what fails is in the run.
pub(crate) async fn pass(run: &Run<'_>, memory: &mut ImageMemory, only_look: bool) -> u64 {
    match collect(run, memory, only_look).await {
        Ok(freed) => {
            ended(run);
            freed
        }
        Err(e) => {
            run.fail(e);
            0
        }
    }
}

async fn collect(run: &Run<'_>, memory: &mut ImageMemory, only_look: bool) -> Result<u64> {
    let learnt = std::mem::take(&mut memory.learnt);
    let freed = match services(run, &learnt).await {
        Ok(services) => {
            learnt.renew(&services.runtime).await;
            let freed = stages(run, &services, memory, only_look).await;
            learnt.sign(&services.runtime).await;
            freed
        }
        Err(e) => Err(e),
    };
    memory.learnt = learnt;
    freed
}

async fn services<'a>(run: &Run<'a>, learnt: &'a Learnt) -> Result<Services<'a>> {
    Ok(Services {
        images: client::images(run.config, run.stop, learnt).await?,
        runtime: client::runtime(run.config, run.stop, learnt).await?,
    })
}

async fn stages(
    run: &Run<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
    only_look: bool,
) -> Result<u64> {
    let looked = Boot::now();
    let mut look = image_look::look(run, services, memory).await?;
    let goal = goal(run, services, only_look).await.unwrap_or_else(|e| {
        run.fail(e);
        Goal::Unknown
    });
    let removing = matches!(goal, Goal::Free(_) | Goal::AllUnused);
    let mut sandbox = SandboxImages::NotAsked;
    if removing {
        match image_look::sandbox_images(run, services).await {
            Ok(known) => sandbox = known,
            Err(e) => {
                run.fail(e);
                sandbox = SandboxImages::Failed;
            }
        }
    }
    // Who uses an image by mounting it is asked at every look: when it was last used is part of the order (S5.4).
    let unasked = image_look::learn_mounts(run, services, memory, &mut look).await;
    let mut plan = plan(run, memory, &look, &sandbox, &goal);
    match unasked {
        Ok(()) => {}
        Err(e) if removing => {
            // Nobody knows who uses what: all stays.
            let reason = Reason::ListIncomplete;
            plan.keep
                .extend(plan.remove.drain(..).map(|step| Step { reason, ..step }));
            run.fail(e);
        }
        // The next look asks again.
        Err(e) => run.log(LogLevel::Warn, &e.message),
    }
    Ok(carry_out(run, services, memory, look, looked, &plan, &goal).await)
}

fn plan(
    run: &Run<'_>,
    memory: &ImageMemory,
    look: &ImageLook,
    sandbox: &SandboxImages,
    goal: &Goal,
) -> Plan {
    let exempt = Exempt::parse(&run.config.image_gc_exempt);
    let seen = plans::ImageLook {
        images: &look.images,
        in_use: &look.in_use,
        records: &memory.records,
        sandbox,
        exempt: &exempt,
    };
    let min_age =
        i64::try_from(run.config.minimum_image_ttl_duration.as_nanos()).unwrap_or(i64::MAX);
    plans::plan(&seen, goal, min_age, run.now)
}

/// S5.6, S5.10: what is to be reached.
async fn goal(run: &Run<'_>, services: &Services<'_>, only_look: bool) -> Result<Goal> {
    if only_look {
        return Ok(Goal::FirstLook);
    }
    if run.all_unused {
        return Ok(Goal::AllUnused);
    }
    let (usage, status, source) = usage(run, services).await?;
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
    event(run.hooks, "InvalidDiskCapacity", &error.message);
    error
}

/// Removes images in their order until the goal is reached (S5.8), and writes the report.
async fn carry_out(
    run: &Run<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
    mut look: ImageLook,
    mut looked: Boot,
    plan: &Plan,
    goal: &Goal,
) -> u64 {
    let images = look.images.clone();
    let planned: Vec<Entry> = plan
        .remove
        .iter()
        .map(|step| entry(&images, *step))
        .collect();
    let stage = run.stage();
    let mut waiting: VecDeque<usize> = (0..planned.len()).collect();
    let mut removing = FuturesUnordered::new();
    let mut tally = Tally::new(goal);
    let (mut failures, mut done) = (Vec::new(), 0);
    let mut blind = false;
    loop {
        while removing.len() < run.config.max_parallel_image_removals
            && tally.may_start()
            && let Some(at) = waiting.pop_front()
        {
            let image = &images[plan.remove[at].index];
            // The host's approval may take its time: after it comes the last look.
            let mut verdict = match blind {
                true => Err(Done::Kept(Reason::ListIncomplete)),
                false => begin(run, None, &planned[at], false),
            };
            if verdict.is_ok() && looked_too_long_ago(run, looked) {
                match look_in_time(run, services, memory, &mut look).await {
                    Ok(time) => looked = time,
                    Err(e) => {
                        run.fail(e);
                        blind = true;
                        verdict = Err(Done::Kept(Reason::ListIncomplete));
                    }
                }
            }
            if verdict.is_ok() && look.in_use.uses(image) {
                verdict = Err(Done::Kept(Reason::Changed));
            }
            if run.stop.cause().is_some() {
                verdict = Err(Done::Kept(Reason::NotReached));
            }
            match verdict {
                Err(result) => {
                    stage.ended(at, planned[at].clone(), result);
                    done += 1;
                }
                Ok(()) => {
                    tally.started(image.size);
                    removing.push(async move { (at, remove(run, services, image).await) });
                }
            }
        }
        let Some((at, result)) = removing.next().await else {
            break;
        };
        let image = &images[plan.remove[at].index];
        tally.ended(image.size, result == Done::Removed);
        if result == Done::Removed && !run.dry_run {
            memory.records.forget(image);
        }
        // What was in flight when the pass was told to end is no failing removal (S6.5).
        if let Done::Failed(error) = &result
            && run.stop.cause().is_none()
        {
            failures.push(error.clone());
        }
        stage.ended(at, planned[at].clone(), result);
        done += 1;
        let sizes = waiting.iter().map(|at| images[plan.remove[*at].index].size);
        let to_go = removing.len() + tally.still_needed(sizes);
        run.progress(Kind::Image, done, done + to_go);
    }
    let rest = match run.stop.cause() {
        Some(_) if !tally.satisfied() => Reason::NotReached,
        _ => Reason::EnoughFreed,
    };
    for at in waiting {
        stage.ended(at, planned[at].clone(), Done::Kept(rest));
    }
    stage.arrange();
    for step in &plan.keep {
        run.record(entry(&images, *step), Done::Kept(step.reason));
    }
    conclude(run, &tally, &failures);
    tally.freed()
}

/// Looks again who uses images; a look that is too old when it arrives is none (S5.2).
async fn look_in_time(
    run: &Run<'_>,
    services: &Services<'_>,
    memory: &mut ImageMemory,
    look: &mut ImageLook,
) -> Result<Boot> {
    let time = image_look::look_again(run, services, memory, look).await?;
    match looked_too_long_ago(run, time) {
        false => Ok(time),
        true => Err(Error::new(
            Status::Timeout,
            format!(
                "asking the runtime who uses images takes longer than evidence-max-age ({:?}), so no answer is fresh enough to remove by; set a longer one, or see why the runtime is slow",
                run.config.evidence_max_age
            ),
        )),
    }
}

fn looked_too_long_ago(run: &Run<'_>, looked: Boot) -> bool {
    Boot::now().since(looked) > run.config.evidence_max_age
}

async fn remove(run: &Run<'_>, services: &Services<'_>, image: &Image) -> Done {
    if run.dry_run {
        return Done::Removed;
    }
    match services.images.remove_image(image).await {
        Ok(()) => Done::Removed,
        Err(CallError::NotBegun(_) | CallError::GivenUp(_)) => Done::Kept(Reason::NotReached),
        Err(e) => {
            let doing = format!("cannot remove image {}", visible(&image.id));
            Done::Failed(e.story(&doing, services.images.endpoint))
        }
    }
}

/// S5.9: errors of removals fail the pass; without any, freeing less than wanted does.
fn conclude(run: &Run<'_>, tally: &Tally, failures: &[String]) {
    ended(run);
    if !failures.is_empty() {
        let shown: Vec<&str> = failures.iter().take(SHOWN).map(String::as_str).collect();
        let mut message = shown.join("; ");
        if failures.len() > SHOWN {
            message += &format!("; and {} more, see the report", failures.len() - SHOWN);
        }
        return run.fail(Error::new(Status::Runtime, message));
    }
    if run.has_failed() {
        return;
    }
    if let Some((wanted, freed)) = tally.shortfall() {
        let message = format!(
            "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only found {freed} bytes eligible to free."
        );
        event(run.hooks, "FreeDiskSpaceFailed", &message);
        run.fail(Error::new(Status::NotEnoughFreed, message));
    }
}

fn entry(images: &[Image], step: Step) -> Entry {
    Entry {
        reason: step.reason,
        ..image_look::entry(&images[step.index])
    }
}
