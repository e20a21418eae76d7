//! Which sandboxes go (S3).

use super::pods::{PodView, Standing};
use super::{Plan, Step};
use crate::node::{Sandbox, SandboxState, Snapshot};
use crate::report::Reason;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

/// S1.7 for sandboxes: oldest first.
fn by_age(a: &Sandbox, b: &Sandbox) -> Ordering {
    (a.created_at, a.attempt, &a.id).cmp(&(b.created_at, b.attempt, &b.id))
}

/// The plan over the sandboxes of a look; empty where they could not be listed. Without all containers nobody knows which
/// sandboxes are empty (S7.3): none goes.
pub fn plan(snapshot: &Snapshot, pods: &PodView) -> Plan {
    let sandboxes = snapshot.sandboxes.as_deref().unwrap_or_default();
    let named: HashSet<&str> = snapshot.containers.iter().map(|c| &*c.sandbox_id).collect();
    let mut by_pod: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut doubles = HashSet::new();
    let mut plan = Plan::default();
    for (index, sandbox) in sandboxes.iter().enumerate() {
        if sandbox.readable {
            by_pod.entry(&sandbox.pod_uid).or_default().push(index);
        } else if doubles.insert(&sandbox.id) {
            // What cannot be read is nobody's newest.
            let reason = Reason::UnknownState;
            plan.keep.push(Step { index, reason });
        }
    }
    for (uid, mut of_pod) in by_pod {
        of_pod.sort_by(|&a, &b| by_age(&sandboxes[a], &sandboxes[b]));
        // Of equal attempts the last is the newest; the highest is another one only where creation times say otherwise (safer).
        let newest = of_pod.last().copied();
        let highest = of_pod.iter().copied().max_by_key(|&i| sandboxes[i].attempt);
        for index in of_pod {
            let sandbox = &sandboxes[index];
            match decide(
                sandbox,
                named.contains(&*sandbox.id),
                pods.standing(uid),
                newest == Some(index) || highest == Some(index),
            ) {
                (true, _) if snapshot.partial => plan.keep.push(Step {
                    index,
                    reason: Reason::ListIncomplete,
                }),
                (true, reason) => plan.remove.push(Step { index, reason }),
                (false, reason) => plan.keep.push(Step { index, reason }),
            }
        }
    }
    plan.keep
        .sort_by(|a, b| sandboxes[a.index].id.cmp(&sandboxes[b.index].id));
    plan
}

/// Whether one sandbox goes, and why (S3.2, S3.3).
fn decide(sandbox: &Sandbox, named: bool, standing: Standing, newest: bool) -> (bool, Reason) {
    match (sandbox.state, standing) {
        (SandboxState::Undefined(_), _) => (false, Reason::UnknownState),
        (SandboxState::Ready, _) => (false, Reason::Active),
        _ if named => (false, Reason::Active),
        (_, Standing::Removable(reason)) => (true, reason),
        _ if !newest => (true, Reason::OlderSandbox),
        (_, Standing::Held(reason)) => (false, reason),
        _ => (false, Reason::NewestSandbox),
    }
}
