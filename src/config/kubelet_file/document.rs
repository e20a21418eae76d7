//! A file as its text was read, whether JSON or YAML: the fields that matter here, each with its place.

use super::fields::{self, API_VERSION, KIND};
use super::{json, yaml};
use crate::report::visible;

/// The value of a field. What is in a list or an object does not matter, because no field that is read here is one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// Another number, as it is written.
    Number(String),
    Text(String),
    List,
    Object,
}

impl Value {
    /// What it is, for messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Bool(truth) => truth.to_string(),
            Value::Whole(number) => format!("the number {number}"),
            Value::Number(number) => format!("the number {number}"),
            Value::Text(text) => format!("the text `{}`", visible(text)),
            Value::List => "a list".to_owned(),
            Value::Object => "an object".to_owned(),
        }
    }
}

/// A line and a column, from 1 on; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    /// The place behind a text that begins here.
    pub(super) fn after(self, text: &str) -> Place {
        text.chars().fold(self, |at, c| match c {
            '\n' => Place {
                line: at.line + 1,
                column: 1,
            },
            _ => Place {
                column: at.column + 1,
                ..at
            },
        })
    }

    /// Where this byte of a text is.
    pub(super) fn of(text: &[u8], at: usize) -> Place {
        let before = text.get(..at).unwrap_or(text);
        let line_begin = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |n| n + 1);
        Place {
            line: before.iter().filter(|b| **b == b'\n').count() + 1,
            column: String::from_utf8_lossy(&before[line_begin..])
                .chars()
                .count()
                + 1,
        }
    }
}

/// Why a text cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) why: String,
}

impl Fault {
    pub(super) fn new(place: Place, why: impl Into<String>) -> Fault {
        let why = why.into();
        Fault { place, why }
    }
}

/// A field by its name as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) value: Value,
    pub(super) place: Place,
}

/// The fields of a file, each once.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) fields: Vec<Named>,
    /// A field that is there twice: the second one.
    pub(super) twice: Option<(String, Place)>,
    /// Whether it is JSON, where 85.0 is not a whole number.
    pub(super) is_json: bool,
    /// Whether other documents follow.
    pub(super) has_more: bool,
}

impl Document {
    /// Reads a file. As for the kubelet, it is JSON if it begins with a brace, and YAML otherwise.
    pub(super) fn read(bytes: &[u8]) -> Result<Document, Fault> {
        let text = str::from_utf8(bytes)
            .map_err(|e| Fault::new(Place::of(bytes, e.valid_up_to()), "it is not UTF-8"))?;
        if text.trim_start().starts_with('{') {
            json::read(text)
        } else {
            yaml::read(text.strip_prefix('\u{feff}').unwrap_or(text))
        }
    }

    /// The field of this name, in whatever case; of several the one that Go reads last.
    fn meta(&self, name: &str) -> Option<&Named> {
        let named = self.fields.iter().filter(|f| fields::same(&f.name, name));
        named.max_by(|a, b| a.name.cmp(&b.name))
    }

    /// Refuses all but a KubeletConfiguration of v1beta1; `None` = the fault has no place, because a field is missing.
    pub(super) fn check_type(&self) -> Result<(), (Option<Place>, String)> {
        for (name, wanted) in [
            (API_VERSION, "kubelet.config.k8s.io/v1beta1"),
            (KIND, "KubeletConfiguration"),
        ] {
            let (place, is) = match self.meta(name) {
                None => (None, format!("it has no {name}")),
                Some(Named {
                    value: Value::Text(text),
                    ..
                }) if text == wanted => continue,
                Some(field) => (
                    Some(field.place),
                    format!("{name} is {}", field.value.shown()),
                ),
            };
            return Err((
                place,
                format!("{is}; a file of the kubelet has `{name}: {wanted}`"),
            ));
        }
        Ok(())
    }
}

/// How many fields that are read a mapping may have: each may be written in several cases.
const MOST: usize = 100;

/// The longest text that a field may have, in bytes. No path is longer.
const LONGEST: usize = 4096;

/// The fields of a mapping that are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    named: Vec<Named>,
    twice: Option<(String, Place)>,
}

impl Fields {
    /// Sets a field; the last one of a name counts.
    pub(super) fn set(&mut self, name: &str, value: Value, place: Place) -> Result<(), Fault> {
        if matches!(&value, Value::Text(text) | Value::Number(text) if text.len() > LONGEST) {
            let why = format!("{} is longer than {LONGEST} bytes", visible(name));
            return Err(Fault::new(place, why));
        }
        if let Some(old) = self.named.iter_mut().find(|f| f.name == name) {
            (old.value, old.place) = (value, place);
            if self.twice.is_none() {
                self.twice = Some((name.to_owned(), place));
            }
            return Ok(());
        }
        if self.named.len() == MOST {
            return Err(Fault::new(place, "it has too many spellings of its fields"));
        }
        let name = name.to_owned();
        self.named.push(Named { name, value, place });
        Ok(())
    }

    /// Sets all fields of another one, and returns how many they are.
    pub(super) fn merge(&mut self, other: &Fields) -> Result<usize, Fault> {
        for field in &other.named {
            self.set(&field.name, field.value.clone(), field.place)?;
        }
        self.twice = self.twice.take().or_else(|| other.twice.clone());
        Ok(other.named.len())
    }

    pub(super) fn into_document(self, is_json: bool, has_more: bool) -> Document {
        Document {
            fields: self.named,
            twice: self.twice,
            is_json,
            has_more,
        }
    }
}
