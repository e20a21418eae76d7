//! What a scalar of YAML is, by the rules of YAML 1.1 as the kubelet's library applies them: `yes` is true, 010 is eight, 1_000 is a
//! thousand. Numbers are compared as decimals: to read them as floats would add a table of powers to the library.

use super::document::Value;

/// The tag of a scalar, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// It has none, and no quotes.
    Plain,
    /// `!!str`, or quotes.
    Text,
    Bool,
    Whole,
    Float,
    Null,
}

/// What a scalar is. The error says what is wrong with it.
pub(super) fn resolve(text: &str, tag: Tag) -> Result<Value, String> {
    if tag == Tag::Text {
        return Ok(Value::Text(text.to_owned()));
    }
    let value = plain(text);
    let is_whole = || whole(&text.replace('_', "")).is_some();
    let wanted = match (tag, &value) {
        (Tag::Plain, _)
        | (Tag::Bool, Value::Bool(_))
        | (Tag::Null, Value::Null)
        | (Tag::Float, Value::Whole(_) | Value::Number(_)) => return Ok(value),
        (Tag::Whole, Value::Whole(_)) if is_whole() => return Ok(value),
        (Tag::Bool, _) => "!!bool",
        (Tag::Null, _) => "!!null",
        (Tag::Float, _) => "!!float",
        _ => "!!int",
    };
    Err(format!("it is tagged {wanted}, but is {}", value.shown()))
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return Value::Number(text.to_owned()),
        _ => {}
    }
    let number = match text.bytes().next() {
        Some(b'.') => decimal(text),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let digits = text.replace('_', "");
            whole(&digits).or_else(|| decimal(&digits))
        }
        _ => None,
    };
    number.unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// Whether a minus is in front, and what is behind the sign.
fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix(['+', '-']) {
        Some(unsigned) => (text.starts_with('-'), unsigned),
        None => (false, text),
    }
}

/// A whole number as Go reads it: decimal, or with 0x, 0o, 0b or 0 in front.
fn whole(text: &str) -> Option<Value> {
    let (minus, unsigned) = sign(text);
    let (radix, digits) = match unsigned.get(..2) {
        Some("0x" | "0X") => (16, &unsigned[2..]),
        Some("0o" | "0O") => (8, &unsigned[2..]),
        Some("0b" | "0B") => (2, &unsigned[2..]),
        Some(two) if two.starts_with('0') => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    let number = if minus {
        0i64.checked_sub_unsigned(size)
    } else {
        i64::try_from(size).ok()
    };
    match number {
        Some(number) => Some(Value::Whole(number)),
        // Without a sign Go reads 64 bits.
        None if unsigned == text => Some(Value::Number(text.to_owned())),
        None => None,
    }
}

/// A decimal number. Go writes one as JSON without a point if nothing is behind it, so 85.0 and 8.5e1 are whole numbers.
pub(super) fn decimal(text: &str) -> Option<Value> {
    let (minus, unsigned) = sign(text);
    let (number, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (before, after) = number.split_once('.').unwrap_or((number, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let power = sign(exponent).1;
    let is_number = are_digits(before)
        && are_digits(after)
        && are_digits(power)
        && !(before.is_empty() && after.is_empty())
        && !power.is_empty();
    if !is_number {
        return None;
    }
    let size = without_point(before, after, exponent);
    Some(match size {
        Some(size) if minus => Value::Whole(-size),
        Some(size) => Value::Whole(size),
        None => Value::Number(text.to_owned()),
    })
}

/// A number without a sign, unless something is behind the point, or 64 bits do not hold it.
fn without_point(before: &str, after: &str, exponent: &str) -> Option<i64> {
    let digits = format!("{before}{after}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let length = |text: &str| i64::try_from(text.len()).ok();
    let zeros = length(digits)? - length(significant)? - length(after)?;
    let zeros = exponent.parse::<i64>().ok()?.checked_add(zeros)?;
    let scale = 10i64.checked_pow(u32::try_from(zeros).ok()?)?;
    significant.parse::<i64>().ok()?.checked_mul(scale)
}
