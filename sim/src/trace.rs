//! What was called, in order.

use serde::Serialize;

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// In the order in which they came.
    pub seq: usize,
    /// Such as `RemoveContainer`.
    pub method: &'static str,
    /// The object it is about; "" for lists.
    pub id: String,
    /// µs since the server started.
    pub start: u64,
    /// The same; 0 = it has not ended.
    pub end: u64,
    /// Calls of this method in flight when it came, itself included.
    pub in_flight: usize,
    /// The code of its answer; -1 = none yet, or it was cut off.
    pub code: i32,
    /// What else was asked: the timeout of StopContainer in seconds.
    pub argument: i64,
}
