//! The gate: whether a planned object may be removed, asked at the last moment (S0.3, S0.7, S0.8, S2.1, S6.5).
//!
//! The order of the questions, and why it is this one:
//!
//! 1. Was the pass told to end? Then nobody is asked anything more (S6.5).
//! 2. Is everything held? One look at a file, before the host is asked about an object that is kept anyway (S0.7).
//! 3. Does the object wait after a failed removal? (S0.8)
//! 4. Does the host's answer about its pod still hold? It is asked again where it is older than `evidence-max-age` (S0.3).
//! 5. Does the host approve? It is asked only about objects that nothing else keeps, and once: a container that was stopped with its
//!    approval is not asked about again, unless that is too long ago (S2.1, S2.3).
//! 6. The first four once more, because the host may have taken its time, ended the pass or changed its mind meanwhile.
//!
//! [`Gate::open`] asks all of it, before work on an object begins. [`Gate::objection`] asks the first four; removers ask it again after
//! everything that takes long. Who uses an image is found out by lists: the image policy renews them between `open` and one more
//! `objection` (S5.2).

use super::evidence::Evidence;
use super::fate::{Fate, Planned};
use super::run::Run;
use crate::host::clock::Boot;
use crate::host::hold;
use crate::host::logs::LogError;
use crate::report::Reason;
use std::cell::Cell;

/// The gate for one planned object.
#[derive(Clone, Copy)]
pub(crate) struct Gate<'g> {
    run: &'g Run<'g>,
    /// The host's answer, where the removal may rest on one.
    evidence: Option<&'g Evidence<'g>>,
    planned: &'g Planned,
}

impl<'g> Gate<'g> {
    pub(crate) fn new(
        run: &'g Run<'g>,
        evidence: Option<&'g Evidence<'g>>,
        planned: &'g Planned,
    ) -> Gate<'g> {
        Gate {
            run,
            evidence,
            planned,
        }
    }

    /// Asks everything; `Err` = the object is kept, and how that is reported.
    pub(crate) fn open(&self) -> Result<(), Fate> {
        self.still_open()?;
        if self.was_approved() {
            return Ok(());
        }
        if !self.approves() {
            return Err(Fate::Refused);
        }
        self.still_open()
    }

    /// Asks everything but the approval; `Err` = the object is kept, and how that is reported.
    pub(crate) fn still_open(&self) -> Result<(), Fate> {
        self.objection()
            .map_or(Ok(()), |reason| Err(Fate::Kept(reason)))
    }

    /// Asks everything but the approval; why the object is kept, if it is.
    pub(crate) fn objection(&self) -> Option<Reason> {
        let (run, planned) = (self.run, self.planned);
        if run.stop.cause().is_some() {
            return Some(Reason::NotReached);
        }
        if is_held(run) {
            return Some(Reason::Held);
        }
        if run.attempts.waits(planned.kind, &planned.id) {
            return Some(Reason::Backoff);
        }
        let holds = |evidence: &Evidence<'_>| evidence.stands(&planned.pod_uid, planned.reason);
        (!self.evidence.is_none_or(holds)).then_some(Reason::Changed)
    }

    /// Deletes in a log directory for as long as nothing speaks against it.
    pub(crate) fn delete<T>(
        &self,
        work: impl FnOnce(&dyn Fn() -> bool) -> Result<T, LogError>,
    ) -> Result<T, Fate> {
        let seen = Cell::new(None);
        let go_on = || {
            seen.set(self.objection());
            seen.get().is_none()
        };
        work(&go_on).map_err(|e| match seen.get() {
            None => Fate::Failed(e.to_string()),
            Some(Reason::NotReached) => Fate::BrokenOff(e.to_string()),
            // The pod came back under way (S0.3), and what is left is its own; or everything is held (S0.7).
            Some(reason) => Fate::Kept(reason),
        })
    }

    /// S2.1; a dry run does not ask.
    fn approves(&self) -> bool {
        match &self.run.hooks.approve {
            Some(approve) if !self.run.dry_run => {
                approve.with(|approve| approve(&self.planned.entry()))
            }
            _ => true,
        }
    }

    /// S2.3: whether the host approved of it before its stop, not too long ago.
    fn was_approved(&self) -> bool {
        let approved = self.run.later.approved(self.planned);
        let longest = self.run.config.evidence_max_age;
        approved.is_some_and(|at| Boot::now().since(at) <= longest)
    }
}

