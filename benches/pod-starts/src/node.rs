//! The node that is collected: pods that live, with dead containers that own files, and unused images.

use crate::Failure;
use crate::cpu::machine;
use crisim::client::{Cri, log_directory, pod};
use crisim::proto;
use ffi_tests::containerd::{Containerd, SANDBOX_IMAGE};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The image of almost everything that runs.
pub const APP: &str = "crigc.test/app:1";

/// CPU seconds in a second from which on the machine is not quiet, and for how many seconds to wait for quiet.
const NOISE: f64 = 0.2;
const LONGEST_NOISE: usize = 15;

/// The name of the containers that die.
const DEAD: &str = "dead";

/// How many of those that prepare work at once.
const HANDS: usize = 4;

const EXITED: i32 = 2;

/// Where the node's containerd is, for the steps, which are processes of their own.
#[derive(Clone, Serialize, Deserialize)]
pub struct Node {
    /// Of containerd, with the files of a kubelet in it.
    pub folder: PathBuf,
    /// How containerd keeps the files of containers.
    pub snapshotter: String,
    /// The process of containerd.
    pub containerd: u32,
}

/// How much is to be collected.
#[derive(Clone, Copy, Serialize, Deserialize, clap::Args)]
pub struct Load {
    /// Pods that live and hold the dead containers.
    #[arg(long, default_value_t = 10)]
    pub pods: usize,
    /// Dead containers that a pass has to remove.
    #[arg(long, default_value_t = 500)]
    pub dead: usize,
    /// Images that a pass has to remove.
    #[arg(long, default_value_t = 100)]
    pub images: usize,
    /// Files of a dead container, or of an image.
    #[arg(long, default_value_t = 2000)]
    pub files: usize,
}

/// A pod.
struct Pod {
    sandbox: String,
    config: proto::PodSandboxConfig,
    uid: String,
}

impl Node {
    /// A path in its folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// Its socket as an endpoint.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.path("containerd.sock").display())
    }

    /// A connection to it.
    pub fn connect(&self) -> Result<Cri, Failure> {
        Cri::connect(&self.path("containerd.sock"))
            .map_err(|error| format!("{}: {error}", self.endpoint()).into())
    }

    /// Names of all snapshots' folders.
    pub fn snapshots(&self) -> Result<HashSet<String>, Failure> {
        let names = fs::read_dir(self.snapshot_folder())?.map(|entry| {
            let entry = entry?;
            Ok(entry.file_name().to_string_lossy().into_owned())
        });
        names.collect()
    }

    fn snapshot_folder(&self) -> PathBuf {
        let plugin = format!("io.containerd.snapshotter.v1.{}", self.snapshotter);
        self.path("root").join(plugin).join("snapshots")
    }

    /// The pods that live, each with two containers that run.
    pub fn make_pods(&self, load: Load) -> Result<(), Failure> {
        let cri = self.connect()?;
        for number in 0..load.pods {
            let pod = self.start_pod(&cri, &format!("lives-{number}"))?;
            let logs = log_directory(&pod.uid, &self.path("pods"));
            // Both images are in use: no collector takes them.
            for (name, image) in [("runs", APP), ("infra", SANDBOX_IMAGE)] {
                fs::create_dir_all(logs.join(name))?;
                let id = cri.create(&pod.sandbox, &pod.config, name, 0, image, &[])?;
                cri.start(&id)?;
            }
        }
        Ok(())
    }

    /// Dead containers for this number of passes, and one more in each pod, which is kept. They die because their log cannot be opened, and
    /// their files are put into their snapshots: running a program for that would take ten times as long, and leave the same.
    pub fn make_dead(&self, load: Load, passes: usize) -> Result<(), Failure> {
        let cri = self.connect()?;
        let there = cri.containers()?.len() - 2 * load.pods;
        let lives = |pod: &Pod| pod.uid.starts_with("lives-");
        let pods: Vec<Pod> = self.pods(&cri)?.into_iter().filter(lives).collect();
        let (have, want) = (there / load.pods, passes * load.dead / load.pods + 1);
        let before = self.snapshots()?;
        at_once(&pods, |pod| {
            let cri = self.connect()?;
            let next = self.next_attempt(pod)?;
            for attempt in next..next + want.saturating_sub(have) as u32 {
                self.dead(&cri, pod, attempt)?;
            }
            Ok(())
        })?;
        let made: Vec<PathBuf> = self
            .snapshots()?
            .difference(&before)
            .map(|name| self.snapshot_folder().join(name))
            .collect();
        at_once(&made, |snapshot| fill(snapshot, load.files))
    }

    fn dead(&self, cri: &Cri, of: &Pod, attempt: u32) -> Result<(), Failure> {
        let log = log_directory(&of.uid, &self.path("pods")).join(format!("{DEAD}/{attempt}.log"));
        let id = cri.create(&of.sandbox, &of.config, DEAD, attempt, APP, &[])?;
        fs::create_dir_all(&log)?;
        let started = cri.start(&id);
        fs::remove_dir(&log)?;
        if started.is_ok() || cri.state(&id)?.0 != EXITED {
            return Err(format!("container {id} is not dead: {started:?}").into());
        }
        fs::write(&log, "2026-01-01T00:00:00Z stdout F a line of log\n")?;
        let link = format!("links/pod-{}_ns_{DEAD}-{id}.log", of.uid);
        Ok(symlink(&log, self.path(&link))?)
    }

    /// The number after the newest dead container's of a pod, whose log is there as long as it is.
    fn next_attempt(&self, pod: &Pod) -> Result<u32, Failure> {
        let logs = log_directory(&pod.uid, &self.path("pods")).join(DEAD);
        if !logs.exists() {
            return Ok(0);
        }
        let mut next = 0;
        for entry in fs::read_dir(logs)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let number: Option<u32> = name.strip_suffix(".log").and_then(|n| n.parse().ok());
            next = number.map_or(next, |number| next.max(number + 1));
        }
        Ok(next)
    }

    /// Removes the pods that were started to measure.
    pub fn remove_started(&self) -> Result<(), Failure> {
        let pods: Vec<Pod> = self
            .pods(&self.connect()?)?
            .into_iter()
            .filter(|pod| pod.uid.starts_with("starts-"))
            .collect();
        at_once(&pods, |pod| {
            let cri = self.connect()?;
            cri.stop_pod_sandbox(proto::StopPodSandboxRequest {
                pod_sandbox_id: pod.sandbox.clone().into(),
            })?;
            cri.remove_pod_sandbox(proto::RemovePodSandboxRequest {
                pod_sandbox_id: pod.sandbox.clone().into(),
            })?;
            Ok(())
        })
    }

    fn start_pod(&self, cri: &Cri, uid: &str) -> Result<Pod, Failure> {
        let config = pod(uid, 0, &self.path("pods"));
        fs::create_dir_all(log_directory(uid, &self.path("pods")))?;
        Ok(Pod {
            sandbox: cri.run_pod(config.clone())?,
            config,
            uid: uid.to_owned(),
        })
    }

    fn pods(&self, cri: &Cri) -> Result<Vec<Pod>, Failure> {
        let list = cri.list_pod_sandbox(Default::default())?.items;
        let pods = list.into_iter().map(|sandbox| {
            let uid = sandbox.metadata.unwrap_or_default().uid;
            let uid = String::from_utf8_lossy(&uid).into_owned();
            Pod {
                sandbox: String::from_utf8_lossy(&sandbox.id).into_owned(),
                config: pod(&uid, 0, &self.path("pods")),
                uid,
            }
        });
        Ok(pods.collect())
    }
}

