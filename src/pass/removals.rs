//! Carries out a plan: in its order, a bounded number at once, a slow one holding no other up (S2.7).

use super::evidence::Evidence;
use super::progress::Progress;
use super::run::{Done, Run};
use super::slots::Slots;
use crate::host::clock::Boot;
use crate::node::Text;
use crate::plan::{Plan, Step};
use crate::quiet;
use crate::report::{Entry, Kind, Outcome, Reason};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::VecDeque;
use std::time::Duration;

/// Stops of UNKNOWN containers have slots of their own (S2.3).
const STOP_SLOTS: usize = 2;

/// How objects of one kind are removed.
pub(crate) trait Remover {
    type Object;
    const KIND: Kind;

    /// ID, name and UID for the report.
    fn entry(&self, object: &Self::Object) -> Entry;

    /// Whether the object has to be stopped first, which may take long.
    fn needs_stop(&self, _object: &Self::Object) -> bool {
        false
    }

    /// Stops it; `Err` = it stays for that.
    async fn stop(&self, _object: &Self::Object) -> Result<(), Done> {
        Ok(())
    }

    /// Removes it; in a dry run, finds out whether it would go. `objection`: why it stays after all, to be asked after everything
    /// that takes long.
    async fn remove(&self, object: &Self::Object, objection: &dyn Fn() -> Option<Reason>) -> Done;
}

/// An entry before anything became of it.
pub(crate) fn blank(
    kind: Kind,
    id: impl Into<Text>,
    name: impl Into<Text>,
    pod_uid: impl Into<Text>,
) -> Entry {
    Entry {
        kind,
        outcome: Outcome::Kept,
        id: id.into(),
        name: name.into(),
        pod_uid: pod_uid.into(),
        reason: Reason::UnknownState,
        error: None,
        bytes: 0,
    }
}

/// Why an object that was to go stays after all, if it does.
pub(crate) fn objection(
    run: &Run<'_>,
    evidence: Option<&Evidence<'_>>,
    planned: &Entry,
) -> Option<Reason> {
    if run.stop.cause().is_some() {
        return Some(Reason::NotReached);
    }
    if let Some(reason) = run.holds_back(planned) {
        return Some(reason);
    }
    let stands = evidence.is_none_or(|e| e.stands(&planned.pod_uid, planned.reason));
    (!stands).then_some(Reason::Changed)
}

/// The same as what becomes of it; `Err` = it stays.
pub(crate) fn may_go(
    run: &Run<'_>,
    evidence: Option<&Evidence<'_>>,
    planned: &Entry,
) -> Result<(), Done> {
    match quiet::caught(|| objection(run, evidence, planned)) {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(Done::Kept(reason)),
        Err(defect) => Err(run.defect(defect)),
    }
}

/// Asks all that is to be asked at the last moment; `Err` = the object stays.
pub(crate) fn begin(
    run: &Run<'_>,
    evidence: Option<&Evidence<'_>>,
    planned: &Entry,
    asked: bool,
) -> Result<(), Done> {
    may_go(run, evidence, planned)?;
    if asked {
        return Ok(());
    }
    match quiet::caught(|| run.approved(planned)) {
        Ok(true) => {}
        Ok(false) => return Err(Done::Refused),
        Err(defect) => return Err(run.defect(defect)),
    }
    // The host may have taken its time, or told the pass to end.
    may_go(run, evidence, planned)
}

/// What came of the work for one object; a defect in it is its failure, and stops no other.
async fn one(run: &Run<'_>, work: impl Future<Output = Done>) -> Done {
    let done = quiet::caught_async(work).await;
    done.unwrap_or_else(|defect| run.defect(defect))
}

/// What occupies a slot.
enum Occupant {
    /// The removal of what is at this place in the plan.
    Removal(usize),
    Rest(Duration),
}

/// What came of what occupied a slot.
enum Worked {
    /// The removal of what is at this place in the plan, and how long it took.
    Removal(usize, Done, Duration),
    Rest,
}

