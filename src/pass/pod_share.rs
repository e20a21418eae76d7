//! The brake (S0.12): whether more pods would lose something because they are gone than `max-pod-share` allows. The verdict is taken once in
//! a pass, over its first lists and answer by which any pod may be removable, and so before anything is removed because its pod is gone.

use super::context::Context;
use super::log_ages::youth;
use super::log_dirs::LogDir;
use super::logs::names_of;
use crate::fs::logs::OpenLogDir;
use crate::node::{Snapshot, Text};
use crate::plan::containers::ContainerPolicy;
use crate::plan::logs::entry_uid;
use crate::plan::pods::{Brake, PodView};
use crate::plan::share::{self, Exceeded};
use crate::report::{number, visible};
use std::cell::{OnceCell, RefCell};

/// `pod-logs-dir` and its entries.
type Entries = (OpenLogDir, Vec<Text>);

/// What one pass knows of the brake.
#[derive(Default)]
pub(crate) struct Share {
    entries: OnceCell<Result<Entries, String>>,
    verdict: RefCell<Option<Brake>>,
}

impl Share {
    /// The UIDs that the host has to be asked about, so that there can be a verdict.
    pub(super) fn uids(&self, ctx: &Context<'_>) -> Vec<Text> {
        if !is_on(ctx) || self.verdict.borrow().is_some() {
            return Vec::new();
        }
        match self.entries(ctx) {
            Ok((_, names)) => names.iter().map(|name| entry_uid(name).into()).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// The verdict, which is taken now if it can be.
    pub(super) fn brake(&self, ctx: &Context<'_>, snapshot: &Snapshot, pods: &PodView) -> Brake {
        if !is_on(ctx) || (self.verdict.borrow().is_none() && !pods.is_clear()) {
            return Brake::Off;
        }
        let mut verdict = self.verdict.borrow_mut();
        let judge = || self.judge(ctx, snapshot, pods);
        verdict.get_or_insert_with(judge).clone()
    }

    fn judge(&self, ctx: &Context<'_>, snapshot: &Snapshot, pods: &PodView) -> Brake {
        let (dir, names) = match self.entries(ctx) {
            Ok(entries) => entries,
            Err(e) => {
                ctx.report.warn_once("max-pod-share", || format!(
                    "cannot count the pods in pod-logs-dir: {e}; max-pod-share is set, so nothing is removed because its pod is gone"
                ));
                return Brake::All;
            }
        };
        let policy = ContainerPolicy::from(ctx.config);
        // What cannot be read will not be removed, but counts.
        let youth = |name: &Text| youth(ctx, dir, name, None).unwrap_or(None);
        let losing = share::losing(snapshot, pods, &policy, ctx.now, names, youth);
        let percent = ctx.config.max_pod_share;
        match share::exceeded(percent, names, &losing) {
            Some(exceeded) => {
                tell(ctx, &exceeded);
                Brake::TooMany {
                    losing: number(exceeded.losing),
                    pods: number(exceeded.pods),
                    percent,
                }
            }
            None => Brake::all_but(pods.gone().cloned()),
        }
    }

    fn entries(&self, ctx: &Context<'_>) -> Result<&Entries, &String> {
        self.entries.get_or_init(|| read(ctx)).as_ref()
    }
}

/// A pass over one pod has no share of the pods to count (S8).
fn is_on(ctx: &Context<'_>) -> bool {
    ctx.config.max_pod_share < 100 && ctx.pod.is_none()
}

fn read(ctx: &Context<'_>) -> Result<Entries, String> {
    let failed = |dir: &str, e: &std::io::Error| format!("{}: {e}", visible(dir));
    match LogDir::open(&ctx.root, ctx.config.pod_logs_dir.as_deref()) {
        LogDir::Open(dir) => match dir.entries(&|| ctx.stop.cause().is_none()) {
            Ok(entries) => Ok((dir, names_of(entries).0)),
            Err(e) => Err(failed(dir.dir(), &e)),
        },
        LogDir::Failed(dir, e) => Err(failed(&dir, &e)),
        LogDir::Missing(dir) => Err(format!("{} does not exist", visible(&dir))),
        // `Config::check` refuses both together.
        LogDir::Off => Err("its key is empty".to_owned()),
    }
}

fn tell(ctx: &Context<'_>, exceeded: &Exceeded) {
    let examples: Vec<String> = exceeded.examples.iter().map(|uid| visible(uid)).collect();
    let message = format!(
        "{} of the {} pods would lose containers, sandboxes or logs because they are gone (such as {}), more than max-pod-share ({} percent): this pass removes nothing because its pod is gone; if the host's list of pods is right, as after a day without the node, raise max-pod-share until a pass has run; if not, see why pods are missing in it",
        exceeded.losing,
        exceeded.pods,
        examples.join(", "),
        ctx.config.max_pod_share
    );
    ctx.report.event("PodShareExceeded", &message);
}
