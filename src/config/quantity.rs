//! Numbers of bytes as Kubernetes writes quantities: `20Gi`, `1.5G`, `500M`, `1e9`, or the number alone.

/// Units and their bytes.
const UNITS: [(&str, u128); 13] = [
    ("", 1),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
];
/// So many digits times the largest unit fit into 128 bits.
const MOST_DIGITS: usize = 20;

/// Reads a number of bytes; the error says what is wrong with it.
pub fn parse(text: &str) -> Result<u64, String> {
    let whole = text.strip_prefix('+').unwrap_or(text);
    if whole.is_empty() {
        return Err("it is empty".to_owned());
    }
    if whole.starts_with('-') {
        return Err("it is negative".to_owned());
    }
    let end = whole.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, suffix) = whole.split_at(end.unwrap_or(whole.len()));
    let (before, after) = number.split_once('.').unwrap_or((number, ""));
    if (before.is_empty() && after.is_empty()) || after.contains('.') {
        return Err("it does not begin with a number".to_owned());
    }
    let after = after.trim_end_matches('0');
    let digits = format!("{before}{after}");
    let digits = digits.trim_start_matches('0');
    if digits.len() > MOST_DIGITS {
        return Err(format!("it has more than {MOST_DIGITS} digits"));
    }
    let (unit, power) = unit(suffix)?;
    match digits.parse::<u128>() {
        Ok(digits) => {
            let decimals = i64::try_from(after.len()).unwrap_or(i64::MAX);
            scaled(digits * unit, power.saturating_sub(decimals))
        }
        // There is no digit but zeros.
        Err(_) => Ok(0),
    }
}

/// The bytes of a unit, and the power of ten behind the number.
fn unit(suffix: &str) -> Result<(u128, i64), String> {
    if let Some((_, bytes)) = UNITS.iter().find(|(name, _)| *name == suffix) {
        return Ok((*bytes, 0));
    }
    let power = suffix.strip_prefix(['e', 'E']).unwrap_or_default();
    let digits = power.strip_prefix(['-', '+']).unwrap_or(power);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("`{suffix}` is not a unit of bytes"));
    }
    let power = power
        .parse()
        .map_err(|_| format!("`{power}` is too many powers of ten"))?;
    Ok((1, power))
}

/// A number times a power of ten.
fn scaled(number: u128, power: i64) -> Result<u64, String> {
    let scale = u32::try_from(power.unsigned_abs()).unwrap_or(u32::MAX);
    let scale = 10u128.checked_pow(scale);
    let bytes = match (power < 0, scale) {
        (false, Some(scale)) => number.checked_mul(scale),
        (false, None) => None,
        (true, Some(scale)) if number.is_multiple_of(scale) => Some(number / scale),
        (true, _) => return Err("it is not a whole number of bytes".to_owned()),
    };
    let bytes = bytes.and_then(|bytes| i64::try_from(bytes).ok());
    let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
    bytes.ok_or_else(|| "it is 2^63 bytes or more".to_owned())
}
