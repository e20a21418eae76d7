//! Where the logs of a container are (S2.4, S2.6), and which log directories and links are removed that were left behind (S4.1,
//! S4.2).

use super::containers::is_candidate_state;
use super::pods::{PodView, Standing};
use super::{Plan, keep_least};
use crate::node::{Container, ContainerState, Sandbox, Snapshot, Text};
use crate::report::{Compared, Reason, Why};
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

/// The label, if a file's name can contain it.
fn usable(label: &Option<Text>) -> Option<&str> {
    label.as_deref().filter(|label| is_usable(label))
}

/// Whether a file's name can contain a text.
fn is_usable(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['/', '\0'])
}

/// Where the log of a container is, if its labels say so (S2.6).
pub fn expected_log(c: &Container) -> Option<ExpectedLog> {
    let (namespace, pod) = (usable(&c.pod_namespace)?, usable(&c.pod_name)?);
    let (uid, name) = (usable(&c.pod_uid)?, usable(&c.container_name)?);
    Some(ExpectedLog {
        pod_dir: pod_dir(namespace, pod, uid),
        file: format!("{name}/{}{LOG}", c.attempt),
        old_pod_dir: uid.to_owned(),
    })
}

fn pod_dir(namespace: &str, pod: &str, uid: &str) -> String {
    format!("{namespace}_{pod}_{uid}")
}

/// The log directory of a sandbox's pod, below `pod-logs-dir`.
pub fn sandbox_dir(s: &Sandbox) -> Option<String> {
    let names = [&s.pod_namespace, &s.pod_name, &s.pod_uid];
    let is_known = names.into_iter().all(|name| is_usable(name));
    is_known.then(|| pod_dir(&s.pod_namespace, &s.pod_name, &s.pod_uid))
}

impl ExpectedLog {
    /// Below `pod-logs-dir`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.pod_dir, self.file)
    }
}

/// What the labels of a container say of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByLabels {
    /// It is where the labels say.
    There,
    /// The container's pod has no log directory.
    NoDirectory,
    /// Nothing certain: the runtime has to be asked.
    Ask,
}

/// Whether the runtime has to be asked where a log is (S2.6). `has_log` and `has_dir` are given paths below `pod-logs-dir`; they return
/// `None` if the answer is unknown.
pub fn log_by_labels(
    log: &ExpectedLog,
    live: &Live,
    has_log: impl Fn(&str) -> Option<bool>,
    has_dir: impl Fn(&str) -> Option<bool>,
) -> ByLabels {
    let path = log.path();
    // If a running container writes there as well, only the runtime knows whose log it is.
    if !live.writes(&path) && has_log(&path) == Some(true) {
        return ByLabels::There;
    }
    let is_absent = |dir: &str| has_dir(dir) == Some(false);
    if is_absent(&log.pod_dir) && is_absent(&log.old_pod_dir) {
        return ByLabels::NoDirectory;
    }
    ByLabels::Ask
}

/// What running containers write, as far as their labels say: the removal of another container does not delete it (S2.4).
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Logs, below `pod-logs-dir`.
    logs: HashSet<String>,
    /// Links whose names are cut, so that they may belong to other containers, too.
    links: HashSet<String>,
    /// Others may run that are not in the list.
    others: bool,
}

impl Live {
    /// Takes the containers of a list.
    pub fn of(containers: &[Container]) -> Live {
        let running = || containers.iter().filter(|c| !is_candidate_state(c));
        let logs = running().filter_map(expected_log);
        let links = running().filter_map(link_name);
        Live {
            logs: logs.map(|log| log.path()).collect(),
            links: links.filter(|name| is_cut(name)).collect(),
            others: false,
        }
    }

    /// The same of a list of one pod (S8): other pods may have containers with the same cut names.
    pub fn of_one_pod(containers: &[Container]) -> Live {
        Live {
            others: true,
            ..Live::of(containers)
        }
    }

    /// Whether one of them writes there. The last three names decide, since a runtime may spell the directories before them in another
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

    /// Whether a link may belong to one of them.
    pub fn has_link(&self, name: &str) -> bool {
        self.links.contains(name) || (self.others && is_cut(name))
    }
}

/// The name of its link in `container-logs-dir`, if its labels say so (S2.4).
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

