//! A CRI-O of the test's own, the first one of PATH: its root, state, socket and images in a temporary folder.

use crate::containerd::SANDBOX_IMAGE;
use crate::has;
use crate::image::{Layer, layout};
use crate::process::{self, Made, output, remove_pods, start_runtime};
use crisim::client::Cri;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// A running CRI-O; dropping it removes its pods, ends it and removes the folder.
pub struct Crio {
    child: Child,
    folder: tempfile::TempDir,
    /// A client of it.
    pub cri: Cri,
}

/// Why there can be no CRI-O here, if so.
pub fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("CRI-O needs root");
    }
    let commands = [
        "crio",
        "pinns",
        "conmon",
        "runc",
        "skopeo",
        "cc",
        "tar",
        "sha256sum",
    ];
    let all = commands.iter().all(|command| has(command));
    (!all).then_some("crio, pinns, conmon, runc or skopeo is not installed")
}

fn config(at: &Path) -> String {
    let at = at.display();
    format!(
        r#"[crio]
root = "{at}/root"
runroot = "{at}/run"
storage_driver = "overlay"
log_dir = "{at}/logs"
version_file = "{at}/version"
version_file_persist = "{at}/version-persist"
clean_shutdown_file = "{at}/clean-shutdown"
[crio.api]
listen = "{at}/crio.sock"
stream_address = "127.0.0.1"
stream_port = "0"
[crio.runtime]
default_runtime = "runc"
cgroup_manager = "cgroupfs"
apparmor_profile = "unconfined"
seccomp_profile = "{at}/seccomp.json"
namespaces_dir = "{at}/namespaces"
container_exits_dir = "{at}/exits"
container_attach_socket_dir = "{at}/attach"
hooks_dir = []
irqbalance_config_file = ""
[crio.runtime.runtimes.runc]
runtime_path = "/usr/sbin/runc"
runtime_root = "{at}/runc"
monitor_path = "/usr/bin/conmon"
monitor_cgroup = "pod"
[crio.image]
pause_image = "{SANDBOX_IMAGE}"
pause_command = "/program"
pinned_images = ["crigc.test/pinned:1"]
signature_policy = "{at}/policy.json"
[crio.network]
network_dir = "{at}/cni"
plugin_dirs = ["{at}/cni"]
[crio.nri]
enable_nri = false
"#
    )
}

/// Starts its process, and waits until it answers.
fn spawn(at: &Path) -> Made<(Child, Cri)> {
    let mut command = Command::new("crio");
    command
        .arg("--config")
        .arg(at.join("crio.conf"))
        .arg("--config-dir")
        .arg(at.join("empty"))
        .env("CONTAINERS_REGISTRIES_CONF", at.join("registries.conf"))
        .env("CONTAINERS_STORAGE_CONF", at.join("storage.conf"));
    start_runtime(&mut command, &at.join("log"), &at.join("crio.sock"))
}

impl Crio {
    /// Starts it below a folder, with the sandbox image imported.
    pub fn start_with(below: &Path, tables: &str) -> Made<Crio> {
        let folder = tempfile::Builder::new()
            .prefix("crigc-crio")
            .tempdir_in(below)?;
        let at = folder.path();
        for name in ["pods", "links", "cni", "empty"] {
            std::fs::create_dir(at.join(name))?;
        }
        std::fs::write(at.join("crio.conf"), config(at) + tables)?;
        std::fs::write(
            at.join("seccomp.json"),
            r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#,
        )?;
        std::fs::write(
            at.join("policy.json"),
            r#"{"default":[{"type":"insecureAcceptAnything"}]}"#,
        )?;
        std::fs::write(
            at.join("registries.conf"),
            "unqualified-search-registries = []\n",
        )?;
        std::fs::write(
            at.join("storage.conf"),
            format!(
                "[storage]\ndriver = \"overlay\"\ngraphroot = \"{0}/root\"\nrunroot = \"{0}/run\"\n",
                at.display()
            ),
        )?;
        import(at, SANDBOX_IMAGE, "infra", 0)?;
        let (child, cri) = spawn(at)?;
        Ok(Crio { child, folder, cri })
    }

    /// Kills it in the middle of what it does, and starts it again; its pods go on.
    pub fn kill_and_restart(&mut self) -> Made<()> {
        self.child.kill()?;
        self.child.wait()?;
        (self.child, self.cri) = spawn(self.folder.path())?;
        Ok(())
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
        format!("unix://{}", self.path("crio.sock").display())
    }

    /// Makes an image whose content depends on `salt`, with this number of empty files more, and imports it under a name.
    pub fn import_with(&self, name: &str, salt: &str, more: usize) -> Made<()> {
        import(self.folder.path(), name, salt, more)
    }
}

/// Puts an image into the storage, where CRI-O finds it.
fn import(at: &Path, name: &str, salt: &str, more: usize) -> Made<()> {
    let layout = layout(at, name, &[Layer::new(salt, more)])?;
    let mut skopeo = Command::new("skopeo");
    skopeo
        .arg("--policy")
        .arg(at.join("policy.json"))
        .arg("copy")
        .arg(format!("oci:{}", layout.path().display()))
        .arg(format!(
            "containers-storage:[overlay@{0}/root+{0}/run]{name}",
            at.display()
        ))
        .env("CONTAINERS_STORAGE_CONF", at.join("storage.conf"));
    output(&mut skopeo)?;
    Ok(())
}

impl Drop for Crio {
    fn drop(&mut self) {
        remove_pods(&self.cri);
        process::end(&mut self.child);
        // Its storage is mounted on itself.
        for mounted in ["root/overlay", "run/overlay"] {
            let _ = Command::new("umount")
                .arg("-ql")
                .arg(self.folder.path().join(mounted))
                .status();
        }
    }
}
