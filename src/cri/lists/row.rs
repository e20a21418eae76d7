//! What the lists of CRI hold: how each kind of row is asked for, and by which labels.

use super::labels::Labels;
use crate::cri::capabilities::List;
use crate::cri::convert::{self, Names};
use crate::cri::proto;
use crate::node::{Container, ContainerState, Image, Sandbox, SandboxState, Text};
use prost::bytes::Bytes;
use std::collections::HashSet;

/// The state of what is not whole: none that CRI defines.
const CUT: i32 = i32::MIN;

/// A kind of object that the runtime lists.
pub(crate) trait Row: Sized + Send + Sync + 'static {
    /// CRI's message of one row.
    type Message: prost::Message + Default;
    /// CRI's request; that of the stream is the same on the wire.
    type Request: prost::Message + Default;
    /// The field of the answer that holds the rows.
    const FIELD: u32 = 1;
    const LIST: List;

    fn of(message: Self::Message, names: &mut Names) -> Self;
    fn id(&self) -> &Text;
    /// There is another one with this ID (S0.4).
    fn doubt(&mut self);
    /// Parts of the row were too large to be taken: it stays, and so does what may depend on what was not read.
    fn cut(&mut self) {
        self.doubt();
    }
}

/// A row that can be asked for by labels.
pub(super) trait Labelled: Row {
    fn request(part: &Labels) -> Self::Request;
    /// Its labels as far as they can be asked by.
    fn labels(&self) -> Option<Labels>;
    /// What asks for those that are in use, with labels or without: few, however many have ended. One that goes from one of these
    /// states to the next between two calls is in the answer of one of them.
    fn in_use() -> Vec<Self::Request>;
}

fn containers(filter: proto::ContainerFilter) -> proto::ListContainersRequest {
    proto::ListContainersRequest {
        filter: Some(filter),
    }
}

fn containers_in(state: proto::ContainerState) -> proto::ListContainersRequest {
    let state = state as i32;
    containers(proto::ContainerFilter {
        state: Some(proto::ContainerStateValue { state }),
        ..Default::default()
    })
}

fn sandboxes(filter: proto::PodSandboxFilter) -> proto::ListPodSandboxRequest {
    proto::ListPodSandboxRequest {
        filter: Some(filter),
    }
}

/// What asks for the containers that run: few, however many have ended.
pub(super) fn running() -> proto::ListContainersRequest {
    containers_in(proto::ContainerState::ContainerRunning)
}

/// The labels of pods that rows tell of, each once.
pub(super) fn pods_of<R: Labelled>(rows: &[R]) -> Vec<Labels> {
    let labels = rows.iter().filter_map(Labelled::labels);
    let pods = labels.map(|labels| Labels {
        container: None,
        ..labels
    });
    let pods: HashSet<_> = pods.collect();
    pods.into_iter().collect()
}

fn selector(part: &Labels) -> Vec<proto::Pair> {
    part.selector()
        .into_iter()
        .map(|(key, value)| proto::Pair {
            key: key.into(),
            value: Bytes::copy_from_slice(value.as_bytes()),
        })
        .collect()
}

impl Row for Container {
    type Message = proto::Container;
    type Request = proto::ListContainersRequest;
    const LIST: List = List::Containers;

    fn of(message: proto::Container, names: &mut Names) -> Container {
        convert::container(message, names)
    }

    fn id(&self) -> &Text {
        &self.id
    }

    fn doubt(&mut self) {
        self.readable = false;
    }

    /// It may run.
    fn cut(&mut self) {
        self.readable = false;
        self.state = ContainerState::Undefined(CUT);
    }
}

impl Labelled for Container {
    fn request(part: &Labels) -> proto::ListContainersRequest {
        containers(proto::ContainerFilter {
            label_selector: selector(part),
            ..Default::default()
        })
    }

    fn labels(&self) -> Option<Labels> {
        let (namespace, pod) = (self.pod_namespace.clone()?, self.pod_name.clone()?);
        let pod = Labels::of_pod(namespace, pod, self.pod_uid.clone()?);
        Some(pod.with_container(self.container_name.clone()?))
    }

    fn in_use() -> Vec<proto::ListContainersRequest> {
        let states = [
            proto::ContainerState::ContainerCreated,
            proto::ContainerState::ContainerRunning,
        ];
        states.map(containers_in).into()
    }
}

impl Row for Sandbox {
    type Message = proto::PodSandbox;
    type Request = proto::ListPodSandboxRequest;
    const LIST: List = List::Sandboxes;

    fn of(message: proto::PodSandbox, names: &mut Names) -> Sandbox {
        convert::sandbox(message, names)
    }

    fn id(&self) -> &Text {
        &self.id
    }

    fn doubt(&mut self) {
        self.readable = false;
    }

    /// It may be READY.
    fn cut(&mut self) {
        self.readable = false;
        self.state = SandboxState::Undefined(CUT);
    }
}

impl Labelled for Sandbox {
    fn request(part: &Labels) -> proto::ListPodSandboxRequest {
        sandboxes(proto::PodSandboxFilter {
            label_selector: selector(part),
            ..Default::default()
        })
    }

    /// A kubelet gives a sandbox the labels that its metadata names.
    fn labels(&self) -> Option<Labels> {
        Some(Labels::of_pod(
            self.pod_namespace.clone(),
            self.pod_name.clone(),
            self.pod_uid.clone(),
        ))
    }

    fn in_use() -> Vec<proto::ListPodSandboxRequest> {
        let state = proto::PodSandboxState::SandboxReady as i32;
        vec![sandboxes(proto::PodSandboxFilter {
            state: Some(proto::PodSandboxStateValue { state }),
            ..Default::default()
        })]
    }
}

impl Row for Image {
    type Message = proto::Image;
    type Request = proto::ListImagesRequest;
    const LIST: List = List::Images;

    fn of(message: proto::Image, names: &mut Names) -> Image {
        convert::image(message, names)
    }

    fn id(&self) -> &Text {
        &self.id
    }

    fn doubt(&mut self) {
        self.readable = false;
    }
}
