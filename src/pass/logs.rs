//! Logs that pods left behind, and links whose target is gone (S4).

use super::context::{Context, QUESTIONS};
use super::defects::object;
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::later::{Ordered, Round};
use super::log_dirs::{LogDir, LogDirs, unreadable};
use super::pace::Pacing;
use super::parts::all_containers;
use super::pod_evidence::{Evidence, has_newer_files};
use super::removals::{Remover, carry_out};
use super::snapshots::{Decision, Snapshots, ended};
use crate::cri::CallError;
use crate::cri::client::Runtime;
use crate::error::{Error, Status};
use crate::fs::links::LogLink;
use crate::fs::logs::{Entry as DirEntry, OpenLogDir};
use crate::node::{Snapshot, Text};
use crate::plan;
use crate::plan::logs::{LinkEvidence, Owners, entry_pod, entry_uid, is_cut, link_container_id};
use crate::report::{Kind, Reason};
use futures_util::stream::{self, StreamExt};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::pin::pin;

/// Removes entries of `pod-logs-dir`.
struct TreeRemover<'a> {
    ctx: &'a Context<'a>,
    log_dirs: &'a LogDirs,
    dir: &'a OpenLogDir,
    evidence: &'a Evidence<'a>,
}

impl Remover for TreeRemover<'_> {
    type Object = Text;
    const KIND: Kind = Kind::PodLogs;

    fn planned(&self, name: &Text, reason: Reason) -> Planned {
        let path = format!("{}/{name}", self.dir.dir());
        let pod = entry_pod(name).map(|(namespace, pod, _)| format!("{namespace}/{pod}"));
        let pod = pod.unwrap_or_default();
        Planned::new(Kind::PodLogs, path, pod, entry_uid(name), reason)
    }

    async fn remove(&self, name: &Text, gate: &Gate<'_>) -> Result<Fate, Fate> {
        // A static pod comes back under its UID, and does so while the host approves.
        let uid: Text = entry_uid(name).into();
        if !self.evidence.stands_now(&uid, Reason::PodRemoved) {
            return Err(Fate::Kept(Reason::Changed));
        }
        if has_newer_files(self.ctx, self.dir, name) {
            return Err(Fate::Kept(Reason::NewerThanAnswer));
        }
        let overlay = &self.log_dirs.overlay;
        gate.delete(|go_on| overlay.remove_tree(self.dir, name, go_on))?;
        Ok(Fate::Removed)
    }
}

/// The entries of `pod-logs-dir`.
fn entries<'a>(
    ctx: &Context<'_>,
    dir: &'a LogDir,
) -> Result<Option<(&'a OpenLogDir, Vec<DirEntry>)>, Error> {
    let failed = |dir: &str, e: &io::Error| unreadable("pod-logs-dir", dir, e);
    match dir {
        LogDir::Off => Ok(None),
        LogDir::Missing(dir) => Err(Error::new(
            Status::Io,
            format!(
                "pod-logs-dir ({dir}) does not exist; set it to where the runtime keeps the logs of pods, or to nothing to leave them alone"
            ),
        )),
        LogDir::Failed(dir, e) => Err(failed(dir, e)),
        LogDir::Open(dir) => match dir.entries(&|| ctx.stop.cause().is_none()) {
            Ok(entries) => Ok(Some((dir, entries))),
            Err(e) => Err(failed(dir.dir(), &e)),
        },
    }
}

/// The names of entries in their order, and those that are no UTF-8, as they can be shown.
fn names_of(entries: Vec<DirEntry>) -> (Vec<Text>, Vec<String>) {
    let (mut names, mut unreadable) = (Vec::new(), Vec::new());
    for DirEntry { name, .. } in entries {
        match name.to_str() {
            Some(name) => names.push(Text::from(name)),
            None => unreadable.push(name.to_string_lossy().into_owned()),
        }
    }
    names.sort();
    (names, unreadable)
}

