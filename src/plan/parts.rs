//! Which parts of a list to ask for where the whole does not fit a message (S7.3), and what is known of the whole by its bytes.
//!
//! A runtime that is asked by labels walks over all it has each time, so that few large parts beat many small ones: a namespace,
//! where that is too large by container name, then by pod name, then by UID.

use crate::node::Text;
use std::collections::{BTreeMap, BTreeSet};

/// What a container takes in a list until some were seen: containerd's limit of 16 MiB holds about 18,000.
const USUAL_SIZE: u64 = 900;

/// containerd's limit of a message; for runtimes whose refusal names none.
const USUAL_LIMIT: u64 = 16 << 20;

/// The least of a list that a part is asked for: what log directories suggest is divided into no more parts than the list has so many
/// bytes (S7.3). Anybody who may write there can make directories.
const LEAST_PART: u64 = 64 << 10;

/// So many parts are asked for in any case: a list of a few of them may have to be divided, too.
const FEW_PARTS: usize = 64;

/// The labels of an object by which it can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels {
    /// `io.kubernetes.pod.namespace`
    pub namespace: Text,
    /// `io.kubernetes.pod.name`
    pub pod: Text,
    /// `io.kubernetes.pod.uid`
    pub uid: Text,
    /// `io.kubernetes.container.name`; `None` = a sandbox, or a pod whose containers are not known.
    pub container: Option<Text>,
}

/// Part of a list: what carries all these labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    /// All parts of one namespace together hold its pods whole.
    pub namespace: Text,
    container: Option<Text>,
    pod: Option<Text>,
    uid: Option<Text>,
}

impl Part {
    /// All of a namespace.
    pub fn of_namespace(namespace: Text) -> Part {
        Part {
            namespace,
            container: None,
            pod: None,
            uid: None,
        }
    }

    /// Labels and values, as the runtime is asked.
    pub fn selector(&self) -> Vec<(&'static str, &str)> {
        [
            ("io.kubernetes.pod.namespace", Some(&self.namespace)),
            ("io.kubernetes.container.name", self.container.as_ref()),
            ("io.kubernetes.pod.name", self.pod.as_ref()),
            ("io.kubernetes.pod.uid", self.uid.as_ref()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, &**value?)))
        .collect()
    }

    fn covers(&self, labels: &Labels) -> bool {
        let matches =
            |own: &Option<Text>, value: &Text| own.as_ref().is_none_or(|own| own == value);
        self.namespace == labels.namespace
            && matches(&self.pod, &labels.pod)
            && matches(&self.uid, &labels.uid)
            && (self.container.is_none() || self.container == labels.container)
    }
}

/// What is known to be on the node.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// With how many to expect behind them.
    labels: BTreeMap<Labels, usize>,
    /// Namespaces of which nothing more is known.
    bare: BTreeSet<Text>,
}

impl Known {
    /// `expected` or more objects with these labels.
    pub fn add(&mut self, labels: Labels, expected: usize) {
        let known = self.labels.entry(labels).or_default();
        *known = expected.max(*known);
    }

    /// A pod of which nothing but its labels is known. Where containers of it are, they lead to it.
    pub fn add_pod(&mut self, labels: Labels) {
        let of_pod = |known: &Labels| {
            (&known.namespace, &known.pod, &known.uid)
                == (&labels.namespace, &labels.pod, &labels.uid)
        };
        let mut from_here = self.labels.range(labels.clone()..);
        if !from_here.next().is_some_and(|(known, _)| of_pod(known)) {
            self.add(labels, 0);
        }
    }

    /// How many objects to expect in all.
    pub fn total(&self) -> usize {
        self.labels.values().sum()
    }

    /// A namespace in which there may be something.
    pub fn add_namespace(&mut self, namespace: Text) {
        self.bare.insert(namespace);
    }

