//! Small nodes for the tests of the plans.

use crigc::node::{
    Container, ContainerState, Image, PodState, PodStates, Sandbox, SandboxState, Snapshot, Text,
};
use crigc::plan::in_use::InUse;

/// A second in ns.
pub const S: i64 = 1_000_000_000;

/// A container with all four labels of a kubelet, whose sandbox is `sb-<uid>`.
pub fn container(
    id: &str,
    uid: &str,
    name: &str,
    state: ContainerState,
    created: i64,
) -> Container {
    Container {
        id: id.into(),
        sandbox_id: format!("sb-{uid}").into(),
        name: name.into(),
        attempt: 0,
        state,
        created_at: created,
        finished_at: None,
        image_id: "".into(),
        image_ref: "".into(),
        image: "".into(),
        pod_name: Some(format!("pod-{uid}").into()),
        pod_namespace: Some("ns".into()),
        pod_uid: Some(uid.into()),
        container_name: Some(name.into()),
        deletion_grace: None,
        termination_grace: None,
        readable: true,
    }
}

/// A dead one.
pub fn exited(id: &str, uid: &str, name: &str, created: i64) -> Container {
    container(id, uid, name, ContainerState::Exited, created)
}

/// A sandbox.
pub fn sandbox(id: &str, uid: &str, state: SandboxState, created: i64) -> Sandbox {
    Sandbox {
        id: id.into(),
        pod_uid: uid.into(),
        pod_name: format!("pod-{uid}").into(),
        pod_namespace: "ns".into(),
        attempt: 0,
        state,
        created_at: created,
        readable: true,
    }
}

/// An image with one tag.
pub fn image(id: &str, tag: &str, size: u64) -> Image {
    Image {
        id: id.into(),
        handler: "".into(),
        tags: if tag.is_empty() {
            vec![]
        } else {
            vec![tag.into()]
        },
        digests: vec![],
        size,
        pinned: false,
        readable: true,
    }
}

/// What uses images: a container, `user`, that has them as image volumes.
pub fn mounted<'i>(images: impl IntoIterator<Item = &'i str>) -> InUse {
    let user: Text = "user".into();
    let images: Vec<Text> = images.into_iter().map(Text::from).collect();
    InUse::new([], images.iter().map(|image| (&user, image)))
}

/// A snapshot with its list of sandboxes.
pub fn look(containers: Vec<Container>, sandboxes: Vec<Sandbox>) -> Snapshot {
    Snapshot::new(containers, Some(sandboxes))
}

/// A ready host's answer: `+uid` content removable, `~uid` runtime removable, `uid` exists.
pub fn answer(pods: &[&str]) -> PodStates {
    let state = |pod: &&str| {
        let content = pod.strip_prefix('+');
        let runtime = pod.strip_prefix('~');
        let uid: Text = content.or(runtime).unwrap_or(pod).into();
        let state = PodState {
            content_removable: content.is_some(),
            runtime_removable: runtime.is_some(),
        };
        (uid, state)
    };
    PodStates {
        ready: true,
        states: pods.iter().map(state).collect(),
        as_of: 0,
    }
}
