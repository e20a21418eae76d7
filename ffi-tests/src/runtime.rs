//! What tests do with any real container runtime.

use crate::containerd::{self, Containerd};
use crate::crio::{self, Crio};
use crisim::client::Cri;
use crisim::proto;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What was made for a test, or why it could not be.
pub type Made<T> = Result<T, Box<dyn std::error::Error>>;

/// What a command prints; an error if it fails.
pub fn output(command: &mut Command) -> Made<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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

/// Removes all pods, as well as that is possible.
pub fn remove_pods(cri: &Cri) {
    for id in cri.sandboxes().unwrap_or_default() {
        // A file that cannot be removed is left until the folder is removed.
        let _ = cri.stop_pod_sandbox(proto::StopPodSandboxRequest {
            pod_sandbox_id: id.clone().into(),
        });
        let _ = cri.remove_pod_sandbox(proto::RemovePodSandboxRequest {
            pod_sandbox_id: id.into(),
        });
    }
}

/// A runtime of the test's own: a containerd, or a CRI-O where CRIGC_TEST_RUNTIME=crio.
pub enum Runtime {
    /// The first containerd of PATH.
    Containerd(Containerd),
    /// The first CRI-O of PATH.
    Crio(Crio),
}

fn is_crio() -> bool {
    std::env::var("CRIGC_TEST_RUNTIME").as_deref() == Ok("crio")
}

impl Runtime {
    /// Why there can be none here, if so.
    pub fn missing() -> Option<&'static str> {
        if is_crio() {
            crio::missing()
        } else {
            containerd::missing()
        }
    }

    /// Starts it below /tmp.
    pub fn start() -> Made<Runtime> {
        Ok(if is_crio() {
            Runtime::Crio(Crio::start_with(Path::new("/tmp"), "")?)
        } else {
            Runtime::Containerd(Containerd::start()?)
        })
    }

    /// A client of it.
    pub fn cri(&self) -> &Cri {
        match self {
            Runtime::Containerd(containerd) => &containerd.cri,
            Runtime::Crio(crio) => &crio.cri,
        }
    }

    /// A path in its folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        match self {
            Runtime::Containerd(containerd) => containerd.path(relative),
            Runtime::Crio(crio) => crio.path(relative),
        }
    }

    /// Its socket as an endpoint.
    pub fn endpoint(&self) -> String {
        match self {
            Runtime::Containerd(containerd) => containerd.endpoint(),
            Runtime::Crio(crio) => crio.endpoint(),
        }
    }

    /// Makes an image whose content depends on `salt`, and imports it under a name.
    pub fn import(&self, name: &str, salt: &str) -> Made<()> {
        match self {
            Runtime::Containerd(containerd) => containerd.import(name, salt),
            Runtime::Crio(crio) => crio.import_with(name, salt, 0),
        }
    }

    /// Kills it in the middle of what it does, and starts it again.
    pub fn kill_and_restart(&mut self) -> Made<()> {
        match self {
            Runtime::Containerd(containerd) => containerd.kill_and_restart(),
            Runtime::Crio(crio) => crio.kill_and_restart(),
        }
    }
}
