//! The engine that removes: it takes one object after another from a policy, as many at once as the pace says, and more if some take very
//! long, so that a slow one does not hold up the others (S2.7). It writes the report. A policy removes a whole plan in its order, or as
//! many images as are needed (`image_removals`).

use super::context::Context;
use super::defects::{object, stage};
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::later::Ordered;
use super::pace::Pace;
use super::pod_evidence::Evidence;
use crate::clock::BootInstant;
use crate::plan::{Plan, Step};
use crate::report::{Compared, Kind, Reason, Why};
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeMap;
use std::ops::Range;

/// How often the task of the connection has its turn, so that it sends a call that was just begun.
const TURNS: usize = 4;

/// At most so many times the wait for one that is late is doubled.
const MOST_LATE: u32 = 3;

/// A removal under way; `Err` = it ended before its last step.
pub(crate) type Removal<'e> = LocalBoxFuture<'e, Result<Fate, Fate>>;

/// Which objects are removed, and when enough are. `T` refers to an object. The defaults are those of a whole plan.
pub(crate) trait Policy<'e, T: Copy> {
    /// Removals rest on lists of the whole node, and a later list confirms them before they are reported. The call for one object is sent
    /// before the questions about the next, which may take so long that the lists grow old.
    const IS_CONFIRMED: bool = false;

    /// Asks all questions that come before work on an object begins. Returns its removal, or why it is kept.
    async fn begin(
        &mut self,
        items: &[(Planned, T)],
        at: usize,
        gate: Gate<'e>,
    ) -> Result<Removal<'e>, Fate>;

    /// Whether one more is to be removed now.
    fn wants_more(&self) -> bool {
        true
    }

    /// How many of the waiting objects would have to be removed if all removals in flight succeed.
    fn needed(&self, waiting: &[(Planned, T)]) -> usize {
        waiting.len()
    }

    /// A removal has ended.
    async fn ended(&mut self, _object: T, _fate: &Fate) {}

    /// What became of the objects that were removed since the last time.
    async fn confirm(&mut self, removed: &[T]) -> Vec<Fate> {
        vec![Fate::Removed; removed.len()]
    }

    /// Whether other objects may be removed in the place of those that were not removed after all.
    fn goes_on(&self) -> bool {
        true
    }

    /// Why objects are kept that were not begun.
    fn rest(&self) -> Reason {
        Reason::NotReached
    }
}

/// What occupied a slot.
enum Worked {
    /// The removal of the object at this index of the order.
    Removal(usize, Fate),
    Rest,
}

/// The removals of one plan under way.
struct Engine<'e, T> {
    ctx: &'e Context<'e>,
    evidence: Option<&'e Evidence<'e>>,
    ordered: &'e Ordered<T>,
    pace: &'e Pace<'e>,
    waiting: Range<usize>,
    occupied: FuturesUnordered<LocalBoxFuture<'e, Worked>>,
    resting: usize,
    /// When those in flight began that hold others up.
    punctual: BTreeMap<usize, BootInstant>,
    /// How many stopped to hold others up since the last removal ended. Each makes the next wait twice as long, so that a runtime that has
    /// become slow as a whole is not asked for more and more.
    late: u32,
    /// Removed, but not confirmed yet.
    unconfirmed: Vec<usize>,
    /// The index of each object in the order, and in the report.
    written: Vec<(usize, usize)>,
    removed: Vec<T>,
}

/// Removes objects in their order, never more at once than the bound of their kind, and writes the report. Returns the removed ones.
pub(crate) async fn remove<'e, T: Copy, P: Policy<'e, T>>(
    ctx: &'e Context<'e>,
    evidence: Option<&'e Evidence<'e>>,
    ordered: &'e Ordered<T>,
    pace: &'e Pace<'e>,
    policy: &mut P,
) -> Vec<T> {
    let mut engine = Engine {
        ctx,
        evidence,
        ordered,
        pace,
        waiting: 0..ordered.items.len(),
        occupied: FuturesUnordered::new(),
        resting: 0,
        punctual: BTreeMap::new(),
        late: 0,
        unconfirmed: Vec::new(),
        written: Vec::new(),
        removed: Vec::new(),
    };
    loop {
        let worked = match engine.next(policy) {
            Some(at) => engine.begin(policy, at).await,
            None if !engine.is_idle(policy) => engine.next_end().await,
            None => {
                if engine.confirm(policy).await {
                    continue;
                }
                break;
            }
        };
        if let Some(worked) = worked {
            engine.ended(policy, worked).await;
        }
    }
    for at in std::mem::take(&mut engine.waiting) {
        let why = engine.rest(at, policy.rest());
        engine.write(at, Fate::Kept(why));
    }
    ctx.report.arrange(engine.written);
    engine.removed
}

