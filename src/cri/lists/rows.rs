//! Decodes the answers of list calls row by row, as the bytes arrive (S7): a list of many megabytes is never in memory as a message.

use super::field::{Field, front};
use super::row::Row;
use crate::cri::call::{self, Sink, frame, not_one};
use crate::cri::connect::Connection;
use crate::cri::convert::Names;
use crate::cri::error::CallError;
use prost::Message;
use prost::bytes::{Buf, BytesMut};
use prost::encoding::WireType;

/// The field of an answer that has the rows, in all of CRI's lists.
const ROWS_FIELD: u32 = 1;

/// The largest message that crigc reads. containerd sends at most 16 MiB, CRI-O 80.
const MESSAGE_LIMIT: usize = 128 << 20;

/// The most rows of an answer, thirty times as many as the fullest known nodes have: a runtime that never ends its answer does not fill
/// the memory of the host.
const MOST_ROWS: usize = 1_000_000;

/// The largest row that is read whole. A kubelet puts labels and annotations of at most 256 KiB into one.
const ROW_LIMIT: usize = 1 << 20;

/// How many bytes of each field of a larger row are read.
const FIELD_LIMIT: usize = 64 << 10;
/// All fields of CRI's rows have numbers below this.
const FIELDS: usize = 16;

/// The most bytes of a list: three times what 100,000 containers take, at about 900 bytes each.
pub(super) const LIST_LIMIT: usize = 256 << 20;

/// Rows in the order in which they arrived, with the size of each in its message.
#[derive(Debug)]
pub(super) struct Rows<R> {
    pub(super) rows: Vec<R>,
    pub(super) sizes: Vec<u32>,
    /// How many messages they came in.
    pub(super) messages: usize,
}

/// Turns bytes into rows.
struct Decoder<R> {
    /// Bytes that arrived and are not decoded yet.
    pending: BytesMut,
    /// How many bytes of the current message are not decoded yet; `None` = between messages.
    left: Option<usize>,
    /// How many of the next bytes are dropped; `left` does not count them.
    skip: usize,
    /// The current row, if it is a large one.
    large: Option<Large>,
    /// Bytes of all rows.
    bytes: usize,
    names: Names,
    rows: Rows<R>,
}

/// A row that is too large to be read whole.
struct Large {
    /// How many bytes of it are not decoded yet.
    left: usize,
    size: usize,
    /// The fields that are read.
    taken: Vec<u8>,
    /// How many bytes were taken of the fields with each number.
    of_field: [usize; FIELDS],
}

impl Large {
    /// Whether a field of this many bytes is taken.
    fn takes(&mut self, number: u32, bytes: usize) -> bool {
        let Some(taken) = self.of_field.get_mut(number as usize) else {
            return false;
        };
        let fits = taken.saturating_add(bytes) <= FIELD_LIMIT;
        if fits {
            *taken += bytes;
        }
        fits
    }
}

impl<R: Row> Decoder<R> {
    fn new() -> Decoder<R> {
        Decoder {
            pending: BytesMut::new(),
            left: None,
            skip: 0,
            large: None,
            bytes: 0,
            names: Names::default(),
            rows: Rows {
                rows: Vec::new(),
                sizes: Vec::new(),
                messages: 0,
            },
        }
    }

    /// The rows, after the last byte.
    fn end(self) -> Result<Rows<R>, CallError> {
        let rest = self.skip + self.pending.len();
        if self.left.is_some() || self.large.is_some() || rest > 0 {
            return Err(CallError::garbage("it ends too early"));
        }
        Ok(self.rows)
    }

