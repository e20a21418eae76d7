//! Speaks CRI with a runtime: connection, deadlines, lists (S7) turned into `node` objects. Decides nothing.

mod budget;
mod call;
pub(crate) mod client;
mod connect;
mod convert;
mod error;
mod learnt;
pub(crate) mod lists;

pub(crate) use connect::Place;
pub(crate) use convert::ContainerLook;
pub(crate) use error::CallError;
pub(crate) use learnt::{Learnt, List};

/// Generated from `proto/cri.proto`.
#[allow(missing_docs, dead_code, clippy::enum_variant_names)] // generated; the tests use the rest of it
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/runtime.v1.rs"));
}
