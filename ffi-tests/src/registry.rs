//! A registry on loopback that has an image under every name: busybox, and files of which name and size differ from image to image, so that
//! each takes space and inodes of its own.

use crate::image::{add, packed};
use crate::process::{Made, output};
use crate::root;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Where images are made, one at a time.
pub struct Images {
    folder: PathBuf,
    /// The layer that all images have.
    busybox: Vec<u8>,
    one: Mutex<()>,
}

impl Images {
    /// Images that are made in this folder, of the busybox of PATH, which has to be a static one.
    pub fn new(folder: &Path) -> Made<Images> {
        let files = folder.join("busybox");
        for name in ["bin", "etc", "tmp"] {
            std::fs::create_dir_all(files.join(name))?;
        }
        let busybox = output(Command::new("sh").args(["-c", "command -v busybox"]))?;
        let program = std::fs::read(busybox.trim())?;
        let loader = b"/ld-";
        if program.windows(loader.len()).any(|part| part == loader) {
            return Err("busybox needs libraries; install busybox-static".into());
        }
        std::fs::copy(busybox.trim(), files.join("bin/busybox"))?;
        for applet in output(Command::new("busybox").arg("--list"))?.lines() {
            if applet != "busybox" {
                symlink("busybox", files.join("bin").join(applet))?;
            }
        }
        std::fs::copy(
            root().join("ffi-tests/e2e-node/entry"),
            files.join("bin/entry"),
        )?;
        std::fs::write(files.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n")?;
        Ok(Images {
            busybox: packed(&files)?,
            folder: folder.to_owned(),
            one: Mutex::new(()),
        })
    }

    /// Makes the image of this name; its manifest's digest.
    pub fn make(&self, name: &str) -> Made<String> {
        let _one = self.one.lock().map_err(|_| "an image could not be made")?;
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let salt = usize::try_from(hasher.finish() % 1000)?;
        let files = tempfile::tempdir_in(&self.folder)?;
        let own = files.path().join("salt");
        std::fs::create_dir(&own)?;
        std::fs::write(own.join("name"), name.repeat((1 + salt) << 6))?;
        for number in 0..1000 + salt / 2 {
            std::fs::write(own.join(number.to_string()), b"")?;
        }
        let layers = [self.busybox.clone(), packed(files.path())?];
        add(&self.layout(), name, &layers, "/bin/entry")
    }

    /// Where they are, in the OCI layout; its index names the one that was made last.
    pub fn layout(&self) -> PathBuf {
        self.folder.join("layout")
    }

    /// The media type and the content of what a path of the registry's API names, and its digest.
    fn find(&self, path: &str, registry: &str) -> Option<(&'static str, Vec<u8>, String)> {
        let (repository, reference) = path.strip_prefix("/v2/")?.rsplit_once('/')?;
        let (repository, kind) = repository.rsplit_once('/')?;
        let digest = match reference.strip_prefix("sha256:") {
            Some(digest) => digest.to_owned(),
            None => self
                .make(&format!("{registry}/{repository}:{reference}"))
                .inspect_err(|error| eprintln!("{repository}:{reference}: {error}"))
                .ok()?,
        };
        let is_digest = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let blob = self.layout().join("blobs/sha256").join(&digest);
        let media = match kind {
            "manifests" => "application/vnd.oci.image.manifest.v1+json",
            _ => "application/octet-stream",
        };
        let content = is_digest.then(|| std::fs::read(blob).ok())??;
        Some((media, content, digest))
    }

    /// Answers one request.
    fn answer(&self, stream: TcpStream) -> Made<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().ok_or("no request")??;
        while !lines.next().ok_or("no whole request")??.is_empty() {}
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let registry = query.strip_prefix("ns=").unwrap_or("");
        let mut stream = stream;
        let Some((media, content, digest)) = self.find(path, registry) else {
            write!(
                stream,
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )?;
            return Ok(());
        };
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {}\r\nDocker-Content-Digest: sha256:{digest}\r\n\
             Connection: close\r\n\r\n",
            content.len()
        )?;
        if method != "HEAD" {
            stream.write_all(&content)?;
        }
        Ok(())
    }
}

/// Serves them on a port of loopback until this process ends; the port.
pub fn serve(images: &Arc<Images>) -> Made<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let images = images.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let images = images.clone();
            std::thread::spawn(move || {
                // Who asked may be gone, and asks again if it wants.
                let _ = images.answer(stream);
            });
        }
    });
    Ok(port)
}
