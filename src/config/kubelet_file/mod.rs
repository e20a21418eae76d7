//! KubeletConfiguration files: which keys they set. A file is read as that of the kubelet's `--config`, and drop-in files as those of its
//! `--config-dir`: merged first, and decoded once they are. Fields that set no key are ignored, whatever is wrong with them. The files
//! themselves are read by `load`.

mod decode;
mod document;
pub mod fields;
mod json;
mod scalar;
mod yaml;

use self::decode::{Decoding, decoded};
use self::document::{Document, Named, Place, Value};
use self::fields::{FIELDS, Field};
use super::{HOST_ROOT_KEY, Settings};
use crate::error::{Error, Result, Status};
use crate::report::visible;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What is told about a file that is used.
pub type Notes = Vec<String>;

/// The keys that files set, or put back to their defaults.
type Keys = Vec<(&'static str, String)>;

fn refused(path: &str, place: Option<Place>, why: &str) -> Error {
    let place = place.map_or(String::new(), |at| format!(":{}:{}", at.line, at.column));
    Error::new(Status::Config, format!("{path}{place}: {why}"))
}

fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy())
}

/// Reads a KubeletConfiguration.
fn read(path: &str, bytes: &[u8], notes: &mut Notes) -> Result<Document> {
    let document = Document::read(bytes).map_err(|e| refused(path, Some(e.place), &e.why))?;
    document
        .check_type()
        .map_err(|(place, why)| refused(path, place, &why))?;
    if document.has_more {
        notes.push(format!(
            "{path} holds several documents; as for the kubelet, only the first counts"
        ));
    }
    Ok(document)
}

impl Settings {
    /// Sets what the file of the kubelet's `--config` names; `path` is absolute. If something is wrong with it, nothing is set.
    pub fn load_file(&mut self, path: &Path, bytes: &[u8]) -> Result<Notes> {
        let name = shown(path);
        let mut notes = Notes::new();
        let document = read(&name, bytes, &mut notes)?;
        if let Some((field, at)) = &document.twice {
            notes.push(format!(
                "{name}:{}:{}: {} is there twice; as for the kubelet, the last one counts",
                at.line,
                at.column,
                visible(field)
            ));
        }
        let directory = self.seen_from_host(path.parent().unwrap_or(path));
        let decoding = Decoding::File {
            directory: &directory,
            is_json: document.is_json,
        };
        let mut keys = Keys::new();
        for found in &document.fields {
            match FIELDS.iter().find(|f| fields::same(f.name, &found.name)) {
                Some(field) if field.name == found.name => {
                    let text = decoded(field, found, &name, decoding)?;
                    keys.push((field.key, text));
                }
                Some(field) => notes.push(format!(
                    "{name}:{}:{}: {} is ignored, as by the kubelet; the field is {}",
                    found.place.line,
                    found.place.column,
                    visible(&found.name),
                    field.name
                )),
                None => {}
            }
        }
        self.set_all(keys)?;
        Ok(notes)
    }

    /// A directory of this process as the host names it, if it is below `host-root`: pod-logs-dir is a path of the host.
    fn seen_from_host(&self, directory: &Path) -> PathBuf {
        let root = self.get(HOST_ROOT_KEY).unwrap_or_default();
        match directory.strip_prefix(root) {
            Ok(below) if !root.is_empty() => Path::new("/").join(below),
            _ => directory.to_owned(),
        }
    }

    fn set_all(&mut self, keys: Keys) -> Result<()> {
        let mut changed = self.clone();
        for (key, text) in keys {
            changed.set(key, &text)?;
        }
        *self = changed;
        Ok(())
    }
}

/// A field that has been merged.
struct Merged {
    name: String,
    /// The file that it comes from; `None` = it was there before the files.
    origin: Option<(Rc<str>, Named)>,
}

/// Drop-in files that are being merged. As in the kubelet they are merged as JSON, where a name in another case is another field, and
/// are decoded in the order of names, where it is the same one.
pub struct DropIns {
    merged: Vec<Merged>,
}

impl DropIns {
    /// Begins with what is set.
    pub fn onto(settings: &Settings) -> DropIns {
        let is_there = |field: &&Field| {
            // The kubelet leaves this one out while it is empty.
            field.key != "image-service-endpoint" || settings.get(field.key) != Ok("")
        };
        let before = |field: &Field| Merged {
            name: field.name.to_owned(),
            origin: None,
        };
        DropIns {
            merged: FIELDS.iter().filter(is_there).map(before).collect(),
        }
    }

    /// Merges the next file.
    pub fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<Notes> {
        let name = shown(path);
        let mut notes = Notes::new();
        let document = read(&name, bytes, &mut notes)?;
        if let Some((field, place)) = document.twice {
            let why = format!(
                "{} is there twice, which the kubelet does not take in a drop-in file; leave one of them out",
                visible(&field)
            );
            return Err(refused(&name, Some(place), &why));
        }
        let name: Rc<str> = name.into();
        for field in document.fields {
            self.merged.retain(|merged| merged.name != field.name);
            if field.value != Value::Null {
                self.merged.push(Merged {
                    name: field.name.clone(),
                    origin: Some((Rc::clone(&name), field)),
                });
            }
        }
        Ok(notes)
    }

    /// Sets what the files name. If something is wrong with a value that no later file replaces, nothing is set.
    pub fn apply(self, settings: &mut Settings) -> Result<()> {
        let mut keys = Keys::new();
        for field in &FIELDS {
            // One that is there no more was put back.
            let (mut last, mut text) = ("", Some(field.key().default.to_owned()));
            for merged in &self.merged {
                if !fields::same(&merged.name, field.name) {
                    continue;
                }
                let decoded = match &merged.origin {
                    Some((path, found)) => Some(decoded(field, found, path, Decoding::Merged)?),
                    None => None,
                };
                if merged.name.as_str() > last {
                    (last, text) = (&merged.name, decoded);
                }
            }
            keys.extend(text.map(|text| (field.key, text)));
        }
        settings.set_all(keys)
    }
}
