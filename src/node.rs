//! Plain data of a node, as a pass lists it. Knows neither protobuf nor C, and decides nothing.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// A text of the runtime; shared, because names and IDs repeat.
pub type Text = Arc<str>;

/// State of a container in CRI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerState {
    /// Created and not yet started.
    Created,
    /// Runs.
    Running,
    /// Has ended.
    Exited,
    /// The runtime lost track of it.
    Unknown,
    /// A number that CRI does not define; such a container is kept (S1.1).
    Undefined(i32),
}

/// State of a sandbox in CRI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SandboxState {
    /// Its pod can run containers.
    Ready,
    /// Has ended.
    NotReady,
    /// A number that CRI does not define; such a sandbox is kept (S3.2).
    Undefined(i32),
}

/// A container of the runtime's list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Container {
    /// The runtime's ID.
    pub id: Text,
    /// The ID of its sandbox.
    pub sandbox_id: Text,
    /// Its name in CRI metadata: half of the evict unit.
    pub name: Text,
    /// Its attempt in CRI metadata.
    pub attempt: u32,
    /// Its state.
    pub state: ContainerState,
    /// When it was created; ns since the epoch.
    pub created_at: i64,
    /// When it ended, if the pass asked (S1.2); ns since the epoch, 0 = never.
    pub finished_at: Option<i64>,
    /// `image_id` of CRI, "" if the runtime has none.
    pub image_id: Text,
    /// `image_ref` of CRI.
    pub image_ref: Text,
    /// `image.image` of CRI.
    pub image: Text,
    /// Label `io.kubernetes.pod.name`.
    pub pod_name: Option<Text>,
    /// Label `io.kubernetes.pod.namespace`.
    pub pod_namespace: Option<Text>,
    /// Label `io.kubernetes.pod.uid`.
    pub pod_uid: Option<Text>,
    /// Label `io.kubernetes.container.name`.
    pub container_name: Option<Text>,
    /// Annotation `io.kubernetes.pod.deletionGracePeriod`, not parsed.
    pub deletion_grace: Option<Text>,
    /// Annotation `io.kubernetes.pod.terminationGracePeriod`, not parsed.
    pub termination_grace: Option<Text>,
    /// False if a text that crigc needs is not UTF-8, or if the list had the ID twice with different content: it is kept, reason
    /// `unknown-state` (S0.4, S0.6).
    pub readable: bool,
}

impl Container {
    /// The order of age, oldest first: at the same time a higher attempt is newer, then a greater ID (S1.7).
    pub fn age(&self) -> (i64, u32, &Text) {
        (self.created_at, self.attempt, &self.id)
    }

    /// The UID of its pod: the label, "" without one (S0.1).
    pub fn uid(&self) -> &str {
        self.pod_uid.as_deref().unwrap_or("")
    }
}

/// A pod sandbox of the runtime's list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sandbox {
    /// The runtime's ID.
    pub id: Text,
    /// The pod's UID in CRI metadata.
    pub pod_uid: Text,
    /// The pod's name in CRI metadata.
    pub pod_name: Text,
    /// The pod's namespace in CRI metadata.
    pub pod_namespace: Text,
    /// Its attempt in CRI metadata.
    pub attempt: u32,
    /// Its state.
    pub state: SandboxState,
    /// When it was created; ns since the epoch.
    pub created_at: i64,
    /// As [`Container::readable`].
    pub readable: bool,
}

impl Sandbox {
    /// As [`Container::age`].
    pub fn age(&self) -> (i64, u32, &Text) {
        (self.created_at, self.attempt, &self.id)
    }
}

/// An image by its ID and runtime handler.
pub type ImageKey = (Text, Text);

/// An image of the runtime's list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Image {
    /// The runtime's ID.
    pub id: Text,
    /// The runtime handler it belongs to, "" if the runtime gives none.
    pub handler: Text,
    /// `repo_tags` of CRI.
    pub tags: Vec<Text>,
    /// `repo_digests` of CRI.
    pub digests: Vec<Text>,
    /// Bytes, as the runtime reports them.
    pub size: u64,
    /// The runtime has pinned it: it must not be removed.
    pub pinned: bool,
    /// As [`Container::readable`].
    pub readable: bool,
}

impl Image {
    /// Its ID and runtime handler, which no other image of a list has.
    pub fn key(&self) -> ImageKey {
        (self.id.clone(), self.handler.clone())
    }
}

