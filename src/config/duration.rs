//! Durations as Go writes them: `1h30m`, `2m0s`, `500ms`, `0`.

use std::time::Duration;

/// Units and their nanoseconds; longer names before those that they begin with.
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
/// Go's durations are 64-bit counts of nanoseconds.
const LARGEST: u128 = i64::MAX as u128;

/// A time as such a count; no longer than that holds.
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

/// One number with its unit, in nanoseconds, and what stands behind it.
fn component(text: &str) -> Result<(u128, &str), String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(format!("`{text}` does not begin with a number"));
    }
    // `ms` begins with `m`, `µs` does not: the longest unit that fits is the one that is meant.
    let unit = UNITS
        .iter()
        .filter(|(name, _)| rest.starts_with(name))
        .max_by_key(|(name, _)| name.len());
    let Some((name, ns)) = unit else {
        return Err(match rest {
            "" => format!("`{number}` has no unit"),
            _ => format!("`{rest}` does not begin with a unit"),
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

/// A duration as Go prints it: `1h30m0s`, `2m0s`, `500ms`, `0s`.
pub fn format(duration: Duration) -> String {
    let ns = duration.as_nanos();
    let decimal = |unit: u128, name: &str| {
        let text = format!("{}.{:09}", ns / unit, (ns % unit) * 1_000_000_000 / unit);
        format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match ns {
        0 => "0s".to_owned(),
        1..1_000 => format!("{ns}ns"),
        1_000..1_000_000 => decimal(1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (ns / 60_000_000_000, ns % 60_000_000_000);
            let seconds = format!("{}.{:09}", rest / 1_000_000_000, rest % 1_000_000_000);
            let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, m) => format!("{m}m{seconds}s"),
                (h, m) => format!("{h}h{m}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let cases: [(&str, Option<u128>); 24] = [
            ("0", Some(0)),
            ("+0", Some(0)),
            ("0s", Some(0)),
            ("1s", Some(1_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("2m0s", Some(120_000_000_000)),
            ("500ms", Some(500_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            (".5s", Some(500_000_000)),
            ("1.s", Some(1_000_000_000)),
            ("1us", Some(1_000)),
            ("1µs", Some(1_000)),
            ("7ns", Some(7)),
            ("1m1ms", Some(60_001_000_000)),
            ("2562047h", Some(9_223_369_200_000_000_000)),
            ("2562048h", None),
            ("99999999999999999999999999999999999999999h", None),
            ("", None),
            ("5", None),
            ("-1s", None),
            ("s", None),
            ("1d", None),
            ("1s 2s", None),
            (".s", None),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text).ok().map(|d| d.as_nanos()), want, "{text}");
        }
    }

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for text in [
            "0s", "7ns", "1.5µs", "500ms", "1.5s", "2m0s", "1h30m0s", "1h0m0.5s",
        ] {
            assert_eq!(parse(text).map(format), Ok(text.to_owned()));
        }
    }
}
