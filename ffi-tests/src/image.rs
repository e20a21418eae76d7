//! Images that are made here: no registry is needed.

use crate::process::{Made, output};
use crate::root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is in a layer of an image, beside a program in the lowest one. Layers with the same content are one layer for a runtime.
#[derive(Clone)]
pub struct Layer {
    salt: String,
    more: usize,
}

impl Layer {
    /// A file with this text, and so many empty files.
    pub fn new(salt: &str, more: usize) -> Layer {
        Layer {
            salt: salt.to_owned(),
            more,
        }
    }

    /// So many mebibytes, which begin with a name.
    pub fn filled(name: &str, mebibytes: usize) -> Layer {
        Layer::new(&format!("{name:<16}").repeat(mebibytes << 16), 0)
    }
}

/// Makes an image in a new folder, in the OCI layout and with its name in it. The lowest layer comes first.
pub fn layout(folder: &Path, name: &str, layers: &[Layer]) -> Made<tempfile::TempDir> {
    let layout = tempfile::tempdir_in(folder)?;
    let mut archives = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let program = if number == 0 {
            Some(program(folder)?)
        } else {
            None
        };
        archives.push(tar_of(layer, layout.path(), program.as_deref())?);
    }
    add(layout.path(), name, &archives, "/program")?;
    Ok(layout)
}

/// Makes an image of the archives of layers in a folder in the OCI layout, whose index then names this image alone. Returns the digest of
/// its manifest.
pub(crate) fn add(layout: &Path, name: &str, layers: &[Vec<u8>], entrypoint: &str) -> Made<String> {
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs)?;
    let (mut digests, mut descriptors) = (Vec::new(), Vec::new());
    for layer in layers {
        let (digest, size) = blob(&blobs, layer)?;
        digests.push(format!(r#""sha256:{digest}""#));
        descriptors.push(format!(
            r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:{digest}","size":{size}}}"#
        ));
    }
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Entrypoint":["{entrypoint}"]}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        digests.join(",")
    );
    let (config_digest, config_size) = blob(&blobs, config.as_bytes())?;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{config_digest}","size":{config_size}}},"layers":[{}]}}"#,
        descriptors.join(",")
    );
    let (digest, size) = blob(&blobs, manifest.as_bytes())?;
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{digest}","size":{size},"annotations":{{"io.containerd.image.name":"{name}"}}}}]}}"#
    );
    std::fs::write(layout.join("index.json"), index)?;
    std::fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    Ok(digest)
}

/// The program that containers run; it is built once in a folder.
fn program(folder: &Path) -> Made<PathBuf> {
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
    Ok(program)
}

/// The archive of a layer.
fn tar_of(layer: &Layer, folder: &Path, program: Option<&Path>) -> Made<Vec<u8>> {
    let files = tempfile::tempdir_in(folder)?;
    if let Some(program) = program {
        std::fs::copy(program, files.path().join("program"))?;
    }
    std::fs::write(files.path().join("salt"), &layer.salt)?;
    std::fs::create_dir(files.path().join("more"))?;
    for number in 0..layer.more {
        std::fs::write(files.path().join(format!("more/{number}")), b"")?;
    }
    packed(files.path())
}

/// The archive of all files in a folder.
pub(crate) fn packed(files: &Path) -> Made<Vec<u8>> {
    let archive = tempfile::NamedTempFile::new()?;
    output(
        Command::new("tar")
            .arg("-C")
            .arg(files)
            .args(["--mtime=@0", "--owner=0", "--group=0", "--sort=name", "-cf"])
            .arg(archive.path())
            .arg("."),
    )?;
    Ok(std::fs::read(archive.path())?)
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
