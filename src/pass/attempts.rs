//! What the passes of a kind remember of removals that were begun (S0.8): how long an object is left alone, and which have their turn last.

use super::fate::{Fate, Planned, trouble};
use super::{PassOptions, Trigger};
use crate::clock::BootInstant;
use crate::config::duration::nanoseconds;
use crate::cri::CallError;
use crate::node::Text;
use crate::plan::backoff::Backoff;
use crate::plan::order::{Trouble, Unfinished};
use crate::report::{Compared, Kind};
use std::cell::RefCell;
use std::time::Duration;

/// The memory of a kind of passes, as one pass uses it.
pub(crate) struct Attempts<'a> {
    backoff: &'a RefCell<Backoff>,
    /// What was begun and is not known to be removed.
    pub(crate) unfinished: &'a RefCell<Unfinished>,
    /// Periodic passes leave objects alone for a while after a failed removal.
    periodic: bool,
    /// A dry run remembers nothing.
    dry_run: bool,
    /// The pass lists all objects of a kind, not only those of one pod.
    lists_all: bool,
}

fn now() -> Duration {
    BootInstant::now().since_boot()
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(
        backoff: &'a RefCell<Backoff>,
        unfinished: &'a RefCell<Unfinished>,
        options: PassOptions,
        lists_all: bool,
    ) -> Attempts<'a> {
        Attempts {
            backoff,
            unfinished,
            periodic: options.trigger != Trigger::Call,
            dry_run: options.dry_run,
            lists_all,
        }
    }

    /// Whether an object is left alone for now, because its last removal failed.
    pub(crate) fn waits(&self, kind: Kind, id: &Text) -> bool {
        self.wait(kind, id).is_some()
    }

    /// How often its removal failed, and how long it is left alone, if it is.
    pub(crate) fn wait(&self, kind: Kind, id: &Text) -> Option<Compared> {
        if !self.periodic {
            return None;
        }
        let (failures, left) = self.backoff.borrow().left(kind, id, now())?;
        let left = nanoseconds(left);
        Some(Compared::Wait { failures, left })
    }

    /// Remembers what became of an object.
    pub(crate) fn note(&self, planned: &Planned, fate: &Fate) {
        if self.dry_run {
            return;
        }
        let (kind, id) = (planned.kind, &planned.id);
        let (trouble, counts) = match fate {
            Fate::Removed => {
                self.backoff.borrow_mut().removed(kind, id);
                return self.unfinished.borrow_mut().removed(kind, id);
            }
            Fate::Kept(_) | Fate::Refused | Fate::Unsent(_) => return,
            Fate::BrokenOff(_) => (Trouble::Failed, false),
            Fate::Failed(_) | Fate::Broke(_) => (Trouble::Failed, true),
            Fate::Silent(_) => (Trouble::Silent, true),
            Fate::Lost { alone, .. } => (Trouble::Lost, *alone),
        };
        self.tried(planned, trouble);
        if counts {
            self.backoff.borrow_mut().failed(kind, id, now());
        }
    }

    /// Its removal was begun and failed: it has its turn last from now on.
    fn tried(&self, planned: &Planned, trouble: Trouble) {
        let mut unfinished = self.unfinished.borrow_mut();
        unfinished.tried(planned.kind, &planned.id, now(), trouble);
    }

    /// The same of an object that is kept because a question about it got no answer.
    pub(crate) fn asked_in_vain(&self, planned: &Planned, e: &CallError) {
        if let Some(trouble) = trouble(e).filter(|_| !self.dry_run) {
            self.tried(planned, trouble);
        }
    }

    /// Earlier work on it has ended well: it has its turn with all others.
    pub(crate) fn ended_well(&self, planned: &Planned) {
        if !self.dry_run {
            let mut unfinished = self.unfinished.borrow_mut();
            unfinished.removed(planned.kind, &planned.id);
        }
    }

    /// All objects of a kind that the pass collects are known; the others are forgotten, unless they may be those of other pods.
    pub(crate) fn keep_only(&self, kind: Kind, is_there: impl Fn(&Text) -> bool) {
        let mut unfinished = self.unfinished.borrow_mut();
        if !self.dry_run && self.lists_all && !unfinished.is_empty() {
            unfinished.keep_only(kind, is_there);
        }
    }
}
