//! Who has its turn when (S0.8). In its first round a pass comes to what was never begun, stage by stage; at its end to what was begun
//! before and did not end, and once more to the pods of containers that went so late (S2.3).

use super::context::Context;
use super::fate::{Fate, Planned};
use super::image_snapshot::planned;
use crate::clock::BootInstant;
use crate::node::{Container, Image, Text};
use crate::plan::Step;
use crate::plan::logs::link_name;
use crate::plan::order::{self, Turns, turns};
use crate::report::{Kind, Reason};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Which objects a stage comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Round {
    /// What was begun before is put off to the end of the pass.
    #[default]
    First,
    /// What was put off, and what is left of pods whose containers went late.
    Again,
}

/// What a pass comes to at its end.
#[derive(Default)]
pub(crate) struct Later {
    pub(super) round: Cell<Round>,
    /// Planned, and not written down yet.
    put_off: RefCell<Vec<Planned>>,
    /// Containers that were to go in the first round: for the limits they are done (S1.8).
    pub(super) tried: RefCell<HashSet<Text>>,
    /// When those of them ended that were asked about: they are not asked again, which may have been given up meanwhile (S1.2).
    pub(super) ends: RefCell<HashMap<Text, i64>>,
    /// UNKNOWN containers whose stop has ended.
    stopped: RefCell<HashMap<Text, Stopped>>,
    /// Links of UNKNOWN containers, which go with them at the end of the pass.
    links: RefCell<HashSet<String>>,
    /// Pods and sandboxes whose containers went late.
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
    /// From here on one at a time.
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
    /// The order of what is planned; what is put off is not in it, nor what this round does not come to.
    pub(crate) fn order<T>(
        &self,
        ctx: &Context<'_>,
        kind: Kind,
        items: Vec<(Planned, T)>,
    ) -> Ordered<T> {
        let items = match self.round.get() {
            Round::Again => self.due(ctx, kind, items),
            _ => items,
        };
        let unfinished = ctx.attempts.unfinished.borrow();
        if ctx.dry_run || unfinished.is_empty() {
            let alone_from = items.len();
            return Ordered { items, alone_from };
        }
        if self.round.get() == Round::Again {
            return turns(items, kind, |(entry, _)| &entry.id, &unfinished).into();
        }
        // What is left alone for now is told at once.
        let is_again =
            |e: &Planned| unfinished.was_tried(e.kind, &e.id) && !ctx.attempts.waits(e.kind, &e.id);
        let (put_off, items): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|(entry, _)| is_again(entry));
        // In parts of a list an object may be planned for more than once (S7.3).
        let known = self.put_off(kind);
        let new = put_off.into_iter().filter(|(e, _)| !known.contains(&e.id));
        let new = new.map(|(entry, _)| entry);
        self.put_off.borrow_mut().extend(new);
        let alone_from = items.len();
        Ordered { items, alone_from }
    }

    /// The order of images: only those come last that got no answer (S0.8, S5.4).
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
        let items = items.map(|step| (planned(step.object, step.reason), step.object));
        let unfinished = ctx.attempts.unfinished.borrow();
        order::images(items.collect(), |(entry, _)| &entry.id, &unfinished).into()
    }

    /// What stays by the plan, as far as this round comes to it.
    pub(crate) fn kept(&self, ctx: &Context<'_>, kind: Kind, kept: Vec<Planned>) -> Vec<Planned> {
        match self.round.get() {
            Round::Again => {
                let kept = kept.into_iter().map(|entry| (entry, ())).collect();
                let due = self.due(ctx, kind, kept).into_iter();
                due.map(|(entry, ())| entry).collect()
            }
            _ => kept,
        }
    }

    /// What the end of the pass comes to; what was written down about it before gives way.
    fn due<T>(&self, ctx: &Context<'_>, kind: Kind, items: Vec<(Planned, T)>) -> Vec<(Planned, T)> {
        let had_turn = ctx.report.had_turn(kind);
        let put_off = self.put_off(kind);
        let concerns = |e: &Planned| put_off.contains(&e.id) || self.concerns(e);
        let mut items = items;
        items.retain(|(entry, _)| concerns(entry) && !had_turn.contains(&entry.id));
        let ids: HashSet<Text> = items.iter().map(|(entry, _)| entry.id.clone()).collect();
        ctx.report.withdraw(kind, &ids);
        let decided = |e: &Planned| e.kind == kind && ids.contains(&e.id);
        self.put_off.borrow_mut().retain(|e| !decided(e));
        items
    }

    /// Whether the end of the pass comes to an object that was not put off.
    fn concerns(&self, entry: &Planned) -> bool {
        let (pods, sandboxes) = &*self.emptied.borrow();
        match entry.kind {
            Kind::Sandbox => pods.contains(&entry.pod_uid) || sandboxes.contains(&entry.id),
            Kind::PodLogs => pods.contains(&entry.pod_uid),
            // Whatever dangles since.
            Kind::LogLink => true,
            Kind::Container | Kind::Image => false,
        }
    }

    /// IDs of a kind that were put off.
    pub(crate) fn put_off(&self, kind: Kind) -> HashSet<Text> {
        let put_off = self.put_off.borrow();
        let of_kind = put_off.iter().filter(|e| e.kind == kind);
        of_kind.map(|e| e.id.clone()).collect()
    }

    /// Why those of a kind that were put off are to go.
    pub(crate) fn reasons(&self, kind: Kind) -> HashMap<Text, Reason> {
        let put_off = self.put_off.borrow();
        let of_kind = put_off.iter().filter(|e| e.kind == kind);
        of_kind.map(|e| (e.id.clone(), e.reason)).collect()
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
        kinds.sort();
        kinds.into_iter().map(|(_, kind)| kind).collect()
    }

    /// An UNKNOWN container is to be stopped: its link is not one of those that only dangle.
    pub(crate) fn awaits_stop(&self, c: &Container) {
        self.links.borrow_mut().extend(link_name(c));
    }

    /// Whether a link goes with a container at the end of the pass.
    pub(crate) fn has_link(&self, name: &str) -> bool {
        self.round.get() == Round::First && self.links.borrow().contains(name)
    }

    /// An UNKNOWN container has been stopped; it is removed at the end of the pass.
    pub(crate) fn has_stopped(&self, planned: Planned, was_known: bool, approved: BootInstant) {
        let stopped = Stopped {
            was_known,
            approved,
        };
        self.stopped
            .borrow_mut()
            .insert(planned.id.clone(), stopped);
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

    /// A container went at the end of the pass.
    pub(crate) fn emptied(&self, c: &Container) {
        let (pods, sandboxes) = &mut *self.emptied.borrow_mut();
        pods.insert(c.uid().into());
        sandboxes.insert(c.sandbox_id.clone());
    }

    /// Whether containers went so late that S3 and S4 come once more.
    pub(crate) fn has_emptied(&self) -> bool {
        let (pods, sandboxes) = &*self.emptied.borrow();
        !(pods.is_empty() && sandboxes.is_empty())
    }

    /// S3 comes to the pods of those that went until now in any case.
    pub(crate) fn forget_emptied(&self) {
        self.emptied.take();
    }

    /// All objects of a kind are known: what was put off and is not among them went in another way.
    pub(crate) fn settle_gone(
        &self,
        ctx: &Context<'_>,
        kind: Kind,
        is_there: impl Fn(&Text) -> bool,
    ) {
        self.settle(ctx, kind, |id| (!is_there(id)).then_some(Fate::Removed));
    }

    /// The same where `became` tells what became of an object; `None` = it is still to have its turn.
    pub(crate) fn settle(
        &self,
        ctx: &Context<'_>,
        kind: Kind,
        became: impl Fn(&Text) -> Option<Fate>,
    ) {
        if self.round.get() != Round::Again {
            return;
        }
        let mut became: HashMap<Text, Fate> = {
            let put_off = self.put_off.borrow();
            let of_kind = put_off.iter().filter(|e| e.kind == kind);
            let became = of_kind.filter_map(|e| Some((e.id.clone(), became(&e.id)?)));
            became.collect()
        };
        let settled: Vec<Planned> = {
            let mut put_off = self.put_off.borrow_mut();
            let is_settled = |e: &mut Planned| e.kind == kind && became.contains_key(&e.id);
            put_off.extract_if(.., is_settled).collect()
        };
        for entry in settled {
            if kind == Kind::Container {
                self.emptied.borrow_mut().0.insert(entry.pod_uid.clone());
            }
            if let Some(done) = became.remove(&entry.id) {
                ctx.record(entry, done);
            }
        }
    }

    /// The pass is over: what it did not come to stays.
    pub(crate) fn close(&self, ctx: &Context<'_>) {
        for entry in self.put_off.take() {
            ctx.record(entry, Fate::Kept(Reason::NotReached));
        }
    }

    /// Something about an object is on its way to the runtime.
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
    /// It flies beside other calls of the pass, which may be those that are answered by a crash.
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