/// Carries out a plan over `objects`, no more at once than there are slots, and writes the report. Returns the places in the plan
/// of what is gone.
pub(crate) async fn carry_out<R: Remover>(
    run: &Run<'_>,
    evidence: &Evidence<'_>,
    objects: &[R::Object],
    plan: &Plan,
    slots: &Slots,
    remover: &R,
) -> Vec<usize> {
    let total = plan.remove.len();
    let planned: Vec<Entry> = plan
        .remove
        .iter()
        .map(|step| entry_of(remover, objects, *step))
        .collect();
    let planned = &planned;
    let stage = run.stage();
    let mut left = total;
    let mut progress = Progress::of(run, R::KIND);
    let mut gone = Vec::new();
    let mut finish = |at: usize, result: Done| {
        if result == Done::Removed {
            gone.push(at);
        }
        left -= 1;
        let counts = Progress::counts(&result);
        stage.ended(at, planned[at].clone(), result);
        if counts {
            progress.ended(left);
        }
    };

    let object = |at: usize| &objects[plan.remove[at].index];
    // One type of future for both.
    let occupy = |what: Occupant| async move {
        match what {
            Occupant::Rest(time) => {
                slots.rest(run, time).await;
                Worked::Rest
            }
            Occupant::Removal(at) => {
                let began = Boot::now();
                let objection = || objection(run, Some(evidence), &planned[at]);
                let done = one(run, remover.remove(object(at), &objection)).await;
                Worked::Removal(at, done, Boot::now().since(began))
            }
        }
    };
    let mut resting = 0;
    let mut waiting: VecDeque<usize> = (0..total).collect();
    let (mut to_stop, mut stopped) = (VecDeque::new(), VecDeque::new());
    let (mut removing, mut stopping) = (FuturesUnordered::new(), FuturesUnordered::new());
    loop {
        while removing.len() < slots.limit {
            let (at, asked) = match (stopped.pop_front(), waiting.pop_front()) {
                (Some(at), next) => {
                    next.into_iter().for_each(|next| waiting.push_front(next));
                    (at, true)
                }
                (None, Some(at)) => (at, false),
                (None, None) => break,
            };
            if !asked && !run.dry_run && remover.needs_stop(object(at)) {
                to_stop.push_back(at);
                continue;
            }
            match begin(run, Some(evidence), &planned[at], asked) {
                Err(result) => finish(at, result),
                Ok(()) => removing.push(occupy(Occupant::Removal(at))),
            }
        }
        while stopping.len() < STOP_SLOTS
            && let Some(at) = to_stop.pop_front()
        {
            match begin(run, Some(evidence), &planned[at], false) {
                Err(result) => finish(at, result),
                Ok(()) => stopping.push(async move {
                    let result = quiet::caught_async(remover.stop(object(at))).await;
                    (at, result.unwrap_or_else(|defect| Err(run.defect(defect))))
                }),
            }
        }
        let more = !(waiting.is_empty() && to_stop.is_empty() && stopped.is_empty());
        if removing.len() == resting && stopping.is_empty() {
            match more {
                // Nobody is left to rest for.
                false => break,
                true if removing.is_empty() => continue,
                true => {}
            }
        }
        tokio::select! {
            Some(worked) = removing.next(), if !removing.is_empty() => match worked {
                Worked::Rest => resting -= 1,
                Worked::Removal(at, result, took) => {
                    let removed = result == Done::Removed;
                    finish(at, result);
                    if let Some(time) = slots.rest_after(run, removed, took) {
                        removing.push(occupy(Occupant::Rest(time)));
                        resting += 1;
                    }
                }
            },
            Some((at, result)) = stopping.next(), if !stopping.is_empty() => match result {
                Ok(()) => stopped.push_back(at),
                Err(result) => finish(at, result),
            },
        }
    }

    slots.tell(run);
    stage.arrange();
    for step in &plan.keep {
        run.record(entry_of(remover, objects, *step), Done::Kept(step.reason));
    }
    gone
}

fn entry_of<R: Remover>(remover: &R, objects: &[R::Object], step: Step) -> Entry {
    let mut entry = remover.entry(&objects[step.index]);
    entry.reason = step.reason;
    entry
}
