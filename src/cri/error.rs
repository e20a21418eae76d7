//! How a call of the runtime can fail, and the error that the host gets.

use super::Place;
use super::budget::PATIENCE;
use crate::error::{Error, Status};
use crate::report::visible;
use crate::stop::Cause;
use std::borrow::Cow;
use std::time::Duration;
use tonic::Code;

/// A failed call.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    /// The runtime does not know the object.
    NotFound(String),
    /// The runtime ran out of something, or could not put its answer into a message.
    Exhausted(String),
    /// The answer has more bytes than crigc takes.
    TooLarge { bytes: usize, limit: usize },
    /// No answer within the deadline.
    Timeout(Duration),
    /// It was not made, because too many calls with this path got no answer.
    GivenUp(&'static str),
    /// It was not made, because the pass had been told to end.
    NotBegun(Cause),
    /// The pass ended while the call was in flight: its outcome is unknown.
    Interrupted(Cause),
    /// It was not sent, because crigc could not connect.
    Unreachable(String),
    /// The connection is gone, or the runtime does not serve calls now; in words for the host.
    Unavailable(String),
    /// The runtime does not know the call, or the whole `service`.
    Unimplemented { message: String, service: bool },
    /// The answer is not CRI, or not HTTP/2.
    Garbage(String),
    /// Any other error that the runtime answered with, or an answer that cannot be used.
    Runtime(String),
}

/// An error that the runtime answered with.
impl From<tonic::Status> for CallError {
    fn from(status: tonic::Status) -> CallError {
        let message = visible(&cut(status.message()));
        match status.code() {
            Code::NotFound => CallError::NotFound(message),
            Code::ResourceExhausted => CallError::Exhausted(message),
            // Servers in Rust use this code if a message is larger than they may send.
            Code::OutOfRange if sizes_in(&message).is_some() => CallError::Exhausted(message),
            Code::Unimplemented => CallError::Unimplemented {
                // The words of grpc-go, which all runtimes use but one in Rust.
                service: message.contains("unknown service"),
                message,
            },
            Code::Unavailable => CallError::Unavailable(format!(
                "the runtime says that it is unavailable: {message}"
            )),
            code if message.is_empty() => CallError::Runtime(format!("{code:?}")),
            code => CallError::Runtime(format!("{code:?}: {message}")),
        }
    }
}

/// The longest error message of a runtime that crigc passes on, in bytes. A runtime may put the whole output of a program into one.
const LONGEST_MESSAGE: usize = 4 << 10;

/// The beginning of a message; a message that is cut ends with its length.
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

/// The size of a message that was refused, and the limit, as gRPC's libraries write them: `... message larger than max (18400000 vs.
/// 16777216)` in Go and C++, `... message length too large: found N bytes, the limit is: M bytes` in Rust. Other numbers may be
/// something else, such as a limit of calls.
fn sizes_in(message: &str) -> Option<(u64, u64)> {
    let after = |words: &str| message.split_once(words).map(|(_, rest)| rest);
    let words = [
        "message larger than max (",
        "message length too large: found ",
    ];
    let (size, rest) = number(words.into_iter().find_map(after)?)?;
    let between = [" vs. ", " vs ", " bytes, the limit is: "];
    let rest = between.iter().find_map(|words| rest.strip_prefix(words))?;
    let (limit, _) = number(rest)?;
    (size > limit).then_some((size, limit))
}

/// The number at the front of a text, and the rest.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    Some((digits.parse().ok()?, rest))
}

/// The innermost cause of a failure, in words for the host.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(e) = last.source() {
        last = e;
    }
    visible(&cut(&last.to_string()))
}

/// The error of a socket that does not speak HTTP/2.
pub(crate) fn not_cri(place: Place<'_>, e: &h2::Error) -> Error {
    let way_out = match place.callback {
        Some(_) => "let the connect callback connect to a CRI v1 runtime".to_owned(),
        None => format!("set {} to the socket of a CRI v1 runtime", place.key),
    };
    let cause = root_cause(e);
    let message = format!("{place} does not speak CRI: {cause}; {way_out}");
    Error::new(Status::Runtime, message)
}

impl CallError {
    /// The error of an answer that is not a message.
    pub(super) fn garbage(what: &str) -> CallError {
        CallError::Garbage(format!("failed to decode Protobuf message: {what}"))
    }

    /// Whether this error, as the first answer of a service, shows that no other call will succeed: it timed out, or is not CRI v1.
    pub(super) fn shows_no_service(&self) -> bool {
        matches!(
            self,
            CallError::Timeout(_)
                | CallError::Garbage(_)
                | CallError::Unimplemented { service: true, .. }
        )
    }

    /// Whether it is unknown what became of the call, and whether the next one will be answered.
    pub(super) fn is_no_answer(&self) -> bool {
        matches!(
            self,
            CallError::Timeout(_)
                | CallError::Interrupted(_)
                | CallError::Unreachable(_)
                | CallError::Unavailable(_)
                | CallError::Garbage(_)
        )
    }

