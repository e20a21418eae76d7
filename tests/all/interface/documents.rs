//! Documents name only what exists: relative links, and paths in backticks.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose files the documents name from the root.
const FOLDERS: [&str; 14] = [
    "benches/",
    "deploy/",
    "docs/",
    "examples-c/",
    "ffi-tests/",
    "fuzz/",
    "go/",
    "include/",
    "panic-tests/",
    "proto/",
    "python/",
    "crisim/",
    "src/",
    "tests/",
];

/// The *.md files of the tree.
fn documents(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable tree") {
            let path = entry.expect("a readable tree").path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found
}

/// The text between `open` and `close`.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    let inside = move |rest: &'a str| rest.split_once(close).map(|(inside, _)| inside);
    text.split(open).skip(1).filter_map(inside)
}

#[test]
fn documents_name_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = documents(root);
    assert!(documents.len() >= 10, "{documents:?}");
    let mut missing = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).expect("a readable document");
        let folder = document.parent().expect("a folder");
        let links = between(&text, "](", ")").filter(|link| !link.contains("://"));
        let links = links.filter_map(|link| link.split('#').next());
        let is_path = |word: &&str| {
            FOLDERS.iter().any(|folder| word.starts_with(folder))
                && !word.contains([' ', '*', '<', '{'])
        };
        // Every other piece is between backticks; a fence of three leaves the count of pieces odd.
        let words = text
            .lines()
            .flat_map(|line| line.split('`').skip(1).step_by(2))
            .filter(is_path);
        let paths = links
            .map(|link| folder.join(link))
            .chain(words.map(|word| root.join(word)));
        missing.extend(
            paths
                .filter(|path| !path.exists())
                .map(|path| (document.clone(), path)),
        );
    }
    assert!(
        missing.is_empty(),
        "documents name what is not there: {missing:#?}"
    );
}

/// docs/compatibility.md names the releases that the tests build.
#[test]
fn the_releases_are_those_that_are_built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |path: &str| fs::read_to_string(root.join(path)).expect(path);
    let page = text("docs/compatibility.md");
    for (module, name, before) in [
        (
            "ffi-tests/containerd2/go.mod",
            "github.com/containerd/containerd/v2",
            "containerd ",
        ),
        ("ffi-tests/crio/go.mod", "github.com/cri-o/cri-o", "CRI-O "),
        (
            "ffi-tests/crictl/go.mod",
            "github.com/kubernetes-sigs/cri-tools",
            "crictl v",
        ),
        (
            "go/comparison/latest/go.mod",
            "k8s.io/kubernetes",
            "the kubelet's own code of v",
        ),
        ("go/comparison/oldest/go.mod", "k8s.io/kubernetes", " and v"),
    ] {
        let requirements = text(module);
        let version = requirements
            .lines()
            .find_map(|line| {
                line.trim()
                    .trim_start_matches("require ")
                    .strip_prefix(&format!("{name} v"))
            })
            .and_then(|rest| rest.split(' ').next())
            .expect(module);
        let said = format!("{before}{version}");
        assert!(
            page.contains(&said),
            "docs/compatibility.md does not say {said}"
        );
    }
}
