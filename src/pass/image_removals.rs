//! Removing images: in the order of a plan, not more than are needed, only while the lists of who uses them are fresh enough, and with a
//! closing list of what has really been removed (S5.2, S5.8, S5.12; see `image_gone`).

use super::context::Context;
use super::defects::stage;
use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::image_figures::{Gauge, settle};
use super::image_gone::{Rounds, confirm, name_to_ask_by, remove_image};
use super::image_records;
use super::image_snapshot;
use super::images::{ImagePass, min_age};
use super::pace::Pace;
use super::removals::{Policy, Removal, remove};
use crate::config::Accounting;
use crate::node::{FsUsage, Image};
use crate::plan::Step;
use crate::plan::images::Goal;
use crate::plan::space::{Missing, Wanted, growth};
use crate::plan::tally::{Counting, Tally};
use crate::report::{Kind, Reason};

/// Removes images of a plan until its goal is reached.
struct UntilEnough<'p, 'r, 'a> {
    pass: &'p mut ImagePass<'r, 'a>,
    goal: &'p Goal,
    tally: Tally,
    /// The records of the images before this index are not in the file.
    left_out: usize,
    rounds: Rounds,
}

/// Removes images in their order until the goal is reached, and reports what became of them.
pub(super) async fn carry_out(
    pass: &mut ImagePass<'_, '_>,
    steps: Vec<Step<'_, Image>>,
    goal: &Goal,
) -> Tally {
    let ctx = pass.ctx;
    let ordered = ctx.later.images(ctx, &pass.snapshot.images, steps);
    let images = ordered.items.iter().map(|(_, image)| image.key());
    pass.tried.extend(images);
    let pace = Pace::new(ctx, Kind::Image);
    let missing = match goal {
        Goal::Free(wanted) => wanted.missing(&pass.latest).unwrap_or_default(),
        _ => Missing::default(),
    };
    let mut policy = UntilEnough {
        pass,
        goal,
        tally: Tally::new(goal, missing, counting(ctx)),
        left_out: 0,
        rounds: Rounds::default(),
    };
    remove(ctx, None, &ordered, &pace, &mut policy).await;
    policy.tally
}

/// By what this pass counts what it frees (S5.8).
fn counting(ctx: &Context<'_>) -> Counting {
    match ctx.config.image_free_accounting {
        _ if ctx.dry_run => Counting::DryRun,
        Accounting::Reported => Counting::Reported,
        Accounting::Measured => Counting::Measured,
    }
}

impl UntilEnough<'_, '_, '_> {
    /// Asks all questions of the last moment; `Err` = the image is kept.
    async fn ask(
        &mut self,
        items: &[(Planned, &Image)],
        at: usize,
        gate: &Gate<'_>,
    ) -> Result<(), Fate> {
        gate.still_open()?;
        if self.pass.blind {
            return Err(Fate::kept(Reason::ListIncomplete));
        }
        self.leave_out(items, at);
        gate.open()?;
        // After the approval, because the host may take its time.
        self.refresh().await?;
        let (ctx, pass, image) = (self.pass.ctx, &self.pass, items[at].1);
        let latest = pass.snapshot.latest(image);
        let times = (min_age(ctx), ctx.now);
        let seen = pass.seen(&pass.snapshot.images);
        if !seen.may_still_remove(image, latest, self.goal, times) {
            return Err(Fate::kept(Reason::Changed));
        }
        gate.still_open()
    }

    /// Takes the records of images out of the file before they are removed, those of many images at once (S5.1).
    fn leave_out(&mut self, items: &[(Planned, &Image)], at: usize) {
        if at < self.left_out {
            return;
        }
        let needed = self.needed(&items[at..]);
        // Twice as many each time, so that the file is not written for each image if the host refuses most of them.
        let until = (at + needed.max(at + 1)).min(items.len());
        let images = items[..until].iter().map(|(_, image)| *image);
        let has_file = self.guarded(|p| image_records::leave_out(p.ctx, p.memory, images));
        self.left_out = if has_file { until } else { items.len() };
    }

    /// Does work after which no image may be removed if it panics.
    fn guarded<R>(&mut self, work: impl FnOnce(&mut ImagePass<'_, '_>) -> R) -> R {
        let was_blind = std::mem::replace(&mut self.pass.blind, true);
        let done = work(self.pass);
        self.pass.blind = was_blind;
        done
    }

    /// Reads anew who uses images, if that has grown old (S5.2). Once this has failed, no image is removed any more. If it panics, the
    /// image is kept as after an error: no removal of it has failed.
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
            return Err(Fate::kept(Reason::ListIncomplete));
        };
        pass.blind = false;
        Ok(())
    }

    /// What has to be known to wait until the filesystem shows a removal that begins now; `None` = it is not waited for.
    fn what_to_wait_for(&mut self) -> Option<(Gauge, Wanted, FsUsage)> {
        let Goal::Free(wanted) = self.goal else {
            return None;
        };
        let gauge = self.pass.gauge.clone();
        let gauge = gauge.filter(|_| self.tally.waits_for_figures())?;
        // What others wrote since the last look is not to be taken from what this removal frees.
        if self.tally.is_idle() {
            self.pass.latest = self.figures().unwrap_or(self.pass.latest);
        }
        Some((gauge, *wanted, self.pass.latest))
    }

    /// The figures of the filesystem, if there are any.
    fn figures(&mut self) -> Option<FsUsage> {
        self.guarded(|p| p.gauge.as_ref().and_then(|gauge| gauge.read(p.ctx).ok()))
    }

    /// Reads the figures after an image of this size was removed: whether enough is available now (S5.8).
    fn look(&mut self, bytes: u64) {
        let Goal::Free(wanted) = self.goal else {
            return;
        };
        let usage = self.figures();
        let missing = usage.map(|usage| (usage, wanted.missing(&usage)));
        let Some((usage, Ok(missing))) = missing else {
            return self.tally.saw_no_figures(bytes);
        };
        let grown = growth(&self.pass.latest, &usage);
        self.tally.looked(bytes, missing, grown);
        self.pass.latest = usage;
    }
}

