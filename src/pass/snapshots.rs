//! What S3 and S4 decide over: both lists, read again before anything is removed (S3.1).

use super::containers::ContainerPass;
use super::context::Context;
use super::one_pod;
use super::parts::{all_containers, all_sandboxes};
use super::pod_evidence::Evidence;
use crate::node::{Container, Sandbox, Snapshot};
use crate::plan::Plan;
use tokio::sync::OnceCell;

/// The snapshots of some stages.
pub(super) struct Snapshots<'a, 'p> {
    pub(super) pass: &'a ContainerPass<'a, 'p>,
    /// That of S1, if S1 had nothing to do: it shows as well whether S3 and S4.1 have nothing to do, so that such a pass lists once.
    first: Option<Snapshot>,
    /// Another one; `None` = the pass was told to end meanwhile.
    fresh: OnceCell<Option<Snapshot>>,
}

/// A plan, and what it rests on.
pub(super) struct Decision<'s, T> {
    pub(super) evidence: Evidence<'s>,
    pub(super) plan: Plan<'s, T>,
}

impl<'a, 'p> Snapshots<'a, 'p> {
    pub(super) fn new(pass: &'a ContainerPass<'a, 'p>, first: Option<Snapshot>) -> Self {
        Snapshots {
            pass,
            first,
            fresh: OnceCell::new(),
        }
    }

    /// S3.1: a decision that may be carried out. If something would be removed by the snapshot of S1, it is decided again over a fresh one.
    pub(super) async fn decide<'s, T: 's>(
        &'s self,
        decide: impl Fn(&'s Snapshot) -> Option<Decision<'s, T>>,
    ) -> Option<Decision<'s, T>> {
        let decision = decide(self.latest().await?)?;
        if self.fresh.initialized() || decision.plan.remove.is_empty() {
            return Some(decision);
        }
        decide(self.fresh().await?)
    }

    /// The latest snapshot; `None` = the pass is to end.
    pub(super) async fn latest(&self) -> Option<&Snapshot> {
        match &self.first {
            Some(first) if !self.fresh.initialized() => Some(first),
            _ => self.fresh().await,
        }
    }

    async fn fresh(&self) -> Option<&Snapshot> {
        let take = || async {
            let snapshot = self.take().await;
            self.may_continue().then_some(snapshot)
        };
        self.fresh.get_or_init(take).await.as_ref()
    }

    /// Reads both lists, without what a dry run would have removed.
    pub(super) async fn take(&self) -> Snapshot {
        let ctx = self.pass.ctx;
        let (containers, sandboxes) = match ctx.pod {
            Some(pod) => {
                let (containers, sandboxes) = one_pod::lists(self.pass.runtime, pod).await;
                (ctx.ok(containers), ctx.ok(sandboxes))
            }
            None => self.lists_of_node().await,
        };
        let partial = containers.is_none();
        let mut snapshot = Snapshot::new(containers.unwrap_or_default(), sandboxes);
        snapshot.partial = partial;
        self.pass.log_dirs.overlay.retain(&mut snapshot.containers);
        snapshot
    }

    /// The sandboxes come first: one that is not READY then gets no containers any more, so that the containers after it name all that are
    /// in use.
    async fn lists_of_node(&self) -> (Option<Vec<Container>>, Option<Vec<Sandbox>>) {
        let (ctx, runtime) = (self.pass.ctx, self.pass.runtime);
        let sandboxes = ctx.ok(all_sandboxes(ctx, runtime).await);
        // A list of containers that could not be read in whole a moment ago is not asked for again.
        let containers = match self.pass.incomplete.get() {
            Some(_) => None,
            None => ctx.ok(all_containers(ctx, runtime, sandboxes.as_deref()).await),
        };
        (containers, sandboxes)
    }

    /// Whether the pass may continue. A runtime that left the first call without an answer is asked nothing more (S6.5), nor is one that
    /// does not speak CRI.
    pub(super) fn may_continue(&self) -> bool {
        !ended(self.pass.ctx) && self.pass.runtime.lost().is_none()
    }
}

/// Whether the pass was told to end; then it fails with that cause.
pub(super) fn ended(ctx: &Context<'_>) -> bool {
    let cause = ctx.stop.cause();
    cause.map(|cause| ctx.fail(cause.error())).is_some()
}
