//! Checks one value against the shape of its key.

use super::duration;
use super::keys::Shape;
use std::time::Duration;

/// The longest path of a unix socket, in bytes: `sun_path` less its NUL.
const SOCKET_PATH: usize = 107;

/// A value that its shape has accepted. Each shape gives one kind, and the keys' setters take the kind of their shape.
pub enum Value {
    /// Everything that stays text.
    Text(String),
    /// A duration.
    Duration(Duration),
    /// A number.
    Number(i64),
    /// A truth.
    Bool(bool),
}

impl Value {
    pub(super) fn text(self) -> String {
        match self {
            Value::Text(text) => text,
            _ => String::new(),
        }
    }

    pub(super) fn duration(self) -> Duration {
        match self {
            Value::Duration(duration) => duration,
            _ => Duration::ZERO,
        }
    }

    pub(super) fn number(self) -> i64 {
        match self {
            Value::Number(number) => number,
            _ => 0,
        }
    }

    pub(super) fn count(self) -> usize {
        usize::try_from(self.number()).unwrap_or(1)
    }

    pub(super) fn percent(self) -> u8 {
        u8::try_from(self.number()).unwrap_or(100)
    }

    pub(super) fn part(self) -> u32 {
        u32::try_from(self.number()).unwrap_or(0)
    }

    pub(super) fn bool(self) -> bool {
        matches!(self, Value::Bool(true))
    }
}

/// Checks a value; the error says what is wrong with it.
pub fn check(shape: Shape, text: &str) -> Result<Value, String> {
    if let Some(c) = text.chars().find(|c| c.is_control()) {
        return Err(format!(
            "it holds the control character {}",
            c.escape_default()
        ));
    }
    match shape {
        Shape::OptionalEndpoint if text.is_empty() => Ok(()),
        Shape::Endpoint | Shape::OptionalEndpoint => endpoint(text),
        Shape::Directory => directory(text),
        Shape::File if text.ends_with('/') => Err("it ends in `/`".to_owned()),
        Shape::File => directory(text),
        Shape::Patterns if !text.is_empty() && text.split(',').any(|p| p.trim().is_empty()) => {
            Err("it holds an empty pattern between commas".to_owned())
        }
        Shape::Word(words) if !words.contains(&text) => Err("it is none of them".to_owned()),
        Shape::Duration { zero } => return time(text, zero),
        Shape::Number { least, most } => return number(text, least, most),
        Shape::Bool => return truth(text),
        Shape::Patterns | Shape::Word(_) | Shape::Image => Ok(()),
    }?;
    Ok(Value::Text(text.to_owned()))
}

fn endpoint(text: &str) -> Result<(), String> {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    if !path.starts_with('/') {
        return Err(match text.split_once("://") {
            Some((scheme, _)) if scheme != "unix" => {
                format!("crigc does not speak `{scheme}`, only unix sockets")
            }
            _ => "it is no absolute path of a unix socket".to_owned(),
        });
    }
    if path.len() > SOCKET_PATH {
        return Err(format!(
            "its path has {} bytes, a unix socket takes {SOCKET_PATH} at most",
            path.len()
        ));
    }
    Ok(())
}

/// A path that is not the root, in whatever spelling: crigc deletes what is in directories.
fn directory(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    if !text.starts_with('/') {
        return Err("it is no absolute path".to_owned());
    }
    if text.split('/').any(|part| part == "..") {
        return Err("it holds `..`".to_owned());
    }
    match parts(text).next() {
        Some(_) => Ok(()),
        None => Err("it is the root of the filesystem".to_owned()),
    }
}

/// The names in a path, without what names nothing.
pub(super) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

fn time(text: &str, zero: bool) -> Result<Value, String> {
    let time = duration::parse(text)?;
    if time.is_zero() && !zero {
        return Err("it is zero".to_owned());
    }
    Ok(Value::Duration(time))
}

fn number(text: &str, least: i64, most: i64) -> Result<Value, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("it is no whole number".to_owned());
    }
    match text.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Value::Number(number)),
        _ => Err("it is out of range".to_owned()),
    }
}

/// What Go's flags take for a truth.
fn truth(text: &str) -> Result<Value, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
        _ => Err("it is neither true nor false".to_owned()),
    }
}
