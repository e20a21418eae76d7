//! The answers of list calls, row by row as the bytes come (S7): a list of many megabytes is never held as a message.

use super::call::{self, Sink, frame, not_one};
use super::connect::Wire;
use super::convert::Names;
use super::error::CallError;
use super::list::Row;
use prost::Message;
use prost::bytes::{Buf, BytesMut};
use prost::encoding::{WireType, decode_key, decode_varint};

/// The largest message that is taken. containerd sends at most 16 MiB, CRI-O 80.
const MESSAGE_LIMIT: usize = 128 << 20;

/// The most rows of an answer, thirty times what the fullest nodes hold that were heard of: a runtime that goes on and on does not
/// fill the memory of its host.
const MOST_ROWS: usize = 1_000_000;

/// The longest that the number of a field or a length is, in bytes.
const LONGEST_VARINT: usize = 10;

/// The largest row that is taken whole. A kubelet puts labels and annotations of at most 256 KiB into one.
const ROW_LIMIT: usize = 1 << 20;

/// What is taken of a larger one: so many bytes of each of its fields, by the number that it has. The fields of all rows of CRI have
/// numbers below the second.
const FIELD_LIMIT: usize = 64 << 10;
const FIELDS: usize = 16;

/// The most bytes of a list: three times what 100,000 containers take, of which a row has about 900.
pub(crate) const LIST_LIMIT: usize = 256 << 20;

/// Rows as they came, with the bytes that each took in its message.
#[derive(Debug)]
pub(crate) struct Rows<R> {
    pub(crate) rows: Vec<R>,
    pub(crate) sizes: Vec<u32>,
    /// In how many messages they came.
    pub(crate) messages: usize,
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

/// A field at the front of a message.
struct Field {
    number: u32,
    /// Where its content begins, and where it ends; it may not be there yet.
    begin: usize,
    end: usize,
    wire: WireType,
}

/// The first field of a message; `None` = not even its head is there yet.
fn front(bytes: &[u8]) -> Result<Option<Field>, CallError> {
    let mut rest = bytes;
    let short = |rest: &[u8], e: prost::DecodeError| match rest.len() < LONGEST_VARINT {
        true => Ok(None),
        false => Err(CallError::garbage(&e.to_string())),
    };
    let (number, wire) = match decode_key(&mut rest) {
        Ok(key) => key,
        Err(e) => return short(bytes, e),
    };
    let head = bytes.len() - rest.len();
    let (begin, length) = match wire {
        WireType::LengthDelimited => {
            let before = rest;
            match decode_varint(&mut rest) {
                Ok(length) => {
                    let begin = bytes.len() - rest.len();
                    (begin, usize::try_from(length).unwrap_or(usize::MAX))
                }
                Err(e) => return short(before, e),
            }
        }
        WireType::Varint => {
            let before = rest;
            match decode_varint(&mut rest) {
                Ok(_) => (head, before.len() - rest.len()),
                Err(e) => return short(before, e),
            }
        }
        WireType::SixtyFourBit => (head, 8),
        WireType::ThirtyTwoBit => (head, 4),
        WireType::StartGroup | WireType::EndGroup => return Err(CallError::garbage("a group")),
    };
    Ok(Some(Field {
        number,
        begin,
        end: begin.saturating_add(length),
        wire,
    }))
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
        match self.left.is_none() && self.large.is_none() && rest == 0 {
            true => Ok(self.rows),
            false => Err(CallError::garbage("it ends too early")),
        }
    }

    /// A row begins that takes so many bytes.
    fn count(&mut self, size: usize) -> Result<(), CallError> {
        if self.rows.rows.len() == MOST_ROWS {
            return Err(CallError::Runtime(format!(
                "more than {MOST_ROWS} rows came"
            )));
        }
        self.bytes = self.bytes.saturating_add(size);
        match self.bytes > LIST_LIMIT {
            true => Err(CallError::Runtime(too_many_bytes())),
            false => Ok(()),
        }
    }

