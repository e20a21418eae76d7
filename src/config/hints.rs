//! Finds the key that an unknown name was meant to be. A hint at a wrong key may make a host delete too much: in doubt there is no hint.

use super::keys::KEYS;
use super::kubelet_file::fields::FIELDS;

/// Words that turn a key into its opposite, or into one about something else. A hint never adds one of them.
const DIRECTIONS: [&str; 5] = ["minimum", "maximum", "high", "low", "inode"];

/// How many words of a key a name may leave out.
const LEFT_OUT: usize = 2;

/// The key that was meant, if that is certain enough: that of a field of the kubelet's configuration, or the only key with nearly these
/// words.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let letters = |name: &str| name.replace(['-', '_'], "").to_lowercase();
    let field = FIELDS
        .iter()
        .find(|field| letters(field.name) == letters(name));
    if let Some(field) = field {
        return Some(field.key);
    }
    let words = words(name);
    let fits = || {
        let keys = KEYS.iter();
        keys.filter_map(|key| Some((difference(&words, key.name)?, key)))
    };
    let least = fits().map(|(difference, _)| difference).min()?;
    let mut nearest = fits().filter(|(difference, _)| *difference == least);
    let (_, key) = nearest.next()?;
    nearest.next().is_none().then_some(key.name)
}

/// The words of a name, whether `kebab-case`, `snake_case` or `camelCase` with abbreviations in capitals, as flags write them.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let letters: Vec<char> = name.chars().collect();
    for (at, c) in letters.iter().enumerate() {
        let is_lower = |at: Option<usize>| {
            at.and_then(|at| letters.get(at))
                .is_some_and(|c| c.is_lowercase())
        };
        let begins =
            c.is_uppercase() && (is_lower(at.checked_sub(1)) || is_lower(at.checked_add(1)));
        if begins || matches!(c, '-' | '_' | '.') {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    let whole = |word: String| match word.as_str() {
        "min" => "minimum".to_owned(),
        "max" => "maximum".to_owned(),
        _ => word,
    };
    words.into_iter().map(whole).collect()
}

/// How far words are from those of a key; `None` = another key was meant. Each of them has to be a word of the key, with a slip or two.
fn difference(name: &[String], key: &str) -> Option<usize> {
    let mut left = words(key);
    let mut slips = 0;
    for word in name {
        let near = left.iter().enumerate();
        let near = near.map(|(at, of_key)| (distance(word, of_key), at));
        let (slip, at) = near.min()?;
        if slip > (word.chars().count() / 4).max(1) {
            return None;
        }
        slips += slip;
        left.remove(at);
    }
    let is_direction = |word: &String| DIRECTIONS.contains(&word.as_str());
    let is_other = name.is_empty() || left.len() > LEFT_OUT || left.iter().any(is_direction);
    (!is_other).then_some(slips + 4 * left.len())
}

/// How many characters have to be changed, added or removed to turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
