//! What the host lends a pass: its pod states, its approval, its figures, its clock, and where it wants to hear of things.
//! Plain closures; `ffi` makes them from C callbacks, tests from Rust. Each is called by one thread at a time.

use crate::effect;
use crate::error::Error;
use crate::node::{FsUsage, PodStates, Text};
use crate::report::{Entry, Kind, Pass, Report};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How much a log message matters; the numbers of `gc_log_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum LogLevel {
    /// Something failed.
    Error = 0,
    /// Something is odd.
    Warn = 1,
    /// What was done.
    Info = 2,
    /// How it was done.
    Debug = 3,
}

/// A closure of the host, called by one thread at a time.
pub struct Hook<F: ?Sized>(Mutex<Box<F>>);

impl<F: ?Sized> Hook<F> {
    /// Guards a closure.
    pub fn new(f: Box<F>) -> Hook<F> {
        Hook(Mutex::new(f))
    }

    /// Calls it, once no other thread is in it.
    pub fn with<R>(&self, call: impl FnOnce(&mut F) -> R) -> R {
        effect::point("call back");
        call(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Asks which pods may go. Only those in `uids` may be answered.
pub type PodStatesFn = dyn FnMut(&[Text]) -> PodStates + Send;
/// Approves of one removal.
pub type ApproveFn = dyn FnMut(&Entry) -> bool + Send;
/// The host's own figures of the image filesystem; `None` = it has none.
pub type ImageFsFn = dyn FnMut() -> Option<FsUsage> + Send;
/// Hears of what happens.
pub type LogFn = dyn FnMut(LogLevel, &str) + Send;
/// Hears of warnings: reason and message (S6.2).
pub type EventFn = dyn FnMut(&str, &str) + Send;
/// Hears how far a pass is: kind, done, total.
pub type ProgressFn = dyn FnMut(Kind, usize, usize) + Send;
/// Hears that a pass has ended.
pub type PassFn = dyn FnMut(Pass, Option<&Report>, Option<&Error>) + Send;
/// The wall clock; ns since the epoch.
pub type ClockFn = dyn FnMut() -> i64 + Send;

/// The closures of one host.
#[derive(Default)]
pub struct Hooks {
    /// S0.3; without it no pod is removable, and sources count as ready.
    pub pod_states: Option<Hook<PodStatesFn>>,
    /// S2.1; without it all is approved.
    pub approve: Option<Hook<ApproveFn>>,
    /// S5.11; without it the runtime and statvfs are asked.
    pub image_fs: Option<Hook<ImageFsFn>>,
    /// Up to which level, and where to.
    pub log: Option<(LogLevel, Hook<LogFn>)>,
    /// S6.2.
    pub event: Option<Hook<EventFn>>,
    /// How far a stage is.
    pub progress: Option<Hook<ProgressFn>>,
    /// Each ended pass.
    pub pass: Option<Hook<PassFn>>,
    /// S0.10; without it the system's clock.
    pub clock: Option<Hook<ClockFn>>,
    /// For tests alone: how long a pass waits for stops in place of S2.3's 10 minutes.
    #[doc(hidden)]
    pub stop_wait: Option<Duration>,
}
