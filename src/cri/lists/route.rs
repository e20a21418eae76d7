//! Which part of a list is asked for next (S7.3): namespace by namespace, each in as few parts as may fit.
//!
//! A runtime walks over all it has for each selector, so that few large parts are faster than many small ones. A namespace that is too
//! large is divided by container name, then by pod name, then by UID.

use super::account::Account;
use super::known::Known;
use super::labels::Labels;
use crate::node::Text;
use std::collections::VecDeque;

/// The position of a part in its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// The namespace has no other part.
    Alone,
    /// More parts of the namespace follow.
    Among,
    /// It is the last one; whether all others arrived.
    Last(bool),
}

/// The parts of a list in the order in which they are asked for.
pub(super) struct Route {
    pub(super) known: Known,
    /// The next namespaces; `None` = no part has been asked for yet.
    namespaces: Option<VecDeque<Text>>,
    /// The next parts of the current namespace, and how many objects to expect in each.
    ahead: VecDeque<(Labels, usize)>,
    /// The current namespace, how many objects to expect in it, and how many of them have been removed.
    namespace: Option<(Text, usize, usize)>,
    /// The current namespace is in several parts.
    divided: bool,
    /// Its smaller parts, while it is tried whole once more; `None` = it was not tried yet.
    instead: Option<VecDeque<(Labels, usize)>>,
    /// A part of it was too large, and could not be divided.
    lacking: bool,
    /// How many parts were too large, and could not be divided.
    pub(super) stuck: usize,
    /// How many more parts may be asked for, beside one for each namespace.
    more: usize,
    /// How many objects were expected to fit a message before any was seen. Hints that count too many objects make the expected row too
    /// small, and the expected parts too large, by the same factor: a part that fits by this number is not divided beforehand.
    planned: usize,
}

impl Route {
    pub(super) fn new(known: Known) -> Route {
        Route {
            known,
            namespaces: None,
            ahead: VecDeque::new(),
            namespace: None,
            divided: false,
            instead: None,
            lacking: false,
            stuck: 0,
            more: 0,
            planned: 0,
        }
    }

    /// The next part; `None` = there are no more known parts.
    pub(super) fn next(&mut self, account: &mut Account) -> Option<Labels> {
        if self.namespaces.is_none() {
            account.expect(self.known.total());
            self.more = account.most_parts();
            self.planned = account.fits();
            self.namespaces = Some(self.known.namespaces().into());
        }
        if self.ahead.is_empty() {
            // Parts in whose place the rest was asked for leave room for others.
            self.more += self.instead.take().map_or(0, |unused| unused.len());
            let namespace = self.namespaces.as_mut()?.pop_front()?;
            let whole = Labels::of_namespace(namespace.clone());
            let expected = self.known.expected(&whole);
            self.namespace = Some((namespace, expected, 0));
            (self.divided, self.lacking) = (false, false);
            self.ahead.push_back((whole, expected));
        }
        self.try_rest_at_once(account);
        let (mut part, mut expected) = self.ahead.pop_front()?;
        while expected > account.fits().max(self.planned) {
            let smaller = self.known.divide(&part);
            // A part that needs more parts than are left is divided only if the runtime says that it is too large.
            if smaller.is_empty() || smaller.len() > self.more + 1 {
                break;
            }
            self.more -= smaller.len() - 1;
            self.put_ahead(smaller);
            (part, expected) = self.ahead.pop_front()?;
        }
        Some(part)
    }

    fn put_ahead(&mut self, smaller: Vec<(Labels, usize)>) {
        self.divided |= smaller.len() > 1;
        let smaller = smaller.into_iter().rev();
        smaller.for_each(|part| self.ahead.push_front(part));
    }

    /// If so many objects of a divided namespace have been removed that the rest should fit a message, the rest is asked for in one part
    /// instead of many; once.
    fn try_rest_at_once(&mut self, account: &Account) {
        let Some((namespace, expected, gone)) = &self.namespace else {
            return;
        };
        let rest = expected.saturating_sub(*gone);
        // Unless something has been removed, it is as large as it was.
        if self.divided
            && *gone > 0
            && self.instead.is_none()
            && self.ahead.len() > 1
            && rest <= account.fits()
            && self.more > 0
        {
            self.more -= 1;
            let whole = Labels::of_namespace(namespace.clone());
            let ahead = std::mem::replace(&mut self.ahead, [(whole, rest)].into());
            self.instead = Some(ahead);
        }
    }

    /// The runtime says that a part is too large. Returns whether smaller parts come next in its place.
    pub(super) fn divide(&mut self, part: &Labels) -> bool {
        if let Some(smaller) = self.instead.as_mut().filter(|smaller| !smaller.is_empty()) {
            self.ahead = std::mem::take(smaller);
            return true;
        }
        let mut smaller = self.known.divide(part);
        let all = smaller.len();
        smaller.truncate(self.more);
        if smaller.is_empty() || smaller.len() < all {
            self.stuck += 1;
            self.lacking = true;
        }
        self.more -= smaller.len();
        let is_divided = !smaller.is_empty();
        self.put_ahead(smaller);
        is_divided
    }

    /// An object of the current namespace has been removed.
    pub(super) fn removed(&mut self) {
        if let Some((_, _, gone)) = &mut self.namespace {
            *gone += 1;
        }
    }

