//! One cause is told once: failures that have it in common are counted behind the first of them. What failed for it, object by object,
//! is in the report.

/// How many causes are told; what fails for yet others is counted.
const MOST: usize = 10;

/// What a message says of its cause. Our messages name what failed, for what cause, and the way out: `cannot remove container ID at
/// unix:///run/x.sock: busy; see the runtime's log`. The cause is behind the first `: `, without the words that name an object, a place
/// or a number: those of `names`, and those with a digit or a slash.
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

/// A cause, and what failed for it.
#[derive(Debug)]
struct Cause {
    /// Of what the failures are: objects of a kind, errors of a status.
    of: &'static str,
    cause: String,
    first: String,
    times: usize,
}

/// The causes of some failures, in the order in which they came up.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    told: Vec<Cause>,
    /// What failed for yet other causes.
    others: usize,
}

impl Causes {
    /// One more failure; true = its cause is a new one, to be told now. `names` are the words by which the message names its object.
    pub(crate) fn add(&mut self, of: &'static str, names: &[&str], message: &str) -> bool {
        let cause = cause(message, names);
        let mut known = self.told.iter_mut();
        if let Some(known) = known.find(|known| known.of == of && known.cause == cause) {
            known.times += 1;
            return false;
        }
        if self.told.len() == MOST {
            self.others += 1;
            return false;
        }
        self.told.push(Cause {
            of,
            cause,
            first: message.to_owned(),
            times: 1,
        });
        true
    }

    /// All in one message.
    pub(crate) fn message(&self) -> String {
        let told = self.told.iter().map(|cause| match cause.times {
            1 => cause.first.clone(),
            times => format!("{} ({times} times)", cause.first),
        });
        let others = (self.others > 0).then(|| format!("and {} more, see the report", self.others));
        told.chain(others).collect::<Vec<_>>().join("; ")
    }

    /// What is to be told behind the first of each cause: a line for each that came more than once, and one for those that were not told.
    pub(crate) fn rest(&self) -> Vec<String> {
        let often = self.told.iter().filter(|cause| cause.times > 1);
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
            ("no object at all", "", "no object at all"),
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
        assert_eq!(causes.told.len(), MOST);
        assert!(causes.message().ends_with("; and 18 more, see the report"));
        assert_eq!(causes.rest().len(), 2);
    }
}
