//! The host's answer about its pods, asked again when it has grown old (S0.3), against what runs (S0.4).

use super::run::Run;
use crate::host::clock::Boot;
use crate::node::{Snapshot, Text};
use crate::plan::pods::{self, PodView};
use crate::report::Reason;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The host's answer for one stage.
pub(crate) struct Evidence<'a> {
    run: &'a Run<'a>,
    snapshot: &'a Snapshot,
    uids: Vec<Text>,
    latest: RefCell<(PodView, Boot)>,
}

impl<'a> Evidence<'a> {
    /// Asks about all pods of a look, and about those whose UIDs were found elsewhere.
    pub(crate) fn ask(
        run: &'a Run<'a>,
        snapshot: &'a Snapshot,
        elsewhere: impl IntoIterator<Item = Text>,
    ) -> Evidence<'a> {
        let mut uids: BTreeSet<Text> = pods::uids_in_question(snapshot).into_iter().collect();
        uids.extend(elsewhere.into_iter().filter(|uid| pods::askable(uid)));
        let uids: Vec<Text> = uids.into_iter().collect();
        let latest = RefCell::new(view(run, snapshot, &uids));
        Evidence {
            run,
            snapshot,
            uids,
            latest,
        }
    }

    /// What the host last said.
    pub(crate) fn with<R>(&self, read: impl FnOnce(&PodView) -> R) -> R {
        read(&self.latest.borrow().0)
    }

    /// Whether a removal that was planned still stands; asks again where the answer has grown old and the removal rests on
    /// it.
    pub(crate) fn stands(&self, uid: &str, reason: Reason) -> bool {
        if !pods::rests_on_pod(reason) {
            return true;
        }
        let age = Boot::now().since(self.latest.borrow().1);
        if age > self.run.config.evidence_max_age {
            let fresh = view(self.run, self.snapshot, &self.uids);
            self.latest.replace(fresh);
        }
        let latest = self.latest.borrow();
        pods::still_stands(uid, reason, &latest.0)
    }
}

/// One question and its answer, with the time of the question: the answer is no older than that.
fn view(run: &Run<'_>, snapshot: &Snapshot, uids: &[Text]) -> (PodView, Boot) {
    let asked = Boot::now();
    let answer = run.ask(uids);
    let view = PodView::new(snapshot, &answer, run.all_unused, run.broken.get());
    if let Some(contradiction) = view.contradicted() {
        run.contradicted(&contradiction);
        return (PodView::new(snapshot, &answer, run.all_unused, true), asked);
    }
    (view, asked)
}
