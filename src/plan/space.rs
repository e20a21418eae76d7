//! How full the image filesystem is, and what a pass has to reach there (S5.6, S5.8, S5.11).

use super::images::Goal;
use crate::config::Config;
use crate::node::FsUsage;
use crate::report::Disk;

/// The filesystem has no size, or no number of inodes where these count (S5.6, S5.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFigures;

/// When images are removed for space, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `image-gc-high-threshold`, in percent.
    pub high: u8,
    /// `image-gc-low-threshold`, in percent.
    pub low: u8,
    /// `image-gc-min-available`, in bytes.
    pub min_available: Option<u64>,
    /// `image-gc-inode-thresholds`: the percentages are those of inodes, too.
    pub inodes: bool,
}

/// What a pass has to reach, for each limit that the filesystem has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// This low threshold.
    pub threshold: Option<u8>,
    /// So many available bytes.
    pub minimum: Option<u64>,
    /// This low threshold of inodes.
    pub inodes: Option<u8>,
}

/// What a filesystem lacks of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Bytes.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

/// How much more a filesystem has than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Available bytes.
    pub bytes: u64,
    /// Free inodes.
    pub inodes: u64,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Limits {
        Limits {
            high: config.image_gc_high_threshold,
            low: config.image_gc_low_threshold,
            min_available: config.image_gc_min_available,
            inodes: config.image_gc_inode_thresholds,
        }
    }
}

impl Limits {
    /// A host that gives a minimum of bytes and the high threshold 100 wants no percentage: the last percent of a large disk is more than
    /// many a minimum.
    fn counts_bytes_by_percent(&self) -> bool {
        self.high < 100 || self.min_available.is_none()
    }

    /// The minimum of available bytes, if it cannot be reached because the filesystem is smaller.
    pub fn out_of_reach(&self, usage: &FsUsage) -> Option<u64> {
        self.min_available.filter(|least| *least > usage.capacity)
    }
}

impl Wanted {
    /// Whether bytes are wanted.
    pub fn wants_bytes(&self) -> bool {
        self.threshold.is_some() || self.minimum.is_some()
    }

    /// How many bytes have to be available.
    fn bytes(&self, usage: &FsUsage) -> u64 {
        let for_threshold = self.threshold.map(|low| keep_free(usage.capacity, low));
        for_threshold.max(self.minimum).unwrap_or(0)
    }

    /// How many inodes have to be free.
    fn inodes(&self, usage: &FsUsage) -> u64 {
        self.inodes.map_or(0, |low| keep_free(usage.inodes, low))
    }

    /// What a filesystem lacks.
    pub fn missing(&self, usage: &FsUsage) -> Result<Missing, NoFigures> {
        if usage.capacity == 0 || (self.inodes.is_some() && usage.inodes == 0) {
            return Err(NoFigures);
        }
        Ok(Missing {
            bytes: self.bytes(usage).saturating_sub(usage.available),
            inodes: self.inodes(usage).saturating_sub(usage.inodes_free),
        })
    }

    /// Whether a filesystem need not be given more time to show what the removal of an image freed: it has all that is wanted, or it has
    /// shown the image, and nothing more came since the look before. `bytes`: the reported size of the image. The looks are those before
    /// the removal, the one before this, and this.
    pub fn has_settled(&self, bytes: u64, [before, earlier, now]: [&FsUsage; 3]) -> bool {
        let (Ok(lacked), Ok(lacks)) = (self.missing(before), self.missing(now)) else {
            return true;
        };
        let has_come = growth(before, now).shows(bytes, lacked);
        lacks == Missing::default() || (has_come && growth(earlier, now) == Growth::default())
    }
}

impl Growth {
    /// Whether this shows that an image of this size was removed: by a quarter of it at least, or any inodes, as far as they were
    /// missing (S5.8, S5.11).
    pub fn shows(&self, bytes: u64, missing: Missing) -> bool {
        let has_bytes = self.bytes > 0 && self.bytes.saturating_mul(4) >= bytes;
        (missing.bytes > 0 && has_bytes) || (missing.inodes > 0 && self.inodes > 0)
    }
}

/// How much more there is `now`.
pub fn growth(before: &FsUsage, now: &FsUsage) -> Growth {
    Growth {
        bytes: now.available.saturating_sub(before.available),
        inodes: now.inodes_free.saturating_sub(before.inodes_free),
    }
}

/// How much is used, in percent, rounded up.
fn percent(all: u64, free: u64) -> Option<u64> {
    let free = u128::from(free.min(all)) * 100;
    let free = free.checked_div(all.into())?;
    Some(100 - u64::try_from(free).unwrap_or(100))
}

/// How full the filesystem is, in percent, rounded up (S5.6).
pub fn usage_percent(usage: &FsUsage) -> Result<u64, NoFigures> {
    percent(usage.capacity, usage.available).ok_or(NoFigures)
}

/// How much of `all` has to be free when the usage is down at the low threshold.
fn keep_free(all: u64, low: u8) -> u64 {
    let free = u128::from(all) * u128::from(100 - low.min(100)) / 100;
    u64::try_from(free).unwrap_or(u64::MAX)
}

