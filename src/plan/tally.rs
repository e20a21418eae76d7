//! How much an image pass has freed, how much it still needs, and whether more removals would help (S5.8, S5.9, S5.11).

use super::images::Goal;
use super::space::{Growth, Missing};

/// After so many removals in a row without effect a pass removes no more (S5.8).
const MOST_IN_VAIN: usize = 5;

/// By what a pass counts the bytes that it frees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// A dry run: by reported sizes alone, and nobody knows how many inodes an image has.
    DryRun,
    /// By reported sizes, or by the figures of the filesystem where these reach the goal first.
    #[default]
    Reported,
    /// By the figures of the filesystem alone.
    Measured,
}

/// How much has been freed, and how much will be if all removals in flight succeed (S5.8).
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counting: Counting,
    /// Bytes; `None` = without limit.
    wanted: Option<u64>,
    freed: u64,
    /// What the filesystem lacks by the last figures.
    missing: Missing,
    bytes_in_flight: u64,
    in_flight: usize,
    /// How many are in flight whose size is unknown.
    unsized_in_flight: usize,
    /// One image is removed however little is wanted: the kubelet checks only after a removal whether it was enough.
    first_is_due: bool,
    /// How many images are in flight or removed.
    taken: usize,
    /// The filesystem had the wanted bytes at a look.
    has_enough: bool,
    /// The last so many removals had no effect.
    in_vain: usize,
}

impl Tally {
    /// Nothing freed yet. `missing`: what the filesystem lacks of a space goal.
    pub fn new(goal: &Goal, missing: Missing, counting: Counting) -> Tally {
        let (wanted, first_is_due) = match goal {
            Goal::AllUnused | Goal::Aged(_) => (None, false),
            Goal::Free(wanted) => (Some(missing.bytes), wanted.wants_bytes()),
            Goal::FirstLook | Goal::Unknown | Goal::BelowThreshold => (Some(0), false),
        };
        Tally {
            counting,
            wanted,
            missing,
            first_is_due,
            ..Tally::default()
        }
    }

    fn is_measured(&self) -> bool {
        self.counting == Counting::Measured
    }

    /// Bytes that are still to be freed, those in flight included.
    fn bytes_left(&self) -> u64 {
        match self.wanted {
            Some(_) if self.is_measured() => self.missing.bytes,
            Some(wanted) if !self.has_enough => wanted.saturating_sub(self.freed),
            _ => 0,
        }
    }

    /// Whether one more is to be removed now. Measured, one at a time: figures do not say which of several freed what.
    pub fn may_start(&self) -> bool {
        self.needs_more() && (self.in_flight == 0 || !self.is_measured())
    }

    /// Whether one more is needed even if all in flight succeed.
    fn needs_more(&self) -> bool {
        if self.wanted.is_none() {
            return true;
        }
        let is_first = self.first_is_due && self.taken == 0;
        let for_bytes = is_first || self.bytes_in_flight < self.bytes_left();
        // How many inodes an image in flight frees is unknown.
        let for_inodes = self.missing.inodes > 0 && self.in_flight == 0;
        let by_figures = for_inodes || (for_bytes && self.is_measured());
        let by_sizes = for_bytes && !self.is_measured();
        // One without a size may be all that is needed.
        self.unsized_in_flight == 0 && (by_sizes || (by_figures && !self.is_in_vain()))
    }

    /// How many of the next images, of these sizes, would have to be removed if all succeed, those in flight too.
    pub fn still_needed(&self, sizes: impl ExactSizeIterator<Item = u64>) -> usize {
        // Without a limit they need not be counted after each removal.
        if self.wanted.is_none() {
            return sizes.len();
        }
        let mut tally = self.clone();
        sizes
            .take_while(|size| {
                let needed = tally.needs_more();
                tally.started(*size);
                needed
            })
            .count()
    }

    /// Whether nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// A removal was begun.
    pub fn started(&mut self, bytes: u64) {
        self.bytes_in_flight = self.bytes_in_flight.saturating_add(bytes);
        self.in_flight += 1;
        self.unsized_in_flight += usize::from(bytes == 0);
        self.taken += 1;
    }

