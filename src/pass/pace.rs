//! How many removals of a kind run at once, and how long nothing begins after one (S2.7). What is timed is the runtime's call alone.

use super::context::Context;
use super::report::PassReport;
use super::words::many;
use crate::clock::BootInstant;
use crate::config::Config;
use crate::cri::CallError;
use crate::hooks::LogLevel;
use crate::plan::window::{End, Window};
use crate::report::Kind;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::cell::RefCell;
use std::time::Duration;

/// The most containers that are asked at once for their image volumes: as many as are removed at once by default.
const MOST_QUESTIONS: usize = 16;

/// What an engine learnt of a runtime's pace; it is kept between passes.
pub(crate) struct Windows {
    containers: RefCell<Window>,
    sandboxes: RefCell<Window>,
    images: RefCell<Window>,
    questions: RefCell<Window>,
}

impl Windows {
    pub(crate) fn new(config: &Config) -> Windows {
        let window = |bound: usize| RefCell::new(Window::new(bound));
        Windows {
            containers: window(config.max_parallel_removals),
            sandboxes: window(config.max_parallel_removals / 2),
            images: window(config.max_parallel_image_removals),
            questions: window(MOST_QUESTIONS),
        }
    }

    /// See `Engine::assume_that_many_pay`.
    pub(crate) fn assume_that_many_pay(&mut self) {
        for window in [&mut self.containers, &mut self.sandboxes, &mut self.images] {
            window.get_mut().open();
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
struct Timed<'a> {
    window: &'a RefCell<Window>,
    /// The report that it belongs to, if it removes an object.
    removes: Option<(&'a PassReport<'a>, Kind)>,
    began: Duration,
    how: fn(Duration) -> End,
}

impl<'a> Timed<'a> {
    fn begin(
        window: &'a RefCell<Window>,
        removes: Option<(&'a PassReport<'a>, Kind)>,
    ) -> Timed<'a> {
        let began = BootInstant::now().since_boot();
        window.borrow_mut().begun(began);
        if let Some((report, kind)) = removes {
            report.call_begun(kind, began);
        }
        Timed {
            window,
            removes,
            began,
            how: |_| End::Other,
        }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let now = BootInstant::now().since_boot();
        let end = (self.how)(now.saturating_sub(self.began));
        self.window.borrow_mut().ended(now, end);
        if let Some((report, kind)) = self.removes {
            report.call_ended(kind, now);
        }
    }
}

fn how<T, E>(result: &Result<T, E>) -> fn(Duration) -> End {
    match result {
        Ok(_) => End::Removed,
        Err(_) => End::Failed,
    }
}

/// Makes the calls that remove an object. The window of its kind hears how long they took, if that counts.
pub(crate) async fn timed<T, E>(
    ctx: &Context<'_>,
    kind: Kind,
    counts: bool,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Some(window) = ctx.windows.of(kind) else {
        return call.await;
    };
    let mut timed = Timed::begin(window, Some((&ctx.report, kind)));
    let result = call.await;
    if counts {
        timed.how = how(&result);
    }
    result
}

/// Asks a question about each of many objects, as many at once as pay. The answers come in any order; it ends with the first error of
/// `hear`.
pub(crate) async fn ask_all<T, A, E>(
    ctx: &Context<'_>,
    objects: Vec<T>,
    ask: impl AsyncFn(&T) -> Result<A, CallError>,
    mut hear: impl FnMut(T, Result<A, CallError>) -> Result<(), E>,
) -> Result<(), E> {
    let window = &ctx.windows.questions;
    let ask = &ask;
    let mut objects = objects.into_iter();
    let mut asked = FuturesUnordered::new();
    loop {
        while asked.len() < window.borrow().size()
            && let Some(object) = objects.next()
        {
            asked.push(async move {
                let mut timed = Timed::begin(window, None);
                let answer = ask(&object).await;
                timed.how = how(&answer);
                drop(timed);
                (object, answer)
            });
        }
        match asked.next().await {
            Some((object, answer)) => hear(object, answer)?,
            None => return Ok(()),
        }
    }
}

/// The pace of the removals of one plan.
pub(crate) struct Pace<'a> {
    ctx: &'a Context<'a>,
    kind: Kind,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(ctx: &'a Context<'a>, kind: Kind) -> Pace<'a> {
        if let Some(window) = ctx.windows.of(kind) {
            window
                .borrow_mut()
                .hurry(ctx.all_unused || !ctx.queue.is_empty());
        }
        Pace { ctx, kind }
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

    /// How long nothing is to begin after a removal. A pass that somebody waits for does not rest.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let ctx = self.ctx;
        let window = ctx.windows.of(self.kind)?;
        if ctx.dry_run || ctx.all_unused {
            return None;
        }
        window.borrow_mut().hurry(!ctx.queue.is_empty());
        if !ctx.queue.is_empty() {
            return None;
        }
        Some(window.borrow().rest()).filter(|time| !time.is_zero())
    }

    /// Waits; not in a pass that is to end, nor while a caller waits for it.
    pub(crate) async fn wait(&self, time: Duration) {
        let began = BootInstant::now();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = self.ctx.stop.wait() => {}
            () = self.ctx.queue.joined() => {}
        }
        let rested = BootInstant::now().since(began);
        self.ctx.report.rested(self.kind, rested);
    }
}

/// Logs how the removals of a pass ran, and how many at once the engine has come to.
pub(super) fn log(ctx: &Context<'_>) {
    for (kind, figures) in ctx.report.pace().iter() {
        let Some(window) = ctx.windows.of(kind) else {
            continue;
        };
        let message = format!(
            "removed {:.1} {} at once on average, {} at most; pauses took {:.1} s; the next pass begins with {} at once",
            figures.in_flight_mean,
            many(kind),
            figures.in_flight_most,
            figures.rest_seconds,
            window.borrow().size(),
        );
        ctx.log(LogLevel::Info, &message);
    }
}