    /// They are in the order of namespaces and pods: of thousands of pods, what belongs to one is found at once.
    fn of<'a>(&'a self, part: &'a Part) -> impl Iterator<Item = (&'a Labels, usize)> {
        let first = Labels {
            namespace: part.namespace.clone(),
            pod: part.pod.clone().unwrap_or_default(),
            uid: Text::default(),
            container: None,
        };
        let is_near = |labels: &Labels| {
            labels.namespace == part.namespace
                && part.pod.as_ref().is_none_or(|pod| *pod == labels.pod)
        };
        self.labels
            .range(first..)
            .map(|(labels, &expected)| (labels, expected))
            .take_while(move |(labels, _)| is_near(labels))
            .filter(|(labels, _)| part.covers(labels))
    }

    /// How many objects to expect in a part.
    pub fn expected(&self, part: &Part) -> usize {
        self.of(part).map(|(_, expected)| expected).sum()
    }

    /// The parts of each namespace, such that each holds about `fits` objects at most; namespaces with most objects first. All of them
    /// are at most `more` parts more than there are namespaces: one that would take more than are left is a part as it is, and is
    /// divided only if the runtime says that it is too large.
    pub fn namespaces(&self, fits: usize, more: usize) -> Vec<Vec<Part>> {
        let mut left = more;
        let bounded = |mut parts: Vec<Part>| {
            match left.checked_sub(parts.len() - 1) {
                Some(rest) => left = rest,
                None => parts = vec![Part::of_namespace(parts[0].namespace.clone())],
            }
            parts
        };
        let parts = self.unbounded(fits).into_iter();
        parts.map(bounded).collect()
    }

    fn unbounded(&self, fits: usize) -> Vec<Vec<Part>> {
        let of_labels = self.labels.keys().map(|labels| &labels.namespace);
        let namespaces: BTreeSet<&Text> = of_labels.chain(&self.bare).collect();
        let mut all: Vec<(usize, Vec<Part>)> = namespaces
            .into_iter()
            .map(|namespace| {
                let part = Part::of_namespace(namespace.clone());
                let expected = self.expected(&part);
                (expected, self.split(part, expected, fits))
            })
            .collect();
        all.sort_by_key(|(expected, _)| std::cmp::Reverse(*expected));
        all.into_iter().map(|(_, parts)| parts).collect()
    }

    fn split(&self, part: Part, expected: usize, fits: usize) -> Vec<Part> {
        if expected <= fits {
            return vec![part];
        }
        match self.counted(&part) {
            parts if parts.is_empty() => vec![part],
            parts => parts
                .into_iter()
                .flat_map(|(part, expected)| self.split(part, expected, fits))
                .collect(),
        }
    }

    /// The same part in smaller ones, one label more for each; empty = it cannot be divided.
    pub fn divide(&self, part: &Part) -> Vec<Part> {
        self.counted(part)
            .into_iter()
            .map(|(part, _)| part)
            .collect()
    }

    /// The same with how many objects to expect in each, in one walk: there may be as many parts as labels.
    fn counted(&self, part: &Part) -> Vec<(Part, usize)> {
        let with_pod = |labels: &Labels| Part {
            pod: Some(labels.pod.clone()),
            ..part.clone()
        };
        let smaller_one = |labels: &Labels| match part {
            Part { pod: Some(_), .. } => Part {
                uid: Some(labels.uid.clone()),
                ..part.clone()
            },
            Part {
                container: Some(_), ..
            } => with_pod(labels),
            _ => match &labels.container {
                Some(container) => Part {
                    container: Some(container.clone()),
                    ..part.clone()
                },
                None => with_pod(labels),
            },
        };
        if part.uid.is_some() {
            return Vec::new();
        }
        let mut counts: BTreeMap<Part, usize> = BTreeMap::new();
        for (labels, expected) in self.of(part) {
            *counts.entry(smaller_one(labels)).or_default() += expected;
        }
        let mut smaller: Vec<(Part, usize)> = counts.into_iter().collect();
        // The largest first: what is left may soon fit. Pods without known containers last: there may be nothing behind them.
        smaller.sort_by_key(|(part, expected)| {
            let without = part.container.is_none() && part.pod.is_some();
            (without, std::cmp::Reverse(*expected))
        });
        smaller
    }
}

/// What is known of a list that did not fit, in bytes of its message. A message is the sum of its rows, so that parts which
/// come to what the runtime said of the whole are the whole.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// What the runtime last said of the whole, less what has gone since; `None` = it did not say.
    whole: Option<u64>,
    limit: u64,
    /// What a row takes, until some were seen.
    guess: u64,
    /// Rows seen and still there.
    held: u64,
    rows: u64,
    /// Rows ever seen.
    seen: u64,
    /// Something has gone since the list was refused last.
    gone_since: bool,
}

impl Account {
    /// `size`: of the whole list, and of the largest message, as the refusal names them.
    pub fn new(size: Option<(u64, u64)>) -> Account {
        Account {
            whole: size.map(|(whole, _)| whole),
            limit: size.map_or(USUAL_LIMIT, |(_, limit)| limit),
            guess: USUAL_SIZE,
            held: 0,
            rows: 0,
            seen: 0,
            gone_since: false,
        }
    }

    /// There should be so many objects: what the runtime said of the whole is theirs.
    pub fn expect(&mut self, objects: usize) {
        let each = self
            .whole
            .and_then(|whole| whole.checked_div(objects as u64));
        self.guess = each.unwrap_or(USUAL_SIZE);
    }

    /// The list was refused once more. What was told before says nothing of now.
    pub fn told_again(&mut self, size: Option<(u64, u64)>) {
        self.gone_since = false;
        self.whole = size.map(|(whole, _)| whole);
        if let Some((_, limit)) = size {
            self.limit = limit;
        }
    }

