//! How a call of the runtime can fail, and the story that a host gets of it.

use super::Place;
use super::client::PATIENCE;
use crate::error::{Error, Status};
use crate::report::visible;
use crate::stop::Cause;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

/// A failed call.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    /// The runtime does not know the object.
    NotFound(String),
    /// The runtime ran out of something, or the answer does not fit a message.
    Exhausted(String),
    /// The answer is larger than is taken.
    TooMuch(String),
    /// The list does not fit a message.
    TooLarge(String),
    /// No answer within the deadline.
    Timeout(Duration),
    /// It was not made, because too many of its kind before it got no answer; their path.
    GivenUp(&'static str),
    /// The pass ended before the call began.
    NotBegun(Cause),
    /// The pass ended while it was in flight: its outcome is unknown.
    Interrupted(Cause),
    /// The connection is gone.
    Disconnected(String),
    /// The runtime does not know the call or the service.
    Unimplemented(String),
    /// The answer is no CRI, or no HTTP/2.
    Garbage(String),
    /// Any other answer that is an error.
    Runtime(String),
}

impl From<tonic::Status> for CallError {
    fn from(status: tonic::Status) -> CallError {
        let message = visible(&cut(status.message()));
        // What this side found wrong with an answer says so by its source; a runtime may use the same words.
        if std::error::Error::source(&status).is_some_and(|source| source.is::<NoCri>()) {
            return CallError::Garbage(message);
        }
        match status.code() {
            Code::NotFound => CallError::NotFound(message),
            Code::ResourceExhausted => CallError::Exhausted(message),
            Code::OutOfRange if message.contains("message length") => CallError::TooMuch(message),
            Code::Unimplemented => CallError::Unimplemented(message),
            Code::Unavailable => CallError::Disconnected(message),
            code => CallError::Runtime(match message.is_empty() {
                true => format!("{code:?}"),
                false => format!("{code:?}: {message}"),
            }),
        }
    }
}

/// The longest message of a runtime that is passed on, in bytes. A runtime may put the whole output of a program into one.
const LONGEST_MESSAGE: usize = 4 << 10;

/// The beginning of a message, with how long it was.
fn cut(message: &str) -> Cow<'_, str> {
    if message.len() <= LONGEST_MESSAGE {
        return message.into();
    }
    let mut end = LONGEST_MESSAGE;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let all = message.len();
    format!("{} ... (cut, {all} bytes in all)", &message[..end]).into()
}

/// The source of a status that this side made of an answer which is no HTTP/2, or no message.
#[derive(Debug, thiserror::Error)]
#[error("the answer is no CRI")]
pub(super) struct NoCri;

/// A status about such an answer.
pub(super) fn no_cri(message: String) -> tonic::Status {
    let mut status = tonic::Status::internal(message);
    status.set_source(Arc::new(NoCri));
    status
}

/// The innermost cause of a failure, in words.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(e) = last.source() {
        last = e;
    }
    last.to_string()
}

/// What connects and speaks no HTTP/2.
pub(crate) fn not_cri(place: Place<'_>, e: &hyper::Error) -> Error {
    Error::new(
        Status::Runtime,
        format!(
            "{place} does not speak CRI: {}; set {} to the socket of a CRI v1 runtime",
            visible(&root_cause(e)),
            place.key
        ),
    )
}

impl CallError {
    /// Whether it shows, as the first thing that is heard of a service, that nothing is to be had there: no answer at all, no
    /// HTTP/2, or no CRI v1 (in the words of grpc-go, in which all runtimes but one in Rust are served).
    pub(super) fn shows_no_service(&self) -> bool {
        match self {
            CallError::Timeout(_) | CallError::Garbage(_) => true,
            CallError::Unimplemented(m) => {
                m.contains("unknown service") || m.contains("HTTP status")
            }
            _ => false,
        }
    }

    /// The same about a list: what is exhausted then is the room of a message.
    pub(crate) fn of_list(self) -> CallError {
        match self {
            CallError::Exhausted(m) | CallError::TooMuch(m) => CallError::TooLarge(m),
            other => other,
        }
    }

    /// The story for the host: `doing` is such as `cannot list containers`.
    pub(crate) fn error(&self, doing: &str, place: Place<'_>) -> Error {
        let socket_wrong = format!(
            "see whether {} is the socket of a CRI v1 runtime",
            place.key
        );
        let (status, cause, way_out) = match self {
            CallError::NotFound(m) => (
                Status::Runtime,
                format!("not found: {m}"),
                "it went in the meantime; the next pass looks again",
            ),
            CallError::Exhausted(m) => (
                Status::Runtime,
                format!("the runtime has run out of something: {m}"),
                "see the runtime's log",
            ),
            CallError::TooMuch(m) => (
                Status::Runtime,
                format!("the answer is too large: {m}"),
                socket_wrong.as_str(),
            ),
            CallError::TooLarge(m) => (
                Status::Runtime,
                format!("the list is too large for one message: {m}"),
                "raise the runtime's limit for messages (containerd: max_recv_message_size and max_send_message_size in the [grpc] section), or remove some dead containers or images by hand once, so that the list fits again",
            ),
            CallError::Timeout(limit) => (
                Status::Timeout,
                format!("no answer within runtime-request-timeout ({limit:?})"),
                "see whether the runtime hangs, or set a longer runtime-request-timeout",
            ),
            CallError::GivenUp(method) => (
                Status::Timeout,
                format!(
                    "the last {PATIENCE} calls of {} got no answer within runtime-request-timeout",
                    method.rsplit('/').next().unwrap_or(method)
                ),
                "see whether the runtime hangs; the next pass tries again",
            ),
            CallError::NotBegun(cause) => {
                let e = cause.error();
                return Error::new(e.status, format!("{doing}: {}", e.message));
            }
            CallError::Interrupted(cause) => {
                let e = cause.error();
                return Error::new(
                    e.status,
                    format!("{doing}: outcome unknown, no answer yet when {}", e.message),
                );
            }
            CallError::Disconnected(m) => (
                Status::Unavailable,
                format!("the connection broke: {m}"),
                "see whether the runtime restarts; the next pass connects anew",
            ),
            CallError::Unimplemented(m) => (
                Status::Runtime,
                format!("the runtime does not know the call: {m}"),
                "crigc needs a runtime that speaks CRI v1 (containerd 1.6, CRI-O 1.20 or later)",
            ),
            CallError::Garbage(m) => (
                Status::Runtime,
                format!("the answer is no CRI: {m}"),
                socket_wrong.as_str(),
            ),
            CallError::Runtime(m) => (Status::Runtime, m.clone(), "see the runtime's log"),
        };
        Error::new(status, format!("{doing} at {place}: {cause}; {way_out}"))
    }

    /// The same for one object of a report.
    pub(crate) fn story(&self, doing: &str, place: Place<'_>) -> String {
        self.error(doing, place).message
    }
}
