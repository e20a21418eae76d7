//! The answers of lists, at once or as streams, and the rows that their filters select.

use crate::messages::{listed, metadata, pairs};
use crate::node::{Container, Image, Map, Sandbox};
use crate::proto::{self, ContainerFilter, ImageFilter, Pair, PodSandboxFilter};
use crate::store::{Row, Store};
use prost::Message;
use prost::bytes::Bytes;

impl Row for Container {
    fn id(&self) -> &[u8] {
        &self.id.0
    }

    fn encode(&self) -> Vec<u8> {
        listed(self).encode_to_vec()
    }
}

impl Row for Sandbox {
    fn id(&self) -> &[u8] {
        &self.id.0
    }

    fn encode(&self) -> Vec<u8> {
        let row = proto::PodSandbox {
            id: self.id.0.clone(),
            metadata: Some(metadata(self)),
            state: self.state.number(),
            created_at: self.created_at,
            labels: pairs(&self.labels),
            annotations: pairs(&self.annotations),
            runtime_handler: self.runtime_handler.0.clone(),
        };
        row.encode_to_vec()
    }
}

impl Row for Image {
    fn id(&self) -> &[u8] {
        crate::store::bare(&self.id.0)
    }

    fn encode(&self) -> Vec<u8> {
        crate::messages::image(self).encode_to_vec()
    }
}

/// The selector of a list by keys.
fn keys(selector: &[Pair]) -> Vec<(String, &[u8])> {
    let key = |pair: &Pair| String::from_utf8_lossy(&pair.key).into_owned();
    let keys = selector.iter().map(|pair| (key(pair), &*pair.value));
    keys.collect()
}

/// Whether all pairs of a selector are among the labels.
fn selected(labels: &Map, selector: &[(String, &[u8])]) -> bool {
    let among = |(key, value): &(String, &[u8])| labels.get(key).is_some_and(|v| v.0 == *value);
    selector.iter().all(among)
}

/// The containers in a list.
pub(crate) fn containers(store: &Store, filter: &ContainerFilter) -> Vec<Bytes> {
    let id = (!filter.id.is_empty()).then(|| {
        let found = store.containers.find(&filter.id);
        found.map_or(&*filter.id, |c| &*c.id.0)
    });
    let sandbox = (!filter.pod_sandbox_id.is_empty()).then(|| {
        let found = store.sandboxes.find(&filter.pod_sandbox_id);
        found.map_or(&*filter.pod_sandbox_id, |s| &*s.id.0)
    });
    let selector = keys(&filter.label_selector);
    store.containers.encoded(|c| {
        id.is_none_or(|id| c.id.0 == id)
            && sandbox.is_none_or(|id| c.sandbox_id.0 == id)
            && filter.state.is_none_or(|s| c.state.number() == s.state)
            && selected(&c.labels, &selector)
    })
}

/// The sandboxes in a list.
pub(crate) fn sandboxes(store: &Store, filter: &PodSandboxFilter) -> Vec<Bytes> {
    let id = (!filter.id.is_empty()).then(|| {
        let found = store.sandboxes.find(&filter.id);
        found.map_or(&*filter.id, |s| &*s.id.0)
    });
    let selector = keys(&filter.label_selector);
    store.sandboxes.encoded(|s| {
        id.is_none_or(|id| s.id.0 == id)
            && filter
                .state
                .is_none_or(|state| s.state.number() == state.state)
            && selected(&s.labels, &selector)
    })
}

/// The images in a list.
pub(crate) fn images(store: &Store, filter: &ImageFilter) -> Vec<Bytes> {
    let name = filter.image.as_ref().map_or(&[][..], |spec| &spec.image);
    if name.is_empty() {
        return store.images.encoded(|_| true);
    }
    let image = store.find_image(name).and_then(|at| store.images.row(at));
    image
        .map(|image| image.encode().into())
        .into_iter()
        .collect()
}

/// A filter in the trace: `key=value` of all that is set.
fn told(fields: &[(&str, String)], selector: &[Pair]) -> String {
    let fields = fields.iter().filter(|(_, value)| !value.is_empty());
    let fields = fields.map(|(key, value)| format!("{key}={value}"));
    let labels = selector.iter().map(|pair| {
        let [key, value] = [&pair.key, &pair.value].map(|text| String::from_utf8_lossy(text));
        format!("{key}={value}")
    });
    fields.chain(labels).collect::<Vec<String>>().join(",")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A filter of containers in the trace.
pub(crate) fn told_of_containers(filter: &ContainerFilter) -> String {
    let state = filter.state.map(|state| state.state.to_string());
    let fields = [
        ("id", text(&filter.id)),
        ("state", state.unwrap_or_default()),
        ("pod_sandbox_id", text(&filter.pod_sandbox_id)),
    ];
    told(&fields, &filter.label_selector)
}

/// A filter of sandboxes in the trace.
pub(crate) fn told_of_sandboxes(filter: &PodSandboxFilter) -> String {
    let state = filter.state.map(|state| state.state.to_string());
    let fields = [
        ("id", text(&filter.id)),
        ("state", state.unwrap_or_default()),
    ];
    told(&fields, &filter.label_selector)
}

/// A filter of images in the trace.
pub(crate) fn told_of_images(filter: &ImageFilter) -> String {
    let image = filter.image.as_ref();
    let image = image.map(|spec| text(&spec.image)).unwrap_or_default();
    told(&[("image", image)], &[])
}
