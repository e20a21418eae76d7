//! The kubelet's own configuration files and what they set, by the tables that are also run through the kubelet's loader
//! (`go/comparison/latest/testdata/kubelet-files`).

use crigc::config::Settings;
use crigc::error::Result;
use crigc::hooks::Hooks;
use crigc::load::load;
use std::fs;
use std::path::Path;

const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

/// What has to happen in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Set,
    Refused,
}

struct Case {
    name: String,
    /// Paths with contents, or with where they lead.
    files: Vec<(String, Content)>,
    outcome: Outcome,
    /// Keys with their values, or parts of the error.
    lines: Vec<String>,
}

enum Content {
    Bytes(Vec<u8>),
    Link(String),
}

/// A line with escapes.
fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some((before, escape)) = rest.split_once('\\') {
        bytes.extend(before.bytes());
        let (kind, after) = escape.split_at(1);
        rest = after;
        match kind {
            "t" => bytes.push(b'\t'),
            "r" => bytes.push(b'\r'),
            "\\" => bytes.push(b'\\'),
            "x" => {
                let (digits, after) = after.split_at(2);
                bytes.push(u8::from_str_radix(digits, 16).expect(line));
                rest = after;
            }
            "c" => return bytes,
            _ => panic!("{line}"),
        }
    }
    bytes.extend(rest.bytes());
    bytes.push(b'\n');
    bytes
}

fn content(lines: &[&str]) -> Vec<u8> {
    let bytes = |line: &&str| match (*line, line.strip_prefix('|')) {
        ("@", _) => HEAD.as_bytes().to_vec(),
        (_, Some(line)) => unescaped(line),
        (line, None) => format!("{line}\n").into_bytes(),
    };
    lines.iter().flat_map(bytes).collect()
}

fn case(text: &str) -> Case {
    let mut parts = text.split("\n>> ");
    let name = parts.next().expect("a name").trim().to_owned();
    let mut case = Case {
        name,
        files: Vec::new(),
        outcome: Outcome::Set,
        lines: Vec::new(),
    };
    let mut outcomes = 0;
    for part in parts {
        let mut lines: Vec<&str> = part.trim_end_matches('\n').split('\n').collect();
        let head = lines.remove(0);
        let outcome = match head {
            "settings" | "refused by the kubelet alone" => Some(Outcome::Set),
            "error" | "refused by crigc alone" => Some(Outcome::Refused),
            _ => None,
        };
        if let Some(outcome) = outcome {
            outcomes += 1;
            case.outcome = outcome;
            case.lines = lines.into_iter().map(str::to_owned).collect();
        } else if let Some((path, target)) = head.split_once(" -> ") {
            let link = Content::Link(target.to_owned());
            case.files.push((path.to_owned(), link));
        } else {
            let bytes = Content::Bytes(content(&lines));
            case.files.push((head.to_owned(), bytes));
        }
    }
    assert_eq!(outcomes, 1, "{}: one outcome", case.name);
    case
}

fn cases() -> Vec<Case> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("go/comparison/latest/testdata/kubelet-files");
    let mut all = Vec::new();
    for table in ["values", "syntax", "merging", "distributions"] {
        let text = fs::read_to_string(folder.join(format!("{table}.txt"))).expect(table);
        all.extend(text.split("\n>>> ").skip(1).map(case));
    }
    all
}

fn write(folder: &Path, path: &str, content: &Content) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    match content {
        Content::Bytes(bytes) => fs::write(path, bytes).expect("writable"),
        Content::Link(target) => std::os::unix::fs::symlink(target, path).expect("writable"),
    }
}

/// Loads the file of a case, and then its directory.
fn load_case(case: &Case, folder: &Path) -> Result<Settings> {
    for (path, content) in &case.files {
        write(folder, path, content);
    }
    let mut settings = Settings::default();
    let of_file = case.files.iter().find(|(p, _)| p.starts_with("kubelet."));
    let of_directory = case.files.iter().find(|(p, _)| p.starts_with("conf.d"));
    let paths = [
        of_file.map(|(path, _)| path.as_str()),
        of_directory.map(|_| "conf.d"),
    ];
    for path in paths.into_iter().flatten() {
        load(&shown(&folder.join(path)), &mut settings, &Hooks::default())?;
    }
    settings.config().check()?;
    Ok(settings)
}

fn shown(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// All keys as they should be: those of the lines, and the defaults.
fn wanted(lines: &[String], folder: &Path) -> Settings {
    let mut settings = Settings::default();
    for line in lines {
        let (key, value) = line.split_once(' ').expect(line);
        let normal =
            |value: &str| value.replace("$DIR/..", &shown(folder.parent().expect("a folder")));
        let value = normal(value).replace("$DIR", &shown(folder));
        settings.set(key, &value).expect(line);
    }
    settings
}

#[test]
fn files_set_what_they_set_in_the_kubelet() {
    let cases = cases();
    assert!(cases.len() > 100, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let tmp = tempfile::tempdir().expect("a folder");
        // The name of a file is not a pattern of a message.
        let folder = tmp.path().join("case");
        fs::create_dir(&folder).expect("a folder");
        match (case.outcome, load_case(&case, &folder)) {
            (Outcome::Set, Ok(settings)) => {
                let (is, wanted) = (settings.config(), wanted(&case.lines, &folder).config());
                if is != wanted {
                    wrong.push(format!("{}: {is:?}\n not {wanted:?}", case.name));
                }
            }
            (Outcome::Refused, Err(e)) => {
                let says = |line: &&String| !e.message.contains(line.as_str());
                for line in case.lines.iter().filter(says) {
                    wrong.push(format!("{}: {e}\n does not say {line}", case.name));
                }
                if case.lines.is_empty() {
                    wrong.push(format!("{}: what does the error say?", case.name));
                }
            }
            (outcome, is) => wrong.push(format!("{}: {outcome:?}, but {is:?}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
