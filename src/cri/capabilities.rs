//! Which lists a runtime cannot stream (S7). An engine keeps that until the runtime's version changes (S0.11).

use super::client::Runtime;
use crate::node::Text;
use std::cell::{Cell, RefCell};

/// The lists of CRI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Containers,
    Sandboxes,
    Images,
}

impl List {
    /// The path of the call that returns the list in one message.
    pub(super) fn plain(self) -> &'static str {
        match self {
            List::Containers => "/runtime.v1.RuntimeService/ListContainers",
            List::Sandboxes => "/runtime.v1.RuntimeService/ListPodSandbox",
            List::Images => "/runtime.v1.ImageService/ListImages",
        }
    }

    /// The path of the call that streams the list.
    pub(super) fn stream(self) -> &'static str {
        match self {
            List::Containers => "/runtime.v1.RuntimeService/StreamContainers",
            List::Sandboxes => "/runtime.v1.RuntimeService/StreamPodSandboxes",
            List::Images => "/runtime.v1.ImageService/StreamImages",
        }
    }

    /// What failed, for messages.
    pub(crate) fn doing(self) -> &'static str {
        match self {
            List::Containers => "cannot list containers",
            List::Sandboxes => "cannot list pod sandboxes",
            List::Images => "cannot list images",
        }
    }
}

/// Name and version of a runtime.
pub(crate) type Version = (Text, Text);

/// What passes of one kind know of their runtime.
#[derive(Debug, Default)]
pub(crate) struct Capabilities {
    /// The lists that the runtime does not stream.
    lacking: [Cell<bool>; 3],
    /// The version that this is true of; `None` = unknown.
    of: RefCell<Option<Version>>,
}

impl Capabilities {
    pub(super) fn may_stream(&self, list: List) -> bool {
        !self.lacking[list as usize].get()
    }

    pub(super) fn lacks(&self, list: List) {
        self.lacking[list as usize].set(true);
    }

    fn has_any(&self) -> bool {
        self.lacking.iter().any(Cell::get)
    }

    /// At the start of a pass: forgets what was true of another version.
    pub(crate) async fn renew(&self, runtime: &Runtime<'_>) {
        if self.has_any() {
            self.settle(runtime.version().await);
        }
    }

    /// At the end of a pass: remembers the version. A runtime whose last call got no answer is not asked: the next pass finds out anew.
    pub(crate) async fn sign(&self, runtime: &Runtime<'_>) {
        if self.has_any() && self.of.borrow().is_none() && !runtime.is_doubtful() {
            self.of.replace(runtime.version().await);
        }
    }

    fn settle(&self, now: Option<Version>) {
        if now.is_none() || *self.of.borrow() != now {
            self.lacking.iter().for_each(|lacking| lacking.set(false));
            self.of.replace(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_forgotten_with_another_version() {
        let version = |v: &str| Some(("containerd".into(), v.into()));
        // The remembered version, that of the next pass, and whether the capabilities are still known.
        let cases = [
            (version("1.6"), version("1.6"), true),
            (version("1.6"), version("2.4"), false),
            (version("1.6"), None, false),
            (None, version("1.6"), false),
            (None, None, false),
        ];
        for (signed, found, known) in cases {
            let capabilities = Capabilities::default();
            capabilities.lacks(List::Containers);
            capabilities.of.replace(signed.clone());
            capabilities.settle(found.clone());
            assert_eq!(
                capabilities.may_stream(List::Containers),
                !known,
                "{signed:?} {found:?}"
            );
            assert!(capabilities.may_stream(List::Images));
        }
    }
}
