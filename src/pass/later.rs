//! Which object has its turn when (S0.8). In its first round a pass handles what was never begun, stage by stage. At its end it handles
//! what was begun before and did not end, and once more the pods of containers that were removed so late (S2.3).

use super::context::Context;
use super::fate::{Fate, Planned};
use super::image_snapshot::planned;
use crate::clock::BootInstant;
use crate::node::{Container, Image, Text};
use crate::plan::Step;
use crate::plan::logs::link_name;
use crate::plan::order::{self, Turns, turns};
use crate::report::{Kind, Reason, Why};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Which objects a stage handles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Round {
    /// All but those that were begun before: they are put off to the end of the pass.
    #[default]
    First,
    /// Those that were put off, and what is left of pods whose containers were removed late.
    Again,
}

/// What a pass handles at its end.
#[derive(Default)]
pub(crate) struct Later {
    pub(super) round: Cell<Round>,
    /// Planned, and not written down yet.
    put_off: RefCell<Vec<Planned>>,
    /// Containers that were to be removed in the first round: they count as done for the limits (S1.8).
    pub(super) tried: RefCell<HashSet<Text>>,
    /// When these containers ended, as far as the runtime was asked. It is not asked again: questions may have been given up (S1.2).
    pub(super) ends: RefCell<HashMap<Text, i64>>,
    /// UNKNOWN containers whose stop has ended.
    stopped: RefCell<HashMap<Text, Stopped>>,
    /// Links of UNKNOWN containers, which are removed with them at the end of the pass.
    links: RefCell<HashSet<String>>,
    /// The pods of these containers.
    stopping: RefCell<HashSet<Text>>,
    /// Pods and sandboxes whose containers were removed late.
    emptied: RefCell<(HashSet<Text>, HashSet<Text>)>,
    flying: RefCell<Vec<Rc<Cell<bool>>>>,
}

/// A container whose stop has ended.
#[derive(Clone, Copy)]
struct Stopped {
    /// The runtime knew it.
    was_known: bool,
    /// When the host approved of it.
    approved: BootInstant,
}

/// Planned removals in their order.
pub(crate) struct Ordered<T> {
    pub(crate) items: Vec<(Planned, T)>,
    /// From this index on they are removed one at a time.
    pub(crate) alone_from: usize,
}

impl<T> From<Turns<(Planned, T)>> for Ordered<T> {
    fn from(turns: Turns<(Planned, T)>) -> Ordered<T> {
        let Turns {
            first: mut items,
            again,
            alone,
        } = turns;
        items.extend(again);
        let alone_from = items.len();
        items.extend(alone);
        Ordered { items, alone_from }
    }
}

impl Later {
    /// The order of the planned removals, without those that are put off, or that this round does not handle.
    pub(crate) fn order<T>(
        &self,
        ctx: &Context<'_>,
        kind: Kind,
        items: Vec<(Planned, T)>,
    ) -> Ordered<T> {
        let mut items = self.due(ctx, kind, items);
        let unfinished = ctx.attempts.unfinished.borrow();
        if !ctx.dry_run && !unfinished.is_empty() {
            if self.round.get() == Round::Again {
                return turns(items, kind, |(entry, _)| &entry.id, &unfinished).into();
            }
            // Objects that wait after a failed removal are reported at once.
            let is_again = |(e, _): &mut (Planned, T)| {
                unfinished.was_tried(e.kind, &e.id) && !ctx.attempts.waits(e.kind, &e.id)
            };
            // In parts of a list an object may be planned for more than once (S7.3).
            let known = self.put_off(kind);
            let put_off = items.extract_if(.., is_again).map(|(entry, _)| entry);
            let new = put_off.filter(|e| !known.contains(&e.id));
            self.put_off.borrow_mut().extend(new);
        }
        let alone_from = items.len();
        Ordered { items, alone_from }
    }

