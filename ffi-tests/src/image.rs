//! Images that are made here: no registry is needed.

use crate::process::{Made, output};
use crate::root;
use std::path::Path;
use std::process::Command;

/// Makes an image in a new folder, in the OCI layout and with its name in it. Its content depends on `salt`; it has this number of empty
/// files more.
pub fn layout(folder: &Path, name: &str, salt: &str, more: usize) -> Made<tempfile::TempDir> {
    let layout = tempfile::tempdir_in(folder)?;
    let blobs = layout.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs)?;
    let files = layout.path().join("files");
    std::fs::create_dir(&files)?;
    let program = folder.join("program");
    if !program.exists() {
        let source = root().join("ffi-tests/images/program.c");
        let mut compiler = Command::new("cc");
        output(
            compiler
                .args(["-static", "-O2", "-o"])
                .arg(&program)
                .arg(source),
        )?;
    }
    std::fs::copy(program, files.join("program"))?;
    std::fs::write(files.join("salt"), salt)?;
    std::fs::create_dir(files.join("more"))?;
    for number in 0..more {
        std::fs::write(files.join(format!("more/{number}")), b"")?;
    }
    let layer = layout.path().join("layer.tar");
    output(
        Command::new("tar")
            .arg("-C")
            .arg(&files)
            .args(["--mtime=@0", "--owner=0", "--group=0", "-cf"])
            .arg(&layer)
            .args(["program", "salt", "more"]),
    )?;
    let (layer_digest, layer_size) = blob(&blobs, &std::fs::read(&layer)?)?;
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Entrypoint":["/program"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:{layer_digest}"]}}}}"#
    );
    let (config_digest, config_size) = blob(&blobs, config.as_bytes())?;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{config_digest}","size":{config_size}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:{layer_digest}","size":{layer_size}}}]}}"#
    );
    let (digest, size) = blob(&blobs, manifest.as_bytes())?;
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{digest}","size":{size},"annotations":{{"io.containerd.image.name":"{name}"}}}}]}}"#
    );
    std::fs::write(layout.path().join("index.json"), index)?;
    std::fs::write(
        layout.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    Ok(layout)
}

/// Writes a blob; its digest and size.
fn blob(folder: &Path, data: &[u8]) -> Made<(String, usize)> {
    let file = folder.join("new");
    std::fs::write(&file, data)?;
    let line = output(Command::new("sha256sum").arg(&file))?;
    let digest = line.split(' ').next().unwrap_or_default().to_owned();
    std::fs::rename(file, folder.join(&digest))?;
    Ok((digest, data.len()))
}
