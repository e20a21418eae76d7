//! A containerd of the test's own, the first one of PATH: its root, state, socket and images in a temporary folder.

use crate::has;
use crate::image::{Layer, layout};
use crate::process::{self, Made, output, remove_pods, start_runtime, wait_for};
use crisim::client::Cri;
use crisim::proto;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

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

/// Its version: major and minor.
pub fn version() -> Made<(u32, u32)> {
    // `containerd github.com/containerd/containerd/v2 2.4.2+unknown`, or Debian's `containerd github.com/containerd/containerd 1.6.20~ds1 ...`
    let line = output(Command::new("containerd").arg("--version"))?;
    let words = line.split_whitespace().nth(2).unwrap_or_default();
    let mut numbers = words.trim_start_matches('v').split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err(format!("no version: {line}").into()),
    }
}

/// Whether its configuration is of version 3, as of containerd 2.
pub fn is_second() -> Made<bool> {
    Ok(version()?.0 == 2)
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

/// Starts its process, and waits until it answers.
fn spawn(folder: &Path) -> Made<(Child, Cri)> {
    let mut command = Command::new("containerd");
    command.arg("-c").arg(folder.join("config.toml"));
    start_runtime(
        &mut command,
        &folder.join("log"),
        &folder.join("containerd.sock"),
    )
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
        let (child, cri) = spawn(folder.path())?;
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

    /// Ends it; its pods go on.
    pub fn stop(&mut self) {
        process::end(&mut self.child);
    }

    /// Starts it after it was stopped.
    pub fn start_again(&mut self) -> Made<()> {
        (self.child, self.cri) = spawn(self.folder.path())?;
        Ok(())
    }

    /// Ends it and starts it again; its pods go on.
    pub fn restart(&mut self) -> Made<()> {
        self.stop();
        self.start_again()
    }

    /// Kills it in the middle of what it does, and starts it again; its pods go on.
    pub fn kill_and_restart(&mut self) -> Made<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.start_again()
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

    /// Gives an image its digest as one more name, as a pull by tag does.
    pub fn tag_digest(&self, name: &str) -> Made<()> {
        let list = self.ctr(&["images", "ls"])?;
        let line = list.lines().find(|line| line.starts_with(name));
        let digest = line.and_then(|line| line.split_whitespace().nth(2));
        let repository = name
            .rsplit_once(':')
            .map_or(name, |(repository, _)| repository);
        let named = format!("{repository}@{}", digest.ok_or("it is not listed")?);
        self.ctr(&["images", "tag", name, &named])?;
        Ok(())
    }

    /// Makes an image whose content depends on `salt`, and imports it under a name.
    pub fn import(&self, name: &str, salt: &str) -> Made<()> {
        self.import_with(name, salt, 0)
    }

    /// The same with this number of empty files more in the image.
    pub fn import_with(&self, name: &str, salt: &str, more: usize) -> Made<()> {
        self.import_layers(self.folder.path(), name, &[Layer::new(salt, more)])
    }

    /// Imports an image with these layers, the lowest first. It is made in a folder that may be on another filesystem, which it then does
    /// not fill.
    pub fn import_layers(&self, folder: &Path, name: &str, layers: &[Layer]) -> Made<()> {
        self.import_made(layout(folder, name, layers)?.path(), name)
    }

    /// Imports the image of this name, which was made in this folder.
    pub fn import_made(&self, layout: &Path, name: &str) -> Made<()> {
        let tar = layout.join("image.tar");
        output(
            Command::new("tar")
                .arg("-C")
                .arg(layout)
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
}

impl Drop for Containerd {
    fn drop(&mut self) {
        remove_pods(&self.cri);
        process::end(&mut self.child);
    }
}
