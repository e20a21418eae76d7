//! Carries out a plan: in its order, a bounded number at once, a slow one holding no other up (S2.7).

use super::evidence::Evidence;
use super::gate::Gate;
use super::later::Ordered;
use super::progress::Progress;
use super::run::{Done, Run};
use super::slots::Slots;
use crate::host::clock::Boot;
use crate::node::Text;
use crate::plan::{Plan, Step};
use crate::quiet;
use crate::report::{Entry, Kind, Outcome, Reason};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::time::Duration;

/// How objects of one kind are removed.
pub(crate) trait Remover {
    type Object;
    const KIND: Kind;

    /// ID, name and UID for the report.
    fn entry(&self, object: &Self::Object) -> Entry;

    /// Removes it; in a dry run, finds out whether it would be removed. The gate is open, and is asked again after everything that
    /// takes long.
    async fn remove(&self, object: &Self::Object, gate: &Gate<'_>) -> Done;
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

/// What came of the work for one object; a defect in it is its failure, and stops no other.
async fn one(run: &Run<'_>, work: impl Future<Output = Done>) -> Done {
    let done = quiet::caught_async(work).await;
    done.unwrap_or_else(|defect| run.defect(defect))
}

/// The same of what a lost connection counts for (S0.8).
pub(crate) async fn in_flight(run: &Run<'_>, work: impl Future<Output = Done>) -> Done {
    let flight = run.later.take_off();
    let done = one(run, work).await;
    flight.landed(done)
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

/// Carries out a plan over `objects` in the order of S0.8, no more at once than there are slots, and writes the report. Returns the
/// objects that are gone.
pub(crate) async fn carry_out<R: Remover>(
    run: &Run<'_>,
    evidence: &Evidence<'_>,
    objects: &[R::Object],
    plan: &Plan,
    slots: &Slots,
    remover: &R,
) -> Vec<usize> {
    let with_entry = |step: &Step| (entry_of(remover, objects, *step), step.index);
    let planned = plan.remove.iter().map(with_entry).collect();
    let Ordered {
        items: planned,
        alone_from,
    } = run.later.order(run, R::KIND, planned);
    let kept = plan.keep.iter().map(|step| with_entry(step).0).collect();
    let kept = run.later.kept(run, R::KIND, kept);
    let planned = &planned;
    let total = planned.len();
    let stage = run.stage();
    let mut left = total;
    let progress = Progress::of(run, R::KIND);
    let mut gone = Vec::new();
    let mut finish = |at: usize, result: Done| {
        let (entry, index) = &planned[at];
        if result == Done::Removed {
            gone.push(*index);
        }
        left -= 1;
        let counts = Progress::counts(&result);
        stage.ended(at, entry.clone(), result);
        if counts {
            progress.ended(left);
        }
    };

    // One type of future for both.
    let occupy = |what: Occupant| async move {
        match what {
            Occupant::Rest(time) => {
                slots.rest(run, time).await;
                Worked::Rest
            }
            Occupant::Removal(at) => {
                let began = Boot::now();
                let (entry, index) = &planned[at];
                let gate = Gate::new(run, Some(evidence), entry);
                let work = remover.remove(&objects[*index], &gate);
                let done = in_flight(run, work).await;
                Worked::Removal(at, done, Boot::now().since(began))
            }
        }
    };
    let mut resting = 0;
    let mut waiting = 0..total;
    let mut removing = FuturesUnordered::new();
    loop {
        while removing.len() < slots.limit {
            // What may make the runtime crash waits until nothing else is in flight.
            if waiting.start >= alone_from && removing.len() > resting {
                break;
            }
            let Some(at) = waiting.next() else {
                break;
            };
            match Gate::new(run, Some(evidence), &planned[at].0).open() {
                Err(result) => finish(at, result),
                Ok(()) => removing.push(occupy(Occupant::Removal(at))),
            }
        }
        // Nobody is left to rest for.
        if waiting.is_empty() && removing.len() == resting {
            break;
        }
        match removing.next().await {
            None => {}
            Some(Worked::Rest) => resting -= 1,
            Some(Worked::Removal(at, result, took)) => {
                let removed = result == Done::Removed;
                finish(at, result);
                if let Some(time) = slots.rest_after(run, removed, took) {
                    removing.push(occupy(Occupant::Rest(time)));
                    resting += 1;
                }
            }
        }
    }

    slots.tell(run);
    stage.arrange();
    for entry in kept {
        let reason = entry.reason;
        run.record(entry, Done::Kept(reason));
    }
    gone
}

fn entry_of<R: Remover>(remover: &R, objects: &[R::Object], step: Step) -> Entry {
    let mut entry = remover.entry(&objects[step.index]);
    entry.reason = step.reason;
    entry
}
