//! The host's answer about its pods, asked again when it has grown old (S0.3), against what runs (S0.4).

use super::context::{Context, wall_time};
use super::log_dirs::LogDir;
use crate::clock::BootInstant;
use crate::error::{Error, Status};
use crate::fs::changed::Question;
use crate::fs::logs::OpenLogDir;
use crate::hooks::LogLevel;
use crate::node::{PodStates, Snapshot, Text};
use crate::plan::logs::entry_uid;
use crate::plan::pods::{self, Changed, Contradiction, Newer, PodView};
use crate::report::{Reason, visible};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// What one pass knows of the host's answers about pods.
#[derive(Default)]
pub(crate) struct Pods {
    /// The host's picture of its pods contradicted what runs (S0.4): no pod is removable any more in this pass.
    broken: Cell<bool>,
    /// Which pods are younger than the host's answer (S0.3).
    newer: RefCell<Newer>,
}

/// Asks the host about pods (S0.3).
fn ask(ctx: &Context<'_>, uids: &[Text]) -> PodStates {
    let Some(ask) = &ctx.hooks.pod_states else {
        return PodStates {
            ready: true,
            ..PodStates::default()
        };
    };
    let mut answer = ask.with(|ask| ask(uids));
    // Only what was asked about is answered.
    let asked: HashSet<&Text> = uids.iter().collect();
    answer.states.retain(|uid, _| asked.contains(uid));
    answer.ready &= answer.as_of == 0 || can_be_as_of(ctx, answer.as_of);
    answer
}

/// S0.3: whether an answer can speak of this moment; of a time to come nobody knows anything.
fn can_be_as_of(ctx: &Context<'_>, as_of: i64) -> bool {
    let now = wall_time(ctx.hooks);
    if as_of > now {
        let ahead = Duration::from_nanos(as_of.abs_diff(now));
        ctx.report.warn_once("as-of", || format!(
            "the host says that its answer about pods is of a moment {ahead:?} from now; nothing is removed because its pod is gone; see whether a clock was set back"
        ));
    }
    (0..=now).contains(&as_of)
}

/// S0.4: from here on no pod is removable.
fn contradicted(ctx: &Context<'_>, c: &Contradiction) {
    if ctx.pods.broken.replace(true) {
        return;
    }
    let examples: Vec<String> = c.examples.iter().map(|uid| visible(uid)).collect();
    let message = format!(
        "the host says that {} of {} pods that run are gone (such as {}): its picture of the pods is broken, nothing is removed for a pod's sake; see whether its list of pods is stale, empty or of another node; pods that were deleted by force and do not end have to count as living until they have ended",
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
    /// Asks about all pods of a look, and about those whose UIDs were found elsewhere.
    pub(crate) fn ask(
        ctx: &'a Context<'a>,
        snapshot: &'a Snapshot,
        elsewhere: impl IntoIterator<Item = Text>,
    ) -> Evidence<'a> {
        let mut uids: BTreeSet<Text> = pods::uids_in_question(snapshot).into_iter().collect();
        uids.extend(elsewhere.into_iter().filter(|uid| pods::askable(uid)));
        let uids: Vec<Text> = uids.into_iter().collect();
        let latest = RefCell::new(view(ctx, snapshot, &uids));
        Evidence {
            ctx,
            snapshot,
            uids,
            latest,
        }
    }

    /// S4.1: the same, asked at this moment and about this pod alone, however young the answer about all is.
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

    /// Whether a removal that was planned still stands; asks again where the answer has grown old and the removal rests on
    /// it.
    pub(crate) fn stands(&self, uid: &str, reason: Reason) -> bool {
        if !pods::rests_on_pod(reason) {
            return true;
        }
        let age = BootInstant::now().since(self.latest.borrow().1);
        if age > self.ctx.config.evidence_max_age {
            let fresh = view(self.ctx, self.snapshot, &self.uids);
            self.latest.replace(fresh);
        }
        // S0.4: another answer may have contradicted what runs, to a stop beside this stage.
        if self.ctx.pods.broken.get() {
            return false;
        }
        let latest = self.latest.borrow();
        pods::still_stands(uid, reason, &latest.0)
    }
}

/// One question and its answer, with the time of the question: the answer is no older than that.
fn view(ctx: &Context<'_>, snapshot: &Snapshot, uids: &[Text]) -> (PodView, BootInstant) {
    let asked = BootInstant::now();
    let answer = ask(ctx, uids);
    let mut view = PodView::new(snapshot, &answer, ctx.all_unused, ctx.pods.broken.get());
    let newer = newer_pods(ctx, snapshot, &answer, &view);
    if let Some(contradiction) = view.contradicted() {
        contradicted(ctx, &contradiction);
        view = PodView::new(snapshot, &answer, ctx.all_unused, true);
    }
    (view.holding(newer), asked)
}

