//! The host's answer about its pods: asked for again when it has grown old (S0.3), and compared with what runs (S0.4) and with how many
//! pods there are (S0.12).

use super::context::{Context, wall_time};
use super::fate::Planned;
use super::log_dirs::LogDir;
use super::pod_share::Share;
use crate::clock::BootInstant;
use crate::error::{Error, Status};
use crate::fs::changed::Question;
use crate::fs::logs::OpenLogDir;
use crate::hooks::LogLevel;
use crate::node::{PodStates, Snapshot, Text};
use crate::plan::logs::entry_uid;
use crate::plan::pods::{self, Changed, Contradiction, Newer, PodView};
use crate::report::{Compared, Reason, visible};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// What one pass knows of the host's answers about pods.
#[derive(Default)]
pub(crate) struct Pods {
    /// An answer of the host contradicted what runs (S0.4): no pod is removable any more in this pass.
    broken: Cell<bool>,
    /// Which pods are younger than the host's answer (S0.3).
    newer: RefCell<Newer>,
    /// How many pods may lose something because they are gone (S0.12).
    share: Share,
}

/// Asks the host about pods (S0.3).
fn ask(ctx: &Context<'_>, uids: &[Text]) -> PodStates {
    let answer = ctx.hooks.pod_states.as_ref().map(|ask| {
        let mut answer = ask.with(|ask| ask(uids));
        // An answer about a pod that was not asked about does not count.
        let asked: HashSet<&Text> = uids.iter().collect();
        answer.states.retain(|uid, _| asked.contains(uid));
        answer.ready &= answer.as_of == 0 || can_be_as_of(ctx, answer.as_of);
        answer
    });
    let called = ctx.pod.and_then(|pod| Some((&pod.uid, pod.gone_as_of?)));
    let Some((uid, as_of)) = called else {
        return answer.unwrap_or_else(|| PodStates {
            ready: true,
            ..PodStates::default()
        });
    };
    let mut answer = pods::called_gone(uid, as_of, answer);
    answer.ready &= can_be_as_of(ctx, as_of);
    answer
}

/// S0.3: whether an answer can be as of this moment, which must not be later than now.
fn can_be_as_of(ctx: &Context<'_>, as_of: i64) -> bool {
    let now = wall_time(ctx.hooks);
    if as_of > now {
        let ahead = Duration::from_nanos(as_of.abs_diff(now));
        ctx.report.warn_once("as-of", || format!(
            "the host says that its answer about pods is as of a moment {ahead:?} from now; nothing is removed because its pod is gone; see whether a clock was set back"
        ));
    }
    ctx.warn_of_units("as_of of the host's answer about pods", as_of);
    (0..=now).contains(&as_of)
}

/// S0.4: from here on no pod is removable.
fn contradicted(ctx: &Context<'_>, c: &Contradiction) {
    if ctx.pods.broken.replace(true) {
        return;
    }
    let examples: Vec<String> = c.examples.iter().map(|uid| visible(uid)).collect();
    let message = format!(
        "the host says that {} of {} pods that run are gone (such as {}): its list of pods is wrong, nothing is removed because its pod is gone; see whether that list is stale, empty or of another node; the host must report pods that were deleted by force as living until they have ended",
        c.claimed,
        c.active,
        examples.join(", ")
    );
    ctx.report.event("PodStatesContradicted", &message);
    ctx.report.keep(Error::new(Status::Contradiction, message));
}

/// The host's answer for one stage.
pub(crate) struct Evidence<'a> {
    ctx: &'a Context<'a>,
    snapshot: &'a Snapshot,
    uids: Vec<Text>,
    latest: RefCell<(PodView, BootInstant)>,
}

