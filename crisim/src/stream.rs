//! The streaming lists: rows of one moment, in messages below the limit, and their end, which a fault may change.

use crate::connection::{Socket, cut_behind};
use crate::server::{Ending, too_large};
use crate::trace::Traced;
use prost::bytes::Bytes;
use prost::encoding::encoded_len_varint;
use std::iter::Peekable;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio_stream::Stream;
use tonic::Status;

/// The time for sent bytes to leave before the connection is cut.
const LEAVE: Duration = Duration::from_millis(2);

/// The messages of a stream.
pub(crate) struct Sent<A> {
    rows: Peekable<std::vec::IntoIter<Bytes>>,
    message: fn(Vec<Bytes>) -> A,
    messages: usize,
    ending: Ending,
    socket: Option<Socket>,
    /// The end that is being made.
    end: Option<Pin<Box<dyn Future<Output = Status> + Send>>>,
    /// `None` = it is over.
    traced: Option<Traced>,
}

impl<A> Sent<A> {
    pub(crate) fn new(
        rows: Vec<Bytes>,
        message: fn(Vec<Bytes>) -> A,
        ending: Ending,
        socket: Option<Socket>,
        traced: Traced,
    ) -> Sent<A> {
        Sent {
            rows: rows.into_iter().peekable(),
            message,
            messages: 0,
            ending,
            socket,
            end: None,
            traced: Some(traced),
        }
    }

    /// The end, if it has been reached.
    fn end(&mut self) -> Option<Ending> {
        let last = self.rows.peek().is_none();
        match self.ending {
            Ending::Status(after, _) | Ending::Cut(after) if last || after <= self.messages => {}
            Ending::Well | Ending::Nothing | Ending::Huge(_) if last => {}
            _ => return None,
        }
        Some(std::mem::replace(&mut self.ending, Ending::Well))
    }

    /// The rows of the next message.
    fn next_rows(&mut self, items: usize, limit: usize) -> Result<Vec<Bytes>, Status> {
        let mut size = 0;
        let mut rows = Vec::new();
        while rows.len() < items.max(1) {
            // Its tag, its length and itself.
            let with = |row: &Bytes| size + 1 + encoded_len_varint(row.len() as u64) + row.len();
            let Some(row) = self.rows.next_if(|row| with(row) <= limit) else {
                break;
            };
            size = with(&row);
            rows.push(row);
        }
        match self.rows.peek() {
            Some(row) if rows.is_empty() => Err(too_large(row.len(), limit)),
            _ => Ok(rows),
        }
    }
}

impl<A> Stream for Sent<A> {
    type Item = Result<A, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let sent = &mut *self;
        let Some(traced) = &mut sent.traced else {
            return Poll::Ready(None);
        };
        let shared = traced.shared.clone();
        if let Some(end) = &mut sent.end {
            return Poll::Ready(Some(Err(ready!(end.as_mut().poll(cx)))));
        }
        let options = &shared.options;
        let next = match sent.end() {
            None => sent.next_rows(options.stream_items, options.message_limit),
            Some(Ending::Status(_, status)) => Err(status),
            Some(Ending::Well | Ending::Nothing | Ending::Huge(_)) => {
                traced_end(&mut sent.traced, 0);
                return Poll::Ready(None);
            }
            Some(Ending::Cut(_)) => {
                let (alarm, socket) = (shared.alarm.clone(), sent.socket.take());
                sent.end = Some(Box::pin(async move {
                    alarm.sleep(LEAVE).await;
                    // The task of the connection stands in the queue, if it has not sent everything yet.
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                    cut_behind(socket).await
                }));
                return self.poll_next(cx);
            }
        };
        match &next {
            Ok(_) => sent.messages += 1,
            Err(e) => traced_end(&mut sent.traced, e.code() as i32),
        }
        Poll::Ready(Some(next.map(sent.message)))
    }
}

/// Notes the end of the call in the trace.
fn traced_end(traced: &mut Option<Traced>, code: i32) {
    if let Some(mut traced) = traced.take() {
        traced.code = code;
    }
}
