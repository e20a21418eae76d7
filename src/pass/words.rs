//! The words for objects in the log of a pass.

use crate::report::{Entry, Kind, visible};

pub(super) fn many(kind: Kind) -> &'static str {
    match kind {
        Kind::Container => "containers",
        Kind::Sandbox => "pod sandboxes",
        Kind::PodLogs => "pods' logs",
        Kind::LogLink => "log links",
        Kind::Image => "images",
    }
}

fn one(kind: Kind) -> &'static str {
    match kind {
        Kind::Container => "container",
        Kind::Sandbox => "pod sandbox",
        Kind::PodLogs => "pod logs",
        Kind::LogLink => "log link",
        Kind::Image => "image",
    }
}

/// A line for the log about one object.
pub(super) fn sentence(what: &str, entry: &Entry) -> String {
    let kind = one(entry.kind);
    let mut line = format!("{what} {kind} {}", visible(&entry.id));
    if !entry.name.is_empty() {
        line += &format!(" ({})", visible(&entry.name));
    }
    line += &format!(": {}", entry.reason.word());
    if let Some(error) = &entry.error {
        line += &format!(": {error}");
    }
    line
}
