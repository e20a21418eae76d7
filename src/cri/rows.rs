//! The answers of list calls, row by row as the bytes come (S7): a list of many megabytes is never held as a message.

use super::call::{self, Sink, frame, garbage, not_one};
use super::connect::Wire;
use super::convert::Names;
use super::list::Row;
use prost::Message;
use prost::bytes::{Buf, BytesMut};
use prost::encoding::{WireType, decode_key, decode_varint};
use tonic::{Code, Status};

/// The largest message that is taken. containerd sends at most 16 MiB, CRI-O 80.
const MESSAGE_LIMIT: usize = 128 << 20;

/// The most rows of an answer, thirty times what the fullest nodes hold that were heard of: a runtime that goes on and on does not
/// fill the memory of its host.
const MOST_ROWS: usize = 1_000_000;

/// The longest that the number of a field or a length is, in bytes.
const LONGEST_VARINT: usize = 10;

/// Rows as they came, with the bytes that each took in its message.
#[derive(Debug)]
pub(crate) struct Rows<R> {
    pub(crate) rows: Vec<R>,
    pub(crate) sizes: Vec<u32>,
}

/// Turns bytes into rows.
struct Decoder<R> {
    /// What came and is not yet a row.
    pending: BytesMut,
    /// Bytes of the message at hand that are not yet decoded; `None` = between messages.
    left: Option<usize>,
    names: Names,
    rows: Rows<R>,
    messages: usize,
}

/// What stands at the front of a message.
enum Front {
    /// A field that is not whole yet.
    Part,
    /// A row: where it begins, and where it ends.
    Row(usize, usize),
    /// Another field of so many bytes.
    Other(usize),
}

