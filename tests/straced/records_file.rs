//! Every system call on the file of image records fails once, in every way, one after another until an image pass runs through unharmed:
//! strace makes them fail, in a process of their own. No image is removed because of it that had to be kept, the report says what became of
//! each, the file is the whole old or a whole new one, and the next pass finishes the job (S5.1, S5.5).

use crigc::engine::{Engine, PassOptions};
use crigc::fs::image_ages::parse;
use crigc::hooks::{Hook, Hooks, LogLevel};
use crisim::Server;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use test_support::images::{Host, S, image, node, settings, start, there, told, user};
use test_support::straced;

/// The clock of the first pass.
const NOW: i64 = 1000 * S;

/// System calls, and how each can fail.
const CALLS: &[(&str, &[&str])] = &[
    ("openat", &["EACCES", "EIO", "EMFILE", "ENOSPC", "EROFS"]),
    ("statx", &["EACCES", "EIO"]),
    ("flock", &["EIO", "ENOLCK"]),
    ("ftruncate", &["EIO", "ENOSPC"]),
    ("pwrite64", &["EIO", "ENOSPC"]),
    ("read", &["EIO", "EACCES"]),
    ("write", &["EIO", "ENOSPC"]),
    ("fsync", &["EIO", "ENOSPC"]),
    ("rename", &["EACCES", "EIO", "ENOSPC", "EROFS"]),
    ("unlink", &["EACCES", "EIO", "EROFS"]),
];

/// An entry of another program in the file's place.
const FOREIGN: &[u8] = b"of another program";

/// Those that cannot fail in a way that matters.
const HARMLESS: [&str; 2] = ["close", "fcntl"];

/// A node and its file. By ID, the image that the first look of an engine without records would remove comes first.
struct Place {
    folder: TempDir,
    server: Server,
    keys: Vec<(&'static str, &'static str)>,
    /// The bytes of the file.
    old: Vec<u8>,
}

/// `aged` is unused for an hour, `spare` for 10 minutes, `a-new` was pulled 5 seconds ago.
fn records(endpoint: &str) -> String {
    let row = |id: &str, detected: &str, since: u64| {
        format!(
            r#"{{"id":"{id}","handler":"","first_detected":{detected},"last_used":null,"unused_since":{since},"size":100,"pinned":false}}"#
        )
    };
    let rows = [
        row("a-new", &(NOW - 5 * S).to_string(), 3_595_000_000_000),
        row("aged", "null", 0),
        row("spare", &(NOW - 600 * S).to_string(), 3_000_000_000_000),
    ];
    let endpoint = endpoint.trim_start_matches("unix://");
    format!(
        r#"{{"crigc-image-records":1,"endpoint":"{endpoint}","written":{},"watched":3600000000000,"images":[{}]}}"#,
        NOW - S,
        rows.join(",")
    )
}

impl Place {
    fn new(walk: &Walk) -> Place {
        let mut made = node(
            ["a-new", "aged", "spare", "used"]
                .map(|id| image(id, &format!("r/{id}:1"), 100))
                .to_vec(),
        );
        made.images.push(image("infra", "r/pause:1", 100));
        made.containers.push(user("u", "r/used:1"));
        let server = start(made);
        let old = if walk.foreign {
            FOREIGN.to_vec()
        } else {
            records(&server.endpoint()).into_bytes()
        };
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("records"), &old).unwrap();
        Place {
            folder,
            server,
            keys: walk.keys.to_vec(),
            old,
        }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("records{suffix}"))
    }

    /// The keys of this node.
    fn own(&self) -> Vec<(&str, String)> {
        let mut all = vec![
            ("container-runtime-endpoint", self.server.endpoint()),
            (
                "image-records-file",
                self.path("").to_str().unwrap().to_owned(),
            ),
        ];
        all.extend(self.keys.iter().map(|(key, value)| (*key, (*value).into())));
        all
    }

    /// A pass under strace, which sees only what concerns the file and its folder.
    fn watched(&self, expressions: &[&str]) -> straced::Seen {
        let own = self.own();
        let lines: Vec<String> = own.iter().map(|(key, v)| format!("{key}={v}")).collect();
        let of_file = ["", ".lock", ".new", ".aside"].map(|suffix| self.path(suffix));
        let mut arguments: Vec<&str> = expressions.iter().flat_map(|e| ["-e", e]).collect();
        for path in of_file
            .iter()
            .map(PathBuf::as_path)
            .chain([self.folder.path()])
        {
            arguments.extend(["-P", path.to_str().unwrap()]);
        }
        straced::run(
            "records_file::the_image_pass_that_is_watched",
            &lines,
            &arguments,
        )
    }

    /// The next pass, of another engine: it must not fail, nor report anything about the file.
    fn next(&self, what: &str) {
        let gone = 5 - there(&self.server).len() as u64;
        let is_unusable = fs::read(self.path("")).is_ok_and(|bytes| bytes == FOREIGN);
        let (hooks, warnings) = hooks(100 + 100 * gone);
        let own = self.own();
        let own: Vec<(&str, &str)> = own.iter().map(|(key, v)| (*key, v.as_str())).collect();
        let config = settings(&self.server, &own).config();
        let engine = Engine::new(config, hooks).unwrap();
        assert_eq!(
            engine.images(PassOptions::default(), None).error,
            None,
            "{what}"
        );
        let warnings = warnings.lock().unwrap();
        let expected = |line: &String| {
            line.starts_with("the time of the host's clock")
                || (is_unusable && line.contains("puts it aside"))
        };
        assert!(warnings.iter().all(expected), "{what}: {warnings:?}");
    }
}

