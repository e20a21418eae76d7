//! Passes with panics on purpose.

use crigc::engine::PassEnd;
use crigc::error::Status;
use crigc::panic_points::panics;
use crigc::report::Entry;
use std::collections::BTreeMap;
use std::time::Duration;

/// Far above what anything here takes.
pub const WATCHDOG: Duration = Duration::from_secs(60);

pub type Counts = BTreeMap<&'static str, usize>;

/// A pass whose `nth` touch panics; `None` = it had fewer, and nothing has happened. The report of a pass that had begun.
pub fn with_panic(
    nth: u64,
    counts: &mut Counts,
    pass: impl FnOnce() -> PassEnd,
) -> Option<Vec<Entry>> {
    panics::at(nth);
    after_panic(nth, counts, pass())
}

/// The same, and then at each place of that name.
pub fn with_panics(
    nth: u64,
    counts: &mut Counts,
    pass: impl FnOnce() -> PassEnd,
) -> Option<Vec<Entry>> {
    panics::from(nth);
    after_panic(nth, counts, pass())
}

/// The same of the places beside the pass.
pub fn with_panic_beside(
    nth: u64,
    counts: &mut Counts,
    pass: impl FnOnce() -> PassEnd,
) -> Option<Vec<Entry>> {
    panics::at_beside(nth);
    after_panic(nth, counts, pass())
}

pub fn after_panic(nth: u64, counts: &mut Counts, end: PassEnd) -> Option<Vec<Entry>> {
    let passed = panics::passed();
    panics::at(0);
    if (passed.len() as u64) < nth {
        assert_eq!(end.error, None);
        return None;
    }
    let place = passed[nth as usize - 1];
    *counts.entry(place).or_default() += 1;
    let error = end.error.expect("an error");
    assert_eq!(error.status, Status::Internal, "{nth}: {}", error.message);
    let story = format!("a panic on purpose before: {place}");
    assert!(error.message.contains(&story), "{}", error.message);
    Some(end.report.expect("a report").entries)
}

pub fn print(kind: &str, counts: &Counts) {
    let all: usize = counts.values().sum();
    println!("{kind}: {all} panics: {counts:?}");
    assert!(all > 50, "{kind}: {counts:?}");
}

/// All of these were tried.
pub fn were_hit(counts: &Counts, places: &[&str]) {
    for place in places {
        assert!(counts.contains_key(place), "{place}: {counts:?}");
    }
}
