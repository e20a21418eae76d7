//! The real runtime that a test runs on.

use crate::containerd::{self, Containerd};
use crate::crio::{self, Crio};
use crate::process::Made;
use crisim::client::Cri;
use std::path::{Path, PathBuf};

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
