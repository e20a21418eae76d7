//! Finds the fields of a protobuf message before all of it has arrived.

use crate::cri::error::CallError;
use prost::encoding::{WireType, decode_key, decode_varint};

/// The longest number of a field, or length, in bytes.
const LONGEST_VARINT: usize = 10;

/// A field at the front of a message.
pub(super) struct Field {
    pub(super) number: u32,
    /// Where its content begins, and where it ends; the content may not have arrived.
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) wire: WireType,
}

/// The first field of a message; `None` = its head has not arrived.
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
    let mut varint = 0;
    if matches!(wire, WireType::LengthDelimited | WireType::Varint) {
        let before = rest;
        varint = match decode_varint(&mut rest) {
            Ok(number) => number,
            Err(e) => return short(before, e),
        };
    }
    let after = bytes.len() - rest.len();
    let (begin, length) = match wire {
        WireType::LengthDelimited => (after, usize::try_from(varint).unwrap_or(usize::MAX)),
        WireType::Varint => (head, after - head),
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
