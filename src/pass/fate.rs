//! The plan for an object, and what becomes of it; its entry of the report is made of the two, once.

use crate::cri::{CallError, Place};
use crate::node::Text;
use crate::plan::order::Trouble;
use crate::plan::pods::rests_on_pod;
use crate::report::{Compared, Entry, Kind, Outcome, Reason, Why};

/// An object, and why it is to be removed or kept.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) kind: Kind,
    pub(crate) id: Text,
    /// As in [`Entry`].
    pub(crate) name: Text,
    pub(crate) pod_uid: Text,
    pub(crate) reason: Reason,
    /// What was compared for this reason.
    pub(crate) compared: Compared,
    /// The removal rests on the host's answer about the pod (S0.3).
    pub(crate) rests_on_pod: bool,
    /// The size of an image.
    pub(crate) bytes: u64,
}

impl Planned {
    pub(crate) fn new(
        kind: Kind,
        id: impl Into<Text>,
        name: impl Into<Text>,
        pod_uid: impl Into<Text>,
        why: impl Into<Why>,
    ) -> Planned {
        let Why { reason, compared } = why.into();
        Planned {
            kind,
            id: id.into(),
            name: name.into(),
            pod_uid: pod_uid.into(),
            reason,
            compared,
            rests_on_pod: rests_on_pod(reason),
            bytes: 0,
        }
    }

    /// Its reason, with what was compared.
    pub(crate) fn why(&self) -> Why {
        Why::new(self.reason, self.compared.clone())
    }

    /// The entry that the host is shown before the removal.
    pub(crate) fn entry(&self) -> Entry {
        self.clone().ended(Fate::Kept(self.why()))
    }

    /// Its entry of the report.
    pub(crate) fn ended(self, fate: Fate) -> Entry {
        let (outcome, error) = match &fate {
            Fate::Removed => (Outcome::Removed, None),
            Fate::Kept(_) => (Outcome::Kept, None),
            Fate::Refused => {
                let error = "the host did not approve of the removal".to_owned();
                (Outcome::Refused, Some(error))
            }
            fate => (Outcome::Failed, fate.error().cloned()),
        };
        let Why { reason, compared } = match fate {
            Fate::Kept(why) => why,
            _ => Why::new(self.reason, self.compared),
        };
        Entry {
            kind: self.kind,
            outcome,
            id: self.id,
            name: self.name,
            pod_uid: self.pod_uid,
            reason,
            compared,
            error,
            bytes: self.bytes,
        }
    }
}

/// What became of an object that was to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Removed,
    Kept(Why),
    Failed(String),
    /// The work for it panicked. A call in flight may have been carried out.
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
    /// The call was not sent: there was no connection.
    Unsent(String),
    Refused,
}

impl Fate {
    /// It is kept.
    pub(crate) fn kept(why: impl Into<Why>) -> Fate {
        Fate::Kept(why.into())
    }

    /// What a failed call makes of its object; `doing` is like `cannot remove image ID`.
    pub(crate) fn of(e: &CallError, doing: &str, place: Place<'_>) -> Fate {
        let (alone, error) = (true, e.story(doing, place));
        match e {
            CallError::NotBegun(_) | CallError::GivenUp(_) => Fate::kept(Reason::NotReached),
            CallError::Interrupted(_) => Fate::BrokenOff(error),
            CallError::Timeout(_) => Fate::Silent(error),
            CallError::Unreachable(_) => Fate::Unsent(error),
            CallError::Unavailable(_) => Fate::Lost { alone, error },
            _ => Fate::Failed(error),
        }
    }

    /// Why its removal failed, if it did.
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

    /// Whether this is a removal that has ended, as progress counts them; an object that is kept after all does not count.
    pub(crate) fn is_an_end(&self) -> bool {
        *self == Fate::Removed || self.error().is_some()
    }
}

/// How work on an object failed by a call that was begun and got no answer.
pub(super) fn trouble(e: &CallError) -> Option<Trouble> {
    match e {
        CallError::Timeout(_) => Some(Trouble::Silent),
        CallError::Interrupted(_) => Some(Trouble::Failed),
        CallError::Unavailable(_) => Some(Trouble::Lost),
        _ => None,
    }
}
