//! How many removals of a kind run at once, and when they rest (S2.7).

use super::context::Context;
use crate::hooks::LogLevel;
use crate::plan::pace::Pace;
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// The slots in which objects of a kind are removed at once, and their rests.
pub(crate) struct Pacing {
    pub(crate) limit: usize,
    pace: RefCell<Pace>,
    /// How many rests there were, and how long they were meant to be.
    rests: Cell<(usize, Duration)>,
}

impl Pacing {
    /// This number of slots. A dry run does not rest, nor does a pass that has to free space at once.
    pub(crate) fn new(ctx: &Context<'_>, limit: usize) -> Pacing {
        let pacing = Pacing::without_rests(limit);
        if !ctx.dry_run && !ctx.all_unused {
            pacing
                .pace
                .replace(Pace::new(ctx.config.removal_rest_percent));
        }
        pacing
    }

    /// This number of slots, without rests.
    pub(crate) fn without_rests(limit: usize) -> Pacing {
        Pacing {
            limit: limit.max(1),
            pace: RefCell::new(Pace::new(0)),
            rests: Cell::default(),
        }
    }

    /// How long the slot of a removal rests that took this long, with its logs and the host's answers.
    pub(crate) fn rest_after(
        &self,
        ctx: &Context<'_>,
        removed: bool,
        took: Duration,
    ) -> Option<Duration> {
        let time = self.pace.borrow_mut().rest_after(removed, took);
        let rests = !time.is_zero() && ctx.queue.is_empty();
        rests.then_some(time)
    }

    /// Rests, until the pass has to end or a caller waits for its end.
    pub(crate) async fn rest(&self, ctx: &Context<'_>, time: Duration) {
        let (number, sum) = self.rests.get();
        self.rests.set((number + 1, sum + time));
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = ctx.stop.wait() => {}
            () = ctx.queue.joined() => {}
        }
    }

    /// Logs how often removals rested since the last time.
    pub(crate) fn log_rests(&self, ctx: &Context<'_>) {
        let (number, sum) = self.rests.take();
        if number > 0 {
            let message = format!(
                "{number} removals took longer than quick ones and were followed by rests of {sum:.1?} in total; see removal-rest-percent"
            );
            ctx.log(LogLevel::Info, &message);
        }
    }
}
