//! The fields of a YAML text, from the events of its parser. Only fields that are read here are held, and no alias of a list or mapping
//! is expanded: time and memory are bounded by the size of the text.

use super::document::{Document, Fault, Fields, Place, Value};
use super::fields;
use super::scalar::{self, Tag};
use crate::report::{printable, visible};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag as WrittenTag};
use std::borrow::Cow;
use std::rc::Rc;

/// How deep lists and mappings may be in each other.
const DEEPEST: usize = 100;
/// How many fields and mappings the keys `<<` of a text may merge.
const MERGED: usize = 10_000;
/// How many bytes of scalars the aliases of a text may repeat.
const REPEATED: usize = 1 << 20;

/// A node that has been read.
#[derive(Clone)]
enum Node<'a> {
    Scalar(Cow<'a, str>, Result<Tag, String>),
    Map(Rc<Fields>),
    /// Its mappings, unless it holds something else.
    List(Option<Rc<Vec<Rc<Fields>>>>),
}

impl Node<'_> {
    /// How many bytes a copy takes beside the node itself.
    fn size(&self) -> usize {
        match self {
            Node::Scalar(text, tag) => text.len() + tag.as_ref().err().map_or(0, String::len),
            Node::Map(_) | Node::List(_) => 0,
        }
    }
}

/// A mapping or a list that has not ended.
struct Open<'a> {
    anchor: usize,
    place: Place,
    content: Content<'a>,
}

