//! S1: look, ask, decide, carry out; part by part where the list does not fit a message (S7.3).

use super::container_removal::ContainerRemover;
use super::evidence::Evidence;
use super::fate::trouble;
use super::later::Round;
use super::log_place::likely_wrong;
use super::parts::{Arrived, End, Place, Walk, all_sandboxes, pods_of};
use super::removals::{Remover, carry_out};
use super::rooms::Rooms;
use super::run::{QUESTIONS, Run};
use super::slots::Slots;
use super::stops::Stops;
use crate::cri::client::Runtime;
use crate::cri::list::{Listed, TooLarge};
use crate::cri::{CallError, List};
use crate::error::Result;
use crate::host::clock::Boot;
use crate::node::{Container, ContainerState, Sandbox, Snapshot, Text};
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
    run: &Run<'_>,
    runtime: &Runtime<'_>,
    rooms: &Rooms,
    stops: &Stops<'_>,
) -> Left {
    let (containers, sandboxes) =
        tokio::join!(runtime.list::<Container>(), all_sandboxes(run, runtime));
    if let Some(e) = runtime.lost() {
        // In place of what both lists say of it.
        run.fail(e);
        return Left::Changed;
    }
    let stage = Stage::new(run, runtime, rooms, stops);
    // The first error in the order of the pass gives its status.
    if let Err(e) = &containers {
        run.fail(e.clone());
    }
    let sandboxes = sandboxes.map_err(|e| run.fail(e)).ok();
    match containers {
        Err(_) => {}
        Ok(Listed::Whole(containers)) => {
            let mut look = Snapshot::new(containers, sandboxes);
            if stage.all(&mut look, &HashSet::new()).await && look.sandboxes.is_some() {
                return Left::Untouched(look);
            }
        }
        Ok(Listed::TooLarge(refusal)) => {
            let seen = Parts::new(stage, refusal, sandboxes).collect().await;
            return seen.map_or(Left::Changed, Left::Short);
        }
    }
    Left::Changed
}

/// S1 of what was put off, and of what has been stopped meanwhile (S2.3): decided on once more, over another look.
pub(super) async fn late_containers(
    run: &Run<'_>,
    runtime: &Runtime<'_>,
    rooms: &Rooms,
    stops: &Stops<'_>,
    mut look: Snapshot,
) {
    let mut stage = Stage::new(run, runtime, rooms, stops);
    // S1.6 was decided over all that there were; what went since is not to make room for the others.
    stage.policy.total = stage.policy.total.map(|_| 0);
    let put_off = run.later.put_off(Kind::Container);
    let is_there: HashSet<Text> = look.containers.iter().map(|c| c.id.clone()).collect();
    if !look.partial {
        let is_there = |id: &Text| is_there.contains(id);
        run.later.settle_gone(run, Kind::Container, is_there);
    }
    for c in &mut look.containers {
        // Until a moment ago it may have been writing its log.
        if c.state == ContainerState::Exited && run.later.was_stopped(&c.id) {
            c.state = ContainerState::Unknown;
        }
        c.finished_at = run.later.ends.borrow().get(&c.id).copied();
    }
    let mut done = run.later.tried.take();
    done.retain(|id| !put_off.contains(id));
    stage.all(&mut look, &done).await;
    run.later.tried.borrow_mut().extend(done);
}

/// What the looks of S1 share.
struct Stage<'a, 'p> {
    run: &'a Run<'a>,
    runtime: &'a Runtime<'a>,
    rooms: &'a Rooms,
    stops: &'a Stops<'p>,
    policy: ContainerPolicy,
    slots: Slots,
}

/// What a look led to.
struct Outcome {
    /// IDs that were to go.
    tried: HashSet<Text>,
    /// Those that went.
    gone: HashSet<Text>,
}

impl<'a, 'p> Stage<'a, 'p> {
    fn new(
        run: &'a Run<'a>,
        runtime: &'a Runtime<'a>,
        rooms: &'a Rooms,
        stops: &'a Stops<'p>,
    ) -> Stage<'a, 'p> {
        Stage {
            run,
            runtime,
            rooms,
            stops,
            policy: ContainerPolicy::from(run.config),
            slots: Slots::new(run, run.config.max_parallel_removals),
        }
    }