    /// The position of the part that `next` returned last.
    pub(super) fn position(&self) -> Position {
        match (self.divided, self.ahead.is_empty()) {
            (false, _) if !self.lacking => Position::Alone,
            (_, true) => Position::Last(!self.lacking),
            (_, false) => Position::Among,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(namespace: &str, container: &str, pod: &str, uid: &str) -> Labels {
        let of_pod = Labels::of_pod(namespace.into(), pod.into(), uid.into());
        match container {
            "" => of_pod,
            container => of_pod.with_container(container.into()),
        }
    }

    fn known(rows: &[(&str, &str, &str, &str, usize)]) -> Known {
        let mut known = Known::default();
        for &(namespace, container, pod, uid, expected) in rows {
            known.add(labels(namespace, container, pod, uid), expected);
        }
        known
    }

    /// All parts, if `fits` objects fit a message and no part is refused.
    fn parts(known: &Known, fits: usize, more: usize) -> Vec<Labels> {
        let size = |objects: usize| 1000 * objects as u64;
        let mut account = Account::new(Some((size(known.total()), size(fits))));
        account.expect(known.total());
        let mut route = Route {
            more,
            namespaces: Some(known.namespaces().into()),
            ..Route::new(known.clone())
        };
        std::iter::from_fn(|| route.next(&mut account)).collect()
    }

    fn shown(parts: &[Labels]) -> String {
        let values = |part: &Labels| {
            let values: Vec<_> = part.selector().into_iter().map(|l| l.value).collect();
            String::from_utf8(values.join(&b' ')).unwrap()
        };
        parts.iter().map(values).collect::<Vec<_>>().join(", ")
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
        let cases = [
            (1000, "batch, shop"),
            (170, "batch, shop"),
            (150, "batch job once 5, shop web, shop side, shop bare"),
            (
                90,
                "batch job once 5, shop web cart, shop web till, shop side, shop bare",
            ),
            (
                60,
                "batch job once 5, shop web cart 1, shop web cart 2, shop web till, shop side, shop bare",
            ),
        ];
        for (fits, expected) in cases {
            assert_eq!(shown(&parts(&known, fits, 1000)), expected, "{fits}");
        }
    }

    /// Each known object is in one part, however small the parts are.
    #[test]
    fn parts_cover_all_that_is_known_once() {
        let names = ["a", "b", "c"];
        let mut known = Known::default();
        let mut all = Vec::new();
        for (n, namespace) in names.iter().enumerate() {
            for (p, pod) in names.iter().enumerate() {
                for (c, container) in ["", "x", "y"].iter().enumerate() {
                    let labels = labels(namespace, container, pod, &format!("{n}{p}"));
                    known.add(labels.clone(), n + 3 * p + 5 * c);
                    all.push(labels);
                }
            }
        }
        for fits in 0..100 {
            let parts = parts(&known, fits, 1000);
            for labels in &all {
                let own: Vec<&Labels> = parts.iter().filter(|p| p.covers(labels)).collect();
                // A pod whose containers are not known has a part without a container name, in which other containers may be.
                assert!(!own.is_empty(), "{labels:?} with {fits}");
                if labels.container.is_some() {
                    let named = own.iter().filter(|p| p.container.is_some()).count();
                    let bare = own.len() - named;
                    assert!(named <= 1 && bare <= 1, "{labels:?} with {fits}");
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
        known.add(Labels::of_namespace("empty".into()), 0);
        known.add(Labels::of_namespace("shop".into()), 0);
        let shown = shown(&parts(&known, 60, 100));
        let expected = "shop job, shop web, shop bare, shop till, empty";
        assert_eq!(shown, expected);
    }

    /// The hints expect so little that the namespace should fit: it is divided when it is refused, and asked for again only after something
    /// has been removed. What is not asked for then may be asked for elsewhere.
    #[test]
    fn the_rest_is_asked_for_once_something_was_removed() {
        let rows: Vec<String> = (0..9).map(|n| format!("p{n}")).collect();
        let rows = rows
            .iter()
            .map(|pod| ("shop", "web", pod.as_str(), "1", 10));
        let known = known(&rows.collect::<Vec<_>>());
        let mut account = Account::new(Some((90_000, 90_000)));
        account.expect(90);
        let mut route = Route {
            more: 20,
            namespaces: Some(known.namespaces().into()),
            ..Route::new(known)
        };
        let mut next = |route: &mut Route| {
            let part = route.next(&mut account);
            part.map(|part| shown(&[part]))
        };
        assert_eq!(next(&mut route).as_deref(), Some("shop"));
        assert!(route.divide(&Labels::of_namespace("shop".into())));
        assert_eq!(next(&mut route).as_deref(), Some("shop web"));
        let web = Labels::of_namespace("shop".into()).with_container("web".into());
        assert!(route.divide(&web));
        assert_eq!(next(&mut route).as_deref(), Some("shop web p0"));
        assert_eq!(next(&mut route).as_deref(), Some("shop web p1"));
        route.removed();
        assert_eq!(next(&mut route).as_deref(), Some("shop"));
        assert_eq!(next(&mut route), None);
        // What counts: the container's name, two of nine pods, and the rest.
        assert_eq!(route.more, 20 - 1 - 2 - 1);
    }

    #[test]
    fn directories_make_no_more_parts_than_are_left() {
        let many: Vec<String> = (0..50).map(|n| format!("c{n}")).collect();
        let mut rows: Vec<_> = many
            .iter()
            .map(|name| ("hostile", name.as_str(), "pod", "1", 10))
            .collect();
        rows.extend([
            ("shop", "web", "a", "2", 60),
            ("shop", "side", "a", "2", 60),
        ]);
        let known = known(&rows);
        for (more, expected) in [(49, [50, 1]), (50, [50, 2]), (48, [1, 2]), (0, [1, 1])] {
            let parts = parts(&known, 100, more);
            let of = |name: &str| parts.iter().filter(|p| &*p.namespace == name).count();
            assert_eq!([of("hostile"), of("shop")], expected, "{more}");
        }
    }
}