/// What crigc remembers about an image (S5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageRecord {
    /// When it was first seen; ns since the epoch. `None` = in the past, before everything else.
    pub first_detected: Option<i64>,
    /// The same by CLOCK_BOOTTIME; ns, below 0 before this boot. `None` = not known yet. It does not outlive the engine.
    pub detected_boot: Option<i64>,
    /// When it was last used; ns since the epoch. `None` = never.
    pub last_used: Option<i64>,
    /// The value of [`ImageRecords::watched`] when it was last used, or first seen.
    pub unused_since: Duration,
    /// Bytes.
    pub size: u64,
    /// As [`Image::pinned`].
    pub pinned: bool,
}

/// What crigc remembers about all images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageRecords {
    /// By ID and runtime handler.
    pub images: HashMap<ImageKey, ImageRecord>,
    /// How long images have been watched in all: the time between two looks of one engine. It contains neither the time between one
    /// engine and the next nor a leap of a clock.
    pub watched: Duration,
}

/// A file in the log directory of a container, below that of its pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogFile {
    /// The name of its pod's directory in `pod-logs-dir`.
    pub pod: Text,
    /// The name of its container's directory.
    pub container: Text,
    /// Its own name.
    pub name: Text,
    /// When it was last written; ns since the epoch.
    pub changed: i64,
}

impl LogFile {
    /// Its path below `pod-logs-dir`.
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.pod, self.container, self.name)
    }
}

/// The containers and sandboxes that a pass has listed.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All containers, in all states. [`Snapshot::new`] has settled doubles.
    pub containers: Vec<Container>,
    /// All sandboxes; `None` if that list failed.
    pub sandboxes: Option<Vec<Sandbox>>,
    /// These pods may have further containers (S7.3): nothing is removed because its pod is gone, or because of the total limit.
    pub partial: bool,
}

impl Snapshot {
    /// A snapshot with doubles settled (S0.4): an ID that is listed twice with the same content counts once. With different content
    /// all its rows become unreadable.
    pub fn new(containers: Vec<Container>, sandboxes: Option<Vec<Sandbox>>) -> Snapshot {
        Snapshot {
            containers: settle_doubles(containers, |c| c.id.clone(), |c| c.readable = false),
            sandboxes: sandboxes
                .map(|s| settle_doubles(s, |s| s.id.clone(), |s| s.readable = false)),
            partial: false,
        }
    }
}

/// The images of a list, with doubles settled (S0.4): a list has an image once for each runtime handler. An image that is unreadable
/// for one handler is so for all of them: a runtime may remove an image for all.
pub fn settle_images(images: Vec<Image>) -> Vec<Image> {
    let mut images = settle_doubles(images, Image::key, |image| image.readable = false);
    let doubted = images.iter().filter(|image| !image.readable);
    let doubted: HashSet<Text> = doubted.map(|image| image.id.clone()).collect();
    for image in &mut images {
        image.readable &= !doubted.contains(&image.id);
    }
    images
}

/// Drops equal rows of a key, and passes all rows of a key whose rows differ to `doubt`.
fn settle_doubles<T: Clone + Eq + Hash, K: Eq + Hash>(
    rows: Vec<T>,
    key: impl Fn(&T) -> K,
    doubt: impl Fn(&mut T),
) -> Vec<T> {
    let mut first: HashMap<K, usize> = HashMap::with_capacity(rows.len());
    // Only rows after the first of a key; a sound list has none.
    let mut further: HashSet<T> = HashSet::new();
    let mut doubted: HashSet<K> = HashSet::new();
    let mut kept: Vec<T> = Vec::with_capacity(rows.len());
    for row in rows {
        match first.get(&key(&row)) {
            None => drop(first.insert(key(&row), kept.len())),
            Some(&at) if kept[at] == row || !further.insert(row.clone()) => continue,
            Some(_) => drop(doubted.insert(key(&row))),
        }
        kept.push(row);
    }
    if !doubted.is_empty() {
        let rows = kept.iter_mut().filter(|row| doubted.contains(&key(row)));
        rows.for_each(doubt);
    }
    kept
}

/// What the host reports about one pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodState {
    /// Everything that the pod left behind may be removed (S0.2).
    pub content_removable: bool,
    /// Its containers and sandboxes may be removed, though the pod may still exist (S0.2).
    pub runtime_removable: bool,
}

/// The host's answer about some pods.
#[derive(Clone, Debug, Default)]
pub struct PodStates {
    /// The host has seen every pod source at least once.
    pub ready: bool,
    /// By UID. A pod whose UID is not in here was not asked about and is not removable (S0.3).
    pub states: HashMap<Text, PodState>,
    /// The moment that the answer describes; ns since the epoch, 0 = no check (S0.3).
    pub as_of: i64,
}

/// Size and use of a filesystem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsUsage {
    /// Bytes.
    pub capacity: u64,
    /// Bytes.
    pub available: u64,
    /// 0 = unknown.
    pub inodes: u64,
    /// Inodes that users without privileges may still use.
    pub inodes_free: u64,
}