/// S0.7; in doubt everything is held.
fn is_held(run: &Run<'_>) -> bool {
    let path = run.config.hold_file.as_str();
    if path.is_empty() {
        return false;
    }
    hold::is_there(path).unwrap_or_else(|e| {
        run.report.warn_once("hold-file", || format!(
            "cannot tell whether hold-file ({path}) exists: {e}; nothing is removed until that is known"
        ));
        true
    })
}

#[cfg(test)]
mod tests {
    use super::super::How;
    use super::super::attempts::Attempts;
    use super::super::cancel::{Flag, Stop};
    use super::super::slots::Queue;
    use super::*;
    use crate::config::Config;
    use crate::hooks::{Hook, Hooks};
    use crate::node::{PodState, PodStates, Snapshot, Text};
    use crate::report::{Entry, Kind};
    use Against::{End, Hold, PodIsBack, Refusal, Waits};
    use With::*;
    use std::cell::RefCell;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// What speaks against a removal.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Against {
        /// The pass is told to end.
        End,
        Hold,
        /// It could not be removed lately.
        Waits,
        PodIsBack,
        Refusal,
    }

    /// What else the gate depends on; else the pass is periodic, and the host's answer is old.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum With {
        Nothing,
        ACall,
        ADryRun,
        AYoungAnswer,
        AReasonOfItsOwn,
        AnApprovalBeforeItsStop,
        AnOldApprovalBeforeItsStop,
    }

    /// What speaks against it from when on, and what was asked: `p` about pods, `a` for the approval.
    #[derive(Default)]
    struct World {
        against: Vec<Against>,
        /// From the approval on.
        meanwhile: Vec<Against>,
        asked: String,
    }

    fn hooks(world: &Arc<Mutex<World>>, closed: &Arc<Flag>, hold: &Path) -> Hooks {
        let (w, closed, hold) = (world.clone(), closed.clone(), hold.to_owned());
        let approve = move |_: &Entry| {
            let mut world = w.lock().unwrap();
            world.asked.push('a');
            let meanwhile = std::mem::take(&mut world.meanwhile);
            meanwhile.iter().for_each(|a| happens(*a, &closed, &hold));
            world.against.extend(meanwhile);
            !world.against.contains(&Refusal)
        };
        let w = world.clone();
        let pod_states = move |uids: &[Text]| {
            let mut world = w.lock().unwrap();
            world.asked.push('p');
            let state = PodState {
                content_removable: !world.against.contains(&PodIsBack),
                ..PodState::default()
            };
            PodStates {
                ready: true,
                states: uids.iter().map(|uid| (uid.clone(), state)).collect(),
                as_of: 0,
            }
        };
        Hooks {
            approve: Some(Hook::new(Box::new(approve))),
            pod_states: Some(Hook::new(Box::new(pod_states))),
            ..Hooks::default()
        }
    }

    fn happens(against: Against, closed: &Flag, hold: &Path) {
        match against {
            End => closed.raise(),
            Hold => std::fs::write(hold, "").unwrap(),
            Waits | PodIsBack | Refusal => {}
        }
    }

    /// The gate for an object of pod `u`; how it is opened, and what was asked.
    fn opened(with: With, before: &[Against], meanwhile: &[Against]) -> (String, Result<(), Fate>) {
        let folder = tempfile::tempdir().unwrap();
        let hold = folder.path().join("hold");
        let closed = Arc::new(Flag::new());
        let world = Arc::new(Mutex::new(World {
            against: before.to_vec(),
            meanwhile: meanwhile.to_vec(),
            asked: String::new(),
        }));
        let hooks = hooks(&world, &closed, &hold);
        before.iter().for_each(|a| happens(*a, &closed, &hold));
        let is_young = matches!(with, AYoungAnswer | AnApprovalBeforeItsStop);
        let config = Config {
            hold_file: hold.to_str().unwrap().to_owned(),
            evidence_max_age: match is_young {
                true => Duration::from_secs(600),
                false => Duration::ZERO,
            },
            ..Config::default()
        };
        let reason = match with {
            AReasonOfItsOwn => Reason::UnitLimit,
            _ => Reason::PodRemoved,
        };
        let planned = Planned::new(Kind::Container, "c", "n", "u", reason);
        let (backoff, unfinished) = (RefCell::default(), RefCell::default());
        let queue = Queue::default();
        let how = How {
            dry_run: with == ADryRun,
            all_unused: false,
            periodic: with != ACall,
            only_records: false,
            queue: &queue,
        };
        let stop = Stop {
            closed: &closed,
            stopped: None,
            call: None,
            pass_deadline: None,
        };
        let attempts = Attempts::new(&backoff, &unfinished, (how.periodic, how.dry_run));
        let run = Run::new(&config, &hooks, stop, how, 1, attempts);
        if before.contains(&Waits) {
            run.record(planned.clone(), Fate::Failed(String::new()));
        }
        if matches!(with, AnApprovalBeforeItsStop | AnOldApprovalBeforeItsStop) {
            run.later.has_stopped(planned.clone(), true, Boot::now());
        }
        let look = Snapshot::new(Vec::new(), Some(Vec::new()));
        // The first answer is that of the plan.
        let against = std::mem::take(&mut world.lock().unwrap().against);
        let evidence = Evidence::ask(&run, &look, ["u".into()]);
        let mut now = world.lock().unwrap();
        (now.against, now.asked) = (against, String::new());
        drop(now);
        let result = Gate::new(&run, Some(&evidence), &planned).open();
        let asked = world.lock().unwrap().asked.clone();
        (asked, result)
    }

    #[test]
    fn what_speaks_against_a_removal_is_asked_in_one_order() {
        let kept = |reason| Err(Fate::Kept(reason));
        let ended = || kept(Reason::NotReached);
        // With what, what speaks against it, and what only once the host was asked; what is asked, what comes of it.
        let table: [(With, &[Against], &[Against], &str, Result<(), Fate>); 20] = [
            (Nothing, &[], &[], "pap", Ok(())),
            (
                Nothing,
                &[End, Hold, Waits, PodIsBack, Refusal],
                &[],
                "",
                ended(),
            ),
            (
                Nothing,
                &[Hold, Waits, PodIsBack, Refusal],
                &[],
                "",
                kept(Reason::Held),
            ),
            (
                Nothing,
                &[Waits, PodIsBack, Refusal],
                &[],
                "",
                kept(Reason::Backoff),
            ),
            (
                Nothing,
                &[PodIsBack, Refusal],
                &[],
                "p",
                kept(Reason::Changed),
            ),
            (Nothing, &[Refusal], &[], "pa", Err(Fate::Refused)),
            (Nothing, &[Refusal], &[End], "pa", Err(Fate::Refused)),
            (Nothing, &[], &[End, Hold, PodIsBack], "pa", ended()),
            (Nothing, &[], &[Hold, PodIsBack], "pa", kept(Reason::Held)),
            (Nothing, &[], &[PodIsBack], "pap", kept(Reason::Changed)),
            // Who calls wants to see it tried.
            (ACall, &[Waits], &[], "pap", Ok(())),
            (ADryRun, &[Refusal], &[], "pp", Ok(())),
            (ADryRun, &[Hold], &[], "", kept(Reason::Held)),
            (AYoungAnswer, &[PodIsBack], &[], "a", Ok(())),
            (AYoungAnswer, &[Hold], &[], "", kept(Reason::Held)),
            // Nothing that the host says of its pod counts.
            (AReasonOfItsOwn, &[PodIsBack], &[], "a", Ok(())),
            (AReasonOfItsOwn, &[], &[End], "a", ended()),
            (AnApprovalBeforeItsStop, &[Refusal], &[], "", Ok(())),
            (
                AnApprovalBeforeItsStop,
                &[Hold],
                &[],
                "",
                kept(Reason::Held),
            ),
            (
                AnOldApprovalBeforeItsStop,
                &[Refusal],
                &[],
                "pa",
                Err(Fate::Refused),
            ),
        ];
        for (with, before, meanwhile, asked, result) in table {
            let what = format!("{with:?}, {before:?}, {meanwhile:?}");
            assert_eq!(
                opened(with, before, meanwhile),
                (asked.to_owned(), result),
                "{what}"
            );
        }
    }
}
