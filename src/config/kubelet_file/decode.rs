//! What a value sets a field to, as the kubelet decodes it.

use super::document::{Named, Value};
use super::fields::{Field, Takes};
use super::{refused, scalar};
use crate::config::{Endpoint, Settings, duration};
use crate::error::Result;
use std::path::{Component, Path, PathBuf};

/// How the kubelet decodes a field.
#[derive(Clone, Copy)]
pub(super) enum Decoding<'a> {
    /// By itself; the directory of the file.
    File { directory: &'a Path, is_json: bool },
    /// After all files have been merged, and written as JSON.
    Merged,
}

/// The text that a field sets its key to.
pub(super) fn decoded(
    field: &Field,
    found: &Named,
    path: &str,
    decoding: Decoding<'_>,
) -> Result<String> {
    let key = field.key();
    decode(field, &found.value, decoding)
        .and_then(|text| {
            let text = text.unwrap_or_else(|| key.default.to_owned());
            Settings::default().set_key(key, &text).map(|()| text)
        })
        .map_err(|why| {
            let (is, range) = (found.value.shown(), key.range());
            let why = format!("{} is {is}: {why}; give {range}", field.name);
            refused(path, Some(found.place), &why)
        })
}

/// What a value sets a field to; `None` = its default. The error says why the kubelet does not take it.
fn decode(
    field: &Field,
    value: &Value,
    decoding: Decoding<'_>,
) -> std::result::Result<Option<String>, String> {
    match (field.takes, value) {
        (Takes::Number, Value::Whole(number)) => Ok(Some(number.to_string())),
        (Takes::Number, Value::Number(number)) => {
            let is_as_written = matches!(decoding, Decoding::File { is_json: true, .. });
            match scalar::decimal(number) {
                Some(Value::Whole(number)) if !is_as_written => Ok(Some(number.to_string())),
                _ => Err("it is not a whole number".to_owned()),
            }
        }
        (Takes::Number | Takes::Endpoint | Takes::Path, Value::Null) => Ok(None),
        (Takes::Number, _) => Err("it is not a number".to_owned()),
        (Takes::Endpoint | Takes::Path, Value::Text(text)) if text.is_empty() => Ok(None),
        (Takes::Path, Value::Text(text)) => match decoding {
            Decoding::File { directory, .. } => from(directory, text).map(Some),
            Decoding::Merged => Ok(Some(text.clone())),
        },
        (Takes::Duration, Value::Text(text)) => match duration::parse(text) {
            Ok(time) if time.is_zero() => Ok(None),
            _ => Ok(Some(text.clone())),
        },
        // A host that connects may use other names, but a kubelet cannot.
        (Takes::Endpoint, Value::Text(text)) => match Endpoint(text.clone()).is_no_socket() {
            Some(why) => Err(why),
            None => Ok(Some(text.clone())),
        },
        (Takes::Duration | Takes::Endpoint | Takes::Path, _) => Err("it is not a text".to_owned()),
    }
}

/// A path that begins in a directory, unless it is absolute.
fn from(directory: &Path, path: &str) -> std::result::Result<String, String> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let mut whole = PathBuf::new();
    for part in directory.join(path).components() {
        if part == Component::ParentDir {
            whole.pop();
        } else {
            whole.push(part);
        }
    }
    let whole = whole.into_os_string().into_string();
    whole.map_err(|_| "the directory of the file, in which it begins, is not UTF-8".to_owned())
}
