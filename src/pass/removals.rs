//! The engine that removes: it takes one object after another from a policy, a bounded number at once, a slow one holding no other up
//! (S2.7), and writes the report. A policy is all of a plan in its order, or as many images as are needed (`image_removals`).

use super::context::Context;
use super::defects::{object, stage};
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::later::Ordered;
use super::pace::Pacing;
use super::pod_evidence::Evidence;
use crate::clock::BootInstant;
use crate::plan::{Plan, Step};
use crate::report::{Kind, Reason};
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::ops::Range;
use std::time::Duration;

/// How often the connection has its turn until what was begun has left.
const TURNS: usize = 4;

/// A removal under way; `Err` = it ended before its last step.
pub(crate) type Removal<'e> = LocalBoxFuture<'e, Result<Fate, Fate>>;

/// Which objects are removed, and when it is enough. `T` refers to an object. What is not said otherwise is that of all of a plan.
pub(crate) trait Policy<'e, T: Copy> {
    /// Objects are judged by looks at the whole node: what was begun is on its way before the next object is asked about, which may take
    /// so long that the look grows old; and what became of it is found out by another look, and written down then.
    const LOOKS: bool = false;

    /// Asks all that is to be asked before work on an object begins: its removal, or why it is kept.
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

    /// How many of those that wait would have to be removed, if what is under way succeeds.
    fn needed(&self, waiting: &[(Planned, T)]) -> usize {
        waiting.len()
    }

    /// A removal has ended.
    async fn ended(&mut self, _object: T, _fate: &Fate) {}

    /// What became of those that were removed since the last time.
    async fn confirm(&mut self, removed: &[T]) -> Vec<Fate> {
        vec![Fate::Removed; removed.len()]
    }

    /// Whether others may be removed in the place of those that were not removed after all.
    fn goes_on(&self) -> bool {
        true
    }

    /// Why those are kept that were not begun.
    fn rest(&self) -> Reason {
        Reason::NotReached
    }
}

/// What occupied a slot.
enum Worked {
    /// The removal of what is at this place in the order, and how long it took.
    Removal(usize, Fate, Duration),
    Rest,
}

/// The removals of one plan under way.
struct Engine<'e, T> {
    ctx: &'e Context<'e>,
    evidence: Option<&'e Evidence<'e>>,
    ordered: &'e Ordered<T>,
    pacing: &'e Pacing,
    waiting: Range<usize>,
    occupied: FuturesUnordered<LocalBoxFuture<'e, Worked>>,
    resting: usize,
    /// What was removed and is not confirmed.
    unconfirmed: Vec<usize>,
    /// The place of each in the order, and in the report.
    written: Vec<(usize, usize)>,
    gone: Vec<T>,
}

/// Removes objects in their order, no more at once than there are slots, and writes the report. Returns those that are gone.
pub(crate) async fn remove<'e, T: Copy, P: Policy<'e, T>>(
    ctx: &'e Context<'e>,
    evidence: Option<&'e Evidence<'e>>,
    ordered: &'e Ordered<T>,
    pacing: &'e Pacing,
    policy: &mut P,
) -> Vec<T> {
    let mut engine = Engine {
        ctx,
        evidence,
        ordered,
        pacing,
        waiting: 0..ordered.items.len(),
        occupied: FuturesUnordered::new(),
        resting: 0,
        unconfirmed: Vec::new(),
        written: Vec::new(),
        gone: Vec::new(),
    };
    loop {
        let worked = match engine.next(policy) {
            Some(at) => {
                let begun = engine.begin(policy, at).await;
                if begun && P::LOOKS {
                    engine.leaves().await
                } else {
                    None
                }
            }
            None if engine.is_idle(policy) => {
                if engine.confirm(policy).await {
                    None
                } else {
                    break;
                }
            }
            None => engine.occupied.next().await,
        };
        if let Some(worked) = worked {
            engine.ended(policy, worked).await;
        }
    }
    for at in std::mem::take(&mut engine.waiting) {
        engine.write(at, Fate::Kept(policy.rest()));
    }
    pacing.tell(ctx);
    ctx.report.arrange(engine.written);
    engine.gone
}

