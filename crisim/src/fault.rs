//! Faults by call, count and ID.

use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The call answers with this status code (a number of gRPC) and message, and does nothing.
    Code(i32, String),
    /// The call does its work and then answers with this status; a stream after its last message.
    Late(i32, String),
    /// The call does nothing and succeeds, like CRI-O's RemoveImage for the ID of an OCI artifact.
    Nothing,
    /// The call never answers.
    Hang,
    /// The connection is cut.
    Disconnect,
    /// A stream ends with this status code and message after this number of messages, or after its last; another call acts as with `Late`.
    Break(usize, i32, String),
    /// The connection is cut after this number of messages of a stream, or after its last; with another call after its work.
    Cut(usize),
    /// The call does its work, and the connection is cut after this number of bytes of its answer.
    Half(usize),
    /// The call does its work, and its answer (of a stream, the first message) claims this number of bytes.
    Huge(u32),
    /// The server sends bytes that are not HTTP/2, and cuts the connection.
    Garbage,
}

/// The calls that an action hits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Such as `RemoveContainer`; `*` = all.
    pub method: String,
    /// Only calls about this object.
    #[serde(default)]
    pub id: Option<String>,
    /// How many matching calls succeed first.
    #[serde(default)]
    pub skip: u64,
    /// How many are hit then; absent = all.
    #[serde(default)]
    pub count: Option<u64>,
    /// What goes wrong.
    pub action: Action,
}

impl Fault {
    /// All calls of a method.
    pub fn all(method: &str, action: Action) -> Fault {
        Fault {
            method: method.to_owned(),
            id: None,
            skip: 0,
            count: None,
            action,
        }
    }

    /// Calls of a method about one object.
    pub fn of(method: &str, id: &str, action: Action) -> Fault {
        Fault {
            id: Some(id.to_owned()),
            ..Fault::all(method, action)
        }
    }

    /// Counts a call, and returns the action if it hits.
    pub(crate) fn hit(&mut self, method: &str, id: &[u8]) -> Option<Action> {
        let named = self.method == "*" || self.method == method;
        if !named || self.id.as_ref().is_some_and(|own| own.as_bytes() != id) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        match &mut self.count {
            Some(0) => return None,
            Some(count) => *count -= 1,
            None => {}
        }
        Some(self.action.clone())
    }
}

/// A status by its number.
pub(crate) fn status(code: i32, message: &str) -> Status {
    Status::new(Code::from_i32(code), message)
}
