//! Logs that pods left behind, and links whose target is gone (S4.1, S4.2).

use super::containers::ContainerPass;
use super::context::{Context, QUESTIONS};
use super::defects::object;
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::later::{Ordered, Round};
use super::log_ages::youth;
use super::log_dirs::{LogDir, missing_pod_logs, unreadable};
use super::pace::Pace;
use super::parts::all_containers;
use super::pod_evidence::{Evidence, newer_files};
use super::removals::{Remover, carry_out};
use super::snapshots::{Decision, Snapshots, ended};
use crate::cri::CallError;
use crate::error::Error;
use crate::fs::links::LogLink;
use crate::fs::logs::{Entry as DirEntry, OpenLogDir};
use crate::node::{Snapshot, Text};
use crate::plan;
use crate::plan::logs::{LinkEvidence, Owners, entry_pod, entry_uid, is_cut, link_container_id};
use crate::report::{Kind, Reason, Why, visible};
use futures_util::stream::{self, StreamExt};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::pin::pin;

/// Removes entries of `pod-logs-dir`.
struct TreeRemover<'a, 'p> {
    pass: &'a ContainerPass<'a, 'p>,
    dir: &'a OpenLogDir,
    evidence: &'a Evidence<'a>,
}

impl Remover for TreeRemover<'_, '_> {
    type Object = Text;
    const KIND: Kind = Kind::PodLogs;

    fn planned(&self, name: &Text, why: Why) -> Planned {
        let path = format!("{}/{name}", self.dir.dir());
        let pod = entry_pod(name).map(|(namespace, pod, _)| format!("{namespace}/{pod}"));
        let pod = pod.unwrap_or_default();
        Planned::new(Kind::PodLogs, path, pod, entry_uid(name), why)
    }

    async fn remove(&self, name: &Text, gate: &Gate<'_>) -> Result<Fate, Fate> {
        let overlay = &self.pass.log_dirs.overlay;
        match youth(self.pass.ctx, self.dir, name, Some(overlay)) {
            Ok(None) => {}
            Ok(Some(age)) => return Err(Fate::Kept(Why::new(Reason::TooYoung, age))),
            Err(e) => {
                gate.still_open()?;
                return Err(Fate::Failed(age_unknown(self.dir, name, &e)));
            }
        }
        // Right before: a static pod may have come back under its UID while the host approved, or while the files were looked at.
        let uid: Text = entry_uid(name).into();
        if !self.evidence.stands_now(&uid, Reason::PodRemoved) {
            return Err(Fate::kept(Reason::Changed));
        }
        if let Some(newer) = newer_files(self.pass.ctx, self.dir, name) {
            return Err(Fate::Kept(Why::new(Reason::NewerThanAnswer, newer)));
        }
        gate.delete(|go_on| overlay.remove_tree(self.dir, name, go_on))?;
        Ok(Fate::Removed)
    }
}

fn age_unknown(dir: &OpenLogDir, name: &str, e: &io::Error) -> String {
    let path = visible(&format!("{}/{name}", dir.dir()));
    format!(
        "cannot find out how old the files in {path} are: {e}; make them readable, or set minimum-pod-log-ttl-duration to 0s"
    )
}

/// The entries of `pod-logs-dir`; `None` = its key is empty.
fn entries<'a>(
    ctx: &Context<'_>,
    dir: &'a LogDir,
) -> Result<Option<(&'a OpenLogDir, Vec<DirEntry>)>, Error> {
    let failed = |dir: &str, e: &io::Error| unreadable(ctx, "pod-logs-dir", dir, e);
    match dir {
        LogDir::Off => Ok(None),
        LogDir::Missing(dir) => Err(missing_pod_logs(dir)),
        LogDir::Failed(dir, e) => Err(failed(dir, e)),
        LogDir::Open(dir) => match dir.entries(&|| ctx.stop.cause().is_none()) {
            Ok(entries) => Ok(Some((dir, entries))),
            Err(e) => Err(failed(dir.dir(), &e)),
        },
    }
}

/// The sorted names of entries, and those that are not UTF-8 as they can be shown.
pub(super) fn names_of(entries: Vec<DirEntry>) -> (Vec<Text>, Vec<String>) {
    let (mut names, mut unreadable) = (Vec::new(), Vec::new());
    for DirEntry { name, .. } in entries {
        match name.to_str() {
            Some(name) => names.push(Text::from(name)),
            None => unreadable.push(name.to_string_lossy().into_owned()),
        }
    }
    names.sort_unstable();
    (names, unreadable)
}

/// Whether a path is not that of an entry of `pod-logs-dir`, but of something below one (S4.3).
pub(super) fn is_file_in(dir: &OpenLogDir, path: &str) -> bool {
    let below = path.strip_prefix(dir.dir());
    below.is_some_and(|below| below.trim_start_matches('/').contains('/'))
}

