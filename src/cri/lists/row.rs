//! The kinds of rows that CRI lists: how each is asked for, and by which labels.

use super::labels::Labels;
use crate::cri::capabilities::List;
use crate::cri::convert::{self, Names};
use crate::cri::proto;
use crate::node::{Container, ContainerState, Image, Sandbox, SandboxState, Text};
use std::collections::HashSet;
use std::hash::Hash;

/// The state of a row that was cut. CRI does not define it.
const CUT: i32 = i32::MIN;
/// The state of containers that run.
pub(super) const RUNNING: i32 = proto::ContainerState::ContainerRunning as i32;

/// A kind of object that the runtime lists.
pub(crate) trait Row: Sized {
    /// CRI's message of one row.
    type Message: prost::Message + Default;
    /// CRI's request; that for the stream has the same encoding.
    type Request: prost::Message + Default;
    const LIST: List;

    fn of(message: Self::Message, names: &mut Names) -> Self;
    /// Parts of the row were too large to be read: the row is kept, and so is what may depend on those parts.
    fn cut(&mut self);
}

/// A row that can be asked for by state and labels.
pub(super) trait Labelled: Row + Hash {
    /// The states of what is in use: few rows, however many have ended. A row that moves on in this order between two calls is in
    /// one of the answers.
    const IN_USE: &'static [i32];

    fn request(state: Option<i32>, labels: Vec<proto::Pair>) -> Self::Request;
    /// The labels by which the row can be asked for.
    fn labels(&self) -> Option<Labels>;
    fn id_and_readable(&mut self) -> (&Text, &mut bool);
}

/// The labels of the pods that rows belong to, each once.
pub(super) fn pods_of<R: Labelled>(rows: &[R]) -> Vec<Labels> {
    let labels = rows.iter().filter_map(Labelled::labels);
    let pods = labels.map(|labels| Labels {
        container: None,
        ..labels
    });
    let pods: HashSet<_> = pods.collect();
    pods.into_iter().collect()
}

impl Row for Container {
    type Message = proto::Container;
    type Request = proto::ListContainersRequest;
    const LIST: List = List::Containers;

    fn of(message: proto::Container, names: &mut Names) -> Container {
        convert::container(message, names)
    }

    /// It may run.
    fn cut(&mut self) {
        self.readable = false;
        self.state = ContainerState::Undefined(CUT);
    }
}

impl Labelled for Container {
    const IN_USE: &'static [i32] = &[proto::ContainerState::ContainerCreated as i32, RUNNING];

    fn request(state: Option<i32>, labels: Vec<proto::Pair>) -> proto::ListContainersRequest {
        let filter = proto::ContainerFilter {
            state: state.map(|state| proto::ContainerStateValue { state }),
            label_selector: labels,
            ..Default::default()
        };
        proto::ListContainersRequest {
            filter: Some(filter),
        }
    }

    fn labels(&self) -> Option<Labels> {
        let (namespace, pod) = (self.pod_namespace.clone()?, self.pod_name.clone()?);
        let pod = Labels::of_pod(namespace, pod, self.pod_uid.clone()?);
        Some(pod.with_container(self.container_name.clone()?))
    }

    fn id_and_readable(&mut self) -> (&Text, &mut bool) {
        (&self.id, &mut self.readable)
    }
}

/// The request for the containers in a sandbox.
pub(super) fn in_sandbox(id: &str) -> proto::ListContainersRequest {
    let filter = proto::ContainerFilter {
        pod_sandbox_id: id.into(),
        ..Default::default()
    };
    proto::ListContainersRequest {
        filter: Some(filter),
    }
}

impl Row for Sandbox {
    type Message = proto::PodSandbox;
    type Request = proto::ListPodSandboxRequest;
    const LIST: List = List::Sandboxes;

    fn of(message: proto::PodSandbox, names: &mut Names) -> Sandbox {
        convert::sandbox(message, names)
    }

    /// It may be READY.
    fn cut(&mut self) {
        self.readable = false;
        self.state = SandboxState::Undefined(CUT);
    }
}

impl Labelled for Sandbox {
    const IN_USE: &'static [i32] = &[proto::PodSandboxState::SandboxReady as i32];

    fn request(state: Option<i32>, labels: Vec<proto::Pair>) -> proto::ListPodSandboxRequest {
        let filter = proto::PodSandboxFilter {
            state: state.map(|state| proto::PodSandboxStateValue { state }),
            label_selector: labels,
            ..Default::default()
        };
        proto::ListPodSandboxRequest {
            filter: Some(filter),
        }
    }

    /// A kubelet labels a sandbox with the names that are in its metadata.
    fn labels(&self) -> Option<Labels> {
        let (namespace, pod) = (self.pod_namespace.clone(), self.pod_name.clone());
        Some(Labels::of_pod(namespace, pod, self.pod_uid.clone()))
    }

    fn id_and_readable(&mut self) -> (&Text, &mut bool) {
        (&self.id, &mut self.readable)
    }
}

impl Row for Image {
    type Message = proto::Image;
    type Request = proto::ListImagesRequest;
    const LIST: List = List::Images;

    fn of(message: proto::Image, names: &mut Names) -> Image {
        convert::image(message, names)
    }

    fn cut(&mut self) {
        self.readable = false;
    }
}