    /// Decides over a look and carries out; IDs in `done` have had their turn. What stays is written down if `report_kept`.
    async fn collect(
        &self,
        look: &mut Snapshot,
        policy: &ContainerPolicy,
        done: &HashSet<Text>,
        report_kept: bool,
    ) -> Outcome {
        let run = self.run;
        if policy.asks_for_ends() {
            self.ask_for_ends(&mut look.containers).await;
        }
        let look = &*look;
        let evidence = Evidence::ask(run, look, []);
        let mut plan = evidence.with(|pods| plan::containers::plan(look, pods, policy, run.now));
        let is_new = |step: &Step<'_, Container>| !done.contains(&step.object.id);
        plan.remove.retain(is_new);
        plan.keep.retain(|step| report_kept && is_new(step));
        if run.later.round.get() == Round::Again {
            let reasons = run.later.reasons(Kind::Container);
            plan.stand_by(|c| reasons.get(&c.id).copied());
        }
        if !plan.remove.is_empty() && self.logs_are_lost(look).await {
            match report_kept {
                true => plan.spare(Reason::NotReached, |_| true),
                false => plan.remove.clear(),
            }
        }
        let to_go = plan.remove.iter().map(|step| step.object.id.clone());
        let tried: HashSet<Text> = to_go.collect();
        run.later.tried.borrow_mut().extend(tried.iter().cloned());
        let of_tried = look.containers.iter().filter(|c| tried.contains(&c.id));
        let ends = of_tried.filter_map(|c| Some((c.id.clone(), c.finished_at?)));
        run.later.ends.borrow_mut().extend(ends);
        let remover = ContainerRemover::new(run, self.runtime, self.rooms, look);
        self.stop(look, &mut plan, &remover);
        let gone = carry_out(run, &evidence, plan, &self.slots, &remover).await;
        if run.later.round.get() == Round::Again {
            gone.iter().for_each(|c| run.later.emptied(c));
        }
        Outcome {
            tried,
            gone: gone.into_iter().map(|c| c.id.clone()).collect(),
        }
    }

    /// S2.3: UNKNOWN ones are stopped first, and not waited for.
    fn stop(
        &self,
        look: &Snapshot,
        plan: &mut Plan<'_, Container>,
        remover: &ContainerRemover<'_>,
    ) {
        let run = self.run;
        if run.dry_run {
            return;
        }
        let is_up = |step: &Step<'_, Container>| {
            let c = step.object;
            c.state == ContainerState::Unknown && !run.later.was_stopped(&c.id)
        };
        if run.later.round.get() == Round::Again {
            // It was not UNKNOWN before: the next pass looks again.
            return plan.spare(Reason::Changed, is_up);
        }
        let up = plan.remove.extract_if(.., |step| is_up(step));
        let planned = up.map(|step| {
            run.later.awaits_stop(step.object);
            let planned = remover.planned(step.object, step.reason);
            (planned, step.object.clone())
        });
        self.stops.add(look, planned.collect());
    }

    /// S2.4: whether a removal would lose track of logs, or take others: the directories are mixed up, or the key is wrong. The pass
    /// fails for that.
    async fn logs_are_lost(&self, look: &Snapshot) -> bool {
        if self.rooms.nested {
            return true;
        }
        let wrong = likely_wrong(self.run, self.runtime, self.rooms, look).await;
        wrong.map(|e| self.run.fail(e)).is_some()
    }

    /// The whole list at once. What has had its turn counts as done for the limits (S1.8). True = nothing was to go, and the look
    /// is as it was.
    async fn all(&self, look: &mut Snapshot, done: &HashSet<Text>) -> bool {
        if !look.partial {
            let is_there: HashSet<&Text> = look.containers.iter().map(|c| &c.id).collect();
            let run = self.run;
            run.attempts
                .keep_only(Kind::Container, |id| is_there.contains(id));
        }
        look.containers
            .retain(|c| !done.contains(&c.id) || !plan::containers::is_candidate_state(c));
        let outcome = self.collect(look, &self.policy, done, true).await;
        outcome.tried.is_empty() && done.is_empty() && !self.policy.asks_for_ends()
    }

    /// S1.2 with `container-age-from` = `finished`: when each candidate ended. One that cannot be asked about is kept.
    async fn ask_for_ends(&self, containers: &mut [Container]) {
        let unfinished = self.run.attempts.unfinished;
        // At the end of the pass nothing else can go.
        let later = &self.run.later;
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
        let looks: Vec<_> = stream::iter(unasked)
            .map(|c| async move {
                let look = self.runtime.container_status(&c.id).await;
                (c, look)
            })
            .buffer_unordered(QUESTIONS)
            .collect()
            .await;
        for (container, look) in looks {
            let now = Boot::now().since_boot();
            match &look {
                // It was not asked this time: what came of the question before still counts.
                Err(CallError::NotBegun(_) | CallError::GivenUp(_)) => {}
                Err(e) if trouble(e).is_some() => {
                    unfinished.borrow_mut().asked_in_vain(&container.id, now);
                }
                _ => unfinished.borrow_mut().answered(&container.id),
            }
            match look {
                Ok(look) if look.finished_at > 0 => container.finished_at = Some(look.finished_at),
                Ok(look) => container.finished_at = Some(look.created_at),
                // Gone already; removing it is a success (S2.5).
                Err(CallError::NotFound(_)) => {}
                // The pass is told to end: nothing goes any more.
                Err(CallError::NotBegun(_)) => {}
                Err(_) => container.readable = false,
            }
        }
    }
}

