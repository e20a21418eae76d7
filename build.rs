//! Compiles the messages of the CRI description, without `protoc`. The calls are made in src/cri/call.rs.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/cri.proto");
    let descriptors = protox::compile(["proto/cri.proto"], ["proto"])?;
    prost_build::Config::new()
        // Texts of rows stay in the bytes that came: most of them (labels, annotations) nobody reads.
        .bytes([
            ".runtime.v1.Container",
            ".runtime.v1.ContainerMetadata",
            ".runtime.v1.PodSandbox",
            ".runtime.v1.PodSandboxMetadata",
            ".runtime.v1.Pair",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
