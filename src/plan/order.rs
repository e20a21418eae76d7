//! In which order objects have their turn (S0.8): what was never begun, then what was begun and did not end, least recently first, so
//! that each object is tried once before one that did not end is tried again.

use crate::node::Text;
use crate::report::Kind;
use std::collections::HashMap;
use std::time::Duration;

/// Where nobody can tell what is gone, what was not tried for so long is forgotten.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How a removal that was begun came to no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It was answered with an error, or the host broke it off.
    Failed,
    /// It was not answered in time.
    Silent,
    /// The connection was lost meanwhile: its removal may be what makes the runtime crash.
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    at: Duration,
    trouble: Trouble,
}

/// What was begun and is not known to be gone. Times are since the machine booted.
#[derive(Clone, Debug, Default)]
pub struct Unfinished {
    tries: HashMap<(Kind, Text), Try>,
    /// When a container was first told to stop.
    stops: HashMap<Text, Duration>,
    /// When a container's status was last asked for in vain.
    questions: HashMap<Text, Duration>,
}

/// What is to go, and when each has its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns<T> {
    /// Never begun; in the order of the plan.
    pub first: Vec<T>,
    /// Begun before; least recently first.
    pub again: Vec<T>,
    /// The same of those that may make the runtime crash, and of what was tried since the first of them: else ten that hang in each
    /// pass would keep them for ever. One at a time.
    pub alone: Vec<T>,
}

impl Unfinished {
    /// Its removal was begun, and did not end well.
    pub fn tried(&mut self, kind: Kind, id: &Text, now: Duration, trouble: Trouble) {
        let at = now;
        self.tries.insert((kind, id.clone()), Try { at, trouble });
    }

    /// It is gone.
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
        match self.tries.is_empty() {
            true => None,
            false => self.tries.get(&(kind, id.clone())).copied(),
        }
    }

    /// When the least recent of these was tried.
    pub fn oldest<'a>(&self, kind: Kind, ids: impl Iterator<Item = &'a Text>) -> Option<Duration> {
        ids.filter_map(|id| self.of(kind, id)).map(|t| t.at).min()
    }

    /// A container is told to stop; how long ago that was done first (S2.3).
    pub fn stops(&mut self, id: &Text, now: Duration) -> Duration {
        now.saturating_sub(*self.stops.entry(id.clone()).or_insert(now))
    }

    /// A question about a container got no answer.
    pub fn asked_in_vain(&mut self, id: &Text, now: Duration) {
        self.questions.insert(id.clone(), now);
    }

    /// It was answered.
    pub fn answered(&mut self, id: &Text) {
        self.questions.remove(id);
    }

    /// Its place among the questions: never asked in vain comes first, then least recently.
    pub fn question(&self, id: &Text) -> Option<Duration> {
        self.questions.get(id).copied()
    }

    /// All objects of a kind are known: the others are gone.
    pub fn keep_only(&mut self, kind: Kind, is_there: impl Fn(&Text) -> bool) {
        self.tries.retain(|(k, id), _| *k != kind || is_there(id));
        if kind == Kind::Container {
            self.stops.retain(|id, _| is_there(id));
            self.questions.retain(|id, _| is_there(id));
        }
    }

    /// Whether there is anything that may be forgotten.
    pub fn is_empty(&self) -> bool {
        self.tries.is_empty() && self.stops.is_empty() && self.questions.is_empty()
    }

    /// Forgets what nobody has tried for very long.
    pub fn forget_old(&mut self, now: Duration) {
        let young = |at: &Duration| now < at.saturating_add(LONGEST);
        self.tries.retain(|_, t| young(&t.at));
        self.stops.retain(|_, at| young(at));
        self.questions.retain(|_, at| young(at));
    }
}

/// S0.8: who has its turn when.
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

fn by_time<T>(mut items: Vec<(Duration, T)>) -> Vec<T> {
    // Stable: among equals by the plan.
    items.sort_by_key(|(at, _)| *at);
    items.into_iter().map(|(_, item)| item).collect()
}

