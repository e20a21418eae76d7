//! S2.7: how many removals run at once. A window is large where many at once means that more are removed in a second, and small where it
//! only means that each takes longer; where even one at a time has become very slow it is below one, which is a rest.
//!
//! Neither how long a removal takes nor one more at once tells that: a runtime that is eight times as slow to answer sixteen calls at once
//! still removes twice as many in a second, and the first step up may gain nothing. So a window is found by trials: one at a time, then
//! as many as the bound allows, then as many as the runtime seemed to have hands for. The most worth is kept, until removals become
//! slower than they were in its trial, and tried again after a while.

use super::in_flight::InFlight;
use super::trial::{Found, Meter};
use std::time::Duration;

/// Removals of a trial of one at a time: that many, more where they take unequally long, until their mean is known this well.
const FEWEST: u32 = 8;
const CAREFUL: u32 = 24;
const HURRY: u32 = 4;
const MOST: u32 = 40;
const ERROR: f64 = 0.15;

/// A trial of many at once is over early if they are no faster than this.
const USELESS: f64 = 1.2;

/// More than so many have to be in flight on average in a trial of more than one.
const AT_ONCE: f64 = 1.5;

/// With this many hands as a share of what was in flight, the runtime was not what they waited for.
const UNBOUND: f64 = 0.8;

/// So many times as long as in its trial, a removal has become slow: after two looks in a row, or at once.
const SLOW: f64 = 1.6;
const VERY_SLOW: f64 = 2.5;

/// If one removal at a time takes more than so many times as long as usual, a rest follows it. Beside pods that start it takes two or three
/// times as long. Rests then make the pass longer, more pods start in it, and each waits as long (docs/pod-starts.md).
const OVERLOAD: f64 = 4.0;

/// Looks in a row at one at a time, all slow, until that counts as usual.
const USUAL: u32 = 6;

/// One at a time may have been quick by luck while it was tried, as between two starts of pods. After so many removals it is compared
/// once more with what many at once removed in a second, then after twice as many each time, up to the second number.
const DOUBTS: u32 = 36;
const MOST_DOUBTS: u32 = 1152;

/// The least that is tried between one and the bound. On containerd 2.4.2 with two cores 2 at once gained little, 4 much, and 16 less.
const LEAST_KNEE: usize = 3;

/// A window below its bound is tried again after this many removals; twice as many each time, up to the second number.
const AGAIN: u32 = 1000;
const AT_LAST: u32 = 8000;

/// A removal that takes so many times as long as usual hangs, and holds no other one up.
const VERY_LONG: f64 = 10.0;

/// How long it may take at least, and while nothing is known.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);
const UNKNOWN_PATIENCE: Duration = Duration::from_secs(10);

/// The longest rest. Since no removal counts for more than VERY_LONG, a rest is at most one and a half times as long as one.
const LONGEST: Duration = Duration::from_secs(1);

/// How a call of the runtime ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// After this time the object was removed.
    Removed(Duration),
    /// It failed after this time.
    Failed(Duration),
    /// It says nothing of how long a removal takes: the object was stopped first, or the call was cut off.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// One at a time is tried.
    One,
    /// As many as may be.
    Bound,
    /// As many as the runtime seemed to have hands for.
    Knee,
    Settled,
}

/// The window of one kind of object. It hears when calls of the runtime begin and end; time is any clock that does not go back.
#[derive(Clone, Debug)]
pub struct Window {
    bound: usize,
    size: usize,
    stage: Stage,
    /// What the trials of this round found; while it is settled, what it rests on.
    found: Vec<Found>,
    meter: Meter,
    in_flight: InFlight,
    /// Nothing counts until so many more have ended: as many as a larger window had in flight. One that hangs is not waited for.
    drains: usize,
    /// Nothing counts until the first one of a larger window has ended: those that begin together wait for each other.
    fills: bool,
    /// Removals that the trial of one at a time takes at least.
    fewest: u32,
    /// Somebody waits.
    hurry: bool,
    /// How many eighths of the usual number of removals a trial takes, as they take unequally long.
    spread: u32,
    slow: u32,
    /// The most removals a second of the trials that were not kept.
    passed_over: f64,
    /// How long removals took since it is settled, and after how many it is compared with that once more.
    settled: Meter,
    doubts: u32,
    /// The mean of the last look while it is settled.
    latest: f64,
    rest: Duration,
    since: u32,
    again: u32,
}

