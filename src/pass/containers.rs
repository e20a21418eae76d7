//! A pass over dead containers, sandboxes and logs, from look to report: S1 to S4, stage by stage.

use super::dead_containers::{Left, dead_containers};
use super::evidence::{self, Evidence};
use super::logs;
use super::parts::{all_containers, all_sandboxes};
use super::removals::carry_out;
use super::rooms::Rooms;
use super::run::Run;
use super::sandboxes::SandboxRemover;
use super::slots::Slots;
use crate::cri::Learnt;
use crate::cri::client::{self, Runtime};
use crate::node::Snapshot;
use crate::plan::{self, Plan};
use crate::quiet;

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
    // What is left by a defect is not known.
    let left = part(run, dead_containers(run, runtime, rooms)).await;
    let left = left.unwrap_or(Left::Changed);
    // A service that shows none at its first call is asked nothing more (S6.5).
    if ended(run) || runtime.lost().is_some() {
        return;
    }
    let again = Again {
        run,
        runtime,
        rooms,
        containers: !matches!(left, Left::Short),
    };
    let mut look = match left {
        Left::Untouched(look) => Look::first(look),
        Left::Changed | Left::Short => again.look().await,
    };
    if ended(run) {
        return;
    }
    if let Some(Err(Stale)) = part(run, sandboxes(run, runtime, &look)).await {
        look = again.look().await;
        if ended(run) {
            return;
        }
        let _ = part(run, sandboxes(run, runtime, &look)).await;
    }
    let mut trees = match rooms.nested {
        true => None,
        false => part(run, logs::trees(run, rooms, &look)).await,
    };
    if let Some(Err(Stale)) = trees {
        look = again.look().await;
        if ended(run) {
            return;
        }
        trees = part(run, logs::trees(run, rooms, &look)).await;
    }
    if trees == Some(Ok(true)) {
        part(run, logs::links(run, runtime, rooms, &look)).await;
    }
    if let Some(e) = runtime.giving_up() {
        run.fail(e);
    }
}

/// A part of a pass; a defect in it fails the pass, and the other parts go on.
async fn part<R>(run: &Run<'_>, work: impl Future<Output = R>) -> Option<R> {
    let done = quiet::caught_async(work).await;
    done.map_err(|defect| run.fail(defect)).ok()
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
    pub(super) fn carries(&self, plan: &Plan) -> Result<(), Stale> {
        match self.first && !plan.remove.is_empty() {
            true => Err(Stale),
            false => Ok(()),
        }
    }
}

/// S3.1: the look after S1.
struct Again<'a> {
    run: &'a Run<'a>,
    runtime: &'a Runtime<'a>,
    rooms: &'a Rooms,
    /// False = the containers were just seen not to be reached in whole, and are not asked for again.
    containers: bool,
}

impl Again<'_> {
    /// Both lists again, less what a dry run would have removed. The sandboxes come first: one that is not READY then gets no
    /// containers any more, so that the containers after it name all that are in use.
    async fn look(&self) -> Look {
        let (run, runtime) = (self.run, self.runtime);
        let sandboxes = all_sandboxes(run, runtime).await;
        let sandboxes = sandboxes.map_err(|e| run.fail(e)).ok();
        let containers = match self.containers {
            true => all_containers(run, runtime, sandboxes.as_deref())
                .await
                .map_err(|e| run.fail(e))
                .ok(),
            false => None,
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

/// S3: ask again, decide, carry out.
async fn sandboxes(run: &Run<'_>, runtime: &Runtime<'_>, look: &Look) -> Result<(), Stale> {
    let snapshot = &look.snapshot;
    let Some(sandboxes) = &snapshot.sandboxes else {
        return Ok(());
    };
    let evidence = Evidence::ask(run, snapshot, []);
    let plan = evidence.with(|pods| plan::sandboxes::plan(snapshot, pods));
    look.carries(&plan)?;
    let remover = SandboxRemover { run, runtime };
    let slots = Slots::new(run, (run.config.max_parallel_removals / 2).max(1));
    carry_out(run, &evidence, sandboxes, &plan, &slots, &remover).await;
    Ok(())
}