    /// A row that was not seen before.
    pub fn saw(&mut self, size: u32) {
        self.held += u64::from(size);
        self.rows += 1;
        self.seen += 1;
    }

    /// A row that was seen has gone.
    pub fn removed(&mut self, size: u32) {
        let size = u64::from(size);
        self.gone_since = true;
        self.held = self.held.saturating_sub(size);
        self.rows = self.rows.saturating_sub(1);
        self.whole = self.whole.map(|whole| whole.saturating_sub(size));
    }

    fn usual_size(&self) -> u64 {
        self.held
            .checked_div(self.rows)
            .unwrap_or(self.guess)
            .max(1)
    }

    /// How many objects one message holds, as far as was seen.
    pub fn fits(&self) -> usize {
        usize::try_from(self.limit / self.usual_size()).unwrap_or(usize::MAX)
    }

    /// How many parts are asked for at most, beside one for each namespace. A list of which nobody told the size is taken for as
    /// large as a message of containerd may be.
    pub fn most_parts(&self) -> usize {
        let parts = self.whole.unwrap_or(USUAL_LIMIT) / LEAST_PART;
        usize::try_from(parts).unwrap_or(usize::MAX).max(FEW_PARTS)
    }

    /// Whether the whole list should fit a message by now; where nobody said how large it is, whether it is worth a try.
    pub fn whole_may_fit(&self) -> bool {
        match self.whole {
            Some(whole) => whole <= self.limit,
            None => self.gone_since,
        }
    }

    /// Whether what was seen and is still there comes to what was told last. That proves something only where it was told after the
    /// last part (S7.3).
    pub fn is_closed(&self) -> bool {
        self.whole == Some(self.held)
    }

    /// Whether what the runtime now says of the whole is what was to be expected by what has gone.
    pub fn stands(&self, size: Option<(u64, u64)>) -> bool {
        size.map(|(whole, _)| whole) == self.whole
    }

