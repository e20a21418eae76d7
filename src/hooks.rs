//! What the host lends a pass: its pod states, its approval, its figures, its clock, and where it wants to hear of things.
//! Plain closures; `ffi` makes them from C callbacks, tests from Rust. Each is called by one thread at a time.

use crate::error::Error;
use crate::node::{FsUsage, PodStates, Text};
use crate::panic_points;
use crate::report::{Entry, Kind, Pass, Report};
use std::sync::{Arc, Mutex, PoisonError};
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

/// A function of the host, called by one thread at a time. A clone is another engine's: it waits for itself alone.
pub struct Hook<F: ?Sized> {
    turn: Mutex<()>,
    function: Arc<F>,
}

impl<F: ?Sized> Hook<F> {
    /// Guards a closure.
    pub fn new(function: Box<F>) -> Hook<F> {
        Hook {
            turn: Mutex::new(()),
            function: function.into(),
        }
    }

    /// Calls it, once no other thread is in it.
    pub fn with<R>(&self, call: impl FnOnce(&F) -> R) -> R {
        panic_points::point("call back");
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        call(&self.function)
    }
}

impl<F: ?Sized> Clone for Hook<F> {
    fn clone(&self) -> Hook<F> {
        Hook {
            turn: Mutex::new(()),
            function: self.function.clone(),
        }
    }
}

/// What a host has set; `None` = nothing.
#[derive(Clone, Default)]
#[expect(clippy::type_complexity, reason = "names would be a second list")]
pub struct Hooks {
    /// S0.3: which of these pods may go. Without it none may, and sources count as ready.
    pub pod_states: Option<Hook<dyn Fn(&[Text]) -> PodStates + Send + Sync>>,
    /// S2.1: whether an object may go. Without it all is approved.
    pub approve: Option<Hook<dyn Fn(&Entry) -> bool + Send + Sync>>,
    /// S5.11: the host's own figures of the image filesystem, if it has some. Without it the runtime and statvfs are asked.
    pub image_fs: Option<Hook<dyn Fn() -> Option<FsUsage> + Send + Sync>>,
    /// Hears what happens, up to this level.
    pub log: Option<(LogLevel, Hook<dyn Fn(LogLevel, &str) + Send + Sync>)>,
    /// S6.2: hears of warnings, reason and message.
    pub event: Option<Hook<dyn Fn(&str, &str) + Send + Sync>>,
    /// Hears how far a stage is: kind, done, total.
    pub progress: Option<Hook<dyn Fn(Kind, usize, usize) + Send + Sync>>,
    /// Hears that a pass has ended.
    pub pass: Option<Hook<dyn Fn(Pass, Option<&Report>, Option<&Error>) + Send + Sync>>,
    /// S0.10: the wall clock, ns since the epoch. Without it the system's.
    pub clock: Option<Hook<dyn Fn() -> i64 + Send + Sync>>,
    /// For tests alone: how long a pass waits for stops in place of S2.3's 10 minutes.
    #[doc(hidden)]
    pub stop_wait: Option<Duration>,
}
