//! Turns messages of CRI into `node` objects. What cannot be read is marked, not dropped (S0.6).

use super::proto;
use crate::node::{Container, ContainerState, Image, Sandbox, SandboxState, Text};
use std::collections::HashSet;

/// Texts that many rows of a list share (pod names, namespaces, images). Each is stored once.
#[derive(Default)]
pub(crate) struct Names(HashSet<Text>);

impl Names {
    fn shared(&mut self, text: &str) -> Text {
        match self.0.get(text) {
            Some(known) => known.clone(),
            None => {
                let new = Text::from(text);
                self.0.insert(new.clone());
                new
            }
        }
    }
}

/// The longest text of a row, in bytes: as long as a path can be. No name, label or ID of a kubelet is longer than 253 characters, no
/// reference of an image longer than a few hundred. A longer text is cut, because a report holds some of these texts for each object,
/// and makes its row unreadable (S0.6).
const LONGEST_TEXT: usize = 4096;

/// Reads texts, and remembers whether all of them could be read.
struct Reader<'a> {
    readable: bool,
    names: &'a mut Names,
}

impl Reader<'_> {
    fn read<T>(&mut self, bytes: &[u8], keep: impl FnOnce(&mut Names, &str) -> T) -> T {
        self.readable &= bytes.len() <= LONGEST_TEXT;
        let bytes = &bytes[..bytes.len().min(LONGEST_TEXT)];
        if let Ok(text) = std::str::from_utf8(bytes) {
            return keep(self.names, text);
        }
        self.readable = false;
        keep(self.names, &String::from_utf8_lossy(bytes))
    }

    /// A text that is probably in no other row.
    fn text(&mut self, bytes: &[u8]) -> Text {
        self.read(bytes, |_, text| text.into())
    }

    /// A text that many rows have.
    fn name(&mut self, bytes: &[u8]) -> Text {
        self.read(bytes, Names::shared)
    }

    fn texts(&mut self, list: &[Vec<u8>]) -> Vec<Text> {
        list.iter().map(|bytes| self.text(bytes)).collect()
    }
}

pub(super) fn container(c: proto::Container, names: &mut Names) -> Container {
    let readable = !c.id.is_empty() && c.metadata.is_some();
    let mut reader = Reader { readable, names };
    let metadata = c.metadata.unwrap_or_default();
    let mut out = Container {
        id: reader.text(&c.id),
        sandbox_id: reader.name(&c.pod_sandbox_id),
        name: reader.name(&metadata.name),
        attempt: metadata.attempt,
        state: container_state(c.state),
        created_at: c.created_at,
        finished_at: None,
        image_id: reader.name(&c.image_id),
        image_ref: reader.name(&c.image_ref),
        image: reader.name(&c.image.unwrap_or_default().image),
        pod_name: None,
        pod_namespace: None,
        pod_uid: None,
        container_name: None,
        deletion_grace: None,
        termination_grace: None,
        readable: true,
    };
    for label in c.labels {
        let field = match &*label.key {
            b"io.kubernetes.pod.name" => &mut out.pod_name,
            b"io.kubernetes.pod.namespace" => &mut out.pod_namespace,
            b"io.kubernetes.pod.uid" => &mut out.pod_uid,
            b"io.kubernetes.container.name" => &mut out.container_name,
            _ => continue,
        };
        *field = Some(reader.name(&label.value));
    }
    for annotation in c.annotations {
        let field = match &*annotation.key {
            b"io.kubernetes.pod.deletionGracePeriod" => &mut out.deletion_grace,
            b"io.kubernetes.pod.terminationGracePeriod" => &mut out.termination_grace,
            _ => continue,
        };
        // One that is not UTF-8 is not a number either, and so counts as absent (S2.3).
        *field = std::str::from_utf8(&annotation.value)
            .ok()
            .filter(|text| text.len() <= LONGEST_TEXT)
            .map(|text| reader.names.shared(text));
    }
    out.readable = reader.readable;
    out
}