    /// A row of this many bytes begins.
    fn count(&mut self, size: usize) -> Result<(), CallError> {
        if self.rows.rows.len() == MOST_ROWS {
            return Err(CallError::Runtime(format!(
                "more than {MOST_ROWS} rows came"
            )));
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > LIST_LIMIT {
            return Err(CallError::Runtime(too_many_bytes()));
        }
        Ok(())
    }

    fn push(&mut self, message: impl Buf, size: usize, is_cut: bool) -> Result<(), CallError> {
        let message = R::Message::decode(message).map_err(|e| CallError::Garbage(e.to_string()))?;
        let mut row = R::of(message, &mut self.names);
        if is_cut {
            row.cut();
        }
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.rows.sizes.push(size);
        self.rows.rows.push(row);
        Ok(())
    }

    /// Takes what comes next; false = more bytes are needed.
    fn step(&mut self) -> Result<bool, CallError> {
        let dropped = self.skip.min(self.pending.len());
        self.pending.advance(dropped);
        self.skip -= dropped;
        if self.skip > 0 {
            return Ok(false);
        }
        if let Some(large) = self.large.take() {
            return self.field_of_large(large);
        }
        match self.left {
            None => {
                self.left = frame(&mut self.pending, MESSAGE_LIMIT)?;
                Ok(self.left.is_some())
            }
            Some(0) => {
                self.left = None;
                self.rows.messages += 1;
                Ok(true)
            }
            Some(left) => self.field(left),
        }
    }

    /// Takes the next field of the current message, of which `left` bytes are not decoded; false = more bytes are needed.
    fn field(&mut self, left: usize) -> Result<bool, CallError> {
        let here = left.min(self.pending.len());
        let Some(field) = self.front(left)? else {
            return Ok(false);
        };
        let length = field.end - field.begin;
        if field.number != ROWS_FIELD {
            self.skip = field.end;
        } else if field.wire != WireType::LengthDelimited {
            return Err(CallError::garbage("a row is not a message"));
        } else if length > ROW_LIMIT {
            self.count(field.end)?;
            self.skip = field.begin;
            self.large = Some(Large {
                left: length,
                size: field.end,
                taken: Vec::new(),
                of_field: [0; FIELDS],
            });
        } else if field.end > here {
            return Ok(false);
        } else {
            self.count(field.end)?;
            let mut row = self.pending.split_to(field.end);
            row.advance(field.begin);
            self.push(row.freeze(), field.end, false)?;
        }
        self.left = Some(left - field.end);
        Ok(true)
    }

    /// Takes the next field of the current large row; false = more bytes are needed.
    fn field_of_large(&mut self, mut large: Large) -> Result<bool, CallError> {
        if large.left == 0 {
            self.push(&large.taken[..], large.size, true)?;
            return Ok(true);
        }
        let (left, here) = (large.left, large.left.min(self.pending.len()));
        let Some(field) = self.front(left)? else {
            self.large = Some(large);
            return Ok(false);
        };
        if field.end > here && field.end <= FIELD_LIMIT {
            self.large = Some(large);
            return Ok(false);
        }
        if field.end <= here && large.takes(field.number, field.end) {
            large.taken.extend_from_slice(&self.pending[..field.end]);
        }
        self.skip = field.end;
        large.left -= field.end;
        self.large = Some(large);
        Ok(true)
    }

    /// The field at the front of the pending bytes, which has to end within `left` bytes.
    fn front(&self, left: usize) -> Result<Option<Field>, CallError> {
        let here = left.min(self.pending.len());
        match front(&self.pending[..here])? {
            None if here == left => Err(CallError::garbage("it ends too early")),
            Some(field) if field.end > left => Err(CallError::garbage("it ends too early")),
            field => Ok(field),
        }
    }
}

/// Why a list is refused that exceeds `LIST_LIMIT`.
pub(super) fn too_many_bytes() -> String {
    let limit = LIST_LIMIT >> 20;
    format!("the list takes more than {limit} MiB, the most that crigc reads")
}

impl<R: Row> Sink for Decoder<R> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        self.pending.extend_from_slice(bytes);
        while self.step()? {}
        Ok(())
    }
}

/// The rows of a message that arrives in pieces of `cut` bytes; `None` = it is not a list.
#[cfg(fuzzing)]
pub(crate) fn rows_of<R: Row>(message: &[u8], cut: usize) -> Option<Vec<R>> {
    let mut decoder = Decoder::<R>::new();
    for piece in in_frame(message).chunks(cut) {
        decoder.take(piece).ok()?;
    }
    decoder.end().ok().map(|rows| rows.rows)
}

/// A message in its frame.
#[cfg(any(test, fuzzing))]
fn in_frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// Makes a call, and reads its whole answer, one message or a stream. If it fails after its first message (S0.6), the error is not one of
/// those by which the list would be asked for in another way.
pub(super) async fn call<R: Row>(
    connection: &Connection<'_>,
    path: &str,
    request: &R::Request,
) -> Result<Rows<R>, CallError> {
    let mut decoder = Decoder::<R>::new();
    match call::call(connection, path, call::framed(request), &mut decoder).await {
        Ok(()) => decoder.end(),
        Err(
            e @ (CallError::NotFound(_)
            | CallError::Exhausted(_)
            | CallError::TooLarge { .. }
            | CallError::Unimplemented { .. }),
        ) if decoder.rows.messages > 0 => {
            let (rows, cause) = (decoder.rows.rows.len(), e.cause());
            Err(CallError::Runtime(format!(
                "the list broke off after {rows} rows: {cause}"
            )))
        }
        Err(e) => Err(e),
    }
}

/// The same for a call with one message as its answer: an answer without a message is not an empty list.
pub(super) async fn call_for_one<R: Row>(
    connection: &Connection<'_>,
    path: &str,
    request: &R::Request,
) -> Result<Rows<R>, CallError> {
    let rows = call(connection, path, request).await?;
    if rows.messages != 1 {
        return Err(not_one(rows.messages));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
