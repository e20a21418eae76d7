//! What a decision compared: the values beside the reason of a step, of a planned object and of an entry of the report. A pass only hands
//! them on; `explain` makes sentences of them.

use crate::node::{ContainerState, SandboxState, Text};
use crate::reason::Reason;

/// What an age is counted from. With the reason it says which limit the age was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// A container was created: `minimum-container-ttl-duration` or `maximum-dead-container-age`.
    Created,
    /// A container ended: the same, with `container-age-from` = `finished`.
    Finished,
    /// A container was created that may be about to be started (S1.1).
    Starting,
    /// crigc first saw an image: `minimum-image-ttl-duration`.
    Detected,
    /// An image was last used: `image-maximum-gc-age`.
    Unused,
    /// A file in the logs of a pod was written: `minimum-pod-log-ttl-duration`.
    TreeWritten,
    /// A log file was written: `orphan-log-ttl-duration`.
    FileWritten,
}

/// An age and its limit, in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// What it is counted from.
    pub since: Since,
    /// Below 0 for a time that is later than now.
    pub age: i64,
    /// What it was compared with.
    pub limit: i64,
}

impl Age {
    /// The age `now` of what happened at `stamp`; both in ns since the epoch.
    pub fn at(now: i64, since: Since, stamp: i64, limit: i64) -> Age {
        Age {
            since,
            age: now.saturating_sub(stamp),
            limit,
        }
    }

    /// Younger than its limit.
    pub fn is_below(&self) -> bool {
        self.age < self.limit
    }

    /// Older than its limit.
    pub fn is_above(&self) -> bool {
        self.age > self.limit
    }
}

/// Why a container or sandbox stays that is over a limit (S1.5, S3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// It is the last that ran: the newer ones were never started.
    LastRun,
    /// It has the highest attempt.
    HighestAttempt,
}

/// The values that a decision compared. Places are counted from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Compared {
    /// None, or none that are known.
    #[default]
    Nothing,
    /// An age.
    Age(Age),
    /// The place of a container among the dead ones of its evict unit, or of a sandbox among those of its pod, from the newest on.
    Rank {
        /// The place.
        rank: u32,
        /// How many there are.
        of: u32,
        /// How many stay; `None` = all.
        limit: Option<u32>,
    },
    /// The same of one that stays though its place is behind the limit.
    Extra {
        /// The place.
        rank: u32,
        /// How many there are.
        of: u32,
        /// How many stay.
        limit: u32,
        /// Why it stays as well.
        because: Extra,
    },
    /// The place of a dead container among all that `maximum-dead-containers` counts, from the newest on (S1.6).
    Total {
        /// The place.
        rank: u32,
        /// How many there are.
        of: u32,
        /// For how many there is room.
        limit: u32,
    },
    /// The place of a container in its evict unit, which may keep a share of what `maximum-dead-containers` has room for (S1.6).
    Share {
        /// The place.
        rank: u32,
        /// How many each unit keeps.
        share: u32,
        /// How many there are in all units.
        of: u32,
        /// For how many there is room.
        limit: u32,
    },
    /// How many dead containers stay, and `maximum-dead-containers`.
    Within {
        /// How many stay.
        left: u32,
        /// How many may.
        limit: u32,
    },
    /// How many pods would lose something, and how many may (S0.12).
    Pods {
        /// How many would.
        losing: u32,
        /// How many there are.
        pods: u32,
        /// `max-pod-share`.
        percent: u8,
    },
    /// When the pod changed last, and the moment that the host's answer describes; ns since the epoch (S0.3).
    Newer {
        /// The change.
        changed: i64,
        /// The moment.
        as_of: i64,
    },
    /// The ID of a container that uses an image, is in a sandbox, or belongs to the same pod.
    Container(Text),
    /// The ID of a sandbox of the same pod.
    Sandbox(Text),
    /// The tag, digest, ID or pattern that decided about an image.
    Named(Text),
    /// The state of the container, or of the container of a link.
    ContainerState(ContainerState),
    /// The state of the sandbox.
    SandboxState(SandboxState),
    /// The runtime does not know the container of a link.
    NotFound,
    /// The name of a link has no container ID.
    NoId,
    /// The turn of an image in the order of S5.4.
    Turn {
        /// Its place.
        rank: u32,
        /// How many may be removed.
        of: u32,
        /// When it was last used; ns since the epoch, 0 = never, as far as crigc knows.
        last_used: i64,
    },
    /// How often its removal failed in a row, and when it is due again (S0.8).
    Wait {
        /// How often.
        failures: u32,
        /// From now; ns.
        left: i64,
    },
}

/// A reason, and what was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The reason.
    pub reason: Reason,
    /// The values.
    pub compared: Compared,
}

impl Why {
    /// A reason with its values.
    pub fn new(reason: Reason, compared: Compared) -> Why {
        Why { reason, compared }
    }
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Why {
        Why::new(reason, Compared::Nothing)
    }
}

/// How full the image filesystem was when a pass made its goal, and the limits (S5.6, S5.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// How much of the bytes was used, in percent.
    pub used: u8,
    /// `image-gc-high-threshold` and `image-gc-low-threshold`.
    pub thresholds: (u8, u8),
    /// The percentage counts.
    pub by_percent: bool,
    /// Available bytes.
    pub available: u64,
    /// `image-gc-min-available`.
    pub least: Option<u64>,
    /// How much of the inodes was used, in percent; `None` = that does not count, or is unknown.
    pub inodes: Option<u8>,
}

/// A count as the values above have it.
pub fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Step;
    use crate::report::Entry;

    /// Each object of a pass has these values up to three times: 24 bytes more than without them.
    #[test]
    fn values_are_small() {
        assert_eq!(size_of::<Compared>(), 24);
        assert_eq!(size_of::<Step<'_, u8>>(), 40);
        assert_eq!(size_of::<Entry>(), 96 + 24);
    }
}