pub(super) fn container_state(state: i32) -> ContainerState {
    match proto::ContainerState::try_from(state) {
        Ok(proto::ContainerState::ContainerCreated) => ContainerState::Created,
        Ok(proto::ContainerState::ContainerRunning) => ContainerState::Running,
        Ok(proto::ContainerState::ContainerExited) => ContainerState::Exited,
        Ok(proto::ContainerState::ContainerUnknown) => ContainerState::Unknown,
        Err(_) => ContainerState::Undefined(state),
    }
}

pub(super) fn sandbox(s: proto::PodSandbox, names: &mut Names) -> Sandbox {
    let readable = !s.id.is_empty() && s.metadata.is_some();
    let mut reader = Reader { readable, names };
    let metadata = s.metadata.unwrap_or_default();
    let mut out = Sandbox {
        id: reader.text(&s.id),
        pod_uid: reader.name(&metadata.uid),
        pod_name: reader.name(&metadata.name),
        pod_namespace: reader.name(&metadata.namespace),
        attempt: metadata.attempt,
        state: match proto::PodSandboxState::try_from(s.state) {
            Ok(proto::PodSandboxState::SandboxReady) => SandboxState::Ready,
            Ok(proto::PodSandboxState::SandboxNotready) => SandboxState::NotReady,
            Err(_) => SandboxState::Undefined(s.state),
        },
        created_at: s.created_at,
        readable: true,
    };
    out.readable = reader.readable;
    out
}

/// An image that is not part of a list.
pub(super) fn one_image(i: proto::Image) -> Image {
    image(i, &mut Names::default())
}

pub(super) fn image(i: proto::Image, names: &mut Names) -> Image {
    let readable = !i.id.is_empty();
    let mut reader = Reader { readable, names };
    let mut out = Image {
        id: reader.text(&i.id),
        handler: reader.name(&i.spec.unwrap_or_default().runtime_handler),
        tags: reader.texts(&i.repo_tags),
        digests: reader.texts(&i.repo_digests),
        size: i.size,
        pinned: i.pinned,
        readable: true,
    };
    out.readable = reader.readable;
    out
}

/// What ContainerStatus reports of a container.
#[derive(Clone, Debug)]
pub(crate) struct ContainerStatus {
    pub(crate) id: Text,
    pub(crate) state: ContainerState,
    pub(crate) created_at: i64,
    pub(crate) finished_at: i64,
    /// `Err` = it is not UTF-8; the text is for messages.
    pub(crate) log_path: Result<Text, Text>,
    /// Images of its image volumes.
    pub(crate) mounted_images: Vec<Text>,
}

pub(super) fn container_status(status: proto::ContainerStatus) -> ContainerStatus {
    // However long: one name cut short would be another image's.
    let whole = |bytes: &[u8]| Text::from(String::from_utf8_lossy(bytes));
    ContainerStatus {
        id: whole(&status.id),
        state: container_state(status.state),
        created_at: status.created_at,
        finished_at: status.finished_at,
        log_path: match std::str::from_utf8(&status.log_path) {
            Ok(path) => Ok(path.into()),
            Err(_) => Err(whole(&status.log_path)),
        },
        mounted_images: status
            .mounts
            .into_iter()
            .filter_map(|mount| mount.image)
            .map(|image| whole(&image.image))
            .filter(|image| !image.is_empty())
            .collect(),
    }
}

/// A text field of a JSON document in a verbose answer: `info[key]`, then the field. `None` = there is no such field; an error = the
/// document cannot be read.
pub(super) fn info_field(
    info: &[proto::Pair],
    key: &str,
    field: &str,
) -> Result<Option<Text>, String> {
    let Some(pair) = info.iter().find(|pair| pair.key == key.as_bytes()) else {
        return Ok(None);
    };
    let document: serde_json::Value = serde_json::from_slice(&pair.value)
        .map_err(|e| format!("the field `{key}` of its verbose answer is not JSON: {e}"))?;
    let text = document.get(field).and_then(serde_json::Value::as_str);
    Ok(text.filter(|text| !text.is_empty()).map(Text::from))
}
