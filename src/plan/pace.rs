//! S2.7: how removals give way. A runtime that starts pods while it removes does both slower; so a removal that took longer than quick
//! ones do is followed by a rest in proportion to what it took longer. Where all take equally long nothing rests.

use std::collections::VecDeque;
use std::time::Duration;

/// So many of the last removals tell how long a quick one takes: few enough that a pass notices when the runtime itself has become
/// another.
const WINDOW: usize = 64;

/// With fewer, a tenth of them would be a single stray.
const FEWEST: usize = 11;

/// A removal is no slower than a quick one if it takes up to a quarter of that longer, and what a task switch on a busy machine takes.
const SLACK_PART: u32 = 4;
const SLACK: Duration = Duration::from_millis(1);

/// Timers are no finer; what is due below it is kept until it adds up.
const LEAST: Duration = Duration::from_millis(1);

/// The longest rest, however long a removal took: one that ran into its deadline says little about the next.
const LONGEST: Duration = Duration::from_secs(1);

/// How long removals of one kind rest.
#[derive(Clone, Debug)]
pub struct Pace {
    percent: u32,
    recent: VecDeque<Duration>,
    due: Duration,
}

impl Pace {
    /// Rests that many percent of what removals take longer than quick ones; 0 = never.
    pub fn new(percent: u32) -> Pace {
        Pace {
            percent,
            recent: VecDeque::new(),
            due: Duration::ZERO,
        }
    }

    /// A removal took that long: how long to rest before another one takes its place. What removed nothing in the end may be slow, but
    /// does not tell how long a removal takes.
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

    /// What nine tenths of the last removals took at least, if there were some.
    fn quick(&self) -> Option<Duration> {
        if self.recent.len() < FEWEST {
            return None;
        }
        let mut times: Vec<Duration> = self.recent.iter().copied().collect();
        let tenth = (times.len() - 1) / 10;
        Some(*times.select_nth_unstable(tenth).1)
    }
}
