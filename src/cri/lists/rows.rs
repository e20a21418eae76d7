//! The answers of list calls, row by row as the bytes come (S7): a list of many megabytes is never held as a message.

use super::field::{Field, front};
use super::row::Row;
use crate::cri::call::{self, Sink, frame, not_one};
use crate::cri::connect::Wire;
use crate::cri::convert::Names;
use crate::cri::error::CallError;
use prost::Message;
use prost::bytes::{Buf, BytesMut};
use prost::encoding::WireType;

/// The largest message that is taken. containerd sends at most 16 MiB, CRI-O 80.
const MESSAGE_LIMIT: usize = 128 << 20;

/// The most rows of an answer, thirty times what the fullest nodes hold that were heard of: a runtime that goes on and on does not
/// fill the memory of its host.
const MOST_ROWS: usize = 1_000_000;

/// The largest row that is taken whole. A kubelet puts labels and annotations of at most 256 KiB into one.
const ROW_LIMIT: usize = 1 << 20;

/// What is taken of a larger one: so many bytes of each of its fields, by the number that it has. The fields of all rows of CRI have
/// numbers below the second.
const FIELD_LIMIT: usize = 64 << 10;
const FIELDS: usize = 16;

/// The most bytes of a list: three times what 100,000 containers take, of which a row has about 900.
pub(super) const LIST_LIMIT: usize = 256 << 20;

/// Rows as they came, with the bytes that each took in its message.
#[derive(Debug)]
pub(super) struct Rows<R> {
    pub(super) rows: Vec<R>,
    pub(super) sizes: Vec<u32>,
    /// In how many messages they came.
    pub(super) messages: usize,
}

/// Turns bytes into rows.
struct Decoder<R> {
    /// What came and is not yet a row.
    pending: BytesMut,
    /// Bytes of the message at hand that are not yet decoded; `None` = between messages.
    left: Option<usize>,
    /// Bytes that are dropped as they come, counted in nothing else any more.
    skip: usize,
    /// The row at hand, if it is a large one.
    large: Option<Large>,
    /// Bytes of all rows.
    bytes: usize,
    names: Names,
    rows: Rows<R>,
}

/// A row that is too large to be taken whole, and what is taken of it.
struct Large {
    /// Bytes of it that are not yet decoded.
    left: usize,
    size: usize,
    taken: Vec<u8>,
    /// How many bytes of each field were taken.
    of_field: [usize; FIELDS],
}

impl Large {
    /// Whether a field of so many bytes is taken.
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

    /// After the last byte.
    fn end(self) -> Result<Rows<R>, CallError> {
        let rest = self.skip + self.pending.len();
        if self.left.is_some() || self.large.is_some() || rest > 0 {
            return Err(CallError::garbage("it ends too early"));
        }
        Ok(self.rows)
    }

    /// A row begins that takes so many bytes.
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

    /// Drops what is to be dropped and is there.
    fn drop_some(&mut self) {
        let here = self.skip.min(self.pending.len());
        self.pending.advance(here);
        self.skip -= here;
    }

    /// The next field of the message at hand, of which so many bytes are left; false = more has to come.
    fn field(&mut self, left: usize) -> Result<bool, CallError> {
        let here = left.min(self.pending.len());
        let Some(field) = self.front(left)? else {
            return Ok(false);
        };
        let is_row = field.number == R::FIELD;
        if is_row && field.wire != WireType::LengthDelimited {
            return Err(CallError::garbage("a row is a number"));
        }
        let length = field.end - field.begin;
        match is_row {
            false => self.skip = field.end,
            true if length > ROW_LIMIT => {
                self.count(field.end)?;
                self.skip = field.begin;
                self.large = Some(Large {
                    left: length,
                    size: field.end,
                    taken: Vec::new(),
                    of_field: [0; FIELDS],
                });
            }
            true if field.end > here => return Ok(false),
            true => {
                self.count(field.end)?;
                let mut row = self.pending.split_to(field.end);
                row.advance(field.begin);
                self.push(row.freeze(), field.end, false)?;
            }
        }
        self.left = Some(left - field.end);
        Ok(true)
    }

    /// The next field of the large row at hand; false = more has to come.
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

    /// The field at the front of what is there, which has to end within `left` bytes.
    fn front(&self, left: usize) -> Result<Option<Field>, CallError> {
        let here = left.min(self.pending.len());
        match front(&self.pending[..here])? {
            None if here == left => Err(CallError::garbage("it ends too early")),
            Some(field) if field.end > left => Err(CallError::garbage("it ends too early")),
            field => Ok(field),
        }
    }
}

/// A list that takes more than crigc takes.
pub(super) fn too_many_bytes() -> String {
    let limit = LIST_LIMIT >> 20;
    format!("the list takes more than {limit} MiB, the most that crigc reads")
}

impl<R: Row> Sink for Decoder<R> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        self.pending.extend_from_slice(bytes);
        loop {
            self.drop_some();
            if self.skip > 0 {
                return Ok(());
            }
            if let Some(large) = self.large.take() {
                if self.field_of_large(large)? {
                    continue;
                } else {
                    return Ok(());
                }
            }
            let Some(left) = self.left.map_or_else(
                || frame(&mut self.pending, MESSAGE_LIMIT),
                |left| Ok(Some(left)),
            )?
            else {
                return Ok(());
            };
            self.left = Some(left);
            if left == 0 {
                self.left = None;
                self.rows.messages += 1;
                continue;
            }
            if !self.field(left)? {
                return Ok(());
            }
        }
    }
}

/// The rows of one message that comes in pieces, if it is one.
#[cfg(fuzzing)]
pub(crate) fn rows_of<R: Row>(message: &[u8], cut: usize) -> Option<Vec<R>> {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).ok()?.to_be_bytes());
    frame.extend_from_slice(message);
    let mut decoder = Decoder::<R>::new();
    for piece in frame.chunks(cut) {
        decoder.take(piece).ok()?;
    }
    decoder.end().ok().map(|rows| rows.rows)
}

/// Makes a call and takes its answer, one message or a stream, to the end. A call that fails after its first message broke off (S0.6): its
/// error is then none that means something else for a list as a whole.
pub(super) async fn call<R: Row>(
    wire: &Wire,
    path: &str,
    request: &R::Request,
) -> Result<Rows<R>, CallError> {
    let mut decoder = Decoder::<R>::new();
    match call::call(wire, path, request, &mut decoder).await {
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

/// The same of a call that one message answers: an answer without any is not an empty list.
pub(super) async fn call_for_one<R: Row>(
    wire: &Wire,
    path: &str,
    request: &R::Request,
) -> Result<Rows<R>, CallError> {
    let rows = call(wire, path, request).await?;
    if rows.messages != 1 {
        return Err(not_one(rows.messages));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