/// S7.3: the list in parts. Each part's removals are carried out before the next is asked for; once the rest fits a message, or
/// all parts together are the whole list, S1 goes on as over any list.
struct Parts<'a, 'p> {
    stage: Stage<'a, 'p>,
    walk: Walk<'a>,
    sandboxes: Option<Vec<Sandbox>>,
    /// What runs, of all parts: which pods are active has to be known before anything goes for a pod's sake (S0.4).
    running: Vec<Container>,
    /// What came of the namespace at hand and was not looked at yet.
    small: Vec<Container>,
    /// The same of namespaces that are whole in one part.
    alone: Vec<Container>,
    /// What was seen of the namespace at hand, did not run and is still there.
    namespace: Vec<Container>,
    /// The same of those before.
    rest: Vec<Container>,
    /// What has had its turn.
    done: HashSet<Text>,
    /// Looks in which something was put off, and whether they are partial.
    put_off: Vec<(Vec<Container>, bool)>,
}

impl<'a, 'p> Parts<'a, 'p> {
    fn new(
        stage: Stage<'a, 'p>,
        refusal: TooLarge,
        sandboxes: Option<Vec<Sandbox>>,
    ) -> Parts<'a, 'p> {
        let pods = pods_of(sandboxes.as_deref().unwrap_or_default());
        Parts {
            walk: Walk::new(stage.run, stage.runtime, refusal, pods, List::Containers),
            stage,
            sandboxes,
            running: Vec::new(),
            small: Vec::new(),
            alone: Vec::new(),
            namespace: Vec::new(),
            rest: Vec::new(),
            done: HashSet::new(),
            put_off: Vec::new(),
        }
    }

    /// What was seen, if that is not the whole list in the end.
    async fn collect(mut self) -> Option<Snapshot> {
        let run = self.stage.run;
        let end = match self.walk().await {
            Ok(Some(rows)) => Ok(End::Fits(rows)),
            Ok(None) => self.walk.end().await,
            Err(e) => Err(e),
        };
        match end {
            Ok(End::Fits(rows)) => self.all(rows).await,
            Ok(End::AllSeen) => {
                let rows = self.seen();
                self.all(rows).await;
            }
            Ok(End::Short(e)) | Err(e) => {
                run.fail(e);
                self.again().await;
                return Some(self.incomplete().await);
            }
        }
        None
    }

    /// Part after part; the whole list, if it came to fit a message on the way.
    async fn walk(&mut self) -> Result<Option<Vec<Container>>> {
        let run = self.stage.run;
        match self.stage.runtime.list_running().await? {
            Listed::Whole(answer) => self.running = self.walk.take(answer),
            Listed::TooLarge(refusal) => return Err(refusal.error),
        }
        while let Some(arrived) = self.walk.next::<Container>().await? {
            if !self.part(arrived).await {
                continue;
            }
            if let Some(cause) = run.stop.cause() {
                return Err(cause.error());
            }
            if !run.dry_run
                && self.walk.account.whole_may_fit()
                && let Some(rows) = self.walk.whole().await?
            {
                return Ok(Some(rows));
            }
        }
        self.namespaces_alone().await;
        let in_use = self.walk.in_use::<Container>().await?;
        self.rest.extend(in_use);
        Ok(None)
    }

