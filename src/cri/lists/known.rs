//! Which pods and containers to expect before a list is asked for in parts (S7.3).

use super::labels::Labels;
use crate::node::Text;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Labels of containers, pods or namespaces, and how many objects to expect with them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(BTreeMap<Labels, usize>);

impl Known {
    /// Expects at least `expected` objects with these labels.
    pub(crate) fn add(&mut self, labels: Labels, expected: usize) {
        let known = self.0.entry(labels).or_default();
        *known = expected.max(*known);
    }

    /// Adds a pod of which only the labels are known, unless containers of it are known.
    pub(super) fn add_pod(&mut self, pod: Labels) {
        let mut from_here = self.0.range(pod.clone()..);
        if !from_here.next().is_some_and(|(known, _)| pod.covers(known)) {
            self.add(pod, 0);
        }
    }

    /// How many objects to expect in all.
    pub(super) fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// The labels in a part. They are ordered by namespace and pod, so that those of one pod are found without reading all.
    fn of<'a>(&'a self, part: &'a Labels) -> impl Iterator<Item = (&'a Labels, usize)> {
        let first = Labels {
            container: None,
            ..part.clone()
        };
        let is_near = |labels: &Labels| {
            labels.namespace == part.namespace && (part.pod.is_none() || part.pod == labels.pod)
        };
        self.0
            .range(first..)
            .map(|(labels, &expected)| (labels, expected))
            .take_while(move |(labels, _)| is_near(labels))
            .filter(|(labels, _)| part.covers(labels))
    }

    /// How many objects to expect in a part.
    pub(super) fn expected(&self, part: &Labels) -> usize {
        self.of(part).map(|(_, expected)| expected).sum()
    }

    /// The namespaces, the one with the most objects first.
    pub(super) fn namespaces(&self) -> Vec<Text> {
        let mut counts: BTreeMap<&Text, usize> = BTreeMap::new();
        for (labels, expected) in &self.0 {
            *counts.entry(&labels.namespace).or_default() += expected;
        }
        let mut names: Vec<_> = counts.into_iter().collect();
        names.sort_unstable_by_key(|(name, expected)| (Reverse(*expected), *name));
        names.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// Divides a part into smaller ones by one more label, with how many objects to expect in each; none = it cannot be divided. It reads
    /// the labels once: there may be as many parts as labels.
    pub(super) fn divide(&self, part: &Labels) -> Vec<(Labels, usize)> {
        let mut counts: BTreeMap<Labels, usize> = BTreeMap::new();
        for (labels, expected) in self.of(part) {
            if let Some(smaller) = part.smaller(labels) {
                *counts.entry(smaller).or_default() += expected;
            }
        }
        let mut smaller: Vec<(Labels, usize)> = counts.into_iter().collect();
        // The largest first: the rest may soon fit. Pods without known containers last: they may have none.
        smaller.sort_by_key(|(part, expected)| {
            let without = part.container.is_none() && part.pod.is_some();
            (without, Reverse(*expected))
        });
        smaller
    }
}
