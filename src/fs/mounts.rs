//! The table of mounts of this process.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The device of a directory's filesystem, and the directory's path in that filesystem, by the mount it is on and its resolved path;
/// `None` = unknown.
pub fn place(mount: u64, path: &Path) -> Option<(Vec<u8>, PathBuf)> {
    let table = std::fs::read("/proc/self/mountinfo").ok()?;
    let id = mount.to_string();
    let mut lines = table.split(|&byte| byte == b'\n');
    let line = lines.find(|line| line.split(|&byte| byte == b' ').next() == Some(id.as_bytes()))?;
    // ID, parent, device, root of the mount in its filesystem, mount point.
    let mut fields = line.split(|&byte| byte == b' ').skip(2);
    let device = fields.next()?.to_vec();
    let mut next = || Some(PathBuf::from(OsString::from_vec(unescaped(fields.next()?))));
    let (root, point) = (next()?, next()?);
    Some((device, root.join(path.strip_prefix(point).ok()?)))
}

/// The mount points that this process sees; none = unknown.
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
