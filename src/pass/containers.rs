//! A pass over dead containers, sandboxes and logs, from look to report: S1 to S4, stage by stage.

use super::dead_containers::{Left, dead_containers, late_containers};
use super::defects::stage;
use super::evidence::{self, Evidence};
use super::later::Round;
use super::logs;
use super::parts::{all_containers, all_sandboxes};
use super::removals::carry_out;
use super::rooms::Rooms;
use super::run::Run;
use super::sandboxes::SandboxRemover;
use super::slots::Slots;
use super::stops::Stops;
use crate::cri::Learnt;
use crate::cri::client::{self, Runtime};
use crate::node::{Snapshot, Text};
use crate::plan::{self, Plan};
use crate::report::Kind;
use std::cell::OnceCell;
use std::collections::HashSet;

/// Runs the pass; what fails is in the run.
pub(crate) async fn pass(run: &Run<'_>, learnt: &Learnt) {
    let runtime = match client::runtime(run.config, run.stop, learnt).await {
        Ok(runtime) => runtime,
        Err(e) => return run.fail(e),
    };
    learnt.renew(&runtime).await;
    let rooms = Rooms::open(run);
    stages(run, &runtime, &rooms).await;
    rooms.tell(run);
    evidence::tell_of_stamps(run);
    learnt.sign(&runtime).await;
    if let Some(defect) = runtime.defect() {
        run.fail(defect);
    }
    ended(run);
}

async fn stages(run: &Run<'_>, runtime: &Runtime<'_>, rooms: &Rooms) {
    // The question for its version may have been the first one.
    if let Some(e) = runtime.lost() {
        return run.fail(e);
    }
    let stops = Stops::new(run, runtime);
    let stages = Stages {
        run,
        runtime,
        rooms,
        stops: &stops,
        short: OnceCell::new(),
    };
    // Large futures lie on the heap.
    stops.beside(Box::pin(stages.first())).await;
    run.later.round.set(Round::Again);
    stops.beside(Box::pin(stages.again())).await;
    stops.wait().await;
    Box::pin(stages.late()).await;
    run.later.close(run);
    if let Some(e) = runtime.giving_up().filter(|_| !ended(run)) {
        run.fail(e);
    }
}

/// The stages of one pass.
struct Stages<'a, 'p> {
    run: &'a Run<'a>,
    runtime: &'a Runtime<'a>,
    rooms: &'a Rooms,
    stops: &'a Stops<'p>,
    /// What S1 saw of a list that was not reached in whole.
    short: OnceCell<Snapshot>,
}

impl Stages<'_, '_> {
    /// Whether the pass is to go on. A service that shows none at its first call is asked nothing more (S6.5).
    fn goes_on(&self) -> bool {
        !ended(self.run) && self.runtime.lost().is_none()
    }

    /// Stage by stage, what was never begun (S0.8).
    async fn first(&self) {
        let Stages {
            run,
            runtime,
            rooms,
            stops,
            ..
        } = *self;
        let left = stage(run, dead_containers(run, runtime, rooms, stops)).await;
        run.later.round.set(Round::First);
        // What is left by a defect is not known.
        let look = match left.unwrap_or(Left::Changed) {
            Left::Untouched(look) => Some(Look::first(look)),
            Left::Changed => None,
            Left::Short(seen) => {
                let _ = self.short.set(seen);
                None
            }
        };
        if self.goes_on() {
            self.behind(look).await;
        }
    }

    /// S3 and S4; over a look that stands already, if there is one.
    async fn behind(&self, look: Option<Look>) {
        let Stages {
            run,
            runtime,
            rooms,
            ..
        } = *self;
        let mut look = match look {
            Some(look) => look,
            None => self.look().await,
        };
        if !self.goes_on() {
            return;
        }
        if let Some(Err(Stale)) = stage(run, sandboxes(run, runtime, &look)).await {
            look = self.look().await;
            if !self.goes_on() {
                return;
            }
            let _ = stage(run, sandboxes(run, runtime, &look)).await;
        }
        // Nothing of logs that may be another's (S2.4).
        if rooms.nested {
            return;
        }
        let mut trees = stage(run, logs::trees(run, rooms, &look)).await;
        if let Some(Err(Stale)) = trees {
            look = self.look().await;
            if !self.goes_on() {
                return;
            }
            trees = stage(run, logs::trees(run, rooms, &look)).await;
        }
        if trees == Some(Ok(true)) {
            stage(run, logs::links(run, runtime, rooms, &look)).await;
        }
    }