    /// A removal has ended.
    pub fn ended(&mut self, bytes: u64, removed: bool) {
        self.bytes_in_flight = self.bytes_in_flight.saturating_sub(bytes);
        self.in_flight = self.in_flight.saturating_sub(1);
        let is_unsized = usize::from(bytes == 0);
        self.unsized_in_flight = self.unsized_in_flight.saturating_sub(is_unsized);
        if removed {
            self.freed = self.freed.saturating_add(bytes);
        } else {
            self.taken = self.taken.saturating_sub(1);
        }
    }

    /// An image that the runtime said it removed is still there: its bytes do not count (S5.12).
    pub fn was_not_freed(&mut self, bytes: u64) {
        self.freed = self.freed.saturating_sub(bytes);
    }

    /// The figures after an image of this size was removed: what the filesystem lacks now, and how much more it has than at the look
    /// before. Whether the removal had an effect counts only for what is judged by figures.
    pub fn looked(&mut self, bytes: u64, missing: Missing, growth: Growth) {
        let judged = self.judged();
        if judged != Missing::default() {
            let had_effect = growth.shows(bytes, judged);
            self.in_vain = if had_effect { 0 } else { self.in_vain + 1 };
        }
        self.has_enough |= missing.bytes == 0;
        self.missing = missing;
    }

    /// There are no figures after an image of this size was removed: its size counts, and for inodes it had no effect.
    pub fn saw_no_figures(&mut self, bytes: u64) {
        self.missing.bytes = self.missing.bytes.saturating_sub(bytes);
        self.in_vain += usize::from(self.missing.inodes > 0);
    }

    /// What is missing of that which is judged by figures.
    fn judged(&self) -> Missing {
        let bytes = if self.is_measured() {
            self.missing.bytes
        } else {
            0
        };
        Missing {
            bytes,
            ..self.missing
        }
    }

    /// Whether the filesystem is asked after each removal until it shows what was freed.
    pub fn waits_for_figures(&self) -> bool {
        self.counting != Counting::DryRun && self.judged() != Missing::default()
    }

    /// Whether the filesystem does not show what is freed, so that more removals would not help (S5.8).
    pub fn is_in_vain(&self) -> bool {
        self.in_vain >= MOST_IN_VAIN && self.shortfall().is_some()
    }

    /// The bytes of all removed images.
    pub fn freed(&self) -> u64 {
        self.freed
    }

    /// Whether the goal is reached.
    pub fn satisfied(&self) -> bool {
        self.shortfall().is_none()
    }

    /// What is missing, if less was reached than was wanted (S5.9). A dry run does not know of inodes.
    pub fn shortfall(&self) -> Option<Missing> {
        let is_dry_run = self.counting == Counting::DryRun;
        let missing = Missing {
            bytes: self.bytes_left(),
            inodes: if is_dry_run { 0 } else { self.missing.inodes },
        };
        (missing != Missing::default()).then_some(missing)
    }
}

/// How a pass ends (S5.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Well, or with errors that are reported already.
    Settled,
    /// With the errors of its removals.
    RemovalsFailed,
    /// With less than was wanted: this is missing.
    TooLittle(Missing),
}

/// Errors of removals fail a pass. Without any, a pass fails if it freed less than wanted, unless it is `excused`: all is held, or it
/// has failed for something else (S5.9).
pub fn ending(removals_failed: bool, excused: bool, tally: &Tally) -> Ending {
    match tally.shortfall() {
        _ if removals_failed => Ending::RemovalsFailed,
        Some(missing) if !excused => Ending::TooLittle(missing),
        _ => Ending::Settled,
    }
}

/// Why a pass removed no more, though less was reached than was wanted (S5.8).
pub fn in_vain(missing: Missing) -> String {
    let what = match missing.bytes {
        0 => "no inode more was free than before".to_owned(),
        _ => "the available bytes grew by less than a quarter of the size that the runtime reports"
            .to_owned(),
    };
    format!(
        "After each of the last {MOST_IN_VAIN} removals {what}: the filesystem does not show what is freed (as with thin volumes, deletion in the background, and deleted files that are still open), so no more images were removed."
    )
}
