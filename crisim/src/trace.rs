//! The calls, in order.

use crate::server::{About, Shared, lock};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// In the order in which they arrived.
    pub seq: usize,
    /// Such as `RemoveContainer`.
    pub method: &'static str,
    /// The object it is about; "" for lists.
    pub id: String,
    /// µs since the server started.
    pub start: u64,
    /// The same; 0 = it has not ended.
    pub end: u64,
    /// Calls of this method in flight when it arrived, itself included.
    pub in_flight: usize,
    /// The code of its answer; -1 = none yet, or the connection was cut.
    pub code: i32,
    /// Another argument: the timeout of StopContainer in seconds.
    pub argument: i64,
    /// The filter of a list: `state=2,pod_sandbox_id=ab,io.kubernetes.pod.uid=cd`; "" for all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub selector: String,
}

/// All calls.
#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) calls: Vec<Call>,
    /// How many of a method are in flight.
    running: HashMap<&'static str, usize>,
}

/// A running call. It notes its end when it is dropped, also if it is cut off.
pub(crate) struct Traced {
    pub(crate) shared: Arc<Shared>,
    method: &'static str,
    seq: usize,
    pub(crate) code: i32,
}

impl Traced {
    pub(crate) fn begin(shared: &Arc<Shared>, about: &About<'_>) -> Traced {
        let trace = &mut *lock(&shared.trace);
        let running = trace.running.entry(about.method).or_default();
        *running += 1;
        let seq = trace.calls.len();
        trace.calls.push(Call {
            seq,
            method: about.method,
            id: String::from_utf8_lossy(about.id).into_owned(),
            start: shared.now(),
            end: 0,
            in_flight: *running,
            code: -1,
            argument: about.argument,
            selector: about.selector.clone(),
        });
        Traced {
            shared: shared.clone(),
            method: about.method,
            seq,
            code: -1,
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let now = self.shared.now();
        let trace = &mut *lock(&self.shared.trace);
        if let Some(running) = trace.running.get_mut(self.method) {
            *running -= 1;
        }
        if let Some(call) = trace.calls.get_mut(self.seq) {
            call.end = now;
            call.code = self.code;
        }
    }
}
