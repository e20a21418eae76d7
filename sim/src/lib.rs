//! crisim: a CRI runtime in memory on a unix socket.

/// The CRI v1 messages and services of `proto/cri.proto`, client and server.
#[allow(missing_docs, clippy::enum_variant_names)] // generated
pub mod proto {
    tonic::include_proto!("runtime.v1");
}
