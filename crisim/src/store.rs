//! The node as the server holds it: rows in the order of the list, which are found by ID or prefix and removed without a walk,
//! and encoded for lists once.

use crate::node::{Container, Image, Node, Sandbox, Text};
use prost::bytes::Bytes;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A row of a list.
pub(crate) trait Row {
    /// The names by which it is found.
    fn id(&self) -> &[u8];
    /// The row in a list of CRI.
    fn encode(&self) -> Vec<u8>;
}

/// Names in order, each with the place of its row. Their first eight bytes are before them as a number, so that few comparisons need the
/// text.
#[derive(Default)]
struct Names(BTreeSet<(u64, Vec<u8>, usize)>);

fn key(name: &[u8], place: usize) -> (u64, Vec<u8>, usize) {
    let mut first = [0; 8];
    let length = name.len().min(8);
    first[..length].copy_from_slice(&name[..length]);
    (u64::from_be_bytes(first), name.to_vec(), place)
}

impl Names {
    /// Places of a name, in order.
    fn exact(&self, name: &[u8]) -> impl Iterator<Item = usize> {
        let names = self.0.range(key(name, 0)..);
        names
            .take_while(move |(_, text, _)| text == name)
            .map(|(_, _, place)| *place)
    }

    /// Places of the names with this beginning.
    fn starting(&self, prefix: &[u8]) -> impl Iterator<Item = usize> {
        let names = self.0.range(key(prefix, 0)..);
        names
            .take_while(move |(_, text, _)| text.starts_with(prefix))
            .map(|(_, _, place)| *place)
    }
}

struct Held<T> {
    row: T,
    encoded: OnceCell<Bytes>,
}

impl<T> Held<T> {
    fn new(row: T) -> Box<Held<T>> {
        Box::new(Held {
            row,
            encoded: OnceCell::new(),
        })
    }
}

/// The rows of a list; an ID may be there twice. A row keeps its place until it is removed.
pub(crate) struct Rows<T> {
    // Boxed: a removal moves its neighbours.
    held: BTreeMap<usize, Box<Held<T>>>,
    ids: Names,
    next: usize,
}

impl<T: Row> Rows<T> {
    pub(crate) fn new(rows: Vec<T>) -> Rows<T> {
        let ids = rows.iter().enumerate();
        Rows {
            ids: Names(ids.map(|(place, row)| key(row.id(), place)).collect()),
            next: rows.len(),
            held: rows.into_iter().map(Held::new).enumerate().collect(),
        }
    }

    fn into_vec(self) -> Vec<T> {
        self.held.into_values().map(|held| held.row).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.held.values().map(|held| &held.row)
    }

    pub(crate) fn row(&self, place: usize) -> Option<&T> {
        self.held.get(&place).map(|held| &held.row)
    }

    /// All rows with this ID, or else the only row whose ID begins with it.
    pub(crate) fn places(&self, id: &[u8]) -> Vec<usize> {
        if id.is_empty() {
            return Vec::new();
        }
        let exact: Vec<usize> = self.ids.exact(id).collect();
        if !exact.is_empty() {
            return exact;
        }
        let mut starting = self.ids.starting(id);
        match (starting.next(), starting.next()) {
            (Some(one), None) => vec![one],
            _ => Vec::new(),
        }
    }

    /// The first of these rows.
    pub(crate) fn find(&self, id: &[u8]) -> Option<&T> {
        self.row(*self.places(id).first()?)
    }

    /// Adds a row at the end; its place.
    fn push(&mut self, row: T) -> usize {
        let place = self.next;
        self.next += 1;
        self.ids.0.insert(key(row.id(), place));
        self.held.insert(place, Held::new(row));
        place
    }

    /// Changes a row, but not its ID.
    pub(crate) fn change(&mut self, place: usize, change: impl FnOnce(&mut T)) {
        if let Some(held) = self.held.get_mut(&place) {
            change(&mut held.row);
            held.encoded = OnceCell::new();
        }
    }

    fn remove(&mut self, place: usize) -> Option<T> {
        let row = self.held.remove(&place)?.row;
        self.ids.0.remove(&key(row.id(), place));
        Some(row)
    }

    /// The parts of a list of the wanted rows.
    pub(crate) fn encoded(&self, wanted: impl Fn(&T) -> bool) -> Vec<Bytes> {
        let wanted = self.held.values().filter(|held| wanted(&held.row));
        let encoded = wanted.map(|held| held.encoded.get_or_init(|| held.row.encode().into()));
        encoded.cloned().collect()
    }
}

/// The node.
pub(crate) struct Store {
    pub(crate) containers: Rows<Container>,
    pub(crate) sandboxes: Rows<Sandbox>,
    pub(crate) images: Rows<Image>,
    /// Tags and digests of the images.
    tags: Names,
    /// The places of all containers that a sandbox has had, of removed ones too.
    of_sandbox: HashMap<Vec<u8>, Vec<usize>>,
    /// Everything but the lists, which are empty here.
    pub(crate) node: Node,
}

/// An image's ID as it is used for searches.
pub(crate) fn bare(id: &[u8]) -> &[u8] {
    id.strip_prefix(b"sha256:").unwrap_or(id)
}

