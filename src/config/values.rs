//! The kinds of values: the range in words, and how a text is read. Each key has one of these shapes (see `keys.rs`).

use super::{Accounting, AgeFrom, Endpoint};
use super::{duration, quantity};
use std::time::Duration;

/// A kind of values, read into the type of a field.
pub(super) struct Shape<T> {
    /// The values that are taken, in words.
    pub(super) range: fn() -> String,
    /// What an empty default means, in words.
    pub(super) empty: &'static str,
    /// Reads a value; the error says what is wrong with it.
    pub(super) read: fn(&str) -> Result<T, String>,
    /// The text that is given back for a value, made from the value and the text that it was set by.
    pub(super) shown: fn(&T, &str) -> String,
}

impl<T> Shape<T> {
    const fn new(range: fn() -> String, read: fn(&str) -> Result<T, String>) -> Shape<T> {
        Shape {
            range,
            empty: "none",
            read,
            shown: |_, text| text.to_owned(),
        }
    }
}

/// Whether it is a path is checked when it is known whether the host connects.
pub(super) const ENDPOINT: Shape<Endpoint> = Shape::new(
    || "`unix://PATH` or an absolute PATH".to_owned(),
    |text| match text {
        "" => Err("it is empty".to_owned()),
        _ => Ok(Endpoint(text.to_owned())),
    },
);

/// Empty: the same as the runtime's.
pub(super) const OWN_ENDPOINT: Shape<Option<Endpoint>> = Shape {
    empty: "the same as the runtime's",
    ..Shape::new(
        || "`unix://PATH`, an absolute PATH, or empty".to_owned(),
        |text| optional(text, |text| Ok(Endpoint(text.to_owned()))),
    )
};

pub(super) const DURATION: Shape<Duration> = Shape::new(|| OR_ZERO.to_owned(), duration::parse);

pub(super) const DURATION_ABOVE_ZERO: Shape<Duration> = Shape::new(
    || "a duration above 0 such as `1h30m`".to_owned(),
    above_zero,
);

/// Zero: none.
pub(super) const OPTIONAL_DURATION: Shape<Option<Duration>> = Shape::new(
    || OR_ZERO.to_owned(),
    |text| duration::parse(text).map(|time| Some(time).filter(|time| !time.is_zero())),
);

const OR_ZERO: &str = "a duration such as `1h30m` or `0`";

/// Negative: no limit.
pub(super) const LIMIT: Shape<Option<usize>> = Shape::new(
    || between(i32::MIN.into(), i32::MAX.into()),
    |text| whole::<i32>(text, i32::MIN.into(), i32::MAX.into()).map(|n| usize::try_from(n).ok()),
);

pub(super) const PERCENT: Shape<u8> = number::<u8, 0, 100>();

/// How many removals at once.
pub(super) const PARALLEL: Shape<usize> = number::<usize, 1, 256>();

pub(super) const BOOL: Shape<bool> = Shape {
    // Always `true` or `false`, however it was written.
    shown: |truth, _| truth.to_string(),
    ..Shape::new(
        || "`true` or `false`, also as `1`, `t`, `0` or `f`".to_owned(),
        truth,
    )
};

pub(super) const AGE_FROM: Shape<AgeFrom> =
    Shape::new(|| "`created` or `finished`".to_owned(), age_from);

pub(super) const ACCOUNTING: Shape<Accounting> =
    Shape::new(|| "`reported` or `measured`".to_owned(), accounting);

/// Zero: none. Always given back as the number of bytes, so that a host need not read quantities.
pub(super) const BYTES: Shape<Option<u64>> = Shape {
    shown: |bytes, _| bytes.unwrap_or(0).to_string(),
    ..Shape::new(
        || "a number of bytes below 2^63, such as `20Gi`, `1.5G`, `500M`, `1e9` or `0`".to_owned(),
        |text| quantity::parse(text).map(|bytes| Some(bytes).filter(|bytes| *bytes > 0)),
    )
};

pub(super) const DIRECTORY: Shape<Option<String>> = Shape::new(
    || "an absolute path that is not the root, or empty".to_owned(),
    |text| optional(text, path),
);

pub(super) const FILE: Shape<Option<String>> = Shape::new(
    || "the absolute path of a file, or empty".to_owned(),
    |text| optional(text, file),
);

pub(super) const PATTERNS: Shape<Vec<String>> = Shape::new(
    || "patterns separated by commas, or empty".to_owned(),
    patterns,
);

pub(super) const IMAGE: Shape<Option<String>> = Shape::new(
    || "the name of an image, or empty".to_owned(),
    |text| optional(text, |name| Ok(name.to_owned())),
);

/// A whole number in a range that its type can hold.
const fn number<T: TryFrom<i64>, const LEAST: i64, const MOST: i64>() -> Shape<T> {
    Shape::new(|| between(LEAST, MOST), |text| whole(text, LEAST, MOST))
}

fn between(least: i64, most: i64) -> String {
    format!("a whole number from {least} to {most}")
}

fn whole<T: TryFrom<i64>>(text: &str, least: i64, most: i64) -> Result<T, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("it is not a whole number".to_owned());
    }
    let number = text.parse::<i64>().ok();
    number
        .filter(|number| (least..=most).contains(number))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| "it is out of range".to_owned())
}

fn above_zero(text: &str) -> Result<Duration, String> {
    let time = duration::parse(text)?;
    if time.is_zero() {
        return Err("it is zero".to_owned());
    }
    Ok(time)
}

fn optional<T>(
    text: &str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    read(text).map(Some)
}

fn file(text: &str) -> Result<String, String> {
    if text.ends_with('/') {
        return Err("it ends in `/`".to_owned());
    }
    path(text)
}

/// A path that is not the root, also if the root is written as `//` or `/.`: crigc deletes what is in directories.
fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("it is not an absolute path".to_owned());
    }
    if text.split('/').any(|part| part == "..") {
        return Err("it holds `..`".to_owned());
    }
    match parts(text).next() {
        Some(_) => Ok(text.to_owned()),
        None => Err("it is the root of the filesystem".to_owned()),
    }
}

/// The names in a path, without empty ones and `.`.
pub(super) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

fn patterns(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let patterns: Vec<String> = text.split(',').map(|p| p.trim().to_owned()).collect();
    if patterns.iter().any(String::is_empty) {
        return Err("it holds an empty pattern between commas".to_owned());
    }
    Ok(patterns)
}

fn age_from(text: &str) -> Result<AgeFrom, String> {
    match text {
        "created" => Ok(AgeFrom::Created),
        "finished" => Ok(AgeFrom::Finished),
        _ => Err("it is neither `created` nor `finished`".to_owned()),
    }
}

fn accounting(text: &str) -> Result<Accounting, String> {
    match text {
        "reported" => Ok(Accounting::Reported),
        "measured" => Ok(Accounting::Measured),
        _ => Err("it is neither `reported` nor `measured`".to_owned()),
    }
}

/// The words that Go's flags take for true and false.
fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it is neither true nor false".to_owned()),
    }
}
