//! Lists of the runtime (S7): as a stream if it has one, else in one message, else in parts by label selectors.

mod account;
mod field;
mod known;
mod labels;
mod parts;
mod route;
mod row;
mod rows;
mod walk;

use super::capabilities::List;
use super::client::{Images, Runtime, Service};
use super::error::CallError;
use crate::error::{Error, Result, Status};
use crate::node::{Container, Image, Sandbox};
use labels::of_uid;
use row::{Labelled, Row, pods_of};
use rows::{Rows, call, call_for_one};
use std::pin::pin;
use walk::Walk;

pub(crate) use known::Known;
pub(crate) use labels::Labels;
pub(crate) use parts::{Parts, Whole};
#[cfg(fuzzing)]
pub(crate) use rows::rows_of;

/// How often a list is read in parts, if it changes meanwhile.
const TRIES: usize = 3;

/// Returns which pods and containers to expect in a list; the error says why the list does not fit a message.
pub(crate) type Hints<'a> = dyn Fn(List, &Error) -> Known + 'a;

/// A list that does not fit a message.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) error: Error,
    /// The size of the answer and the limit in bytes, if they are known.
    pub(crate) size: Option<(u64, u64)>,
}

/// A list, if it fits.
pub(crate) enum Listed<T> {
    Whole(T),
    TooLarge(Refusal),
}

impl<T> Listed<T> {
    /// The list, where it cannot be divided into parts.
    fn whole(self) -> Result<T> {
        match self {
            Listed::Whole(list) => Ok(list),
            Listed::TooLarge(refusal) => Err(refusal.error),
        }
    }
}

impl Service<'_> {
    /// Asks for rows in one message.
    async fn ask_list<R: Row>(&self, request: R::Request) -> Result<Listed<Rows<R>>> {
        let (doing, method) = (R::LIST.doing(), R::LIST.plain());
        let call = pin!(call_for_one(&self.connection, method, &request));
        let e = match self.budget.ask_all(method, self.budget.limit, call).await {
            Ok(rows) => return Ok(Listed::Whole(rows)),
            Err(e) => e,
        };
        let Some((why, size)) = e.does_not_fit() else {
            return Err(e.error(doing, self.endpoint));
        };
        let message = format!(
            "{doing} at {}: the list is too large for one message: {why}; raise the runtime's limit for messages (containerd: max_recv_message_size and max_send_message_size in the [grpc] section), or remove some dead containers or images by hand once, so that the list fits again",
            self.endpoint
        );
        let error = Error::new(Status::Runtime, message);
        Ok(Listed::TooLarge(Refusal { error, size }))
    }

    /// All rows: as a stream, else in one message.
    async fn all<R: Row>(&self) -> Result<Listed<Vec<R>>> {
        self.all_by(R::Request::default()).await
    }

    /// The same of the rows that a request selects.
    async fn all_by<R: Row>(&self, request: R::Request) -> Result<Listed<Vec<R>>> {
        if self.capabilities.is_none_or(|c| c.may_stream(R::LIST)) {
            let method = R::LIST.stream();
            let call = pin!(call::<R>(&self.connection, method, &request));
            match self.budget.ask_all(method, self.budget.limit, call).await {
                // In CRI that is an empty list. A proxy that lost the answer says the same of any list, so the call is made whose
                // answer has a message in any case.
                Ok(all) if all.messages == 0 => {}
                Ok(all) => return Ok(Listed::Whole(all.rows)),
                Err(CallError::Unimplemented { .. }) => {
                    self.capabilities.inspect(|c| c.lacks(R::LIST));
                }
                // Even the first message is too large: the runtime puts all rows into one.
                Err(e) if e.does_not_fit().is_some() => {}
                Err(e) => return Err(e.error(R::LIST.doing(), self.endpoint)),
            }
        }
        Ok(match self.ask_list::<R>(request).await? {
            Listed::Whole(all) => Listed::Whole(all.rows),
            Listed::TooLarge(refusal) => Listed::TooLarge(refusal),
        })
    }

    /// All rows, in parts if they do not fit a message. `others`: the rows of the other list, if they are known.
    async fn whole<R: Labelled, Other: Labelled>(
        &self,
        hints: &Hints<'_>,
        others: Option<&[Other]>,
    ) -> Result<Vec<R>> {
        let refusal = match self.all::<R>().await? {
            Listed::Whole(rows) => return Ok(rows),
            Listed::TooLarge(refusal) => refusal,
        };
        // The other list, if it fits, also has pods without logs.
        let pods = match others {
            Some(rows) => pods_of(rows),
            None => match self.all::<Other>().await {
                Ok(Listed::Whole(rows)) => pods_of(&rows),
                _ => Vec::new(),
            },
        };
        self.gather(refusal, &pods, hints).await
    }

    /// Reads a list in parts. Their sizes have to add up to the size that the runtime gives of the whole after the last part.
    async fn gather<R: Labelled>(
        &self,
        mut refusal: Refusal,
        pods: &[Labels],
        hints: &Hints<'_>,
    ) -> Result<Vec<R>> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut walk = self.walk::<R>(refusal, pods, hints);
            let mut all = Vec::new();
            while let Some((rows, _)) = walk.next::<R>().await? {
                all.extend(rows);
            }
            all.extend(walk.all_of(R::IN_USE).await?);
            if let Some(rows) = walk.whole().await? {
                return Ok(rows);
            }
            // If the size is not the one given at first, rows came or were removed, and one that was removed may have made up for one
            // that is in no part.
            if !walk.disturbed && walk.account.is_closed() {
                return Ok(all);
            }
            if !walk.disturbed || tries == TRIES {
                return Err(walk.shortfall());
            }
            refusal = walk.refusal;
        }
    }

    fn walk<R: Row>(&self, refusal: Refusal, pods: &[Labels], hints: &Hints<'_>) -> Walk<'_> {
        let mut known = hints(R::LIST, &refusal.error);
        // A kubelet makes the log directory before the container: if a pod has directories, they name all its containers.
        pods.iter().for_each(|labels| known.add_pod(labels.clone()));
        Walk::new(self, refusal, known)
    }
}

