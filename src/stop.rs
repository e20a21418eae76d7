//! What ends a pass early: cancel, close, stop and deadlines (S6.5); and the queue of the calls that wait for its end (S6.3).

use crate::clock::BootInstant;
use crate::error::{Error, Status};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a request in flight may still take once its pass is to end (S6.5).
pub(crate) const GRACE: Duration = Duration::from_millis(300);

/// The longest sleep before the clock is read again: the timers of tokio do not count time in which the machine slept.
const NAP: Duration = Duration::from_secs(1);

/// A flag that any thread raises once, and that tasks and threads can wait for.
#[derive(Debug)]
pub(crate) struct Flag {
    raised: watch::Sender<bool>,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Flag {
    pub(crate) fn new() -> Flag {
        Flag {
            raised: watch::Sender::new(false),
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn raise(&self) {
        self.raised.send_replace(true);
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    pub(crate) fn is_raised(&self) -> bool {
        *self.raised.borrow()
    }

    /// Returns once it is raised.
    pub(crate) async fn wait(&self) {
        let mut receiver = self.raised.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|raised| *raised).await;
    }

    /// Blocks the thread until it is raised or `time` is reached; true = raised.
    pub(crate) fn wait_until(&self, time: BootInstant) -> bool {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = time.since(BootInstant::now());
            if self.is_raised() || left.is_zero() {
                return self.is_raised();
            }
            guard = self
                .changed
                .wait_timeout(guard, left.min(5 * NAP))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Sleeps until a time of CLOCK_BOOTTIME (S0.10).
pub(crate) async fn sleep_until(time: BootInstant) {
    loop {
        let left = time.since(BootInstant::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(NAP)).await;
    }
}

/// Why a pass ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Closed,
    Stopped,
    Cancelled,
    CallDeadline,
    PassTimeout(Duration),
}

impl Cause {
    pub(crate) fn error(self) -> Error {
        let (status, message) = match self {
            Cause::Closed => (
                Status::Closed,
                "the engine was closed; make a new one to continue".to_owned(),
            ),
            Cause::Stopped => (
                Status::Cancelled,
                "the periodic passes were stopped by gc_stop".to_owned(),
            ),
            Cause::Cancelled => (
                Status::Cancelled,
                "the call was cancelled by gc_call_cancel".to_owned(),
            ),
            Cause::CallDeadline => (
                Status::Timeout,
                "the deadline of the call passed; give gc_call_new a longer one, or call again to continue".to_owned(),
            ),
            Cause::PassTimeout(limit) => (
                Status::Timeout,
                format!(
                    "the pass took longer than pass-timeout ({limit:?}); set a longer one, or let the next pass continue"
                ),
            ),
        };
        Error::new(status, message)
    }
}

/// The deadline of one call, and the means to cancel it. A cancel lasts, may come before the call, and never blocks.
#[derive(Debug)]
pub struct Call {
    cancelled: Flag,
    deadline: Option<BootInstant>,
}

impl Call {
    /// A call with a deadline `timeout_ms` from now, which includes the wait for its turn; 0 = none.
    pub fn new(timeout_ms: u64) -> Call {
        let deadline =
            (timeout_ms > 0).then(|| BootInstant::now().plus(Duration::from_millis(timeout_ms)));
        Call {
            cancelled: Flag::new(),
            deadline,
        }
    }

    /// Ends the call, now or when it begins.
    pub fn cancel(&self) {
        self.cancelled.raise();
    }
}

/// Everything that can end one pass early.
#[derive(Clone, Copy)]
pub(crate) struct Stop<'a> {
    pub(crate) closed: &'a Flag,
    pub(crate) stopped: Option<&'a Flag>,
    pub(crate) call: Option<&'a Call>,
    pub(crate) pass_deadline: Option<(BootInstant, Duration)>,
}

impl Stop<'_> {
    /// Why the pass has to end; `None` = it may continue.
    pub(crate) fn cause(&self) -> Option<Cause> {
        if self.closed.is_raised() {
            return Some(Cause::Closed);
        }
        if self.stopped.is_some_and(Flag::is_raised) {
            return Some(Cause::Stopped);
        }
        if self.call.is_some_and(|c| c.cancelled.is_raised()) {
            return Some(Cause::Cancelled);
        }
        let now = BootInstant::now();
        if self.call.and_then(|c| c.deadline).is_some_and(|d| d <= now) {
            return Some(Cause::CallDeadline);
        }
        let (deadline, limit) = self.pass_deadline?;
        (deadline <= now).then_some(Cause::PassTimeout(limit))
    }

    /// Returns once the pass has to end.
    pub(crate) async fn wait(&self) -> Cause {
        tokio::select! {
            () = self.closed.wait() => {}
            () = raised(self.stopped) => {}
            () = raised(self.call.map(|c| &c.cancelled)) => {}
            () = passed(self.call.and_then(|c| c.deadline)) => {}
            () = passed(self.pass_deadline.map(|(deadline, _)| deadline)) => {}
        }
        // One of them has happened, and none of them can be undone.
        self.cause().unwrap_or(Cause::Cancelled)
    }
}

async fn raised(flag: Option<&Flag>) {
    match flag {
        Some(flag) => flag.wait().await,
        None => std::future::pending().await,
    }
}

async fn passed(deadline: Option<BootInstant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// How many calls wait for their turn behind a pass. While one waits, removals do not pause.
#[derive(Debug)]
pub(crate) struct Queue(watch::Sender<usize>);

impl Default for Queue {
    fn default() -> Queue {
        Queue(watch::Sender::new(0))
    }
}

impl Queue {
    /// Joins the queue until the result is dropped.
    pub(crate) fn join(&self) -> InQueue<'_> {
        self.0.send_modify(|waiting| *waiting += 1);
        InQueue(self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Returns once a call waits.
    pub(crate) async fn joined(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|waiting| *waiting > 0).await;
    }
}

/// A call that waits.
pub(crate) struct InQueue<'a>(&'a Queue);

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|waiting| *waiting -= 1);
    }
}
