//! A plausible node by numbers: live pods, crash loops, deleted pods with their leftovers, images, and their files on disk.

use crate::node::{Container, Filesystem, Image, Map, Node, Sandbox, State, Text, Word};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// ns in a second.
const SECOND: i64 = 1_000_000_000;
/// Sizes of images are multiples of this.
const MIB: u64 = 1 << 20;

/// The properties of the node.
#[derive(Clone, Debug)]
pub struct Order {
    /// Pods, live and deleted.
    pub pods: usize,
    /// How many percent of the pods were deleted and left objects behind.
    pub deleted_percent: usize,
    /// Dead containers, spread over the pods: most have exited, one in 40 is UNKNOWN, one is CREATED.
    pub dead_containers: usize,
    /// Images; half of them are in use.
    pub images: usize,
    /// How full the image filesystem is, in percent.
    pub fill_percent: u64,
    /// Same seed, same node.
    pub seed: u64,
    /// Now; ns since the epoch. All times are before it.
    pub now: i64,
    /// Where log files are made; `None` = nowhere.
    pub pod_logs_dir: Option<PathBuf>,
    /// Where links to them are made; `None` = nowhere.
    pub container_logs_dir: Option<PathBuf>,
    /// The mount point of the image filesystem.
    pub mountpoint: String,
    /// The file with the usage of the image filesystem.
    pub usage_file: Option<PathBuf>,
}

/// A node, and the pods that live.
#[derive(Clone, Debug)]
pub struct Made {
    /// The node.
    pub node: Node,
    /// UIDs of the pods that the host knows.
    pub live: Vec<String>,
}

/// Numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    fn id(&mut self) -> String {
        (0..4).map(|_| format!("{:016x}", self.roll())).collect()
    }

    fn uid(&mut self) -> String {
        let (a, b) = (self.roll(), self.roll());
        let word = |value: u64, bits: u32| value & ((1 << bits) - 1);
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            word(a >> 16, 16),
            word(a, 12),
            word(b >> 48, 14) | 0x8000,
            word(b, 48)
        )
    }
}

/// One pod while it is being made.
struct Pod {
    uid: String,
    name: String,
    namespace: String,
    live: bool,
}

impl Order {
    /// Makes the node, and its files.
    pub fn make(&self) -> io::Result<Made> {
        let mut maker = Maker {
            order: self,
            dice: Dice(self.seed),
            node: Node::default(),
            folders: HashSet::new(),
        };
        maker.images();
        let mut live = Vec::new();
        for number in 0..self.pods {
            let pod = maker.pod(number);
            if pod.live {
                live.push(pod.uid.clone());
            }
            maker.sandboxes_of(number, &pod)?;
        }
        maker.filesystem();
        Ok(Made {
            node: maker.node,
            live,
        })
    }
}

struct Maker<'a> {
    order: &'a Order,
    dice: Dice,
    node: Node,
    /// Folders that exist already.
    folders: HashSet<PathBuf>,
}

