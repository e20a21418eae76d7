//! crisim: a CRI runtime in memory on a unix socket, with a node made to order, delays, faults and message limits. It
//! answers as containerd does (a test of crigc compares them), unless it is told otherwise.

mod authority;
pub mod client;
pub mod delay;
pub mod fault;
pub mod made;
mod messages;
pub mod node;
pub mod server;
mod service_images;
mod service_runtime;
pub mod trace;

pub use server::{Options, Server};

/// The CRI v1 messages and services of `proto/cri.proto`, client and server.
#[allow(missing_docs, clippy::enum_variant_names)] // generated
pub mod proto {
    tonic::include_proto!("runtime.v1");
}
