//! A pass over dead containers, sandboxes and logs, from look to report: S1 to S4, stage by stage.

use super::context::Context;
use super::dead_containers::{Left, dead_containers, late_containers};
use super::defects::stage;
use super::later::Round;
use super::log_dirs::LogDirs;
use super::logs;
use super::pace::Pacing;
use super::pod_evidence::{self, Evidence};
use super::removals::carry_out;
use super::sandboxes::SandboxRemover;
use super::snapshots::{Decision, Snapshots, ended};
use super::stops::Stops;
use crate::cri::Capabilities;
use crate::cri::client::{self, Runtime};
use crate::node::{Snapshot, Text};
use crate::plan;
use crate::report::Kind;
use std::collections::HashSet;
use tokio::sync::OnceCell;

/// Runs the pass; what fails is in the run.
pub(crate) async fn pass(ctx: &Context<'_>, capabilities: &Capabilities) {
    let runtime = match client::runtime(ctx.config, ctx.stop, capabilities).await {
        Ok(runtime) => runtime,
        Err(e) => return ctx.fail(e),
    };
    capabilities.renew(&runtime).await;
    let log_dirs = LogDirs::open(ctx);
    stages(ctx, &runtime, &log_dirs).await;
    log_dirs.tell(ctx);
    pod_evidence::log_stamps(ctx);
    capabilities.sign(&runtime).await;
    if let Some(defect) = runtime.panicked() {
        ctx.fail(defect);
    }
    ended(ctx);
}

async fn stages(ctx: &Context<'_>, runtime: &Runtime<'_>, log_dirs: &LogDirs) {
    // The question for its version may have been the first one.
    if let Some(e) = runtime.lost() {
        return ctx.fail(e);
    }
    let stops = Stops::new(ctx, runtime);
    let stages = Stages {
        ctx,
        runtime,
        log_dirs,
        stops: &stops,
        short: OnceCell::new(),
    };
    // Large futures lie on the heap.
    stops.beside(Box::pin(stages.first())).await;
    ctx.later.round.set(Round::Again);
    stops.beside(Box::pin(stages.again())).await;
    stops.wait().await;
    Box::pin(stages.late()).await;
    ctx.later.close(ctx);
    if let Some(e) = runtime.giving_up().filter(|_| !ended(ctx)) {
        ctx.fail(e);
    }
}

/// The stages of one pass.
struct Stages<'a, 'p> {
    ctx: &'a Context<'a>,
    runtime: &'a Runtime<'a>,
    log_dirs: &'a LogDirs,
    stops: &'a Stops<'p>,
    /// What S1 saw of a list that was not reached in whole.
    short: OnceCell<Snapshot>,
}

impl Stages<'_, '_> {
    /// What was never begun (S0.8).
    async fn first(&self) {
        let snapshots = self.containers().await;
        if !snapshots.goes_on() {
            return;
        }
        self.sandboxes(&snapshots).await;
        if self.pod_logs(&snapshots).await {
            self.links(&snapshots).await;
        }
    }

    /// What was put off: the kind first of which something was tried least recently (S0.8).
    async fn again(&self) {
        for kind in self.ctx.later.kinds(self.ctx) {
            let snapshots = self.snapshots(None);
            if !snapshots.goes_on() {
                return;
            }
            match kind {
                Kind::Container => self.late_containers(snapshots).await,
                Kind::Sandbox => self.sandboxes(&snapshots).await,
                Kind::PodLogs => {
                    if self.pod_logs(&snapshots).await {
                        // Links into what went dangle since.
                        self.links(&snapshots).await;
                    }
                }
                Kind::LogLink => self.links(&snapshots).await,
                Kind::Image => {}
            }
        }
    }

    /// What has been stopped meanwhile, and once more S3 and S4 for the pods of what went at the end (S2.3).
    async fn late(&self) {
        let later = &self.ctx.later;
        let snapshots = self.snapshots(None);
        if snapshots.goes_on() && !later.put_off(Kind::Container).is_empty() {
            self.late_containers(snapshots).await;
        }
        let snapshots = self.snapshots(None);
        if snapshots.goes_on() && later.has_emptied() {
            self.sandboxes(&snapshots).await;
            if self.pod_logs(&snapshots).await {
                self.links(&snapshots).await;
            }
        }
    }

    /// S1; what the stages behind it look at.
    async fn containers(&self) -> Snapshots<'_> {
        let ctx = self.ctx;
        let work = dead_containers(ctx, self.runtime, self.log_dirs, self.stops);
        let left = stage(ctx, work).await;
        ctx.later.round.set(Round::First);
        self.snapshots(match left {
            Some(Left::Untouched(first)) => Some(first),
            Some(Left::Short(seen)) => {
                let _ = self.short.set(seen);
                None
            }
            // What is left by a defect is not known.
            Some(Left::Changed) | None => None,
        })
    }

    /// S1 over another look.
    async fn late_containers(&self, snapshots: Snapshots<'_>) {
        let snapshots = match self.short.get() {
            Some(seen) => seen.clone(),
            None => {
                let snapshot = snapshots.take().await;
                // Without a list nothing is known of any of them.
                if snapshot.partial || !snapshots.goes_on() {
                    return;
                }
                snapshot
            }
        };
        let work = late_containers(self.ctx, self.runtime, self.log_dirs, self.stops, snapshots);
        stage(self.ctx, work).await;
    }

    /// S3.
    async fn sandboxes(&self, snapshots: &Snapshots<'_>) {
        stage(self.ctx, sandboxes(self.ctx, self.runtime, snapshots)).await;
    }

    /// S4.1; whether the links may be looked at.
    async fn pod_logs(&self, snapshots: &Snapshots<'_>) -> bool {
        // Nothing of logs that may be another's (S2.4).
        !self.log_dirs.nested
            && stage(self.ctx, logs::trees(self.ctx, self.log_dirs, snapshots)).await == Some(true)
    }

    /// S4.2.
    async fn links(&self, snapshots: &Snapshots<'_>) {
        stage(
            self.ctx,
            logs::links(self.ctx, self.runtime, self.log_dirs, snapshots),
        )
        .await;
    }

    fn snapshots(&self, first: Option<Snapshot>) -> Snapshots<'_> {
        Snapshots {
            ctx: self.ctx,
            runtime: self.runtime,
            overlay: &self.log_dirs.overlay,
            is_short: self.short.get().is_some(),
            first,
            fresh: OnceCell::new(),
        }
    }
}

/// S3: ask again, decide, carry out.
async fn sandboxes(ctx: &Context<'_>, runtime: &Runtime<'_>, snapshots: &Snapshots<'_>) {
    let decided = snapshots.decide(|snapshot| {
        let is_there: HashSet<&Text> = snapshot.sandboxes.as_ref()?.iter().map(|s| &s.id).collect();
        let is_there = |id: &Text| is_there.contains(id);
        ctx.later.settle_gone(ctx, Kind::Sandbox, is_there);
        ctx.attempts.keep_only(Kind::Sandbox, is_there);
        let evidence = Evidence::ask(ctx, snapshot, []);
        let plan = evidence.with(|pods| plan::sandboxes::plan(snapshot, pods));
        Some(Decision { evidence, plan })
    });
    let Some(Decision { evidence, plan }) = decided.await else {
        return;
    };
    let remover = SandboxRemover { ctx, runtime };
    let pacing = Pacing::new(ctx, (ctx.config.max_parallel_removals / 2).max(1));
    carry_out(ctx, &evidence, plan, &pacing, &remover).await;
}