impl<'e, T: Copy> Engine<'e, T> {
    /// The place of the next object in the order, if it may be begun.
    fn next<P: Policy<'e, T>>(&mut self, policy: &P) -> Option<usize> {
        // What may make the runtime crash waits until nothing else is in flight (S0.8).
        let is_alone = self.waiting.start >= self.ordered.alone_from;
        let is_full = self.occupied.len() >= self.pacing.limit;
        if is_full || (is_alone && self.in_flight() > 0) || !policy.wants_more() {
            return None;
        }
        self.waiting.next()
    }

    fn in_flight(&self) -> usize {
        self.occupied.len() - self.resting
    }

    /// Nothing is under way, and nobody is left to rest for.
    fn is_idle<P: Policy<'e, T>>(&self, policy: &P) -> bool {
        self.in_flight() == 0 && (self.waiting.is_empty() || !policy.wants_more())
    }

    /// Asks whether an object may be removed, and begins to; whether it did.
    async fn begin<P: Policy<'e, T>>(&mut self, policy: &mut P, at: usize) -> bool {
        let (ctx, items) = (self.ctx, &self.ordered.items);
        let gate = Gate::new(ctx, self.evidence, &items[at].0);
        match object(ctx, policy.begin(items, at, gate)).await {
            Ok(removal) => {
                self.occupied.push(Box::pin(async move {
                    let began = BootInstant::now();
                    let fate = in_flight(ctx, removal).await;
                    Worked::Removal(at, fate, BootInstant::now().since(began))
                }));
                true
            }
            Err(fate) => {
                self.tell(policy, at, fate);
                false
            }
        }
    }

    /// Lets a removal leave that was just begun; what has ended meanwhile.
    async fn leaves(&mut self) -> Option<Worked> {
        for _ in 0..TURNS {
            if let Some(ended) = self.occupied.next().now_or_never() {
                return ended;
            }
            tokio::task::yield_now().await;
        }
        None
    }

    /// What occupied a slot has ended.
    async fn ended<P: Policy<'e, T>>(&mut self, policy: &mut P, worked: Worked) {
        let Worked::Removal(at, fate, took) = worked else {
            self.resting -= 1;
            return;
        };
        let was_removed = fate == Fate::Removed;
        // What it leaves undone when it panics, the policy has to know.
        let removed = self.ordered.items[at].1;
        let ended = async {
            policy.ended(removed, &fate).await;
            Ok(())
        };
        let _ = object(self.ctx, ended).await;
        self.tell(policy, at, fate);
        let (ctx, pacing) = (self.ctx, self.pacing);
        if let Some(time) = pacing.rest_after(ctx, was_removed, took) {
            self.resting += 1;
            self.occupied.push(Box::pin(async move {
                pacing.rest(ctx, time).await;
                Worked::Rest
            }));
        }
    }

    /// Writes down what became of an object, or leaves that until it is confirmed, and tells how far the removals are.
    fn tell<P: Policy<'e, T>>(&mut self, policy: &P, at: usize, fate: Fate) {
        let is_an_end = fate.is_an_end();
        match fate {
            Fate::Removed if P::LOOKS => self.unconfirmed.push(at),
            fate => self.write(at, fate),
        }
        if is_an_end {
            let items = &self.ordered.items;
            let left = self.in_flight() + policy.needed(&items[self.waiting.clone()]);
            self.ctx.progress(&items[at].0, left);
        }
    }

    fn write(&mut self, at: usize, fate: Fate) {
        let (planned, object) = &self.ordered.items[at];
        if fate == Fate::Removed {
            self.gone.push(*object);
        }
        let place = self.ctx.record(planned.clone(), fate);
        self.written.push((at, place));
    }

    /// Nothing is under way: what became of those that were removed; whether others may take their place.
    async fn confirm<P: Policy<'e, T>>(&mut self, policy: &mut P) -> bool {
        let places = std::mem::take(&mut self.unconfirmed);
        if places.is_empty() {
            return false;
        }
        let items = &self.ordered.items;
        let removed: Vec<T> = places.iter().map(|at| items[*at].1).collect();
        let fates = stage(self.ctx, policy.confirm(&removed)).await;
        // Without an answer it is as the runtime said.
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

    /// What the report says of it.
    fn planned(&self, object: &Self::Object, reason: Reason) -> Planned;

    /// Removes it; in a dry run, finds out whether it would be removed. The gate is open, and is asked again after everything that
    /// takes long.
    async fn remove(&self, object: &Self::Object, gate: &Gate<'_>) -> Result<Fate, Fate>;
}

/// All of a plan.
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

/// Carries out a plan in the order of S0.8, and writes down what is kept. Returns the objects that are gone.
pub(crate) async fn carry_out<'o, R: Remover>(
    ctx: &Context<'_>,
    evidence: &Evidence<'_>,
    plan: Plan<'o, R::Object>,
    pacing: &Pacing,
    remover: &R,
) -> Vec<&'o R::Object> {
    let planned = |step: Step<'o, _>| (remover.planned(step.object, step.reason), step.object);
    let removals = plan.remove.into_iter().map(planned).collect();
    let kept = plan.keep.into_iter().map(|step| planned(step).0).collect();
    let ordered = ctx.later.order(ctx, R::KIND, removals);
    let kept = ctx.later.kept(ctx, R::KIND, kept);
    let gone = remove(ctx, Some(evidence), &ordered, pacing, &mut All { remover }).await;
    for planned in kept {
        let reason = planned.reason;
        ctx.record(planned, Fate::Kept(reason));
    }
    gone
}
