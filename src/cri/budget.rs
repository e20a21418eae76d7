//! How long each call of a service in one pass may take, and when no more calls are made (S6.5).

use super::Place;
use super::error::CallError;
use crate::clock::BootInstant;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::panic_points;
use crate::stop::{GRACE, Stop, sleep_until};
use futures_util::future::FutureExt;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

/// After this many calls of one kind in a row without an answer, a pass makes no more calls of that kind about single objects: each of
/// thousands would take the request timeout.
pub(super) const PATIENCE: u32 = 10;
/// How often a call whose time is up is polled once more. A callback of the host may have blocked this thread while the answer came in
/// time.
const LAST_POLLS: usize = 8;

/// A call to be made. It is pinned, because calls are large and would otherwise be copied from function to function.
type PinnedCall<'a, T> = Pin<&'a mut dyn Future<Output = Answer<T>>>;
pub(super) type Answer<T> = std::result::Result<T, CallError>;

/// The limits of the calls of one service in one pass.
pub(super) struct CallBudget<'a> {
    pub(super) limit: Duration,
    stop: Stop<'a>,
    /// Where the durations of calls, and what lists show, are counted.
    pub(super) metrics: &'a Metrics,
    /// How many calls in a row timed out, by kind.
    silent: RefCell<HashMap<Method, u32>>,
    /// The kind of call that reached `PATIENCE` first.
    pub(super) gave_up: Cell<Option<Method>>,
    /// The last call got no answer.
    pub(super) doubtful: Cell<bool>,
    /// A call has been answered in this pass.
    answered: Cell<bool>,
    /// A call has been answered for which the runtime reads its data. A runtime that hangs may still report its version, or that it does
    /// not know a call.
    has_read: Cell<bool>,
    /// Why no call is made any more: the service never answered, or does not speak CRI.
    lost: RefCell<Option<CallError>>,
}

/// A kind of call by its path: service and method.
pub(super) type Method = &'static str;

pub(super) const VERSION: Method = "/runtime.v1.RuntimeService/Version";

impl<'a> CallBudget<'a> {
    pub(super) fn new(limit: Duration, stop: Stop<'a>, metrics: &'a Metrics) -> CallBudget<'a> {
        CallBudget {
            limit,
            stop,
            metrics,
            silent: RefCell::default(),
            gave_up: Cell::new(None),
            doubtful: Cell::new(false),
            answered: Cell::new(false),
            has_read: Cell::new(false),
            lost: RefCell::default(),
        }
    }

    pub(super) fn has_given_up(&self, method: Method) -> bool {
        let silent = self.silent.borrow().get(method).copied();
        silent.unwrap_or(0) >= PATIENCE
    }

    /// Makes a call about one object.
    pub(super) async fn ask<T>(
        &self,
        method: Method,
        limit: Duration,
        call: PinnedCall<'_, T>,
    ) -> Answer<T> {
        if self.has_given_up(method) {
            return Err(CallError::GivenUp(method));
        }
        self.ask_all(method, limit, call).await
    }

    /// Makes a call about the whole, even if calls about single objects were given up.
    pub(super) async fn ask_all<T>(
        &self,
        method: Method,
        limit: Duration,
        call: PinnedCall<'_, T>,
    ) -> Answer<T> {
        if let Some(lost) = &*self.lost.borrow() {
            return Err(lost.clone());
        }
        match self.stop.cause() {
            Some(cause) => Err(CallError::NotBegun(cause)),
            None => self.finish(method, limit, call).await,
        }
    }

    /// Runs a call until its deadline or the end of its pass, even if the pass has been told to end before.
    pub(super) async fn finish<T>(
        &self,
        method: Method,
        limit: Duration,
        call: PinnedCall<'_, T>,
    ) -> Answer<T> {
        // A call that a panic ends got no answer.
        let broken_off = Unanswered(self, method);
        panic_points::point("call the runtime");
        let began = BootInstant::now();
        let answer = self.bounded(limit, call).await;
        self.metrics.called(method, BootInstant::now().since(began));
        panic_points::point("take the runtime's answer");
        std::mem::forget(broken_off);
        match &answer {
            Err(CallError::Timeout(_)) => self.silence(method),
            _ => drop(self.silent.borrow_mut().remove(method)),
        }
        let unanswered = answer.as_ref().is_err_and(CallError::is_no_answer);
        self.doubtful.set(unanswered);
        let is_without_data =
            method == VERSION || matches!(answer, Err(CallError::Unimplemented { .. }));
        let is_known = match &answer {
            Err(CallError::Timeout(_)) => self.has_read.get(),
            _ => self.answered.get(),
        };
        match &answer {
            Err(e) if !is_known && e.shows_no_service() => {
                self.lost.borrow_mut().get_or_insert_with(|| e.clone());
            }
            _ if !unanswered => {
                self.answered.set(true);
                self.has_read.set(self.has_read.get() || !is_without_data);
            }
            _ => {}
        }
        answer
    }

    fn silence(&self, method: Method) {
        *self.silent.borrow_mut().entry(method).or_default() += 1;
        if self.has_given_up(method) && self.gave_up.get().is_none() {
            self.gave_up.set(Some(method));
        }
    }

    /// The error of a service that is asked nothing more.
    pub(super) fn lost(&self, endpoint: Place<'_>) -> Option<Error> {
        let lost = self.lost.borrow();
        lost.as_ref()
            .map(|e| e.error("cannot ask the runtime", endpoint))
    }

    async fn bounded<T>(&self, limit: Duration, mut call: PinnedCall<'_, T>) -> Answer<T> {
        let ending = async {
            let cause = self.stop.wait().await;
            tokio::time::sleep(GRACE).await;
            cause
        };
        let why = tokio::select! {
            biased;
            answer = &mut call => return answer,
            () = sleep_until(BootInstant::now().plus(limit)) => CallError::Timeout(limit),
            cause = ending => CallError::Interrupted(cause),
        };
        for _ in 0..LAST_POLLS {
            tokio::task::yield_now().await;
            if let Some(answer) = (&mut call).now_or_never() {
                return answer;
            }
        }
        Err(why)
    }
}

/// A call in flight. Dropping this records that the call got no answer.
struct Unanswered<'l, 'a>(&'l CallBudget<'a>, Method);

impl Drop for Unanswered<'_, '_> {
    fn drop(&mut self) {
        self.0.silence(self.1);
        self.0.doubtful.set(true);
    }
}
