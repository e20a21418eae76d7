//! Whether `pod-logs-dir` is where the runtime keeps its logs (S2.4). If it is not, containers would be removed, and nothing would refer to
//! their logs any more.

use super::container_removal::below;
use super::containers::ContainerPass;
use super::context::QUESTIONS;
use super::log_dirs::{LogDir, missing_pod_logs};
use crate::error::{Error, Status};
use crate::fs::logs::{Entry, Lies, Names};
use crate::node::{Container, Snapshot, Text};
use crate::plan::containers::is_candidate_state;
use crate::plan::logs::{entry_pod, expected_log};
use crate::report::visible;
use futures_util::stream::{self, StreamExt};
use std::collections::BTreeMap;

/// How many containers the runtime is asked about at most.
const ASKED: usize = 8;

/// Why the key is likely wrong: no candidate with labels has its pod's directory there, and the logs of those that were asked about are
/// elsewhere.
pub(super) async fn likely_wrong(
    pass: &ContainerPass<'_, '_>,
    snapshot: &Snapshot,
) -> Option<Error> {
    let log_dirs = pass.log_dirs;
    let dir = match &log_dirs.pod_logs {
        LogDir::Off | LogDir::Failed(..) => return None,
        LogDir::Open(_) if log_dirs.key_is_right.get() => return None,
        LogDir::Open(dir) => dir.dir(),
        LogDir::Missing(dir) => dir,
    };
    if pass.ctx.pod.is_some() && has_pods(pass) {
        // This one's logs are elsewhere, those of others are here (S8).
        return None;
    }
    let Some(pods) = without_directory(pass, snapshot) else {
        log_dirs.key_is_right.set(true);
        return None;
    };
    if pods.is_empty() {
        return None;
    }
    let answers = stream::iter(spread(&pods))
        .map(|container| log_of(pass, container))
        .buffered(QUESTIONS)
        .filter_map(std::future::ready);
    let answers: Vec<(Lies, Text)> = answers.collect().await;
    if answers.iter().any(|(place, _)| *place == Lies::Here) {
        log_dirs.key_is_right.set(true);
        return None;
    }
    let (_, example) = answers.into_iter().next()?;
    // One cause, one error: S4.1 has the same.
    if let LogDir::Missing(dir) = &log_dirs.pod_logs {
        return Some(missing_pod_logs(dir));
    }
    Some(Error::new(
        Status::Config,
        format!(
            "pod-logs-dir ({}) is likely wrong: none of the {} pods with containers that have ended has a directory there, and the runtime keeps their logs elsewhere, such as {}; no container is removed, so that its logs are not forgotten; set pod-logs-dir to where the runtime keeps the logs of pods, or to nothing to leave them alone",
            visible(dir),
            pods.len(),
            visible(&example)
        ),
    ))
}

/// Whether there is any pod's directory.
fn has_pods(pass: &ContainerPass<'_, '_>) -> bool {
    let LogDir::Open(dir) = &pass.log_dirs.pod_logs else {
        return false;
    };
    let entries = dir.entries(&|| pass.ctx.stop.cause().is_none());
    let is_pod = |entry: &Entry| {
        entry
            .name
            .to_str()
            .is_some_and(|name| entry_pod(name).is_some())
    };
    entries.is_ok_and(|entries| entries.iter().any(is_pod))
}

/// One candidate with labels of each pod; `None` = one of the pods has its directory.
fn without_directory<'a>(
    pass: &ContainerPass<'_, '_>,
    snapshot: &'a Snapshot,
) -> Option<Vec<&'a Container>> {
    let mut pods: BTreeMap<String, &Container> = BTreeMap::new();
    let candidates = snapshot.containers.iter();
    let go_on = || pass.ctx.stop.cause().is_none();
    for container in candidates.filter(|c| c.readable && is_candidate_state(c) && go_on()) {
        let Some(log) = expected_log(container) else {
            continue;
        };
        let known = pods.get(&log.pod_dir);
        if let (None, LogDir::Open(dir)) = (known, &pass.log_dirs.pod_logs) {
            // In doubt each container is checked by itself.
            let is_absent = |name: &str| matches!(dir.exists(name), Ok(false));
            if !is_absent(&log.pod_dir) || !is_absent(&log.old_pod_dir) {
                return None;
            }
        }
        if known.is_none_or(|known| container.id < known.id) {
            pods.insert(log.pod_dir, container);
        }
    }
    Some(pods.into_values().collect())
}

/// At most [`ASKED`] of them, evenly from the first to the last.
fn spread<'a>(pods: &[&'a Container]) -> Vec<&'a Container> {
    let count = pods.len().min(ASKED);
    (0..count).map(|n| pods[n * pods.len() / count]).collect()
}

/// Where the log of a container is, and its path to report; `None` = the runtime does not say, or it has none.
async fn log_of(pass: &ContainerPass<'_, '_>, container: &Container) -> Option<(Lies, Text)> {
    let status = pass.runtime.container_status(&container.id).await.ok()?;
    let path = status.log_path.ok()?;
    if status.id != container.id || path.is_empty() || path.ends_with('/') {
        return None;
    }
    let go_on = || pass.ctx.stop.cause().is_none();
    let place = match &pass.log_dirs.pod_logs {
        LogDir::Open(dir) => dir.check_log(&path, Names::Fresh, &go_on).ok()?,
        LogDir::Missing(dir) if below(&path, dir).is_err() => Lies::Elsewhere,
        _ => Lies::Here,
    };
    let example = format!("{path} of container {}", container.id);
    Some((place, example.into()))
}