impl<'a> Evidence<'a> {
    /// Asks about all pods of a snapshot, and about those whose UIDs were found elsewhere; a pass over one pod asks about that pod.
    pub(crate) fn ask(
        ctx: &'a Context<'a>,
        snapshot: &'a Snapshot,
        elsewhere: impl IntoIterator<Item = Text>,
    ) -> Evidence<'a> {
        let mut uids: BTreeSet<Text> = pods::uids_in_question(snapshot).into_iter().collect();
        let elsewhere = elsewhere.into_iter().chain(ctx.pods.share.uids(ctx));
        uids.extend(elsewhere.filter(|uid| pods::askable(uid)));
        let uids: Vec<Text> = match ctx.pod {
            Some(pod) => vec![pod.uid.clone()],
            None => uids.into_iter().collect(),
        };
        let latest = RefCell::new(view(ctx, snapshot, &uids));
        Evidence {
            ctx,
            snapshot,
            uids,
            latest,
        }
    }

    /// S4.1: whether a removal still stands, asked at this moment and about this pod alone, however new the answer about all is.
    pub(crate) fn stands_now(&self, uid: &Text, reason: Reason) -> bool {
        let answer = ask(self.ctx, std::slice::from_ref(uid));
        let view = &mut self.latest.borrow_mut().0;
        view.renew(uid, &answer);
        if answer.as_of != 0 && self.ctx.pods.newer.borrow().is_open(uid) {
            let newer = newer_pods(self.ctx, self.snapshot, &answer, view);
            *view = view.clone().holding(newer);
        }
        pods::still_stands(uid, reason, view)
    }

    /// What the host last said.
    pub(crate) fn with<R>(&self, read: impl FnOnce(&PodView) -> R) -> R {
        read(&self.latest.borrow().0)
    }

    /// Whether a removal that was planned still stands. Asks again if the removal rests on the answer and that has grown old.
    pub(crate) fn stands(&self, planned: &Planned) -> bool {
        if !planned.rests_on_pod {
            return true;
        }
        let age = BootInstant::now().since(self.latest.borrow().1);
        if age > self.ctx.config.evidence_max_age {
            let fresh = view(self.ctx, self.snapshot, &self.uids);
            self.latest.replace(fresh);
        }
        // S0.4: an answer to a stop beside this stage may have contradicted what runs.
        if self.ctx.pods.broken.get() {
            return false;
        }
        let latest = self.latest.borrow();
        pods::still_stands(&planned.pod_uid, planned.reason, &latest.0)
    }
}

/// Asks once. Returns the answer with the time of the question: the answer is not older than that.
fn view(ctx: &Context<'_>, snapshot: &Snapshot, uids: &[Text]) -> (PodView, BootInstant) {
    let asked = BootInstant::now();
    let answer = ask(ctx, uids);
    let by_age = ctx.config.maximum_dead_container_age.is_some();
    let view = |broken| PodView::new(snapshot, &answer, ctx.all_unused, broken).by_age(by_age);
    let mut latest = view(ctx.pods.broken.get());
    let newer = newer_pods(ctx, snapshot, &answer, &latest);
    if let Some(contradiction) = latest.contradicted() {
        contradicted(ctx, &contradiction);
        latest = view(true);
    }
    let latest = latest.holding(newer);
    let brake = ctx.pods.share.brake(ctx, snapshot, &latest);
    (latest.braked(brake), asked)
}

/// S0.3: the pods that have changed since the moment of the host's answer. A pod is judged when the host first says that it is gone.
fn newer_pods(
    ctx: &Context<'_>,
    snapshot: &Snapshot,
    answer: &PodStates,
    view: &PodView,
) -> HashMap<Text, Compared> {
    // An answer that is not ready may be followed by one that is as of a moment.
    if answer.as_of != 0 || !answer.ready {
        let now = wall_time(ctx.hooks);
        let mut newer = ctx.pods.newer.borrow_mut();
        newer.look(snapshot, now);
        let open = view.claimed().filter(|uid| newer.is_open(uid));
        let open: BTreeSet<Text> = open.cloned().collect();
        if !open.is_empty() {
            judge(ctx, &mut newer, answer.as_of, now, &open);
        }
    }
    ctx.pods.newer.borrow().pods()
}

