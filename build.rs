//! Compiles the messages of proto/cri.proto, without `protoc`. src/cri/call.rs makes the calls.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/cri.proto");
    let descriptors = protox::compile(["proto/cri.proto"], ["proto"])?;
    prost_build::Config::new()
        // Texts of rows are slices of the answer: crigc never reads most of them (labels, annotations).
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
