//! S1: look, ask, decide, carry out; part by part where the list does not fit a message (S7.3).

use super::container_removal::ContainerRemover;
use super::evidence::Evidence;
use super::log_place::likely_wrong;
use super::parts::{Arrived, End, Place, Walk, all_sandboxes, pods_of};
use super::removals::carry_out;
use super::rooms::Rooms;
use super::run::{QUESTIONS, Run};
use super::slots::Slots;
use crate::cri::client::Runtime;
use crate::cri::list::{Listed, TooLarge};
use crate::cri::{CallError, List};
use crate::error::Result;
use crate::node::{Container, Sandbox, Snapshot, Text};
use crate::plan;
use crate::plan::Step;
use crate::plan::containers::ContainerPolicy;
use crate::report::Reason;
use futures_util::stream::{self, StreamExt};
use std::collections::HashSet;

/// What S1 leaves to the stages behind it.
pub(super) enum Left {
    /// Nothing was to go: the node is as this look shows it.
    Untouched(Snapshot),
    /// Something went, or should have gone, or the look did not show all.
    Changed,
    /// The list does not fit a message, and not all that is in it was reached.
    Short,
}

/// S1 of a pass.
pub(super) async fn dead_containers(run: &Run<'_>, runtime: &Runtime<'_>, rooms: &Rooms) -> Left {
    let (containers, sandboxes) =
        tokio::join!(runtime.list::<Container>(), all_sandboxes(run, runtime));
    if let Some(e) = runtime.lost() {
        // In place of what both lists say of it.
        run.fail(e);
        return Left::Changed;
    }
    let stage = Stage {
        run,
        runtime,
        rooms,
        policy: ContainerPolicy::from(run.config),
        slots: Slots::new(run, run.config.max_parallel_removals),
    };
    let sandboxes = sandboxes.map_err(|e| run.fail(e)).ok();
    match containers {
        Err(e) => run.fail(e),
        Ok(Listed::Whole(containers)) => {
            let mut look = Snapshot::new(containers, sandboxes);
            if stage.all(&mut look, &HashSet::new()).await && look.sandboxes.is_some() {
                return Left::Untouched(look);
            }
        }
        Ok(Listed::TooLarge(refusal)) => {
            let whole = Parts::new(stage, refusal, sandboxes).collect().await;
            return if whole { Left::Changed } else { Left::Short };
        }
    }
    Left::Changed
}

/// What the looks of S1 share.
struct Stage<'a> {
    run: &'a Run<'a>,
    runtime: &'a Runtime<'a>,
    rooms: &'a Rooms,
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

impl Stage<'_> {
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
        let id = |index: usize| &look.containers[index].id;
        plan.remove.retain(|step| !done.contains(id(step.index)));
        plan.keep
            .retain(|step| report_kept && !done.contains(id(step.index)));
        if !plan.remove.is_empty() && self.logs_are_lost(look).await {
            let stays = plan.remove.drain(..).map(|step| Step {
                reason: Reason::NotReached,
                ..step
            });
            plan.keep.extend(stays.filter(|_| report_kept));
        }
        let remover = ContainerRemover::new(run, self.runtime, self.rooms, look);
        let gone = carry_out(
            run,
            &evidence,
            &look.containers,
            &plan,
            &self.slots,
            &remover,
        )
        .await;
        let of_plan = |at: usize| id(plan.remove[at].index).clone();
        Outcome {
            tried: (0..plan.remove.len()).map(of_plan).collect(),
            gone: gone.into_iter().map(of_plan).collect(),
        }
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
        look.containers
            .retain(|c| !done.contains(&c.id) || !plan::containers::is_candidate_state(c));
        let outcome = self.collect(look, &self.policy, done, true).await;
        outcome.tried.is_empty() && done.is_empty() && !self.policy.asks_for_ends()
    }

    /// S1.2 with `container-age-from` = `finished`: when each candidate ended. One that cannot be asked about is kept.
    async fn ask_for_ends(&self, containers: &mut [Container]) {
        let looks: Vec<_> = stream::iter(containers.iter_mut())
            .filter(|c| {
                // In parts a container may be looked at more than once.
                let asked = c.finished_at.is_some() || !c.readable;
                std::future::ready(!asked && plan::containers::is_candidate_state(c))
            })
            .map(|c| async move {
                let look = self.runtime.container_status(&c.id).await;
                (c, look)
            })
            .buffer_unordered(QUESTIONS)
            .collect()
            .await;
        for (container, look) in looks {
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
struct Parts<'a> {
    stage: Stage<'a>,
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
}

impl<'a> Parts<'a> {
    fn new(stage: Stage<'a>, refusal: TooLarge, sandboxes: Option<Vec<Sandbox>>) -> Parts<'a> {
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
        }
    }

    /// True = in the end the whole list was seen.
    async fn collect(mut self) -> bool {
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
                self.incomplete().await;
                return false;
            }
        }
        true
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
            total: -1,
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
        self.done.extend(outcome.tried);
        let running: HashSet<&Text> = self.running.iter().map(|c| &c.id).collect();
        look.containers
            .retain(|c| !outcome.gone.contains(&c.id) && !running.contains(&c.id));
        look.containers
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
    async fn incomplete(&mut self) {
        let mut look = Snapshot::new(self.seen(), self.sandboxes.take());
        look.partial = true;
        self.stage.all(&mut look, &self.done).await;
    }
}
