//! Which pods may lose something: the host's answer (S0.2, S0.3) against what runs (S0.4).

use crate::node::{ContainerState, PodState, PodStates, SandboxState, Snapshot, Text};
use crate::report::Reason;
use std::collections::{BTreeSet, HashMap, HashSet};

/// How many examples a contradiction names.
const EXAMPLES: usize = 3;

/// What may happen to what a pod has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may go, for this reason.
    Removable(Reason),
    /// The host says that it may go; it stays for this reason.
    Held(Reason),
    /// The pod exists, or nobody asked about it.
    Stays,
}

/// The host says that most of what runs is gone (S0.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Pods that run and of which the host says that they are gone.
    pub claimed: usize,
    /// Pods that run.
    pub active: usize,
    /// UIDs of some of the claimed ones.
    pub examples: Vec<Text>,
}

/// One look at the node with the host's answer about its pods.
#[derive(Clone, Debug)]
pub struct PodView {
    states: HashMap<Text, PodState>,
    ready: bool,
    all_unused: bool,
    broken: bool,
    /// Without the list of sandboxes nobody knows what runs (S1.1), nor without all containers of a pod (S7.3).
    blind: bool,
    active: HashSet<Text>,
}

/// Whether the host can be asked about a UID (S0.3); "" is asked like any other.
pub fn askable(uid: &str) -> bool {
    !uid.chars().any(char::is_control)
}

/// The UIDs of all pods of a look, sorted, each once.
pub fn uids_in_question(snapshot: &Snapshot) -> Vec<Text> {
    let containers = snapshot
        .containers
        .iter()
        .filter(|c| c.readable)
        .map(|c| c.pod_uid.clone().unwrap_or_else(|| "".into()));
    let sandboxes = snapshot.sandboxes.iter().flatten();
    let sandboxes = sandboxes.filter(|s| s.readable).map(|s| s.pod_uid.clone());
    let uids: BTreeSet<Text> = containers
        .chain(sandboxes)
        .filter(|uid| askable(uid))
        .collect();
    uids.into_iter().collect()
}

/// Pods with a RUNNING container or a READY sandbox. A state that CRI does not define may mean that as well. A container
/// makes both pods active, that of its label and that of its sandbox.
fn active_pods(snapshot: &Snapshot) -> HashSet<Text> {
    let sandboxes = || snapshot.sandboxes.iter().flatten();
    let owners: HashMap<&Text, &Text> = sandboxes().map(|s| (&s.id, &s.pod_uid)).collect();
    let mut active: HashSet<Text> = sandboxes()
        .filter(|s| s.state != SandboxState::NotReady)
        .map(|s| s.pod_uid.clone())
        .collect();
    for c in &snapshot.containers {
        if let ContainerState::Running | ContainerState::Undefined(_) = c.state {
            active.insert(c.uid().into());
            active.extend(owners.get(&c.sandbox_id).map(|&uid| uid.clone()));
        }
    }
    active
}

impl PodView {
    /// `broken`: an earlier look of this pass was contradicted.
    pub fn new(snapshot: &Snapshot, answer: &PodStates, all_unused: bool, broken: bool) -> PodView {
        PodView {
            states: answer.states.clone(),
            ready: answer.ready,
            all_unused,
            broken,
            blind: snapshot.sandboxes.is_none() || snapshot.partial,
            active: active_pods(snapshot),
        }
    }

    /// Whether the host has seen all its pod sources.
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// S0.4: the host says of more than half of what runs, and of at least two, that it is gone.
    pub fn contradicted(&self) -> Option<Contradiction> {
        if !self.ready {
            return None;
        }
        let asked = self
            .active
            .iter()
            .filter(|uid| self.states.contains_key(*uid));
        let active = asked.clone().count();
        let mut claimed: Vec<Text> = asked
            .filter(|uid| self.claim(uid).is_some())
            .cloned()
            .collect();
        claimed.sort();
        (claimed.len() >= 2 && claimed.len() * 2 > active).then(|| Contradiction {
            claimed: claimed.len(),
            active,
            examples: claimed.iter().take(EXAMPLES).cloned().collect(),
        })
    }

    /// What the host says may go for a pod's sake in this pass.
    fn claim(&self, uid: &str) -> Option<Reason> {
        let state = self.states.get(uid)?;
        if state.content_removable {
            return Some(Reason::PodRemoved);
        }
        (state.runtime_removable && self.all_unused).then_some(Reason::PodTerminated)
    }

    /// What may happen to containers and sandboxes of a pod (S1.4, S3.3).
    pub fn standing(&self, uid: &str) -> Standing {
        match self.claim(uid) {
            None => Standing::Stays,
            Some(_) if !self.ready => Standing::Held(Reason::SourcesNotReady),
            Some(_) if self.blind => Standing::Held(Reason::ListIncomplete),
            Some(_) if self.broken || self.active.contains(uid) => {
                Standing::Held(Reason::PodActive)
            }
            Some(reason) => Standing::Removable(reason),
        }
    }

    /// What may happen to the logs of a pod (S4.1).
    pub fn content_standing(&self, uid: &str) -> Standing {
        match self.states.get(uid) {
            Some(state) if state.content_removable => self.standing(uid),
            _ => Standing::Stays,
        }
    }
}

/// Whether a removal for this reason rests on the host's answer about a pod.
pub fn rests_on_pod(reason: Reason) -> bool {
    matches!(reason, Reason::PodRemoved | Reason::PodTerminated)
}

/// Whether a planned removal still stands after the host was asked again (S0.3): an answer can only keep more.
pub fn still_stands(uid: &str, reason: Reason, fresh: &PodView) -> bool {
    let standing = match reason {
        Reason::PodRemoved => fresh.content_standing(uid),
        _ => fresh.standing(uid),
    };
    !rests_on_pod(reason) || matches!(standing, Standing::Removable(_))
}