/// The pod UID that an entry of `pod-logs-dir` names (S4.1).
pub fn entry_uid(name: &str) -> &str {
    name.rsplit_once('_').map_or(name, |(_, uid)| uid)
}

/// Namespace, name and UID of the pod that an entry of `pod-logs-dir` belongs to, if a kubelet named it.
pub fn entry_pod(name: &str) -> Option<(&str, &str, &str)> {
    let (namespace, rest) = name.split_once('_')?;
    let (pod, uid) = rest.split_once('_')?;
    Some((namespace, pod, uid))
}

/// Which entries of `pod-logs-dir` are removed (S4.1); none if the lists of S3.1 did not arrive whole. `snapshot` has what is kept.
/// `youth` is asked about entries that would be removed: it returns the age of something in them that is younger than
/// `minimum-pod-log-ttl-duration`.
pub fn trees<'a>(
    names: &'a [Text],
    snapshot: &Snapshot,
    pods: &PodView,
    youth: impl Fn(&Text) -> Option<Compared>,
) -> Plan<'a, Text> {
    let arrived = snapshot.sandboxes.is_some() && !snapshot.partial;
    let mut held: HashMap<&str, &Text> = HashMap::new();
    for c in &snapshot.containers {
        keep_least(&mut held, c.uid(), &c.id);
    }
    let mut plan = Plan::default();
    for name in names {
        let uid = entry_uid(name);
        let (is_removed, why) = match (pods.content_standing(uid), held.get(uid)) {
            _ if !pods.ready() => (false, Reason::SourcesNotReady.into()),
            (Standing::Stays, _) => (false, Reason::PodExists.into()),
            (Standing::Held(reason), _) => (false, pods.why(uid, reason)),
            (Standing::Removable(_), _) if !arrived => (false, Reason::ListIncomplete.into()),
            (Standing::Removable(_), Some(&id)) => (false, left_by(id)),
            (Standing::Removable(reason), None) => match youth(name) {
                Some(compared) => (false, Why::new(Reason::TooYoung, compared)),
                None => (true, reason.into()),
            },
        };
        plan.add(name, is_removed, why);
    }
    plan
}

/// A container of the pod is left.
fn left_by(id: &Text) -> Why {
    Why::new(Reason::Active, Compared::Container(id.clone()))
}

/// The container ID in a link's name (S4.2).
pub fn link_container_id(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(LOG)?;
    let (_, id) = stem.rsplit_once('-')?;
    (id.chars().count() >= ID_LENGTH).then_some(id)
}

/// Whether a link's name may be cut: then it contains only the beginning of an ID, or no ID.
pub fn is_cut(name: &str) -> bool {
    name.len() == NAME_LIMIT
}

/// Which listed containers links belong to: by the names that S2.4 makes of their labels, however they were cut.
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

    /// Adds another list; some of its containers may be known.
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

    /// The IDs of the containers with this link.
    pub fn of(&self, link: &str) -> impl Iterator<Item = &Text> {
        self.by_name.get(link).into_iter().flatten()
    }

    /// Whether there may be others with this link that crigc has not seen.
    pub fn are_unclear(&self, link: &str) -> bool {
        is_cut(link) && !self.whole
    }
}

/// Of several containers that share a link, any that has not ended keeps it, and otherwise any whose state is unknown (S4.2).
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
    /// The name does not contain an ID.
    NoId,
    /// The runtime does not know it.
    NotFound,
    /// The runtime knows it.
    State(ContainerState),
    /// The runtime did not answer the question.
    Error,
}

impl From<LinkEvidence> for Compared {
    fn from(evidence: LinkEvidence) -> Compared {
        match evidence {
            LinkEvidence::NoId => Compared::NoId,
            LinkEvidence::NotFound => Compared::NotFound,
            LinkEvidence::State(state) => Compared::ContainerState(state),
            LinkEvidence::Error => Compared::Nothing,
        }
    }
}

/// Whether a dead link is removed, and why (S4.2).
pub fn link(evidence: &LinkEvidence) -> (bool, Reason) {
    match evidence {
        LinkEvidence::NoId
        | LinkEvidence::NotFound
        | LinkEvidence::State(ContainerState::Exited) => (true, Reason::DeadLink),
        LinkEvidence::State(_) => (false, Reason::LinkAlive),
        LinkEvidence::Error => (false, Reason::LinkUnknown),
    }
}
