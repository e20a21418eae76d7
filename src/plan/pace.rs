//! The pauses after slow removals (S2.7). A runtime that starts pods while it removes does both slower, so a removal that took longer than
//! quick ones is followed by a rest in proportion to the extra time. If all removals take equally long, there are no rests.

use std::collections::VecDeque;
use std::time::Duration;

/// How many of the last removals show how long a quick one takes: few enough that a pass notices when the runtime itself becomes faster
/// or slower.
const WINDOW: usize = 64;

/// With fewer, a tenth of them would be a single outlier.
const FEWEST: usize = 11;

/// A removal still counts as quick if it takes up to a quarter longer than a quick one, and one task switch of a busy machine.
const SLACK_PART: u32 = 4;
const SLACK: Duration = Duration::from_millis(1);

/// Timers are not finer; a shorter rest is added to the next one.
const LEAST: Duration = Duration::from_millis(1);

/// The longest rest: a removal that ran into its deadline says little about the next one.
const LONGEST: Duration = Duration::from_secs(1);

/// How long removals of one kind rest.
#[derive(Clone, Debug)]
pub struct Pace {
    percent: u32,
    recent: VecDeque<Duration>,
    due: Duration,
}

impl Pace {
    /// Rests for this percentage of the time that removals take longer than quick ones; 0 = never.
    pub fn new(percent: u32) -> Pace {
        Pace {
            percent,
            recent: VecDeque::new(),
            due: Duration::ZERO,
        }
    }

    /// How long to rest after a removal that took this long. A call that removed nothing may be slow, but does not show how long a removal
    /// takes.
    pub fn rest_after(&mut self, removed: bool, took: Duration) -> Duration {
        if self.percent == 0 {
            return Duration::ZERO;
        }
        if removed {
            if self.recent.len() == WINDOW {
                self.recent.pop_front();
            }
            self.recent.push_back(took);
        }
        if let Some(quick) = self.quick() {
            let longer = took.saturating_sub(quick + quick / SLACK_PART + SLACK);
            let rest = longer.saturating_mul(self.percent) / 100;
            self.due = self.due.saturating_add(rest).min(LONGEST);
        }
        if self.due < LEAST {
            Duration::ZERO
        } else {
            std::mem::take(&mut self.due)
        }
    }

    /// How long nine tenths of the last removals took at least, if there were enough of them.
    fn quick(&self) -> Option<Duration> {
        if self.recent.len() < FEWEST {
            return None;
        }
        let mut times: Vec<Duration> = self.recent.iter().copied().collect();
        let tenth = (times.len() - 1) / 10;
        Some(*times.select_nth_unstable(tenth).1)
    }
}