/// S0.8 of images: only those that got no answer come last, so that S5.4 holds among all others.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries of objects: ID, when, how it ended.
    type Tries = [(&'static str, u64, Trouble)];

    /// Six objects, a to f, after some tries.
    fn after(kind: Kind, tries: &Tries) -> (Vec<Text>, Unfinished) {
        let mut unfinished = Unfinished::default();
        for (id, at, trouble) in tries {
            unfinished.tried(kind, &(*id).into(), Duration::from_secs(*at), *trouble);
        }
        let ids = ["a", "b", "c", "d", "e", "f"];
        (ids.map(Text::from).to_vec(), unfinished)
    }

    fn told(turns: &Turns<Text>) -> [String; 3] {
        [&turns.first, &turns.again, &turns.alone].map(|ids| ids.concat())
    }

    #[test]
    fn s0_8_each_is_tried_once_before_one_that_did_not_end_is_tried_again() {
        use Trouble::{Failed, Lost, Silent};
        // What was tried; who comes first, who again, who alone.
        let cases: [(&Tries, [&str; 3]); 7] = [
            (&[], ["abcdef", "", ""]),
            (&[("a", 1, Silent), ("b", 2, Silent)], ["cdef", "ab", ""]),
            (
                &[("a", 3, Silent), ("b", 1, Failed), ("d", 2, Silent)],
                ["cef", "bda", ""],
            ),
            // The last try counts.
            (
                &[("a", 1, Silent), ("b", 2, Silent), ("a", 3, Failed)],
                ["cdef", "ba", ""],
            ),
            // What is gone, and what was never there.
            (&[("x", 1, Lost)], ["abcdef", "", ""]),
            (
                &[("a", 4, Lost), ("b", 3, Lost), ("c", 2, Silent)],
                ["def", "c", "ba"],
            ),
            // What was tried since comes behind them.
            (
                &[("a", 4, Lost), ("b", 3, Lost), ("c", 9, Silent)],
                ["def", "", "bac"],
            ),
        ];
        for (tries, want) in cases {
            let (ids, unfinished) = after(Kind::Container, tries);
            let turns = turns(ids, Kind::Container, |id| id, &unfinished);
            assert_eq!(told(&turns), want, "{tries:?}");
        }
    }

    #[test]
    fn s0_8_s5_4_only_images_without_an_answer_come_last() {
        use Trouble::{Failed, Lost, Silent};
        let cases: [(&Tries, [&str; 3]); 5] = [
            (&[], ["abcdef", "", ""]),
            (&[("a", 1, Failed), ("c", 2, Failed)], ["abcdef", "", ""]),
            (
                &[("a", 2, Silent), ("b", 3, Failed), ("c", 1, Silent)],
                ["bdef", "ca", ""],
            ),
            (&[("e", 2, Lost), ("a", 1, Silent)], ["bcdf", "a", "e"]),
            (&[("e", 2, Lost), ("a", 3, Silent)], ["bcdf", "", "ea"]),
        ];
        for (tries, want) in cases {
            let (ids, unfinished) = after(Kind::Image, tries);
            let turns = images(ids, |id| id, &unfinished);
            assert_eq!(told(&turns), want, "{tries:?}");
        }
    }

    /// Ten at a time are given up: with h that hang at the head, those behind are tried by pass h / 10 + 1.
    #[test]
    fn s0_8_those_behind_what_hangs_have_their_turn_after_a_tenth_as_many_passes() {
        for hanging in [0, 1, 9, 10, 11, 20, 25, 60] {
            let all: Vec<Text> = (0..hanging + 3).map(|n| format!("{n}").into()).collect();
            let mut unfinished = Unfinished::default();
            let mut tried: Vec<Text> = Vec::new();
            for _ in 1..=hanging / 10 + 1 {
                let turns = turns(all.clone(), Kind::Container, |id| id, &unfinished);
                let mut silent = 0;
                for id in turns.first.into_iter().chain(turns.again) {
                    if silent == 10 {
                        break;
                    }
                    if id.parse::<usize>().unwrap() < hanging {
                        silent += 1;
                        let now = Duration::from_secs(tried.len() as u64);
                        unfinished.tried(Kind::Container, &id, now, Trouble::Silent);
                    }
                    tried.push(id);
                }
            }
            let behind = all[hanging..].iter().all(|id| tried.contains(id));
            assert!(behind, "{hanging} hang: {tried:?}");
        }
    }

    /// What was in flight when a connection was lost is not kept for ever behind ten that hang in each pass.
    #[test]
    fn s0_8_what_was_lost_has_its_turn_however_many_hang() {
        for hanging in [10, 12, 25] {
            let all: Vec<Text> = (0..hanging + 2).map(|n| format!("{n}").into()).collect();
            let mut unfinished = Unfinished::default();
            for (n, id) in all.iter().enumerate() {
                let trouble = match n < hanging {
                    true => Trouble::Silent,
                    false => Trouble::Lost,
                };
                let now = Duration::from_secs(n as u64);
                unfinished.tried(Kind::Container, id, now, trouble);
            }
            let mut now = Duration::from_secs(all.len() as u64);
            let mut tried: Vec<Text> = Vec::new();
            for _ in 0..=hanging / 10 + 1 {
                let turns = turns(all.clone(), Kind::Container, |id| id, &unfinished);
                let mut silent = 0;
                let in_turn = turns
                    .first
                    .into_iter()
                    .chain(turns.again)
                    .chain(turns.alone);
                for id in in_turn {
                    if silent == 10 {
                        break;
                    }
                    now += Duration::from_secs(1);
                    if id.parse::<usize>().unwrap() < hanging {
                        silent += 1;
                        unfinished.tried(Kind::Container, &id, now, Trouble::Silent);
                    }
                    tried.push(id);
                }
            }
            let lost = all[hanging..].iter().all(|id| tried.contains(id));
            assert!(lost, "{hanging} hang: {tried:?}");
        }
    }

    #[test]
    fn s0_8_what_is_gone_is_forgotten() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let id = Text::from("c");
        let mut unfinished = Unfinished::default();
        let fill = |unfinished: &mut Unfinished| {
            unfinished.tried(Kind::Container, &id, hours(1), Trouble::Lost);
            unfinished.asked_in_vain(&id, hours(1));
            assert_eq!(unfinished.stops(&id, hours(1)), Duration::ZERO);
        };
        fill(&mut unfinished);
        // S2.3: the first try of a stop counts.
        assert_eq!(unfinished.stops(&id, hours(3)), hours(2));
        unfinished.keep_only(Kind::Container, |_| true);
        unfinished.keep_only(Kind::Sandbox, |_| false);
        unfinished.forget_old(hours(24 * 7));
        assert!(unfinished.was_tried(Kind::Container, &id));
        assert!(!unfinished.was_tried(Kind::Sandbox, &id));
        unfinished.removed(Kind::Container, &id);
        assert!(unfinished.is_empty());
        fill(&mut unfinished);
        unfinished.keep_only(Kind::Container, |id| &**id != "c");
        assert!(unfinished.is_empty());
        fill(&mut unfinished);
        unfinished.forget_old(hours(24 * 7 + 1));
        assert!(unfinished.is_empty());
    }
}
