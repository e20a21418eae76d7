//! The labels by which the runtime is asked for parts of a list.

use crate::cri::proto;
use crate::node::Text;
use prost::bytes::Bytes;

/// The labels of an object, as far as they are known; or of a part of a list: all objects that carry them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Labels {
    /// `io.kubernetes.pod.namespace`. All parts of a namespace together hold its pods whole.
    pub(super) namespace: Text,
    /// `io.kubernetes.pod.name`
    pub(super) pod: Option<Text>,
    /// `io.kubernetes.pod.uid`
    pub(super) uid: Option<Text>,
    /// `io.kubernetes.container.name`; a sandbox has none.
    pub(super) container: Option<Text>,
}

const UID: &str = "io.kubernetes.pod.uid";

fn pair(key: &str, value: &str) -> proto::Pair {
    proto::Pair {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

/// The selector by which the runtime is asked for the objects of one pod (S8).
pub(super) fn of_uid(uid: &str) -> Vec<proto::Pair> {
    vec![pair(UID, uid)]
}

impl Labels {
    /// The labels of all objects of a namespace.
    pub(crate) fn of_namespace(namespace: Text) -> Labels {
        Labels {
            namespace,
            pod: None,
            uid: None,
            container: None,
        }
    }

    /// The labels of a pod.
    pub(crate) fn of_pod(namespace: Text, pod: Text, uid: Text) -> Labels {
        Labels {
            namespace,
            pod: Some(pod),
            uid: Some(uid),
            container: None,
        }
    }

    /// The same with the name of a container.
    pub(crate) fn with_container(&self, name: Text) -> Labels {
        Labels {
            container: Some(name),
            ..self.clone()
        }
    }

    /// The selector by which the runtime is asked for a part.
    pub(super) fn selector(&self) -> Vec<proto::Pair> {
        [
            ("io.kubernetes.pod.namespace", Some(&self.namespace)),
            ("io.kubernetes.container.name", self.container.as_ref()),
            ("io.kubernetes.pod.name", self.pod.as_ref()),
            (UID, self.uid.as_ref()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some(pair(key, value?)))
        .collect()
    }

    /// Whether an object with those labels is in this part.
    pub(super) fn covers(&self, other: &Labels) -> bool {
        let matches = |own: &Option<Text>, value: &Option<Text>| own.is_none() || own == value;
        self.namespace == other.namespace
            && matches(&self.pod, &other.pod)
            && matches(&self.uid, &other.uid)
            && matches(&self.container, &other.container)
    }

    /// The part with one label more that an object is in; `None` = no further label is known of it.
    pub(super) fn smaller(&self, object: &Labels) -> Option<Labels> {
        let mut part = self.clone();
        match (&self.container, &self.pod) {
            (_, Some(_)) => part.uid.clone_from(&object.uid),
            (None, None) if object.container.is_some() => {
                part.container.clone_from(&object.container);
            }
            _ => part.pod.clone_from(&object.pod),
        }
        (part != *self).then_some(part)
    }
}
