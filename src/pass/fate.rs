//! What is planned for an object, and what becomes of it; its entry of the report is made of the two, once.

use crate::cri::{CallError, Place};
use crate::node::Text;
use crate::plan::order::Trouble;
use crate::report::{Entry, Kind, Outcome, Reason};

/// An object, and why it is to be removed or kept.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    pub(crate) id: Text,
    /// As in [`Entry`].
    pub(crate) name: Text,
    pub(crate) pod_uid: Text,
    pub(crate) reason: Reason,
    /// Of an image.
    pub(crate) bytes: u64,
}

impl Planned {
    pub(crate) fn new(
        kind: Kind,
        id: impl Into<Text>,
        name: impl Into<Text>,
        pod_uid: impl Into<Text>,
        reason: Reason,
    ) -> Planned {
        Planned {
            kind,
            id: id.into(),
            name: name.into(),
            pod_uid: pod_uid.into(),
            reason,
            bytes: 0,
        }
    }

    /// What the host is shown before anything became of it.
    pub(crate) fn entry(&self) -> Entry {
        self.clone().ended(Fate::Kept(self.reason))
    }

    /// Its entry of the report.
    pub(crate) fn ended(self, fate: Fate) -> Entry {
        let outcome = match fate {
            Fate::Removed => Outcome::Removed,
            Fate::Kept(_) => Outcome::Kept,
            Fate::Refused => Outcome::Refused,
            _ => Outcome::Failed,
        };
        let reason = match fate {
            Fate::Kept(reason) => reason,
            _ => self.reason,
        };
        Entry {
            kind: self.kind,
            outcome,
            id: self.id,
            name: self.name,
            pod_uid: self.pod_uid,
            reason,
            error: match fate {
                Fate::Refused => Some("the host did not approve of the removal".to_owned()),
                fate => fate.error().cloned(),
            },
            bytes: self.bytes,
        }
    }
}

/// What became of an object that was to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Removed,
    Kept(Reason),
    Failed(String),
    /// A defect of crigc in the work for it. What was in flight may have been carried out.
    Broke(String),
    /// The runtime did not answer in time.
    Silent(String),
    /// The host ended the pass meanwhile.
    BrokenOff(String),
    /// The connection was lost meanwhile. It counts for an object that was alone in flight (S0.8).
    Lost {
        alone: bool,
        error: String,
    },
    /// It was not asked for: there was no connection to be had.
    Unsent(String),
    Refused,
}

impl Fate {
    /// What a failed call about an object comes to; `doing` is such as `cannot remove image ID`.
    pub(crate) fn of(e: &CallError, doing: &str, place: Place<'_>) -> Fate {
        match e {
            CallError::NotBegun(_) | CallError::GivenUp(_) => Fate::Kept(Reason::NotReached),
            CallError::Interrupted(_) => Fate::BrokenOff(e.story(doing, place)),
            CallError::Timeout(_) => Fate::Silent(e.story(doing, place)),
            CallError::Unreachable(_) => Fate::Unsent(e.story(doing, place)),
            CallError::Unavailable(_) => Fate::Lost {
                alone: true,
                error: e.story(doing, place),
            },
            e => Fate::Failed(e.story(doing, place)),
        }
    }

    /// Why it is not gone, if something went wrong.
    pub(crate) fn error(&self) -> Option<&String> {
        match self {
            Fate::Failed(error)
            | Fate::Broke(error)
            | Fate::Silent(error)
            | Fate::BrokenOff(error)
            | Fate::Lost { error, .. }
            | Fate::Unsent(error) => Some(error),
            Fate::Removed | Fate::Kept(_) | Fate::Refused => None,
        }
    }

    /// Whether that is a removal that has ended, as progress counts them; what is kept after all is none.
    pub(crate) fn is_an_end(&self) -> bool {
        *self == Fate::Removed || self.error().is_some()
    }
}

/// What a call says of its object that was begun and got no answer.
pub(super) fn trouble(e: &CallError) -> Option<Trouble> {
    match e {
        CallError::Timeout(_) => Some(Trouble::Silent),
        CallError::Interrupted(_) => Some(Trouble::Failed),
        CallError::Unavailable(_) => Some(Trouble::Lost),
        _ => None,
    }
}
