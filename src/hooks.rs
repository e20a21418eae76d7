//! The callbacks of the host as plain closures: `ffi` makes them from C functions, tests from Rust ones. One thread at a time calls each.

use crate::error::Error;
use crate::node::{FsUsage, PodStates, Text};
use crate::panic_points;
use crate::report::{Entry, Kind, Pass, Report};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The level of a log message; the numbers of `gc_log_level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum LogLevel {
    /// Something failed.
    Error = 0,
    /// Something is odd.
    Warn = 1,
    /// Something was done.
    Info = 2,
    /// Why each object was kept.
    Debug = 3,
}

/// A service of the runtime that the host connects to; the numbers of `gc_service`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Service {
    /// Containers and pod sandboxes.
    Runtime = 0,
    /// Images.
    Image = 1,
}

/// What the host gave as a connection.
#[derive(Debug)]
pub struct Descriptor {
    /// Its number in the host, for messages.
    pub number: i32,
    /// The same file, which is crigc's now; an error = it cannot be taken over.
    pub socket: io::Result<OwnedFd>,
}

/// Connects to a service; `None` = the host has no connection.
pub type Connect = Hook<dyn Fn(Service) -> Option<Descriptor> + Send + Sync>;

/// A function of the host, called by one thread at a time. A clone is for another engine and does not wait for the original.
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

    /// Calls the function once no other thread is in it.
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

/// The callbacks that a host has set.
#[derive(Clone, Default)]
#[expect(clippy::type_complexity, reason = "names would be a second list")]
pub struct Hooks {
    /// Reports which of these pods may be collected (S0.3). Without it none may, and the pod sources count as ready.
    pub pod_states: Option<Hook<dyn Fn(&[Text]) -> PodStates + Send + Sync>>,
    /// Approves the removal of an object (S2.1). Without it every removal is approved.
    pub approve: Option<Hook<dyn Fn(&Entry) -> bool + Send + Sync>>,
    /// Reports how full the image filesystem is (S5.11); `None` = unknown. Without it the runtime and statvfs are asked.
    pub image_fs: Option<Hook<dyn Fn() -> Option<FsUsage> + Send + Sync>>,
    /// Receives log messages, up to this level.
    pub log: Option<(LogLevel, Hook<dyn Fn(LogLevel, &str) + Send + Sync>)>,
    /// Receives the reason and message of events (S6.2).
    pub event: Option<Hook<dyn Fn(&str, &str) + Send + Sync>>,
    /// Receives the progress of the removals of one kind: kind, done, total.
    pub progress: Option<Hook<dyn Fn(Kind, usize, usize) + Send + Sync>>,
    /// Receives the end of a pass.
    pub pass: Option<Hook<dyn Fn(Pass, Option<&Report>, Option<&Error>) + Send + Sync>>,
    /// Returns the wall clock, ns since the epoch (S0.10). Without it passes read the system's clock.
    pub clock: Option<Hook<dyn Fn() -> i64 + Send + Sync>>,
    /// Connects to the runtime (S0.11). Without it crigc connects to the unix sockets that the endpoint keys name.
    pub connect: Option<Connect>,
    /// Only for tests: how long a pass waits for stops, instead of S2.3's 10 minutes.
    #[doc(hidden)]
    pub stop_wait: Option<Duration>,
}
