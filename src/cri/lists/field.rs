//! The fields of a protobuf message, found before all of it is there.

use crate::cri::error::CallError;
use prost::encoding::{WireType, decode_key, decode_varint};

/// The longest that the number of a field or a length is, in bytes.
const LONGEST_VARINT: usize = 10;

/// A field at the front of a message.
pub(super) struct Field {
    pub(super) number: u32,
    /// Where its content begins, and where it ends; it may not be there yet.
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) wire: WireType,
}

/// The first field of a message; `None` = not even its head is there yet.
pub(super) fn front(bytes: &[u8]) -> Result<Option<Field>, CallError> {
    let mut rest = bytes;
    let short = |rest: &[u8], e: prost::DecodeError| {
        if rest.len() < LONGEST_VARINT {
            return Ok(None);
        }
        Err(CallError::garbage(&e.to_string()))
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
