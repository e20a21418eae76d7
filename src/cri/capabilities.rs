//! What an engine has learnt about its runtime: which lists it cannot stream (S7). Kept until the runtime's version changes
//! (S0.11).

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
    /// The path of the call that lists in one message.
    pub(super) fn plain(self) -> &'static str {
        match self {
            List::Containers => "/runtime.v1.RuntimeService/ListContainers",
            List::Sandboxes => "/runtime.v1.RuntimeService/ListPodSandbox",
            List::Images => "/runtime.v1.ImageService/ListImages",
        }
    }

    /// The path of the call that streams.
    pub(super) fn stream(self) -> &'static str {
        match self {
            List::Containers => "/runtime.v1.RuntimeService/StreamContainers",
            List::Sandboxes => "/runtime.v1.RuntimeService/StreamPodSandboxes",
            List::Images => "/runtime.v1.ImageService/StreamImages",
        }
    }

    /// For messages.
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

/// What one kind of pass has learnt about its runtime.
#[derive(Debug, Default)]
pub(crate) struct Capabilities {
    /// Lists without a stream.
    lacking: [Cell<bool>; 3],
    /// Of which runtime; `None` = it was not asked yet.
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

    /// At the begin of a pass: forgets what was learnt about another version.
    pub(crate) async fn renew(&self, runtime: &Runtime<'_>) {
        if self.has_any() {
            self.settle(runtime.version().await);
        }
    }

    /// At the end of a pass that learnt something: of which version it is true. A runtime that does not answer is not waited for once
    /// more: the next pass learns anew.
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
    fn what_was_learnt_is_forgotten_with_another_version() {
        let version = |v: &str| Some(("containerd".into(), v.into()));
        // Signed with, found at the next pass, whether it is known still.
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
