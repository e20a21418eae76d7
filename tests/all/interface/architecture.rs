//! The picture of the modules in docs/architecture.md is true: what each imports, and that no arrow leads upward or to the same layer, so
//! that there is no circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each module imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// In front of the picture.
const MARK: &str =
    "<!-- The modules; tests/all/interface/architecture.rs compares this with src/. -->";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files of a folder, and of those in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
    all
}

/// The code without comments, and without what only tests have. rustfmt puts the end of an item at the begin of a line.
fn without_tests(source: &str) -> String {
    let mut code = String::new();
    for line in source.lines() {
        let comment = line.find("//").filter(|&at| {
            let before = &line[..at];
            before.is_empty() || before.ends_with(char::is_whitespace)
        });
        code.push_str(&line[..comment.unwrap_or(line.len())]);
        code.push('\n');
    }
    while let Some(begin) = code.find("\n#[cfg(test)]") {
        let item = &code[begin..];
        let end = match (item.find(';'), item.find('{')) {
            (Some(semicolon), brace) if brace.is_none_or(|brace| semicolon < brace) => semicolon,
            _ => item.find("\n}").expect("an item ends") + 1,
        };
        code.replace_range(begin..=begin + end, "\n");
    }
    code
}

/// The first names of the paths behind `crate::`, with those of a group.
fn named(behind: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
        text.trim_start().chars().take_while(is_part).collect()
    };
    let Some(group) = behind.strip_prefix('{') else {
        return vec![name(behind)];
    };
    let mut names = vec![name(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The modules that a file imports; `depth`: how many `super` lead to the crate.
fn imports(source: &str, depth: usize) -> BTreeSet<String> {
    let code = without_tests(source);
    let to_crate = "super::".repeat(depth);
    let mut all = BTreeSet::new();
    for way in ["crate::", &to_crate] {
        for (at, _) in code.match_indices(way) {
            let before = code[..at].chars().next_back();
            let is_path = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':');
            if is_path {
                all.extend(named(&code[at + way.len()..]));
            }
        }
    }
    all
}

/// The modules of `src/`, each a file or a folder, with what they import.
fn real() -> Imports {
    let src = root().join("src");
    let mut all = Imports::new();
    for path in files(&src) {
        let inside = path.strip_prefix(&src).unwrap();
        let parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap()).collect();
        let name = parts[0].trim_end_matches(".rs");
        if name == "lib" || parts.last() == Some(&"tests.rs") {
            continue;
        }
        let depth = parts.len() - usize::from(parts.last() == Some(&"mod.rs"));
        let found = imports(&fs::read_to_string(&path).unwrap(), depth);
        all.entry(name.to_owned()).or_default().extend(found);
    }
    for (name, found) in &mut all {
        found.remove(name);
    }
    all
}

/// The layers of the picture from above, each with its modules and what they import.
fn picture(text: &str) -> Vec<Imports> {
    let (_, behind) = text.split_once(MARK).expect("the picture");
    let block = behind.split("```").nth(1).expect("a block of text");
    let (_, lines) = block.split_once('\n').expect("lines");
    let mut layers = vec![Imports::new()];
    for line in lines.lines().map(str::trim) {
        let Some((name, imports)) = line.split_once(':') else {
            layers.push(Imports::new());
            continue;
        };
        let imports = imports.split_whitespace().map(str::to_owned).collect();
        layers
            .last_mut()
            .unwrap()
            .insert(name.trim().to_owned(), imports);
    }
    layers.retain(|layer| !layer.is_empty());
    layers
}

/// The faults of a picture.
fn problems(layers: &[Imports], real: &Imports) -> Vec<String> {
    let mut problems = Vec::new();
    let layer_of = |name: &str| layers.iter().position(|layer| layer.contains_key(name));
    let shown: Imports = layers
        .iter()
        .flatten()
        .map(|(n, i)| (n.clone(), i.clone()))
        .collect();
    if layers.iter().map(Imports::len).sum::<usize>() != shown.len() {
        problems.push("a module stands in it twice".to_owned());
    }
    for name in shown.keys().chain(real.keys()).collect::<BTreeSet<_>>() {
        match (shown.get(name), real.get(name)) {
            (None, _) => problems.push(format!("{name} is missing in it")),
            (_, None) => problems.push(format!("{name} is no module of src/")),
            (Some(shown), Some(real)) if shown != real => {
                let real: Vec<&str> = real.iter().map(String::as_str).collect();
                problems.push(format!("it should say `{name}: {}`", real.join(" ")));
            }
            _ => {}
        }
    }
    for (name, imports) in real {
        for import in imports {
            if layer_of(name) >= layer_of(import) {
                problems.push(format!("{name} imports {import}, which is not below it"));
            }
        }
    }
    problems
}

#[test]
fn the_picture_of_the_modules_is_true_and_no_arrow_leads_upward() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let problems = problems(&picture(&text), &real());
    assert!(
        problems.is_empty(),
        "the picture of the modules:\n{}",
        problems.join("\n")
    );
}

#[test]
fn a_picture_that_is_not_true_is_found() {
    let layers = |text: &str| picture(&format!("{MARK}\n```text\n{text}\n```"));
    let cases = [
        ("a: b c\n\nb: c\n\nc:", "a: b c\nb: c\nc:", 0),
        // An import that it does not show, and one that it invents.
        ("a: b\n\nb:\n\nc:", "a: b c\nb:\nc:", 1),
        ("a: b c\n\nb:\n\nc:", "a: b\nb:\nc:", 1),
        // Upward, to the side, in a circle.
        ("a:\n\nb: a", "a:\nb: a", 1),
        ("a: b\nb:", "a: b\nb:", 1),
        ("a: b\n\nb: a", "a: b\nb: a", 1),
        // A module that is missing, one that is none, one that stands twice.
        ("a:", "a:\nb:", 1),
        ("a:\nb:", "a:", 1),
        ("a: b\n\nb:\n\na: b", "a: b\nb:", 1),
    ];
    for (shown, is, wrong) in cases {
        let real = layers(is).remove(0);
        let found = problems(&layers(shown), &real);
        assert_eq!(found.len(), wrong, "{shown:?}, {is:?}: {found:?}");
    }
}

#[test]
fn imports_are_found_however_they_are_written() {
    let source = "//! crate::no
use crate::a::{B, c::D};
use crate::{d, e::F, g::{H, I}};
pub use super::k::L;
// crate::no
fn f(x: crate::h::X) { \"unix://x\"; let no = xcrate::no; crate::i::j() }
#[cfg(test)]
mod tests {
    use crate::no::X;
    fn f() {}
}
#[cfg(test)]
mod more;
fn g() { crate::z::y(); }
";
    let found: Vec<String> = imports(source, 1).into_iter().collect();
    assert_eq!(found, ["a", "d", "e", "g", "h", "i", "k", "z"]);
    let deep = imports("use super::super::a::B; use super::no::C;", 2);
    assert_eq!(deep, BTreeSet::from(["a".to_owned()]));
}
