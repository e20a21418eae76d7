//! Values for some kinds of objects.

use crate::report::Kind;
use serde::{Serialize, Serializer};

/// A value for each kind that has one, in the order of the kinds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ByKind<T>([Option<T>; Kind::ALL.len()]);

impl<T> Default for ByKind<T> {
    fn default() -> ByKind<T> {
        ByKind::new(|_| None)
    }
}

impl<T> ByKind<T> {
    /// The values that a function gives.
    pub fn new(value: impl FnMut(Kind) -> Option<T>) -> ByKind<T> {
        ByKind(Kind::ALL.map(value))
    }

    /// The value of a kind.
    pub fn get(&self, kind: Kind) -> Option<&T> {
        self.0[kind as usize].as_ref()
    }

    /// The same, to be changed or given.
    pub fn entry(&mut self, kind: Kind) -> &mut Option<T> {
        &mut self.0[kind as usize]
    }

    /// The kinds that have a value, with it.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &T)> {
        let values = Kind::ALL.into_iter().zip(&self.0);
        values.filter_map(|(kind, value)| Some((kind, value.as_ref()?)))
    }

    /// Other values for the same kinds.
    pub fn map<U>(&self, value: impl Fn(&T) -> U) -> ByKind<U> {
        ByKind::new(|kind| self.get(kind).map(&value))
    }
}

/// As a map.
impl<T: Serialize> Serialize for ByKind<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