/// The first field of a message that may not be there whole.
fn front(bytes: &[u8], row_field: u32) -> Result<Front, Status> {
    let mut rest = bytes;
    let short = |rest: &[u8], e: prost::DecodeError| match rest.len() < LONGEST_VARINT {
        true => Ok(Front::Part),
        false => Err(garbage(&e.to_string())),
    };
    let (field, wire) = match decode_key(&mut rest) {
        Ok(key) => key,
        Err(e) => return short(bytes, e),
    };
    let head = bytes.len() - rest.len();
    if field == row_field && wire != WireType::LengthDelimited {
        return Err(garbage("a row is a number"));
    }
    let length = match wire {
        WireType::LengthDelimited => {
            let before = rest;
            let length = match decode_varint(&mut rest) {
                Ok(length) => usize::try_from(length).unwrap_or(usize::MAX),
                Err(e) => return short(before, e),
            };
            let begin = bytes.len() - rest.len();
            let end = begin.saturating_add(length);
            return Ok(match end <= bytes.len() {
                true if field == row_field => Front::Row(begin, end),
                true => Front::Other(end),
                false => Front::Part,
            });
        }
        WireType::Varint => {
            let before = rest;
            match decode_varint(&mut rest) {
                Ok(_) => before.len() - rest.len(),
                Err(e) => return short(before, e),
            }
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::StartGroup | WireType::EndGroup => return Err(garbage("a group")),
    };
    Ok(match head + length <= bytes.len() {
        true => Front::Other(head + length),
        false => Front::Part,
    })
}

impl<R: Row> Decoder<R> {
    fn new() -> Decoder<R> {
        Decoder {
            pending: BytesMut::new(),
            left: None,
            names: Names::default(),
            rows: Rows {
                rows: Vec::new(),
                sizes: Vec::new(),
            },
            messages: 0,
        }
    }

    /// After the last byte.
    fn end(self) -> Result<Rows<R>, Status> {
        match self.left.is_none() && self.pending.is_empty() {
            true => Ok(self.rows),
            false => Err(garbage("it ends too early")),
        }
    }
}

impl<R: Row> Sink for Decoder<R> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Status> {
        self.pending.extend_from_slice(bytes);
        loop {
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
                self.messages += 1;
                continue;
            }
            let here = left.min(self.pending.len());
            let used = match front(&self.pending[..here], R::FIELD)? {
                Front::Part if here == left => return Err(garbage("it ends too early")),
                Front::Part => return Ok(()),
                Front::Other(used) => {
                    self.pending.advance(used);
                    used
                }
                Front::Row(begin, end) => {
                    if self.rows.rows.len() == MOST_ROWS {
                        return Err(Status::aborted(format!("more than {MOST_ROWS} rows came")));
                    }
                    let mut row = self.pending.split_to(end);
                    row.advance(begin);
                    let message = R::Message::decode(row.freeze())
                        .map_err(|e| Status::internal(e.to_string()))?;
                    self.rows.rows.push(R::of(message, &mut self.names));
                    let size = u32::try_from(end).unwrap_or(u32::MAX);
                    self.rows.sizes.push(size);
                    end
                }
            };
            self.left = Some(left - used);
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

/// How many messages answer a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Messages {
    /// Just one; an answer without any is not an empty list.
    One,
    /// A stream.
    Many,
}

/// Makes a call and takes its answer to the end. A call that fails after its first message broke off: the code is then none that
/// means something else for a list as a whole.
pub(super) async fn call<R: Row>(
    wire: &Wire,
    path: &str,
    request: &R::Request,
    messages: Messages,
) -> Result<Rows<R>, Status> {
    let mut decoder = Decoder::<R>::new();
    match call::call(wire, path, request, &mut decoder).await {
        Ok(()) if messages == Messages::One && decoder.messages != 1 => {
            Err(not_one(decoder.messages))
        }
        Ok(()) => decoder.end(),
        Err(e) if decoder.messages > 0 => Err(broken_off(e, decoder.rows.rows.len())),
        Err(e) => Err(e),
    }
}

/// The status of an answer that broke off (S0.6).
fn broken_off(e: Status, rows: usize) -> Status {
    match e.code() {
        Code::Unimplemented | Code::ResourceExhausted | Code::OutOfRange | Code::NotFound => {
            Status::aborted(format!(
                "the list broke off after {rows} rows: {:?}: {}",
                e.code(),
                e.message()
            ))
        }
        _ => e,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cri::call::FRAME_HEAD;
    use crate::cri::proto;
    use crate::node::Container;
    use proptest::prelude::*;

    fn container(n: usize, text: usize) -> proto::Container {
        proto::Container {
            id: format!("{n}{}", "x".repeat(text)).into(),
            metadata: Some(proto::ContainerMetadata {
                name: "app".into(),
                attempt: 3,
            }),
            ..Default::default()
        }
    }

    /// Messages of these many rows in their frames, with fields between them that nobody knows.
    fn answer(messages: &[usize], texts: &[usize]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut n = 0;
        for rows in messages {
            let mut message = vec![0x10, 0xff, 0x01]; // field 2, a varint
            for _ in 0..*rows {
                let list = proto::ListContainersResponse {
                    containers: vec![container(n, texts[n % texts.len()])],
                };
                message.extend(list.encode_to_vec());
                message.extend([0x1d, 1, 2, 3, 4]); // field 3, four bytes
                message.extend([0x21, 1, 2, 3, 4, 5, 6, 7, 8]); // field 4, eight bytes
                message.extend([0x2a, 2, 7, 7]); // field 5, two bytes with their length
                n += 1;
            }
            all.push(0);
            all.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
            all.extend(message);
        }
        all
    }

    fn decoded(bytes: &[u8], cuts: &[usize]) -> Result<Rows<Container>, Status> {
        let mut decoder = Decoder::new();
        let mut rest = bytes;
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*cut).clamp(1, rest.len()));
            decoder.take(now)?;
            rest = later;
        }
        decoder.end()
    }

    proptest! {
        #[test]
        fn rows_come_out_however_the_bytes_are_cut(
            messages in prop::collection::vec(0..5usize, 0..4),
            texts in prop::collection::vec(0..300usize, 1..4),
            cuts in prop::collection::vec(1..200usize, 1..6),
        ) {
            let bytes = answer(&messages, &texts);
            let rows = decoded(&bytes, &cuts).unwrap();
            let count: usize = messages.iter().sum();
            prop_assert_eq!(rows.rows.len(), count);
            for (n, (row, size)) in rows.rows.iter().zip(&rows.sizes).enumerate() {
                let list = proto::ListContainersResponse {
                    containers: vec![container(n, texts[n % texts.len()])],
                };
                let id = n.to_string();
                prop_assert!(row.id.starts_with(&id) && row.readable);
                prop_assert_eq!(*size as usize, list.encoded_len());
            }
        }

        #[test]
        fn an_answer_that_ends_early_is_none(end in 0..1000usize) {
            let bytes = answer(&[2, 3], &[50, 200]);
            let end = end.min(bytes.len() - 1);
            let whole = decoded(&bytes[..end], &[64]);
            // Between two messages nothing is missing that could be seen.
            let between = end == 0 || end == FRAME_HEAD + u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
            prop_assert_eq!(whole.is_ok(), between, "{}", end);
        }

        #[test]
        fn any_bytes_are_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 1..50usize) {
            let _ = decoded(&bytes, &[cut]);
            let mut framed = vec![0];
            framed.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            framed.extend(&bytes);
            let at_once = decoded(&framed, &[framed.len()]);
            let in_cuts = decoded(&framed, &[cut]);
            prop_assert_eq!(at_once.map(|r| r.rows).map_err(|e| e.code()), in_cuts.map(|r| r.rows).map_err(|e| e.code()));
        }
    }

    #[test]
    fn frames_that_cannot_be_taken_are_refused() {
        let cases: [(&[u8], Code); 3] = [
            (&[1, 0, 0, 0, 1, 0], Code::Internal),
            (&[0, 0xff, 0xff, 0xff, 0xff], Code::OutOfRange),
            (&[0, 0, 0, 0, 2, 0x0a, 9], Code::Internal),
        ];
        for (bytes, code) in cases {
            let e = decoded(bytes, &[1]).expect_err("no answer");
            assert_eq!(e.code(), code, "{bytes:?}: {e}");
        }
    }
}