    /// The order of images: only those whose removal got no answer come last (S0.8, S5.4).
    pub(crate) fn images<'i>(
        &self,
        ctx: &Context<'_>,
        images: &[Image],
        steps: Vec<Step<'i, Image>>,
    ) -> Ordered<&'i Image> {
        let is_there: HashSet<&Text> = images.iter().map(|image| &image.id).collect();
        ctx.attempts
            .keep_only(Kind::Image, |id| is_there.contains(id));
        let items = steps.into_iter();
        let items = items.map(|step| (planned(step.object, step.why()), step.object));
        let unfinished = ctx.attempts.unfinished.borrow();
        order::images(items.collect(), |(entry, _)| &entry.id, &unfinished).into()
    }

    /// What the plan keeps, as far as this round handles it.
    pub(crate) fn kept(&self, ctx: &Context<'_>, kind: Kind, kept: Vec<Planned>) -> Vec<Planned> {
        let kept = kept.into_iter().map(|entry| (entry, ())).collect();
        let due = self.due(ctx, kind, kept).into_iter();
        due.map(|(entry, ())| entry).collect()
    }

    /// The objects that this round handles. At the end of the pass, what was written down about them before is deleted.
    fn due<T>(
        &self,
        ctx: &Context<'_>,
        kind: Kind,
        mut items: Vec<(Planned, T)>,
    ) -> Vec<(Planned, T)> {
        if self.round.get() == Round::First {
            return items;
        }
        let had_turn = ctx.report.had_turn(kind);
        let put_off = self.put_off(kind);
        let concerns = |e: &Planned| put_off.contains(&e.id) || self.concerns(e);
        items.retain(|(entry, _)| concerns(entry) && !had_turn.contains(&entry.id));
        let ids: HashSet<Text> = items.iter().map(|(entry, _)| entry.id.clone()).collect();
        ctx.report.withdraw(kind, &ids);
        let decided = |e: &Planned| e.kind == kind && ids.contains(&e.id);
        self.put_off.borrow_mut().retain(|e| !decided(e));
        items
    }

    /// Whether the end of the pass handles an object that was not put off.
    fn concerns(&self, entry: &Planned) -> bool {
        let (pods, sandboxes) = &*self.emptied.borrow();
        match entry.kind {
            Kind::Sandbox => pods.contains(&entry.pod_uid) || sandboxes.contains(&entry.id),
            Kind::PodLogs => pods.contains(&entry.pod_uid),
            // All that dangle since.
            Kind::LogLink => true,
            Kind::Container | Kind::Image => false,
        }
    }

    /// IDs of a kind that were put off.
    pub(crate) fn put_off(&self, kind: Kind) -> HashSet<Text> {
        self.reasons(kind).into_keys().collect()
    }

    /// Why the objects of a kind that were put off are to be removed, and whether that rests on the host's answer about their pods.
    pub(crate) fn reasons(&self, kind: Kind) -> HashMap<Text, (Why, bool)> {
        let put_off = self.put_off.borrow();
        let of_kind = put_off.iter().filter(|e| e.kind == kind);
        let reason = |e: &Planned| (e.id.clone(), (e.why(), e.rests_on_pod));
        of_kind.map(reason).collect()
    }

    /// Kinds of which something was put off, the least recently tried first.
    pub(crate) fn kinds(&self, ctx: &Context<'_>) -> Vec<Kind> {
        let put_off = self.put_off.borrow();
        let unfinished = ctx.attempts.unfinished.borrow();
        let oldest = |kind: Kind| {
            let ids = put_off.iter().filter(|e| e.kind == kind).map(|e| &e.id);
            unfinished.oldest(kind, ids).map(|at| (at, kind))
        };
        let mut kinds: Vec<_> = Kind::ALL.into_iter().filter_map(oldest).collect();
        kinds.sort_unstable();
        kinds.into_iter().map(|(_, kind)| kind).collect()
    }

    /// An UNKNOWN container is to be stopped: its link is removed with it, not because it dangles (S4.2).
    pub(crate) fn awaits_stop(&self, c: &Container) {
        self.links.borrow_mut().extend(link_name(c));
        self.stopping.borrow_mut().insert(c.uid().into());
    }

    /// Whether a container of a pod is removed at the end of the pass, with its logs: until then its files are not the last of their
    /// directory (S4.3).
    pub(crate) fn is_stopping(&self, uid: &str) -> bool {
        self.round.get() == Round::First && self.stopping.borrow().contains(uid)
    }

    /// Whether a link is removed with a container at the end of the pass.
    pub(crate) fn has_link(&self, name: &str) -> bool {
        self.round.get() == Round::First && self.links.borrow().contains(name)
    }

    /// An UNKNOWN container has been stopped; it is removed at the end of the pass.
    pub(crate) fn has_stopped(&self, planned: Planned, was_known: bool, approved: BootInstant) {
        let stopped = Stopped {
            was_known,
            approved,
        };
        let mut all = self.stopped.borrow_mut();
        all.insert(planned.id.clone(), stopped);
        self.put_off.borrow_mut().push(planned);
    }

    /// Whether a container has been stopped in this pass.
    pub(crate) fn was_stopped(&self, id: &Text) -> bool {
        self.stopped.borrow().contains_key(id)
    }

    /// Whether the runtime did not know it when it was to be stopped.
    pub(crate) fn was_unknown(&self, id: &Text) -> bool {
        let stopped = self.stopped.borrow();
        stopped.get(id).is_some_and(|stopped| !stopped.was_known)
    }

    /// When the host approved of a container before its stop.
    pub(crate) fn approved(&self, planned: &Planned) -> Option<BootInstant> {
        let stopped = self.stopped.borrow();
        let is_container = planned.kind == Kind::Container;
        let stopped = stopped.get(&planned.id).filter(|_| is_container);
        stopped.map(|stopped| stopped.approved)
    }

    /// A container was removed at the end of the pass.
    pub(crate) fn emptied(&self, c: &Container) {
        let (pods, sandboxes) = &mut *self.emptied.borrow_mut();
        pods.insert(c.uid().into());
        sandboxes.insert(c.sandbox_id.clone());
    }

    /// Whether containers were removed so late that S3 and S4 are run once more.
    pub(crate) fn has_emptied(&self) -> bool {
        let (pods, sandboxes) = &*self.emptied.borrow();
        !(pods.is_empty() && sandboxes.is_empty())
    }

    /// S3 comes next and handles the pods of the containers that have been removed until now in any case.
    pub(crate) fn forget_emptied(&self) {
        self.emptied.take();
    }

    /// All objects of a kind are known: those that were put off and are not among them have been removed in another way.
    pub(crate) fn settle_gone(
        &self,
        ctx: &Context<'_>,
        kind: Kind,
        is_there: impl Fn(&Text) -> bool,
    ) {
        self.settle(ctx, kind, |id| (!is_there(id)).then_some(Fate::Removed));
    }

    /// Writes down what `became` of the objects that were put off; `None` = an object will still have its turn.
    pub(crate) fn settle(
        &self,
        ctx: &Context<'_>,
        kind: Kind,
        became: impl Fn(&Text) -> Option<Fate>,
    ) {
        if self.round.get() != Round::Again {
            return;
        }
        let mut fates: HashMap<Text, Fate> = {
            let put_off = self.put_off.borrow();
            let of_kind = put_off.iter().filter(|e| e.kind == kind);
            let fates = of_kind.filter_map(|e| Some((e.id.clone(), became(&e.id)?)));
            fates.collect()
        };
        let is_settled = |e: &mut Planned| e.kind == kind && fates.contains_key(&e.id);
        let mut put_off = self.put_off.borrow_mut();
        let settled: Vec<Planned> = put_off.extract_if(.., is_settled).collect();
        drop(put_off);
        for entry in settled {
            if kind == Kind::Container {
                self.emptied.borrow_mut().0.insert(entry.pod_uid.clone());
            }
            if let Some(fate) = fates.remove(&entry.id) {
                ctx.record(entry, fate);
            }
        }
    }

    /// The pass is over: what it did not handle is kept.
    pub(crate) fn close(&self, ctx: &Context<'_>) {
        for entry in self.put_off.take() {
            ctx.record(entry, Fate::kept(Reason::NotReached));
        }
    }

    /// A call about an object is on its way to the runtime.
    pub(crate) fn take_off(&self) -> Flight<'_> {
        let mut flying = self.flying.borrow_mut();
        flying.iter().for_each(|other| other.set(true));
        let company = Rc::new(Cell::new(!flying.is_empty()));
        flying.push(company.clone());
        let flying = &self.flying;
        Flight { flying, company }
    }
}

/// An object that is on its way to the runtime, until it is dropped.
pub(crate) struct Flight<'l> {
    flying: &'l RefCell<Vec<Rc<Cell<bool>>>>,
    /// Others were in flight with it.
    company: Rc<Cell<bool>>,
}

impl Flight<'_> {
    /// Other calls of the pass are in flight as well, and one of them may make the runtime crash.
    pub(crate) fn in_company(self) -> Self {
        self.company.set(true);
        self
    }

    /// How it ended: a lost connection counts for it if it was alone (S0.8).
    pub(crate) fn landed(self, done: Fate) -> Fate {
        match done {
            Fate::Lost { error, .. } => Fate::Lost {
                alone: !self.company.get(),
                error,
            },
            done => done,
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let own = |other: &Rc<Cell<bool>>| Rc::ptr_eq(other, &self.company);
        self.flying.borrow_mut().retain(|other| !own(other));
    }
}
