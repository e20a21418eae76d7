//! Removing images: in the order of a plan, no more than are needed, only over a look that is fresh enough, and with a last look at
//! what is really gone (S5.2, S5.8, S5.12; see `image_gone`).

use super::defects::stage;
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::image_gone::{Rounds, confirm, name_to_ask_by, remove_image};
use super::image_records;
use super::image_snapshot;
use super::images::{ImagePass, min_age};
use super::pace::Pacing;
use super::removals::{Policy, Removal, remove};
use crate::node::Image;
use crate::plan::Step;
use crate::plan::images::{self as plans, Goal, Tally};
use crate::report::Reason;

/// As many images of a plan as a goal needs.
struct UntilEnough<'p, 'r, 'a> {
    pass: &'p mut ImagePass<'r, 'a>,
    goal: &'p Goal,
    tally: Tally,
    /// The records of the images before this place are not in the file.
    left_out: usize,
    rounds: Rounds,
}

/// Removes images in their order until the goal is reached, and writes the report about them.
pub(super) async fn carry_out(
    pass: &mut ImagePass<'_, '_>,
    steps: Vec<Step<'_, Image>>,
    goal: &Goal,
) -> Tally {
    let ctx = pass.ctx;
    let ordered = ctx.later.images(ctx, &pass.snapshot.images, steps);
    let images = ordered.items.iter().map(|(_, image)| image.key());
    pass.tried.extend(images);
    let pacing = Pacing::without_rests(ctx.config.max_parallel_image_removals);
    let mut policy = UntilEnough {
        pass,
        goal,
        tally: Tally::new(goal),
        left_out: 0,
        rounds: Rounds::default(),
    };
    remove(ctx, None, &ordered, &pacing, &mut policy).await;
    policy.tally
}

impl UntilEnough<'_, '_, '_> {
    /// All that is asked at the last moment; `Err` = the image is kept.
    async fn ask(
        &mut self,
        items: &[(Planned, &Image)],
        at: usize,
        gate: &Gate<'_>,
    ) -> Result<(), Fate> {
        gate.still_open()?;
        if self.pass.blind {
            return Err(Fate::Kept(Reason::ListIncomplete));
        }
        self.leave_out(items, at);
        gate.open()?;
        // The host's approval may take its time: after it comes the last look.
        self.refresh().await?;
        let (ctx, pass, image) = (self.pass.ctx, &self.pass, items[at].1);
        let latest = pass.snapshot.latest(image);
        let times = (min_age(ctx), ctx.now);
        let seen = pass.seen(&pass.snapshot.images);
        if !seen.still_goes(image, latest, self.goal, times) {
            return Err(Fate::Kept(Reason::Changed));
        }
        gate.still_open()
    }

    /// Before images go their records leave the file, those of many at once (S5.1).
    fn leave_out(&mut self, items: &[(Planned, &Image)], at: usize) {
        if at < self.left_out {
            return;
        }
        let needed = self.needed(&items[at..]);
        // Twice as many each time: where the host refuses most of them, this is not done for each.
        let until = (at + needed.max(at + 1)).min(items.len());
        let going = items[..until].iter().map(|(_, image)| *image);
        let has_file = self.guarded(|p| image_records::leave_out(p.ctx, p.memory, going));
        self.left_out = if has_file { until } else { items.len() };
    }

    /// Does something that nothing more may be removed after, if a panic breaks it off.
    fn guarded<R>(&mut self, work: impl FnOnce(&mut ImagePass<'_, '_>) -> R) -> R {
        let was_blind = std::mem::replace(&mut self.pass.blind, true);
        let done = work(self.pass);
        self.pass.blind = was_blind;
        done
    }

    /// Reads anew who uses images, if that has grown old (S5.2). Once this has failed, no image is removed any more. If it panics, the
    /// image is kept like after an error: no removal of it has failed.
    async fn refresh(&mut self) -> Result<(), Fate> {
        let (ctx, pass) = (self.pass.ctx, &mut *self.pass);
        if !image_snapshot::is_old(ctx, &pass.snapshot) {
            return Ok(());
        }
        // Users are unknown until the lists are whole.
        pass.blind = true;
        let snapshot = &mut pass.snapshot;
        let read = image_snapshot::refresh(ctx, pass.services, pass.memory, snapshot);
        let Some(Ok(())) = stage(ctx, async { read.await.map_err(|e| ctx.fail(e)) }).await else {
            return Err(Fate::Kept(Reason::ListIncomplete));
        };
        pass.blind = false;
        Ok(())
    }

    /// S5.8: after a removal; whether so much is available by now that no more has to go.
    fn read_gauge(&mut self) {
        if !matches!(self.goal, Goal::Free(_)) {
            return;
        }
        let low = self.pass.ctx.config.image_gc_low_threshold;
        let usage = self.guarded(|p| p.gauge.as_ref().map(|gauge| gauge.read(p.ctx)));
        // Without figures the sizes of the images tell.
        if usage.is_some_and(|usage| usage.is_ok_and(|usage| plans::has_enough(&usage, low))) {
            self.tally.has_enough();
        }
    }
}

