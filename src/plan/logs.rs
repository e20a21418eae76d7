//! Where the logs of a container are (S2.4, S2.6), and which trees and links that are left behind go (S4).

use super::Plan;
use super::pods::{PodView, Standing};
use crate::node::{Container, ContainerState, Snapshot, Text};
use crate::report::Reason;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The longest name of a file, in bytes.
const NAME_LIMIT: usize = 255;
const LOG: &str = ".log";
/// The fewest characters of a container ID in a link's name (S4.2).
const ID_LENGTH: usize = 6;

/// The log of a container that a kubelet made, below `pod-logs-dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedLog {
    /// `<namespace>_<pod>_<uid>`
    pub pod_dir: String,
    /// `<container>/<attempt>.log`, below `pod_dir`.
    pub file: String,
    /// `<uid>`: the pod's log directory as kubelets before 1.14 named it. Where it exists, the log may be there.
    pub old_pod_dir: String,
}

/// A label that can be part of a file's name.
fn usable(label: &Option<Text>) -> Option<&str> {
    label
        .as_deref()
        .filter(|label| !label.is_empty() && *label != "." && *label != "..")
        .filter(|label| !label.contains(['/', '\0']))
}

/// S2.6: where the log of a container is, if its labels tell.
pub fn expected_log(c: &Container) -> Option<ExpectedLog> {
    let (namespace, pod) = (usable(&c.pod_namespace)?, usable(&c.pod_name)?);
    let (uid, name) = (usable(&c.pod_uid)?, usable(&c.container_name)?);
    Some(ExpectedLog {
        pod_dir: format!("{namespace}_{pod}_{uid}"),
        file: format!("{name}/{}{LOG}", c.attempt),
        old_pod_dir: uid.to_owned(),
    })
}

/// S2.4: the name of its link in `container-logs-dir`, if its labels tell.
pub fn link_name(c: &Container) -> Option<String> {
    let (pod, namespace) = (usable(&c.pod_name)?, usable(&c.pod_namespace)?);
    let name = usable(&c.container_name)?;
    if c.id.is_empty() || c.id.contains(['/', '\0']) {
        return None;
    }
    let mut stem = format!("{pod}_{namespace}_{name}-{}", c.id);
    let mut end = stem.len().min(NAME_LIMIT - LOG.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    stem.truncate(end);
    Some(stem + LOG)
}

/// S4.1: the pod UID that an entry of `pod-logs-dir` names.
pub fn entry_uid(name: &str) -> &str {
    name.rsplit_once('_').map_or(name, |(_, uid)| uid)
}

/// Namespace, name and UID of the pod that an entry of `pod-logs-dir` belongs to, if a kubelet named it.
pub fn entry_pod(name: &str) -> Option<(&str, &str, &str)> {
    let (namespace, rest) = name.split_once('_')?;
    let (pod, uid) = rest.split_once('_')?;
    Some((namespace, pod, uid))
}

/// S4.1: which entries of `pod-logs-dir` go; none where the lists of S3.1 did not arrive whole. `snapshot` holds what stays.
pub fn trees<'a>(names: &'a [Text], snapshot: &Snapshot, pods: &PodView) -> Plan<'a, Text> {
    let arrived = snapshot.sandboxes.is_some() && !snapshot.partial;
    let held: HashSet<&str> = snapshot.containers.iter().map(Container::uid).collect();
    let mut plan = Plan::default();
    for name in names {
        let uid = entry_uid(name);
        match pods.content_standing(uid) {
            _ if !pods.ready() => plan.keeps([name], Reason::SourcesNotReady),
            Standing::Stays => plan.keeps([name], Reason::PodExists),
            Standing::Held(reason) => plan.keeps([name], reason),
            Standing::Removable(_) if !arrived => plan.keeps([name], Reason::ListIncomplete),
            Standing::Removable(_) if held.contains(uid) => plan.keeps([name], Reason::Active),
            Standing::Removable(reason) => plan.removes([name], reason),
        }
    }
    plan
}

/// S4.2: the container ID in a link's name.
pub fn link_container_id(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(LOG)?;
    let (_, id) = stem.rsplit_once('-')?;
    (id.chars().count() >= ID_LENGTH).then_some(id)
}

/// Whether a link's name may be cut: then it holds part of an ID, or none.
pub fn is_cut(name: &str) -> bool {
    name.len() == NAME_LIMIT
}

/// Which listed containers links are those of: by the names that S2.4 makes of their labels, however they were cut.
#[derive(Debug)]
pub struct Owners {
    by_name: HashMap<String, BTreeSet<Text>>,
    whole: bool,
}

impl Owners {
    /// `whole`: the list arrived whole.
    pub fn new<'a>(
        names: impl Iterator<Item = &'a str>,
        containers: &[Container],
        whole: bool,
    ) -> Owners {
        let by_name = HashMap::new();
        let mut owners = Owners { by_name, whole };
        owners.add(names, containers, whole);
        owners
    }

    /// Another list, of which some may be known.
    pub fn add<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
        containers: &[Container],
        whole: bool,
    ) {
        self.whole &= whole;
        let wanted: HashSet<&str> = names.collect();
        if wanted.is_empty() {
            return;
        }
        for container in containers {
            if let Some(name) = link_name(container).filter(|name| wanted.contains(&**name)) {
                let ids = self.by_name.entry(name).or_default();
                ids.insert(container.id.clone());
            }
        }
    }

    /// The IDs of those with this name.
    pub fn of(&self, link: &str) -> impl Iterator<Item = &Text> {
        self.by_name.get(link).into_iter().flatten()
    }

    /// There may be others with this name that nobody has seen.
    pub fn are_unclear(&self, link: &str) -> bool {
        is_cut(link) && !self.whole
    }
}

/// S4.2: of several containers that share a link, any that has not ended keeps it, and then any of which nobody knows.
pub fn of_all(answers: Vec<LinkEvidence>) -> LinkEvidence {
    let keeps = |evidence: &LinkEvidence| match link(evidence) {
        (false, Reason::LinkAlive) => 2,
        (false, _) => 1,
        (true, _) => 0,
    };
    let strongest = answers.into_iter().max_by_key(keeps);
    strongest.unwrap_or(LinkEvidence::NoId)
}

/// What is known of the container that a dead link names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEvidence {
    /// The name holds no ID.
    NoId,
    /// The runtime does not know it.
    NotFound,
    /// The runtime knows it.
    State(ContainerState),
    /// The runtime did not tell.
    Error,
}

/// S4.2: whether a dead link goes, and why.
pub fn link(evidence: &LinkEvidence) -> (bool, Reason) {
    match evidence {
        LinkEvidence::NoId
        | LinkEvidence::NotFound
        | LinkEvidence::State(ContainerState::Exited) => (true, Reason::DeadLink),
        LinkEvidence::State(_) => (false, Reason::LinkAlive),
        LinkEvidence::Error => (false, Reason::LinkUnknown),
    }
}