    /// If a list failed because it does not fit a message: why, and its size and the limit in bytes, if they are known.
    pub(super) fn does_not_fit(&self) -> Option<(String, Option<(u64, u64)>)> {
        match self {
            CallError::Exhausted(m) => Some((m.clone(), sizes_in(m))),
            CallError::TooLarge { bytes, limit } => {
                let sizes = (*bytes as u64, *limit as u64);
                Some((too_large(*bytes, *limit), Some(sizes)))
            }
            _ => None,
        }
    }

    /// What went wrong.
    pub(super) fn cause(&self) -> String {
        match self {
            CallError::NotFound(m) => format!("not found: {m}"),
            CallError::Exhausted(m) => format!("the runtime has run out of something: {m}"),
            CallError::TooLarge { bytes, limit } => {
                format!("the answer is too large: {}", too_large(*bytes, *limit))
            }
            CallError::Timeout(limit) => {
                format!("no answer within runtime-request-timeout ({limit:?})")
            }
            CallError::GivenUp(method) => format!(
                "the last {PATIENCE} calls of {} got no answer within runtime-request-timeout",
                method.rsplit('/').next().unwrap_or(method)
            ),
            CallError::NotBegun(cause) => cause.error().message,
            CallError::Interrupted(cause) => format!(
                "outcome unknown, no answer yet when {}",
                cause.error().message
            ),
            CallError::Unreachable(m) => format!("the connection broke: cannot connect again: {m}"),
            CallError::Unimplemented { message, .. } => {
                format!("the runtime does not know the call: {message}")
            }
            CallError::Garbage(m) => format!("the answer is not CRI: {m}"),
            CallError::Unavailable(m) | CallError::Runtime(m) => m.clone(),
        }
    }

    /// The error for the host; `doing` says what failed, such as `cannot list containers`.
    pub(crate) fn error(&self, doing: &str, place: Place<'_>) -> Error {
        let cause = self.cause();
        let (status, way_out) = match self {
            // A question that was broken off is not another failure.
            CallError::NotBegun(end) | CallError::Interrupted(end) => return end.error(),
            CallError::NotFound(_) => (
                Status::Runtime,
                "it has been removed meanwhile; the next pass lists again",
            ),
            CallError::TooLarge { .. } | CallError::Garbage(_) => (
                Status::Runtime,
                match place.callback {
                    Some(_) => "see whether the connect callback connects to a CRI v1 runtime",
                    None => &*format!(
                        "see whether {} is the socket of a CRI v1 runtime",
                        place.key
                    ),
                },
            ),
            CallError::Timeout(_) => (
                Status::Timeout,
                "see whether the runtime hangs, or set a longer runtime-request-timeout",
            ),
            CallError::GivenUp(_) => (
                Status::Timeout,
                "see whether the runtime hangs; the next pass tries again",
            ),
            CallError::Unreachable(_) if place.callback.is_some() => (
                Status::Unavailable,
                "see why the host cannot connect; the next pass asks it again",
            ),
            CallError::Unreachable(_) | CallError::Unavailable(_) => (
                Status::Unavailable,
                "see whether the runtime restarts; the next pass connects anew",
            ),
            CallError::Unimplemented { .. } => (
                Status::Runtime,
                "crigc needs a runtime that speaks CRI v1 (containerd 1.6, CRI-O 1.20 or later)",
            ),
            CallError::Exhausted(_) | CallError::Runtime(_) => {
                (Status::Runtime, "see the runtime's log")
            }
        };
        Error::new(status, format!("{doing} at {place}: {cause}; {way_out}"))
    }

    /// The text of the error, for one object of a report.
    pub(crate) fn story(&self, doing: &str, place: Place<'_>) -> String {
        match self {
            CallError::NotBegun(_) | CallError::Interrupted(_) => {
                format!("{doing}: {}", self.cause())
            }
            _ => self.error(doing, place).message,
        }
    }
}

fn too_large(bytes: usize, limit: usize) -> String {
    format!("{bytes} bytes, the limit is {limit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_if_a_refusal_has_them() {
        let reported = [
            "grpc: trying to send message larger than max (18400000 vs. 16777216)",
            "Error, decoded message length too large: found 18400000 bytes, the limit is: 16777216 bytes",
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max (18400000 vs. 16777216)",
            "SERVER: Sent message larger than max (18400000 vs. 16777216)",
            "Received message larger than max (18400000 vs 16777216)",
            "Error, encoded message length too large: found 18400000 bytes, the limit is: 16777216 bytes",
        ];
        for message in reported {
            let sizes = Some((18_400_000, 16_777_216));
            assert_eq!(sizes_in(message), sizes, "{message}");
        }
        let without = [
            "grpc: received message larger than max (7 vs. 9)",
            "message larger than max (99999999999999999999999 vs. 4)",
            "message larger than max (9",
            "message larger than max (9 vs. ",
            "too large by 4 bytes, 3",
            "rate limit exceeded: 500 requests, 100 allowed",
            "quota of calls exceeded (2000 vs. 1000)",
            "too large",
        ];
        for message in without {
            assert_eq!(sizes_in(message), None, "{message}");
        }
    }
}
