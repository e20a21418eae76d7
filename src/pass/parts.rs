//! Lists that do not fit a message (S7.3): what the log directories show of them, and S1 over containers in parts.

use super::context::Context;
use super::dead_containers::{Collected, Stage};
use super::later::Round;
use super::log_dirs::LogDir;
use crate::cri::List;
use crate::cri::client::Runtime;
use crate::cri::lists::{Known, Labels, Parts, Refusal, Whole};
use crate::error::{Error, Result};
use crate::fs::logs::PodLogs;
use crate::hooks::LogLevel;
use crate::node::{Container, ContainerState, Sandbox, Snapshot, Text};
use crate::plan::containers::ContainerPolicy;
use crate::plan::logs::entry_pod;
use crate::report::Kind;
use std::collections::HashSet;

/// The pods and containers that have log directories.
fn hints<'r>(ctx: &'r Context<'_>) -> impl Fn(List, &Error) -> Known + 'r {
    move |list, refusal| {
        let message = format!("{}; reading it in parts", refusal.message);
        ctx.log(LogLevel::Info, &message);
        let mut known = Known::default();
        if let LogDir::Open(dir) = LogDir::of_pods(ctx) {
            let go_on = || ctx.stop.cause().is_none();
            for logs in dir.pod_logs(&go_on).unwrap_or_default() {
                add_logs(&mut known, logs, list);
            }
        }
        known
    }
}

fn add_logs(known: &mut Known, logs: PodLogs, list: List) {
    let Some((namespace, pod, uid)) = entry_pod(&logs.name) else {
        return;
    };
    let pod = Labels::of_pod(namespace.into(), pod.into(), uid.into());
    if list == List::Sandboxes {
        return known.add(pod, 1);
    }
    if logs.containers.is_empty() {
        // Little is left of such a pod; thousands of such directories must not become parts.
        return known.add(Labels::of_namespace(namespace.into()), 0);
    }
    for (container, expected) in logs.containers {
        known.add(pod.with_container(container.into()), expected);
    }
}

/// All sandboxes, in as many messages as that takes; an error if the list is not whole.
pub(crate) async fn all_sandboxes(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
) -> Result<Vec<Sandbox>> {
    runtime.sandboxes(&hints(ctx)).await
}

/// All containers in the same way. `sandboxes`: if they were listed a moment ago.
pub(crate) async fn all_containers(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
    sandboxes: Option<&[Sandbox]>,
) -> Result<Vec<Container>> {
    runtime.containers(&hints(ctx), sandboxes).await
}

/// S1 over a list in parts. The removals of each part are carried out before the next part is asked for; once the whole list is there, S1
/// continues as over any list.
pub(super) struct InParts<'a, 'p> {
    stage: Stage<'a, 'p>,
    parts: Parts<'a>,
    sandboxes: Option<Vec<Sandbox>>,
    /// The containers that have been handled.
    done: HashSet<Text>,
    /// Parts in which containers were postponed, and whether they are partial.
    postponed: Vec<(Vec<Container>, bool)>,
}

impl<'a, 'p> InParts<'a, 'p> {
    pub(super) fn new(
        stage: Stage<'a, 'p>,
        refusal: Refusal,
        sandboxes: Option<Vec<Sandbox>>,
    ) -> InParts<'a, 'p> {
        let pods = sandboxes.as_deref().unwrap_or_default();
        let hints = hints(stage.pass.ctx);
        InParts {
            parts: stage
                .pass
                .runtime
                .containers_in_parts(refusal, &hints, pods),
            stage,
            sandboxes,
            done: HashSet::new(),
            postponed: Vec::new(),
        }
    }

    /// Returns what was seen, if that is not the whole list in the end.
    pub(super) async fn collect(mut self) -> Option<Snapshot> {
        match self.walk().await {
            Ok(rows) => {
                let mut snapshot = Snapshot::new(rows, self.sandboxes.take());
                self.stage.all(&mut snapshot, &self.done).await;
                None
            }
            Err(e) => {
                self.stage.pass.ctx.fail(e);
                self.collect_postponed().await;
                Some(self.incomplete().await)
            }
        }
    }

    /// Collects part after part. Returns the whole list in the end.
    async fn walk(&mut self) -> Result<Vec<Container>> {
        loop {
            let (rows, whole) = self.parts.next().await?;
            if whole == Whole::List {
                return Ok(rows);
            }
            let left = self.collect_part(rows, whole == Whole::Units).await;
            self.parts.put_back(left);
            if let Some(cause) = self.stage.pass.ctx.stop.cause() {
                return Err(cause.error());
            }
        }
    }

    /// Decides over some containers and carries out. Returns those that are left.
    async fn collect_part(&mut self, rows: Vec<Container>, partial: bool) -> Vec<Container> {
        let ctx = self.stage.pass.ctx;
        let mut snapshot = Snapshot::new(rows, self.sandboxes.take());
        snapshot.partial = partial;
        // S1.6 counts all containers of the node.
        let policy = ContainerPolicy {
            total: None,
            ..self.stage.policy
        };
        let (stage, done) = (&self.stage, &self.done);
        let Collected { tried, removed } = stage.collect(&mut snapshot, &policy, done, false).await;
        self.sandboxes = snapshot.sandboxes;
        if !ctx.dry_run {
            removed.iter().for_each(|id| self.parts.removed(id));
        }
        let postponed = ctx.later.put_off(Kind::Container);
        let (late, done): (Vec<Text>, Vec<Text>) =
            tried.into_iter().partition(|id| postponed.contains(id));
        self.done.extend(done);
        let mut containers = snapshot.containers;
        containers.retain(|c| !removed.contains(&c.id));
        if !late.is_empty() {
            self.postponed.push((containers.clone(), partial));
        }
        containers
    }

    /// The whole list will not be seen: what was postponed is handled in the parts that it was seen in (S0.8).
    async fn collect_postponed(&mut self) {
        let later = &self.stage.pass.ctx.later;
        later.round.set(Round::Again);
        for (rows, partial) in std::mem::take(&mut self.postponed) {
            self.collect_part(rows, partial).await;
        }
        later.round.set(Round::First);
        later.forget_emptied();
    }

    /// What else there is remains unknown: what was seen is reported, and nothing is removed for the number of all containers (S1.6).
    async fn incomplete(&mut self) -> Snapshot {
        let mut snapshot = Snapshot::new(self.parts.seen(), self.sandboxes.take());
        snapshot.partial = true;
        // S2.3: those whose stop may still end are decided on once more at the end of the pass.
        let mut stopping = snapshot.containers.clone();
        stopping.retain(|c| c.state == ContainerState::Unknown && self.done.contains(&c.id));
        self.stage.all(&mut snapshot, &self.done).await;
        snapshot.containers.extend(stopping);
        snapshot
    }
}
