//! S1: list, ask the host, decide, carry out; part by part if the list does not fit a message (S7.3).

use super::container_removal::ContainerRemover;
use super::containers::ContainerPass;
use super::context::QUESTIONS;
use super::fate::trouble;
use super::later::Round;
use super::log_place::likely_wrong;
use super::one_pod;
use super::pace::Pace;
use super::parts::{InParts, all_sandboxes};
use super::pod_evidence::Evidence;
use super::removals::{Remover, carry_out};
use crate::clock::BootInstant;
use crate::cri::CallError;
use crate::cri::lists::Listed;
use crate::node::{Container, ContainerState, Snapshot, Text};
use crate::plan;
use crate::plan::containers::{ContainerPolicy, is_candidate_state};
use crate::plan::{Plan, Step};
use crate::report::{Kind, Reason};
use futures_util::stream::{self, StreamExt};
use std::collections::HashSet;

/// S1 of a pass. Returns its snapshot if that shows the whole node and nothing was to be removed.
pub(super) async fn dead_containers(pass: &ContainerPass<'_, '_>) -> Option<Snapshot> {
    let (ctx, runtime) = (pass.ctx, pass.runtime);
    let (containers, sandboxes) = match ctx.pod {
        Some(pod) => {
            let (containers, sandboxes) = one_pod::lists(runtime, pod).await;
            (containers.map(Listed::Whole), sandboxes)
        }
        None => tokio::join!(runtime.containers_at_once(), all_sandboxes(ctx, runtime)),
    };
    if let Some(e) = runtime.lost() {
        // One error instead of one for each list.
        ctx.fail(e);
        return None;
    }
    // The first error in the order of the pass gives its status.
    let containers = ctx.ok(containers);
    let sandboxes = ctx.ok(sandboxes);
    let stage = Stage::new(pass);
    match containers? {
        Listed::Whole(containers) => {
            let mut snapshot = Snapshot::new(containers, sandboxes);
            let is_unchanged = stage.all(&mut snapshot, &HashSet::new()).await;
            (is_unchanged && snapshot.sandboxes.is_some()).then_some(snapshot)
        }
        Listed::TooLarge(refusal) => {
            if let Some(seen) = InParts::new(stage, refusal, sandboxes).collect().await {
                let _ = pass.incomplete.set(seen);
            }
            None
        }
    }
}

/// S1 of what was postponed, and of what has been stopped meanwhile (S2.3): decided once more, over another snapshot.
pub(super) async fn late_containers(pass: &ContainerPass<'_, '_>, mut snapshot: Snapshot) {
    let ctx = pass.ctx;
    let mut stage = Stage::new(pass);
    // S1.6 was decided over all containers of the first list; those removed since must not let others be kept.
    stage.policy.total = stage.policy.total.map(|_| 0);
    stage.policy.late = true;
    let postponed = ctx.later.put_off(Kind::Container);
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
    done.retain(|id| !postponed.contains(id));
    stage.all(&mut snapshot, &done).await;
    ctx.later.tried.borrow_mut().extend(done);
}

/// S1 over one snapshot after another, with what they share.
pub(super) struct Stage<'a, 'p> {
    pub(super) pass: &'a ContainerPass<'a, 'p>,
    pub(super) policy: ContainerPolicy,
}

/// The IDs of containers that S1 removes by one snapshot.
pub(super) struct Collected {
    /// All that were to be removed.
    pub(super) tried: HashSet<Text>,
    pub(super) removed: HashSet<Text>,
}

impl<'a, 'p> Stage<'a, 'p> {
    fn new(pass: &'a ContainerPass<'a, 'p>) -> Stage<'a, 'p> {
        let mut policy = ContainerPolicy::from(pass.ctx.config);
        if pass.ctx.pod.is_some() {
            // S1.6 counts all containers of the node.
            policy.total = None;
        }
        Stage { pass, policy }
    }

