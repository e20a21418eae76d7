//! The objects of which pods may be removed: the host's answer (S0.2, S0.3) against what runs (S0.4).

use crate::node::{ContainerState, PodState, PodStates, SandboxState, Snapshot, Text};
use crate::report::Reason;
use std::collections::{BTreeSet, HashMap, HashSet, hash_map};

/// How many examples a contradiction names.
const EXAMPLES: usize = 3;

/// Whether the objects that a pod left behind may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They may, for this reason.
    Removable(Reason),
    /// The host says that they may; they are kept for this reason.
    Held(Reason),
    /// The pod exists, or the host was not asked about it.
    Stays,
}

/// The host says of most pods that run that they are gone (S0.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Pods that run, but are gone by the host's answer.
    pub claimed: usize,
    /// Pods that run.
    pub active: usize,
    /// UIDs of some of the claimed ones.
    pub examples: Vec<Text>,
}

/// One snapshot of the node with the host's answer about its pods.
#[derive(Clone, Debug)]
pub struct PodView {
    states: HashMap<Text, PodState>,
    ready: bool,
    all_unused: bool,
    broken: bool,
    /// What runs is unknown without the list of sandboxes (S1.1), or without all containers of a pod (S7.3).
    blind: bool,
    active: HashSet<Text>,
    /// Pods that have changed since the moment of which the host's answer speaks (S0.3).
    newer: HashSet<Text>,
}

/// Whether the host can be asked about a UID (S0.3); "" is a UID like any other.
pub fn askable(uid: &str) -> bool {
    !uid.chars().any(char::is_control)
}

/// The UIDs of all pods of a snapshot, sorted, each once.
pub fn uids_in_question(snapshot: &Snapshot) -> Vec<Text> {
    let containers = snapshot.containers.iter().filter(|c| c.readable);
    let containers = containers.map(|c| c.pod_uid.clone().unwrap_or_default());
    let sandboxes = snapshot.sandboxes.iter().flatten();
    let sandboxes = sandboxes.filter(|s| s.readable).map(|s| s.pod_uid.clone());
    let uids = containers.chain(sandboxes).filter(|uid| askable(uid));
    let sorted: BTreeSet<Text> = uids.collect();
    sorted.into_iter().collect()
}

/// Pods with a RUNNING container or a READY sandbox. A state that CRI does not define may mean that as well. A container
/// makes two pods active: that of its label and that of its sandbox.
fn active_pods(snapshot: &Snapshot) -> HashSet<Text> {
    let sandboxes = || snapshot.sandboxes.iter().flatten();
    let owners = owners(snapshot);
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

/// The pods of sandboxes, by the sandboxes' IDs.
fn owners(snapshot: &Snapshot) -> HashMap<&Text, &Text> {
    let sandboxes = snapshot.sandboxes.iter().flatten();
    sandboxes.map(|s| (&s.id, &s.pod_uid)).collect()
}

/// When the log directory of a pod changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The newest stamp in it that is not later than now; ns since the epoch, 0 = nothing is there.
    Last(i64),
    /// It could not be read to its end.
    Unknown,
}

/// What was found when a pod was judged.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    as_of: i64,
    /// Its logs have changed since.
    logs: bool,
}

/// Which pods have changed since the moment of which the host's answer speaks (S0.3). Each is judged once in a pass, before anything
/// of it is deleted, because changes that the pass makes do not count. Objects that come up later can still hold a pod back.
#[derive(Clone, Debug, Default)]
pub struct Newer {
    /// When the newest container or sandbox of a pod was created, of all snapshots.
    created: HashMap<Text, i64>,
    verdicts: HashMap<Text, Verdict>,
    /// IDs and paths of what has a stamp later than now.
    beyond: BTreeSet<Text>,
}

impl Newer {
    /// Another snapshot of the pass.
    pub fn look(&mut self, snapshot: &Snapshot, now: i64) {
        let owners = owners(snapshot);
        for s in snapshot.sandboxes.iter().flatten() {
            self.saw(&s.pod_uid, &s.id, s.created_at, now);
        }
        for c in &snapshot.containers {
            self.saw(c.uid(), &c.id, c.created_at, now);
            if let Some(uid) = owners.get(&c.sandbox_id) {
                self.saw(uid, &c.id, c.created_at, now);
            }
        }
    }

