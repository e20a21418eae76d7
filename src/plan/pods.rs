//! The objects of which pods may be removed: the host's answer (S0.2, S0.3) against what runs (S0.4), held back by the brake (S0.12).

use super::keep_least;
pub use super::newer::{Changed, Newer};
use crate::node::{ContainerState, PodState, PodStates, SandboxState, Snapshot, Text};
use crate::report::{Compared, Kind, Reason, Why};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

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

/// Which pods the brake holds back (S0.12).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Brake {
    /// None: there is no brake, or no verdict yet.
    #[default]
    Off,
    /// All: it is unknown how many would lose something.
    All,
    /// All: too many would.
    TooMany {
        /// How many would.
        losing: u32,
        /// How many there are.
        pods: u32,
        /// How many may, in percent.
        percent: u8,
    },
    /// Those that are gone by now, but were not when they were counted.
    AllBut(Arc<HashSet<Text>>),
}

impl Brake {
    /// Holds the pods that are gone, but those that were counted.
    pub fn all_but(counted: impl IntoIterator<Item = Text>) -> Brake {
        Brake::AllBut(Arc::new(counted.into_iter().collect()))
    }
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

/// The kind and the ID of an object by which a pod is active.
type Runs = (Kind, Text);

/// One snapshot of the node with the host's answer about its pods.
#[derive(Clone, Debug)]
pub struct PodView {
    states: HashMap<Text, PodState>,
    ready: bool,
    all_unused: bool,
    /// What a pod that has ended left may be removed by its age (S1.9).
    by_age: bool,
    broken: bool,
    /// What runs is unknown without the list of sandboxes (S1.1), or without all containers of a pod (S7.3).
    blind: bool,
    active: HashMap<Text, Runs>,
    /// Pods that have changed since the moment of which the host's answer speaks (S0.3), and when.
    newer: HashMap<Text, Compared>,
    brake: Brake,
}

/// Whether the host can be asked about a UID (S0.3); "" is a UID like any other.
pub fn askable(uid: &str) -> bool {
    !uid.chars().any(char::is_control)
}

/// Whether this can be the UID of one pod (S8): a label and the name of a log directory can contain it.
pub fn names_a_pod(uid: &str) -> bool {
    !uid.is_empty() && !uid.contains('/') && askable(uid)
}

/// The host's answer about a pod of which a call said at this moment that it is gone (S8). `answer` is that of the host's callback; it can
/// only keep more.
pub fn called_gone(uid: &Text, as_of: i64, answer: Option<PodStates>) -> PodStates {
    let gone = PodState {
        content_removable: true,
        ..PodState::default()
    };
    let mut answer = answer.unwrap_or_else(|| PodStates {
        ready: true,
        states: [(uid.clone(), gone)].into(),
        as_of: 0,
    });
    if answer.as_of == 0 || answer.as_of > as_of {
        answer.as_of = as_of;
    }
    answer
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
fn active_pods(snapshot: &Snapshot) -> HashMap<Text, Runs> {
    let owners = owners(snapshot);
    let mut active = HashMap::new();
    let sandboxes = snapshot.sandboxes.iter().flatten();
    for s in sandboxes.filter(|s| s.state != SandboxState::NotReady) {
        keep_least(
            &mut active,
            s.pod_uid.clone(),
            (Kind::Sandbox, s.id.clone()),
        );
    }
    for c in &snapshot.containers {
        if let ContainerState::Running | ContainerState::Undefined(_) = c.state {
            let owner = owners.get(&c.sandbox_id).map(|&uid| uid.clone());
            for uid in [Some(c.uid().into()), owner].into_iter().flatten() {
                keep_least(&mut active, uid, (Kind::Container, c.id.clone()));
            }
        }
    }
    active
}

/// The pods of sandboxes, by the sandboxes' IDs.
pub(super) fn owners(snapshot: &Snapshot) -> HashMap<&Text, &Text> {
    let sandboxes = snapshot.sandboxes.iter().flatten();
    sandboxes.map(|s| (&s.id, &s.pod_uid)).collect()
}

impl PodView {
    /// `broken`: the host's answer contradicted an earlier snapshot of this pass.
    pub fn new(snapshot: &Snapshot, answer: &PodStates, all_unused: bool, broken: bool) -> PodView {
        PodView {
            states: answer.states.clone(),
            ready: answer.ready,
            all_unused,
            by_age: false,
            broken,
            blind: snapshot.sandboxes.is_none() || snapshot.partial,
            active: active_pods(snapshot),
            newer: HashMap::new(),
            brake: Brake::Off,
        }
    }

    /// The age of containers counts (S1.9): what the host says of pods that have ended is then checked like what it says of those that are
    /// gone.
    pub fn by_age(mut self, by_age: bool) -> PodView {
        self.by_age = by_age;
        self
    }

    /// Adds the pods that [`Newer`] holds back (S0.3).
    pub fn holding(mut self, newer: HashMap<Text, Compared>) -> PodView {
        self.newer = newer;
        self
    }

    /// Adds the verdict of S0.12.
    pub fn braked(mut self, brake: Brake) -> PodView {
        self.brake = brake;
        self
    }

    /// UIDs of pods that are gone by the host's answer.
    pub fn claimed(&self) -> impl Iterator<Item = &Text> {
        let uids = self.states.keys();
        uids.filter(|uid| self.ready && self.is_claimed(uid))
    }

    /// UIDs of pods of which everything may be removed by the host's answer.
    pub fn gone(&self) -> impl Iterator<Item = &Text> {
        self.claimed().filter(|uid| self.is_gone(uid))
    }

    fn is_gone(&self, uid: &str) -> bool {
        let state = self.states.get(uid);
        state.is_some_and(|state| state.content_removable)
    }

    /// S0.12.
    fn is_braked(&self, uid: &str) -> bool {
        match &self.brake {
            Brake::Off => false,
            Brake::All | Brake::TooMany { .. } => true,
            Brake::AllBut(counted) => self.is_gone(uid) && !counted.contains(uid),
        }
    }

    fn is_claimed(&self, uid: &str) -> bool {
        self.claim(uid).is_some() || (self.by_age && self.has_ended(uid))
    }

    /// Takes in a later answer about one pod alone (S4.1).
    pub fn renew(&mut self, uid: &Text, answer: &PodStates) {
        self.ready = answer.ready;
        match answer.states.get(uid) {
            Some(state) => drop(self.states.insert(uid.clone(), *state)),
            None => drop(self.states.remove(uid)),
        }
    }

    /// Whether any pod may be removable by this answer and these lists.
    pub fn is_clear(&self) -> bool {
        self.ready && !self.blind && !self.broken
    }

    /// Whether the host has seen all its pod sources.
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// Whether the host says of more than half of the pods that run, and of at least two, that they are gone (S0.4).
    pub fn contradicted(&self) -> Option<Contradiction> {
        let is_asked = |uid: &&Text| self.states.contains_key(*uid);
        let active = self.active.keys().filter(is_asked).count();
        let is_active = |uid: &&Text| self.active.contains_key(*uid);
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

    /// Whether the containers and sandboxes of a pod may be removed by the host's answer, if a rule calls for it (S0.2).
    fn has_ended(&self, uid: &str) -> bool {
        let state = self.states.get(uid);
        state.is_some_and(|state| state.content_removable || state.runtime_removable)
    }

    /// What may happen to containers and sandboxes of a pod (S1.4, S3.3).
    pub fn standing(&self, uid: &str) -> Standing {
        let claim = self.claim(uid);
        claim.map_or(Standing::Stays, |reason| self.checked(uid, reason))
    }

    /// What may happen to the logs of a pod (S4.1).
    pub fn content_standing(&self, uid: &str) -> Standing {
        match self.states.get(uid) {
            Some(state) if state.content_removable => self.standing(uid),
            _ => Standing::Stays,
        }
    }

    /// What may happen to containers of a pod that are too old (S1.9).
    pub fn age_standing(&self, uid: &str) -> Standing {
        if self.has_ended(uid) {
            self.checked(uid, Reason::Age)
        } else {
            Standing::Stays
        }
    }

    /// A reason that holds objects of a pod back, with what was compared.
    pub fn why(&self, uid: &str, reason: Reason) -> Why {
        let compared = match (reason, &self.brake) {
            (Reason::PodActive, _) => self.active.get(uid).map(|(kind, id)| match kind {
                Kind::Sandbox => Compared::Sandbox(id.clone()),
                _ => Compared::Container(id.clone()),
            }),
            (Reason::NewerThanAnswer, _) => self.newer.get(uid).cloned(),
            (
                Reason::HeldByShare,
                &Brake::TooMany {
                    losing,
                    pods,
                    percent,
                },
            ) => Some(Compared::Pods {
                losing,
                pods,
                percent,
            }),
            _ => None,
        };
        Why::new(reason, compared.unwrap_or_default())
    }

    /// Checks the host's answer that a pod is gone.
    fn checked(&self, uid: &str, reason: Reason) -> Standing {
        if !self.ready {
            Standing::Held(Reason::SourcesNotReady)
        } else if self.blind {
            Standing::Held(Reason::ListIncomplete)
        } else if self.broken || self.active.contains_key(uid) {
            Standing::Held(Reason::PodActive)
        } else if self.newer.contains_key(uid) {
            Standing::Held(Reason::NewerThanAnswer)
        } else if self.is_braked(uid) {
            Standing::Held(Reason::HeldByShare)
        } else {
            Standing::Removable(reason)
        }
    }
}

/// Whether a removal for this reason rests on the host's answer about a pod. One for its age may (S1.9); then its step says so.
pub fn rests_on_pod(reason: Reason) -> bool {
    matches!(reason, Reason::PodRemoved | Reason::PodTerminated)
}

/// Whether a planned removal that rests on the host's answer is still right after the host was asked again (S0.3): its answer can only
/// keep more.
pub fn still_stands(uid: &str, reason: Reason, fresh: &PodView) -> bool {
    let standing = match reason {
        Reason::PodRemoved => fresh.content_standing(uid),
        Reason::Age => fresh.age_standing(uid),
        _ => fresh.standing(uid),
    };
    matches!(standing, Standing::Removable(_))
}