/// What a goal rests on, for the report.
pub fn compared(usage: &FsUsage, limits: &Limits) -> Disk {
    let percent = |used: u64| u8::try_from(used).unwrap_or(100);
    Disk {
        used: usage_percent(usage).map_or(100, percent),
        thresholds: (limits.high, limits.low),
        by_percent: limits.counts_bytes_by_percent(),
        available: usage.available,
        least: limits.min_available,
        inodes: inodes_percent(usage).filter(|_| limits.inodes).map(percent),
    }
}

/// What a pass has to reach, if the filesystem has passed a limit (S5.6, S5.11).
pub fn space_goal(usage: &FsUsage, limits: &Limits) -> Result<Goal, NoFigures> {
    let (high, low) = (u64::from(limits.high), limits.low);
    let is_full = usage_percent(usage)? >= high && limits.counts_bytes_by_percent();
    let inodes_are_full = limits.inodes && inodes_percent(usage).is_some_and(|used| used >= high);
    let is_short = |least: &u64| *least > usage.available && *least <= usage.capacity;
    let mut wanted = Wanted {
        threshold: is_full.then_some(low),
        minimum: limits.min_available.filter(is_short),
        inodes: inodes_are_full.then_some(low),
    };
    // By rounding, none may be missing.
    wanted.inodes = wanted
        .inodes
        .filter(|_| wanted.inodes(usage) > usage.inodes_free);
    if wanted == Wanted::default() {
        return Ok(Goal::BelowThreshold);
    }
    Ok(Goal::Free(wanted))
}

/// How many of the inodes are used, in percent, rounded up; `None` = unknown.
fn inodes_percent(usage: &FsUsage) -> Option<u64> {
    percent(usage.inodes, usage.inodes_free)
}

/// Whether a filesystem is smaller than what the runtime says it uses there: then it is another one (S5.11).
pub fn is_another(usage: &FsUsage, reported_used: Option<u64>) -> bool {
    reported_used.is_some_and(|used| used > usage.capacity)
}

/// Which of these filesystems are fuller than the one that is acted on (S5.11).
pub fn fuller<'u>(acted_on: &FsUsage, others: impl IntoIterator<Item = &'u FsUsage>) -> Vec<usize> {
    let Ok(full) = usage_percent(acted_on) else {
        return Vec::new();
    };
    let is_fuller = |usage: &FsUsage| usage_percent(usage).is_ok_and(|percent| percent > full);
    let others = others.into_iter().enumerate();
    let fuller = others.filter(|(_, usage)| is_fuller(usage));
    fuller.map(|(at, _)| at).collect()
}

/// A line for each limit that the filesystem has passed: the figures, the key, and what has to be reached.
pub fn causes(usage: &FsUsage, limits: &Limits, wanted: &Wanted) -> Vec<String> {
    let (high, low) = (limits.high, limits.low);
    let by_threshold = || {
        format!(
            "the image filesystem is {}% full (image-gc-high-threshold is {high}), so images are removed until it is {low}% full",
            usage_percent(usage).unwrap_or(100)
        )
    };
    let by_minimum = |least: u64| {
        format!(
            "{} are available on the image filesystem, so images are removed until {} are (image-gc-min-available)",
            size(usage.available),
            size(least)
        )
    };
    let by_inodes = || {
        format!(
            "{}% of the {} inodes of the image filesystem are used (image-gc-high-threshold is {high}), so images are removed until {low}% are used",
            inodes_percent(usage).unwrap_or(100),
            usage.inodes
        )
    };
    let lines = [
        wanted.threshold.map(|_| by_threshold()),
        wanted.minimum.map(by_minimum),
        wanted.inodes.map(|_| by_inodes()),
    ];
    lines.into_iter().flatten().collect()
}

/// The message of a pass that reached less than was wanted. `usage` has the figures before its removals, `freed` what they brought. The
/// words about bytes are those of the newest kubelet, which alerts search for (S5.9).
pub fn too_little(usage: &FsUsage, wanted: &Wanted, missing: Missing, freed: Growth) -> String {
    let mut message = Vec::new();
    if missing.bytes > 0 {
        let percent = usage_percent(usage).unwrap_or(100);
        let (capacity, freed) = (size(usage.capacity), freed.bytes);
        message.push(format!(
            "Insufficient free disk space on the node's image filesystem ({percent}% of {capacity} used). Failed to free sufficient space by deleting unused images (freed {freed} bytes). Investigate disk usage, as it could be used by active images, logs, volumes, or other data."
        ));
    }
    if let Some(least) = wanted.minimum.filter(|_| missing.bytes > 0) {
        message.push(format!(
            "Before the pass {} bytes were available, and image-gc-min-available asks for {least}.",
            usage.available
        ));
    }
    if let Some(low) = wanted.inodes.filter(|_| missing.inodes > 0) {
        let percent = inodes_percent(usage).unwrap_or(100);
        message.push(format!(
            "Too few free inodes on the node's image filesystem ({percent}% of {} used). Deleting unused images freed {} inodes, and {} more have to be free for image-gc-low-threshold ({low}). See which files use the inodes: active images, logs, volumes, or other data.",
            usage.inodes, freed.inodes, missing.inodes
        ));
    }
    message.join(" ")
}

/// A size for people.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}
