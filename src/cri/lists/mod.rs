//! Lists of the runtime (S7): streams where it has them, else one message, else parts by label selectors. They give rows, and say
//! whether those are all.

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
use row::{Labelled, Row, pods_of};
use rows::{Rows, call, call_for_one};
use std::hash::Hash;
use std::pin::pin;
use walk::Walk;

pub(crate) use known::Known;
pub(crate) use labels::Labels;
pub(crate) use parts::{Parts, Whole};
#[cfg(fuzzing)]
pub(crate) use rows::rows_of;

/// How often a whole list is read in parts where others change it meanwhile.
const TRIES: usize = 3;

/// What tells which pods and containers to expect in a list that does not fit a message, and why it does not.
pub(crate) type Hints<'a> = dyn Fn(List, &Error) -> Known + 'a;

/// A list that does not fit a message.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The story for the host.
    pub(crate) error: Error,
    /// How large the answer would be and how large it may be, in bytes, where whoever refused it says so.
    pub(crate) size: Option<(u64, u64)>,
}

/// A list, if it fits.
pub(crate) enum Listed<T> {
    Whole(T),
    TooLarge(Refusal),
}

impl Service<'_> {
    /// What one message holds of what a request asks for.
    async fn ask_list<R: Row>(&self, request: R::Request) -> Result<Listed<Rows<R>>> {
        let doing = R::LIST.doing();
        let method = R::LIST.plain();
        let call = call_for_one(&self.wire, method, &request);
        match self.budget.ask_all(method, pin!(call)).await {
            Ok(rows) => Ok(Listed::Whole(rows)),
            Err(e) => match e.does_not_fit() {
                Some((why, size)) => Ok(Listed::TooLarge(Refusal {
                    error: Error::new(
                        Status::Runtime,
                        format!(
                            "{doing} at {}: the list is too large for one message: {why}; raise the runtime's limit for messages (containerd: max_recv_message_size and max_send_message_size in the [grpc] section), or remove some dead containers or images by hand once, so that the list fits again",
                            self.endpoint
                        ),
                    ),
                    size,
                })),
                None => Err(e.error(doing, self.endpoint)),
            },
        }
    }

    /// All rows: as a stream, else in one message.
    async fn all<R: Row>(&self) -> Result<Listed<Vec<R>>> {
        if self
            .capabilities
            .is_none_or(|capabilities| capabilities.may_stream(R::LIST))
        {
            let everything = R::Request::default();
            let method = R::LIST.stream();
            let call = call::<R>(&self.wire, method, &everything);
            match self.budget.ask_all(method, pin!(call)).await {
                // To CRI that is an empty list. To a proxy that lost the answer it may be any list: the other call, whose answer
                // is a message in any case, has to say so too.
                Ok(all) if all.messages == 0 => {}
                Ok(all) => return Ok(Listed::Whole(all.rows)),
                Err(CallError::Unimplemented { .. }) => {
                    self.capabilities
                        .inspect(|capabilities| capabilities.lacks(R::LIST));
                }
                // Before its first message: the runtime puts all into one.
                Err(e) if e.does_not_fit().is_some() => {}
                Err(e) => return Err(e.error(R::LIST.doing(), self.endpoint)),
            }
        }
        Ok(match self.ask_list::<R>(R::Request::default()).await? {
            Listed::Whole(all) => Listed::Whole(all.rows),
            Listed::TooLarge(e) => Listed::TooLarge(e),
        })
    }

    /// All rows, however many messages that takes. `others`: those of the other list, where they are known.
    async fn whole<R: Labelled + Hash, Other: Labelled>(
        &self,
        hints: &Hints<'_>,
        others: Option<&[Other]>,
    ) -> Result<Vec<R>> {
        let refusal = match self.all::<R>().await? {
            Listed::Whole(rows) => return Ok(rows),
            Listed::TooLarge(refusal) => refusal,
        };
        // Where the other list fits, it tells of pods that have no logs.
        let pods = match others {
            Some(rows) => pods_of(rows),
            None => match self.all::<Other>().await {
                Ok(Listed::Whole(rows)) => pods_of(&rows),
                _ => Vec::new(),
            },
        };
        self.gather(refusal, &pods, hints).await
    }

    /// The sum of the bytes of all parts has to be what the runtime says of the whole after the last one.
    async fn gather<R: Labelled + Hash>(
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
            all.extend(walk.all_of(R::in_use()).await?);
            if let Some(rows) = walk.whole().await? {
                return Ok(rows);
            }
            // Where another size was told at first, something came or went, and what went may have been counted for what no part
            // shows.
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
        // A kubelet makes a directory before it makes a container: where a pod has some, they tell of all its containers.
        pods.iter().for_each(|labels| known.add_pod(labels.clone()));
        Walk::new(self, refusal, known)
    }
}

impl Runtime<'_> {
    /// All containers, in all states, if they fit.
    pub(crate) async fn containers_at_once(&self) -> Result<Listed<Vec<Container>>> {
        self.service.all().await
    }

    /// Those that did not fit.
    pub(crate) fn containers_in_parts(
        &self,
        refusal: Refusal,
        hints: &Hints<'_>,
        sandboxes: &[Sandbox],
    ) -> Parts<'_> {
        let pods = pods_of(sandboxes);
        Parts::new(self.service.walk::<Container>(refusal, &pods, hints))
    }

    /// All containers, however many messages that takes; an error where they did not arrive whole. `sandboxes`: where they were listed
    /// just now.
    pub(crate) async fn containers(
        &self,
        hints: &Hints<'_>,
        sandboxes: Option<&[Sandbox]>,
    ) -> Result<Vec<Container>> {
        self.service.whole(hints, sandboxes).await
    }

    /// The same of sandboxes.
    pub(crate) async fn sandboxes(&self, hints: &Hints<'_>) -> Result<Vec<Sandbox>> {
        self.service.whole::<_, Container>(hints, None).await
    }
}

impl Images<'_> {
    /// All images. CRI has no selector for them, and so no parts.
    pub(crate) async fn list_images(&self) -> Result<Vec<Image>> {
        match self.service.all().await? {
            Listed::Whole(images) => Ok(images),
            Listed::TooLarge(refusal) => Err(refusal.error),
        }
    }
}
