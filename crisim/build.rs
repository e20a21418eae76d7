//! Compiles the CRI description, client and server, without `protoc`.

use std::error::Error;
use std::path::PathBuf;

/// The answers that are lists.
const LISTS: [&str; 6] = [
    "ListContainersResponse",
    "ListPodSandboxResponse",
    "ListImagesResponse",
    "StreamContainersResponse",
    "StreamPodSandboxesResponse",
    "StreamImagesResponse",
];
/// The type `bytes` of a descriptor.
const BYTES: i32 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../proto/cri.proto");
    let mut descriptors = protox::compile(["../proto/cri.proto"], ["../proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(descriptors.clone())?;

    // The server keeps its rows encoded: in the lists that it sends they are bytes, which are the same on the wire.
    let folder = PathBuf::from(std::env::var("OUT_DIR")?).join("served");
    std::fs::create_dir_all(&folder)?;
    let mut server = tonic_prost_build::configure()
        .build_client(false)
        .out_dir(folder)
        .bytes(".");
    for file in &mut descriptors.file {
        let messages = file.message_type.iter().filter_map(|m| m.name.clone());
        let enums = file.enum_type.iter().filter_map(|e| e.name.clone());
        let others = messages.chain(enums);
        for name in others.filter(|name| !LISTS.contains(&name.as_str())) {
            server = server.extern_path(
                format!(".runtime.v1.{name}"),
                format!("crate::proto::{name}"),
            );
        }
        let lists = file.message_type.iter_mut();
        for list in lists.filter(|m| LISTS.contains(&m.name())) {
            for rows in &mut list.field {
                rows.r#type = Some(BYTES);
                rows.type_name = None;
            }
        }
    }
    server.compile_fds(descriptors)?;
    Ok(())
}
