//! Removing images: in the order of a plan, no more than are needed, only over a look that is fresh enough, and with a last look at
//! what is really gone (S5.2, S5.8, S5.12; see `image_gone`).

use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::image_figures::Gauge;
use super::image_gone::{Rounds, confirm, name_to_ask_by, remove_image};
use super::image_look::{self, ImageLook, ImageMemory, Key, Services, key};
use super::image_records;
use super::removals::{Policy, Removal, remove};
use super::run::Run;
use super::slots::Slots;
use crate::node::{FsUsage, Image};
use crate::plan::Step;
use crate::plan::exempt::Exempt;
use crate::plan::images::{self as plans, Goal, SandboxImages, Tally};
use crate::report::Reason;
use std::collections::HashSet;

/// What the removals of one pass share.
pub(super) struct Removals<'r, 'a> {
    run: &'r Run<'a>,
    services: &'r Services<'a>,
    pub(super) look: ImageLook,
    pub(super) sandbox: SandboxImages,
    pub(super) exempt: Exempt,
    /// Who tells how full the image filesystem is, if somebody was asked.
    pub(super) gauge: Option<Gauge>,
    /// The figures by which space is wanted.
    pub(super) usage: FsUsage,
    /// Nobody can tell any more who uses what.
    blind: bool,
    /// Images that have had their turn.
    pub(super) tried: HashSet<Key>,
    /// The runtime said that it removed something.
    pub(super) has_removed: bool,
    /// Something was not removed because all is held (S0.7).
    pub(super) held: bool,
    /// What failed, in words.
    pub(super) failures: Vec<String>,
}

impl<'r, 'a> Removals<'r, 'a> {
    /// Over a look.
    pub(super) fn over(
        look: ImageLook,
        run: &'r Run<'a>,
        services: &'r Services<'a>,
    ) -> Removals<'r, 'a> {
        Removals {
            run,
            services,
            look,
            sandbox: SandboxImages::NotAsked,
            exempt: Exempt::parse(&run.config.image_gc_exempt),
            gauge: None,
            usage: FsUsage::default(),
            blind: false,
            tried: HashSet::new(),
            has_removed: false,
            held: false,
            failures: Vec::new(),
        }
    }

    /// Removes images in their order until the goal is reached, and writes the report about them.
    pub(super) async fn carry_out(
        &mut self,
        memory: &mut ImageMemory,
        steps: Vec<Step<'_, Image>>,
        goal: &Goal,
    ) -> Tally {
        let run = self.run;
        let ordered = run.later.images(run, &self.look.images, steps);
        let images = ordered.items.iter().map(|(_, image)| key(image));
        self.tried.extend(images);
        let slots = Slots::without_rests(run.config.max_parallel_image_removals);
        let mut policy = UntilEnough {
            run,
            services: self.services,
            removals: self,
            memory,
            goal,
            tally: Tally::new(goal),
            left_out: 0,
            rounds: Rounds::default(),
        };
        remove(run, None, &ordered, &slots, &mut policy).await;
        policy.tally
    }

    /// All that is known of the images of the first look, for a plan.
    pub(super) fn seen<'i, 's>(
        &'s self,
        memory: &'s ImageMemory,
        images: &'i [Image],
    ) -> plans::ImageLook<'i, 's> {
        plans::ImageLook {
            images,
            in_use: &self.look.in_use,
            records: &memory.records,
            sandbox: &self.sandbox,
            exempt: &self.exempt,
        }
    }
}

