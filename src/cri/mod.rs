//! Speaks CRI with a runtime: connection, deadlines, lists (S7) turned into `node` objects. Decides nothing.

mod budget;
mod call;
mod capabilities;
pub(crate) mod client;
mod connect;
mod convert;
mod error;
pub(crate) mod lists;

pub(crate) use capabilities::{Capabilities, List};
pub(crate) use connect::Place;
pub(crate) use convert::ContainerStatus;
pub(crate) use error::CallError;

/// Generated from `proto/cri.proto`.
#[allow(missing_docs, dead_code, clippy::all, reason = "generated")]
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/runtime.v1.rs"));
}
