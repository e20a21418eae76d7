//! A pass over dead containers, sandboxes and logs, from look to report: S1 to S4, stage by stage.

use super::container_removal::ContainerRemover;
use super::evidence::Evidence;
use super::logs;
use super::removals::carry_out;
use super::rooms::Rooms;
use super::run::Run;
use super::sandboxes::SandboxRemover;
use crate::config::AgeFrom;
use crate::cri::CallError;
use crate::cri::client::{self, Runtime};
use crate::node::{Container, Snapshot};
use crate::plan;
use crate::plan::containers::ContainerPolicy;
use futures_util::stream::{self, StreamExt};

/// Runs the pass; what fails is in the run.
pub(crate) async fn pass(run: &Run<'_>) {
    let runtime = match client::runtime(run.config, run.stop).await {
        Ok(runtime) => runtime,
        Err(e) => return run.fail(e),
    };
    let rooms = Rooms::open(run.config);
    dead_containers(run, &runtime, &rooms).await;
    if ended(run) {
        return;
    }
    let (look, whole) = second_look(run, &runtime, &rooms).await;
    if ended(run) {
        return;
    }
    sandboxes(run, &runtime, &look, whole).await;
    if logs::trees(run, &rooms, &look, whole).await {
        logs::links(run, &runtime, &rooms).await;
    }
    if let Some(e) = runtime.giving_up() {
        run.fail(e);
    }
    ended(run);
}

/// Whether the pass was told to end; then it fails for that, too.
pub(super) fn ended(run: &Run<'_>) -> bool {
    let Some(cause) = run.stop.cause() else {
        return false;
    };
    run.fail_once(cause.error());
    true
}

/// S1: look, ask, decide, carry out.
async fn dead_containers(run: &Run<'_>, runtime: &Runtime<'_>, rooms: &Rooms) {
    let (containers, sandboxes) = tokio::join!(runtime.list_containers(), runtime.list_sandboxes());
    let containers = containers.map_err(|e| run.fail(e)).ok();
    let sandboxes = sandboxes.map_err(|e| run.fail(e)).ok();
    let Some(containers) = containers else {
        return;
    };
    let mut look = Snapshot::new(containers, sandboxes);
    let policy = ContainerPolicy::from(run.config);
    if policy.age_from == AgeFrom::Finished && policy.min_age > 0 {
        ask_for_ends(run, runtime, &mut look.containers).await;
    }
    let evidence = Evidence::ask(run, &look, []);
    let plan = evidence.with(|pods| plan::containers::plan(&look, pods, &policy, run.now));
    let remover = ContainerRemover::new(run, runtime, rooms, &look);
    let limit = run.config.max_parallel_removals;
    carry_out(run, &evidence, &look.containers, &plan, limit, &remover).await;
}

/// S1.2 with `container-age-from` = `finished`: when each candidate ended. One that cannot be asked about is kept.
async fn ask_for_ends(run: &Run<'_>, runtime: &Runtime<'_>, containers: &mut [Container]) {
    let looks: Vec<_> = stream::iter(containers.iter_mut())
        .filter(|c| std::future::ready(plan::containers::is_candidate_state(c)))
        .map(|c| async move {
            let look = runtime.container_status(&c.id).await;
            (c, look)
        })
        .buffer_unordered(run.config.max_parallel_removals)
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

/// S3.1: both lists again, less what a dry run would have removed; and whether both arrived. The sandboxes come first: one that
/// is not READY then gets no containers any more, so that the containers after it name all that are in use.
async fn second_look(run: &Run<'_>, runtime: &Runtime<'_>, rooms: &Rooms) -> (Snapshot, bool) {
    let sandboxes = runtime.list_sandboxes().await;
    let sandboxes = sandboxes.map_err(|e| run.fail(e)).ok();
    let containers = runtime.list_containers().await;
    let containers = containers.map_err(|e| run.fail(e)).ok();
    let whole = containers.is_some() && sandboxes.is_some();
    let mut look = Snapshot::new(containers.unwrap_or_default(), sandboxes);
    if run.dry_run {
        let gone = rooms.containers.borrow();
        look.containers.retain(|c| !gone.contains(&c.id));
    }
    (look, whole)
}

/// S3: look again, ask again, decide, carry out. Without both lists nobody knows which sandboxes are empty.
async fn sandboxes(run: &Run<'_>, runtime: &Runtime<'_>, look: &Snapshot, whole: bool) {
    let Some(sandboxes) = look.sandboxes.as_ref().filter(|_| whole) else {
        return;
    };
    let evidence = Evidence::ask(run, look, []);
    let plan = evidence.with(|pods| plan::sandboxes::plan(look, pods));
    let remover = SandboxRemover { run, runtime };
    let limit = (run.config.max_parallel_removals / 2).max(1);
    carry_out(run, &evidence, sandboxes, &plan, limit, &remover).await;
}
