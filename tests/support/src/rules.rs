//! Counts which rules of docs/rules.md the tests exercise; `tests/rules.sh` sums up what is written here.

use std::collections::BTreeMap;
use std::io::Write;

/// The counts of one test; written when it is dropped, so that a panic loses nothing.
#[derive(Default)]
pub struct Rules(BTreeMap<(&'static str, &'static str), u64>);

impl Rules {
    /// A case of a table.
    pub fn case(&mut self, rule: &'static str) {
        *self.0.entry((rule, "case")).or_default() += 1;
    }

    /// A random node on which the rule did something.
    pub fn node(&mut self, rule: &'static str) {
        *self.0.entry((rule, "node")).or_default() += 1;
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        let Some(path) = std::env::var_os("CRIGC_RULES") else {
            return;
        };
        let lines: String = self
            .0
            .iter()
            .map(|((rule, what), count)| format!("{rule} {what} {count}\n"))
            .collect();
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path);
        // One write: lines of several processes do not mix.
        let written = file.and_then(|mut file| file.write_all(lines.as_bytes()));
        if let Err(e) = written {
            eprintln!("cannot count rules: {e}");
        }
    }
}
