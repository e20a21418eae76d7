//! Containers that do not fit a message, batch by batch: those of a batch may be removed before the rest is asked for (S7.3).

use super::route::Position;
use super::row::{Labelled, RUNNING};
use super::walk::Walk;
use crate::error::Result;
use crate::node::{Container, Text};
use std::collections::HashSet;

/// What is whole in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// Each evict unit in it.
    Units,
    /// Each evict unit and each pod in it.
    Pods,
    /// The list.
    List,
}

/// The containers of a runtime in parts. Units are whole in a part; pods are whole in all parts of their namespace together.
pub(crate) struct Parts<'a> {
    walk: Walk<'a>,
    /// All that run; `None` = they have not been listed yet.
    running: Option<Vec<Container>>,
    /// Containers of the current namespace that were in no batch yet.
    small: Vec<Container>,
    /// Containers of namespaces that are whole in one part; they were in no batch yet.
    alone: Vec<Container>,
    /// Containers of the current namespace that were in a batch, and put back.
    namespace: Vec<Container>,
    /// The same of the namespaces before.
    rest: Vec<Container>,
    /// More parts of the namespace of the last batch follow.
    goes_on: bool,
}

impl<'a> Parts<'a> {
    pub(super) fn new(walk: Walk<'a>) -> Parts<'a> {
        Parts {
            walk,
            running: None,
            small: Vec::new(),
            alone: Vec::new(),
            namespace: Vec::new(),
            rest: Vec::new(),
            goes_on: false,
        }
    }

    /// The next batch; the last one is the whole list. Each has all containers that run, so that no pod is taken for gone while one of its
    /// containers runs (S0.4). An error if the whole list could not be read.
    pub(crate) async fn next(&mut self) -> Result<(Vec<Container>, Whole)> {
        if self.running.is_none() {
            self.running = Some(self.walk.all_of(&[RUNNING]).await?);
        } else if self.walk.account.whole_may_fit()
            && let Some(rows) = self.walk.whole().await?
        {
            return Ok((rows, Whole::List));
        }
        while let Some((rows, position)) = self.walk.next().await? {
            if let Some((rows, whole)) = self.gathered(rows, position) {
                return Ok((self.with_running(rows), whole));
            }
        }
        if !self.alone.is_empty() {
            let rows = std::mem::take(&mut self.alone);
            return Ok((self.with_running(rows), Whole::Pods));
        }
        let in_use = self.walk.all_of(Container::IN_USE).await?;
        self.rest.extend(in_use);
        let rows = match self.walk.whole().await? {
            Some(rows) => rows,
            None if self.walk.account.is_closed() => self.seen(),
            None => return Err(self.walk.shortfall()),
        };
        Ok((rows, Whole::List))
    }

    /// Adds a part, and returns a batch. Small parts make a batch together, at least a quarter of a message; `None` = more are needed.
    fn gathered(
        &mut self,
        mut rows: Vec<Container>,
        position: Position,
    ) -> Option<(Vec<Container>, Whole)> {
        let enough = self.walk.account.fits() / 4;
        self.goes_on = position == Position::Among;
        let (gathered, whole) = match position {
            Position::Alone => (&mut self.alone, Whole::Pods),
            Position::Among => (&mut self.small, Whole::Units),
            Position::Last(whole) => {
                let mut all = std::mem::take(&mut self.namespace);
                all.append(&mut self.small);
                all.append(&mut rows);
                let whole = if whole { Whole::Pods } else { Whole::Units };
                return Some((all, whole));
            }
        };
        gathered.append(&mut rows);
        (gathered.len() >= enough).then(|| (std::mem::take(gathered), whole))
    }

    fn with_running(&self, mut rows: Vec<Container>) -> Vec<Container> {
        rows.extend(self.running.iter().flatten().cloned());
        rows
    }

    /// Puts back those of the last batch that the next batches need: all that were not removed, or would not be in a dry run.
    pub(crate) fn put_back(&mut self, rows: Vec<Container>) {
        let running: HashSet<&Text> = self.running.iter().flatten().map(|c| &c.id).collect();
        let rows = rows.into_iter().filter(|c| !running.contains(&c.id));
        if self.goes_on {
            self.namespace.extend(rows);
        } else {
            self.rest.extend(rows);
        }
    }

    /// A container of a batch has been removed.
    pub(crate) fn removed(&mut self, id: &Text) {
        self.walk.removed(id);
    }

    /// All containers that were seen and not removed.
    pub(crate) fn seen(&mut self) -> Vec<Container> {
        let mut rows = self.running.take().unwrap_or_default();
        rows.append(&mut self.small);
        rows.append(&mut self.alone);
        rows.append(&mut self.namespace);
        rows.append(&mut self.rest);
        rows
    }
}
