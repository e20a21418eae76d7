//! Speaks CRI with a runtime: connection, deadlines, lists turned into `node` objects. Decides nothing.

pub(crate) mod client;
mod connect;
mod convert;
mod error;

pub(crate) use connect::Place;
pub(crate) use convert::ContainerLook;
pub(crate) use error::CallError;

/// Generated from `proto/cri.proto`.
#[allow(missing_docs, dead_code, clippy::enum_variant_names)] // generated; the tests use the rest of it
pub(crate) mod proto {
    tonic::include_proto!("runtime.v1");
}