impl Window {
    /// One at a time at first, and never more than `bound`.
    pub fn new(bound: usize) -> Window {
        Window {
            bound: bound.max(1),
            size: 1,
            stage: Stage::One,
            found: Vec::new(),
            meter: Meter::default(),
            in_flight: InFlight::default(),
            drains: 0,
            fills: false,
            fewest: FEWEST,
            hurry: false,
            spread: FEWEST,
            slow: 0,
            passed_over: 0.0,
            settled: Meter::default(),
            doubts: DOUBTS,
            latest: 0.0,
            rest: Duration::ZERO,
            since: 0,
            again: AGAIN,
        }
    }

    /// Settles at the bound without a trial, and stays there.
    pub fn open(&mut self) {
        // No removal takes longer than this.
        const FOR_EVER: f64 = 1e9;
        self.found = vec![Found {
            size: self.bound,
            rate: 1.0,
            width: 1.0,
            mean: FOR_EVER,
            error: 0.0,
        }];
        self.enter(Stage::Settled, self.bound);
    }

    /// How many removals may be in flight.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The most that may ever be in flight.
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// After this time a removal that has not ended holds no other one up.
    pub fn patience(&self) -> Duration {
        let usual = match self.found.first() {
            Some(found) => found.mean.max(self.latest),
            None => self.meter.mean(),
        };
        if usual == 0.0 {
            return UNKNOWN_PATIENCE;
        }
        Duration::from_secs_f64(VERY_LONG * usual).max(LEAST_PATIENCE)
    }

    /// How long nothing is to begin after a removal: a window below one.
    pub fn rest(&self) -> Duration {
        self.rest
    }

    /// While somebody waits, the trial of one at a time is shorter.
    pub fn hurry(&mut self, somebody_waits: bool) {
        self.hurry = somebody_waits;
    }

    /// A call has begun.
    pub fn begun(&mut self, now: Duration) {
        self.in_flight.begun(now);
    }

    /// A call has ended. One that failed is never quick: it counts if it took longer than a removal, which would have taken longer still.
    pub fn ended(&mut self, now: Duration, end: End) {
        self.in_flight.ended(now);
        let so_far = if self.meter.ended > 0 {
            self.meter.mean()
        } else {
            f64::MAX
        };
        let known = self.found.first().map_or(so_far, |found| found.mean);
        let took = match end {
            End::Removed(took) => Some(took.as_secs_f64()),
            End::Failed(took) => Some(took.as_secs_f64()).filter(|took| *took > known),
            End::Other => None,
        };
        if self.drains > 0 {
            self.drains = (self.drains - 1).min(self.in_flight.number());
            self.restart();
        } else if self.fills {
            self.fills = false;
            self.restart();
        } else if let Some(took) = took {
            // A single one that hangs says little of the others. In a trial of many at once each may wait for all the others.
            let others = match self.stage {
                Stage::Bound | Stage::Knee => self.size as f64,
                Stage::One | Stage::Settled => 1.0,
            };
            let took = took.min(VERY_LONG * known * others);
            let removed = matches!(end, End::Removed(_));
            self.meter.count(took, removed);
            if self.stage == Stage::Settled {
                self.settled.count(took, removed);
            }
            self.judge();
        }
    }

    /// Removals a second.
    fn rate(&self) -> f64 {
        f64::from(self.meter.removed) / self.in_flight.busy()
    }

    /// Measures anew.
    fn restart(&mut self) {
        self.meter = Meter::default();
        self.in_flight.restart();
    }

    fn judge(&mut self) {
        let ended = self.meter.ended;
        let trial = 2 * self.bound as u32 * self.spread / FEWEST;
        let fewest = if self.hurry { HURRY } else { self.fewest };
        match self.stage {
            Stage::One
                if ended < fewest
                    || (ended < MOST && self.meter.error() > ERROR * self.meter.mean()) => {}
            Stage::One => {
                // So many removals would have been enough.
                let enough =
                    (self.meter.error() / (ERROR * self.meter.mean())).powi(2) * f64::from(ended);
                self.spread = (enough.ceil() as u32).clamp(FEWEST, 3 * FEWEST);
                self.find();
                match self.bound {
                    1 => self.settle(),
                    bound => self.enter(Stage::Bound, bound),
                }
            }
            Stage::Bound => self.judge_bound(trial),
            Stage::Knee => self.judge_knee(trial),
            Stage::Settled if ended < 12 * self.spread / FEWEST => {}
            Stage::Settled => self.judge_settled(),
        }
    }

    /// Whether hardly anything ran at once in this trial, as in passes of one removal each: it begins anew.
    fn says_nothing(&mut self) -> bool {
        let nothing = self.in_flight.mean() <= AT_ONCE;
        if nothing {
            self.restart();
        }
        nothing
    }

