//! Carries out a plan: in its order, a bounded number at once, a slow one holding no other up (S2.7).

use super::evidence::Evidence;
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::later::Ordered;
use super::run::Run;
use super::slots::Slots;
use crate::host::clock::Boot;
use crate::plan::{Plan, Step};
use crate::quiet;
use crate::report::{Kind, Reason};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::time::Duration;

/// How objects of one kind are removed.
pub(crate) trait Remover {
    type Object;
    const KIND: Kind;

    /// What the report says of it.
    fn planned(&self, object: &Self::Object, reason: Reason) -> Planned;

    /// Removes it; in a dry run, finds out whether it would be removed. The gate is open, and is asked again after everything that
    /// takes long.
    async fn remove(&self, object: &Self::Object, gate: &Gate<'_>) -> Fate;
}

/// What came of the work for one object; a defect in it is its failure, and stops no other.
async fn one(run: &Run<'_>, work: impl Future<Output = Fate>) -> Fate {
    let done = quiet::caught_async(work).await;
    done.unwrap_or_else(|defect| run.report.defect(defect))
}

/// The same of what a lost connection counts for (S0.8).
pub(crate) async fn in_flight(run: &Run<'_>, work: impl Future<Output = Fate>) -> Fate {
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
    Removal(usize, Fate, Duration),
    Rest,
}

/// Carries out a plan in the order of S0.8, no more at once than there are slots, and writes the report. Returns the objects that are
/// gone.
pub(crate) async fn carry_out<'o, R: Remover>(
    run: &Run<'_>,
    evidence: &Evidence<'_>,
    plan: Plan<'o, R::Object>,
    slots: &Slots,
    remover: &R,
) -> Vec<&'o R::Object> {
    let planned = |step: Step<'o, _>| (remover.planned(step.object, step.reason), step.object);
    let removals = plan.remove.into_iter().map(planned).collect();
    let Ordered { items, alone_from } = run.later.order(run, R::KIND, removals);
    let kept = plan.keep.into_iter().map(|step| planned(step).0).collect();
    let kept = run.later.kept(run, R::KIND, kept);
    let items = &items;
    let mut left = items.len();
    let mut order = Vec::new();
    let mut gone = Vec::new();
    let mut finish = |at: usize, fate: Fate| {
        let (planned, object) = &items[at];
        if fate == Fate::Removed {
            gone.push(*object);
        }
        left -= 1;
        let is_an_end = fate.is_an_end();
        order.push((at, run.record(planned.clone(), fate)));
        if is_an_end {
            run.progress(planned, left);
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
                let (planned, object) = &items[at];
                let gate = Gate::new(run, Some(evidence), planned);
                let work = remover.remove(object, &gate);
                let done = in_flight(run, work).await;
                Worked::Removal(at, done, Boot::now().since(began))
            }
        }
    };
    let mut resting = 0;
    let mut waiting = 0..items.len();
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
            match Gate::new(run, Some(evidence), &items[at].0).open() {
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
                let removed = result == Fate::Removed;
                finish(at, result);
                if let Some(time) = slots.rest_after(run, removed, took) {
                    removing.push(occupy(Occupant::Rest(time)));
                    resting += 1;
                }
            }
        }
    }

    slots.tell(run);
    run.report.arrange(order);
    for planned in kept {
        let reason = planned.reason;
        run.record(planned, Fate::Kept(reason));
    }
    gone
}