    fn saw(&mut self, uid: &str, id: &Text, stamp: i64, now: i64) {
        if stamp > now {
            self.beyond.insert(id.clone());
            return;
        }
        match self.created.get_mut(uid) {
            Some(newest) => *newest = stamp.max(*newest),
            None => drop(self.created.insert(uid.into(), stamp)),
        }
    }

    /// Something in a log directory has a stamp later than now.
    pub fn saw_beyond(&mut self, path: Text) {
        self.beyond.insert(path);
    }

    /// Whether a pod is still to be judged.
    pub fn is_open(&self, uid: &str) -> bool {
        !self.verdicts.contains_key(uid)
    }

    /// Judges a pod by an answer and its logs; one that was judged keeps its verdict.
    pub fn judge(&mut self, uid: &Text, as_of: i64, changed: Changed) {
        if let hash_map::Entry::Vacant(verdict) = self.verdicts.entry(uid.clone()) {
            let logs = match changed {
                Changed::Last(stamp) => stamp > as_of,
                Changed::Unknown => true,
            };
            verdict.insert(Verdict { as_of, logs });
        }
    }

    /// The moment as of which a pod was judged.
    pub fn judged_by(&self, uid: &str) -> Option<i64> {
        self.verdicts.get(uid).map(|verdict| verdict.as_of)
    }

    /// The pods that are held back.
    pub fn pods(&self) -> HashSet<Text> {
        let newer = |(uid, verdict): (&Text, &Verdict)| {
            let created = self.created.get(uid).copied().unwrap_or(0);
            (verdict.logs || created > verdict.as_of).then(|| uid.clone())
        };
        self.verdicts.iter().filter_map(newer).collect()
    }

    /// How many objects have a stamp later than now, and one of them.
    pub fn beyond(&self) -> Option<(usize, &Text)> {
        let first = self.beyond.first()?;
        Some((self.beyond.len(), first))
    }
}

impl PodView {
    /// `broken`: the host's answer contradicted an earlier snapshot of this pass.
    pub fn new(snapshot: &Snapshot, answer: &PodStates, all_unused: bool, broken: bool) -> PodView {
        PodView {
            states: answer.states.clone(),
            ready: answer.ready,
            all_unused,
            broken,
            blind: snapshot.sandboxes.is_none() || snapshot.partial,
            active: active_pods(snapshot),
            newer: HashSet::new(),
        }
    }

    /// Adds the pods that [`Newer`] holds back (S0.3).
    pub fn holding(mut self, newer: HashSet<Text>) -> PodView {
        self.newer = newer;
        self
    }

    /// UIDs of pods that are gone by the host's answer.
    pub fn claimed(&self) -> impl Iterator<Item = &Text> {
        let uids = self.states.keys();
        uids.filter(|uid| self.ready && self.claim(uid).is_some())
    }

    /// Takes in a later answer about one pod alone (S4.1).
    pub fn renew(&mut self, uid: &Text, answer: &PodStates) {
        self.ready = answer.ready;
        match answer.states.get(uid) {
            Some(state) => drop(self.states.insert(uid.clone(), *state)),
            None => drop(self.states.remove(uid)),
        }
    }

    /// Whether the host has seen all its pod sources.
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// Whether the host says of more than half of the pods that run, and of at least two, that they are gone (S0.4).
    pub fn contradicted(&self) -> Option<Contradiction> {
        let is_asked = |uid: &&Text| self.states.contains_key(*uid);
        let active = self.active.iter().filter(is_asked).count();
        let is_active = |uid: &&Text| self.active.contains(*uid);
        let mut claimed: Vec<Text> = self.claimed().filter(is_active).cloned().collect();
        claimed.sort_unstable();
        (claimed.len() >= 2 && claimed.len() * 2 > active).then(|| Contradiction {
            claimed: claimed.len(),
            active,
            examples: claimed.iter().take(EXAMPLES).cloned().collect(),
        })
    }

    /// Why objects of a pod may be removed in this pass by the host's answer, if they may.
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
            Some(_) if self.newer.contains(uid) => Standing::Held(Reason::NewerThanAnswer),
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

/// Whether a planned removal is still right after the host was asked again (S0.3): its answer can only keep more.
pub fn still_stands(uid: &str, reason: Reason, fresh: &PodView) -> bool {
    let standing = match reason {
        Reason::PodRemoved => fresh.content_standing(uid),
        _ => fresh.standing(uid),
    };
    !rests_on_pod(reason) || matches!(standing, Standing::Removable(_))
}
