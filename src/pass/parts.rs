//! Lists that do not fit a message (S7.3): what log directories tell of them, and S1 over containers in parts.

use super::context::Context;
use super::dead_containers::Stage;
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

/// Which pods and containers the log directories tell of.
fn hints<'r>(ctx: &'r Context<'_>) -> impl Fn(List, &Error) -> Known + 'r {
    move |list, refusal| {
        let message = format!("{}; it is read in parts", refusal.message);
        ctx.log(LogLevel::Info, &message);
        let mut known = Known::default();
        if let LogDir::Open(dir) = LogDir::open(ctx.config.pod_logs_dir.as_deref()) {
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
        // Hardly anything is there any more; thousands of such directories are not to become parts.
        return known.add(Labels::of_namespace(namespace.into()), 0);
    }
    for (container, expected) in logs.containers {
        known.add(pod.with_container(container.into()), expected);
    }
}

/// All sandboxes, however many messages that takes; an error where they did not arrive whole.
pub(crate) async fn all_sandboxes(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
) -> Result<Vec<Sandbox>> {
    runtime.sandboxes(&hints(ctx)).await
}

/// The same of containers. `sandboxes`: where they were listed just now.
pub(crate) async fn all_containers(
    ctx: &Context<'_>,
    runtime: &Runtime<'_>,
    sandboxes: Option<&[Sandbox]>,
) -> Result<Vec<Container>> {
    runtime.containers(&hints(ctx), sandboxes).await
}

/// S1 over a list in parts. Each part's removals are carried out before the next is asked for; once the whole list is there, S1 goes on
/// as over any list.
pub(super) struct InParts<'a, 'p> {
    stage: Stage<'a, 'p>,
    parts: Parts<'a>,
    sandboxes: Option<Vec<Sandbox>>,
    /// What has had its turn.
    done: HashSet<Text>,
    /// Looks in which something was put off, and whether they are partial.
    put_off: Vec<(Vec<Container>, bool)>,
}

impl<'a, 'p> InParts<'a, 'p> {
    pub(super) fn new(
        stage: Stage<'a, 'p>,
        refusal: Refusal,
        sandboxes: Option<Vec<Sandbox>>,
    ) -> InParts<'a, 'p> {
        let pods = sandboxes.as_deref().unwrap_or_default();
        let hints = hints(stage.ctx);
        InParts {
            parts: stage.runtime.containers_in_parts(refusal, &hints, pods),
            stage,
            sandboxes,
            done: HashSet::new(),
            put_off: Vec::new(),
        }
    }

    /// What was seen, if that is not the whole list in the end.
    pub(super) async fn collect(mut self) -> Option<Snapshot> {
        match self.walk().await {
            Ok(rows) => {
                let mut snapshot = Snapshot::new(rows, self.sandboxes.take());
                self.stage.all(&mut snapshot, &self.done).await;
                None
            }
            Err(e) => {
                self.stage.ctx.fail(e);
                self.again().await;
                Some(self.incomplete().await)
            }
        }
    }

    /// Batch after batch; the whole list in the end.
    async fn walk(&mut self) -> Result<Vec<Container>> {
        loop {
            let (rows, whole) = self.parts.next().await?;
            if whole == Whole::List {
                return Ok(rows);
            }
            let left = self.collect_part(rows, whole == Whole::Units).await;
            self.parts.put_back(left);
            if let Some(cause) = self.stage.ctx.stop.cause() {
                return Err(cause.error());
            }
        }
    }

    /// Decides over some containers and carries out; what is left of them.
    async fn collect_part(&mut self, rows: Vec<Container>, partial: bool) -> Vec<Container> {
        let ctx = self.stage.ctx;
        let mut snapshot = Snapshot::new(rows, self.sandboxes.take());
        snapshot.partial = partial;
        // S1.6 counts all that there are.
        let policy = ContainerPolicy {
            total: None,
            ..self.stage.policy
        };
        let outcome = self
            .stage
            .collect(&mut snapshot, &policy, &self.done, false);
        let outcome = outcome.await;
        self.sandboxes = snapshot.sandboxes;
        if !ctx.dry_run {
            outcome.gone.iter().for_each(|id| self.parts.removed(id));
        }
        let put_off = ctx.later.put_off(Kind::Container);
        let tried = outcome.tried.into_iter();
        let (late, done): (Vec<Text>, Vec<Text>) = tried.partition(|id| put_off.contains(id));
        self.done.extend(done);
        snapshot
            .containers
            .retain(|c| !outcome.gone.contains(&c.id));
        if !late.is_empty() {
            self.put_off.push((snapshot.containers.clone(), partial));
        }
        snapshot.containers
    }

    /// The whole list will not be seen: what was put off has its turn in the parts that it was seen in (S0.8).
    async fn again(&mut self) {
        let later = &self.stage.ctx.later;
        later.round.set(Round::Again);
        for (rows, partial) in std::mem::take(&mut self.put_off) {
            self.collect_part(rows, partial).await;
        }
        later.round.set(Round::First);
        later.forget_emptied();
    }

    /// Nobody knows what else there is: what was seen is reported, and nothing goes for the number of all.
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
