//! S1: look, ask, decide, carry out; part by part where the list does not fit a message (S7.3).

use super::container_removal::ContainerRemover;
use super::context::{Context, QUESTIONS};
use super::fate::trouble;
use super::later::Round;
use super::log_dirs::LogDirs;
use super::log_place::likely_wrong;
use super::pace::Pacing;
use super::parts::{InParts, all_sandboxes};
use super::pod_evidence::Evidence;
use super::removals::{Remover, carry_out};
use super::stops::Stops;
use crate::clock::BootInstant;
use crate::cri::CallError;
use crate::cri::client::Runtime;
use crate::cri::lists::Listed;
use crate::node::{Container, ContainerState, Snapshot, Text};
use crate::plan;
use crate::plan::containers::ContainerPolicy;
use crate::plan::{Plan, Step};
use crate::report::{Kind, Reason};
use futures_util::stream::{self, StreamExt};
use std::collections::HashSet;

/// What S1 leaves to the stages behind it.
pub(super) enum Left {
    /// Nothing was to go: the node is as this look shows it.
    Untouched(Snapshot),
    /// Something went, or should have gone, or the look did not show all.
    Changed,
    /// The list does not fit a message, and not all that is in it was reached; what was seen is this.
    Short(Snapshot),
}

/// S1 of a pass.
pub(super) async fn dead_containers(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
    log_dirs: &LogDirs,
    stops: &Stops<'_>,
) -> Left {
    let (containers, sandboxes) =
        tokio::join!(runtime.containers_at_once(), all_sandboxes(ctx, runtime));
    if let Some(e) = runtime.lost() {
        // In place of what both lists say of it.
        ctx.fail(e);
        return Left::Changed;
    }
    let stage = Stage::new(ctx, runtime, log_dirs, stops);
    // The first error in the order of the pass gives its status.
    if let Err(e) = &containers {
        ctx.fail(e.clone());
    }
    let sandboxes = sandboxes.map_err(|e| ctx.fail(e)).ok();
    match containers {
        Err(_) => {}
        Ok(Listed::Whole(containers)) => {
            let mut snapshot = Snapshot::new(containers, sandboxes);
            if stage.all(&mut snapshot, &HashSet::new()).await && snapshot.sandboxes.is_some() {
                return Left::Untouched(snapshot);
            }
        }
        Ok(Listed::TooLarge(refusal)) => {
            let seen = InParts::new(stage, refusal, sandboxes).collect().await;
            return seen.map_or(Left::Changed, Left::Short);
        }
    }
    Left::Changed
}

/// S1 of what was put off, and of what has been stopped meanwhile (S2.3): decided on once more, over another look.
pub(super) async fn late_containers(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
    log_dirs: &LogDirs,
    stops: &Stops<'_>,
    mut snapshot: Snapshot,
) {
    let mut stage = Stage::new(ctx, runtime, log_dirs, stops);
    // S1.6 was decided over all that there were; what went since is not to make room for the others.
    stage.policy.total = stage.policy.total.map(|_| 0);
    let put_off = ctx.later.put_off(Kind::Container);
    let is_there: HashSet<Text> = snapshot.containers.iter().map(|c| c.id.clone()).collect();
    if !snapshot.partial {
        let is_there = |id: &Text| is_there.contains(id);
        ctx.later.settle_gone(ctx, Kind::Container, is_there);
    }
    for c in &mut snapshot.containers {
        // Until a moment ago it may have been writing its log.
        if c.state == ContainerState::Exited && ctx.later.was_stopped(&c.id) {
            c.state = ContainerState::Unknown;
        }
        c.finished_at = ctx.later.ends.borrow().get(&c.id).copied();
    }
    let mut done = ctx.later.tried.take();
    done.retain(|id| !put_off.contains(id));
    stage.all(&mut snapshot, &done).await;
    ctx.later.tried.borrow_mut().extend(done);
}

/// What the looks of S1 share.
pub(super) struct Stage<'a, 'p> {
    pub(super) ctx: &'a Context<'a>,
    pub(super) runtime: &'a Runtime<'a>,
    log_dirs: &'a LogDirs,
    stops: &'a Stops<'p>,
    pub(super) policy: ContainerPolicy,
    pacing: Pacing,
}

/// What a look led to.
pub(super) struct Outcome {
    /// IDs that were to go.
    pub(super) tried: HashSet<Text>,
    /// Those that went.
    pub(super) gone: HashSet<Text>,
}

impl<'a, 'p> Stage<'a, 'p> {
    fn new(
        ctx: &'a Context<'a>,
        runtime: &'a Runtime<'a>,
        log_dirs: &'a LogDirs,
        stops: &'a Stops<'p>,
    ) -> Stage<'a, 'p> {
        Stage {
            ctx,
            runtime,
            log_dirs,
            stops,
            policy: ContainerPolicy::from(ctx.config),
            pacing: Pacing::new(ctx, ctx.config.max_parallel_removals),
        }
    }

