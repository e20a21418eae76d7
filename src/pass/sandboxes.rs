//! Removing one sandbox: stop, then remove (S3.4).

use super::context::Context;
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::removals::Remover;
use crate::cri::CallError;
use crate::cri::client::Runtime;
use crate::node::Sandbox;
use crate::report::{Kind, Reason, visible};

/// Removes sandboxes.
pub(crate) struct SandboxRemover<'a> {
    pub(crate) ctx: &'a Context<'a>,
    pub(crate) runtime: &'a Runtime<'a>,
}

impl SandboxRemover<'_> {
    fn failed(&self, e: &CallError, doing: &str, s: &Sandbox) -> Fate {
        let doing = format!("cannot {doing} pod sandbox {}", visible(&s.id));
        Fate::of(e, &doing, self.runtime.endpoint)
    }
}

impl Remover for SandboxRemover<'_> {
    type Object = Sandbox;
    const KIND: Kind = Kind::Sandbox;

    fn planned(&self, s: &Sandbox, reason: Reason) -> Planned {
        let name = format!("{}/{}", s.pod_namespace, s.pod_name);
        Planned::new(Kind::Sandbox, s.id.clone(), name, s.pod_uid.clone(), reason)
    }

    async fn remove(&self, s: &Sandbox, gate: &Gate<'_>) -> Result<Fate, Fate> {
        if self.ctx.dry_run {
            return Ok(Fate::Removed);
        }
        // Others may have been asked about since it was its turn.
        gate.still_open()?;
        let stopped = self.runtime.stop_sandbox(&s.id).await;
        stopped.map_err(|e| self.failed(&e, "stop", s))?;
        gate.still_open()?;
        let removed = self.runtime.remove_sandbox(&s.id).await;
        removed.map_err(|e| self.failed(&e, "remove", s))?;
        Ok(Fate::Removed)
    }
}
