//! Removing one sandbox: stop, then remove (S3.4).

use super::gate::Gate;
use super::removals::{Remover, blank};
use super::run::{Done, Run};
use crate::cri::CallError;
use crate::cri::client::Runtime;
use crate::node::Sandbox;
use crate::report::{Entry, Kind, visible};

/// Removes sandboxes.
pub(crate) struct SandboxRemover<'a> {
    pub(crate) run: &'a Run<'a>,
    pub(crate) runtime: &'a Runtime<'a>,
}

impl SandboxRemover<'_> {
    fn failed(&self, e: &CallError, doing: &str, s: &Sandbox) -> Done {
        let doing = format!("cannot {doing} pod sandbox {}", visible(&s.id));
        Done::of(e, &doing, self.runtime.endpoint)
    }
}

impl Remover for SandboxRemover<'_> {
    type Object = Sandbox;
    const KIND: Kind = Kind::Sandbox;

    fn entry(&self, s: &Sandbox) -> Entry {
        let name = format!("{}/{}", s.pod_namespace, s.pod_name);
        blank(Kind::Sandbox, s.id.clone(), name, s.pod_uid.clone())
    }

    async fn remove(&self, s: &Sandbox, gate: &Gate<'_>) -> Done {
        if self.run.dry_run {
            return Done::Removed;
        }
        // Others may have been asked about since it was its turn.
        if let Some(reason) = gate.objection() {
            return Done::Kept(reason);
        }
        if let Err(e) = self.runtime.stop_sandbox(&s.id).await {
            return self.failed(&e, "stop", s);
        }
        if let Some(reason) = gate.objection() {
            return Done::Kept(reason);
        }
        match self.runtime.remove_sandbox(&s.id).await {
            Ok(()) => Done::Removed,
            Err(e) => self.failed(&e, "remove", s),
        }
    }
}
