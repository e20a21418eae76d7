//! The fields of a JSON text.

use super::document::{Document, Fault, Fields, Place, Value};
use super::fields;
use serde::de::IgnoredAny;
use std::ops::Range;

/// Reads a text that begins with a brace.
pub(super) fn read(text: &str) -> Result<Document, Fault> {
    serde_json::from_slice::<IgnoredAny>(text.as_bytes()).map_err(|e| {
        let place = Place {
            line: e.line(),
            column: e.column(),
        };
        Fault::new(place, why(&e))
    })?;
    let mut found = Fields::default();
    // Counted on from member to member, so that the time does not grow with the square of the text.
    let (mut counted, mut place) = (0, Place { line: 1, column: 1 });
    for member in members(text).chunks_exact(2) {
        let [name, value] = [0, 1].map(|at| text[member[at].clone()].trim());
        let begin = member[1].end - text[member[1].clone()].trim_start().len();
        place = place.after(&text[counted..begin]);
        counted = begin;
        let at = |e: serde_json::Error| Fault::new(place, why(&e));
        let name = string(name).map_err(at)?;
        if fields::is_read(&name) {
            found.set(&name, read_value(value).map_err(at)?, place)?;
        }
    }
    Ok(found.into_document(true, false))
}

/// The names and values of the outer object of a text that is JSON, in turn.
fn members(text: &str) -> Vec<Range<usize>> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0);
    let (mut is_string, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        if is_string {
            is_string = is_escaped || byte != b'"';
            is_escaped = byte == b'\\' && !is_escaped;
            continue;
        }
        match byte {
            b'"' => is_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth == 1 {
                    begin = at + 1;
                }
            }
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    parts.push(begin..at);
                }
            }
            b':' | b',' if depth == 1 => {
                parts.push(begin..at);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts
}

fn string(raw: &str) -> serde_json::Result<String> {
    serde_json::from_slice(raw.as_bytes())
}

/// A value as it is written.
fn read_value(raw: &str) -> serde_json::Result<Value> {
    Ok(match raw.as_bytes().first() {
        Some(b'{') => Value::Object,
        Some(b'[') => Value::List,
        Some(b'"') => Value::Text(string(raw)?),
        Some(b'n') => Value::Null,
        Some(b't' | b'f') => Value::Bool(raw == "true"),
        _ => match raw.parse() {
            Ok(number) => Value::Whole(number),
            Err(_) => Value::Number(raw.to_owned()),
        },
    })
}

/// The message without its place.
fn why(e: &serde_json::Error) -> String {
    let message = e.to_string();
    let words = message.split(" at line ").next().unwrap_or_default();
    format!("it is not JSON, although it begins with a brace: {words}")
}