/// A host whose disk of 1000 bytes has this number left; and its warnings.
fn hooks(available: u64) -> (Hooks, Arc<Mutex<Vec<String>>>) {
    let mut hooks = Host::new(1000, available).hooks(true);
    let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = warnings.clone();
    let log = move |_: LogLevel, line: &str| told.lock().unwrap().push(line.to_owned());
    hooks.log = Some((LogLevel::Warn, Hook::new(Box::new(log))));
    (hooks, warnings)
}

/// Not a test of its own: the pass in a process of its own.
#[test]
fn the_image_pass_that_is_watched() {
    let Some((settings, report)) = straced::task() else {
        return;
    };
    straced::begin(&report);
    let (hooks, warnings) = hooks(100);
    let text = match Engine::new(settings.config(), hooks) {
        Err(e) => format!("refused {}\n", e.message),
        Ok(engine) => {
            let end = engine.images(PassOptions::default(), None);
            let error = end.error.iter().map(|e| format!("error {}\n", e.message));
            let warnings = warnings.lock().unwrap();
            let warnings = warnings.iter().map(|w| format!("warning {w}\n"));
            let entries = told(&end);
            let entries = entries.iter().map(|line| format!("entry {line}\n"));
            error.chain(warnings).chain(entries).collect()
        }
    };
    fs::write(&report, text).unwrap();
}

/// A pass that is walked over.
struct Walk {
    name: &'static str,
    keys: &'static [(&'static str, &'static str)],
    /// The entry in the file's place is another program's.
    foreign: bool,
    /// The calls that fail, too, all the time.
    always: Option<&'static str>,
    /// What is removed if nothing else fails.
    goes: &'static str,
    calls: &'static [&'static str],
}

/// The log of the first pass, by kind of line.
struct Told(BTreeMap<String, Vec<String>>);

impl Told {
    fn of(text: &str) -> Told {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap();
            all.entry(kind.into()).or_default().push(rest.into());
        }
        Told(all)
    }

    fn lines(&self, kind: &str) -> &[String] {
        self.0.get(kind).map_or(&[], Vec::as_slice)
    }

    fn warns(&self, part: &str) -> bool {
        self.lines("warning").iter().any(|line| line.contains(part))
    }
}

/// Images are removed by age; for space; none, because the file has to be put aside; and if nothing can be renamed, so that the old file
/// has to be removed.
const WALKS: [Walk; 4] = [
    Walk {
        name: "by age",
        keys: &[
            ("image-maximum-gc-age", "30m"),
            ("image-gc-high-threshold", "95"),
        ],
        foreign: false,
        always: None,
        goes: "aged",
        calls: &[
            "openat",
            "statx",
            "flock",
            "ftruncate",
            "pwrite64",
            "read",
            "write",
            "fsync",
            "rename",
            "unlink",
        ],
    },
    Walk {
        name: "for space",
        keys: &[],
        foreign: false,
        always: None,
        goes: "aged",
        calls: &[
            "openat", "statx", "read", "write", "fsync", "rename", "unlink",
        ],
    },
    Walk {
        name: "another program's file",
        keys: &[
            ("image-maximum-gc-age", "30m"),
            ("image-gc-high-threshold", "95"),
        ],
        foreign: true,
        always: None,
        goes: "",
        calls: &[
            "openat", "statx", "read", "write", "fsync", "rename", "unlink",
        ],
    },
    Walk {
        name: "no rename works",
        keys: &[
            ("image-maximum-gc-age", "30m"),
            ("image-gc-high-threshold", "95"),
        ],
        foreign: false,
        always: Some("inject=rename:error=EROFS"),
        goes: "aged",
        calls: &["openat", "fsync", "unlink"],
    },
];

