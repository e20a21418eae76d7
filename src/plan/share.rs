//! The brake (S0.12): how many of the pods would lose something because they are gone, and whether those are too many.

use super::containers::{self, ContainerPolicy};
use super::logs::entry_uid;
use super::pods::PodView;
use super::{Step, logs, sandboxes};
use crate::node::{Container, Sandbox, Snapshot, Text};
use crate::report::Compared;
use std::collections::{BTreeSet, HashSet};

/// Fewer pods than this are never too many.
const LEAST: usize = 10;
/// How many examples a verdict names.
const EXAMPLES: usize = 3;

/// More pods would lose something than `max-pod-share` allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Pods that would lose something because they are gone.
    pub losing: usize,
    /// Those, and the pods that have an entry in `pod-logs-dir`.
    pub pods: usize,
    /// UIDs of some of those that would lose something.
    pub examples: Vec<Text>,
}

/// The pods that would lose something because they are gone: containers (S1), then sandboxes (S3), then logs (S4.1). `names` are the
/// entries of `pod-logs-dir`, `youth` is as in [`logs::trees`].
pub fn losing(
    snapshot: &Snapshot,
    pods: &PodView,
    policy: &ContainerPolicy,
    now: i64,
    names: &[Text],
    youth: impl Fn(&Text) -> Option<Compared>,
) -> BTreeSet<Text> {
    let plan = containers::plan(snapshot, pods, policy, now);
    let containers = plan.remove.iter().filter(|step| step.rests_on_pod);
    let of_container = |step: &Step<'_, Container>| Text::from(step.object.uid());
    let mut losing: BTreeSet<Text> = containers.map(of_container).collect();
    let removed: HashSet<&Text> = plan.remove.iter().map(|step| &step.object.id).collect();
    let mut left = snapshot.clone();
    left.containers.retain(|c| !removed.contains(&c.id));
    let plan = sandboxes::plan(&left, pods);
    let sandboxes = plan.remove.iter().filter(|step| step.rests_on_pod);
    let of_sandbox = |step: &Step<'_, Sandbox>| step.object.pod_uid.clone();
    losing.extend(sandboxes.map(of_sandbox));
    let plan = logs::trees(names, &left, pods, youth);
    let of_logs = |step: &Step<'_, Text>| Text::from(entry_uid(step.object));
    losing.extend(plan.remove.iter().map(of_logs));
    // A pod that has ended may lose something as well, but is not gone.
    let gone: HashSet<&Text> = pods.gone().collect();
    losing.retain(|uid| gone.contains(uid));
    losing
}

/// Whether those are more than `percent` of the pods that have an entry in `pod-logs-dir`, and at least 10. A pod that would lose
/// something counts also without an entry: the directory may be the wrong one (safer).
pub fn exceeded(percent: u8, names: &[Text], losing: &BTreeSet<Text>) -> Option<Exceeded> {
    let mut pods: HashSet<&str> = names.iter().map(|name| entry_uid(name)).collect();
    pods.extend(losing.iter().map(|uid| &**uid));
    let is_over = losing.len() >= LEAST && losing.len() * 100 > pods.len() * usize::from(percent);
    is_over.then(|| Exceeded {
        losing: losing.len(),
        pods: pods.len(),
        examples: losing.iter().take(EXAMPLES).cloned().collect(),
    })
}