enum Content<'a> {
    /// The fields, and the key whose value comes next.
    Map(Fields, Option<(Node<'a>, Place)>),
    List(Option<Vec<Rc<Fields>>>),
}

#[derive(Default)]
struct Reader<'a> {
    open: Vec<Open<'a>>,
    /// The nodes with an anchor that have ended, by their numbers.
    anchored: Vec<Option<Node<'a>>>,
    merged: usize,
    repeated: usize,
    root: Option<(Node<'a>, Place)>,
}

/// Reads the first document of a text, as the kubelet does.
pub(super) fn read(text: &str) -> Result<Document, Fault> {
    if let Some((at, c)) = text.char_indices().find(|(_, c)| is_forbidden(*c)) {
        let why = format!("it holds the character {}", c.escape_unicode());
        return Err(Fault::new(Place::of(text.as_bytes(), at), why));
    }
    let mut parser = Parser::new_from_str(text);
    let mut reader = Reader::default();
    for event in parser.by_ref() {
        let (event, span) = event.map_err(|e| fault(&e))?;
        match event {
            Event::DocumentEnd | Event::StreamEnd => break,
            event => reader.take(event, place(&span.start))?,
        }
    }
    let has_more = matches!(parser.next(), Some(Ok((Event::DocumentStart(_), _))));
    match reader.root {
        Some((Node::Map(fields), _)) => {
            Ok(Rc::unwrap_or_clone(fields).into_document(false, has_more))
        }
        Some((_, place)) => Err(Fault::new(place, "it is not a mapping of fields to values")),
        None => {
            let place = Place { line: 1, column: 1 };
            Err(Fault::new(place, "it is empty"))
        }
    }
}

/// What neither YAML 1.1 nor 1.2 allows in a text, and what the two read differently: U+0085, U+2028 and U+2029 end a line only in 1.1,
/// and the kubelet's library skips U+FEFF at the begin of any line. The parser takes a NUL for the end of the text.
fn is_forbidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn place(mark: &Marker) -> Place {
    Place {
        line: mark.line(),
        column: mark.col() + 1,
    }
}

fn fault(e: &ScanError) -> Fault {
    let why = format!("it is not YAML: {}", printable(e.info()));
    Fault::new(place(e.marker()), why)
}

impl<'a> Reader<'a> {
    fn take(&mut self, event: Event<'a>, place: Place) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag_of(&text, style, tag.as_deref());
                let node = Node::Scalar(text, tag);
                self.ended(node, anchor, place)
            }
            Event::Alias(anchor) => {
                let node = match self.anchored.get(anchor) {
                    // The kubelet does not merge a list by its alias.
                    Some(Some(Node::List(_))) => Node::List(None),
                    Some(Some(node)) => {
                        self.repeated += node.size();
                        if self.repeated > REPEATED {
                            let why = format!("its aliases repeat more than {REPEATED} bytes");
                            return Err(Fault::new(place, why));
                        }
                        node.clone()
                    }
                    _ => return Err(Fault::new(place, "an alias is inside of what it names")),
                };
                self.ended(node, 0, place)
            }
            Event::MappingStart(anchor, _) => {
                self.begin(anchor, place, Content::Map(Fields::default(), None))
            }
            Event::SequenceStart(anchor, _) => {
                self.begin(anchor, place, Content::List(Some(Vec::new())))
            }
            Event::MappingEnd | Event::SequenceEnd => match self.open.pop() {
                Some(open) => {
                    let node = match open.content {
                        Content::Map(fields, _) => Node::Map(Rc::new(fields)),
                        Content::List(maps) => Node::List(maps.map(Rc::new)),
                    };
                    self.ended(node, open.anchor, open.place)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, place: Place, content: Content<'a>) -> Result<(), Fault> {
        if self.open.len() == DEEPEST {
            let why = format!("it is nested deeper than {DEEPEST} levels");
            return Err(Fault::new(place, why));
        }
        self.open.push(Open {
            anchor,
            place,
            content,
        });
        Ok(())
    }

    /// A node has ended: it is a key, a value, an item, or all.
    fn ended(&mut self, node: Node<'a>, anchor: usize, place: Place) -> Result<(), Fault> {
        if anchor != 0 {
            if self.anchored.len() <= anchor {
                self.anchored.resize(anchor + 1, None);
            }
            self.anchored[anchor] = Some(node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some((node, place)),
            Some(Open {
                content: Content::List(maps),
                ..
            }) => match (node, maps.as_mut()) {
                (Node::Map(fields), Some(maps)) => maps.push(fields),
                _ => *maps = None,
            },
            Some(Open {
                content: Content::Map(fields, key),
                ..
            }) => match key.take() {
                None => *key = Some((node, place)),
                Some((key, key_place)) => {
                    set(fields, (&key, key_place), (&node, place), &mut self.merged)?;
                }
            },
        }
        Ok(())
    }
}

/// Sets a key of a mapping, or merges what the key `<<` names. As for the kubelet, what comes later wins.
fn set(
    fields: &mut Fields,
    (key, key_place): (&Node<'_>, Place),
    (node, place): (&Node<'_>, Place),
    merged: &mut usize,
) -> Result<(), Fault> {
    match key {
        Node::Scalar(name, Ok(Tag::Plain)) if name == "<<" => {
            let maps = match node {
                Node::Map(map) => std::slice::from_ref(map),
                Node::List(Some(maps)) => maps,
                _ => {
                    let why = "what the key `<<` merges is not a mapping, nor a list of mappings";
                    return Err(Fault::new(place, why));
                }
            };
            // Of a list the first one wins.
            for map in maps.iter().rev() {
                *merged += 1 + fields.merge(map)?;
                if *merged > MERGED {
                    return Err(Fault::new(place, "its keys `<<` merge too much"));
                }
            }
        }
        Node::Scalar(name, Err(why)) if name == "<<" => {
            return Err(Fault::new(key_place, why.clone()));
        }
        Node::Scalar(name, _) if fields::is_read(name) => {
            let (value, place) = match node {
                Node::Map(_) => (Value::Object, place),
                Node::List(_) => (Value::List, place),
                // Nothing is written there: its place is that of what follows.
                Node::Scalar(text, Ok(Tag::Plain)) if text.is_empty() => (Value::Null, key_place),
                Node::Scalar(text, tag) => {
                    let value = tag.clone().and_then(|tag| scalar::resolve(text, tag));
                    (value.map_err(|why| Fault::new(place, why))?, place)
                }
            };
            fields.set(name, value, place)?;
        }
        _ => {}
    }
    Ok(())
}

/// The tag of a scalar; the error says that it is none of those that are read here.
fn tag_of(text: &str, style: ScalarStyle, tag: Option<&WrittenTag>) -> Result<Tag, String> {
    let Some(tag) = tag else {
        let is_plain = style == ScalarStyle::Plain;
        return Ok(if is_plain { Tag::Plain } else { Tag::Text });
    };
    match tag.suffix.as_str() {
        "str" if tag.is_yaml_core_schema() => Ok(Tag::Text),
        "bool" if tag.is_yaml_core_schema() => Ok(Tag::Bool),
        "int" if tag.is_yaml_core_schema() => Ok(Tag::Whole),
        "float" if tag.is_yaml_core_schema() => Ok(Tag::Float),
        "null" if tag.is_yaml_core_schema() => Ok(Tag::Null),
        "merge" if tag.is_yaml_core_schema() && text == "<<" => Ok(Tag::Plain),
        _ => {
            let tag = visible(&tag.to_string());
            Err(format!("crigc does not read the tag {tag}; leave it out"))
        }
    }
}
