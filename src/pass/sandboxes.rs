//! S3: sandboxes. Each is stopped, then removed (S3.4).

use super::containers::ContainerPass;
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::pace::{Pace, timed};
use super::pod_evidence::Evidence;
use super::removals::{Remover, carry_out};
use super::snapshots::{Decision, Snapshots};
use crate::cri::CallError;
use crate::node::{Sandbox, Text};
use crate::plan;
use crate::report::{Kind, Why, visible};
use std::collections::HashSet;

/// S3 of a pass.
pub(super) async fn sandboxes(snapshots: &Snapshots<'_, '_>) {
    let pass = snapshots.pass;
    let ctx = pass.ctx;
    let decided = snapshots.decide(|snapshot| {
        let is_there: HashSet<&Text> = snapshot.sandboxes.as_ref()?.iter().map(|s| &s.id).collect();
        let is_there = |id: &Text| is_there.contains(id);
        ctx.later.settle_gone(ctx, Kind::Sandbox, is_there);
        ctx.attempts.keep_only(Kind::Sandbox, is_there);
        let evidence = Evidence::ask(ctx, snapshot, []);
        let mut plan = evidence.with(|pods| plan::sandboxes::plan(snapshot, pods));
        plan.only(|s| ctx.covers(&s.pod_uid));
        Some(Decision { evidence, plan })
    });
    if let Some(Decision { evidence, plan }) = decided.await {
        let pace = Pace::new(ctx, Kind::Sandbox);
        carry_out(ctx, &evidence, plan, &pace, &SandboxRemover { pass }).await;
    }
}

/// Removes sandboxes.
struct SandboxRemover<'a, 'p> {
    pass: &'a ContainerPass<'a, 'p>,
}

impl SandboxRemover<'_, '_> {
    fn failed(&self, e: &CallError, doing: &str, s: &Sandbox) -> Fate {
        let doing = format!("cannot {doing} pod sandbox {}", visible(&s.id));
        Fate::of(e, &doing, self.pass.runtime.endpoint)
    }
}

impl Remover for SandboxRemover<'_, '_> {
    type Object = Sandbox;
    const KIND: Kind = Kind::Sandbox;

    fn planned(&self, s: &Sandbox, why: Why) -> Planned {
        let name = format!("{}/{}", s.pod_namespace, s.pod_name);
        Planned::new(Kind::Sandbox, s.id.clone(), name, s.pod_uid.clone(), why)
    }

    async fn remove(&self, s: &Sandbox, gate: &Gate<'_>) -> Result<Fate, Fate> {
        if self.pass.ctx.dry_run {
            return Ok(Fate::Removed);
        }
        // The host may have been asked about others since.
        gate.still_open()?;
        // Its stop takes the time, not its removal.
        let work = async {
            let stopped = self.pass.runtime.stop_sandbox(&s.id).await;
            stopped.map_err(|e| self.failed(&e, "stop", s))?;
            gate.still_open()?;
            let removed = self.pass.runtime.remove_sandbox(&s.id).await;
            removed.map_err(|e| self.failed(&e, "remove", s))
        };
        timed(self.pass.ctx, Kind::Sandbox, true, work).await?;
        Ok(Fate::Removed)
    }
}