fn tags(image: &Image) -> impl Iterator<Item = &[u8]> {
    let tags = image.tags.iter().chain(&image.digests);
    tags.map(|tag| tag.0.as_slice())
}

impl Store {
    pub(crate) fn new(mut node: Node) -> Store {
        let images = std::mem::take(&mut node.images);
        let mut names = Vec::new();
        for (place, image) in images.iter().enumerate() {
            names.extend(tags(image).map(|tag| key(tag, place)));
        }
        let containers = std::mem::take(&mut node.containers);
        let mut of_sandbox: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (place, container) in containers.iter().enumerate() {
            let sandbox = container.sandbox_id.0.clone();
            of_sandbox.entry(sandbox).or_default().push(place);
        }
        Store {
            containers: Rows::new(containers),
            sandboxes: Rows::new(std::mem::take(&mut node.sandboxes)),
            images: Rows::new(images),
            tags: Names(names.into_iter().collect()),
            of_sandbox,
            node,
        }
    }

    /// Encodes all rows, so that no call has to.
    pub(crate) fn encode(&self) {
        self.containers.encoded(|_| true);
        self.sandboxes.encoded(|_| true);
        self.images.encoded(|_| true);
    }

    /// The node as tests and files know it.
    pub(crate) fn state(&self) -> Node {
        Node {
            containers: self.containers.iter().cloned().collect(),
            sandboxes: self.sandboxes.iter().cloned().collect(),
            images: self.images.iter().cloned().collect(),
            ..self.node.clone()
        }
    }

