//! Asks for one part of a list after the other (S7.3): which rows are new, and whether they are all.

use super::account::Account;
use super::known::Known;
use super::route::{Position, Route};
use super::row::Labelled;
use super::rows::{LIST_LIMIT, Rows, too_many_bytes};
use super::{Listed, Refusal, Service};
use crate::error::{Error, Result, Status};
use crate::node::Text;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// If this many parts in a row are refused without their size, the reason is not the size: a part has at most four labels, and so is
/// divided three times.
const BLIND_REFUSALS: usize = 8;

pub(super) struct Walk<'a> {
    service: &'a Service<'a>,
    route: Route,
    pub(super) account: Account,
    /// The rows that were seen, by ID: size in bytes, and hash.
    seen: HashMap<Text, (u32, u64)>,
    hasher: RandomState,
    /// The size of the whole is not what was expected, so the list has been changed meanwhile.
    pub(super) disturbed: bool,
    parts: usize,
    /// How many parts in a row were refused without their size.
    blindly_refused: usize,
    /// Bytes of all rows that arrived.
    bytes: usize,
    /// The last refusal of the whole list.
    pub(super) refusal: Refusal,
}

impl<'a> Walk<'a> {
    pub(super) fn new(service: &'a Service<'a>, refusal: Refusal, known: Known) -> Walk<'a> {
        Walk {
            service,
            route: Route::new(known),
            account: Account::new(refusal.size),
            seen: HashMap::new(),
            hasher: RandomState::new(),
            disturbed: false,
            parts: 0,
            blindly_refused: 0,
            bytes: 0,
            refusal,
        }
    }

    /// Takes rows, and returns those that were not seen before. Parts may overlap, so the same row twice counts once. A different row with
    /// the same ID is kept (S0.4), but its bytes do not count: it may be the first one, changed.
    fn take<R: Labelled>(&mut self, answer: Rows<R>) -> Vec<R> {
        let mut new = Vec::with_capacity(answer.rows.len());
        for (mut row, size) in answer.rows.into_iter().zip(answer.sizes) {
            let hash = self.hasher.hash_one(&row);
            self.bytes = self.bytes.saturating_add(size as usize);
            let (id, readable) = row.id_and_readable();
            match self.seen.get(id) {
                Some((_, seen)) if *seen == hash => continue,
                Some(_) => *readable = false,
                None => {
                    self.seen.insert(id.clone(), (size, hash));
                    self.account.saw(size);
                }
            }
            if let Some(labels) = row.labels() {
                self.route.known.add(labels, 1);
            }
            new.push(row);
        }
        new
    }

    /// A row has been removed.
    pub(super) fn removed(&mut self, id: &Text) {
        if let Some((size, _)) = self.seen.get(id) {
            self.account.removed(*size);
            self.route.removed();
        }
    }

    /// The new rows of the next part, and its position; `None` = there are no more known parts.
    pub(super) async fn next<R: Labelled>(&mut self) -> Result<Option<(Vec<R>, Position)>> {
        // Every part is asked for, even if the bytes add up before: a new row may have made up for one that was not seen yet.
        while let Some(part) = self.route.next(&mut self.account) {
            let request = R::request(None, part.selector());
            let rows = match self.ask(request).await? {
                Listed::Whole(rows) => rows,
                Listed::TooLarge(refusal) => {
                    self.blindly_refused += 1;
                    if refusal.size.is_some() {
                        self.blindly_refused = 0;
                    } else if self.blindly_refused == BLIND_REFUSALS {
                        return Err(self.with_seen(refusal.error));
                    }
                    if self.route.divide(&part) {
                        continue;
                    }
                    // It gives no rows, but may be the last part of its namespace.
                    Vec::new()
                }
            };
            self.parts += 1;
            return Ok(Some((rows, self.route.position())));
        }
        Ok(None)
    }

    /// Asks for rows, and returns those that were not seen before.
    async fn ask<R: Labelled>(&mut self, request: R::Request) -> Result<Listed<Vec<R>>> {
        let answer = self.service.ask_list::<R>(request).await;
        let answer = match answer.map_err(|e| self.with_seen(e))? {
            Listed::Whole(answer) => answer,
            Listed::TooLarge(refusal) => return Ok(Listed::TooLarge(refusal)),
        };
        self.blindly_refused = 0;
        let rows = self.take(answer);
        if self.bytes > LIST_LIMIT {
            let message = format!("{}: {}", R::LIST.doing(), too_many_bytes());
            return Err(self.with_seen(Error::new(Status::Runtime, message)));
        }
        Ok(Listed::Whole(rows))
    }

    /// The rows in these states that were not seen before.
    pub(super) async fn all_of<R: Labelled>(&mut self, states: &[i32]) -> Result<Vec<R>> {
        let mut rows = Vec::new();
        for state in states {
            let request = R::request(Some(*state), Vec::new());
            match self.ask(request).await? {
                Listed::Whole(new) => rows.extend(new),
                Listed::TooLarge(refusal) => return Err(self.with_seen(refusal.error)),
            }
        }
        Ok(rows)
    }

    /// Asks for the whole list once more: it may fit by now, and if not, the runtime gives its size anew. After the last part that is always
    /// done, because a new row may make up for one that is in no part.
    pub(super) async fn whole<R: Labelled>(&mut self) -> Result<Option<Vec<R>>> {
        let answer = self.service.ask_list::<R>(R::Request::default()).await;
        match answer.map_err(|e| self.with_seen(e))? {
            Listed::Whole(all) => Ok(Some(all.rows)),
            Listed::TooLarge(refusal) => {
                self.disturbed |= !self.account.renew(refusal.size);
                self.refusal = refusal;
                Ok(None)
            }
        }
    }

    fn seen_so_far(&self) -> String {
        let (seen, all) = self.account.seen_of();
        let all = all.map_or_else(String::new, |all| format!(" of about {all}"));
        format!("{seen}{all} were seen in {} parts", self.parts)
    }

    /// An error between the first part and the last, with how much was seen.
    fn with_seen(&self, e: Error) -> Error {
        let message = format!("{}; {} before", e.message, self.seen_so_far());
        Error::new(e.status, message)
    }

    /// Why the list is not whole, with how much was seen of it.
    pub(super) fn shortfall(&self) -> Error {
        let stuck = match self.route.stuck {
            0 => String::new(),
            stuck => format!(", {stuck} more parts are themselves too large"),
        };
        let disturbed = if self.disturbed {
            "; it changed while it was read"
        } else {
            ""
        };
        let message = format!(
            "{}; {} by the labels that pods in pod-logs-dir and sandboxes have{stuck}; objects without such labels cannot be listed{disturbed}",
            self.refusal.error.message,
            self.seen_so_far()
        );
        Error::new(self.refusal.error.status, message)
    }
}
