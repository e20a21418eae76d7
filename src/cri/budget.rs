//! What all calls of a service in one pass share: how long each may take, when they end with the pass, and when no more are made
//! (S6.5).

use super::Place;
use super::error::CallError;
use crate::clock::BootInstant;
use crate::error::Error;
use crate::panic_points;
use crate::stop::{GRACE, Stop, sleep_until};
use futures_util::future::FutureExt;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

/// With so many calls of one kind in a row left without an answer, a pass makes no more of that kind about single objects: it would
/// take the request timeout for each of thousands.
pub(super) const PATIENCE: u32 = 10;
/// How often a call whose time is up is looked at once more. A callback of the host may have held this thread while the answer
/// came: then it is there, and was in time.
const LAST_LOOKS: usize = 8;

/// A call to be made. It stays where it is: calls are large, and would else be copied from hand to hand.
type Call<'a, T> = Pin<&'a mut dyn Future<Output = Answer<T>>>;
pub(super) type Answer<T> = std::result::Result<T, CallError>;

/// What the calls of one service in one pass share.
pub(super) struct CallBudget<'a> {
    pub(super) limit: Duration,
    stop: Stop<'a>,
    /// Calls in a row that timed out, of each kind.
    silent: RefCell<HashMap<Method, u32>>,
    /// Of which kind it came to `PATIENCE` first.
    pub(super) gave_up: Cell<Option<Method>>,
    /// The last call got no answer.
    pub(super) doubtful: Cell<bool>,
    /// Something has been answered in this pass.
    answered: Cell<bool>,
    /// And that with a look at what the runtime has: one that hangs may still tell its version, or that it does not know a call.
    has_looked: Cell<bool>,
    /// Why the service is asked nothing more: it never answered, or it is none of CRI.
    lost: RefCell<Option<CallError>>,
}

/// A kind of call by its path: service and method.
pub(super) type Method = &'static str;

pub(super) const VERSION: Method = "/runtime.v1.RuntimeService/Version";

impl<'a> CallBudget<'a> {
    pub(super) fn new(limit: Duration, stop: Stop<'a>) -> CallBudget<'a> {
        CallBudget {
            limit,
            stop,
            silent: RefCell::default(),
            gave_up: Cell::new(None),
            doubtful: Cell::new(false),
            answered: Cell::new(false),
            has_looked: Cell::new(false),
            lost: RefCell::default(),
        }
    }

    pub(super) fn has_given_up(&self, method: Method) -> bool {
        let silent = self.silent.borrow().get(method).copied();
        silent.unwrap_or(0) >= PATIENCE
    }

    /// A call about the whole: it is made even where single ones were given up.
    pub(super) async fn ask_all<T>(&self, method: Method, call: Call<'_, T>) -> Answer<T> {
        self.begin(method, self.limit, call).await
    }

    /// A call about one object.
    pub(super) async fn ask<T>(
        &self,
        method: Method,
        limit: Duration,
        call: Call<'_, T>,
    ) -> Answer<T> {
        if self.has_given_up(method) {
            return Err(CallError::GivenUp(method));
        }
        self.begin(method, limit, call).await
    }

    async fn begin<T>(&self, method: Method, limit: Duration, call: Call<'_, T>) -> Answer<T> {
        if let Some(lost) = &*self.lost.borrow() {
            return Err(lost.clone());
        }
        match self.stop.cause() {
            Some(cause) => Err(CallError::NotBegun(cause)),
            None => self.finish(method, limit, call).await,
        }
    }

    /// Runs a call under its deadline and its pass, also when that has been told to end.
    pub(super) async fn finish<T>(
        &self,
        method: Method,
        limit: Duration,
        call: Call<'_, T>,
    ) -> Answer<T> {
        // Whatever a defect breaks off got no answer.
        let broken_off = Unanswered(self, method);
        panic_points::point("call the runtime");
        let answer = self.bounded(limit, call).await;
        panic_points::point("take the runtime's answer");
        std::mem::forget(broken_off);
        match &answer {
            Err(CallError::Timeout(_)) => self.silence(method),
            _ => drop(self.silent.borrow_mut().remove(method)),
        }
        let unanswered = answer.as_ref().is_err_and(CallError::is_no_answer);
        self.doubtful.set(unanswered);
        let is_hollow = method == VERSION || matches!(answer, Err(CallError::Unimplemented { .. }));
        let is_known = match &answer {
            Err(CallError::Timeout(_)) => self.has_looked.get(),
            _ => self.answered.get(),
        };
        match &answer {
            Err(e) if !is_known && e.shows_no_service() => {
                self.lost.borrow_mut().get_or_insert_with(|| e.clone());
            }
            _ if !unanswered => {
                self.answered.set(true);
                self.has_looked.set(self.has_looked.get() || !is_hollow);
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

    /// What the one error of a service that is asked no more says.
    pub(super) fn lost(&self, endpoint: Place<'_>) -> Option<Error> {
        let lost = self.lost.borrow();
        lost.as_ref()
            .map(|e| e.error("cannot ask the runtime", endpoint))
    }

    async fn bounded<T>(&self, limit: Duration, mut call: Call<'_, T>) -> Answer<T> {
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
        for _ in 0..LAST_LOOKS {
            tokio::task::yield_now().await;
            if let Some(answer) = (&mut call).now_or_never() {
                return answer;
            }
        }
        Err(why)
    }
}

/// A call under way. Dropping it says that there will be no answer.
struct Unanswered<'l, 'a>(&'l CallBudget<'a>, Method);

impl Drop for Unanswered<'_, '_> {
    fn drop(&mut self) {
        self.0.silence(self.1);
        self.0.doubtful.set(true);
    }
}