impl Maker<'_> {
    fn images(&mut self) {
        for number in 0..self.order.images {
            let id = format!("sha256:{}", self.dice.id());
            let repository = match number {
                0 => "registry.example/pause".to_owned(),
                _ => format!("registry.example/team-{}/app-{number}", number % 7),
            };
            let untagged = number > 0 && number % 11 == 10;
            let tags = if untagged {
                Vec::new()
            } else {
                vec![Text::from(format!("{repository}:v{}", 1 + number % 3))]
            };
            self.node.images.push(Image {
                id: id.into(),
                digests: vec![format!("{repository}@sha256:{}", self.dice.id()).into()],
                tags,
                size: match number {
                    0 => MIB,
                    _ => (20 + self.dice.below(400)) * MIB,
                },
                pinned: number > 0 && number % 29 == 28,
                ..Image::default()
            });
        }
        if let Some(pause) = self.node.images.first() {
            self.node.sandbox_image = pause.tags.first().cloned().unwrap_or_default();
        }
    }

    fn filesystem(&mut self) {
        let used: u64 = self.node.images.iter().map(|image| image.size).sum();
        // Images are half of what fills it.
        let capacity = (used * 2 * 100 / self.order.fill_percent.max(1)).max(1);
        self.node.filesystem = Filesystem {
            mountpoint: self.order.mountpoint.clone().into(),
            capacity,
            available: (capacity * (100 - self.order.fill_percent.min(100))).div_ceil(100),
            freed_percent: 100,
            usage_file: self.order.usage_file.clone(),
            ..Filesystem::default()
        };
    }

    fn pod(&mut self, number: usize) -> Pod {
        let uid = self.dice.uid();
        Pod {
            // As in a deployment: its own name, that of its replica set, and five letters.
            name: format!(
                "app-{number}-{}-{:05x}",
                &uid[26..],
                self.dice.below(1 << 20)
            ),
            uid,
            namespace: ["default", "kube-system", "shop", "batch"][number % 4].to_owned(),
            live: number * self.order.deleted_percent / 100
                == (number + 1) * self.order.deleted_percent / 100,
        }
    }

    /// The pod's current sandbox with its containers, and for some pods an older one that is empty.
    fn sandboxes_of(&mut self, number: usize, pod: &Pod) -> io::Result<()> {
        let age = 3600 + i64::try_from(self.dice.below(86_400 * 5)).unwrap_or(0);
        let born = self.order.now - age * SECOND;
        // Some of the live and some of the deleted ones have had a sandbox before.
        if matches!(number % 10, 0 | 5 | 4) {
            self.sandbox(pod, 0, Word::NotReady, born - 600 * SECOND);
        }
        let state = if pod.live {
            Word::Ready
        } else {
            Word::NotReady
        };
        let sandbox = self.sandbox(pod, 1, state, born);
        let share = |n: usize| n * self.order.dead_containers / self.order.pods.max(1);
        let dead = share(number + 1) - share(number);
        for attempt in 0..dead {
            let state = match (number + attempt) % 40 {
                38 => Word::Created,
                39 => Word::Unknown,
                _ => Word::Exited,
            };
            self.container(pod, &sandbox, attempt, state, born)?;
        }
        if pod.live {
            self.container(pod, &sandbox, dead, Word::Running, born)?;
        } else {
            self.forgotten_link(pod)?;
        }
        Ok(())
    }

    /// A link whose container and log were removed long ago.
    fn forgotten_link(&mut self, pod: &Pod) -> io::Result<()> {
        let id = self.dice.id();
        let (Some(links), Some(dir)) = (&self.order.container_logs_dir, self.pod_dir(pod)) else {
            return Ok(());
        };
        std::fs::create_dir_all(links)?;
        let name = format!("{}_{}_before-{id}.log", pod.name, pod.namespace);
        std::os::unix::fs::symlink(dir.join("before/0.log"), links.join(name))
    }

    fn sandbox(&mut self, pod: &Pod, attempt: u32, state: Word, created_at: i64) -> Text {
        let id = Text::from(self.dice.id());
        self.node.sandboxes.push(Sandbox {
            id: id.clone(),
            uid: pod.uid.clone().into(),
            name: pod.name.clone().into(),
            namespace: pod.namespace.clone().into(),
            attempt,
            state: State::Word(state),
            created_at,
            labels: labels(pod, None),
            log_directory: self
                .pod_dir(pod)
                .map(|dir| dir.display().to_string())
                .unwrap_or_default()
                .into(),
            image: self.node.sandbox_image.clone(),
            ..Sandbox::default()
        });
        id
    }

    fn pod_dir(&self, pod: &Pod) -> Option<PathBuf> {
        let dir = self.order.pod_logs_dir.as_ref()?;
        Some(dir.join(format!("{}_{}_{}", pod.namespace, pod.name, pod.uid)))
    }

    fn container(
        &mut self,
        pod: &Pod,
        sandbox: &Text,
        attempt: usize,
        state: Word,
        born: i64,
    ) -> io::Result<()> {
        let id = self.dice.id();
        let half = (self.node.images.len() / 2).max(1) as u64;
        let chosen = 1 + usize::try_from(self.dice.below(half)).unwrap_or(0);
        let images = &self.node.images;
        let image = images.get(chosen).or_else(|| images.first());
        let image_id = image.map(|image| image.id.clone()).unwrap_or_default();
        let tag = image.and_then(|image| image.tags.first().cloned());
        let started = born + i64::try_from(attempt).unwrap_or(0) * 20 * SECOND;
        // A container that was never started has not written anything.
        let ran = state != Word::Created;
        let log = match self.pod_dir(pod).filter(|_| ran) {
            Some(dir) => Some(self.log(&dir, pod, &id, attempt)?),
            None => None,
        };
        self.node.containers.push(Container {
            id: id.into(),
            sandbox_id: sandbox.clone(),
            name: "app".into(),
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
            state: State::Word(state),
            created_at: started,
            started_at: if ran { started + SECOND } else { 0 },
            finished_at: match state {
                Word::Exited => started + 10 * SECOND,
                _ => 0,
            },
            image: tag.unwrap_or_else(|| image_id.clone()),
            image_ref: image_id.clone(),
            image_id,
            labels: labels(pod, Some("app")),
            annotations: annotations(pod, attempt),
            log_path: log.unwrap_or_default(),
            ..Container::default()
        });
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> io::Result<()> {
        if !self.folders.contains(path) {
            std::fs::create_dir_all(path)?;
            self.folders.insert(path.to_owned());
        }
        Ok(())
    }

    /// The log of a container, for some with a rotated sibling, and its link.
    fn log(&mut self, dir: &Path, pod: &Pod, id: &str, attempt: usize) -> io::Result<Text> {
        let dir = dir.join("app");
        self.folder(&dir)?;
        let log = dir.join(format!("{attempt}.log"));
        std::fs::write(
            &log,
            format!("2026-01-01T00:00:00Z stdout F attempt {attempt}\n"),
        )?;
        if attempt % 4 == 3 {
            std::fs::write(
                dir.join(format!("{attempt}.log.20260101-000000.gz")),
                b"rotated",
            )?;
        }
        if let Some(links) = &self.order.container_logs_dir {
            self.folder(links)?;
            let name = format!("{}_{}_app-{id}.log", pod.name, pod.namespace);
            std::os::unix::fs::symlink(&log, links.join(name))?;
        }
        Ok(log.display().to_string().into())
    }
}

