//! The nodes that are collected, with their log files: equal to the byte each time they are made.

use crisim::node::{Container, Filesystem, Image, Map, Node, Sandbox, State, Text, Word};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// How often a container of a crash loop has ended.
const ATTEMPTS: usize = 50;
/// One pod in this number was deleted.
const GONE: usize = 5;
/// All times are after this one, a second apart; ns since the epoch.
const BEGIN: i64 = 1_760_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;
const MIB: u64 = 1 << 20;

/// The objects of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This number of dead containers in crash loops, 50 of each pod; one pod in five was deleted, the others run.
    Dead(usize),
    /// This number of images, half of them used by this number of containers, and a disk so full that all others have to be removed.
    Images(usize, usize),
    /// This number of log files of deleted pods, in 100 trees; the runtime has nothing of these pods.
    Trees(usize),
    /// So many containers, half of them dead and all within the limits.
    Settled(usize),
}

impl Kind {
    /// One word, which is different for each.
    pub fn name(self) -> String {
        match self {
            Kind::Dead(dead) => format!("dead-{dead}"),
            Kind::Images(images, _) => format!("images-{images}"),
            Kind::Trees(files) => format!("trees-{files}"),
            Kind::Settled(containers) => format!("settled-{containers}"),
        }
    }

    /// How many containers a pass has to remove: all that are dead but the newest of each pod that lives.
    pub fn to_remove(self) -> usize {
        let Kind::Dead(dead) = self else {
            return 0;
        };
        let pods = dead.div_ceil(ATTEMPTS);
        dead - (pods - pods.div_ceil(GONE))
    }
}

/// What names of places begin with; the ID of the process that they belong to follows.
const PREFIX: &str = "crigc-bench-";

/// The folder of a node's files, which are removed with it.
pub struct Place {
    top: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        // A file that cannot be removed is left for a person to see.
        let _ = fs::remove_dir_all(&self.top);
    }
}

impl Place {
    /// A new and empty one in a folder, named so that no other run has it.
    pub fn new(folder: &Path) -> io::Result<Place> {
        // The leftovers of interrupted runs are removed.
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let of = name.strip_prefix(PREFIX);
            if let Some(id) = of.and_then(|id| id.parse::<u32>().ok())
                && !Path::new(&format!("/proc/{id}")).exists()
            {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let place = Place {
            top: folder.join(format!("{PREFIX}{}", std::process::id())),
        };
        place.clear()?;
        Ok(place)
    }

    /// Removes everything in it.
    pub fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.top) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => fs::create_dir_all(&self.top),
        }
    }

    /// A path without what leads here.
    pub fn below<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.top).unwrap_or(path)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.top.join(name)
    }

    fn logs_of(&self, pod: &Pod) -> PathBuf {
        let name = format!("{}_{}_{}", pod.namespace, pod.name, pod.uid);
        self.at("pods").join(name)
    }
}

struct Pod {
    uid: String,
    name: String,
    namespace: &'static str,
    live: bool,
    sandbox: Text,
}

/// Pseudorandom numbers that are always the same (splitmix64).
fn spread(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Maker<'a> {
    place: &'a Place,
    node: Node,
    numbers: u64,
    time: i64,
}

/// Makes a node and its files in an empty place.
pub fn make(kind: Kind, place: &Place) -> io::Result<Node> {
    for dir in ["pods", "links"] {
        fs::create_dir_all(place.at(dir))?;
    }
    let mut maker = Maker {
        place,
        node: Node::default(),
        numbers: 0,
        time: BEGIN,
    };
    match kind {
        Kind::Dead(dead) => maker.crash_loops(dead)?,
        Kind::Images(images, containers) => {
            maker.images(images);
            maker.settled(containers)?;
        }
        Kind::Trees(files) => maker.trees(files)?,
        Kind::Settled(containers) => maker.settled(containers)?,
    }
    Ok(maker.node)
}