    /// Many at once: whether they gain anything, and how many hands the runtime seems to have.
    fn judge_bound(&mut self, trial: u32) {
        let (ended, width) = (self.meter.ended, self.in_flight.mean());
        let hands = self.hands();
        if ended >= self.bound as u32 && width > AT_ONCE && hands < USELESS {
            let best = self.best();
            self.find();
            return self.settle_at(best);
        }
        if ended < trial || self.says_nothing() {
            return;
        }
        self.find();
        if hands >= UNBOUND * width {
            self.found.remove(0);
            return self.settle();
        }
        match self.knee(hands) {
            Some(knee) => self.enter(Stage::Knee, knee),
            None => self.settle(),
        }
    }

    /// As many as the runtime seemed to have hands for: whether it has more.
    fn judge_knee(&mut self, trial: u32) {
        if self.meter.ended < trial || self.says_nothing() {
            return;
        }
        self.find();
        let is_unbound = self.hands() >= UNBOUND * self.in_flight.mean();
        if is_unbound && self.found.iter().all(|found| found.size < self.bound) {
            return self.enter(Stage::Bound, self.bound);
        }
        self.settle();
    }

    /// How many hands the runtime seems to have: by how much it removes more in a second than one at a time.
    fn hands(&self) -> f64 {
        self.rate() * self.found[0].mean
    }

    /// How many at once to try for so many hands, if those are fewer than the bound.
    fn knee(&self, hands: f64) -> Option<usize> {
        let knee = ((hands * 1.1).ceil() as usize).max(LEAST_KNEE);
        (knee < self.bound).then_some(knee)
    }

    /// Whether removals take as long as in the trial that it rests on.
    fn judge_settled(&mut self) {
        let (mean, usual) = (self.meter.mean(), self.found[0].mean);
        let slower = (mean - self.meter.error()) / usual;
        self.since = self.since.saturating_add(self.meter.ended);
        self.latest = mean;
        self.restart();
        self.slow = if slower > SLOW { self.slow + 1 } else { 0 };
        if self.size == 1 {
            let rest = mean * (slower / OVERLOAD - 1.0).max(0.0);
            self.rest = Duration::from_secs_f64(rest).min(LONGEST);
            if self.slow >= USUAL {
                self.learn();
            } else if self.settled.ended >= self.doubts {
                return self.compare_once_more();
            }
        } else if self.slow >= 2 || slower > VERY_SLOW {
            self.learn();
            // A node that has become slow is left alone for a while.
            self.fewest = CAREFUL;
        }
        if self.since >= self.again && self.size < self.bound {
            let again = self.again;
            self.learn();
            self.again = (2 * again).min(AT_LAST);
        }
    }

    /// Whether more at once remove more than one at a time does by now.
    fn compare_once_more(&mut self) {
        let alone = Found::alone(&self.settled);
        let hands = self.passed_over * alone.mean;
        self.settled = Meter::default();
        self.doubts = (2 * self.doubts).min(MOST_DOUBTS);
        if hands > USELESS {
            self.found = vec![alone];
            match self.knee(hands) {
                Some(knee) => self.enter(Stage::Knee, knee),
                None => self.enter(Stage::Bound, self.bound),
            }
        }
    }

    fn find(&mut self) {
        self.found.push(match self.stage {
            Stage::One => Found::alone(&self.meter),
            _ => Found {
                size: self.size,
                rate: self.rate(),
                width: self.in_flight.mean(),
                mean: self.meter.mean(),
                error: self.meter.doubt(),
            },
        });
    }

    /// Begins anew.
    fn learn(&mut self) {
        self.found.clear();
        self.latest = 0.0;
        self.since = 0;
        self.again = AGAIN;
        self.doubts = DOUBTS;
        self.fewest = FEWEST;
        self.enter(Stage::One, 1);
    }

    /// Keeps what was worth most.
    fn settle(&mut self) {
        self.settle_at(self.best());
    }

    /// What was worth most of what this round has found, which is something in each stage but the first.
    fn best(&self) -> Found {
        let (first, others) = (self.found[0], &self.found[1..]);
        others
            .iter()
            .fold(first, |a, b| if b.worth() > a.worth() { *b } else { a })
    }

    fn settle_at(&mut self, best: Found) {
        let others = self.found.iter().filter(|found| found.size != best.size);
        self.passed_over = others.map(|found| found.rate).fold(0.0, f64::max);
        if best.size > 1 {
            self.doubts = DOUBTS;
        }
        self.found = vec![best];
        self.enter(Stage::Settled, best.size);
    }

    fn enter(&mut self, stage: Stage, size: usize) {
        self.drains = if size < self.size {
            self.in_flight.number()
        } else {
            0
        };
        self.fills = size > self.size;
        self.stage = stage;
        self.size = size;
        self.restart();
        self.settled = Meter::default();
        self.slow = 0;
        self.rest = Duration::ZERO;
    }
}
