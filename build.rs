//! Compiles the CRI description (client only, without `protoc`).

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/cri.proto");
    let descriptors = protox::compile(["proto/cri.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        // Connections are made in src/cri/connect.rs.
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
