//! What a collector left: the runtime's objects and the files on disk.

use crate::node::Place;
use crisim::node::Node;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// Everything that is there, each as its kind, a blank, and its ID or path.
pub type Left = BTreeSet<String>;

/// How many of each kind one left that the reference did not, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// Whose node it is compared with.
    pub reference: String,
    pub more: BTreeMap<String, usize>,
    pub fewer: BTreeMap<String, usize>,
}

pub fn look(node: &Node, place: &Place) -> io::Result<Left> {
    let mut left = Left::new();
    left.extend(
        node.containers
            .iter()
            .map(|c| format!("container {}", c.id)),
    );
    left.extend(node.sandboxes.iter().map(|s| format!("sandbox {}", s.id)));
    left.extend(node.images.iter().map(|i| format!("image {}", i.id)));
    for top in ["pods", "links"] {
        walk(place, &place.at(top), &mut left)?;
    }
    Ok(left)
}

fn walk(place: &Place, dir: &Path, left: &mut Left) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let word = match (kind.is_dir(), kind.is_symlink()) {
            (true, _) => "directory",
            (_, true) => "link",
            _ => "file",
        };
        left.insert(format!("{word} {}", place.below(&path).display()));
        if kind.is_dir() {
            walk(place, &path, left)?;
        }
    }
    Ok(())
}

impl Differences {
    /// From what `whose` left.
    pub fn between(left: &Left, reference: &Left, whose: &str) -> Differences {
        let count = |one: &Left, other: &Left| {
            let mut kinds = BTreeMap::new();
            for object in one.difference(other) {
                let kind = object.split(' ').next().unwrap_or_default();
                *kinds.entry(kind.to_owned()).or_insert(0) += 1;
            }
            kinds
        };
        Differences {
            reference: whose.to_owned(),
            more: count(left, reference),
            fewer: count(reference, left),
        }
    }

    pub fn is_none(&self) -> bool {
        self.more.is_empty() && self.fewer.is_empty()
    }

    /// In words, such as "leaves 12 files that the kubelet removes".
    pub fn told(&self) -> String {
        let reference = match self.reference.as_str() {
            "kubelet" => "the kubelet",
            other => other,
        };
        let list = |kinds: &BTreeMap<String, usize>| {
            let one = |(kind, count): (&String, &usize)| match (*count, kind.as_str()) {
                (1, kind) => format!("1 {kind}"),
                (count, "directory") => format!("{count} directories"),
                (count, "sandbox") => format!("{count} sandboxes"),
                (count, kind) => format!("{count} {kind}s"),
            };
            kinds.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let mut told = Vec::new();
        if !self.more.is_empty() {
            told.push(format!(
                "leaves {} that {reference} removes",
                list(&self.more)
            ));
        }
        if !self.fewer.is_empty() {
            told.push(format!(
                "removes {} that {reference} keeps",
                list(&self.fewer)
            ));
        }
        told.join("; ")
    }
}