/// What has to be true after a pass in which a call failed.
fn is_whole(place: &Place, walk: &Walk, told: &Told, what: &str) {
    let all = BTreeSet::from(["a-new", "aged", "infra", "spare", "used"].map(str::to_owned));
    let after = there(&place.server);
    let gone: BTreeSet<&String> = all.difference(&after).collect();
    let what = &format!("{what}: {:?}, gone are {gone:?}", told.0);
    let is_refused = !told.lines("refused").is_empty();
    let unread = told.warns("cannot read image-records-file");
    // S5.1: an engine that has no records frees a full disk at once, and all images are of the past to it. A file that could not be read is
    // not written either, so removed images are still in it.
    let knows_none = unread && walk.keys.is_empty();
    let may_go = |id: &str| id == walk.goes || knows_none && id == "a-new";
    assert!(gone.iter().all(|id| may_go(id)), "{what}");
    assert!(told.lines("error").is_empty(), "{what}");
    for id in all.iter().filter(|_| !is_refused) {
        let own = |line: &&String| line.starts_with(&format!("{id} "));
        let lines: Vec<&String> = told.lines("entry").iter().filter(own).collect();
        let word = if gone.contains(id) { "removed" } else { "kept" };
        assert!(
            lines.len() == 1 && lines[0].starts_with(&format!("{id} {word} ")),
            "{what}: {lines:?}"
        );
    }
    // Half a new file does not stay on a full disk; if its removal fails, too, the next write removes it.
    assert!(
        !place.path(".new").exists() || walk.always.is_some(),
        "{what}"
    );
    let bytes = match fs::read(place.path("")) {
        Ok(bytes) => bytes,
        Err(_) => {
            let aside = fs::read(place.path(".aside")).is_ok_and(|bytes| bytes == FOREIGN);
            assert!(told.warns("deleted") || aside, "{what}");
            return;
        }
    };
    if bytes == place.old {
        let says = told.warns("delete it by hand");
        assert!(
            gone.is_empty() || says || knows_none,
            "{what}: a record is left"
        );
        return;
    }
    assert!(!is_refused && !unread, "{what}: it was written");
    let endpoint = place.server.socket().to_str().unwrap().to_owned();
    let records = parse(&bytes, &endpoint, NOW).unwrap();
    let known: BTreeMap<String, Option<i64>> = records
        .images
        .iter()
        .map(|((id, _), record)| (id.to_string(), record.first_detected))
        .collect();
    assert!(known.keys().eq(after.iter()), "{what}: {known:?}");
    let detected = |seconds| (!walk.foreign).then(|| NOW - seconds * S);
    assert_eq!(known["a-new"], detected(5), "{what}");
    assert_eq!(known["spare"], detected(600), "{what}");
}

/// The walk over one call and error: how often it failed.
fn failures(walk: &Walk, call: &str, error: &str) -> usize {
    for number in 1.. {
        let what = format!("{}: {call} {number}: {error}", walk.name);
        let place = Place::new(walk);
        let inject = format!("inject={call}:error={error}:when={number}");
        let mut expressions = vec!["trace=all", &inject];
        expressions.extend(walk.always);
        let seen = place.watched(&expressions);
        let hit = |line: &str| line.contains(&format!(" {call}(")) && line.contains("(INJECTED)");
        if !seen.trace.lines().any(hit) {
            return number - 1;
        }
        is_whole(&place, walk, &Told::of(&seen.report.unwrap()), &what);
        let had_new = there(&place.server).contains("a-new");
        place.next(&what);
        let left = there(&place.server);
        assert_eq!(left.contains("a-new"), had_new, "{what}: {left:?}");
        assert!(!left.contains(walk.goes) || !had_new, "{what}: {left:?}");
        assert_eq!(left.len(), if walk.foreign { 5 } else { 4 }, "{what}");
        let bytes = fs::read(place.path("")).unwrap();
        let endpoint = place.server.socket().to_str().unwrap().to_owned();
        assert!(parse(&bytes, &endpoint, NOW).is_ok(), "{what}");
        assert!(!place.path(".new").exists(), "{what}");
        if walk.foreign {
            assert_eq!(fs::read(place.path(".aside")).unwrap(), FOREIGN, "{what}");
        }
    }
    unreachable!()
}

/// A pass in which nothing fails does what the walk takes for granted, and makes no call that is not walked over.
fn unharmed(walk: &Walk) {
    let place = Place::new(walk);
    let mut expressions = vec!["trace=all"];
    expressions.extend(walk.always);
    let seen = place.watched(&expressions);
    let told = Told::of(&seen.report.unwrap());
    is_whole(&place, walk, &told, walk.name);
    let left = there(&place.server);
    assert!(
        !left.contains(walk.goes) && left.contains("a-new"),
        "{told:?}",
        told = told.0
    );
    for line in seen.trace.lines() {
        let Some((head, _)) = line.split_once('(') else {
            continue;
        };
        let call = head.rsplit(' ').next().unwrap();
        let known = CALLS.iter().any(|(name, _)| *name == call) || HARMLESS.contains(&call);
        assert!(known, "{line} is not walked over");
    }
}

#[test]
fn no_fault_of_the_records_file_makes_an_image_pass_lose_anything() {
    if !straced::is_there("faults of the records file") {
        return;
    }
    let mut all = 0;
    for walk in &WALKS {
        unharmed(walk);
        for call in walk.calls {
            let (_, errors) = CALLS.iter().find(|(name, _)| name == call).unwrap();
            for error in *errors {
                let failures = failures(walk, call, error);
                println!("{}: {call} {error}: {failures} faults", walk.name);
                assert!(failures > 0, "{}: {call} {error}", walk.name);
                all += failures;
            }
        }
    }
    println!("records: {all} faults in all");
}
