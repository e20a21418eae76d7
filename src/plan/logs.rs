//! Where the logs of a container are (S2.4, S2.6), and which trees and links that are left behind go (S4).

use super::Plan;
use super::containers::is_candidate_state;
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

impl ExpectedLog {
    /// Below `pod-logs-dir`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.pod_dir, self.file)
    }
}

/// What the labels of a container tell of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByLabels {
    /// It is where the labels say.
    There,
    /// The container's pod has no log directory.
    NoDirectory,
    /// Nothing that is certain: the runtime has to be asked.
    Ask,
}

/// S2.6: whether the runtime has to be asked where a log is. `None` of `has_log` and `has_dir`, which are given paths below
/// `pod-logs-dir`: nobody can tell.
pub fn log_by_labels(
    log: &ExpectedLog,
    live: &Live,
    has_log: impl Fn(&str) -> Option<bool>,
    has_dir: impl Fn(&str) -> Option<bool>,
) -> ByLabels {
    let path = log.path();
    // Where a running container's log should be, the runtime has to tell them apart.
    if !live.writes(&path) && has_log(&path) == Some(true) {
        return ByLabels::There;
    }
    let is_absent = |dir: &str| has_dir(dir) == Some(false);
    if is_absent(&log.pod_dir) && is_absent(&log.old_pod_dir) {
        return ByLabels::NoDirectory;
    }
    ByLabels::Ask
}

/// What running containers write, as far as their labels tell: nobody else's removal takes it (S2.4).
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Logs, below `pod-logs-dir`.
    logs: HashSet<String>,
    /// Links whose names are cut, so that they may be those of other containers, too.
    links: HashSet<String>,
}

impl Live {
    /// Of the containers of a look.
    pub fn of(containers: &[Container]) -> Live {
        let running = || containers.iter().filter(|c| !is_candidate_state(c));
        let logs = running().filter_map(expected_log);
        let links = running().filter_map(link_name);
        Live {
            logs: logs.map(|log| log.path()).collect(),
            links: links.filter(|name| is_cut(name)).collect(),
        }
    }

    /// Whether one of them writes there: by the last three names, since a runtime may spell the directories before them in another
    /// way.
    pub fn writes(&self, path: &str) -> bool {
        let mut names = path.rsplit('/').filter(|name| !name.is_empty());
        match (names.next(), names.next(), names.next()) {
            (Some(file), Some(container), Some(pod)) => {
                self.logs.contains(&format!("{pod}/{container}/{file}"))
            }
            _ => false,
        }
    }

    /// Whether a link may be that of one of them.
    pub fn has_link(&self, name: &str) -> bool {
        self.links.contains(name)
    }
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
        let (goes, reason) = match pods.content_standing(uid) {
            _ if !pods.ready() => (false, Reason::SourcesNotReady),
            Standing::Stays => (false, Reason::PodExists),
            Standing::Held(reason) => (false, reason),
            Standing::Removable(_) if !arrived => (false, Reason::ListIncomplete),
            Standing::Removable(_) if held.contains(uid) => (false, Reason::Active),
            Standing::Removable(reason) => (true, reason),
        };
        plan.add(name, goes, reason);
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
