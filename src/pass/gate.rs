//! The gate: whether a planned object may be removed, asked at the last moment (S0.3, S0.7, S0.8, S2.1, S6.5).
//!
//! The order of the questions, and why it is this one:
//!
//! 1. Does the pass have to end? Then nothing more is asked (S6.5).
//! 2. Is everything held? One file is checked, before the host is asked about an object that is kept anyway (S0.7).
//! 3. Does the object wait after a failed removal? (S0.8)
//! 4. Does the host's answer about its pod still hold? If it is older than `evidence-max-age`, the host is asked again (S0.3).
//! 5. Does the host approve? It is asked only about objects that nothing else keeps, and once: if it approved of a container before its
//!    stop, it is not asked again, unless that is too long ago (S2.1, S2.3).
//! 6. The first four once more, because the host may have taken its time, ended the pass or changed its mind meanwhile.
//!
//! [`Gate::open`] asks all of it, before work on an object begins. [`Gate::still_open`] asks the first four; removers ask it again after
//! everything that takes long. The users of an image are known from lists: the image policy reads them again between `open` and one more
//! `still_open` (S5.2).

use super::context::Context;
use super::fate::{Fate, Planned};
use super::pod_evidence::Evidence;
use crate::clock::BootInstant;
use crate::fs::hold;
use crate::fs::logs::LogError;
use crate::report::{Reason, Why};
use std::cell::RefCell;
use std::path::Path;

/// The gate for one planned object.
#[derive(Clone, Copy)]
pub(crate) struct Gate<'g> {
    ctx: &'g Context<'g>,
    /// The host's answer, if the removal may rest on one.
    evidence: Option<&'g Evidence<'g>>,
    planned: &'g Planned,
}

impl<'g> Gate<'g> {
    pub(crate) fn new(
        ctx: &'g Context<'g>,
        evidence: Option<&'g Evidence<'g>>,
        planned: &'g Planned,
    ) -> Gate<'g> {
        Gate {
            ctx,
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
        let objection = self.objection();
        objection.map_or(Ok(()), |why| Err(Fate::Kept(why)))
    }

    /// Asks everything but the approval; why the object is kept, if it is.
    fn objection(&self) -> Option<Why> {
        let (ctx, planned) = (self.ctx, self.planned);
        if ctx.stop.cause().is_some() {
            return Some(Reason::NotReached.into());
        }
        if is_held(ctx) {
            return Some(Reason::Held.into());
        }
        if let Some(wait) = ctx.attempts.wait(planned.kind, &planned.id) {
            return Some(Why::new(Reason::Backoff, wait));
        }
        let holds = |evidence: &Evidence<'_>| evidence.stands(planned);
        (!self.evidence.is_none_or(holds)).then(|| Reason::Changed.into())
    }

    /// Deletes in a log directory while none of these questions keeps the object.
    pub(crate) fn delete<T>(
        &self,
        work: impl FnOnce(&dyn Fn() -> bool) -> Result<T, LogError>,
    ) -> Result<T, Fate> {
        let seen = RefCell::new(None);
        let go_on = || {
            let objection = self.objection();
            let goes_on = objection.is_none();
            seen.replace(objection);
            goes_on
        };
        work(&go_on).map_err(|e| match seen.take() {
            None => Fate::Failed(e.to_string()),
            Some(why) if why.reason == Reason::NotReached => Fate::BrokenOff(e.to_string()),
            // The pod came back meanwhile, and what is left belongs to it (S0.3); or everything is held (S0.7).
            Some(why) => Fate::Kept(why),
        })
    }

    /// Whether the host approves (S2.1); a dry run does not ask.
    fn approves(&self) -> bool {
        match &self.ctx.hooks.approve {
            Some(approve) if !self.ctx.dry_run => {
                approve.with(|approve| approve(&self.planned.entry()))
            }
            _ => true,
        }
    }

    /// Whether the host approved of it before its stop, not too long ago (S2.3).
    fn was_approved(&self) -> bool {
        let approved = self.ctx.later.approved(self.planned);
        let longest = self.ctx.config.evidence_max_age;
        approved.is_some_and(|at| BootInstant::now().since(at) <= longest)
    }
}

/// Whether everything is held (S0.7). If that is unknown, it is.
fn is_held(ctx: &Context<'_>) -> bool {
    let Some(path) = &ctx.config.hold_file else {
        return false;
    };
    hold::is_there(&ctx.root, path).unwrap_or_else(|e| {
        ctx.report.warn_once("hold-file", || format!(
            "cannot find out whether hold-file ({}) exists: {e}; nothing is removed until that is known",
            ctx.root.shown(path)
        ));
        true
    })
}