    /// How many objects were seen, and how many there are by estimate.
    pub fn seen_of(&self) -> (u64, Option<u64>) {
        let gone = self.seen - self.rows;
        let all = self.whole.map(|whole| gone + whole / self.usual_size());
        (self.seen, all.map(|all| all.max(self.seen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(namespace: &str, container: &str, pod: &str, uid: &str) -> Labels {
        Labels {
            namespace: namespace.into(),
            pod: pod.into(),
            uid: uid.into(),
            container: (!container.is_empty()).then(|| container.into()),
        }
    }

    fn known(rows: &[(&str, &str, &str, &str, usize)]) -> Known {
        let mut known = Known::default();
        for &(namespace, container, pod, uid, expected) in rows {
            known.add(labels(namespace, container, pod, uid), expected);
        }
        known
    }

    fn shown(part: &Part) -> String {
        let values: Vec<&str> = part
            .selector()
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        values.join(" ")
    }

    #[test]
    fn parts_are_as_large_as_they_may_be() {
        let known = known(&[
            ("shop", "web", "cart", "1", 60),
            ("shop", "web", "cart", "2", 30),
            ("shop", "web", "till", "3", 50),
            ("shop", "side", "cart", "1", 20),
            ("shop", "", "bare", "4", 0),
            ("batch", "job", "once", "5", 170),
        ]);
        let cases: [(usize, &[&[&str]]); 5] = [
            (1000, &[&["batch"], &["shop"]]),
            (170, &[&["batch"], &["shop"]]),
            (
                150,
                &[
                    &["batch job once 5"],
                    &["shop side", "shop web", "shop bare"],
                ],
            ),
            (
                90,
                &[
                    &["batch job once 5"],
                    &["shop side", "shop web cart", "shop web till", "shop bare"],
                ],
            ),
            (
                60,
                &[
                    &["batch job once 5"],
                    &[
                        "shop side",
                        "shop web cart 1",
                        "shop web cart 2",
                        "shop web till",
                        "shop bare",
                    ],
                ],
            ),
        ];
        for (fits, expected) in cases {
            let mut got: Vec<Vec<String>> = known
                .namespaces(fits, 1000)
                .iter()
                .map(|parts| parts.iter().map(shown).collect())
                .collect();
            let mut expected: Vec<Vec<String>> = expected
                .iter()
                .map(|parts| parts.iter().map(|part| (*part).to_owned()).collect())
                .collect();
            assert_eq!(got.len(), expected.len());
            for parts in got.iter_mut().chain(&mut expected) {
                parts.sort();
            }
            assert_eq!(got, expected, "{fits}");
        }
    }

    /// Whatever is known is in one part of any division, and nothing else is asked for.
    #[test]
    fn parts_cover_all_that_is_known_once() {
        let names = ["a", "b", "c"];
        let mut known = Known::default();
        for (n, namespace) in names.iter().enumerate() {
            for (p, pod) in names.iter().enumerate() {
                for (c, container) in ["", "x", "y"].iter().enumerate() {
                    let uid = format!("{n}{p}");
                    known.add(labels(namespace, container, pod, &uid), n + 3 * p + 5 * c);
                }
            }
        }
        for fits in 0..100 {
            let parts: Vec<Part> = known.namespaces(fits, 1000).into_iter().flatten().collect();
            for labels in known.labels.keys() {
                let covering = parts.iter().filter(|part| part.covers(labels)).count();
                // A pod whose containers are not known has a part of its own, which others may share.
                assert!(covering >= 1, "{labels:?} with {fits}");
                if labels.container.is_some() {
                    let by_container = |part: &&Part| part.container.is_some();
                    let own = parts.iter().filter(|part| part.covers(labels));
                    let own: Vec<&Part> = own.collect();
                    let named = own
                        .iter()
                        .copied()
                        .filter(|part| by_container(part))
                        .count();
                    assert!(
                        named <= 1 && own.len() - named <= 1,
                        "{labels:?} with {fits}"
                    );
                }
            }
        }
    }

    #[test]
    fn pods_whose_containers_are_known_and_bare_namespaces_have_no_parts_of_their_own() {
        let mut known = known(&[
            ("shop", "web", "cart", "1", 60),
            ("shop", "job", "cart", "1", 60),
        ]);
        known.add_pod(labels("shop", "", "cart", "1"));
        known.add_pod(labels("shop", "", "till", "2"));
        known.add_pod(labels("shop", "", "bare", "3"));
        known.add_namespace("empty".into());
        known.add_namespace("shop".into());
        let parts = known.namespaces(60, 100);
        let shown: Vec<Vec<String>> = parts
            .iter()
            .map(|parts| parts.iter().map(shown).collect())
            .collect();
        let of_shop = ["shop job", "shop web", "shop bare", "shop till"];
        assert_eq!(shown, [of_shop.to_vec(), vec!["empty"]]);
    }

    #[test]
    fn directories_make_no_more_parts_than_are_left() {
        let many: Vec<String> = (0..50).map(|n| format!("c{n}")).collect();
        let mut rows: Vec<(&str, &str, &str, &str, usize)> = many
            .iter()
            .map(|name| ("hostile", name.as_str(), "pod", "1", 10))
            .collect();
        rows.extend([
            ("shop", "web", "a", "2", 60),
            ("shop", "side", "a", "2", 60),
        ]);
        let known = known(&rows);
        for (more, parts) in [(49, [50, 1]), (50, [50, 2]), (48, [1, 2]), (0, [1, 1])] {
            let made = known.namespaces(100, more);
            let made: Vec<usize> = made.iter().map(Vec::len).collect();
            assert_eq!(made, parts, "{more}");
        }
        let sizes = [
            (Some((40 << 20, 16 << 20)), 640),
            (Some((4000, 1000)), 64),
            (None, 256),
        ];
        for (size, most) in sizes {
            assert_eq!(Account::new(size).most_parts(), most, "{size:?}");
        }
    }

    #[test]
    fn an_account_knows_when_all_is_seen_and_when_the_rest_fits() {
        let mut account = Account::new(Some((1000, 600)));
        assert!(!account.is_closed() && !account.whole_may_fit());
        (0..10).for_each(|_| account.saw(90));
        assert_eq!(account.fits(), 6);
        assert_eq!(account.seen_of(), (10, Some(11)));
        assert!(!account.is_closed());
        account.saw(100);
        assert!(account.is_closed() && !account.whole_may_fit());
        (0..4).for_each(|_| account.removed(90));
        assert!(account.is_closed() && !account.whole_may_fit());
        account.removed(90);
        assert!(account.is_closed() && account.whole_may_fit());
        assert_eq!(account.seen_of(), (11, Some(11)));
        // Something came meanwhile.
        account.told_again(Some((700, 600)));
        assert!(!account.is_closed() && !account.whole_may_fit());
        account.told_again(None);
        assert!(!account.is_closed());
        // What is known beforehand.
        let mut fresh = Account::new(Some((90_000, 9_000)));
        assert_eq!(fresh.fits(), 10);
        fresh.expect(300);
        assert_eq!(fresh.fits(), 30);
        fresh.expect(0);
        assert_eq!(fresh.fits(), 10);
        // A refusal that names no sizes.
        let mut blind = Account::new(None);
        blind.saw(900);
        assert!(!blind.is_closed() && !blind.whole_may_fit());
        assert_eq!(blind.seen_of(), (1, None));
        assert_eq!(blind.fits(), 18_641);
        blind.removed(900);
        assert!(blind.whole_may_fit());
        blind.told_again(None);
        assert!(!blind.whole_may_fit());
    }
}
