//! Durations as Go writes them: `1h30m`, `2m0s`, `500ms`, `0`.

use std::time::Duration;

/// Units and their nanoseconds.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// The units in messages.
const IN_WORDS: &str = "h, m, s, ms, us or ns";
/// Go's durations are 64-bit counts of nanoseconds.
const LARGEST: u128 = i64::MAX as u128;

/// A time as such a count; the largest count if it is longer.
pub fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// Reads a duration; the error says what is wrong with it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let whole = text.strip_prefix('+').unwrap_or(text);
    if whole == "0" {
        return Ok(Duration::ZERO);
    }
    if whole.starts_with('-') {
        return Err("it is negative".to_owned());
    }
    if whole.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut total: u128 = 0;
    let mut rest = whole;
    while !rest.is_empty() {
        let (ns, after) = component(rest)?;
        total = total.saturating_add(ns);
        rest = after;
    }
    match u64::try_from(total) {
        Ok(ns) if total <= LARGEST => Ok(Duration::from_nanos(ns)),
        _ => Err("it is longer than 292 years".to_owned()),
    }
}

/// The first number with its unit, in nanoseconds, and the text after it.
fn component(text: &str) -> Result<(u128, &str), String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(format!("`{text}` does not begin with a number"));
    }
    // `ms` also begins with `m`: the longest unit that fits is meant.
    let unit = UNITS
        .iter()
        .filter(|(name, _)| rest.starts_with(name))
        .max_by_key(|(name, _)| name.len());
    let Some((name, ns)) = unit else {
        return Err(match rest {
            "" => format!("`{number}` has no unit ({IN_WORDS})"),
            _ => format!("`{rest}` does not begin with a unit ({IN_WORDS})"),
        });
    };
    let too_long = || "it is longer than 292 years".to_owned();
    let whole = match whole {
        "" => 0,
        digits => digits.parse::<u128>().map_err(|_| too_long())?,
    };
    let whole = whole
        .checked_mul(*ns)
        .filter(|&ns| ns <= LARGEST)
        .ok_or_else(too_long)?;
    Ok((whole + part(fraction, *ns), &rest[name.len()..]))
}

/// The nanoseconds of a decimal fraction of a unit.
fn part(fraction: &str, unit: u128) -> u128 {
    // Nineteen digits are finer than a nanosecond in any unit.
    let digits: String = fraction.chars().take(19).collect();
    let scale = 10u128.pow(u32::try_from(digits.len()).unwrap_or(0));
    digits
        .parse::<u128>()
        .map_or(0, |value| value * unit / scale)
}
