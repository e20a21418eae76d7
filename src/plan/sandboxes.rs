//! Which sandboxes are removed (S3).

use super::pods::{PodView, Standing};
use super::{Plan, keep_least};
use crate::node::{Sandbox, SandboxState, Snapshot, Text};
use crate::report::{Compared, Extra, Reason, Why, number};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The plan over the sandboxes of a snapshot; empty if they could not be listed. If the list of containers is not whole, it is unknown
/// which sandboxes are empty, and none is removed (S7.3).
pub fn plan<'a>(snapshot: &'a Snapshot, pods: &PodView) -> Plan<'a, Sandbox> {
    let sandboxes = snapshot.sandboxes.as_deref().unwrap_or_default();
    let mut named: HashMap<&str, &Text> = HashMap::new();
    for c in &snapshot.containers {
        keep_least(&mut named, &c.sandbox_id, &c.id);
    }
    let mut by_pod: BTreeMap<&str, Vec<&Sandbox>> = BTreeMap::new();
    let mut doubles = HashSet::new();
    let mut plan = Plan::default();
    for sandbox in sandboxes {
        if sandbox.readable {
            by_pod.entry(&sandbox.pod_uid).or_default().push(sandbox);
        } else if doubles.insert(&sandbox.id) {
            // A sandbox that cannot be read does not count as the newest of its pod.
            plan.keeps(sandbox, Reason::UnknownState);
        }
    }
    for (uid, mut of_pod) in by_pod {
        of_pod.sort_unstable_by_key(|s| s.age());
        // Of equal attempts the last is the newest; the highest differs from the newest only if creation times say otherwise (safer).
        let newest = of_pod.last().copied();
        let highest = of_pod.iter().copied().max_by_key(|s| s.attempt);
        let of = of_pod.len();
        for (at, sandbox) in of_pod.into_iter().enumerate() {
            let is = |other: Option<&Sandbox>| other.is_some_and(|s| std::ptr::eq(s, sandbox));
            let user = named.get(&*sandbox.id).copied();
            let is_newest = is(newest) || is(highest);
            let (rank, of) = (number(of - at), number(of));
            let why = |reason| match reason {
                Reason::Active if sandbox.state != SandboxState::Ready => {
                    let user = user.cloned().map(Compared::Container);
                    Why::new(reason, user.unwrap_or_default())
                }
                Reason::Active | Reason::UnknownState => {
                    Why::new(reason, Compared::SandboxState(sandbox.state))
                }
                Reason::OlderSandbox | Reason::NewestSandbox => {
                    Why::new(reason, place(rank, of, reason))
                }
                _ => pods.why(uid, reason),
            };
            match decide(sandbox, user.is_some(), pods.standing(uid), is_newest) {
                (true, _) if snapshot.partial => plan.add(sandbox, false, Reason::ListIncomplete),
                (is_removed, reason) => plan.add(sandbox, is_removed, why(reason)),
            }
        }
    }
    plan.keep
        .sort_unstable_by(|a, b| a.object.id.cmp(&b.object.id));
    plan
}

/// The place of a sandbox in its pod. One that stays without being the newest has the highest attempt.
fn place(rank: u32, of: u32, reason: Reason) -> Compared {
    if reason == Reason::NewestSandbox && rank > 1 {
        return Compared::Extra {
            rank,
            of,
            limit: 1,
            because: Extra::HighestAttempt,
        };
    }
    let limit = Some(1);
    Compared::Rank { rank, of, limit }
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
