//! promtool, which judges what Prometheus reads.

use crate::{has, root, skip};
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs promtool; what it says if it is not content. `None` = it is not installed.
pub fn promtool(arguments: &[&str], input: &str) -> Option<Result<(), String>> {
    if !has("promtool") {
        skip("promtool is not installed");
        return None;
    }
    let mut child = Command::new("promtool")
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    // It may end before it has read all.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(input.as_bytes());
    let output = child.wait_with_output().expect("promtool ends");
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    Some(if output.status.success() {
        Ok(())
    } else {
        Err(told)
    })
}

/// Fails if promtool does not accept a text of metrics.
pub fn is_accepted(text: &str) {
    if let Some(told) = promtool(&["check", "metrics"], text) {
        assert_eq!(told, Ok(()), "{text}");
    }
}
