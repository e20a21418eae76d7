//! Failures with the same cause are logged and returned once, with their number. The report has each object's own error.

/// How many causes are kept apart; failures of further causes are only counted.
const MOST: usize = 10;

/// The part of a message that is its cause. Our messages name what failed, the cause, and what to do: `cannot remove container ID at
/// unix:///run/x.sock: busy; see the runtime's log`. The cause begins after the first `: `. Words that name an object, a place or a
/// number are left out: those of `names`, and those with a digit or a slash.
fn cause(message: &str, names: &[&str]) -> String {
    let behind = message.split_once(": ").map_or(message, |(_, rest)| rest);
    let names_something = |word: &str| {
        word.contains(|c: char| c == '/' || c.is_ascii_digit())
            || names.contains(&word.trim_matches(|c: char| c.is_ascii_punctuation()))
    };
    let words = behind.split_whitespace();
    let words: Vec<&str> = words.filter(|word| !names_something(word)).collect();
    words.join(" ")
}

/// A cause, and the failures that have it.
#[derive(Debug)]
struct Cause {
    /// What failed: objects of a kind, errors of a status.
    of: &'static str,
    cause: String,
    first: String,
    times: usize,
}

/// The causes of some failures, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    known: Vec<Cause>,
    /// How many failed for further causes.
    others: usize,
}

impl Causes {
    /// Adds a failure; true = its cause is new, to be logged now. `names` are the words by which the message names its object.
    pub(crate) fn add(&mut self, of: &'static str, names: &[&str], message: &str) -> bool {
        let cause = cause(message, names);
        let mut known = self.known.iter_mut();
        if let Some(same) = known.find(|known| known.of == of && known.cause == cause) {
            same.times += 1;
            return false;
        }
        if self.known.len() == MOST {
            self.others += 1;
            return false;
        }
        self.known.push(Cause {
            of,
            cause,
            first: message.to_owned(),
            times: 1,
        });
        true
    }

    /// All causes in one message.
    pub(crate) fn message(&self) -> String {
        let known = self.known.iter().map(|cause| match cause.times {
            1 => cause.first.clone(),
            times => format!("{} ({times} times)", cause.first),
        });
        let others = (self.others > 0).then(|| format!("and {} more, see the report", self.others));
        known.chain(others).collect::<Vec<_>>().join("; ")
    }

    /// Lines for the log after the first failure of each cause: one for each cause that came more than once, and one for further causes.
    pub(crate) fn rest(&self) -> Vec<String> {
        let often = self.known.iter().filter(|cause| cause.times > 1);
        let line = |cause: &Cause| {
            format!(
                "could not remove {} {} for one cause, such as: {}",
                cause.times, cause.of, cause.first
            )
        };
        let mut lines: Vec<String> = often.map(line).collect();
        if self.others > 0 {
            lines.push(format!(
                "could not remove {} more objects for other causes; the report names them",
                self.others
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_what_a_message_says_without_its_object() {
        let cases = [
            (
                "cannot remove container a1 at unix:///r.sock: Internal: container \"a1\" is busy; see the runtime's log",
                "a1",
                "Internal: container is busy; see the runtime's log",
            ),
            (
                "cannot delete /var/log/pods/a_b_c/d/0.log: Is a directory (os error 21); see whether it is a directory or immutable",
                "x",
                "Is a directory (os error see whether it is a directory or immutable",
            ),
            ("a message without colon", "", "a message without colon"),
        ];
        for (message, name, want) in cases {
            assert_eq!(cause(message, &[name]), want);
        }
    }

    #[test]
    fn what_has_one_cause_is_counted_and_many_causes_are_bounded() {
        let mut causes = Causes::default();
        assert!(causes.add("container", &["x"], "cannot remove x: busy"));
        assert!(!causes.add("container", &["y"], "cannot remove y: busy"));
        assert!(causes.add("image", &["z"], "cannot remove z: busy"));
        assert_eq!(
            causes.message(),
            "cannot remove x: busy (2 times); cannot remove z: busy"
        );
        for n in 'a'..='z' {
            causes.add("image", &[], &format!("cannot remove z: {n}"));
        }
        assert_eq!(causes.known.len(), MOST);
        assert!(causes.message().ends_with("; and 18 more, see the report"));
        assert_eq!(causes.rest().len(), 2);
    }
}
