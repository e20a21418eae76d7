//! The walk over the parts of a list (S7.3): what arrived, what of it is new, and whether that is all.

use super::account::Account;
use super::known::Known;
use super::route::{Place, Route};
use super::row::Labelled;
use super::rows::{LIST_LIMIT, Rows, too_many_bytes};
use super::{Listed, Refusal, Service};
use crate::error::{Error, Result, Status};
use crate::node::Text;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// With so many parts in a row refused without a word on their size, it is not the size that they are refused for: a part has at most
/// four labels, and so is divided three times.
const BLIND_REFUSALS: usize = 8;

pub(super) struct Walk<'a> {
    service: &'a Service<'a>,
    route: Route,
    pub(super) account: Account,
    /// What was seen: how many bytes each row took, and its hash.
    seen: HashMap<Text, (u32, u64)>,
    hasher: RandomState,
    /// The runtime told another size of the whole than was to be expected: others change it meanwhile.
    pub(super) disturbed: bool,
    parts: usize,
    /// Parts in a row that were refused without a word on their size.
    blindly_refused: usize,
    /// Bytes of all rows that came.
    bytes: usize,
    /// Why the whole list was refused last.
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

    /// Takes in rows; those that were not seen before. Parts may overlap: the same row twice is one. Another row with the same ID is
    /// one more to keep (S0.4), which does not count: it may be the first one, changed.
    fn take<R: Labelled + Hash>(&mut self, answer: Rows<R>) -> Vec<R> {
        let mut new = Vec::with_capacity(answer.rows.len());
        for (mut row, size) in answer.rows.into_iter().zip(answer.sizes) {
            let hash = self.hasher.hash_one(&row);
            self.bytes = self.bytes.saturating_add(size as usize);
            match self.seen.get(row.id()) {
                Some((_, seen)) if *seen == hash => continue,
                Some(_) => row.doubt(),
                None => {
                    self.seen.insert(row.id().clone(), (size, hash));
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

    /// What has been seen is gone.
    pub(super) fn removed(&mut self, id: &Text) {
        if let Some((size, _)) = self.seen.get(id) {
            self.account.removed(*size);
            self.route.removed();
        }
    }

    /// Rows of the next part, and where it stands; `None` = that was all, as far as is known.
    pub(super) async fn next<R: Labelled + Hash>(&mut self) -> Result<Option<(Vec<R>, Place)>> {
        // To the last part, also where the bytes are all there: a row that came meanwhile may stand for one not seen yet.
        while let Some(part) = self.route.next(&mut self.account) {
            let rows = match self.ask(R::request(&part)).await? {
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
                    // Nothing of it; but the namespace may end here.
                    Vec::new()
                }
            };
            self.parts += 1;
            return Ok(Some((rows, self.route.place())));
        }
        Ok(None)
    }

    /// What a request asks for, as far as it was not seen before.
    async fn ask<R: Labelled + Hash>(&mut self, request: R::Request) -> Result<Listed<Vec<R>>> {
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

    /// All that these requests ask for, as far as it was not seen before.
    pub(super) async fn all_of<R: Labelled + Hash>(
        &mut self,
        requests: Vec<R::Request>,
    ) -> Result<Vec<R>> {
        let mut rows = Vec::new();
        for request in requests {
            match self.ask(request).await? {
                Listed::Whole(new) => rows.extend(new),
                Listed::TooLarge(refusal) => return Err(self.with_seen(refusal.error)),
            }
        }
        Ok(rows)
    }

    /// The list is asked for whole once more: it may fit by now, and if not, its size is told anew. After the last part it is asked for in
    /// any case: a row that came meanwhile may make up for one that no part shows.
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

    /// An error on the way, with what was seen until then.
    fn with_seen(&self, e: Error) -> Error {
        let message = format!("{}; {} before", e.message, self.seen_so_far());
        Error::new(e.status, message)
    }

    /// Why the list is not whole, with what was seen of it.
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
            "{}; {} by the labels that pods in pod-logs-dir and sandboxes have{stuck}; what has neither is not reached{disturbed}",
            self.refusal.error.message,
            self.seen_so_far()
        );
        Error::new(self.refusal.error.status, message)
    }
}