/// S4.1; false = the directory cannot be read, and the links are not to be looked at.
pub(super) async fn trees(
    ctx: &Context<'_>,
    log_dirs: &LogDirs,
    snapshots: &Snapshots<'_>,
) -> bool {
    let (dir, entries) = match entries(ctx, &log_dirs.pod_logs) {
        Ok(Some(found)) => found,
        Ok(None) => return true,
        Err(_) if ended(ctx) => return false,
        Err(e) => {
            let Some(snapshot) = snapshots.latest().await else {
                return false;
            };
            // Before sources are ready the directory does not matter.
            let ready = Evidence::ask(ctx, snapshot, []).with(|pods| pods.ready());
            if ready {
                ctx.fail(e);
            }
            return !ready;
        }
    };
    let (names, unreadable) = names_of(entries);
    let uids: Vec<Text> = names.iter().map(|name| entry_uid(name).into()).collect();
    let path = |name: &Text| Text::from(format!("{}/{name}", dir.dir()));
    let is_there: HashSet<Text> = names.iter().map(path).collect();
    ctx.later
        .settle_gone(ctx, Kind::PodLogs, |id| is_there.contains(id));
    ctx.attempts
        .keep_only(Kind::PodLogs, |id| is_there.contains(id));
    let decided = snapshots.decide(|snapshot| {
        let evidence = Evidence::ask(ctx, snapshot, uids.iter().cloned());
        let plan = evidence.with(|pods| plan::logs::trees(&names, snapshot, pods));
        Some(Decision { evidence, plan })
    });
    let Some(Decision { evidence, plan }) = decided.await else {
        return false;
    };
    if ctx.later.round.get() == Round::First {
        for name in unreadable {
            let path = format!("{}/{name}", dir.dir());
            let reason = Reason::UnknownState;
            let planned = Planned::new(Kind::PodLogs, path, "", "", reason);
            ctx.record(planned, Fate::Kept(reason));
        }
    }
    let remover = TreeRemover {
        ctx,
        log_dirs,
        dir,
        evidence: &evidence,
    };
    carry_out(ctx, &evidence, plan, &Pacing::without_rests(1), &remover).await;
    true
}

/// S4.2: links whose target is gone, or would be after a dry run's removals.
pub(super) async fn links(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
    log_dirs: &LogDirs,
    snapshots: &Snapshots<'_>,
) {
    let Some(snapshot) = snapshots.latest().await else {
        return;
    };
    let dir = match &log_dirs.links {
        LogDir::Off | LogDir::Missing(_) => return,
        LogDir::Open(dir) => dir,
        LogDir::Failed(dir, e) => return ctx.fail(unreadable("container-logs-dir", dir, e)),
    };
    let Some(links) = dangling(ctx, log_dirs, dir) else {
        return;
    };
    let owners = &owners(ctx, runtime, snapshot, &links).await;
    let Ordered {
        items: mut planned,
        alone_from,
    } = in_turn(ctx, dir, links);
    let mut left = planned.len();
    let alone = planned.split_off(alone_from);
    let ask = |(planned, link): (Planned, LogLink)| async move {
        let answer = evidence_of(ctx, runtime, log_dirs, owners, &planned, &link);
        let answer = object(ctx, answer).await;
        (planned, link, answer)
    };
    let together = stream::iter(planned).map(ask).buffered(QUESTIONS);
    let mut answers = pin!(together.chain(stream::iter(alone).then(ask)));
    while let Some((planned, link, answer)) = answers.next().await {
        let removal = async {
            match plan::logs::link(&answer?) {
                (false, reason) => Err(Fate::Kept(reason)),
                (true, _) => remove_link(ctx, log_dirs, dir, &planned, &link),
            }
        };
        let fate = object(ctx, removal).await.unwrap_or_else(|fate| fate);
        if fate == Fate::Kept(Reason::LinkAlive) {
            ctx.attempts.ended_well(&planned);
        }
        left -= 1;
        let is_an_end = fate.is_an_end();
        ctx.record(planned.clone(), fate);
        if is_an_end {
            ctx.progress(&planned, left);
        }
    }
}

/// Links in the order of S0.8. Those that were put off and do not dangle any more are settled.
fn in_turn(ctx: &Context<'_>, dir: &OpenLogDir, links: Vec<LogLink>) -> Ordered<LogLink> {
    let planned = links.into_iter().map(|link| {
        let path = format!("{}/{}", dir.dir(), link.name);
        let planned = Planned::new(Kind::LogLink, path, "", "", Reason::DeadLink);
        (planned, link)
    });
    let planned: Vec<_> = planned.collect();
    let is_there: HashSet<Text> = planned.iter().map(|(p, _)| p.id.clone()).collect();
    ctx.later.settle(ctx, Kind::LogLink, |id| {
        let is_gone = !is_there.contains(id);
        is_gone.then(|| no_longer_dangling(dir, id))
    });
    let is_there = |id: &Text| is_there.contains(id);
    ctx.attempts.keep_only(Kind::LogLink, is_there);
    ctx.later.order(ctx, Kind::LogLink, planned)
}

