//! Removing images: in the order of a plan, no more than are needed, and only over a look that is fresh enough (S5.2, S5.8).

use super::image_look::{self, ImageLook, ImageMemory, Services};
use super::image_records;
use super::progress::Progress;
use super::removals::{begin, may_go};
use super::run::{Done, Run};
use crate::error::{Error, Result, Status};
use crate::host::clock::Boot;
use crate::node::Image;
use crate::plan::Step;
use crate::plan::images::{Goal, Tally};
use crate::quiet;
use crate::report::{Entry, Kind, Reason, visible};
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
    looked: Boot,
    /// Nobody can tell any more who uses what.
    blind: bool,
    /// Images that have had their turn, by their place in the look.
    pub(super) tried: HashSet<usize>,
    /// Something was not removed because all is held (S0.7).
    pub(super) held: bool,
    /// What failed, in words.
    pub(super) failures: Vec<String>,
}

impl<'r, 'a> Removals<'r, 'a> {
    /// Over a look that was begun at that time.
    pub(super) fn over(
        look: ImageLook,
        looked: Boot,
        run: &'r Run<'a>,
        services: &'r Services<'a>,
    ) -> Removals<'r, 'a> {
        Removals {
            run,
            services,
            look,
            looked,
            blind: false,
            tried: HashSet::new(),
            held: false,
            failures: Vec::new(),
        }
    }

    /// Removes images in their order until the goal is reached, and writes the report about them.
    pub(super) async fn carry_out(
        &mut self,
        memory: &mut ImageMemory,
        steps: &[Step],
        goal: &Goal,
    ) -> Tally {
        let (run, services) = (self.run, self.services);
        let images = self.look.images.clone();
        let planned: Vec<Entry> = steps.iter().map(|step| entry(&images, *step)).collect();
        self.tried.extend(steps.iter().map(|step| step.index));
        let image = |at: usize| &images[steps[at].index];
        let stage = run.stage();
        let mut waiting: VecDeque<usize> = (0..planned.len()).collect();
        let mut removing = FuturesUnordered::new();
        let mut tally = Tally::new(goal);
        let mut progress = Progress::of(run, Kind::Image);
        let mut left_out = 0;
        self.held = false;
        loop {
            let may_start =
                removing.len() < run.config.max_parallel_image_removals && tally.may_start();
            let next = match may_start {
                true => waiting.pop_front(),
                false => None,
            };
            let ended = match next {
                None => removing.next().await,
                Some(at) => {
                    let (known, mut word) = (at < left_out, Ok(()));
                    if !known {
                        word = may_go(run, None, &planned[at]);
                    }
                    if !known && word.is_ok() {
                        let needed =
                            tally.still_needed(steps[at..].iter().map(|s| images[s.index].size));
                        // Twice as many each time: where the host refuses most of them, this is not done for each.
                        left_out = (at + needed.max(at + 1)).min(steps.len());
                        let going = steps[..left_out].iter().map(|s| &images[s.index]);
                        match quiet::caught(|| image_records::leave_out(run, memory, going)) {
                            Ok(true) => {}
                            Ok(false) => left_out = steps.len(),
                            Err(defect) => self.stop_for(defect),
                        }
                    }
                    if word.is_ok() {
                        word = self.last_word(memory, &planned[at], image(at)).await;
                    }
                    match word {
                        Err(result) => {
                            self.held |= result == Done::Kept(Reason::Held);
                            stage.ended(at, planned[at].clone(), result);
                            continue;
                        }
                        Ok(()) => {
                            tally.started(image(at).size);
                            let removal = remove(run, services, image(at));
                            removing.push(async move { (at, quiet::caught_async(removal).await) });
                        }
                    }
                    match leaves(&mut removing).await {
                        None => continue,
                        ended => ended,
                    }
                }
            };
            let Some((at, result)) = ended else {
                break;
            };
            // It may be gone and not count: in its place no other goes.
            let (result, is_defect) = match result {
                Ok(result) => (result, false),
                Err(defect) => {
                    self.stop_for(defect.clone());
                    (Done::Failed(defect.message), true)
                }
            };
            tally.ended(image(at).size, result == Done::Removed);
            if result == Done::Removed && !run.dry_run {
                memory.records.forget(image(at));
            }
            // What was in flight when the pass was told to end is no failing removal (S6.5), and a defect is told already.
            if let Done::Failed(error) | Done::BrokenOff(error) = &result
                && run.stop.cause().is_none()
                && !is_defect
            {
                self.failures.push(error.clone());
            }
            let to_go =
                removing.len() + tally.still_needed(waiting.iter().map(|at| image(*at).size));
            let counts = Progress::counts(&result);
            stage.ended(at, planned[at].clone(), result);
            if counts {
                progress.ended(to_go);
            }
        }
        let rest = match run.stop.cause() {
            Some(_) if !tally.satisfied() => Reason::NotReached,
            _ => Reason::EnoughFreed,
        };
        for at in waiting {
            stage.ended(at, planned[at].clone(), Done::Kept(rest));
        }
        stage.arrange();
        tally
    }

    /// All that is asked at the last moment; `Err` = the image stays.
    async fn last_word(
        &mut self,
        memory: &mut ImageMemory,
        planned: &Entry,
        image: &Image,
    ) -> std::result::Result<(), Done> {
        let verdict = self.ask(memory, planned, image).await;
        match self.run.stop.cause() {
            Some(_) => Err(Done::Kept(Reason::NotReached)),
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
        planned: &Entry,
        image: &Image,
    ) -> std::result::Result<(), Done> {
        if self.blind {
            return Err(Done::Kept(Reason::ListIncomplete));
        }
        // The host's approval may take its time: after it comes the last look.
        begin(self.run, None, planned, false)?;
        if self.looked_too_long_ago(self.looked) {
            let time = quiet::caught_async(self.look_in_time(memory)).await;
            match time.and_then(|time| time) {
                Ok(time) => self.looked = time,
                Err(e) => {
                    self.stop_for(e);
                    return Err(Done::Kept(Reason::ListIncomplete));
                }
            }
        }
        if self.look.in_use.uses(image) {
            return Err(Done::Kept(Reason::Changed));
        }
        may_go(self.run, None, planned)
    }

    /// Looks again who uses images; a look that is too old when it arrives is none (S5.2).
    async fn look_in_time(&mut self, memory: &mut ImageMemory) -> Result<Boot> {
        let run = self.run;
        let time = image_look::look_again(run, self.services, memory, &mut self.look).await?;
        match self.looked_too_long_ago(time) {
            false => Ok(time),
            true => Err(Error::new(
                Status::Timeout,
                format!(
                    "asking the runtime who uses images takes longer than evidence-max-age ({:?}), so no answer is fresh enough to remove by; set a longer one, or see why the runtime is slow",
                    run.config.evidence_max_age
                ),
            )),
        }
    }

    fn looked_too_long_ago(&self, looked: Boot) -> bool {
        Boot::now().since(looked) > self.run.config.evidence_max_age
    }
}

async fn remove(run: &Run<'_>, services: &Services<'_>, image: &Image) -> Done {
    if run.dry_run {
        return Done::Removed;
    }
    match services.images.remove_image(image).await {
        Ok(()) => Done::Removed,
        Err(e) => {
            let doing = format!("cannot remove image {}", visible(&image.id));
            Done::of(&e, &doing, services.images.endpoint)
        }
    }
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

/// The entry of an image that was planned for.
pub(super) fn entry(images: &[Image], step: Step) -> Entry {
    Entry {
        reason: step.reason,
        ..image_look::entry(&images[step.index])
    }
}