impl Maker<'_> {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        spread(self.numbers)
    }

    fn id(&mut self) -> String {
        (0..4).map(|_| format!("{:016x}", self.number())).collect()
    }

    fn later(&mut self) -> i64 {
        self.time += SECOND;
        self.time
    }

    fn pod(&mut self, number: usize, live: bool) -> Pod {
        let (a, b) = (self.number(), self.number());
        let (head, tail) = (a >> 32, b & 0xffff_ffff_ffff);
        let (second, third) = (a & 0xffff, b >> 52);
        Pod {
            uid: format!("{head:08x}-{second:04x}-4{third:03x}-8000-{tail:012x}"),
            name: format!("app-{number}-{:05x}", a & 0xf_ffff),
            namespace: ["default", "kube-system", "shop", "batch"][number % 4],
            live,
            sandbox: self.id().into(),
        }
    }

    fn crash_loops(&mut self, dead: usize) -> io::Result<()> {
        self.images(40);
        for number in 0..dead.div_ceil(ATTEMPTS) {
            let pod = self.pod(number, number % GONE != 0);
            self.sandbox(&pod);
            for attempt in 0..ATTEMPTS.min(dead - number * ATTEMPTS) {
                self.container(&pod, "app", attempt, Word::Exited)?;
            }
            if pod.live {
                self.container(&pod, "app", ATTEMPTS, Word::Running)?;
            }
        }
        Ok(())
    }

    /// Pods of 25 containers each, which have ended once and run again.
    fn settled(&mut self, containers: usize) -> io::Result<()> {
        if self.node.images.is_empty() {
            self.images(40);
        }
        for number in 0..containers / 50 {
            let pod = self.pod(number, true);
            self.sandbox(&pod);
            for container in 0..25 {
                let name = format!("app-{container}");
                self.container(&pod, &name, 0, Word::Exited)?;
                self.container(&pod, &name, 1, Word::Running)?;
            }
        }
        Ok(())
    }

    fn trees(&mut self, files: usize) -> io::Result<()> {
        self.settled(500)?;
        for number in 0..100 {
            let pod = self.pod(1000 + number, false);
            for container in 0..10 {
                let dir = self.place.logs_of(&pod).join(format!("app-{container}"));
                fs::create_dir_all(&dir)?;
                for attempt in 0..files / 1000 {
                    write_log(&dir.join(format!("{attempt}.log")))?;
                }
            }
        }
        Ok(())
    }

    /// The first half is there to be used. The first of all is the sandbox image, which runtimes pin.
    fn images(&mut self, count: usize) {
        for number in 0..count {
            let repository = match number {
                0 => "registry.example/pause".to_owned(),
                _ => format!("registry.example/team-{}/app-{number}", number % 7),
            };
            let (id, digest, size) = (self.id(), self.id(), 20 + self.number() % 400);
            self.node.images.push(Image {
                id: format!("sha256:{id}").into(),
                tags: vec![format!("{repository}:v1").into()],
                digests: vec![format!("{repository}@sha256:{digest}").into()],
                size: size * MIB,
                pinned: number == 0,
                ..Image::default()
            });
        }
        self.node.sandbox_image = self.node.images[0].tags[0].clone();
        // At the low threshold of 80 % exactly the unused images have to be removed, so their order does not matter.
        let unused = self.node.images[count / 2..].iter();
        self.node.filesystem = Filesystem {
            mountpoint: "/".into(),
            capacity: unused.map(|image| image.size).sum::<u64>() * 5,
            available: 0,
            usage_file: Some(self.place.at("usage")),
            ..Filesystem::default()
        };
    }

    fn sandbox(&mut self, pod: &Pod) {
        let sandbox = Sandbox {
            id: pod.sandbox.clone(),
            uid: pod.uid.clone().into(),
            name: pod.name.clone().into(),
            namespace: pod.namespace.into(),
            state: State::Word(if pod.live {
                Word::Ready
            } else {
                Word::NotReady
            }),
            created_at: self.later(),
            labels: labels(pod, None),
            annotations: annotations(&[
                (
                    "kubernetes.io/config.seen",
                    "2026-01-01T00:00:00.000000000Z",
                ),
                ("kubernetes.io/config.source", "api"),
            ]),
            log_directory: self.place.logs_of(pod).display().to_string().into(),
            image: self.node.sandbox_image.clone(),
            ..Sandbox::default()
        };
        self.node.sandboxes.push(sandbox);
    }

    fn container(&mut self, pod: &Pod, name: &str, attempt: usize, state: Word) -> io::Result<()> {
        let id = self.id();
        let log = self
            .place
            .logs_of(pod)
            .join(name)
            .join(format!("{attempt}.log"));
        fs::create_dir_all(log.parent().unwrap_or(&log))?;
        write_log(&log)?;
        if attempt % 4 == 3 {
            write_log(&log.with_extension("log.20260101-000000"))?;
        }
        let link = format!("{}_{}_{name}-{id}.log", pod.name, pod.namespace);
        symlink(&log, self.place.at("links").join(link))?;
        let used = self.node.images.len() / 2 - 1;
        let image = &self.node.images[1 + self.node.containers.len() % used];
        let (image, image_ref) = (image.tags[0].clone(), image.id.clone());
        let created_at = self.later();
        self.node.containers.push(Container {
            id: id.into(),
            sandbox_id: pod.sandbox.clone(),
            name: name.into(),
            attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
            state: State::Word(state),
            created_at,
            started_at: created_at,
            finished_at: if state == Word::Exited {
                created_at + SECOND
            } else {
                0
            },
            image,
            image_id: image_ref.clone(),
            image_ref,
            labels: labels(pod, Some(name)),
            annotations: annotations(&[
                ("io.kubernetes.container.hash", "5f0e21a7"),
                ("io.kubernetes.container.restartCount", &attempt.to_string()),
                (
                    "io.kubernetes.container.terminationMessagePath",
                    "/dev/termination-log",
                ),
                ("io.kubernetes.container.terminationMessagePolicy", "File"),
                ("io.kubernetes.pod.terminationGracePeriod", "30"),
            ]),
            log_path: log.display().to_string().into(),
            ..Container::default()
        });
        Ok(())
    }
}

/// As the kubelet sets them.
fn labels(pod: &Pod, container: Option<&str>) -> Map {
    let mut labels = annotations(&[
        ("io.kubernetes.pod.name", &pod.name),
        ("io.kubernetes.pod.namespace", pod.namespace),
        ("io.kubernetes.pod.uid", &pod.uid),
    ]);
    if let Some(container) = container {
        labels.insert("io.kubernetes.container.name".into(), container.into());
    }
    labels
}

fn annotations(pairs: &[(&str, &str)]) -> Map {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), Text::from(*value));
    pairs.iter().map(pair).collect()
}

fn write_log(path: &Path) -> io::Result<()> {
    fs::write(
        path,
        "2026-01-01T00:00:00.000000000Z stdout F a line of a container's log\n",
    )
}
