//! A pass over dead containers, sandboxes and logs, of the node (S1 to S4) or of one pod (S8), stage by stage.

use super::context::Context;
use super::dead_containers::{dead_containers, late_containers};
use super::defects::stage;
use super::later::Round;
use super::log_dirs::LogDirs;
use super::logs;
use super::orphan_logs::orphan_logs;
use super::pod_evidence;
use super::sandboxes::sandboxes;
use super::snapshots::{Snapshots, ended};
use super::stops::Stops;
use crate::cri::Capabilities;
use crate::cri::client::{self, Runtime};
use crate::node::Snapshot;
use crate::report::Kind;
use tokio::sync::OnceCell;

/// What the stages of one pass share.
pub(super) struct ContainerPass<'a, 'p> {
    pub(super) ctx: &'a Context<'a>,
    pub(super) runtime: &'a Runtime<'a>,
    pub(super) log_dirs: &'a LogDirs,
    pub(super) stops: &'a Stops<'p>,
    /// What S1 saw of a list that it could not read in whole.
    pub(super) incomplete: OnceCell<Snapshot>,
}

/// Runs the pass; the context has its failures.
pub(crate) async fn pass(ctx: &Context<'_>, capabilities: &Capabilities) {
    let runtime =
        match client::runtime(ctx.config, ctx.hooks, ctx.stop, capabilities, ctx.metrics).await {
            Ok(runtime) => runtime,
            Err(e) => return ctx.fail(e),
        };
    capabilities.renew(&runtime).await;
    let log_dirs = LogDirs::open(ctx);
    stages(ctx, &runtime, &log_dirs).await;
    log_dirs.log_left_alone(ctx);
    pod_evidence::log_stamps(ctx);
    capabilities.sign(&runtime).await;
    if let Some(defect) = runtime.panicked() {
        ctx.fail(defect);
    }
    ended(ctx);
}

async fn stages(ctx: &Context<'_>, runtime: &Runtime<'_>, log_dirs: &LogDirs) {
    // The question for the runtime's version may have been the first call.
    if let Some(e) = runtime.lost() {
        return ctx.fail(e);
    }
    let stops = Stops::new(ctx, runtime);
    let pass = ContainerPass {
        ctx,
        runtime,
        log_dirs,
        stops: &stops,
        incomplete: OnceCell::new(),
    };
    // Large futures are kept on the heap.
    stops.beside(Box::pin(pass.first_round())).await;
    ctx.later.round.set(Round::Again);
    stops.beside(Box::pin(pass.second_round())).await;
    stops.wait().await;
    Box::pin(pass.after_stops()).await;
    ctx.later.close(ctx);
    if let Some(e) = runtime.giving_up().filter(|_| !ended(ctx)) {
        ctx.fail(e);
    }
}

impl ContainerPass<'_, '_> {
    /// Handles what was never begun (S0.8).
    async fn first_round(&self) {
        let unchanged = stage(self.ctx, dead_containers(self)).await.flatten();
        self.ctx.later.round.set(Round::First);
        self.sandboxes_and_logs(Snapshots::new(self, unchanged))
            .await;
    }

    /// Handles what was postponed, kind by kind: first the kind with the object that was tried least recently (S0.8).
    async fn second_round(&self) {
        for kind in self.ctx.later.kinds(self.ctx) {
            let snapshots = Snapshots::new(self, None);
            if !snapshots.may_continue() {
                return;
            }
            match kind {
                Kind::Container => self.late_containers(snapshots).await,
                Kind::Sandbox => self.sandboxes(&snapshots).await,
                // With the links: those into trees that were just removed dangle now.
                Kind::PodLogs => self.logs(&snapshots).await,
                Kind::LogLink => self.links(&snapshots).await,
                Kind::Image => {}
            }
        }
    }

    /// Handles the containers that have been stopped meanwhile, and the pods of containers that were removed late once more (S2.3).
    async fn after_stops(&self) {
        let later = &self.ctx.later;
        let snapshots = Snapshots::new(self, None);
        if snapshots.may_continue() && !later.put_off(Kind::Container).is_empty() {
            self.late_containers(snapshots).await;
        }
        if later.has_emptied() {
            self.sandboxes_and_logs(Snapshots::new(self, None)).await;
        }
    }

    /// S1 over another snapshot.
    async fn late_containers(&self, snapshots: Snapshots<'_, '_>) {
        let snapshot = match self.incomplete.get() {
            Some(seen) => seen.clone(),
            None => {
                let snapshot = snapshots.take().await;
                // Without a list nothing is known of any container.
                if snapshot.partial || !snapshots.may_continue() {
                    return;
                }
                snapshot
            }
        };
        stage(self.ctx, late_containers(self, snapshot)).await;
    }

    /// S3 and S4.
    async fn sandboxes_and_logs(&self, snapshots: Snapshots<'_, '_>) {
        if snapshots.may_continue() {
            self.sandboxes(&snapshots).await;
            self.logs(&snapshots).await;
        }
    }

    /// S3.
    async fn sandboxes(&self, snapshots: &Snapshots<'_, '_>) {
        stage(self.ctx, sandboxes(snapshots)).await;
    }

    /// S4, unless a log may be that of another container (S2.4). Without the trees (S4.1) the links are left alone, and so they are in a
    /// pass over one pod (S8).
    async fn logs(&self, snapshots: &Snapshots<'_, '_>) {
        let is_done =
            !self.log_dirs.nested && stage(self.ctx, logs::trees(snapshots)).await == Some(true);
        if is_done && self.ctx.pod.is_none() {
            stage(self.ctx, orphan_logs(snapshots)).await;
            self.links(snapshots).await;
        }
    }

    /// S4.2.
    async fn links(&self, snapshots: &Snapshots<'_, '_>) {
        stage(self.ctx, logs::links(snapshots)).await;
    }
}
