//! A containerd of the test's own, the first one of PATH: its root, state, socket and images in a temporary folder.

use crate::{has, root};
use crisim::client::Cri;
use crisim::proto;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The image that sandboxes are made from.
pub const SANDBOX_IMAGE: &str = "crigc.test/infra:1";

/// A running containerd; dropping it removes its pods, ends it and removes the folder.
pub struct Containerd {
    child: Child,
    folder: tempfile::TempDir,
    snapshotter: String,
    /// A client of it.
    pub cri: Cri,
}

type Made<T> = Result<T, Box<dyn std::error::Error>>;

/// Why there can be no containerd here, if so.
pub fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("containerd needs root");
    }
    let all = ["containerd", "ctr", "runc", "cc", "tar", "sha256sum"]
        .iter()
        .all(|command| has(command));
    (!all).then_some("containerd, ctr or runc is not installed")
}

/// Whether its configuration is of version 3, as of containerd 2.
pub fn is_second() -> Made<bool> {
    let line = output(Command::new("containerd").arg("--version"))?;
    // `containerd github.com/containerd/containerd/v2 2.1.4 ...`, or Debian's `containerd github.com/containerd/containerd 1.6...`
    Ok(line.contains("/containerd/v2 "))
}

fn config_of_second(folder: &Path, snapshotter: &str) -> String {
    let at = folder.display();
    format!(
        r#"version = 3
root = "{at}/root"
state = "{at}/state"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{at}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "{snapshotter}"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{SANDBOX_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{at}/cni"]
    conf_dir = "{at}/cni"
"#
    )
}

fn config(folder: &Path, snapshotter: &str) -> String {
    let at = folder.display();
    format!(
        r#"version = 2
root = "{at}/root"
state = "{at}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "{at}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{at}/cni"
    conf_dir = "{at}/cni"
"#
    )
}

fn output(command: &mut Command) -> Made<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Containerd {
    /// Starts it below /tmp, with the sandbox image imported. Its snapshotter copies: that works on every filesystem.
    pub fn start() -> Made<Containerd> {
        Containerd::start_with(Path::new("/tmp"), "native", "")
    }

    /// Starts it below a folder, with a snapshotter and more tables of configuration, and the sandbox image imported.
    pub fn start_with(below: &Path, snapshotter: &str, tables: &str) -> Made<Containerd> {
        let folder = tempfile::Builder::new()
            .prefix("crigc-ctr")
            .tempdir_in(below)?;
        let file = folder.path().join("config.toml");
        let text = if is_second()? {
            config_of_second(folder.path(), snapshotter)
        } else {
            config(folder.path(), snapshotter)
        };
        std::fs::write(&file, text + tables)?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut child = Command::new("containerd")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let socket = folder.path().join("containerd.sock");
        let cri = match wait_for(|| {
            Cri::connect(&socket)
                .ok()
                .filter(|cri| cri.status(Default::default()).is_ok())
        }) {
            Some(cri) => cri,
            None => {
                child.kill()?;
                child.wait()?;
                let log = std::fs::read_to_string(folder.path().join("log"))?;
                return Err(format!("containerd does not answer: {log}").into());
            }
        };
        std::fs::create_dir(folder.path().join("pods"))?;
        std::fs::create_dir(folder.path().join("links"))?;
        let containerd = Containerd {
            child,
            folder,
            snapshotter: snapshotter.to_owned(),
            cri,
        };
        containerd.import(SANDBOX_IMAGE, "infra")?;
        Ok(containerd)
    }

    /// A path in its folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The ID of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its socket as an endpoint.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.path("containerd.sock").display())
    }

    /// Runs ctr in the namespace of CRI.
    pub fn ctr(&self, arguments: &[&str]) -> Made<String> {
        let mut command = Command::new("ctr");
        command
            .arg("-a")
            .arg(self.path("containerd.sock"))
            .args(["-n", "k8s.io"])
            .args(arguments);
        output(&mut command)
    }

    /// Makes an image whose content depends on `salt`, and imports it under a name.
    pub fn import(&self, name: &str, salt: &str) -> Made<()> {
        self.import_with(name, salt, 0)
    }

    /// The same with this number of empty files more in the image.
    pub fn import_with(&self, name: &str, salt: &str, more: usize) -> Made<()> {
        let layout = tempfile::tempdir_in(self.folder.path())?;
        let blobs = layout.path().join("blobs/sha256");
        std::fs::create_dir_all(&blobs)?;
        let files = layout.path().join("files");
        std::fs::create_dir(&files)?;
        let program = self.folder.path().join("program");
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
        let tar = layout.path().join("image.tar");
        output(
            Command::new("tar")
                .arg("-C")
                .arg(layout.path())
                .arg("-cf")
                .arg(&tar)
                .args(["blobs", "index.json", "oci-layout"]),
        )?;
        let tar = tar.to_string_lossy();
        let mut import = vec!["images", "import", "--snapshotter", &self.snapshotter, &tar];
        if is_second()? {
            import.insert(2, "--local"); // the transfer service unpacks with another snapshotter
        }
        self.ctr(&import)?;
        // The CRI plugin hears of it by an event.
        let request = || proto::ImageStatusRequest {
            image: crisim::client::image(name),
            verbose: false,
        };
        wait_for(|| self.cri.image_status(request()).ok()?.image)
            .map(|_| ())
            .ok_or_else(|| format!("image {name} does not come up").into())
    }

    fn remove_pods(&self) {
        for id in self.cri.sandboxes().unwrap_or_default() {
            // A file that cannot be removed is left until the folder is removed.
            let _ = self.cri.stop_pod_sandbox(proto::StopPodSandboxRequest {
                pod_sandbox_id: id.clone().into(),
            });
            let _ = self.cri.remove_pod_sandbox(proto::RemovePodSandboxRequest {
                pod_sandbox_id: id.into(),
            });
        }
    }
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

/// Asks until there is an answer, for at most half a minute.
pub fn wait_for<T>(ask: impl Fn() -> Option<T>) -> Option<T> {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.remove_pods();
        if let Some(id) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
