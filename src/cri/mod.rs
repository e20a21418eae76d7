//! Speaks CRI with a runtime: connection, deadlines, lists (S7) turned into `node` objects. Decides nothing.

mod call;
pub(crate) mod client;
mod connect;
mod convert;
mod error;
mod learnt;
pub(crate) mod list;
mod rows;

pub(crate) use connect::Place;
pub(crate) use convert::ContainerLook;
pub(crate) use error::CallError;
pub(crate) use learnt::{Learnt, List};
#[cfg(fuzzing)]
pub(crate) use rows::rows_of;
pub(crate) use rows::{LIST_LIMIT, Rows, too_many_bytes};

/// Generated from `proto/cri.proto`.
#[allow(missing_docs, dead_code, clippy::enum_variant_names)] // generated; the tests use the rest of it
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/runtime.v1.rs"));
}
