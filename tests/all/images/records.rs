//! The file of image records: whole passes of one engine after another (S5.1).

use crigc::engine::{Engine, PassOptions};
use crigc::error::Status;
use crigc::fs::image_ages::parse;
use crisim::Server;
use crisim::fault::{Action, Fault};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;
use test_support::images::{S, called, image, node, start, status, told, user};
use test_support::records::{ALL_UNUSED, NOW, Passing, Place, WATCHDOG, good};
use test_support::rules::Rules;

#[test]
fn s5_1_records_survive_a_restart() {
    let mut rules = Rules::default();
    rules.case("S5.1");
    let place = Place::new();
    let server = start(node(vec![image("old", "r/old:1", 1)]));
    let first = place.engine(&server, &[]).unwrap();
    assert_eq!(
        told(&first.images(PassOptions::default(), None)),
        ["old kept below-threshold"]
    );
    drop(first);
    assert_eq!(place.names(), ["records", "records.lock"]);
    let mode = fs::metadata(place.path("")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // An image that was pulled in between is new, one that was there before is not; without the file both would be of the past.
    server.edit(|node| node.images.push(image("new", "r/new:1", 1)));
    let second = place.engine(&server, &[]).unwrap();
    let end = second.images(ALL_UNUSED, None);
    assert_eq!(told(&end), ["new kept too-young", "old removed unused"]);
    assert!(place.warnings().is_empty());
    // Removed images are not in the file any more.
    let text = fs::read_to_string(place.path("")).unwrap();
    assert!(
        text.contains("\"new\"") && !text.contains("\"old\""),
        "{text}"
    );
}

#[test]
fn s5_1_periodic_passes_with_records_do_not_only_list() {
    let mut rules = Rules::default();
    for with_records in [false, true] {
        rules.case("S5.1");
        let place = Place::new();
        let server = start(node(vec![image("a", "r/a:1", 1)]));
        if with_records {
            drop(
                place
                    .engine(&server, &[])
                    .unwrap()
                    .images(PassOptions::default(), None),
            );
            server.edit(|node| node.images.push(image("b", "r/b:1", 1)));
        }
        // Half full is too full.
        let keys = [
            ("image-gc-high-threshold", "40"),
            ("image-gc-low-threshold", "39"),
        ];
        let engine = place.engine(&server, &keys).unwrap();
        engine.start().unwrap();
        let removed = || called(&server).contains(&"RemoveImage");
        let began = std::time::Instant::now();
        while !(if with_records {
            removed()
        } else {
            place.path("").exists()
        }) {
            assert!(began.elapsed() < WATCHDOG, "with records: {with_records}");
            std::thread::sleep(Duration::from_millis(5));
        }
        engine.stop();
        assert_eq!(removed(), with_records);
    }
}

/// S5.1: whatever is in the file's place, nothing is removed because of it, and the pass writes a valid file.
#[test]
fn s5_1_a_file_that_cannot_be_used_is_put_aside() {
    let mut rules = Rules::default();
    let server = start(node(vec![image("a", "r/a:1", 1)]));
    let good = good(&server.endpoint());
    let endpoint = server.socket().to_str().unwrap().to_owned();
    let year = 365 * 86_400 * S;
    let future = good.replace(&NOW.to_string(), &(i64::MAX - year).to_string());
    let row = good
        .split_once(r#""images":["#)
        .unwrap()
        .1
        .trim_end_matches("]}")
        .to_owned();
    let with = |old: &str, new: &str| {
        let text = good.replace(old, new);
        assert_ne!(text, good, "{old}");
        text.into_bytes()
    };
    type Case = (&'static str, Vec<u8>, &'static str);
    let mut cases: Vec<Case> = vec![
        ("empty", Vec::new(), "no records of images"),
        ("garbage", vec![0, 159, 146, 150], "no records of images"),
        (
            "another program's",
            b"{\"images\": []}".to_vec(),
            "no records of images",
        ),
        ("a list", b"[1]".to_vec(), "broken"),
        (
            "nested",
            "[".repeat(1 << 20).into_bytes(),
            "no records of images",
        ),
        (
            "older",
            with(r#"records":1"#, r#"records":0"#),
            "its format is 0",
        ),
        (
            "newer",
            with(r#"records":1"#, r#"records":2"#),
            "its format is 2",
        ),
        (
            "another runtime's",
            with(&endpoint, "/run/other.sock"),
            "/run/other.sock",
        ),
        ("future", future.into_bytes(), "in the future"),
        (
            "no field",
            with(r#","watched":3600000000000"#, ""),
            "broken",
        ),
        (
            "one field more",
            with(r#""pinned":false"#, r#""pinned":false,"x":1"#),
            "broken",
        ),
        ("negative", with(r#""size":1"#, r#""size":-1"#), "broken"),
        (
            "too large a number",
            with(
                r#""watched":3600000000000"#,
                r#""watched":36000000000000000000000"#,
            ),
            "broken",
        ),
        ("a text", with(r#""size":1"#, r#""size":"1""#), "broken"),
        ("twice", with(&row, &format!("{row},{row}")), "twice"),
        ("no ID", with(r#""id":"a""#, r#""id":"""#), "ID is empty"),
        (
            "older than its watch",
            with(r#""unused_since":0"#, r#""unused_since":3600000000001"#),
            "beyond the time watched",
        ),
    ];
    // Every way to cut it off.
    for end in (1..good.len()).step_by(7) {
        cases.push((
            "cut off",
            good.as_bytes()[..end].to_vec(),
            "image-records-file",
        ));
    }
    for (what, bytes, part) in cases {
        rules.case("S5.1");
        let place = Place::new();
        fs::write(place.path(""), &bytes).unwrap();
        let keys = [("image-maximum-gc-age", "30m")];
        let engine = place.engine(&server, &keys).unwrap();
        // A dry run leaves it where it is.
        let dry_run = PassOptions {
            dry_run: true,
            ..PassOptions::default()
        };
        assert_eq!(
            told(&engine.images(dry_run, None)),
            ["a kept below-threshold"],
            "{what}"
        );
        assert_eq!(fs::read(place.path("")).unwrap(), bytes, "{what}");
        let warnings = place.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains(part),
            "{what}: {warnings:?}"
        );
        assert!(warnings[0].contains(&place.text()), "{what}: {warnings:?}");
        assert_eq!(
            told(&engine.images(PassOptions::default(), None)),
            ["a kept below-threshold"],
            "{what}"
        );
        assert_eq!(fs::read(place.path(".aside")).unwrap(), bytes, "{what}");
        let written = fs::read(place.path("")).unwrap();
        assert!(parse(&written, &endpoint, NOW * 2).is_ok(), "{what}");
        assert!(place.warnings().is_empty(), "{what}");
    }
    // The good one is used, so that the table is of what is wrong with the others.
    rules.case("S5.1");
    let place = Place::new();
    fs::write(place.path(""), &good).unwrap();
    let engine = place
        .engine(&server, &[("image-maximum-gc-age", "30m")])
        .unwrap();
    assert_eq!(
        told(&engine.images(PassOptions::default(), None)),
        ["a removed age"]
    );
    assert!(place.warnings().is_empty());
}

/// S5.1: an entry that is not a file is not read, and does not make a pass wait.
#[test]
fn s5_1_an_entry_that_is_not_a_file_is_put_aside() {
    let mut rules = Rules::default();
    let server = start(node(vec![image("a", "r/a:1", 1)]));
    for what in ["pipe", "link", "large"] {
        rules.case("S5.1");
        let place = Place::new();
        let (path, elsewhere) = (place.path(""), place.path("-elsewhere"));
        fs::write(&elsewhere, good(&server.endpoint())).unwrap();
        match what {
            "pipe" => {
                let made = Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success());
            }
            "link" => symlink(&elsewhere, &path).unwrap(),
            _ => fs::File::create(&path).unwrap().set_len(65 << 20).unwrap(),
        }
        let engine = place
            .engine(&server, &[("image-maximum-gc-age", "30m")])
            .unwrap();
        assert_eq!(
            told(&engine.images(PassOptions::default(), None)),
            ["a kept below-threshold"],
            "{what}"
        );
        assert_eq!(place.warnings().len(), 1, "{what}");
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{what}");
        assert_eq!(
            fs::read_to_string(&elsewhere).unwrap(),
            good(&server.endpoint()),
            "{what}"
        );
    }
}

#[test]
fn s5_1_one_engine_at_a_time_holds_the_file() {
    let mut rules = Rules::default();
    rules.case("S5.1");
    let place = Place::new();
    let server = start(node(vec![image("a", "r/a:1", 1)]));
    let first = place.engine(&server, &[]).unwrap();
    first.images(PassOptions::default(), None);
    let refused = place.engine(&server, &[]).err().unwrap();
    assert_eq!(refused.status, Status::Busy);
    let own = format!("process {} (", std::process::id());
    assert!(
        refused.message.contains(&own) && refused.message.contains(&place.text()),
        "{refused}"
    );
    // An engine that only dries runs reads it beside the first, and changes nothing.
    let before = fs::read(place.path("")).unwrap();
    server.edit(|node| node.images.push(image("b", "r/b:1", 1)));
    let dry = place.engine(&server, &[("dry-run", "true")]).unwrap();
    let end = dry.images(ALL_UNUSED, None);
    assert_eq!(told(&end), ["a removed unused", "b kept too-young"]);
    assert_eq!(fs::read(place.path("")).unwrap(), before);
    // Not even when it cannot be used.
    drop(dry);
    let dry = place.engine(&server, &[("dry-run", "true")]).unwrap();
    fs::write(place.path(""), "{").unwrap();
    dry.images(PassOptions::default(), None);
    assert_eq!(place.warnings().len(), 1);
    assert_eq!(place.names(), ["records", "records.lock"]);
    // Freed, it is the next one's.
    drop(first);
    place.engine(&server, &[]).unwrap();
}

#[test]
fn s5_1_a_place_that_cannot_hold_the_file_is_refused_or_reported() {
    let mut rules = Rules::default();
    let server = start(node(vec![image("a", "r/a:1", 1)]));
    let place = Place::new();
    // At gc_engine_new: no folder, a folder in its place, a link in the place of the lock.
    for what in ["no folder", "folder", "link"] {
        rules.case("S5.1");
        let path = place.folder.path().join(what).join("records");
        match what {
            "folder" => fs::create_dir_all(&path).unwrap(),
            "link" => {
                fs::create_dir(path.parent().unwrap()).unwrap();
                symlink("/nowhere", path.with_extension("lock")).unwrap();
            }
            _ => {}
        }
        let refused = place
            .engine(&server, &[("image-records-file", path.to_str().unwrap())])
            .err()
            .unwrap();
        assert_eq!(refused.status, Status::Io, "{what}");
        assert!(
            refused.message.contains(path.to_str().unwrap()),
            "{refused}"
        );
    }
    // At a write: it is reported, the pass does its work, and the next one tries again.
    rules.case("S5.1");
    let engine = place.engine(&server, &[]).unwrap();
    fs::create_dir(place.path(".new")).unwrap();
    let end = engine.images(ALL_UNUSED, None);
    assert_eq!(
        (told(&end), status(&end)),
        (vec!["a removed unused".to_owned()], None)
    );
    let warnings = place.warnings();
    assert!(
        warnings.len() == 2 && warnings.iter().all(|line| line.contains("cannot write")),
        "{warnings:?}"
    );
    fs::remove_dir(place.path(".new")).unwrap();
    engine.images(PassOptions::default(), None);
    assert!(place.warnings().is_empty() && place.path("").exists());
}

/// S5.1: an image that a pass is about to remove is not in the file any more, so that after a kill no record makes it old when it is pulled
/// again; a kept image is in the file.
#[test]
fn s5_1_what_is_being_removed_is_not_in_the_file() {
    let mut rules = Rules::default();
    // Whether the file can be written: else it is deleted.
    for writable in [true, false] {
        rules.case("S5.1");
        let place = Place::new();
        let server = start(node(vec![
            image("a", "r/a:1", 1),
            image("b", "r/b:1", 1),
            image("c", "r/c:1", 1),
        ]));
        server.edit(|node| node.containers.push(user("u", "r/c:1")));
        let engine = place.engine(&server, &[]).unwrap();
        engine.images(PassOptions::default(), None);
        if !writable {
            fs::create_dir(place.path(".new")).unwrap();
        }
        let of_b = Fault::of("RemoveImage", "b", Action::Hang);
        server.set_faults(vec![of_b]);
        let call = crigc::engine::Call::new(0);
        std::thread::scope(|scope| {
            let pass = scope.spawn(|| engine.images(ALL_UNUSED, Some(&call)));
            while !server
                .trace()
                .iter()
                .any(|c| c.method == "RemoveImage" && c.id == "b")
            {
                assert!(!pass.is_finished());
                std::thread::yield_now();
            }
            // As a kill would find it.
            let text = fs::read_to_string(place.path(""));
            if writable {
                let text = text.unwrap();
                assert!(
                    text.contains("\"c\"") && !text.contains("\"a\"") && !text.contains("\"b\""),
                    "{text}"
                );
            } else {
                assert_eq!(text.unwrap_err().kind(), std::io::ErrorKind::NotFound)
            }
            call.cancel();
        });
        let warnings = place.warnings();
        assert_eq!(
            warnings.iter().any(|line| line.contains("cannot write")),
            !writable,
            "{warnings:?}"
        );
    }
}

/// S5.1: an error that says nothing about the file leaves it alone; the next pass reads it.
#[test]
fn s5_1_a_passing_error_does_not_put_the_file_aside() {
    let mut rules = Rules::default();
    rules.case("S5.1");
    let place = Place::new();
    let server = start(node(vec![image("a", "r/a:1", 1)]));
    let passing = Passing::new(&place, &server);
    let engine = passing.engine(&place, &server);
    passing.take_away();
    assert_eq!(
        told(&engine.images(PassOptions::default(), None)),
        ["a kept below-threshold"]
    );
    let warnings = place.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("tries again"),
        "{warnings:?}"
    );
    passing.bring_back();
    let text = fs::read_to_string(passing.file()).unwrap();
    assert_eq!(text, good(&server.endpoint()));
    assert_eq!(
        told(&engine.images(PassOptions::default(), None)),
        ["a removed age"]
    );
}

/// S5.1: what an engine saw while it could not read the file counts, whatever the file then says: an image that was removed and came again
/// is new, and an image that was used was used.
#[test]
fn s5_1_what_was_seen_while_the_file_could_not_be_read_stands() {
    let mut rules = Rules::default();
    // What happens to `a`, which is unused for an hour by the file, while the file cannot be read.
    type Happens = fn(&Server, &Engine);
    let pulled_again = |server: &Server| {
        server.edit(|node| node.images.push(image("a", "r/a:1", 1)));
    };
    let cases: [(&str, Happens, bool); 4] = [
        ("nothing", |_, _| {}, true),
        (
            "removed by this engine",
            |server, engine| {
                let told = told(&engine.images(ALL_UNUSED, None));
                assert_eq!(told, ["a removed unused"]);
                assert!(server.state().images.is_empty());
            },
            false,
        ),
        (
            "removed by others",
            |server, engine| {
                server.edit(|node| node.images.clear());
                assert_eq!(told(&engine.images(PassOptions::default(), None)).len(), 0);
            },
            false,
        ),
        (
            "used",
            |server, engine| {
                server.edit(|node| node.containers.push(user("c", "r/a:1")));
                let told = told(&engine.images(PassOptions::default(), None));
                assert_eq!(told, ["a kept in-use"]);
                server.edit(|node| node.containers.clear());
            },
            false,
        ),
    ];
    for (what, happens, goes) in cases {
        rules.case("S5.1");
        let place = Place::new();
        let server = start(node(vec![image("a", "r/a:1", 1)]));
        let passing = Passing::new(&place, &server);
        let engine = passing.engine(&place, &server);
        passing.take_away();
        engine.images(PassOptions::default(), None);
        happens(&server, &engine);
        if server.state().images.is_empty() {
            pulled_again(&server);
        }
        passing.bring_back();
        let end = told(&engine.images(PassOptions::default(), None));
        let expected = if goes {
            "a removed age"
        } else {
            "a kept below-threshold"
        };
        assert_eq!(end, [expected], "{what}");
    }
}