    /// Decides over a look and carries out; IDs in `done` have had their turn. What stays is written down if `report_kept`.
    pub(super) async fn collect(
        &self,
        snapshot: &mut Snapshot,
        policy: &ContainerPolicy,
        done: &HashSet<Text>,
        report_kept: bool,
    ) -> Outcome {
        let ctx = self.ctx;
        if policy.asks_for_ends() {
            self.ask_for_ends(&mut snapshot.containers).await;
        }
        let snapshot = &*snapshot;
        let evidence = Evidence::ask(ctx, snapshot, []);
        let mut plan =
            evidence.with(|pods| plan::containers::plan(snapshot, pods, policy, ctx.now));
        let is_new = |step: &Step<'_, Container>| !done.contains(&step.object.id);
        plan.remove.retain(is_new);
        plan.keep.retain(|step| report_kept && is_new(step));
        if ctx.later.round.get() == Round::Again {
            let reasons = ctx.later.reasons(Kind::Container);
            plan.stand_by(|c| reasons.get(&c.id).copied());
        }
        if !plan.remove.is_empty() && self.logs_are_lost(snapshot).await {
            if report_kept {
                plan.spare(Reason::NotReached, |_| true)
            } else {
                plan.remove.clear()
            }
        }
        let to_go = plan.remove.iter().map(|step| step.object.id.clone());
        let tried: HashSet<Text> = to_go.collect();
        ctx.later.tried.borrow_mut().extend(tried.iter().cloned());
        let of_tried = snapshot.containers.iter().filter(|c| tried.contains(&c.id));
        let ends = of_tried.filter_map(|c| Some((c.id.clone(), c.finished_at?)));
        ctx.later.ends.borrow_mut().extend(ends);
        let remover = ContainerRemover::new(ctx, self.runtime, self.log_dirs, snapshot);
        self.stop(snapshot, &mut plan, &remover);
        let gone = carry_out(ctx, &evidence, plan, &self.pacing, &remover).await;
        if ctx.later.round.get() == Round::Again {
            gone.iter().for_each(|c| ctx.later.emptied(c));
        }
        Outcome {
            tried,
            gone: gone.into_iter().map(|c| c.id.clone()).collect(),
        }
    }

    /// S2.3: UNKNOWN ones are stopped first, and not waited for.
    fn stop(
        &self,
        snapshot: &Snapshot,
        plan: &mut Plan<'_, Container>,
        remover: &ContainerRemover<'_>,
    ) {
        let ctx = self.ctx;
        if ctx.dry_run {
            return;
        }
        let is_up = |step: &Step<'_, Container>| {
            let c = step.object;
            c.state == ContainerState::Unknown && !ctx.later.was_stopped(&c.id)
        };
        if ctx.later.round.get() == Round::Again {
            // It was not UNKNOWN before: the next pass looks again.
            return plan.spare(Reason::Changed, is_up);
        }
        let up = plan.remove.extract_if(.., |step| is_up(step));
        let planned = up.map(|step| {
            ctx.later.awaits_stop(step.object);
            let planned = remover.planned(step.object, step.reason);
            (planned, step.object.clone())
        });
        self.stops.add(snapshot, planned.collect());
    }

    /// S2.4: whether a removal would lose track of logs, or take others: the directories are mixed up, or the key is wrong. The pass
    /// fails for that.
    async fn logs_are_lost(&self, snapshot: &Snapshot) -> bool {
        if self.log_dirs.nested {
            return true;
        }
        let wrong = likely_wrong(self.ctx, self.runtime, self.log_dirs, snapshot).await;
        wrong.map(|e| self.ctx.fail(e)).is_some()
    }

    /// The whole list at once. What has had its turn counts as done for the limits (S1.8). True = nothing was to go, and the look
    /// is as it was.
    pub(super) async fn all(&self, snapshot: &mut Snapshot, done: &HashSet<Text>) -> bool {
        if !snapshot.partial {
            let is_there: HashSet<&Text> = snapshot.containers.iter().map(|c| &c.id).collect();
            let ctx = self.ctx;
            ctx.attempts
                .keep_only(Kind::Container, |id| is_there.contains(id));
        }
        snapshot
            .containers
            .retain(|c| !done.contains(&c.id) || !plan::containers::is_candidate_state(c));
        let outcome = self.collect(snapshot, &self.policy, done, true).await;
        outcome.tried.is_empty() && done.is_empty() && !self.policy.asks_for_ends()
    }

    /// S1.2 with `container-age-from` = `finished`: when each candidate ended. One that cannot be asked about is kept.
    async fn ask_for_ends(&self, containers: &mut [Container]) {
        let unfinished = self.ctx.attempts.unfinished;
        // At the end of the pass nothing else can go.
        let later = &self.ctx.later;
        let put_off = later.put_off(Kind::Container);
        let is_due = |id: &Text| later.round.get() == Round::First || put_off.contains(id);
        let mut unasked: Vec<_> = containers
            .iter_mut()
            .filter(|c| {
                // In parts a container may be looked at more than once.
                let asked = c.finished_at.is_some() || !c.readable;
                !asked && plan::containers::is_candidate_state(c) && is_due(&c.id)
            })
            .collect();
        // S0.8: questions that got no answer come last.
        unasked.sort_by_key(|c| unfinished.borrow().question(&c.id));
        let statuses: Vec<_> = stream::iter(unasked)
            .map(|c| async move {
                let status = self.runtime.container_status(&c.id).await;
                (c, status)
            })
            .buffer_unordered(QUESTIONS)
            .collect()
            .await;
        for (container, status) in statuses {
            let now = BootInstant::now().since_boot();
            match &status {
                // It was not asked this time: what came of the question before still counts.
                Err(CallError::NotBegun(_) | CallError::GivenUp(_)) => {}
                Err(e) if trouble(e).is_some() => {
                    unfinished.borrow_mut().asked_in_vain(&container.id, now);
                }
                _ => unfinished.borrow_mut().answered(&container.id),
            }
            match status {
                Ok(status) if status.finished_at > 0 => {
                    container.finished_at = Some(status.finished_at)
                }
                Ok(status) => container.finished_at = Some(status.created_at),
                // Gone already; removing it is a success (S2.5).
                Err(CallError::NotFound(_)) => {}
                // The pass is told to end: nothing goes any more.
                Err(CallError::NotBegun(_)) => {}
                Err(_) => container.readable = false,
            }
        }
    }
}
