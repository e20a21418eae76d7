//! Log files that belong to no container any more, in the log directories of pods that stay (S4.3). Their links dangle then, and are removed
//! by S4.2.

use super::containers::ContainerPass;
use super::context::{Context, QUESTIONS};
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::log_ages::now;
use super::log_dirs::{LogDir, unreadable};
use super::logs::{is_file_in, names_of};
use super::pace::Pace;
use super::pod_evidence::Evidence;
use super::removals::{Remover, carry_out};
use super::snapshots::{Decision, Snapshots, ended};
use crate::config::duration::nanoseconds;
use crate::fs::logs::OpenLogDir;
use crate::node::{Container, LogFile, Snapshot, Text};
use crate::plan::Plan;
use crate::plan::logs::{entry_pod, entry_uid};
use crate::plan::orphans::{self, Owners};
use crate::report::{Kind, Reason, Why, visible};
use futures_util::stream::{self, StreamExt};
use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

/// Removes log files.
struct FileRemover<'a, 'p> {
    pass: &'a ContainerPass<'a, 'p>,
    dir: &'a OpenLogDir,
}

impl Remover for FileRemover<'_, '_> {
    type Object = LogFile;
    const KIND: Kind = Kind::PodLogs;

    fn planned(&self, file: &LogFile, why: Why) -> Planned {
        let pod = entry_pod(&file.pod);
        let name = pod.map(|(namespace, pod, _)| format!("{namespace}/{pod}/{}", file.container));
        let (id, uid) = (id(self.dir, file), entry_uid(&file.pod));
        Planned::new(Kind::PodLogs, id, name.unwrap_or_default(), uid, why)
    }

    async fn remove(&self, file: &LogFile, gate: &Gate<'_>) -> Result<Fate, Fate> {
        gate.still_open()?;
        let overlay = &self.pass.log_dirs.overlay;
        match overlay.remove_log_file(self.dir, file) {
            Ok(true) => Ok(Fate::Removed),
            Ok(false) => Err(Fate::kept(Reason::Changed)),
            Err(e) => Err(Fate::Failed(e.to_string())),
        }
    }
}

/// The path of a file, by which the report names it.
fn id(dir: &OpenLogDir, file: &LogFile) -> Text {
    format!("{}/{}", dir.dir(), file.path()).into()
}

/// S4.3 of a pass.
pub(super) async fn orphan_logs(snapshots: &Snapshots<'_, '_>) {
    let pass = snapshots.pass;
    let ctx = pass.ctx;
    let (Some(ttl), LogDir::Open(dir)) =
        (ctx.config.orphan_log_ttl_duration, &pass.log_dirs.pod_logs)
    else {
        return;
    };
    let Some(files) = read(pass, dir) else {
        return;
    };
    let Some(mut decision) = decide(snapshots, &files, ttl).await else {
        return;
    };
    // The lists may be older than the files: S3 may have taken long. A file of a container that was made since is not removed by them.
    let fresh = Snapshots::new(pass, None);
    if !decision.plan.remove.is_empty() {
        let Some(later) = decide(&fresh, &files, ttl).await else {
            return;
        };
        decision = later;
    }
    let Decision { evidence, plan } = decision;
    let steps = plan.remove.iter().chain(&plan.keep);
    let known: HashSet<Text> = steps.map(|step| id(dir, step.object)).collect();
    settle(ctx, dir, &known);
    let remover = FileRemover { pass, dir };
    let pace = Pace::new(ctx, Kind::PodLogs);
    carry_out(ctx, &evidence, plan, &pace, &remover).await;
}

