//! The node: a JSON file or a test gives it, calls change it, and it is written at the end; all in the same form.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Text of the runtime, which need not be UTF-8: a JSON string, or `{"hex": "ff00"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(pub Vec<u8>);

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(text.as_bytes().to_vec())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(text.into_bytes())
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// The two JSON forms of a text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TextForm {
    Plain(String),
    Bytes { hex: String },
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match std::str::from_utf8(&self.0) {
            Ok(text) => TextForm::Plain(text.to_owned()),
            Err(_) => TextForm::Bytes {
                hex: self.0.iter().map(|byte| format!("{byte:02x}")).collect(),
            },
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        match TextForm::deserialize(deserializer)? {
            TextForm::Plain(text) => Ok(text.into()),
            TextForm::Bytes { hex } => (0..hex.len())
                .step_by(2)
                .map(|at| {
                    let pair = hex.get(at..at + 2);
                    pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
                })
                .collect::<Option<Vec<u8>>>()
                .map(Text)
                .ok_or_else(|| D::Error::custom("`hex` is no pairs of hex digits")),
        }
    }
}

/// A state of CRI: its word, or any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum State {
    /// By its word.
    Word(Word),
    /// By its number, defined or not.
    Number(i32),
    /// Without a state.
    #[default]
    #[serde(skip)]
    Default,
}

/// The words of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "CRI's own words")]
pub enum Word {
    Created,
    Running,
    Exited,
    Unknown,
    Ready,
    NotReady,
}

impl State {
    /// The number in CRI.
    pub fn number(self) -> i32 {
        match self {
            State::Number(number) => number,
            State::Word(Word::Created | Word::Ready) => 0,
            State::Word(Word::Running | Word::NotReady) => 1,
            State::Word(Word::Exited) => 2,
            State::Word(Word::Unknown) => 3,
            State::Default => 0,
        }
    }
}

/// Labels or annotations.
pub type Map = BTreeMap<String, Text>;

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "fields of CRI; times are ns since the epoch")]
pub struct Container {
    pub id: Text,
    pub sandbox_id: Text,
    pub name: Text,
    pub attempt: u32,
    pub state: State,
    pub created_at: i64,
    pub started_at: i64,
    pub finished_at: i64,
    pub exit_code: i32,
    pub image: Text,
    pub image_id: Text,
    pub image_ref: Text,
    pub labels: Map,
    pub annotations: Map,
    pub log_path: Text,
    /// Images of its image volumes.
    pub mounted_images: Vec<Text>,
}

/// A pod sandbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "fields of CRI; times are ns since the epoch")]
pub struct Sandbox {
    pub id: Text,
    pub uid: Text,
    pub name: Text,
    pub namespace: Text,
    pub attempt: u32,
    pub state: State,
    pub created_at: i64,
    pub labels: Map,
    pub annotations: Map,
    pub log_directory: Text,
    pub runtime_handler: Text,
    /// The image of its pause container, in its verbose status.
    pub image: Text,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "fields of CRI")]
pub struct Image {
    pub id: Text,
    pub tags: Vec<Text>,
    pub digests: Vec<Text>,
    pub size: u64,
    pub pinned: bool,
    pub runtime_handler: Text,
    /// What it has on the filesystem; empty = `size` bytes of its own, and no inode.
    pub layers: Vec<Layer>,
}

/// A layer of an image. All images with a layer of this name share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Layer {
    /// Its name.
    pub name: Text,
    /// How many bytes it has on the filesystem, whatever its image reports as its size.
    pub bytes: u64,
    /// How many inodes it has.
    pub inodes: u64,
}

/// The image filesystem.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filesystem {
    /// The mount point in ImageFsInfo; empty = none.
    pub mountpoint: Text,
    /// The mount points behind that one.
    pub further_mountpoints: Vec<Text>,
    /// Bytes.
    pub capacity: u64,
    /// Bytes; grows when images are removed.
    pub available: u64,
    /// How much of what an image has its removal really frees, in percent; 0 counts as 100.
    pub freed_percent: u64,
    /// How many inodes it has; 0 = it does not say.
    pub inodes: u64,
    /// How many of them are free; grows when images are removed.
    pub inodes_free: u64,
    /// The file with capacity and available, and with both numbers of inodes if it says how many: one line with spaces between, replaced at
    /// each change.
    pub usage_file: Option<PathBuf>,
}

/// A whole node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// In the order of the list; an ID may be there twice.
    pub containers: Vec<Container>,
    /// As for containers.
    pub sandboxes: Vec<Sandbox>,
    /// As for containers.
    pub images: Vec<Image>,
    /// The runtime's own sandbox image, in its verbose status; empty = it is not there.
    pub sandbox_image: Text,
    /// Put it only into the status of sandboxes, as containerd 2 does.
    pub hides_sandbox_image: bool,
    /// The image filesystem.
    pub filesystem: Filesystem,
    /// Answer NotFound to a removal of an object that does not exist (as some runtimes do), where containerd answers success.
    pub not_found_errors: bool,
    /// Answer success to a stop of an object that does not exist (as containerd 2 does), where containerd 1 answers NotFound.
    pub stops_of_nothing_succeed: bool,
    /// Give new containers the ID of their image in `image_id`, as containerd 2 and CRI-O do.
    pub fills_image_id: bool,
    /// Tell what a verbose PodSandboxStatus tells also where nobody asks for it, as containerd 2.4 does.
    pub is_always_verbose: bool,
    /// Answer as CRI-O does where it differs from containerd: the empty ID is not found, RemoveImage with one of several tags takes only that
    /// tag away and needs a name, a new container has a digest in `image_ref`, and a new sandbox one label more and no image in its verbose
    /// status.
    pub like_crio: bool,
}

impl Filesystem {
    /// So many bytes and inodes of an image that was removed are of no other image.
    pub(crate) fn free(&mut self, bytes: u64, inodes: u64) {
        let percent = match self.freed_percent {
            0 => 100,
            percent => percent,
        };
        let part = |of: u64| {
            let part = u128::from(of) * u128::from(percent) / 100;
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        self.available = self
            .available
            .saturating_add(part(bytes))
            .min(self.capacity);
        self.inodes_free = self
            .inodes_free
            .saturating_add(part(inodes))
            .min(self.inodes);
        self.tell();
    }

    /// Writes the usage file, complete or not.
    pub(crate) fn tell(&self) {
        let Some(path) = &self.usage_file else {
            return;
        };
        let new = path.with_extension("new");
        let mut line = format!("{} {}", self.capacity, self.available);
        if self.inodes > 0 {
            line += &format!(" {} {}", self.inodes, self.inodes_free);
        }
        line.push('\n');
        if let Err(e) = std::fs::write(&new, line).and_then(|()| std::fs::rename(&new, path)) {
            eprintln!("crisim: cannot write {}: {e}", path.display());
        }
    }
}