impl<'e, T: Copy> Engine<'e, T> {
    /// The index of the next object of the order, if it may be begun.
    fn next<P: Policy<'e, T>>(&mut self, policy: &P) -> Option<usize> {
        // An object that may make the runtime crash waits until nothing else is in flight (S0.8).
        let is_alone = self.waiting.start >= self.ordered.alone_from;
        let is_full = self.punctual.len() + self.resting >= self.pace.size()
            || self.occupied.len() >= self.pace.bound();
        if is_full || (is_alone && self.in_flight() > 0) || !policy.wants_more() {
            return None;
        }
        self.waiting.next()
    }

    /// What ends next. `None` = a removal has taken so long that it no longer holds another one up.
    async fn next_end(&mut self) -> Option<Worked> {
        let Some((at, began)) = self.punctual.first_key_value() else {
            return self.occupied.next().await;
        };
        let (at, due) = (*at, began.plus(self.pace.patience() * 2_u32.pow(self.late)));
        tokio::select! {
            worked = self.occupied.next() => worked,
            () = tokio::time::sleep(due.since(BootInstant::now())) => {
                self.punctual.remove(&at);
                self.late = MOST_LATE.min(self.late + 1);
                None
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.occupied.len() - self.resting
    }

    /// Whether nothing is in flight, and no object waits for the end of a rest.
    fn is_idle<P: Policy<'e, T>>(&self, policy: &P) -> bool {
        self.in_flight() == 0 && (self.waiting.is_empty() || !policy.wants_more())
    }

    /// Begins to remove an object, if it may be removed; returns what has ended meanwhile.
    async fn begin<P: Policy<'e, T>>(&mut self, policy: &mut P, at: usize) -> Option<Worked> {
        let (ctx, items) = (self.ctx, &self.ordered.items);
        let gate = Gate::new(ctx, self.evidence, &items[at].0);
        let removal = match object(ctx, policy.begin(items, at, gate)).await {
            Ok(removal) => removal,
            Err(fate) => {
                self.settle(policy, at, fate);
                return None;
            }
        };
        self.punctual.insert(at, BootInstant::now());
        self.occupied.push(Box::pin(async move {
            Worked::Removal(at, in_flight(ctx, removal).await)
        }));
        let turns = if P::IS_CONFIRMED { TURNS } else { 0 };
        for _ in 0..turns {
            if let Some(ended) = self.occupied.next().now_or_never() {
                return ended;
            }
            tokio::task::yield_now().await;
        }
        None
    }

    /// What occupied a slot has ended.
    async fn ended<P: Policy<'e, T>>(&mut self, policy: &mut P, worked: Worked) {
        let Worked::Removal(at, fate) = worked else {
            self.resting -= 1;
            return;
        };
        self.punctual.remove(&at);
        self.late = 0;
        // If this panics, the policy has to know what it left undone.
        let ended = policy.ended(self.ordered.items[at].1, &fate);
        let _ = stage(self.ctx, ended).await;
        self.settle(policy, at, fate);
        let pace = self.pace;
        if let Some(time) = pace.rest() {
            self.resting += 1;
            self.occupied.push(Box::pin(async move {
                pace.wait(time).await;
                Worked::Rest
            }));
        }
    }

    /// Writes down what became of an object, if that need not be confirmed first, and reports the progress.
    fn settle<P: Policy<'e, T>>(&mut self, policy: &P, at: usize, fate: Fate) {
        let is_an_end = fate.is_an_end();
        match fate {
            Fate::Removed if P::IS_CONFIRMED => self.unconfirmed.push(at),
            fate => self.write(at, fate),
        }
        if is_an_end {
            let items = &self.ordered.items;
            let left = self.in_flight() + policy.needed(&items[self.waiting.clone()]);
            self.ctx.progress(&items[at].0, left);
        }
    }

    /// Why an object is kept that was not begun. The turn that it would have had says more.
    fn rest(&self, at: usize, reason: Reason) -> Why {
        match &self.ordered.items[at].0.compared {
            turn @ Compared::Turn { .. } => Why::new(reason, turn.clone()),
            _ => reason.into(),
        }
    }

    fn write(&mut self, at: usize, fate: Fate) {
        let (planned, object) = &self.ordered.items[at];
        if fate == Fate::Removed {
            self.removed.push(*object);
        }
        let place = self.ctx.record(planned.clone(), fate);
        self.written.push((at, place));
    }

    /// Confirms what was removed, now that nothing is in flight; whether other objects may take the place of what was not removed.
    async fn confirm<P: Policy<'e, T>>(&mut self, policy: &mut P) -> bool {
        let places = std::mem::take(&mut self.unconfirmed);
        if places.is_empty() {
            return false;
        }
        let items = &self.ordered.items;
        let removed: Vec<T> = places.iter().map(|at| items[*at].1).collect();
        let fates = stage(self.ctx, policy.confirm(&removed)).await;
        // If this panics, the answers of the runtime count.
        let fates = fates.unwrap_or_else(|| vec![Fate::Removed; places.len()]);
        for (at, fate) in places.into_iter().zip(fates) {
            self.write(at, fate);
        }
        policy.goes_on()
    }
}

