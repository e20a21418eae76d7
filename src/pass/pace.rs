//! How many removals of a kind run at once, and when they give way (S2.7).

use super::context::Context;
use crate::hooks::LogLevel;
use crate::plan::pace::Pace;
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// Places in which objects of a kind are removed side by side.
pub(crate) struct Pacing {
    pub(crate) limit: usize,
    pace: RefCell<Pace>,
    /// How many rests there were, and how long they were meant to be.
    rests: Cell<(usize, Duration)>,
}

impl Pacing {
    /// That many. Where nothing is removed, or space is wanted at once, nothing rests.
    pub(crate) fn new(ctx: &Context<'_>, limit: usize) -> Pacing {
        let rests = !ctx.dry_run && !ctx.all_unused;
        Pacing {
            limit: limit.max(1),
            pace: RefCell::new(Pace::new(if rests {
                ctx.config.removal_rest_percent
            } else {
                0
            })),
            rests: Cell::default(),
        }
    }

    /// That many, without rests.
    pub(crate) fn without_rests(limit: usize) -> Pacing {
        Pacing {
            limit: limit.max(1),
            pace: RefCell::new(Pace::new(0)),
            rests: Cell::default(),
        }
    }

    /// A removal took that long, with its logs and what the host takes to answer; how long its slot is to rest.
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

    /// Waits; not in a pass that is to end, nor while a caller waits for it.
    pub(crate) async fn rest(&self, ctx: &Context<'_>, time: Duration) {
        let (number, sum) = self.rests.get();
        self.rests.set((number + 1, sum + time));
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = ctx.stop.wait() => {}
            () = ctx.queue.joined() => {}
        }
    }

    /// Tells the host's log of the rests since the last time.
    pub(crate) fn tell(&self, ctx: &Context<'_>) {
        let (number, sum) = self.rests.take();
        if number > 0 {
            let message = format!(
                "{number} removals took longer than quick ones and were followed by rests of {sum:.1?} in all; see removal-rest-percent"
            );
            ctx.log(LogLevel::Info, &message);
        }
    }
}
