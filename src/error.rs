//! Failures as the host receives them: a status that it can act on, and a message that names the object, the cause and what to do.

use crate::causes::Causes;
use std::ffi::CStr;

/// The outcome of a call. The numbers are those of `GC_OK` and `GC_ERROR_*` in the header and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// The pass read what it had to know, decided, and did what it could.
    Ok = 0,
    /// A NULL, an unknown flag bit, a key or a value that is wrong by itself.
    InvalidArgument = 1,
    /// Values that are wrong only together, or what is in a file of the kubelet's configuration.
    Config = 2,
    /// No runtime answers at the endpoint.
    Unavailable = 3,
    /// The runtime answered with an error.
    Runtime = 4,
    /// A deadline passed.
    Timeout = 5,
    /// The host cancelled the call.
    Cancelled = 6,
    /// A file of the host cannot be read or locked, or no descriptor or thread is left.
    Io = 7,
    /// Fewer bytes could be freed than the low threshold asks for.
    NotEnoughFreed = 8,
    /// crigc panicked.
    Internal = 9,
    /// The call would have to wait, but is in a callback or has `GC_NO_WAIT`; or another engine holds the records file.
    Busy = 10,
    /// The engine is closed.
    Closed = 11,
    /// The host's pod states contradict what runs (S0.4).
    Contradiction = 12,
}

/// The names in the header, by number.
const NAMES: [&CStr; 13] = [
    c"GC_OK",
    c"GC_ERROR_INVALID_ARGUMENT",
    c"GC_ERROR_CONFIG",
    c"GC_ERROR_UNAVAILABLE",
    c"GC_ERROR_RUNTIME",
    c"GC_ERROR_TIMEOUT",
    c"GC_ERROR_CANCELLED",
    c"GC_ERROR_IO",
    c"GC_ERROR_NOT_ENOUGH_FREED",
    c"GC_ERROR_INTERNAL",
    c"GC_ERROR_BUSY",
    c"GC_ERROR_CLOSED",
    c"GC_ERROR_CONTRADICTION",
];

impl Status {
    /// The name of a number in the header; `None` = this version does not know it.
    pub fn name_of(number: i32) -> Option<&'static CStr> {
        NAMES.get(usize::try_from(number).ok()?).copied()
    }

    /// The name in the header.
    pub fn name(self) -> &'static str {
        // The names are ours, and ASCII.
        self.c_name().to_str().unwrap_or_default()
    }

    /// The same for C.
    pub fn c_name(self) -> &'static CStr {
        NAMES[self as usize]
    }
}

/// A failure: its status and its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Never [`Status::Ok`].
    pub status: Status,
    /// What failed, on which object, why, and what to do about it.
    pub message: String,
}

impl Error {
    /// A failure with its message.
    pub fn new(status: Status, message: impl Into<String>) -> Error {
        Error {
            status,
            message: message.into(),
        }
    }

    /// Several failures as one, with a message for each cause. Its status is that of a contradiction (S0.4) if one is among them, else
    /// that of a panic, else that of the first.
    pub fn all(errors: &[Error]) -> Option<Error> {
        let of = |status: Status| errors.iter().find(|e| e.status == status);
        let first = of(Status::Contradiction)
            .or_else(|| of(Status::Internal))
            .or(errors.first())?;
        let mut causes = Causes::default();
        for (at, e) in errors.iter().enumerate() {
            if !errors[..at].contains(e) {
                e.count_in(&mut causes);
            }
        }
        Some(Error::new(first.status, causes.message()))
    }

    /// Adds it to the causes of its status; true = its cause is new.
    pub(crate) fn count_in(&self, causes: &mut Causes) -> bool {
        causes.add(self.status.name(), &[], &self.message)
    }
}

/// The result of a function that can fail.
pub type Result<T> = std::result::Result<T, Error>;
