//! crisim: a CRI runtime in memory on a unix socket, with a node made to order, delays, faults and message limits. It
//! answers as containerd does (a test of crigc compares them), unless its options say something else.

mod authority;
mod claim;
pub mod client;
mod connection;
pub mod delay;
pub mod fault;
mod lists;
pub mod made;
mod messages;
pub mod node;
pub mod server;
mod service_images;
mod service_runtime;
mod store;
mod stream;
pub mod trace;
mod troubles;
pub mod workers;

pub use server::{Options, Server};

/// The CRI v1 messages and clients of `proto/cri.proto`.
#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod proto {
    tonic::include_proto!("runtime.v1");
}

/// Its servers, whose lists take rows that are encoded already.
#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub(crate) mod served {
    include!(concat!(env!("OUT_DIR"), "/served/runtime.v1.rs"));
}