/// All log files with names that a kubelet makes; `None` = the directory cannot be read.
fn read(pass: &ContainerPass<'_, '_>, dir: &OpenLogDir) -> Option<Vec<LogFile>> {
    let ctx = pass.ctx;
    let go_on = || ctx.stop.cause().is_none();
    let entries = match dir.entries(&go_on) {
        Ok(entries) => entries,
        Err(_) if ended(ctx) => return None,
        Err(e) => {
            ctx.fail(unreadable(ctx, "pod-logs-dir", dir.dir(), &e));
            return None;
        }
    };
    let wanted = |name: &str| orphans::number(name).is_some();
    let mut files = Vec::new();
    for pod in names_of(entries).0 {
        if entry_pod(&pod).is_none() {
            continue;
        }
        match dir.log_files(&pod, &wanted, &go_on) {
            Ok(of_pod) => files.extend(of_pod),
            Err(_) if ended(ctx) => return None,
            Err(e) => ctx.report.warn_once("orphan-logs", || format!(
                "cannot read all log directories of pods, such as {}: {e}; their logs without a container are kept; see the filesystem",
                visible(&pod)
            )),
        }
    }
    let overlay = &pass.log_dirs.overlay;
    files.retain(|file| {
        let is_gone = overlay.hides(dir, Path::new(&file.path()));
        !is_gone && !ctx.later.is_stopping(entry_uid(&file.pod))
    });
    Some(files)
}

/// The plan, over lists that are read again if something is to be removed.
async fn decide<'s>(
    snapshots: &'s Snapshots<'_, '_>,
    files: &'s [LogFile],
    ttl: Duration,
) -> Option<Decision<'s, LogFile>> {
    let ctx = snapshots.pass.ctx;
    let times = (now(ctx), nanoseconds(ttl));
    let uids: HashSet<&str> = files.iter().map(|file| entry_uid(&file.pod)).collect();
    let decided = snapshots.decide(|snapshot| {
        let owners = Owners::of(snapshot)?;
        let evidence = Evidence::ask(ctx, snapshot, uids.iter().map(|uid| Text::from(*uid)));
        let plan = evidence.with(|pods| orphans::plan(files, &owners, pods, times));
        Some(Decision { evidence, plan })
    });
    let Decision { evidence, plan } = decided.await?;
    let snapshot = snapshots.latest().await?;
    let owners = ask_for_others(snapshots.pass, snapshot, files, &plan).await?;
    let plan = evidence.with(|pods| orphans::plan(files, &owners, pods, times));
    Some(Decision { evidence, plan })
}

/// Asks where the logs are of containers that have none where their labels say, in the pods of which something is to be removed.
async fn ask_for_others<'s>(
    pass: &ContainerPass<'_, '_>,
    snapshot: &'s Snapshot,
    files: &[LogFile],
    plan: &Plan<'_, LogFile>,
) -> Option<Owners<'s>> {
    let mut owners = Owners::of(snapshot)?;
    let to_remove: Vec<&LogFile> = plan.remove.iter().map(|step| step.object).collect();
    let answers: Vec<_> = stream::iter(owners.without_file(&to_remove, files))
        .map(|c| async move { (c, log_path(pass, c).await) })
        .buffer_unordered(QUESTIONS)
        .collect()
        .await;
    for (c, path) in answers {
        owners.learn(c, path.as_deref());
    }
    (!ended(pass.ctx)).then_some(owners)
}

/// Where the runtime says that the log of a container is.
async fn log_path(pass: &ContainerPass<'_, '_>, c: &Container) -> Option<Text> {
    let status = pass.runtime.container_status(&c.id).await.ok()?;
    status.log_path.ok().filter(|_| status.id == c.id)
}

/// Writes down what became of files that were put off and are not in the plan any more: they are gone, or not without a container now.
fn settle(ctx: &Context<'_>, dir: &OpenLogDir, known: &HashSet<Text>) {
    let is_other = |id: &Text| is_file_in(dir, id) && !known.contains(id);
    let is_gone = |id: &Text| {
        let below = id.strip_prefix(dir.dir()).unwrap_or(id);
        matches!(dir.exists(below.trim_start_matches('/')), Ok(false))
    };
    ctx.later.settle(ctx, Kind::PodLogs, |id| {
        let fate = if is_gone(id) {
            Fate::Removed
        } else {
            Fate::kept(Reason::Changed)
        };
        is_other(id).then_some(fate)
    });
    ctx.attempts.keep_only(Kind::PodLogs, |id| !is_other(id));
}
