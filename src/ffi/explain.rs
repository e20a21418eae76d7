//! `gc_report_explain`, in a file of its own: it is the only function that needs the sentences of `explain`.

use super::boundary::{owned, read};
use super::report::gc_report;
use crate::explain::explain;
use std::ffi::c_char;

/// Explains the entry at `index`, counted from 0, for people: what happened to it, the text of its reason, and the values that were
/// compared, as far as they are known, such as "Kept: it is younger than its minimum age. It was created 35s ago;
/// minimum-container-ttl-duration is 1m0s." For an entry with the outcome GC_FAILED or GC_REFUSED it says what failed as well. The
/// words may change with each version; programs read the fields of gc_entry. The text is made by this call of values that every entry
/// has. The caller frees it with gc_string_free. Returns NULL past the end, and for NULL. May be called from
/// callbacks.
///
/// # Safety
/// `report` is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gc_report_explain(report: *const gc_report, index: usize) -> *mut c_char {
    let text = |report: &gc_report| {
        let report = report.report();
        let entry = report.entries.get(index);
        entry.map_or(std::ptr::null_mut(), |entry| owned(&explain(report, entry)))
    };
    // SAFETY: the host's promise.
    unsafe { read(report, std::ptr::null_mut(), text) }
}