/// As many images of a plan as a goal needs.
struct UntilEnough<'p, 'r, 'a> {
    run: &'r Run<'a>,
    services: &'r Services<'a>,
    removals: &'p mut Removals<'r, 'a>,
    memory: &'p mut ImageMemory,
    goal: &'p Goal,
    tally: Tally,
    /// The records of the images before this place are not in the file.
    left_out: usize,
    rounds: Rounds,
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
        if self.removals.blind {
            return Err(Fate::Kept(Reason::ListIncomplete));
        }
        self.leave_out(items, at);
        gate.open()?;
        // The host's approval may take its time: after it comes the last look.
        self.look_again().await?;
        let (run, removals, image) = (self.run, &self.removals, items[at].1);
        let latest = removals.look.latest(image);
        let times = (min_age(run), run.now);
        let seen = removals.seen(self.memory, &removals.look.images);
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
        // Broken off, nothing is known of the file.
        self.removals.blind = true;
        self.left_out = match image_records::leave_out(self.run, self.memory, going) {
            true => until,
            false => items.len(),
        };
        self.removals.blind = false;
    }

    /// S5.2: who uses images is found out anew, where that has grown old. Once it failed, nothing more is removed.
    async fn look_again(&mut self) -> Result<(), Fate> {
        let (run, removals) = (self.run, &mut *self.removals);
        if !image_look::is_old(run, &removals.look) {
            return Ok(());
        }
        removals.blind = true;
        let look = &mut removals.look;
        if let Err(e) = image_look::look_again(run, self.services, self.memory, look).await {
            run.fail(e);
            return Err(Fate::Kept(Reason::ListIncomplete));
        }
        removals.blind = false;
        Ok(())
    }

    /// S5.8: after a removal; whether so much is available by now that no more has to go.
    fn read_gauge(&mut self) {
        let (run, removals) = (self.run, &mut *self.removals);
        let (Goal::Free(_), Some(gauge)) = (self.goal, &removals.gauge) else {
            return;
        };
        removals.blind = true;
        let usage = gauge.read(run);
        removals.blind = false;
        // Without figures the sizes of the images tell.
        if usage.is_ok_and(|u| plans::has_enough(&u, run.config.image_gc_low_threshold)) {
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
        let (run, services, image) = (self.run, self.services, items[at].1);
        let mut word = self.ask(items, at, &gate).await;
        if run.stop.cause().is_some() {
            word = Err(Fate::Kept(Reason::NotReached));
        }
        self.removals.held |= word == Err(Fate::Kept(Reason::Held));
        word?;
        self.tally.started(image.size);
        let look = &self.removals.look;
        let name = name_to_ask_by(look, self.memory, image);
        let until = look.looked.plus(run.config.evidence_max_age);
        let removal = remove_image(run, services, image, name, until, gate);
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
        match fate {
            Fate::Removed if !self.run.dry_run => {
                self.memory.records.forget(image);
                self.removals.has_removed = true;
                self.read_gauge();
            }
            // It may be gone and not count: in its place no other goes.
            Fate::Broke(_) => self.removals.blind = true,
            fate => {
                // What was in flight when the pass was told to end is no failing removal (S6.5).
                let error = fate.error().filter(|_| self.run.stop.cause().is_none());
                self.removals.failures.extend(error.cloned());
            }
        }
    }

    async fn confirm(&mut self, removed: &[&'e Image]) -> Vec<Fate> {
        let fates = confirm(self.run, self.services, self.memory, removed).await;
        let mut stay = 0;
        for (image, fate) in removed.iter().zip(&fates) {
            if let Fate::Failed(error) = fate {
                stay += 1;
                self.tally.was_not_freed(image.size);
                self.removals.failures.push(error.clone());
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
        match self.run.stop.cause() {
            Some(_) if !satisfied => Reason::NotReached,
            // A runtime that removes nothing was not asked for the rest (S5.12).
            None if self.rounds.removed_nothing && !satisfied => Reason::NotReached,
            _ => Reason::EnoughFreed,
        }
    }
}

/// `minimum-image-ttl-duration` in ns.
pub(super) fn min_age(run: &Run<'_>) -> i64 {
    i64::try_from(run.config.minimum_image_ttl_duration.as_nanos()).unwrap_or(i64::MAX)
}
