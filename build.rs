//! Compiles the CRI description (client only, without `protoc`).

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/cri.proto");
    let descriptors = protox::compile(["proto/cri.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        // Connections are made in src/cri/connect.rs.
        .build_transport(false)
        // Texts of rows stay in the bytes that came: most of them (labels, annotations) nobody reads.
        .bytes(".runtime.v1.Container")
        .bytes(".runtime.v1.ContainerMetadata")
        .bytes(".runtime.v1.PodSandbox")
        .bytes(".runtime.v1.PodSandboxMetadata")
        .bytes(".runtime.v1.Pair")
        .compile_fds(descriptors)?;
    Ok(())
}