    /// For tests that change it.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut Node)) {
        let old = std::mem::replace(self, Store::new(Node::default()));
        let mut node = Node {
            containers: old.containers.into_vec(),
            sandboxes: old.sandboxes.into_vec(),
            images: old.images.into_vec(),
            ..old.node
        };
        change(&mut node);
        *self = Store::new(node);
    }

    /// Places of a sandbox's containers.
    pub(crate) fn containers_of(&self, sandbox: &[u8]) -> Vec<usize> {
        let places = self.of_sandbox.get(sandbox).into_iter().flatten().copied();
        let there = |place: &usize| self.containers.held.contains_key(place);
        places.filter(there).collect()
    }

    pub(crate) fn add_container(&mut self, container: Container) {
        let sandbox = container.sandbox_id.0.clone();
        let place = self.containers.push(container);
        self.of_sandbox.entry(sandbox).or_default().push(place);
    }

    pub(crate) fn add_sandbox(&mut self, sandbox: Sandbox) {
        self.sandboxes.push(sandbox);
    }

    /// Removes a container; whether there was one.
    pub(crate) fn remove_container(&mut self, id: &[u8]) -> bool {
        let places = self.containers.places(id);
        for place in &places {
            self.containers.remove(*place);
        }
        !places.is_empty()
    }

    /// Removes a sandbox with its containers; whether there was one.
    pub(crate) fn remove_sandbox(&mut self, id: &[u8]) -> bool {
        let places = self.sandboxes.places(id);
        for place in &places {
            let Some(sandbox) = self.sandboxes.remove(*place) else {
                continue;
            };
            for place in self.of_sandbox.remove(&sandbox.id.0).unwrap_or_default() {
                self.containers.remove(place);
            }
        }
        !places.is_empty()
    }

    /// The first image with an ID, a digest or a tag.
    pub(crate) fn find_image(&self, name: &[u8]) -> Option<usize> {
        let id = bare(name);
        let long_enough = name.len() >= 12;
        let starting = self.images.ids.starting(id).filter(|_| long_enough);
        let exact = self.images.ids.exact(id);
        exact.chain(self.tags.exact(name)).chain(starting).min()
    }

    /// The row of the same image for this runtime handler; this row if there is none.
    pub(crate) fn of_handler(&self, place: usize, handler: &[u8]) -> usize {
        let id = self.images.row(place).map_or(b"".as_slice(), Row::id);
        let of = |at: &usize| {
            let row = self.images.row(*at);
            row.is_some_and(|image| image.runtime_handler.0 == handler)
        };
        self.images.ids.exact(id).find(of).unwrap_or(place)
    }

    /// Takes one of its tags from an image.
    pub(crate) fn untag_image(&mut self, place: usize, tag: &[u8]) {
        self.tags.0.remove(&key(tag, place));
        self.images
            .change(place, |image| image.tags.retain(|other| other.0 != tag));
    }

    /// Removes an image, and updates the filesystem.
    pub(crate) fn drop_image(&mut self, place: usize) {
        let Some(image) = self.images.remove(place) else {
            return;
        };
        for tag in tags(&image) {
            self.tags.0.remove(&key(tag, place));
        }
        let (bytes, inodes) = self.alone(&image);
        self.node.filesystem.free(bytes, inodes);
    }

    /// How many bytes and inodes an image has that no other one has.
    fn alone(&self, image: &Image) -> (u64, u64) {
        if image.layers.is_empty() {
            return (image.size, 0);
        }
        let others = self.images.iter().flat_map(|other| &other.layers);
        let others: HashSet<&Text> = others.map(|layer| &layer.name).collect();
        let alone = image.layers.iter().filter(|l| !others.contains(&l.name));
        alone.fold((0, 0), |(bytes, inodes), layer| {
            (bytes + layer.bytes, inodes + layer.inodes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static LOOKS: Cell<usize> = const { Cell::new(0) };
        static ENCODED: Cell<usize> = const { Cell::new(0) };
    }

    /// A row that counts how often it is read and encoded.
    struct Counted(Vec<u8>);

    impl Row for Counted {
        fn id(&self) -> &[u8] {
            LOOKS.set(LOOKS.get() + 1);
            &self.0
        }

        fn encode(&self) -> Vec<u8> {
            ENCODED.set(ENCODED.get() + 1);
            self.0.clone()
        }
    }

    fn id(number: usize) -> Vec<u8> {
        format!("{number:08x}-{number:055x}").into_bytes()
    }

    fn rows(count: usize) -> Rows<Counted> {
        Rows::new((0..count).map(|number| Counted(id(number))).collect())
    }

    #[test]
    fn a_removal_reads_no_other_row_however_many_there_are() {
        let mut rows = rows(100_000);
        LOOKS.set(0);
        for number in (0..100_000).step_by(10) {
            let places = rows.places(&id(number));
            assert_eq!(places, [number]);
            rows.remove(places[0]);
            assert_eq!(rows.places(&id(number)), [0; 0], "gone");
            assert_eq!(rows.places(&id(number + 1)[..12]), [number + 1], "a prefix");
        }
        assert_eq!(LOOKS.get(), 10_000, "one look for each that was removed");
        assert_eq!(rows.iter().count(), 90_000);
    }

    #[test]
    fn a_row_is_encoded_once_until_it_changes() {
        let mut rows = rows(1000);
        ENCODED.set(0);
        assert_eq!(rows.encoded(|_| true).len(), 1000);
        assert_eq!(rows.encoded(|row| row.0 < id(10)).len(), 10);
        assert_eq!(ENCODED.get(), 1000);
        rows.change(7, |row| row.0.push(b'!'));
        let want = [id(7), b"!".to_vec()].concat();
        assert_eq!(rows.encoded(|_| true)[7], want);
        assert_eq!(ENCODED.get(), 1001);
    }

    #[test]
    fn rows_keep_their_order_and_an_id_may_stand_twice() {
        let mut rows = rows(3);
        rows.push(Counted(id(1)));
        assert_eq!(rows.places(&id(1)), [1, 3]);
        assert_eq!(rows.places(&id(1)[..12]), [0; 0], "two rows start so");
        assert_eq!(rows.places(&id(2)[..12]), [2]);
        assert_eq!(rows.places(b""), [0; 0]);
        rows.remove(1);
        rows.push(Counted(b"last".to_vec()));
        let all = [id(0), id(2), id(1), b"last".to_vec()];
        assert_eq!(rows.encoded(|_| true), all);
        assert_eq!(rows.places(&id(1)[..12]), [3]);
    }

    #[test]
    fn images_are_found_by_the_first_that_bears_a_name() {
        let image = |id: &str, tag: &str| Image {
            id: id.into(),
            tags: vec![tag.into()],
            ..Image::default()
        };
        let (long, other) = ("sha256:00112233445566", "sha256:00112233445577");
        let mut store = Store::new(Node {
            images: vec![image(long, "a:1"), image(other, "a:2"), image("x", "a:2")],
            ..Node::default()
        });
        let cases: [(&str, Option<usize>); 8] = [
            (long, Some(0)),
            ("00112233445577", Some(1)),
            ("sha256:001122334455", Some(0)),
            ("001122334455", Some(0)),
            ("0011223344", None),
            ("a:2", Some(1)),
            ("x", Some(2)),
            ("", None),
        ];
        for (name, want) in cases {
            assert_eq!(store.find_image(name.as_bytes()), want, "{name}");
        }
        store.drop_image(1);
        assert_eq!(store.find_image(b"a:2"), Some(2));
        assert_eq!(store.state().images.len(), 2);
    }

    #[test]
    fn a_sandbox_is_removed_with_the_containers_that_are_left_of_it() {
        let container = |id: &str, sandbox: &str| Container {
            id: id.into(),
            sandbox_id: sandbox.into(),
            ..Container::default()
        };
        let mut store = Store::new(Node {
            containers: ["c1", "c2", "c3"].map(|id| container(id, "s1")).into(),
            sandboxes: vec![Sandbox {
                id: "s1".into(),
                ..Sandbox::default()
            }],
            ..Node::default()
        });
        assert!(store.remove_container(b"c2") && !store.remove_container(b"c2"));
        store.add_container(container("c4", "s1"));
        store.add_container(container("c5", "s2"));
        assert_eq!(store.containers_of(b"s1"), [0, 2, 3]);
        store.edit(|node| node.containers.swap(0, 1));
        assert!(store.remove_sandbox(b"s") && !store.remove_sandbox(b"s1"));
        assert_eq!(store.state().containers, [container("c5", "s2")]);
    }
}
