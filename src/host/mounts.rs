//! Where something is mounted.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The mount points that this process sees; none where nobody tells.
pub fn mounts() -> Vec<PathBuf> {
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let lines = table.split(|&byte| byte == b'\n');
    lines
        .filter_map(|line| line.split(|&byte| byte == b' ').nth(4))
        .map(|path| PathBuf::from(OsString::from_vec(unescaped(path))))
        .collect()
}

/// The kernel writes blanks and the like as a backslash and three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|d| std::str::from_utf8(d).ok());
        let octal = digits.and_then(|d| u8::from_str_radix(d, 8).ok());
        match (byte, octal) {
            (b'\\', Some(byte)) => {
                out.push(byte);
                rest = &after[3..];
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}