    /// What was put off: the kind first of which something was tried least recently (S0.8).
    async fn again(&self) {
        let Stages {
            run,
            runtime,
            rooms,
            ..
        } = *self;
        for kind in run.later.kinds(run) {
            if !self.goes_on() {
                return;
            }
            match kind {
                Kind::Container => self.containers().await,
                Kind::Sandbox => {
                    let look = self.look().await;
                    let _ = stage(run, sandboxes(run, runtime, &look)).await;
                }
                Kind::PodLogs => {
                    let look = self.look().await;
                    let trees = stage(run, logs::trees(run, rooms, &look)).await;
                    if trees == Some(Ok(true)) {
                        // Links into what went dangle since.
                        stage(run, logs::links(run, runtime, rooms, &look)).await;
                    }
                }
                Kind::LogLink => {
                    let look = self.look().await;
                    stage(run, logs::links(run, runtime, rooms, &look)).await;
                }
                Kind::Image => {}
            }
        }
    }

    /// What has been stopped meanwhile, and once more S3 and S4 for the pods of what went at the end (S2.3).
    async fn late(&self) {
        if self.goes_on() && !self.run.later.put_off(Kind::Container).is_empty() {
            self.containers().await;
        }
        if self.goes_on() && self.run.later.has_emptied() {
            self.behind(None).await;
        }
    }

    /// S1 over another look.
    async fn containers(&self) {
        let Stages {
            run,
            runtime,
            rooms,
            stops,
            ..
        } = *self;
        let look = match self.short.get() {
            Some(seen) => seen.clone(),
            None => self.look().await.snapshot,
        };
        // Without a list nothing is known of any of them.
        let known = self.short.get().is_some() || !look.partial;
        if known && self.goes_on() {
            let late = late_containers(run, runtime, rooms, stops, look);
            stage(run, late).await;
        }
    }

    /// S3.1: both lists again, less what a dry run would have removed. The sandboxes come first: one that is not READY then gets no
    /// containers any more, so that the containers after it name all that are in use.
    async fn look(&self) -> Look {
        let (run, runtime) = (self.run, self.runtime);
        let sandboxes = all_sandboxes(run, runtime).await;
        let sandboxes = sandboxes.map_err(|e| run.fail(e)).ok();
        // Where they were just seen not to be reached in whole, they are not asked for again.
        let containers = match self.short.get() {
            None => all_containers(run, runtime, sandboxes.as_deref())
                .await
                .map_err(|e| run.fail(e))
                .ok(),
            Some(_) => None,
        };
        let partial = containers.is_none();
        let mut snapshot = Snapshot::new(containers.unwrap_or_default(), sandboxes);
        snapshot.partial = partial;
        if run.dry_run {
            let gone = self.rooms.containers.borrow();
            snapshot.containers.retain(|c| !gone.contains(&c.id));
        }
        let first = false;
        Look { snapshot, first }
    }
}

/// Whether the pass was told to end; then it fails for that, too.
pub(super) fn ended(run: &Run<'_>) -> bool {
    let Some(cause) = run.stop.cause() else {
        return false;
    };
    run.fail(cause.error());
    true
}

/// What S3 and S4.1 decide over.
pub(super) struct Look {
    pub(super) snapshot: Snapshot,
    /// It was taken before S1, which had nothing to do: good enough to see that S3 and S4.1 have nothing to do either, so that such
    /// a pass lists once. Before anything goes there has to be another look (S3.1).
    first: bool,
}

/// Something would go, and the look is that of S1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stale;

impl Look {
    fn first(snapshot: Snapshot) -> Look {
        let first = true;
        Look { snapshot, first }
    }

    /// Whether a plan that was made over it may be carried out.
    pub(super) fn carries<T>(&self, plan: &Plan<'_, T>) -> Result<(), Stale> {
        match self.first && !plan.remove.is_empty() {
            true => Err(Stale),
            false => Ok(()),
        }
    }
}

/// S3: ask again, decide, carry out.
async fn sandboxes(run: &Run<'_>, runtime: &Runtime<'_>, look: &Look) -> Result<(), Stale> {
    let snapshot = &look.snapshot;
    let Some(sandboxes) = &snapshot.sandboxes else {
        return Ok(());
    };
    let is_there: HashSet<&Text> = sandboxes.iter().map(|s| &s.id).collect();
    run.later
        .settle_gone(run, Kind::Sandbox, |id| is_there.contains(id));
    run.attempts
        .keep_only(Kind::Sandbox, |id| is_there.contains(id));
    let evidence = Evidence::ask(run, snapshot, []);
    let plan = evidence.with(|pods| plan::sandboxes::plan(snapshot, pods));
    look.carries(&plan)?;
    let remover = SandboxRemover { run, runtime };
    let slots = Slots::new(run, (run.config.max_parallel_removals / 2).max(1));
    carry_out(run, &evidence, plan, &slots, &remover).await;
    Ok(())
}
