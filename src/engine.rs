//! The engine: what a host holds, and what `ffi` calls. A pass runs on the caller's thread (api.md, 10).

use crate::config::Config;
use crate::error::{Error, Result};
use crate::hooks::Hooks;
use crate::report::Report;

/// How a pass is to be run; the flags of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Decide and report, remove nothing (S0.5).
    pub dry_run: bool,
    /// The kubelet under disk pressure (S1.4, S3.3, S5.10).
    pub all_unused: bool,
    /// `Busy` rather than waiting for a pass of the kind that runs.
    pub no_wait: bool,
}

/// How a call ended: a report if and only if the pass began, an error if and only if it failed.
#[derive(Debug)]
pub struct PassEnd {
    /// What it decided and did.
    pub report: Option<Report>,
    /// Why it failed.
    pub error: Option<Error>,
}

/// One call's deadline and its cancel button. Cancel is sticky, may come before the call, and never blocks.
pub struct Call {}

impl Call {
    /// With a deadline that many ms from now (waiting for its turn included); 0 = none.
    pub fn new(timeout_ms: u64) -> Call {
        let _ = timeout_ms;
        unimplemented!()
    }

    /// Ends the call, now or when it comes.
    pub fn cancel(&self) {
        unimplemented!()
    }
}

/// A configured collector. May be used from any number of threads at once.
pub struct Engine {}

impl Engine {
    /// Copies nothing, needs no running runtime yet. What is wrong only together is refused here.
    pub fn new(config: Config, hooks: Hooks) -> Result<Engine> {
        let _ = (config, hooks);
        unimplemented!()
    }

    /// S1 to S4.
    pub fn containers(&self, flags: Flags, call: Option<&Call>) -> PassEnd {
        let _ = (flags, call);
        unimplemented!()
    }

    /// S5.
    pub fn images(&self, flags: Flags, call: Option<&Call>) -> PassEnd {
        let _ = (flags, call);
        unimplemented!()
    }

    /// S6 in the background; twice is fine.
    pub fn start(&self) -> Result<()> {
        unimplemented!()
    }

    /// Cancels the periodic passes, waits for them; may be started again. From a thread of the engine itself it does not wait.
    pub fn stop(&self) {
        unimplemented!()
    }

    /// Never blocks: passes end soon with `Closed`, so do later calls.
    pub fn close(&self) {
        unimplemented!()
    }
}