/// The kubelet's annotations of a container with a port.
fn annotations(pod: &Pod, attempt: usize) -> Map {
    let notes = [
        ("container.hash", &pod.uid[..8]),
        (
            "container.ports",
            r#"[{"name":"http","containerPort":8080,"protocol":"TCP"}]"#,
        ),
        ("container.restartCount", &attempt.to_string()),
        ("container.terminationMessagePath", "/dev/termination-log"),
        ("container.terminationMessagePolicy", "File"),
        ("pod.terminationGracePeriod", "30"),
    ];
    let note = |(key, value): (&str, &str)| (format!("io.kubernetes.{key}"), value.into());
    notes.map(note).into()
}

fn labels(pod: &Pod, container: Option<&str>) -> Map {
    let mut labels = Map::from([
        (
            "io.kubernetes.pod.name".to_owned(),
            Text::from(pod.name.clone()),
        ),
        (
            "io.kubernetes.pod.namespace".to_owned(),
            Text::from(pod.namespace.clone()),
        ),
        (
            "io.kubernetes.pod.uid".to_owned(),
            Text::from(pod.uid.clone()),
        ),
    ]);
    if let Some(container) = container {
        labels.insert("io.kubernetes.container.name".to_owned(), container.into());
    }
    labels
}

impl Node {
    /// Makes the log files that its containers name below `pods`, and the links of a kubelet to them.
    pub fn make_files(&self, pods: Option<&Path>, links: Option<&Path>) -> io::Result<()> {
        for container in &self.containers {
            let log = PathBuf::from(container.log_path.to_string());
            if !pods.is_some_and(|pods| log.starts_with(pods) && log != pods) {
                continue;
            }
            std::fs::create_dir_all(log.parent().unwrap_or(&log))?;
            std::fs::write(&log, b"2026-01-01T00:00:00Z stdout F made\n")?;
            let label = |key: &str| container.labels.get(key).map(ToString::to_string);
            let (Some(links), Some(pod), Some(namespace), Some(name)) = (
                links,
                label("io.kubernetes.pod.name"),
                label("io.kubernetes.pod.namespace"),
                label("io.kubernetes.container.name"),
            ) else {
                continue;
            };
            std::fs::create_dir_all(links)?;
            let link = links.join(format!("{pod}_{namespace}_{name}-{}.log", container.id));
            std::os::unix::fs::symlink(&log, link)?;
        }
        Ok(())
    }

    /// UIDs of the pods with a READY sandbox.
    pub fn live(&self) -> Vec<String> {
        let ready = |s: &&Sandbox| s.state == State::Word(Word::Ready);
        let uids = self.sandboxes.iter().filter(ready);
        let mut uids: Vec<String> = uids.map(|s| s.uid.to_string()).collect();
        uids.sort();
        uids.dedup();
        uids
    }
}
