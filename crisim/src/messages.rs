//! Objects of the node as messages of CRI.

use crate::node::{Container, Image, Map, Sandbox, Text};
use crate::proto::{self, Pair};

pub(crate) fn pairs(map: &Map) -> Vec<Pair> {
    let pair = |(key, value): (&String, &Text)| Pair {
        key: key.clone().into_bytes(),
        value: value.0.clone(),
    };
    map.iter().map(pair).collect()
}

pub(crate) fn map(pairs: &[Pair]) -> Map {
    let entry = |pair: &Pair| {
        let key = String::from_utf8_lossy(&pair.key).into_owned();
        (key, Text(pair.value.clone()))
    };
    pairs.iter().map(entry).collect()
}

pub(crate) fn info(key: &str, value: &serde_json::Value) -> Vec<Pair> {
    vec![Pair {
        key: key.as_bytes().to_vec(),
        value: value.to_string().into_bytes(),
    }]
}

pub(crate) fn spec(image: &Text) -> proto::ImageSpec {
    proto::ImageSpec {
        image: image.0.clone(),
        ..Default::default()
    }
}

pub(crate) fn listed(c: &Container) -> proto::Container {
    proto::Container {
        id: c.id.0.clone(),
        pod_sandbox_id: c.sandbox_id.0.clone(),
        metadata: Some(proto::ContainerMetadata {
            name: c.name.0.clone(),
            attempt: c.attempt,
        }),
        image: Some(spec(&c.image)),
        image_ref: c.image_ref.0.clone(),
        state: c.state.number(),
        created_at: c.created_at,
        labels: pairs(&c.labels),
        annotations: pairs(&c.annotations),
        image_id: c.image_id.0.clone(),
    }
}

pub(crate) fn status(c: &Container) -> proto::ContainerStatus {
    let mount = |image: &Text| proto::Mount {
        container_path: b"/mnt".to_vec(),
        image: Some(spec(image)),
        ..Default::default()
    };
    proto::ContainerStatus {
        id: c.id.0.clone(),
        metadata: listed(c).metadata,
        state: c.state.number(),
        created_at: c.created_at,
        started_at: c.started_at,
        finished_at: c.finished_at,
        exit_code: c.exit_code,
        image: Some(spec(&c.image)),
        image_ref: c.image_ref.0.clone(),
        labels: pairs(&c.labels),
        annotations: pairs(&c.annotations),
        mounts: c.mounted_images.iter().map(mount).collect(),
        log_path: c.log_path.0.clone(),
        image_id: c.image_id.0.clone(),
        ..Default::default()
    }
}

pub(crate) fn metadata(s: &Sandbox) -> proto::PodSandboxMetadata {
    proto::PodSandboxMetadata {
        name: s.name.0.clone(),
        uid: s.uid.0.clone(),
        namespace: s.namespace.0.clone(),
        attempt: s.attempt,
    }
}

pub(crate) fn image(image: &Image) -> proto::Image {
    proto::Image {
        id: image.id.0.clone(),
        repo_tags: image.tags.iter().map(|tag| tag.0.clone()).collect(),
        repo_digests: image
            .digests
            .iter()
            .map(|digest| digest.0.clone())
            .collect(),
        size: image.size,
        pinned: image.pinned,
        spec: (!image.runtime_handler.0.is_empty()).then(|| proto::ImageSpec {
            runtime_handler: image.runtime_handler.0.clone(),
            ..Default::default()
        }),
        ..Default::default()
    }
}