/// Files in the snapshot of a container, in folders of 100; one in ten has content.
fn fill(snapshot: &Path, files: usize) -> Result<(), Failure> {
    // The snapshotter that copies has them in the folder itself.
    let (above, content) = (snapshot.join("fs"), [b'.'; 100]);
    let top = if above.is_dir() { &above } else { snapshot };
    for number in 0..files {
        let folder = top.join((number / 100).to_string());
        if number % 100 == 0 {
            fs::create_dir(&folder)?;
        }
        let few = if number % 10 == 0 { &content[..] } else { &[] };
        fs::write(folder.join(number.to_string()), few)?;
    }
    Ok(())
}

/// Unused images, each with files of its own.
pub fn make_images(containerd: &Containerd, load: Load, round: usize) -> Result<(), Failure> {
    for number in 0..load.images {
        let name = format!("crigc.test/unused-{round}-{number}:1");
        containerd
            .import_with(&name, &name, load.files)
            .map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// Does the same for all, a few at once.
fn at_once<T: Sync>(
    of: &[T],
    work: impl Fn(&T) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    let share = of.len().div_ceil(HANDS).max(1);
    std::thread::scope(|scope| {
        let hands: Vec<_> = of
            .chunks(share)
            .map(|share| scope.spawn(|| share.iter().try_for_each(&work)))
            .collect();
        hands
            .into_iter()
            .try_for_each(|hand| hand.join().map_err(|_| "a thread panicked")?)
    })
}

/// Waits until what was written is on the disk, and for a while until nothing else runs on the machine.
pub fn settle() -> Result<(), Failure> {
    rustix::fs::sync();
    let mut quiet = 0;
    for _ in 0..LONGEST_NOISE {
        let before = machine()?.0;
        std::thread::sleep(Duration::from_secs(1));
        quiet = if machine()?.0 - before < NOISE {
            quiet + 1
        } else {
            0
        };
        if quiet == 2 {
            break;
        }
    }
    Ok(())
}