impl<'e, 'r: 'e, 'a: 'e> Policy<'e, &'e Image> for UntilEnough<'_, 'r, 'a> {
    const IS_CONFIRMED: bool = true;

    async fn begin(
        &mut self,
        items: &[(Planned, &'e Image)],
        at: usize,
        gate: Gate<'e>,
    ) -> Result<Removal<'e>, Fate> {
        let (ctx, services, image) = (self.pass.ctx, self.pass.services, items[at].1);
        let mut answer = self.ask(items, at, &gate).await;
        if ctx.stop.cause().is_some() {
            answer = Err(Fate::kept(Reason::NotReached));
        }
        self.pass.held |= answer == Err(Fate::kept(Reason::Held));
        answer?;
        let awaited = self.what_to_wait_for();
        self.tally.started(image.size);
        let snapshot = &self.pass.snapshot;
        let name = name_to_ask_by(snapshot, self.pass.memory, image);
        let until = snapshot.taken.plus(ctx.config.evidence_max_age);
        Ok(Box::pin(async move {
            let fate = remove_image(ctx, services, image, name, until, gate).await?;
            if let Some((gauge, wanted, before)) = awaited {
                // If this panics, the image has been removed all the same.
                let _ = stage(ctx, settle(ctx, &gauge, &wanted, image.size, &before)).await;
            }
            Ok(fate)
        }))
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
        self.pass.held |= *fate == Fate::kept(Reason::Held);
        match fate {
            Fate::Removed if !self.pass.ctx.dry_run => {
                self.pass.memory.records.forget(image);
                self.pass.has_removed = true;
                self.look(image.size);
            }
            // It may have been removed without being counted, so no other image is removed in its place.
            Fate::Broke(_) => self.pass.blind = true,
            // A removal that was in flight when the pass had to end did not fail (S6.5).
            _ if self.pass.ctx.stop.cause().is_some() => {}
            fate => self.pass.failures.extend(fate.error().cloned()),
        }
    }

    async fn confirm(&mut self, removed: &[&'e Image]) -> Vec<Fate> {
        let fates = confirm(self.pass.ctx, self.pass.services, self.pass.memory, removed).await;
        for (image, fate) in removed.iter().zip(&fates) {
            if let Fate::Failed(error) = fate {
                self.tally.was_not_freed(image.size);
                self.pass.failures.push(error.clone());
            }
        }
        self.rounds.ended(!fates.contains(&Fate::Removed));
        fates
    }

    fn goes_on(&self) -> bool {
        !self.rounds.gave_up
    }

    fn rest(&self) -> Reason {
        let satisfied = self.tally.satisfied();
        match self.pass.ctx.stop.cause() {
            Some(_) if !satisfied => Reason::NotReached,
            // A runtime that removes nothing is not asked to remove the rest (S5.12).
            None if self.rounds.removed_nothing && !satisfied => Reason::NotReached,
            _ if self.tally.is_in_vain() => Reason::NoEffect,
            _ => Reason::EnoughFreed,
        }
    }
}
