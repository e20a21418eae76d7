//! The names of the numbers in a report, and the sentences of its reasons.

use super::boundary::guarded;
use super::report::{gc_kind, gc_outcome};
use crate::report::{Kind, Outcome, Reason};
use std::ffi::{CStr, c_char};

/// Returns the name of a kind, as in gc_report_json: "container", "sandbox", "pod-logs", "log-link" or "image"; "unknown" for a number
/// that this version does not know. Never NULL. The string is always valid; do not free it. May be called from callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn gc_kind_name(kind: gc_kind) -> *const c_char {
    named(kind_of(kind).map(Kind::name))
}

pub(super) fn kind_of(number: gc_kind) -> Option<Kind> {
    Kind::ALL
        .into_iter()
        .find(|kind| *kind as gc_kind == number)
}

/// Returns the name of an outcome, as in gc_report_json: "kept", "removed", "failed" or "refused"; "unknown" for a number that this
/// version does not know. Never NULL. The string is always valid; do not free it. May be called from callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn gc_outcome_name(outcome: gc_outcome) -> *const c_char {
    named(
        Outcome::ALL
            .iter()
            .find(|o| **o as gc_outcome == outcome)
            .map(|o| o.name()),
    )
}

/// Returns a sentence for people about the `reason` of an entry, such as "kept: it is the newest sandbox of its pod", or "unknown" for
/// a word that this version does not know, and for NULL. For an entry with the outcome GC_FAILED or GC_REFUSED, and in a dry run, it
/// says why the object was to be removed. Never NULL. The string is always valid; do not free it. May be called from callbacks.
///
/// # Safety
/// `reason` is NULL or a string with a NUL at its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_reason_text(reason: *const c_char) -> *const c_char {
    let text = || {
        if reason.is_null() {
            return None;
        }
        // SAFETY: the host's promise.
        Reason::of_word(unsafe { CStr::from_ptr(reason) }).map(Reason::c_text)
    };
    named(guarded(None, text))
}

fn named(name: Option<&'static CStr>) -> *const c_char {
    name.unwrap_or(c"unknown").as_ptr()
}
