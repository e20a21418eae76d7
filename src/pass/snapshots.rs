//! What S3 and S4 decide over: both lists, taken again before anything goes (S3.1).

use super::context::Context;
use super::dry_run::Overlay;
use super::parts::{all_containers, all_sandboxes};
use super::pod_evidence::Evidence;
use crate::cri::client::Runtime;
use crate::node::Snapshot;
use crate::plan::Plan;
use tokio::sync::OnceCell;

/// The look of some stages.
pub(super) struct Snapshots<'a> {
    pub(super) ctx: &'a Context<'a>,
    pub(super) runtime: &'a Runtime<'a>,
    pub(super) overlay: &'a Overlay,
    /// The list of containers was just seen not to be reached in whole: it is not asked for again.
    pub(super) is_short: bool,
    /// That of S1, if that had nothing to do: good enough to see that S3 and S4.1 have nothing to do either, so that such a pass
    /// lists once.
    pub(super) first: Option<Snapshot>,
    /// Another look; `None` = the pass was told to end meanwhile.
    pub(super) fresh: OnceCell<Option<Snapshot>>,
}

/// A plan, and what it rests on.
pub(super) struct Decision<'s, T> {
    pub(super) evidence: Evidence<'s>,
    pub(super) plan: Plan<'s, T>,
}

impl Snapshots<'_> {
    /// S3.1: a decision that may be carried out. Where something is to go by the look of S1, it is made again over a fresh one.
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

    /// What was seen last; `None` = the pass is to end.
    pub(super) async fn latest(&self) -> Option<&Snapshot> {
        match &self.first {
            Some(first) if !self.fresh.initialized() => Some(first),
            _ => self.fresh().await,
        }
    }

    async fn fresh(&self) -> Option<&Snapshot> {
        let take = || async {
            let snapshot = self.take().await;
            self.goes_on().then_some(snapshot)
        };
        self.fresh.get_or_init(take).await.as_ref()
    }

    /// Both lists again, less what a dry run would have removed. The sandboxes come first: one that is not READY then gets no
    /// containers any more, so that the containers after it name all that are in use.
    pub(super) async fn take(&self) -> Snapshot {
        let (ctx, runtime) = (self.ctx, self.runtime);
        let sandboxes = all_sandboxes(ctx, runtime).await;
        let sandboxes = sandboxes.map_err(|e| ctx.fail(e)).ok();
        let mut containers = None;
        if !self.is_short {
            let listed = all_containers(ctx, runtime, sandboxes.as_deref()).await;
            containers = listed.map_err(|e| ctx.fail(e)).ok();
        }
        let partial = containers.is_none();
        let mut snapshot = Snapshot::new(containers.unwrap_or_default(), sandboxes);
        snapshot.partial = partial;
        self.overlay.retain(&mut snapshot.containers);
        snapshot
    }

    /// Whether the pass is to go on. A service that shows none at its first call is asked nothing more (S6.5).
    pub(super) fn goes_on(&self) -> bool {
        !ended(self.ctx) && self.runtime.lost().is_none()
    }
}

/// Whether the pass was told to end; then it fails for that, too.
pub(super) fn ended(ctx: &Context<'_>) -> bool {
    let Some(cause) = ctx.stop.cause() else {
        return false;
    };
    ctx.fail(cause.error());
    true
}
