//! Whether `pod-logs-dir` is where the runtime keeps its logs (S2.4). Where it is not, containers would go and nobody would know of
//! their logs any more.

use super::container_removal::below;
use super::context::{Context, QUESTIONS};
use super::log_dirs::{LogDir, LogDirs};
use crate::cri::client::Runtime;
use crate::error::{Error, Status};
use crate::fs::logs::{Lies, Names};
use crate::node::{Container, Snapshot, Text};
use crate::plan::containers::is_candidate_state;
use crate::plan::logs::expected_log;
use crate::report::visible;
use futures_util::stream::{self, StreamExt};
use std::collections::BTreeMap;

/// How many containers are asked about.
const ASKED: usize = 8;

/// Why the key is likely wrong: no candidate with labels has its pod's directory there, and the logs of those that were asked
/// about lie elsewhere.
pub(super) async fn likely_wrong(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
    log_dirs: &LogDirs,
    snapshot: &Snapshot,
) -> Option<Error> {
    let dir = match &log_dirs.pod_logs {
        LogDir::Off | LogDir::Failed(..) => return None,
        LogDir::Open(_) if log_dirs.key_is_right.get() => return None,
        LogDir::Open(dir) => dir.dir(),
        LogDir::Missing(dir) => dir,
    };
    let Some(pods) = without_directory(ctx, log_dirs, snapshot) else {
        log_dirs.key_is_right.set(true);
        return None;
    };
    if pods.is_empty() {
        return None;
    }
    let answers: Vec<Option<(Lies, Text)>> = stream::iter(spread(&pods))
        .map(|container| lies(ctx, runtime, log_dirs, container))
        .buffered(QUESTIONS)
        .collect()
        .await;
    let answers: Vec<(Lies, Text)> = answers.into_iter().flatten().collect();
    if answers.iter().any(|(lies, _)| *lies == Lies::Here) {
        log_dirs.key_is_right.set(true);
        return None;
    }
    let (_, example) = answers.into_iter().next()?;
    // As for the directory itself (S4.1), where it does not exist.
    let status = match &log_dirs.pod_logs {
        LogDir::Missing(_) => Status::Io,
        _ => Status::Config,
    };
    Some(Error::new(
        status,
        format!(
            "pod-logs-dir ({}) is likely wrong: none of the {} pods with containers that have ended has a directory there, and the runtime keeps their logs elsewhere, such as {}; no container is removed, so that nobody loses track of its logs; set pod-logs-dir to where the runtime keeps the logs of pods, or to nothing to leave them alone",
            visible(dir),
            pods.len(),
            visible(&example)
        ),
    ))
}

/// One candidate of each pod of candidates with labels; `None` = one of the pods has its directory.
fn without_directory<'a>(
    ctx: &Context<'_>,
    log_dirs: &LogDirs,
    snapshot: &'a Snapshot,
) -> Option<Vec<&'a Container>> {
    let mut pods: BTreeMap<String, &Container> = BTreeMap::new();
    let candidates = snapshot.containers.iter();
    let still = || ctx.stop.cause().is_none();
    for container in candidates.filter(|c| c.readable && is_candidate_state(c) && still()) {
        let Some(log) = expected_log(container) else {
            continue;
        };
        let known = pods.get(&log.pod_dir);
        if let (None, LogDir::Open(dir)) = (known, &log_dirs.pod_logs) {
            // In doubt each container is looked at by itself.
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

/// Some of them, from the first to the last.
fn spread<'a>(pods: &[&'a Container]) -> Vec<&'a Container> {
    let count = pods.len().min(ASKED);
    (0..count).map(|n| pods[n * pods.len() / count]).collect()
}

/// Where the log of a container lies; `None` = the runtime does not tell, or it has none.
async fn lies(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
    log_dirs: &LogDirs,
    container: &Container,
) -> Option<(Lies, Text)> {
    let status = runtime.container_status(&container.id).await.ok()?;
    let path = status.log_path.ok()?;
    if status.id != container.id || path.is_empty() || path.ends_with('/') {
        return None;
    }
    let go_on = || ctx.stop.cause().is_none();
    let lies = match &log_dirs.pod_logs {
        LogDir::Open(dir) => dir.check_log(&path, Names::Fresh, &go_on).ok()?,
        LogDir::Missing(dir) if below(&path, dir).is_err() => Lies::Elsewhere,
        _ => Lies::Here,
    };
    let example = format!("{path} of container {}", container.id);
    Some((lies, example.into()))
}