/// S0.3: the pods that have changed since the moment that the host's answer speaks of. A pod is judged when the host first says
/// that it is gone.
fn newer_pods(
    ctx: &Context<'_>,
    snapshot: &Snapshot,
    answer: &PodStates,
    view: &PodView,
) -> HashSet<Text> {
    // An answer that is not ready may be followed by one that says as of when.
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
        go_on: &go_on,
    };
    let logs = Logs::of(ctx, open);
    let mut unknown = Vec::new();
    for uid in open {
        if !go_on() {
            // The pass is to end: nothing goes any more.
            newer.judge(uid, as_of, Changed::Unknown);
            continue;
        }
        let changed = logs.last_change(uid, &question, |path| newer.saw_beyond(path));
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
                "cannot tell when the logs of {} pods changed last, such as those of {}: {e}; until that is known nothing of them is removed because they are gone",
                unknown.len(),
                visible(uid)
            ),
        );
    }
}

/// S0.3: whether a file in a tree has changed since the moment by which its pod was judged, which an answer of the past cannot know:
/// the pod may have come back since. The pass itself changes directories, but no files.
pub(crate) fn has_newer_files(ctx: &Context<'_>, dir: &OpenLogDir, name: &str) -> bool {
    let Some(since) = ctx.pods.newer.borrow().judged_by(entry_uid(name)) else {
        return false;
    };
    let go_on = || ctx.stop.cause().is_none();
    let question = Question {
        since,
        now: wall_time(ctx.hooks),
        files_only: true,
        go_on: &go_on,
    };
    let change = dir.last_change(OsStr::new(name), &question);
    change.map_or(true, |change| change.newest > since)
}

/// The entries of `pod-logs-dir` that belong to some pods.
enum Logs {
    Entries(OpenLogDir, HashMap<Text, Vec<OsString>>),
    Nothing,
    Failed(String),
}

impl Logs {
    fn of(ctx: &Context<'_>, pods: &BTreeSet<Text>) -> Logs {
        let dir = match LogDir::open(ctx.config.pod_logs_dir.as_deref()) {
            LogDir::Open(dir) => dir,
            LogDir::Off | LogDir::Missing(_) => return Logs::Nothing,
            LogDir::Failed(dir, e) => return Logs::Failed(format!("{dir}: {e}")),
        };
        let go_on = || ctx.stop.cause().is_none();
        let entries = match dir.entries(&go_on) {
            Ok(entries) => entries,
            Err(e) => return Logs::Failed(format!("{}: {e}", dir.dir())),
        };
        let mut of_pods: HashMap<Text, Vec<OsString>> = HashMap::new();
        for entry in entries {
            let uid = entry.name.to_str().map(entry_uid);
            if let Some(uid) = uid.and_then(|uid| pods.get(uid)) {
                of_pods.entry(uid.clone()).or_default().push(entry.name);
            }
        }
        Logs::Entries(dir, of_pods)
    }

    /// When something in them changed last; `beyond` hears of what has a time beyond now.
    fn last_change(
        &self,
        uid: &Text,
        question: &Question<'_>,
        mut beyond: impl FnMut(Text),
    ) -> Result<Changed, String> {
        let (dir, entries) = match self {
            Logs::Nothing => return Ok(Changed::Last(0)),
            Logs::Failed(why) => return Err(why.clone()),
            Logs::Entries(dir, entries) => (dir, entries),
        };
        let mut newest = 0;
        for name in entries.get(uid).into_iter().flatten() {
            let path = || format!("{}/{}", dir.dir(), name.to_string_lossy());
            let change = dir
                .last_change(name, question)
                .map_err(|e| format!("{}: {e}", visible(&path())))?;
            if change.beyond {
                beyond(path().into());
            }
            newest = change.newest.max(newest);
        }
        Ok(Changed::Last(newest))
    }
}

/// S0.3: what has a time beyond now was not compared with the moment of the host's answer; told once, at the end of a pass.
pub(crate) fn log_stamps(ctx: &Context<'_>) {
    let newer = ctx.pods.newer.borrow();
    if let Some((count, example)) = newer.beyond() {
        ctx.log(
            LogLevel::Warn,
            &format!(
                "{count} containers, pod sandboxes or pod log directories have times later than now, such as {}: they are not compared with the moment that the host's answer about pods is of; see whether the clock was set back",
                visible(example)
            ),
        );
    }
}