/// Work for one object in flight: a lost connection counts for it if it was alone (S0.8).
async fn in_flight(ctx: &Context<'_>, removal: Removal<'_>) -> Fate {
    let flight = ctx.later.take_off();
    let fate = object(ctx, removal).await;
    flight.landed(fate.unwrap_or_else(|fate| fate))
}

/// How objects of one kind are removed.
pub(crate) trait Remover {
    type Object;
    const KIND: Kind;

    /// What the report says of an object.
    fn planned(&self, object: &Self::Object, why: Why) -> Planned;

    /// The same for a step of a plan.
    fn of_step(&self, step: &Step<'_, Self::Object>) -> Planned {
        Planned {
            rests_on_pod: step.rests_on_pod,
            ..self.planned(step.object, step.why())
        }
    }

    /// Removes an object; in a dry run, finds out whether it would be removed. The gate is open, and is asked again after everything that
    /// takes long.
    async fn remove(&self, object: &Self::Object, gate: &Gate<'_>) -> Result<Fate, Fate>;
}

/// Removes a whole plan.
struct All<'e, R> {
    remover: &'e R,
}

impl<'e, 'o: 'e, R: Remover> Policy<'e, &'o R::Object> for All<'e, R> {
    async fn begin(
        &mut self,
        items: &[(Planned, &'o R::Object)],
        at: usize,
        gate: Gate<'e>,
    ) -> Result<Removal<'e>, Fate> {
        gate.open()?;
        let (remover, object) = (self.remover, items[at].1);
        Ok(Box::pin(async move { remover.remove(object, &gate).await }))
    }
}

/// Carries out a plan in the order of S0.8, and writes down what is kept. Returns the removed objects.
pub(crate) async fn carry_out<'o, R: Remover>(
    ctx: &Context<'_>,
    evidence: &Evidence<'_>,
    plan: Plan<'o, R::Object>,
    pace: &Pace<'_>,
    remover: &R,
) -> Vec<&'o R::Object> {
    let planned = |step: Step<'o, _>| (remover.of_step(&step), step.object);
    let removals = plan.remove.into_iter().map(planned).collect();
    let kept = plan.keep.into_iter().map(|step| planned(step).0).collect();
    let ordered = ctx.later.order(ctx, R::KIND, removals);
    let kept = ctx.later.kept(ctx, R::KIND, kept);
    let removed = remove(ctx, Some(evidence), &ordered, pace, &mut All { remover }).await;
    for planned in kept {
        let why = planned.why();
        ctx.record(planned, Fate::Kept(why));
    }
    removed
}