    /// One part. Units are whole in it, pods only once all parts of their namespace are there. Small parts are looked at
    /// together, a quarter of a message at once; false = more of them are awaited.
    async fn part(&mut self, arrived: Arrived<Container>) -> bool {
        let Arrived { mut rows, place } = arrived;
        let enough = self.walk.account.fits() / 4;
        if place == Place::Alone {
            self.alone.append(&mut rows);
            if self.alone.len() < enough {
                return false;
            }
            self.namespaces_alone().await;
            return true;
        }
        self.small.append(&mut rows);
        if place == Place::Among && self.small.len() < enough {
            return false;
        }
        let rows = std::mem::take(&mut self.small);
        let left = self.look(rows, true).await;
        self.namespace.extend(left);
        if let Place::Last(whole) = place {
            let rows = std::mem::take(&mut self.namespace);
            let left = self.look(rows, !whole).await;
            self.rest.extend(left);
        }
        true
    }

    /// Whole namespaces together.
    async fn namespaces_alone(&mut self) {
        let rows = std::mem::take(&mut self.alone);
        if !rows.is_empty() {
            let left = self.look(rows, false).await;
            self.rest.extend(left);
        }
    }

    /// Decides over some containers and carries out; what is left of them.
    async fn look(&mut self, rows: Vec<Container>, partial: bool) -> Vec<Container> {
        let mut containers = rows;
        containers.extend(self.running.iter().cloned());
        let mut look = Snapshot::new(containers, self.sandboxes.take());
        look.partial = partial;
        // S1.6 counts all that there are.
        let policy = ContainerPolicy {
            total: None,
            ..self.stage.policy
        };
        let outcome = self
            .stage
            .collect(&mut look, &policy, &self.done, false)
            .await;
        self.sandboxes = look.sandboxes;
        if !self.stage.run.dry_run {
            outcome.gone.iter().for_each(|id| self.walk.removed(id));
        }
        let put_off = self.stage.run.later.put_off(Kind::Container);
        let tried = outcome.tried.into_iter();
        let (late, done): (Vec<Text>, Vec<Text>) = tried.partition(|id| put_off.contains(id));
        self.done.extend(done);
        let running: HashSet<&Text> = self.running.iter().map(|c| &c.id).collect();
        look.containers
            .retain(|c| !outcome.gone.contains(&c.id) && !running.contains(&c.id));
        if !late.is_empty() {
            self.put_off.push((look.containers.clone(), partial));
        }
        look.containers
    }

    /// The whole list will not be seen: what was put off has its turn in the parts that it was seen in (S0.8).
    async fn again(&mut self) {
        let later = &self.stage.run.later;
        later.round.set(Round::Again);
        for (rows, partial) in std::mem::take(&mut self.put_off) {
            self.look(rows, partial).await;
        }
        later.round.set(Round::First);
        later.forget_emptied();
    }

    /// The whole list is there.
    async fn all(&mut self, rows: Vec<Container>) {
        let mut look = Snapshot::new(rows, self.sandboxes.take());
        self.stage.all(&mut look, &self.done).await;
    }

    /// All that was seen and is still there.
    fn seen(&mut self) -> Vec<Container> {
        let mut rows = std::mem::take(&mut self.running);
        rows.append(&mut self.small);
        rows.append(&mut self.alone);
        rows.append(&mut self.namespace);
        rows.append(&mut self.rest);
        rows
    }

    /// Nobody knows what else there is: what was seen is reported, and nothing goes for the number of all.
    async fn incomplete(&mut self) -> Snapshot {
        let mut look = Snapshot::new(self.seen(), self.sandboxes.take());
        look.partial = true;
        // S2.3: those whose stop may still end are decided on once more at the end of the pass.
        let is_stopping =
            |c: &&Container| c.state == ContainerState::Unknown && self.done.contains(&c.id);
        let stopping: Vec<Container> = look
            .containers
            .iter()
            .filter(is_stopping)
            .cloned()
            .collect();
        self.stage.all(&mut look, &self.done).await;
        look.containers.extend(stopping);
        look
    }
}
