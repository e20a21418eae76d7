//! Images that the host exempts by pattern (S5.3, `image-gc-exempt`).

use crate::node::{Image, Text};

/// Patterns over whole tags, digests and IDs: `*` stands for any run of characters, `?` for one; case-sensitive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exempt(Vec<(Text, Vec<char>)>);

impl Exempt {
    /// Takes the patterns as the key has them.
    pub fn new(patterns: &[String]) -> Exempt {
        let pattern = |p: &String| (Text::from(&**p), p.chars().collect());
        Exempt(patterns.iter().map(pattern).collect())
    }

    /// The patterns that match no image.
    pub fn unmatched(&self, images: &[Image]) -> Vec<String> {
        let is_used = |pattern: &(Text, Vec<char>)| {
            let one = Exempt(vec![pattern.clone()]);
            images.iter().any(|image| one.matches(image))
        };
        let unmatched = self.0.iter().filter(|pattern| !is_used(pattern));
        unmatched.map(|(text, _)| text.to_string()).collect()
    }

    /// Whether a pattern matches the ID, a tag or a digest as the runtime gave it.
    pub fn matches(&self, image: &Image) -> bool {
        self.pattern(image).is_some()
    }

    /// The pattern that matches one of these.
    pub fn pattern(&self, image: &Image) -> Option<&Text> {
        let names = std::iter::once(&image.id)
            .chain(&image.tags)
            .chain(&image.digests);
        let matching = |name: Vec<char>| self.0.iter().find(|(_, pattern)| matches(pattern, &name));
        let mut names = names.map(|name| name.chars().collect());
        names.find_map(matching).map(|(text, _)| text)
    }
}

/// Matches in time proportional to the product of both lengths: it backtracks to the last `*` only.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}