/// Warns once of a hold file that nobody can make, because its directory does not exist.
pub(super) fn check_hold_file(ctx: &Context<'_>) {
    if let Some(path) = &ctx.config.hold_file
        // Below host-root such a file holds (see `is_held`).
        && !ctx.root.is_mounted()
        && !hold::has_directory(Path::new(path))
    {
        ctx.report.warn_once("hold-file's directory", || format!(
            "the directory of hold-file ({path}) does not exist, so nothing is held; make it, or set hold-file to a file that can be made"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Common, Experience, PassOptions, Scope, Task, Trigger};
    use super::*;
    use crate::config::Config;
    use crate::hooks::{Hook, Hooks};
    use crate::metrics::Metrics;
    use crate::node::{PodState, PodStates, Snapshot, Text};
    use crate::report::{Entry, Kind};
    use crate::stop::{Flag, Queue, Stop};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// What keeps an object, now and once the host is asked for its approval, and what the host was asked.
    struct World {
        against: &'static str,
        meanwhile: &'static str,
        asked: String,
    }

    fn happens(against: &str, closed: &Flag, hold: &Path) {
        if against.contains("end") {
            closed.raise();
        }
        if against.contains("hold") {
            std::fs::write(hold, "").unwrap();
        }
    }

    fn hooks(world: &Arc<Mutex<World>>, closed: &Arc<Flag>, hold: &Path) -> Hooks {
        let (w, closed, hold) = (world.clone(), closed.clone(), hold.to_owned());
        let approve = move |_: &Entry| {
            let mut world = w.lock().unwrap();
            world.asked += "approval ";
            happens(world.meanwhile, &closed, &hold);
            let approves = !world.against.contains("refusal");
            world.against = world.meanwhile;
            approves
        };
        let w = world.clone();
        let pod_states = move |uids: &[Text]| {
            let mut world = w.lock().unwrap();
            world.asked += "pods ";
            let state = PodState {
                content_removable: !world.against.contains("pod"),
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

    fn config(with: &str, hold: &Path) -> Config {
        Config {
            hold_file: Some(hold.to_str().unwrap().to_owned()),
            evidence_max_age: if with.contains("young") {
                Duration::from_secs(600)
            } else {
                Duration::ZERO
            },
            ..Config::default()
        }
    }

    /// Opens the gate for an object of a pod that was gone at first: what was asked, and the result.
    fn opened(
        with: &str,
        against: &'static str,
        meanwhile: &'static str,
    ) -> (String, &'static str) {
        let folder = tempfile::tempdir().unwrap();
        let hold = folder.path().join("hold");
        let closed = Arc::new(Flag::new());
        let world = Arc::new(Mutex::new(World {
            against: "",
            meanwhile,
            asked: String::new(),
        }));
        let hooks = hooks(&world, &closed, &hold);
        let config = config(with, &hold);
        let reason = if with.contains("limit") {
            Reason::UnitLimit
        } else {
            Reason::PodRemoved
        };
        let mut planned = Planned::new(Kind::Container, "c", "n", "u", reason);
        if with.contains("ended") {
            // S1.9: the reason alone does not say that it rests on the host's answer.
            (planned.reason, planned.rests_on_pod) = (Reason::Age, true);
        }
        let experience = Experience::new(&config);
        let options = PassOptions {
            dry_run: with.contains("dry"),
            trigger: if with.contains("call") {
                Trigger::Call
            } else {
                Trigger::Period
            },
            ..PassOptions::PLAIN
        };
        let queue = Queue::default();
        let stop = Stop {
            closed: &closed,
            stopped: None,
            call: None,
            pass_deadline: None,
        };
        let scope = Scope::Node;
        let task = Task { scope, options };
        let metrics = Metrics::new();
        let common = Common {
            config: &config,
            hooks: &hooks,
            metrics: &metrics,
        };
        let ctx = Context::new(common, stop, task, &queue, 1, &experience);
        if with.contains("approved") {
            ctx.later
                .has_stopped(planned.clone(), true, BootInstant::now());
        }
        let snapshot = Snapshot::new(Vec::new(), Some(Vec::new()));
        let evidence = Evidence::ask(&ctx, &snapshot, ["u".into()]);
        world.lock().unwrap().against = against;
        world.lock().unwrap().asked.clear();
        happens(against, &closed, &hold);
        if against.contains("waits") {
            ctx.record(planned.clone(), Fate::Failed(String::new()));
        }
        let word = match Gate::new(&ctx, Some(&evidence), &planned).open() {
            Ok(()) => "open",
            Err(Fate::Kept(why)) => why.reason.word(),
            Err(Fate::Refused) => "refused",
            Err(fate) => panic!("{fate:?}"),
        };
        let asked = world.lock().unwrap().asked.trim_end().to_owned();
        (asked, word)
    }

    #[test]
    fn the_questions_before_a_removal_are_asked_in_one_order() {
        // The pass (periodic, and the host's answer old, unless it says otherwise), what keeps the object, and what keeps it once the host
        // is asked for its approval; what the host is asked, and the result.
        let table = [
            ("", "", "", "pods approval pods", "open"),
            ("", "end hold waits pod refusal", "", "", "not-reached"),
            ("", "hold waits pod refusal", "", "", "held"),
            ("", "waits pod refusal", "", "", "backoff"),
            ("", "pod refusal", "", "pods", "changed"),
            ("", "refusal", "", "pods approval", "refused"),
            ("", "refusal", "end", "pods approval", "refused"),
            ("", "", "end hold pod", "pods approval", "not-reached"),
            ("", "", "hold pod", "pods approval", "held"),
            ("", "", "pod", "pods approval pods", "changed"),
            // A call of the host tries it at once.
            ("call", "waits", "", "pods approval pods", "open"),
            ("dry", "refusal", "", "pods pods", "open"),
            ("dry", "hold", "", "", "held"),
            ("young", "pod", "", "approval", "open"),
            ("young", "hold", "", "", "held"),
            // What the host says of its pod does not count.
            ("limit", "pod", "", "approval", "open"),
            ("limit", "", "end", "approval", "not-reached"),
            ("ended", "", "", "pods approval pods", "open"),
            ("ended", "pod", "", "pods", "changed"),
            ("ended", "", "pod", "pods approval pods", "changed"),
            // The approval before a stop is good for as long as an answer is.
            ("approved young", "refusal", "", "", "open"),
            ("approved young", "hold", "", "", "held"),
            ("approved", "refusal", "", "pods approval", "refused"),
        ];
        for (with, against, meanwhile, asked, word) in table {
            let what = format!("{with}: {against}: {meanwhile}");
            assert_eq!(
                opened(with, against, meanwhile),
                (asked.to_owned(), word),
                "{what}"
            );
        }
    }
}
