//! How many removals of a kind run at once, and how long nothing begins after one (S2.7). What is timed is the runtime's call alone.

use super::context::Context;
use crate::clock::BootInstant;
use crate::config::Config;
use crate::cri::CallError;
use crate::hooks::LogLevel;
use crate::plan::window::Window;
use crate::report::Kind;
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// What an engine learnt of a runtime's pace; it is kept between passes.
pub(crate) struct Windows {
    containers: RefCell<Window>,
    sandboxes: RefCell<Window>,
    images: RefCell<Window>,
}

impl Windows {
    pub(crate) fn new(config: &Config) -> Windows {
        let window = |bound: usize| RefCell::new(Window::new(bound));
        Windows {
            containers: window(config.max_parallel_removals),
            sandboxes: window(config.max_parallel_removals / 2),
            images: window(config.max_parallel_image_removals),
        }
    }

    /// That of a kind; `None` = the runtime is not called for it.
    fn of(&self, kind: Kind) -> Option<&RefCell<Window>> {
        match kind {
            Kind::Container => Some(&self.containers),
            Kind::Sandbox => Some(&self.sandboxes),
            Kind::Image => Some(&self.images),
            Kind::PodLogs | Kind::LogLink => None,
        }
    }
}

/// A call under way, which has ended when this is dropped: also one that was cut off.
struct Timed<'w> {
    window: &'w RefCell<Window>,
    began: Duration,
    counts: bool,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let now = BootInstant::now().since_boot();
        let took = self.counts.then(|| now.saturating_sub(self.began));
        self.window.borrow_mut().ended(now, took);
    }
}

impl Windows {
    /// Makes the call that removes an object; its window hears how long it took, if it counts and went well.
    pub(crate) async fn time<T>(
        &self,
        kind: Kind,
        counts: bool,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let Some(window) = self.of(kind) else {
            return call.await;
        };
        let began = BootInstant::now().since_boot();
        window.borrow_mut().begun(began);
        let mut timed = Timed {
            window,
            began,
            counts: false,
        };
        let result = call.await;
        timed.counts = counts && result.is_ok();
        result
    }
}

/// The pace of the removals of one plan.
pub(crate) struct Pace<'a> {
    ctx: &'a Context<'a>,
    kind: Kind,
    /// How many rests there were, and how long they were meant to be.
    rests: Cell<(usize, Duration)>,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(ctx: &'a Context<'a>, kind: Kind) -> Pace<'a> {
        if let Some(window) = ctx.windows.of(kind).filter(|_| ctx.all_unused) {
            window.borrow_mut().hurry();
        }
        Pace {
            ctx,
            kind,
            rests: Cell::default(),
        }
    }

    /// How many objects are removed at once, unless one takes very long. A dry run calls nobody, and learns nothing.
    pub(crate) fn size(&self) -> usize {
        match self.ctx.windows.of(self.kind) {
            Some(window) if !self.ctx.dry_run => window.borrow().size(),
            _ => self.bound(),
        }
    }

    /// The most that are ever removed at once.
    pub(crate) fn bound(&self) -> usize {
        let window = self.ctx.windows.of(self.kind);
        window.map_or(1, |window| window.borrow().bound())
    }

    /// After this time a removal holds no other one up.
    pub(crate) fn patience(&self) -> Duration {
        let window = self.ctx.windows.of(self.kind);
        window.map_or(Duration::MAX, |window| window.borrow().patience())
    }

    /// How long nothing is to begin after a removal. Where space is wanted at once, or a caller waits, nothing rests.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let ctx = self.ctx;
        let window = ctx.windows.of(self.kind)?;
        if ctx.dry_run || ctx.all_unused {
            return None;
        }
        if !ctx.queue.is_empty() {
            window.borrow_mut().hurry();
            return None;
        }
        Some(window.borrow().rest()).filter(|time| !time.is_zero())
    }

    /// Waits; not in a pass that is to end, nor while a caller waits for it.
    pub(crate) async fn wait(&self, time: Duration) {
        let (number, sum) = self.rests.get();
        self.rests.set((number + 1, sum + time));
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = self.ctx.stop.wait() => {}
            () = self.ctx.queue.joined() => {}
        }
    }

    /// Logs the rests since the last time.
    pub(crate) fn log_rests(&self) {
        let (number, sum) = self.rests.take();
        if number > 0 {
            let message = format!(
                "removals have become slow: {number} pauses of {sum:.1?} in all followed them"
            );
            self.ctx.log(LogLevel::Info, &message);
        }
    }
}
