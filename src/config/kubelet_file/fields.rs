//! The fields of a KubeletConfiguration that set keys: the one table of their names.

use super::super::keys::{self, Key};

/// A field, and the key that it sets.
#[derive(Debug)]
pub struct Field {
    /// Its name in a file.
    pub name: &'static str,
    /// The key.
    pub key: &'static str,
    /// What the kubelet takes.
    pub(super) takes: Takes,
}

impl Field {
    /// Its key.
    pub(super) fn key(&self) -> &'static Key {
        // A test finds the key of each field.
        keys::find(self.key).expect(self.key)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// A text with a duration; zero is the default.
    Duration,
    /// A whole number; zero is a value.
    Number,
    /// A text with the path of a unix socket; the empty one is the default.
    Endpoint,
    /// A text with a path, which the kubelet reads from the directory of its file on; the empty one is the default.
    Path,
}

const fn field(name: &'static str, key: &'static str, takes: Takes) -> Field {
    Field { name, key, takes }
}

/// All fields.
pub static FIELDS: [Field; 8] = [
    field(
        "containerRuntimeEndpoint",
        "container-runtime-endpoint",
        Takes::Endpoint,
    ),
    field(
        "imageServiceEndpoint",
        "image-service-endpoint",
        Takes::Endpoint,
    ),
    field(
        "runtimeRequestTimeout",
        "runtime-request-timeout",
        Takes::Duration,
    ),
    field(
        "imageGCHighThresholdPercent",
        "image-gc-high-threshold",
        Takes::Number,
    ),
    field(
        "imageGCLowThresholdPercent",
        "image-gc-low-threshold",
        Takes::Number,
    ),
    field(
        "imageMinimumGCAge",
        "minimum-image-ttl-duration",
        Takes::Duration,
    ),
    field("imageMaximumGCAge", "image-maximum-gc-age", Takes::Duration),
    field("podLogsDir", "pod-logs-dir", Takes::Path),
];

pub(super) const API_VERSION: &str = "apiVersion";
pub(super) const KIND: &str = "kind";

/// Whether two names are the same to Go's JSON, which compares without case; two letters beyond ASCII fold to `k` and `s`.
pub(super) fn same(a: &str, b: &str) -> bool {
    let letter = |c: char| match c {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        c => c.to_ascii_lowercase(),
    };
    a.chars().map(letter).eq(b.chars().map(letter))
}

/// Whether a file may mean something that is read here by this name, in whatever case.
pub(super) fn is_read(name: &str) -> bool {
    let mut names = FIELDS.iter().map(|f| f.name).chain([API_VERSION, KIND]);
    names.any(|known| same(known, name))
}