impl Runtime<'_> {
    /// All containers, in all states, if they fit.
    pub(crate) async fn containers_at_once(&self) -> Result<Listed<Vec<Container>>> {
        let listed = self.service.all().await?;
        if let Listed::Whole(containers) = &listed {
            self.service.budget.metrics.saw_containers(containers);
        }
        Ok(listed)
    }

    /// All containers, batch by batch, after they did not fit a message.
    pub(crate) fn containers_in_parts(
        &self,
        refusal: Refusal,
        hints: &Hints<'_>,
        sandboxes: &[Sandbox],
    ) -> Parts<'_> {
        let pods = pods_of(sandboxes);
        Parts::new(self.service.walk::<Container>(refusal, &pods, hints))
    }

    /// All containers, in parts if they do not fit a message; an error if some may be missing. `sandboxes`: if they were just listed.
    pub(crate) async fn containers(
        &self,
        hints: &Hints<'_>,
        sandboxes: Option<&[Sandbox]>,
    ) -> Result<Vec<Container>> {
        let containers: Vec<Container> = self.service.whole(hints, sandboxes).await?;
        self.service.budget.metrics.saw_containers(&containers);
        Ok(containers)
    }

    /// The same of sandboxes.
    pub(crate) async fn sandboxes(&self, hints: &Hints<'_>) -> Result<Vec<Sandbox>> {
        let sandboxes = self.service.whole::<_, Container>(hints, None).await?;
        self.service.budget.metrics.saw_sandboxes(&sandboxes);
        Ok(sandboxes)
    }

    /// The containers that have the UID of a pod as a label (S8).
    pub(crate) async fn containers_of_pod(&self, uid: &str) -> Result<Vec<Container>> {
        let request = Container::request(None, of_uid(uid));
        self.service.all_by(request).await?.whole()
    }

    /// The containers in a sandbox.
    pub(crate) async fn containers_in_sandbox(&self, id: &str) -> Result<Vec<Container>> {
        self.service.all_by(row::in_sandbox(id)).await?.whole()
    }

    /// The sandboxes that have the UID of a pod as a label (S8).
    pub(crate) async fn sandboxes_of_pod(&self, uid: &str) -> Result<Vec<Sandbox>> {
        let request = Sandbox::request(None, of_uid(uid));
        self.service.all_by(request).await?.whole()
    }
}

impl Images<'_> {
    /// All images. CRI has no selector for them, and so no parts.
    pub(crate) async fn list_images(&self) -> Result<Vec<Image>> {
        self.service.all().await?.whole()
    }
}
