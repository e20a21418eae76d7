//! In which order objects have their turn (S0.8): first those that were never begun, then those that were begun and did not end, least
//! recently first. So each object is tried once before one that did not end is tried again.

use crate::node::Text;
use crate::report::Kind;
use std::collections::HashMap;
use std::time::Duration;

/// If crigc cannot know what has been removed, it forgets what it has not tried for this long.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How a removal that was begun failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It was answered with an error, or the host broke it off.
    Failed,
    /// It was not answered in time.
    Silent,
    /// The connection was lost meanwhile: this removal may make the runtime crash.
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    at: Duration,
    trouble: Trouble,
}

/// What was begun and is not known to be removed. Times are since the machine booted.
#[derive(Clone, Debug, Default)]
pub struct Unfinished {
    tries: HashMap<(Kind, Text), Try>,
    /// When a container was first asked to stop.
    stops: HashMap<Text, Duration>,
    /// When a container's status was last asked for without an answer.
    questions: HashMap<Text, Duration>,
}

/// What is to be removed, and when each object has its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns<T> {
    /// Never begun; in the order of the plan.
    pub first: Vec<T>,
    /// Begun before; least recently first.
    pub again: Vec<T>,
    /// One at a time, least recently first: those that may make the runtime crash, and those that were tried since the first of them
    /// (otherwise ten that hang in each pass would keep the first ones for ever).
    pub alone: Vec<T>,
}

impl Unfinished {
    /// Its removal was begun, and did not end well.
    pub fn tried(&mut self, kind: Kind, id: &Text, at: Duration, trouble: Trouble) {
        self.tries.insert((kind, id.clone()), Try { at, trouble });
    }

    /// It has been removed.
    pub fn removed(&mut self, kind: Kind, id: &Text) {
        if !self.tries.is_empty() {
            // Cloning a text copies no bytes.
            self.tries.remove(&(kind, id.clone()));
        }
        if kind == Kind::Container {
            self.stops.remove(id);
            self.questions.remove(id);
        }
    }

    /// Whether it was begun before.
    pub fn was_tried(&self, kind: Kind, id: &Text) -> bool {
        self.of(kind, id).is_some()
    }

    fn of(&self, kind: Kind, id: &Text) -> Option<Try> {
        self.tries.get(&(kind, id.clone())).copied()
    }

    /// When the least recent of these was tried.
    pub fn oldest<'a>(&self, kind: Kind, ids: impl Iterator<Item = &'a Text>) -> Option<Duration> {
        ids.filter_map(|id| self.of(kind, id)).map(|t| t.at).min()
    }

    /// A container is asked to stop; returns how long ago that was done first (S2.3).
    pub fn stops(&mut self, id: &Text, now: Duration) -> Duration {
        now.saturating_sub(*self.stops.entry(id.clone()).or_insert(now))
    }

    /// A question about a container got no answer.
    pub fn asked_in_vain(&mut self, id: &Text, now: Duration) {
        self.questions.insert(id.clone(), now);
    }

    /// The question was answered.
    pub fn answered(&mut self, id: &Text) {
        self.questions.remove(id);
    }

    /// All objects of a kind are known: the others have been removed.
    pub fn keep_only(&mut self, kind: Kind, is_there: impl Fn(&Text) -> bool) {
        self.tries.retain(|(k, id), _| *k != kind || is_there(id));
        if kind == Kind::Container {
            self.stops.retain(|id, _| is_there(id));
            self.questions.retain(|id, _| is_there(id));
        }
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.tries.is_empty() && self.stops.is_empty() && self.questions.is_empty()
    }

    /// Forgets what no pass has tried for a week.
    pub fn forget_old(&mut self, now: Duration) {
        let young = |at: &Duration| now < at.saturating_add(LONGEST);
        self.tries.retain(|_, t| young(&t.at));
        self.stops.retain(|_, at| young(at));
        self.questions.retain(|_, at| young(at));
    }
}

/// Which object has its turn when (S0.8).
pub fn turns<T>(
    items: Vec<T>,
    kind: Kind,
    id: impl Fn(&T) -> &Text,
    unfinished: &Unfinished,
) -> Turns<T> {
    let (mut first, mut again, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        match unfinished.of(kind, id(&item)) {
            None => first.push(item),
            Some(t) if t.trouble == Trouble::Lost => alone.push((t.at, item)),
            Some(t) => again.push((t.at, item)),
        }
    }
    if let Some(oldest) = alone.iter().map(|(at, _)| *at).min() {
        alone.extend(again.extract_if(.., |(at, _)| *at > oldest));
    }
    Turns {
        first,
        again: by_time(again),
        alone: by_time(alone),
    }
}

fn by_time<T>(items: Vec<(Duration, T)>) -> Vec<T> {
    // Sorted are times and places alone, so that all types of objects share the code of one sort.
    let mut order: Vec<_> = (0..)
        .zip(&items)
        .map(|(at, (time, _))| (*time, at))
        .collect();
    sort(&mut order);
    let mut items: Vec<_> = items.into_iter().map(|(_, item)| Some(item)).collect();
    let places = order.into_iter();
    places.filter_map(|(_, at)| items[at].take()).collect()
}

/// The order in which questions about objects are asked: those that were left unanswered come last, the least recent first (S0.8).
pub fn questions<T>(items: Vec<T>, id: impl Fn(&T) -> &Text, unfinished: &Unfinished) -> Vec<T> {
    let timed = |item: T| {
        let asked = unfinished.questions.get(id(&item));
        (asked.copied().unwrap_or_default(), item)
    };
    by_time(items.into_iter().map(timed).collect())
}

/// By time; equal ones keep the order of the plan.
fn sort(order: &mut [(Duration, usize)]) {
    order.sort_unstable();
}

/// The same of images: only those that got no answer come last, so that S5.4 holds among all others (S0.8).
pub fn images<T>(items: Vec<T>, id: impl Fn(&T) -> &Text, unfinished: &Unfinished) -> Turns<T> {
    let answered = |item: &T| {
        let tried = unfinished.of(Kind::Image, id(item));
        tried.is_none_or(|t| t.trouble == Trouble::Failed)
    };
    let (first, last) = items.into_iter().partition(answered);
    Turns {
        first,
        ..turns(last, Kind::Image, id, unfinished)
    }
}