    /// Decides over a snapshot and carries out. IDs in `done` have been handled before. Kept ones are reported if `report_kept`.
    pub(super) async fn collect(
        &self,
        snapshot: &mut Snapshot,
        policy: &ContainerPolicy,
        done: &HashSet<Text>,
        report_kept: bool,
    ) -> Collected {
        let ctx = self.pass.ctx;
        let later = &ctx.later;
        if policy.asks_for_ends() {
            self.ask_for_ends(&mut snapshot.containers).await;
        }
        let snapshot = &*snapshot;
        let evidence = Evidence::ask(ctx, snapshot, []);
        let mut plan =
            evidence.with(|pods| plan::containers::plan(snapshot, pods, policy, ctx.now));
        plan.only(|c| ctx.covers(c.uid()));
        let is_new = |step: &Step<'_, Container>| !done.contains(&step.object.id);
        plan.remove.retain(is_new);
        plan.keep.retain(|step| report_kept && is_new(step));
        let is_second_round = later.round.get() == Round::Again;
        if is_second_round {
            let reasons = later.reasons(Kind::Container);
            plan.stand_by(|c| reasons.get(&c.id).cloned());
        }
        if !plan.remove.is_empty() && self.logs_are_lost(snapshot).await {
            if report_kept {
                plan.spare(Reason::NotReached, |_| true)
            } else {
                plan.remove.clear()
            }
        }
        let objects = plan.remove.iter().map(|step| step.object);
        let tried: HashSet<Text> = objects.clone().map(|c| c.id.clone()).collect();
        later.tried.borrow_mut().extend(tried.iter().cloned());
        let ends = objects.filter_map(|c| Some((c.id.clone(), c.finished_at?)));
        later.ends.borrow_mut().extend(ends);
        let remover = ContainerRemover::new(self.pass, snapshot);
        self.stop(snapshot, &mut plan, &remover);
        let removed = carry_out(
            ctx,
            &evidence,
            plan,
            &Pace::new(ctx, Kind::Container),
            &remover,
        )
        .await;
        if is_second_round {
            removed.iter().for_each(|c| later.emptied(c));
        }
        Collected {
            tried,
            removed: removed.into_iter().map(|c| c.id.clone()).collect(),
        }
    }

    /// S2.3: UNKNOWN containers are stopped first. The stage does not wait for them.
    fn stop(
        &self,
        snapshot: &Snapshot,
        plan: &mut Plan<'_, Container>,
        remover: &ContainerRemover<'_, '_>,
    ) {
        let ctx = self.pass.ctx;
        if ctx.dry_run {
            return;
        }
        let is_up = |step: &Step<'_, Container>| {
            let c = step.object;
            c.state == ContainerState::Unknown && !ctx.later.was_stopped(&c.id)
        };
        if ctx.later.round.get() == Round::Again {
            // It was not UNKNOWN before: the next pass decides again.
            return plan.spare(Reason::Changed, is_up);
        }
        let up = plan.remove.extract_if(.., |step| is_up(step));
        let planned = up.map(|step| {
            ctx.later.awaits_stop(step.object);
            (remover.of_step(&step), step.object.clone())
        });
        self.pass.stops.add(snapshot, planned.collect());
    }

    /// S2.4: whether a removal would leave logs that nothing refers to, or delete those of others, because the directories are mixed up, or
    /// the key is wrong. The pass fails for that.
    async fn logs_are_lost(&self, snapshot: &Snapshot) -> bool {
        if self.pass.log_dirs.nested {
            return true;
        }
        let wrong = likely_wrong(self.pass, snapshot).await;
        wrong.map(|e| self.pass.ctx.fail(e)).is_some()
    }

    /// The whole list at once. What has been handled before counts as done for the limits (S1.8). True = nothing was to be removed, and the
    /// snapshot is as it was.
    pub(super) async fn all(&self, snapshot: &mut Snapshot, done: &HashSet<Text>) -> bool {
        if !snapshot.partial {
            let is_there: HashSet<&Text> = snapshot.containers.iter().map(|c| &c.id).collect();
            let attempts = &self.pass.ctx.attempts;
            attempts.keep_only(Kind::Container, |id| is_there.contains(id));
        }
        let containers = &mut snapshot.containers;
        containers.retain(|c| !done.contains(&c.id) || !is_candidate_state(c));
        let collected = self.collect(snapshot, &self.policy, done, true).await;
        collected.tried.is_empty() && done.is_empty() && !self.policy.asks_for_ends()
    }

    /// S1.2, S1.9 with `container-age-from` = `finished`: asks when each candidate ended. One that cannot be asked about is kept.
    async fn ask_for_ends(&self, containers: &mut [Container]) {
        let unfinished = self.pass.ctx.attempts.unfinished;
        // At the end of the pass nothing else can be removed.
        let later = &self.pass.ctx.later;
        let postponed = later.put_off(Kind::Container);
        let is_due = |id: &Text| later.round.get() == Round::First || postponed.contains(id);
        let unasked: Vec<_> = containers
            .iter_mut()
            .filter(|c| {
                // In parts a container may be listed more than once.
                let asked = c.finished_at.is_some() || !c.readable;
                let is_candidate = is_candidate_state(c) && self.pass.ctx.covers(c.uid());
                !asked && is_candidate && is_due(&c.id)
            })
            .collect();
        let unasked = plan::order::questions(unasked, |c| &c.id, &unfinished.borrow());
        let statuses: Vec<_> = stream::iter(unasked)
            .map(|c| async move {
                let status = self.pass.runtime.container_status(&c.id).await;
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
                // It has been removed already, which is a success (S2.5); or the pass has to end, and removes nothing any more.
                Err(CallError::NotFound(_) | CallError::NotBegun(_)) => {}
                Err(_) => container.readable = false,
            }
        }
    }
}
