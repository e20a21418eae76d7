//! Which sandboxes are removed (S3).

use super::Plan;
use super::pods::{PodView, Standing};
use crate::node::{Sandbox, SandboxState, Snapshot};
use crate::report::Reason;
use std::collections::{BTreeMap, HashSet};

/// The plan over the sandboxes of a snapshot; empty if they could not be listed. If the list of containers is not whole, it is unknown
/// which sandboxes are empty, and none is removed (S7.3).
pub fn plan<'a>(snapshot: &'a Snapshot, pods: &PodView) -> Plan<'a, Sandbox> {
    let sandboxes = snapshot.sandboxes.as_deref().unwrap_or_default();
    let named: HashSet<&str> = snapshot.containers.iter().map(|c| &*c.sandbox_id).collect();
    let mut by_pod: BTreeMap<&str, Vec<&Sandbox>> = BTreeMap::new();
    let mut doubles = HashSet::new();
    let mut plan = Plan::default();
    for sandbox in sandboxes {
        if sandbox.readable {
            by_pod.entry(&sandbox.pod_uid).or_default().push(sandbox);
        } else if doubles.insert(&sandbox.id) {
            // A sandbox that cannot be read does not count as the newest of its pod.
            plan.keeps([sandbox], Reason::UnknownState);
        }
    }
    for (uid, mut of_pod) in by_pod {
        of_pod.sort_unstable_by_key(|s| s.age());
        // Of equal attempts the last is the newest; the highest differs from the newest only if creation times say otherwise (safer).
        let newest = of_pod.last().copied();
        let highest = of_pod.iter().copied().max_by_key(|s| s.attempt);
        for sandbox in of_pod {
            let is = |other: Option<&Sandbox>| other.is_some_and(|s| std::ptr::eq(s, sandbox));
            let is_named = named.contains(&*sandbox.id);
            let is_newest = is(newest) || is(highest);
            match decide(sandbox, is_named, pods.standing(uid), is_newest) {
                (true, _) if snapshot.partial => plan.add(sandbox, false, Reason::ListIncomplete),
                (is_removed, reason) => plan.add(sandbox, is_removed, reason),
            }
        }
    }
    plan.keep.sort_by(|a, b| a.object.id.cmp(&b.object.id));
    plan
}

/// Whether one sandbox is removed, and why (S3.2, S3.3).
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