    fn push(&mut self, message: impl Buf, size: usize) -> Result<&mut R, CallError> {
        let message = R::Message::decode(message).map_err(|e| CallError::Garbage(e.to_string()))?;
        let row = R::of(message, &mut self.names);
        self.rows
            .sizes
            .push(u32::try_from(size).unwrap_or(u32::MAX));
        self.rows.rows.push(row);
        // It was pushed just now.
        self.rows
            .rows
            .last_mut()
            .ok_or_else(|| CallError::garbage("no row"))
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
                self.push(row.freeze(), field.end)?;
            }
        }
        self.left = Some(left - field.end);
        Ok(true)
    }

    /// The next field of the large row at hand; false = more has to come.
    fn field_of_large(&mut self, mut large: Large) -> Result<bool, CallError> {
        if large.left == 0 {
            self.push(&large.taken[..], large.size)?.cut();
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
pub(crate) fn too_many_bytes() -> String {
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
                match self.field_of_large(large)? {
                    true => continue,
                    false => return Ok(()),
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
) -> Result<Rows<R>, CallError> {
    let mut decoder = Decoder::<R>::new();
    match call::call(wire, path, request, &mut decoder).await {
        Ok(()) if messages == Messages::One && decoder.rows.messages != 1 => {
            Err(not_one(decoder.rows.messages))
        }
        Ok(()) => decoder.end(),
        Err(e) if decoder.rows.messages > 0 => Err(broken_off(e, decoder.rows.rows.len())),
        Err(e) => Err(e),
    }
}

/// The error of an answer that broke off (S0.6).
fn broken_off(e: CallError, rows: usize) -> CallError {
    match e {
        CallError::NotFound(_)
        | CallError::Exhausted(_)
        | CallError::TooLarge { .. }
        | CallError::Unimplemented { .. } => {
            let cause = e.cause();
            CallError::Runtime(format!("the list broke off after {rows} rows: {cause}"))
        }
        e => e,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cri::call::FRAME_HEAD;
    use crate::cri::proto;
    use crate::node::{Container, ContainerState};
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

    fn decoded(bytes: &[u8], cuts: &[usize]) -> Result<Rows<Container>, CallError> {
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
            prop_assert_eq!(at_once.map(|r| r.rows).map_err(|e| std::mem::discriminant(&e)), in_cuts.map(|r| r.rows).map_err(|e| std::mem::discriminant(&e)));
        }
    }

    /// Its neighbours come out whole, and of itself what stands before and behind what is too large.
    #[test]
    fn a_row_that_is_too_large_is_cut_however_its_bytes_come() {
        let pair = |key: &str, bytes: usize| proto::Pair {
            key: key.to_owned().into(),
            value: "x".repeat(bytes).into(),
        };
        let uid = proto::Pair {
            key: "io.kubernetes.pod.uid".into(),
            value: "u1".into(),
        };
        // One field that is too large, and many small ones.
        let one = vec![pair("a", 2 << 20), uid.clone()];
        let mut many: Vec<proto::Pair> = (0..40_000).map(|_| pair("annotation", 40)).collect();
        many[0] = uid;
        for labels in [one, many] {
            let large = proto::Container {
                labels,
                image_id: "an image".into(),
                ..container(1, 0)
            };
            let list = proto::ListContainersResponse {
                containers: vec![container(0, 9), large.clone(), container(2, 9)],
            };
            let bytes = framed(&list);
            for cut in [bytes.len(), 1 << 20, 70_000, 4096, 333] {
                let rows = decoded(&bytes, &[cut]).unwrap();
                let [first, row, last] = &rows.rows[..] else {
                    panic!("{} rows", rows.rows.len());
                };
                assert!(first.readable && last.readable && &*last.id == "2xxxxxxxxx");
                assert_eq!(rows.sizes[1] as usize, 5 + large.encoded_len());
                assert!(!row.readable && row.state != ContainerState::Created);
                assert_eq!(
                    (&*row.id, &*row.image_id, row.uid()),
                    ("1", "an image", "u1")
                );
            }
            let (short, _) = bytes.split_at(bytes.len() / 2);
            assert!(decoded(short, &[4096]).is_err());
        }
    }

    fn framed(list: &proto::ListContainersResponse) -> Vec<u8> {
        let message = list.encode_to_vec();
        let mut all = vec![0];
        all.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        all.extend(message);
        all
    }

    #[test]
    fn frames_that_cannot_be_taken_are_refused() {
        let cases: [(&[u8], bool); 3] = [
            (&[1, 0, 0, 0, 1, 0], false),
            (&[0, 0xff, 0xff, 0xff, 0xff], true),
            (&[0, 0, 0, 0, 2, 0x0a, 9], false),
        ];
        for (bytes, is_too_large) in cases {
            let e = decoded(bytes, &[1]).expect_err("no answer");
            match is_too_large {
                true => assert!(matches!(e, CallError::TooLarge { .. }), "{bytes:?}: {e:?}"),
                false => assert!(matches!(e, CallError::Garbage(_)), "{bytes:?}: {e:?}"),
            }
        }
    }
}
