//! Containers that do not fit a message, batch by batch: what was handed out may be removed before the rest is asked for (S7.3).

use super::route::Place;
use super::row::{Labelled, running};
use super::walk::Walk;
use crate::error::Result;
use crate::node::{Container, Text};
use std::collections::HashSet;

/// What a batch holds whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// Each evict unit that is in it.
    Units,
    /// Each pod, too.
    Pods,
    /// It is the whole list.
    List,
}

/// The containers of a runtime in parts. Units are whole in a part, pods once all parts of their namespace are there.
pub(crate) struct Parts<'a> {
    walk: Walk<'a>,
    /// All that run; `None` = nobody has asked yet.
    running: Option<Vec<Container>>,
    /// What came of the namespace at hand and was not handed out yet.
    small: Vec<Container>,
    /// The same of namespaces that are whole in one part.
    alone: Vec<Container>,
    /// What of the namespace at hand was handed out and put back.
    namespace: Vec<Container>,
    /// The same of those before.
    rest: Vec<Container>,
    /// More of the namespace of the last batch follows.
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

    /// The next batch; that of the whole list is the last one. What runs is in each: which pods are active has to be known before anything
    /// goes for a pod's sake (S0.4). An error where not all was reached.
    pub(crate) async fn next(&mut self) -> Result<(Vec<Container>, Whole)> {
        if self.running.is_none() {
            self.running = Some(self.walk.all_of(vec![running()]).await?);
        } else if self.walk.account.whole_may_fit()
            && let Some(rows) = self.walk.whole().await?
        {
            return Ok((rows, Whole::List));
        }
        while let Some((rows, place)) = self.walk.next::<Container>().await? {
            if let Some((rows, whole)) = self.gathered(rows, place) {
                return Ok((self.with_running(rows), whole));
            }
        }
        if !self.alone.is_empty() {
            let rows = std::mem::take(&mut self.alone);
            return Ok((self.with_running(rows), Whole::Pods));
        }
        let in_use = self.walk.all_of(Container::in_use()).await?;
        self.rest.extend(in_use);
        let rows = match self.walk.whole().await? {
            Some(rows) => rows,
            None if self.walk.account.is_closed() => self.seen(),
            None => return Err(self.walk.shortfall()),
        };
        Ok((rows, Whole::List))
    }

    /// Takes in a part. Small ones are handed out together, a quarter of a message at once; `None` = more of them are awaited.
    fn gathered(
        &mut self,
        mut rows: Vec<Container>,
        place: Place,
    ) -> Option<(Vec<Container>, Whole)> {
        let enough = self.walk.account.fits() / 4;
        self.goes_on = place == Place::Among;
        let (gathered, whole) = match place {
            Place::Alone => (&mut self.alone, Whole::Pods),
            Place::Among => (&mut self.small, Whole::Units),
            Place::Last(whole) => {
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

    /// What of the last batch is to be seen again: all but what has gone, or would have in a dry run.
    pub(crate) fn put_back(&mut self, rows: Vec<Container>) {
        let running: HashSet<&Text> = self.running.iter().flatten().map(|c| &c.id).collect();
        let rows = rows.into_iter().filter(|c| !running.contains(&c.id));
        if self.goes_on {
            self.namespace.extend(rows);
        } else {
            self.rest.extend(rows);
        }
    }

    /// What was handed out has been removed.
    pub(crate) fn removed(&mut self, id: &Text) {
        self.walk.removed(id);
    }

    /// All that was seen and is still there.
    pub(crate) fn seen(&mut self) -> Vec<Container> {
        let mut rows = self.running.take().unwrap_or_default();
        rows.append(&mut self.small);
        rows.append(&mut self.alone);
        rows.append(&mut self.namespace);
        rows.append(&mut self.rest);
        rows
    }
}