/// S4.1; false = the directory cannot be read, and the links are to be left alone.
pub(super) async fn trees(snapshots: &Snapshots<'_, '_>) -> bool {
    let pass = snapshots.pass;
    let ctx = pass.ctx;
    let (dir, entries) = match entries(ctx, &pass.log_dirs.pod_logs) {
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
    let (mut names, mut unreadable) = names_of(entries);
    names.retain(|name| ctx.covers(entry_uid(name)));
    if ctx.pod.is_some() {
        unreadable.clear();
    }
    let uids: Vec<Text> = names.iter().map(|name| entry_uid(name).into()).collect();
    let path = |name: &Text| Text::from(format!("{}/{name}", dir.dir()));
    let is_there: HashSet<Text> = names.iter().map(path).collect();
    let is_there = |id: &Text| is_there.contains(id) || is_file_in(dir, id);
    ctx.later.settle_gone(ctx, Kind::PodLogs, is_there);
    ctx.attempts.keep_only(Kind::PodLogs, is_there);
    let decided = snapshots.decide(|snapshot| {
        let evidence = Evidence::ask(ctx, snapshot, uids.iter().cloned());
        // What cannot be read fails when it is to be removed.
        let overlay = Some(&pass.log_dirs.overlay);
        let youth = |name: &Text| youth(ctx, dir, name, overlay).unwrap_or(None);
        let plan = evidence.with(|pods| plan::logs::trees(&names, snapshot, pods, youth));
        Some(Decision { evidence, plan })
    });
    let Some(Decision { evidence, plan }) = decided.await else {
        return false;
    };
    if ctx.later.round.get() == Round::First {
        for name in unreadable {
            let path = format!("{}/{name}", dir.dir());
            let planned = Planned::new(Kind::PodLogs, path, "", "", Reason::UnknownState);
            ctx.record(planned, Fate::kept(Reason::UnknownState));
        }
    }
    let evidence = &evidence;
    let remover = TreeRemover {
        pass,
        dir,
        evidence,
    };
    carry_out(
        ctx,
        evidence,
        plan,
        &Pace::new(ctx, Kind::PodLogs),
        &remover,
    )
    .await;
    true
}

/// S4.2: links whose target is gone, or would be after a dry run's removals.
pub(super) async fn links(snapshots: &Snapshots<'_, '_>) {
    let pass = snapshots.pass;
    let ctx = pass.ctx;
    let Some(snapshot) = snapshots.latest().await else {
        return;
    };
    let dir = match &pass.log_dirs.links {
        // A node without a kubelet has no such directory.
        LogDir::Off | LogDir::Missing(_) => return,
        LogDir::Open(dir) => dir,
        LogDir::Failed(dir, e) => return ctx.fail(unreadable(ctx, "container-logs-dir", dir, e)),
    };
    let Some(links) = dangling(pass, dir) else {
        return;
    };
    let owners = owners(pass, snapshot, &links).await;
    let remover = &LinkRemover { pass, dir, owners };
    let ordered = in_turn(ctx, dir, links);
    let mut planned = ordered.items;
    let mut left = planned.len();
    let alone = planned.split_off(ordered.alone_from);
    let ask = |(planned, link): (Planned, LogLink)| async move {
        let answer = object(ctx, remover.evidence(&planned, &link)).await;
        (planned, link, answer)
    };
    let together = stream::iter(planned).map(ask).buffered(QUESTIONS);
    let mut answers = pin!(together.chain(stream::iter(alone).then(ask)));
    while let Some((mut planned, link, answer)) = answers.next().await {
        let removal = async {
            let answer = answer?;
            match plan::logs::link(&answer) {
                (false, reason) => Err(Fate::Kept(Why::new(reason, answer.into()))),
                (true, _) => {
                    planned.compared = answer.into();
                    remover.remove(&planned, &link)
                }
            }
        };
        let fate = object(ctx, removal).await.unwrap_or_else(|fate| fate);
        if matches!(&fate, Fate::Kept(why) if why.reason == Reason::LinkAlive) {
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

/// Links in the order of S0.8. Those that were postponed and do not dangle any more are reported.
fn in_turn(ctx: &Context<'_>, dir: &OpenLogDir, links: Vec<LogLink>) -> Ordered<LogLink> {
    let planned = links.into_iter().map(|link| {
        let path = format!("{}/{}", dir.dir(), link.name);
        let planned = Planned::new(Kind::LogLink, path, "", "", Reason::DeadLink);
        (planned, link)
    });
    let planned: Vec<_> = planned.collect();
    let is_there: HashSet<Text> = planned.iter().map(|(p, _)| p.id.clone()).collect();
    let is_there = |id: &Text| is_there.contains(id);
    ctx.later.settle(ctx, Kind::LogLink, |id| {
        (!is_there(id)).then(|| no_longer_dangling(dir, id))
    });
    ctx.attempts.keep_only(Kind::LogLink, is_there);
    ctx.later.order(ctx, Kind::LogLink, planned)
}

/// The links that lead nowhere, in their order; `None` = the directory cannot be read.
fn dangling(pass: &ContainerPass<'_, '_>, dir: &OpenLogDir) -> Option<Vec<LogLink>> {
    let ctx = pass.ctx;
    let go_on = || ctx.stop.cause().is_none();
    let dangles =
        |link: &LogLink| pass.log_dirs.overlay.dangles(link) && !ctx.later.has_link(&link.name);
    // What a dry run would have removed is still there, and so are links to it.
    match dir.log_links(ctx.dry_run, &go_on, dangles) {
        Ok(mut links) => {
            links.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            return Some(links);
        }
        Err(_) if ended(ctx) => {}
        Err(e) => ctx.fail(unreadable(ctx, "container-logs-dir", dir.dir(), &e)),
    }
    None
}

/// What became of a postponed link that does not dangle any more. One that leads somewhere again is kept.
fn no_longer_dangling(dir: &OpenLogDir, path: &str) -> Fate {
    let name = path.rsplit('/').next().unwrap_or_default();
    let now = dir.log_link(OsStr::new(name));
    now.map_or(Fate::Removed, |_| Fate::kept(Reason::LinkAlive))
}

/// The containers whose links they may be, by the lists. A cut name has no ID, or part of one: then the containers are listed once more,
/// because one that came after the snapshot may have that name, too.
async fn owners(pass: &ContainerPass<'_, '_>, snapshot: &Snapshot, links: &[LogLink]) -> Owners {
    let names = || links.iter().map(|link| &*link.name);
    let mut owners = Owners::new(names(), &snapshot.containers, !snapshot.partial);
    if !snapshot.partial && names().any(is_cut) {
        let fresh = pass
            .ctx
            .ok(all_containers(pass.ctx, pass.runtime, None).await);
        let whole = fresh.is_some();
        owners.add(names(), &fresh.unwrap_or_default(), whole);
    }
    owners
}

/// Removes links of `container-logs-dir`.
struct LinkRemover<'a, 'p> {
    pass: &'a ContainerPass<'a, 'p>,
    dir: &'a OpenLogDir,
    owners: Owners,
}

impl LinkRemover<'_, '_> {
    /// What the runtime knows of the containers that a link may be that of.
    async fn evidence(&self, planned: &Planned, link: &LogLink) -> Result<LinkEvidence, Fate> {
        if !link.readable {
            return Err(Fate::kept(Reason::UnknownState));
        }
        if self.owners.are_unclear(&link.name) {
            return Ok(LinkEvidence::Error);
        }
        let mut answers = Vec::new();
        for id in self.owners.of(&link.name) {
            let answer = self.ask(planned, id).await?;
            answers.push(answer);
            if plan::logs::link(&answer) == (false, Reason::LinkAlive) {
                break;
            }
        }
        match link_container_id(&link.name) {
            _ if !answers.is_empty() => Ok(plan::logs::of_all(answers)),
            Some(id) => self.ask(planned, id).await,
            None => Ok(LinkEvidence::NoId),
        }
    }

    async fn ask(&self, planned: &Planned, id: &str) -> Result<LinkEvidence, Fate> {
        let overlay = &self.pass.log_dirs.overlay;
        match self.pass.runtime.container_status(id).await {
            Ok(status) => {
                let state = overlay.state(&status.id, status.state);
                Ok(state.map_or(LinkEvidence::NotFound, LinkEvidence::State))
            }
            Err(CallError::NotFound(_)) => Ok(LinkEvidence::NotFound),
            Err(CallError::NotBegun(_)) => Err(Fate::kept(Reason::NotReached)),
            Err(e) => {
                self.pass.ctx.attempts.asked_in_vain(planned, &e);
                Ok(LinkEvidence::Error)
            }
        }
    }

    fn remove(&self, planned: &Planned, link: &LogLink) -> Result<Fate, Fate> {
        Gate::new(self.pass.ctx, None, planned).open()?;
        let overlay = &self.pass.log_dirs.overlay;
        // The runtime may have taken its time: a log that was rotated meanwhile is back.
        let now = self.dir.log_link(OsStr::new(&link.name));
        if now.is_some_and(|now| !overlay.dangles(&now)) {
            return Err(Fate::kept(Reason::LinkAlive));
        }
        let removed = overlay.remove_link(self.dir, &link.name);
        removed.map_err(|e| Fate::Failed(e.to_string()))?;
        Ok(Fate::Removed)
    }
}
