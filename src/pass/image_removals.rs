//! Removing images: in the order of a plan, no more than are needed, only over a look that is fresh enough, and with a last look at
//! what is really gone (S5.2, S5.8, S5.12; see `image_gone`).

use super::fate::{Fate, Planned};
use super::gate::Gate;
use super::image_figures::Gauge;
use super::image_gone::{Round, confirm, name_to_ask_by, remove};
use super::image_look::{self, ImageLook, ImageMemory, Key, Services, key};
use super::image_records;
use super::later::Ordered;
use super::run::Run;
use crate::error::Error;
use crate::node::{FsUsage, Image};
use crate::plan::Step;
use crate::plan::exempt::Exempt;
use crate::plan::images::{self as plans, Goal, SandboxImages, Tally};
use crate::quiet;
use crate::report::Reason;
use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::{HashSet, VecDeque};

/// How often the connection has its turn until what was begun has left.
const TURNS: usize = 4;

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
        let (run, services) = (self.run, self.services);
        let Ordered { items, alone_from } = run.later.images(run, &self.look.images, steps);
        let (planned, images): (Vec<Planned>, Vec<&Image>) = items.into_iter().unzip();
        self.tried.extend(images.iter().map(|image| key(image)));
        let image = |at: usize| images[at];
        let mut order = Vec::new();
        let mut ended = |at: usize, fate: Fate| {
            order.push((at, run.record(planned[at].clone(), fate)));
        };
        let mut waiting: VecDeque<usize> = (0..planned.len()).collect();
        let mut removing = FuturesUnordered::new();
        let mut tally = Tally::new(goal);
        let mut left_out = 0;
        let mut round = Round::default();
        loop {
            // What may make the runtime crash waits until nothing else is in flight (S0.8).
            let is_alone = waiting.front().is_some_and(|at| *at >= alone_from);
            let limit = match is_alone {
                true => 1,
                false => run.config.max_parallel_image_removals,
            };
            let may_start = removing.len() < limit && tally.may_start();
            let next = match may_start {
                true => waiting.pop_front(),
                false => None,
            };
            let left = match next {
                None => removing.next().await,
                Some(at) => {
                    let (known, mut word) = (at < left_out, Ok(()));
                    if !known {
                        word = Gate::new(run, None, &planned[at]).still_open();
                    }
                    if !known && word.is_ok() {
                        let needed =
                            tally.still_needed(images[at..].iter().map(|image| image.size));
                        // Twice as many each time: where the host refuses most of them, this is not done for each.
                        left_out = (at + needed.max(at + 1)).min(images.len());
                        let going = images[..left_out].iter().copied();
                        match quiet::caught(|| image_records::leave_out(run, memory, going)) {
                            Ok(true) => {}
                            Ok(false) => left_out = images.len(),
                            Err(defect) => self.stop_for(defect),
                        }
                    }
                    if word.is_ok() {
                        word = self.last_word(memory, &planned[at], image(at), goal).await;
                    }
                    match word {
                        Err(result) => {
                            self.held |= result == Fate::Kept(Reason::Held);
                            ended(at, result);
                            continue;
                        }
                        Ok(()) => {
                            tally.started(image(at).size);
                            let name = name_to_ask_by(&self.look, memory, image(at));
                            let until = self.look.looked.plus(run.config.evidence_max_age);
                            let gate = Gate::new(run, None, &planned[at]);
                            let removal = remove(run, services, image(at), name, until, gate);
                            removing.push(async move {
                                let flight = run.later.take_off();
                                let done = quiet::caught_async(removal).await;
                                (at, done.map(|done| flight.landed(done)))
                            });
                        }
                    }
                    match leaves(&mut removing).await {
                        None => continue,
                        left => left,
                    }
                }
            };
            let Some((at, result)) = left else {
                let places = std::mem::take(&mut round.places);
                if places.is_empty() {
                    break;
                }
                let told: Vec<&Image> = places.iter().map(|at| image(*at)).collect();
                let results = confirm(run, services, memory, &told).await;
                let stay = |result: &&Fate| **result != Fate::Removed;
                round.lost(results.iter().filter(stay).count(), places.len());
                for (at, result) in places.into_iter().zip(results) {
                    if let Fate::Failed(error) = &result {
                        tally.was_not_freed(image(at).size);
                        self.failures.push(error.clone());
                    }
                    ended(at, result);
                }
                match round.is_another_due {
                    true => continue,
                    false => break,
                }
            };
            // It may be gone and not count: in its place no other goes.
            let (result, is_defect) = match result {
                Ok(result) => (result, false),
                Err(defect) => {
                    self.stop_for(defect.clone());
                    (Fate::Failed(defect.message), true)
                }
            };
            tally.ended(image(at).size, result == Fate::Removed);
            if result == Fate::Removed && !run.dry_run {
                memory.records.forget(image(at));
                self.has_removed = true;
                self.gauge_after(goal, &mut tally);
            }
            // What was in flight when the pass was told to end is no failing removal (S6.5), and a defect is told already.
            if let Some(error) = result.error()
                && run.stop.cause().is_none()
                && !is_defect
            {
                self.failures.push(error.clone());
            }
            let to_go =
                removing.len() + tally.still_needed(waiting.iter().map(|at| image(*at).size));
            let is_an_end = result.is_an_end();
            match result {
                // What became of it in truth is not known before the next look.
                Fate::Removed => round.places.push(at),
                result => ended(at, result),
            }
            if is_an_end {
                run.progress(&planned[at], to_go);
            }
        }
        let rest = match run.stop.cause() {
            Some(_) if !tally.satisfied() => Reason::NotReached,
            // A runtime that removes nothing was not asked for the rest (S5.12).
            None if round.removed_nothing && !tally.satisfied() => Reason::NotReached,
            _ => Reason::EnoughFreed,
        };
        for at in waiting {
            ended(at, Fate::Kept(rest));
        }
        run.report.arrange(order);
        tally
    }

    /// All that is asked at the last moment; `Err` = the image stays.
    async fn last_word(
        &mut self,
        memory: &mut ImageMemory,
        planned: &Planned,
        image: &Image,
        goal: &Goal,
    ) -> std::result::Result<(), Fate> {
        let verdict = self.ask(memory, planned, image, goal).await;
        match self.run.stop.cause() {
            Some(_) => Err(Fate::Kept(Reason::NotReached)),
            None => verdict,
        }
    }

    /// Nothing more goes: what was found out about images is not known to hold.
    fn stop_for(&mut self, error: Error) {
        self.run.fail(error);
        self.blind = true;
    }

    async fn ask(
        &mut self,
        memory: &mut ImageMemory,
        planned: &Planned,
        image: &Image,
        goal: &Goal,
    ) -> std::result::Result<(), Fate> {
        if self.blind {
            return Err(Fate::Kept(Reason::ListIncomplete));
        }
        let gate = Gate::new(self.run, None, planned);
        gate.open()?;
        // The host's approval may take its time: after it comes the last look.
        if image_look::is_old(self.run, &self.look) {
            let look = image_look::look_again(self.run, self.services, memory, &mut self.look);
            let looked = quiet::caught_async(look).await;
            if let Err(e) = looked.and_then(|looked| looked) {
                self.stop_for(e);
                return Err(Fate::Kept(Reason::ListIncomplete));
            }
        }
        let latest = self.look.latest(image);
        let times = (min_age(self.run), self.run.now);
        let seen = self.seen(memory, &self.look.images);
        if !seen.still_goes(image, latest, goal, times) {
            return Err(Fate::Kept(Reason::Changed));
        }
        gate.still_open()
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

    /// S5.8: after a removal; whether so much is available by now that no more has to go.
    fn gauge_after(&mut self, goal: &Goal, tally: &mut Tally) {
        let (run, Goal::Free(_)) = (self.run, goal) else {
            return;
        };
        let Some(gauge) = &self.gauge else {
            return;
        };
        match quiet::caught(|| gauge.read(run)) {
            Ok(Ok(usage)) if plans::has_enough(&usage, run.config.image_gc_low_threshold) => {
                tally.has_enough();
            }
            // Without figures the sizes of the images tell.
            Ok(_) => {}
            Err(defect) => self.stop_for(defect),
        }
    }
}

/// `minimum-image-ttl-duration` in ns.
pub(super) fn min_age(run: &Run<'_>) -> i64 {
    i64::try_from(run.config.minimum_image_ttl_duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Lets a removal leave that was just begun; what has ended meanwhile. It is on its way before the next image is asked about: that may
/// take long, and the look that it rests on would grow old.
async fn leaves<F: Future>(removing: &mut FuturesUnordered<F>) -> Option<F::Output> {
    for _ in 0..TURNS {
        if let Some(ended) = removing.next().now_or_never() {
            return ended;
        }
        tokio::task::yield_now().await;
    }
    None
}
