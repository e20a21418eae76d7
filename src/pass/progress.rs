//! How far the removals of one kind are, as the host hears it.

use super::run::{Done, Run};
use crate::report::Kind;

/// Counts the removals of one kind that have ended.
pub(super) struct Progress<'r, 'a> {
    run: &'r Run<'a>,
    kind: Kind,
}

impl<'r, 'a> Progress<'r, 'a> {
    pub(super) fn of(run: &'r Run<'a>, kind: Kind) -> Progress<'r, 'a> {
        Progress { run, kind }
    }

    /// Whether that is a removal that has ended; what stays after all is none.
    pub(super) fn counts(done: &Done) -> bool {
        *done == Done::Removed || done.error().is_some()
    }

    /// A removal has ended, and so many may still follow.
    pub(super) fn ended(&self, left: usize) {
        // Nothing goes in a dry run; and once the pass is told to end the rest only falls out of its hands.
        if self.run.dry_run || self.run.stop.cause().is_some() {
            return;
        }
        let done = self.run.one_more_ended(self.kind);
        self.run.progress(self.kind, done, done + left);
    }
}
