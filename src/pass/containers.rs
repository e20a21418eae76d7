//! A pass over dead containers, sandboxes and logs, from look to report: S1 to S4, stage by stage.

use super::dead_containers::{Left, dead_containers, late_containers};
use super::defects::stage;
use super::later::Round;
use super::log_dirs::LogDirs;
use super::logs;
use super::look::{Decision, Look, ended};
use super::pod_evidence::{self, Evidence};
use super::removals::carry_out;
use super::run::Run;
use super::sandboxes::SandboxRemover;
use super::slots::Slots;
use super::stops::Stops;
use crate::cri::Capabilities;
use crate::cri::client::{self, Runtime};
use crate::node::{Snapshot, Text};
use crate::plan;
use crate::report::Kind;
use std::collections::HashSet;
use tokio::sync::OnceCell;

/// Runs the pass; what fails is in the run.
pub(crate) async fn pass(run: &Run<'_>, capabilities: &Capabilities) {
    let runtime = match client::runtime(run.config, run.stop, capabilities).await {
        Ok(runtime) => runtime,
        Err(e) => return run.fail(e),
    };
    capabilities.renew(&runtime).await;
    let log_dirs = LogDirs::open(run);
    stages(run, &runtime, &log_dirs).await;
    log_dirs.tell(run);
    pod_evidence::tell_of_stamps(run);
    capabilities.sign(&runtime).await;
    if let Some(defect) = runtime.defect() {
        run.fail(defect);
    }
    ended(run);
}

async fn stages(run: &Run<'_>, runtime: &Runtime<'_>, log_dirs: &LogDirs) {
    // The question for its version may have been the first one.
    if let Some(e) = runtime.lost() {
        return run.fail(e);
    }
    let stops = Stops::new(run, runtime);
    let stages = Stages {
        run,
        runtime,
        log_dirs,
        stops: &stops,
        short: OnceCell::new(),
    };
    // Large futures lie on the heap.
    stops.beside(Box::pin(stages.first())).await;
    run.later.round.set(Round::Again);
    stops.beside(Box::pin(stages.again())).await;
    stops.wait().await;
    Box::pin(stages.late()).await;
    run.later.close(run);
    if let Some(e) = runtime.giving_up().filter(|_| !ended(run)) {
        run.fail(e);
    }
}

/// The stages of one pass.
struct Stages<'a, 'p> {
    run: &'a Run<'a>,
    runtime: &'a Runtime<'a>,
    log_dirs: &'a LogDirs,
    stops: &'a Stops<'p>,
    /// What S1 saw of a list that was not reached in whole.
    short: OnceCell<Snapshot>,
}

impl Stages<'_, '_> {
    /// What was never begun (S0.8).
    async fn first(&self) {
        let look = self.containers().await;
        if !look.goes_on() {
            return;
        }
        self.sandboxes(&look).await;
        if self.pod_logs(&look).await {
            self.links(&look).await;
        }
    }

    /// What was put off: the kind first of which something was tried least recently (S0.8).
    async fn again(&self) {
        for kind in self.run.later.kinds(self.run) {
            let look = self.look(None);
            if !look.goes_on() {
                return;
            }
            match kind {
                Kind::Container => self.late_containers(look).await,
                Kind::Sandbox => self.sandboxes(&look).await,
                Kind::PodLogs => {
                    if self.pod_logs(&look).await {
                        // Links into what went dangle since.
                        self.links(&look).await;
                    }
                }
                Kind::LogLink => self.links(&look).await,
                Kind::Image => {}
            }
        }
    }

    /// What has been stopped meanwhile, and once more S3 and S4 for the pods of what went at the end (S2.3).
    async fn late(&self) {
        let later = &self.run.later;
        let look = self.look(None);
        if look.goes_on() && !later.put_off(Kind::Container).is_empty() {
            self.late_containers(look).await;
        }
        let look = self.look(None);
        if look.goes_on() && later.has_emptied() {
            self.sandboxes(&look).await;
            if self.pod_logs(&look).await {
                self.links(&look).await;
            }
        }
    }

    /// S1; what the stages behind it look at.
    async fn containers(&self) -> Look<'_> {
        let run = self.run;
        let work = dead_containers(run, self.runtime, self.log_dirs, self.stops);
        let left = stage(run, work).await;
        run.later.round.set(Round::First);
        self.look(match left {
            Some(Left::Untouched(first)) => Some(first),
            Some(Left::Short(seen)) => {
                let _ = self.short.set(seen);
                None
            }
            // What is left by a defect is not known.
            Some(Left::Changed) | None => None,
        })
    }

    /// S1 over another look.
    async fn late_containers(&self, look: Look<'_>) {
        let look = match self.short.get() {
            Some(seen) => seen.clone(),
            None => {
                let snapshot = look.take().await;
                // Without a list nothing is known of any of them.
                if snapshot.partial || !look.goes_on() {
                    return;
                }
                snapshot
            }
        };
        let work = late_containers(self.run, self.runtime, self.log_dirs, self.stops, look);
        stage(self.run, work).await;
    }

    /// S3.
    async fn sandboxes(&self, look: &Look<'_>) {
        stage(self.run, sandboxes(self.run, self.runtime, look)).await;
    }

    /// S4.1; whether the links may be looked at.
    async fn pod_logs(&self, look: &Look<'_>) -> bool {
        // Nothing of logs that may be another's (S2.4).
        !self.log_dirs.nested
            && stage(self.run, logs::trees(self.run, self.log_dirs, look)).await == Some(true)
    }

    /// S4.2.
    async fn links(&self, look: &Look<'_>) {
        stage(
            self.run,
            logs::links(self.run, self.runtime, self.log_dirs, look),
        )
        .await;
    }

    fn look(&self, first: Option<Snapshot>) -> Look<'_> {
        Look {
            run: self.run,
            runtime: self.runtime,
            overlay: &self.log_dirs.overlay,
            is_short: self.short.get().is_some(),
            first,
            fresh: OnceCell::new(),
        }
    }
}

/// S3: ask again, decide, carry out.
async fn sandboxes(run: &Run<'_>, runtime: &Runtime<'_>, look: &Look<'_>) {
    let decided = look.decide(|snapshot| {
        let is_there: HashSet<&Text> = snapshot.sandboxes.as_ref()?.iter().map(|s| &s.id).collect();
        let is_there = |id: &Text| is_there.contains(id);
        run.later.settle_gone(run, Kind::Sandbox, is_there);
        run.attempts.keep_only(Kind::Sandbox, is_there);
        let evidence = Evidence::ask(run, snapshot, []);
        let plan = evidence.with(|pods| plan::sandboxes::plan(snapshot, pods));
        Some(Decision { evidence, plan })
    });
    let Some(Decision { evidence, plan }) = decided.await else {
        return;
    };
    let remover = SandboxRemover { run, runtime };
    let slots = Slots::new(run, (run.config.max_parallel_removals / 2).max(1));
    carry_out(run, &evidence, plan, &slots, &remover).await;
}
