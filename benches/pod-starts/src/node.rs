//! The node that is collected: pods that live, with dead containers that own files, and unused images; and its runtime.

use crate::Failure;
use crate::cpu::machine;
use crisim::client::{Cri, log_directory, pod};
use crisim::proto;
use ffi_tests::containerd::{Containerd, SANDBOX_IMAGE};
use ffi_tests::crio::Crio;
use ffi_tests::process::wait_for;
use ffi_tests::{containerd, crio};
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

/// Which runtime, the first one of PATH.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Containerd,
    Crio,
}

/// A real runtime of its own.
pub enum Runtime {
    Containerd(Containerd),
    Crio(Crio),
}

impl Kind {
    /// Why there can be none here, if so.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Kind::Containerd => containerd::missing(),
            Kind::Crio => crio::missing(),
        }
    }
}

impl Runtime {
    /// Starts it below a folder; `snapshotter` is containerd's.
    pub fn start(
        kind: Kind,
        below: &Path,
        snapshotter: &str,
        tables: &str,
    ) -> Result<Runtime, Failure> {
        let made = match kind {
            Kind::Containerd => {
                Containerd::start_with(below, snapshotter, tables).map(Runtime::Containerd)
            }
            Kind::Crio => Crio::start_with(below, tables).map(Runtime::Crio),
        };
        made.map_err(|error| error.to_string().into())
    }

    /// Makes an image and imports it under a name.
    pub fn import(&self, name: &str, salt: &str, more: usize) -> Result<(), Failure> {
        let made = match self {
            Runtime::Containerd(it) => it.import_with(name, salt, more),
            Runtime::Crio(it) => it.import_with(name, salt, more),
        };
        made.map_err(|error| format!("{name}: {error}").into())
    }

    /// The node that it runs.
    pub fn node(&self, snapshotter: &str) -> Node {
        match self {
            Runtime::Containerd(it) => Node {
                folder: it.path(""),
                socket: it.path("containerd.sock"),
                snapshots: it.path(&format!(
                    "root/io.containerd.snapshotter.v1.{snapshotter}/snapshots"
                )),
                runtime: it.id(),
                opens_logs_late: true,
            },
            Runtime::Crio(it) => Node {
                folder: it.path(""),
                socket: it.path("crio.sock"),
                snapshots: it.path("root/overlay"),
                runtime: it.id(),
                opens_logs_late: false,
            },
        }
    }
}

/// A node: its folders, and its runtime.
#[derive(Clone)]
pub struct Node {
    /// Of the runtime, with the files of a kubelet in it.
    pub folder: PathBuf,
    /// The runtime's.
    socket: PathBuf,
    /// Where the runtime has a folder for the files of each container and of each layer of an image.
    snapshots: PathBuf,
    /// The process of the runtime.
    pub runtime: u32,
    /// It opens the log of a container when that starts.
    opens_logs_late: bool,
}

/// How much is to be collected.
#[derive(Clone, Copy, clap::Args)]
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
        format!("unix://{}", self.socket.display())
    }

    /// A connection to it.
    pub fn connect(&self) -> Result<Cri, Failure> {
        Cri::connect(&self.socket).map_err(|error| format!("{}: {error}", self.endpoint()).into())
    }

    /// Names of all snapshots' folders.
    pub fn snapshots(&self) -> Result<HashSet<String>, Failure> {
        let names = fs::read_dir(&self.snapshots)?.map(|entry| {
            let entry = entry?;
            Ok(entry.file_name().to_string_lossy().into_owned())
        });
        names.collect()
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

    /// Dead containers for this number of passes, and one more in each pod, which is kept. Their files are put into their snapshots. They
    /// run no program, because that would take ten times as long and leave the same: they die because their log cannot be opened, if the
    /// runtime opens it late enough.
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
            .map(|name| self.snapshots.join(name))
            .collect();
        at_once(&made, |snapshot| fill(snapshot, load.files))
    }

    fn dead(&self, cri: &Cri, of: &Pod, attempt: u32) -> Result<(), Failure> {
        let log = log_directory(&of.uid, &self.path("pods")).join(format!("{DEAD}/{attempt}.log"));
        let create = |args: &[&str]| cri.create(&of.sandbox, &of.config, DEAD, attempt, APP, args);
        let id = if self.opens_logs_late {
            let id = create(&[])?;
            fs::create_dir_all(&log)?;
            // It fails.
            let _ = cri.start(&id);
            fs::remove_dir(&log)?;
            fs::write(&log, "2026-01-01T00:00:00Z stdout F a line of log\n")?;
            id
        } else {
            fs::create_dir_all(log.parent().ok_or("a log without a folder")?)?;
            let id = create(&["exit"])?;
            cri.start(&id)?;
            id
        };
        let is_dead = || cri.state(&id).ok().filter(|(state, _)| *state == EXITED);
        wait_for(is_dead).ok_or_else(|| format!("container {id} is not dead"))?;
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
    let overlay = ["fs", "diff"].map(|name| snapshot.join(name));
    let top = overlay.iter().find(|above| above.is_dir());
    let (top, content) = (top.map_or(snapshot, PathBuf::as_path), [b'.'; 100]);
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
pub fn make_images(runtime: &Runtime, load: Load, round: usize) -> Result<(), Failure> {
    for number in 0..load.images {
        let name = format!("crigc.test/unused-{round}-{number}:1");
        runtime.import(&name, &name, load.files)?;
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
