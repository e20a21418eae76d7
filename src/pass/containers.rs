//! A pass over dead containers, sandboxes and logs, from look to report: S1 to S4, stage by stage.

use super::dead_containers::dead_containers;
use super::evidence::Evidence;
use super::logs;
use super::parts::list_all;
use super::removals::carry_out;
use super::rooms::Rooms;
use super::run::Run;
use super::sandboxes::SandboxRemover;
use crate::cri::Learnt;
use crate::cri::client::{self, Runtime};
use crate::node::{Container, Sandbox, Snapshot};
use crate::plan;

/// Runs the pass; what fails is in the run.
pub(crate) async fn pass(run: &Run<'_>, learnt: &Learnt) {
    let runtime = match client::runtime(run.config, run.stop, learnt).await {
        Ok(runtime) => runtime,
        Err(e) => return run.fail(e),
    };
    learnt.renew(&runtime).await;
    stages(run, &runtime).await;
    learnt.sign(&runtime).await;
    ended(run);
}

async fn stages(run: &Run<'_>, runtime: &Runtime<'_>) {
    let rooms = Rooms::open(run.config);
    let all_seen = dead_containers(run, runtime, &rooms).await;
    if ended(run) {
        return;
    }
    let look = second_look(run, runtime, &rooms, all_seen).await;
    if ended(run) {
        return;
    }
    sandboxes(run, runtime, &look).await;
    if logs::trees(run, &rooms, &look).await {
        logs::links(run, runtime, &rooms).await;
    }
    if let Some(e) = runtime.giving_up() {
        run.fail(e);
    }
}

/// Whether the pass was told to end; then it fails for that, too.
pub(super) fn ended(run: &Run<'_>) -> bool {
    let Some(cause) = run.stop.cause() else {
        return false;
    };
    run.fail_once(cause.error());
    true
}

/// S3.1: both lists again, less what a dry run would have removed. The sandboxes come first: one that is not READY then gets no
/// containers any more, so that the containers after it name all that are in use. Containers that were just seen not to be
/// reached in whole are not asked for again.
async fn second_look(
    run: &Run<'_>,
    runtime: &Runtime<'_>,
    rooms: &Rooms,
    all_seen: bool,
) -> Snapshot {
    let sandboxes = list_all::<Sandbox>(run, runtime, &[]).await;
    let sandboxes = sandboxes.map_err(|e| run.fail_once(e)).ok();
    let containers = match all_seen {
        true => list_all::<Container>(run, runtime, sandboxes.as_deref().unwrap_or_default())
            .await
            .map_err(|e| run.fail_once(e))
            .ok(),
        false => None,
    };
    let partial = containers.is_none();
    let mut look = Snapshot::new(containers.unwrap_or_default(), sandboxes);
    look.partial = partial;
    if run.dry_run {
        let gone = rooms.containers.borrow();
        look.containers.retain(|c| !gone.contains(&c.id));
    }
    look
}

/// S3: ask again, decide, carry out.
async fn sandboxes(run: &Run<'_>, runtime: &Runtime<'_>, look: &Snapshot) {
    let Some(sandboxes) = &look.sandboxes else {
        return;
    };
    let evidence = Evidence::ask(run, look, []);
    let plan = evidence.with(|pods| plan::sandboxes::plan(look, pods));
    let remover = SandboxRemover { run, runtime };
    let limit = (run.config.max_parallel_removals / 2).max(1);
    carry_out(run, &evidence, sandboxes, &plan, limit, &remover).await;
}