/// Judges pods by what is in their log directories.
fn judge(ctx: &Context<'_>, newer: &mut Newer, as_of: i64, now: i64, open: &BTreeSet<Text>) {
    let go_on = || ctx.stop.cause().is_none();
    let question = Question {
        since: as_of,
        now,
        files_only: false,
        skips: &|_| false,
        go_on: &go_on,
    };
    let logs = logs_of(ctx, open);
    let mut unknown = Vec::new();
    for uid in open {
        if !go_on() {
            // The pass is to end, and removes nothing any more.
            newer.judge(uid, as_of, Changed::Unknown);
            continue;
        }
        let logs = logs.as_ref().map_err(String::clone);
        let changed = logs.and_then(|logs| last_change(logs.as_ref(), uid, &question, newer));
        let changed = changed.unwrap_or_else(|e| {
            unknown.push((uid, e));
            Changed::Unknown
        });
        newer.judge(uid, as_of, changed);
    }
    if let Some((uid, e)) = unknown.first() {
        ctx.log(
            LogLevel::Warn,
            &format!(
                "cannot find out when the logs of {} pods changed last, such as those of {}: {e}; until then nothing is removed because these pods are gone",
                unknown.len(),
                visible(uid)
            ),
        );
    }
}

/// S0.3: when a file in a tree changed, if that was after the moment as of which its pod was judged. The host's answer is not newer than
/// that moment, and the pod may have come back since. The pass itself changes directories, but no files.
pub(crate) fn newer_files(ctx: &Context<'_>, dir: &OpenLogDir, name: &str) -> Option<Compared> {
    let since = ctx.pods.newer.borrow().judged_by(entry_uid(name))?;
    let go_on = || ctx.stop.cause().is_none();
    let question = Question {
        since,
        now: wall_time(ctx.hooks),
        files_only: true,
        skips: &|_| false,
        go_on: &go_on,
    };
    let Ok(change) = dir.last_change(OsStr::new(name), &question) else {
        return Some(Compared::Nothing);
    };
    let (changed, as_of) = (change.newest, since);
    (changed > as_of).then_some(Compared::Newer { changed, as_of })
}

/// `pod-logs-dir`, and its entries of each pod.
type Logs = (OpenLogDir, HashMap<Text, Vec<OsString>>);

/// The entries of these pods; `None` = the directory does not exist, or its key is empty.
fn logs_of(ctx: &Context<'_>, pods: &BTreeSet<Text>) -> Result<Option<Logs>, String> {
    let dir = match LogDir::of_pods(ctx) {
        LogDir::Open(dir) => dir,
        LogDir::Off | LogDir::Missing(_) => return Ok(None),
        LogDir::Failed(dir, e) => return Err(format!("{dir}: {e}")),
    };
    let entries = dir.entries(&|| ctx.stop.cause().is_none());
    let entries = entries.map_err(|e| format!("{}: {e}", dir.dir()))?;
    let mut of_pods: HashMap<Text, Vec<OsString>> = HashMap::new();
    for entry in entries {
        let uid = entry.name.to_str().map(entry_uid);
        if let Some(uid) = uid.and_then(|uid| pods.get(uid)) {
            of_pods.entry(uid.clone()).or_default().push(entry.name);
        }
    }
    Ok(Some((dir, of_pods)))
}

/// When something in the logs of a pod changed last. Times later than now are noted in `newer`.
fn last_change(
    logs: Option<&Logs>,
    uid: &Text,
    question: &Question<'_>,
    newer: &mut Newer,
) -> Result<Changed, String> {
    let mut newest = 0;
    let of_pod = logs.and_then(|(dir, entries)| Some((dir, entries.get(uid)?)));
    if let Some((dir, names)) = of_pod {
        for name in names {
            let path = || format!("{}/{}", dir.dir(), name.to_string_lossy());
            let change = dir.last_change(name, question);
            let change = change.map_err(|e| format!("{}: {e}", visible(&path())))?;
            if change.beyond {
                newer.saw_beyond(path().into());
            }
            newest = change.newest.max(newest);
        }
    }
    Ok(Changed::Last(newest))
}

/// S0.3: warns once, at the end of a pass, of times later than now, which were not compared with the moment of the host's answer.
pub(crate) fn log_stamps(ctx: &Context<'_>) {
    let newer = ctx.pods.newer.borrow();
    if let Some((count, example)) = newer.beyond() {
        ctx.log(
            LogLevel::Warn,
            &format!(
                "{count} containers, pod sandboxes or pod log directories have times later than now, such as {}: these times are not compared with the moment of the host's answer about pods; see whether the clock was set back",
                visible(example)
            ),
        );
    }
}