impl<'e, 'r: 'e, 'a: 'e> Policy<'e, &'e Image> for UntilEnough<'_, 'r, 'a> {
    const LOOKS: bool = true;

    async fn begin(
        &mut self,
        items: &[(Planned, &'e Image)],
        at: usize,
        gate: Gate<'e>,
    ) -> Result<Removal<'e>, Fate> {
        let (ctx, services, image) = (self.pass.ctx, self.pass.services, items[at].1);
        let mut word = self.ask(items, at, &gate).await;
        if ctx.stop.cause().is_some() {
            word = Err(Fate::Kept(Reason::NotReached));
        }
        self.pass.held |= word == Err(Fate::Kept(Reason::Held));
        word?;
        self.tally.started(image.size);
        let snapshot = &self.pass.snapshot;
        let name = name_to_ask_by(snapshot, self.pass.memory, image);
        let until = snapshot.taken.plus(ctx.config.evidence_max_age);
        let removal = remove_image(ctx, services, image, name, until, gate);
        Ok(Box::pin(removal))
    }

    fn wants_more(&self) -> bool {
        self.tally.may_start()
    }

    fn needed(&self, waiting: &[(Planned, &Image)]) -> usize {
        self.tally
            .still_needed(waiting.iter().map(|(_, image)| image.size))
    }

    async fn ended(&mut self, image: &'e Image, fate: &Fate) {
        self.tally.ended(image.size, *fate == Fate::Removed);
        self.pass.held |= *fate == Fate::Kept(Reason::Held);
        match fate {
            Fate::Removed if !self.pass.ctx.dry_run => {
                self.pass.memory.records.forget(image);
                self.pass.has_removed = true;
                self.read_gauge();
            }
            // It may be gone and not count: in its place no other goes.
            Fate::Broke(_) => self.pass.blind = true,
            fate => {
                // What was in flight when the pass was told to end is no failing removal (S6.5).
                let error = fate
                    .error()
                    .filter(|_| self.pass.ctx.stop.cause().is_none());
                self.pass.failures.extend(error.cloned());
            }
        }
    }

    async fn confirm(&mut self, removed: &[&'e Image]) -> Vec<Fate> {
        let fates = confirm(self.pass.ctx, self.pass.services, self.pass.memory, removed).await;
        let mut stay = 0;
        for (image, fate) in removed.iter().zip(&fates) {
            if let Fate::Failed(error) = fate {
                stay += 1;
                self.tally.was_not_freed(image.size);
                self.pass.failures.push(error.clone());
            }
        }
        self.rounds.ended(stay, removed.len());
        fates
    }

    fn goes_on(&self) -> bool {
        !self.rounds.gave_up
    }

    fn rest(&self) -> Reason {
        let satisfied = self.tally.satisfied();
        match self.pass.ctx.stop.cause() {
            Some(_) if !satisfied => Reason::NotReached,
            // A runtime that removes nothing was not asked for the rest (S5.12).
            None if self.rounds.removed_nothing && !satisfied => Reason::NotReached,
            _ => Reason::EnoughFreed,
        }
    }
}
