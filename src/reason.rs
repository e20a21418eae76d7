//! Why an object was removed, was to be removed, or was kept: the words of a report, and a sentence for people about each.

use std::ffi::CStr;

/// Makes [`Reason`] and its table from one list, so that no reason is without a word and a sentence. A function cannot declare a type.
macro_rules! reasons {
    ($($name:ident $word:literal $text:literal)*) => {
        /// Why an object was removed, was to be removed, or was kept.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $text] $name,)*
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Reason] = &[$(Reason::$name),*];

            /// The word of the report; it never changes.
            pub fn c_word(self) -> &'static CStr {
                match self {
                    $(Reason::$name => const { c_str(concat!($word, "\0")) },)*
                }
            }

            /// A sentence for people.
            pub fn c_text(self) -> &'static CStr {
                match self {
                    $(Reason::$name => const { c_str(concat!($text, "\0")) },)*
                }
            }
        }
    };
}

const fn c_str(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("a text holds a NUL"),
    }
}

reasons! {
    PodRemoved "pod-removed" "removed: its pod is gone"
    PodTerminated "pod-terminated" "removed: its pod has ended, and everything unused was to be removed"
    UnitLimit "unit-limit" "removed: newer dead ones of the same container are kept, as many as maximum-dead-containers-per-container says"
    TotalLimit "total-limit" "removed: the node has more dead containers than maximum-dead-containers"
    OlderSandbox "older-sandbox" "removed: its pod has a newer sandbox"
    DeadLink "dead-link" "removed: its container has ended or is gone, and so is the log that it leads to"
    Age "age" "removed: it is older, or was unused for longer, than image-maximum-gc-age, maximum-dead-container-age or orphan-log-ttl-duration allows"
    Space "space" "removed: it was unused, and the image filesystem was too full"
    Unused "unused" "removed: it was unused, and everything unused was to be removed"
    Running "running" "kept: it is running"
    TooYoung "too-young" "kept: it is younger than its minimum age"
    WithinLimit "within-limit" "kept: it is within the limits on dead containers"
    Active "active" "kept: it is ready, or containers of its pod are left"
    NewestSandbox "newest-sandbox" "kept: it is the newest sandbox of its pod"
    PodExists "pod-exists" "kept: its pod exists"
    PodActive "pod-active" "kept: the host says that its pod is gone, but something of the pod is running"
    LinkAlive "link-alive" "kept: it leads to a log, or its container has not ended"
    InUse "in-use" "kept: a container uses it"
    Pinned "pinned" "kept: the runtime has pinned it"
    SandboxImage "sandbox-image" "kept: sandboxes are made from it"
    Exempt "exempt" "kept: image-gc-exempt names it"
    EnoughFreed "enough-freed" "kept: enough space was free without its removal"
    BelowThreshold "below-threshold" "kept: the image filesystem is not full enough"
    FirstLook "first-look" "kept: the first periodic pass only records images"
    SourcesNotReady "sources-not-ready" "kept: the host does not know all pods yet"
    UnknownState "unknown-state" "kept: what the runtime says of it cannot be understood"
    Changed "changed" "kept: it changed, or the host's answer did, before its removal"
    ListIncomplete "list-incomplete" "kept: the lists that decide about it are not complete"
    Held "held" "kept: hold-file exists, or cannot be looked for"
    Backoff "backoff" "kept: its last removal failed, and the next try is not due yet"
    NotReached "not-reached" "kept: the pass ended, or gave up, before its turn"
    SandboxImageUnknown "sandbox-image-unknown" "kept: it is not known which images sandboxes are made from"
    LinkUnknown "link-unknown" "kept: the runtime did not say whether its container has ended"
    NewerThanAnswer "newer-than-answer" "kept: its pod has changed since the moment that the host's answer describes"
    HeldByShare "held-by-share" "kept: more pods are gone than max-pod-share lets a pass collect, or the host has named its pod since they were counted"
    NoEffect "no-effect" "kept: the image filesystem did not show what the removals before it freed"
}

impl Reason {
    /// The word of the report.
    pub fn word(self) -> &'static str {
        // The words are ASCII.
        self.c_word().to_str().unwrap_or_default()
    }

    /// The reason with this word.
    pub fn of_word(word: &CStr) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|r| r.c_word() == word)
    }
}