/// The links that lead nowhere, in their order; `None` = the directory cannot be read.
fn dangling(ctx: &Context<'_>, log_dirs: &LogDirs, dir: &OpenLogDir) -> Option<Vec<LogLink>> {
    let go_on = || ctx.stop.cause().is_none();
    let dangles =
        |link: &LogLink| log_dirs.overlay.dangles(link) && !ctx.later.has_link(&link.name);
    // What a dry run would have removed is still there, and so are links to it.
    match dir.log_links(ctx.dry_run, &go_on, dangles) {
        Ok(mut links) => {
            links.sort_by(|a, b| a.name.cmp(&b.name));
            return Some(links);
        }
        Err(_) if ended(ctx) => {}
        Err(e) => ctx.fail(unreadable("container-logs-dir", dir.dir(), &e)),
    }
    None
}

/// What became of a link that was put off. One that leads somewhere again stays.
fn no_longer_dangling(dir: &OpenLogDir, path: &str) -> Fate {
    let name = path.rsplit('/').next().unwrap_or_default();
    let now = dir.log_link(OsStr::new(name));
    now.map_or(Fate::Removed, |_| Fate::Kept(Reason::LinkAlive))
}

/// Whose links they may be, by the lists. A cut name tells no ID, or part of one: then the containers are listed once more, since
/// one that came after the look may have the name, too.
async fn owners(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
    snapshots: &Snapshot,
    links: &[LogLink],
) -> Owners {
    let names = || links.iter().map(|link| &*link.name);
    let mut owners = Owners::new(names(), &snapshots.containers, !snapshots.partial);
    if !snapshots.partial && names().any(is_cut) {
        let fresh = all_containers(ctx, runtime, None).await;
        let fresh = fresh.map_err(|e| ctx.fail(e)).ok();
        let whole = fresh.is_some();
        owners.add(names(), &fresh.unwrap_or_default(), whole);
    }
    owners
}

/// What the runtime knows of the containers that a link may be that of.
async fn evidence_of(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
    log_dirs: &LogDirs,
    owners: &Owners,
    planned: &Planned,
    link: &LogLink,
) -> Result<LinkEvidence, Fate> {
    if !link.readable {
        return Err(Fate::Kept(Reason::UnknownState));
    }
    if owners.are_unclear(&link.name) {
        return Ok(LinkEvidence::Error);
    }
    let mut answers = Vec::new();
    for id in owners.of(&link.name) {
        let answer = ask(ctx, runtime, log_dirs, planned, id).await?;
        answers.push(answer);
        if plan::logs::link(&answer) == (false, Reason::LinkAlive) {
            break;
        }
    }
    match link_container_id(&link.name) {
        _ if !answers.is_empty() => Ok(plan::logs::of_all(answers)),
        Some(id) => ask(ctx, runtime, log_dirs, planned, id).await,
        None => Ok(LinkEvidence::NoId),
    }
}

async fn ask(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
    log_dirs: &LogDirs,
    planned: &Planned,
    id: &str,
) -> Result<LinkEvidence, Fate> {
    match runtime.container_status(id).await {
        Ok(snapshots) => Ok(
            match log_dirs.overlay.state(&snapshots.id, snapshots.state) {
                Some(state) => LinkEvidence::State(state),
                None => LinkEvidence::NotFound,
            },
        ),
        Err(CallError::NotFound(_)) => Ok(LinkEvidence::NotFound),
        Err(CallError::NotBegun(_)) => Err(Fate::Kept(Reason::NotReached)),
        Err(e) => {
            ctx.attempts.asked_in_vain(planned, &e);
            Ok(LinkEvidence::Error)
        }
    }
}

fn remove_link(
    ctx: &Context<'_>,
    log_dirs: &LogDirs,
    dir: &OpenLogDir,
    planned: &Planned,
    link: &LogLink,
) -> Result<Fate, Fate> {
    Gate::new(ctx, None, planned).open()?;
    // The runtime may have taken its time: a log that was rotated meanwhile is back.
    match dir.log_link(OsStr::new(&link.name)) {
        Some(now) if !log_dirs.overlay.dangles(&now) => return Err(Fate::Kept(Reason::LinkAlive)),
        _ => {}
    }
    let removed = log_dirs.overlay.remove_link(dir, &link.name);
    removed.map_err(|e| Fate::Failed(e.to_string()))?;
    Ok(Fate::Removed)
}
