//! `gc_config_load`: what is set and what is not, what is told, and what is refused. The values are in `load_tables.rs`.

use crigc::config::Settings;
use crigc::config::keys::KEYS;
use crigc::config::kubelet_file::fields::FIELDS;
use crigc::error::Status;
use crigc::hooks::{Hook, Hooks, LogLevel};
use crigc::load::load;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

#[test]
fn each_field_has_a_key_of_its_own() {
    let keys: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    for field in &FIELDS {
        assert!(keys.contains(&field.key), "{field:?}");
    }
    let mut own: Vec<&str> = FIELDS.iter().map(|field| field.key).collect();
    own.sort_unstable();
    own.dedup();
    assert_eq!(own.len(), FIELDS.len());
}

/// A folder with files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let tmp = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = tmp.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(path, text.replace('@', HEAD)).expect("writable");
    }
    tmp
}

fn shown(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

fn path(folder: &TempDir, name: &str) -> String {
    shown(&folder.path().join(name))
}

#[test]
fn what_is_not_named_keeps_its_value_and_an_error_sets_nothing() {
    let files = folder(&[
        ("good", "@imageGCHighThresholdPercent: 90\n"),
        (
            "bad",
            "@imageGCHighThresholdPercent: 95\npodLogsDir: logs/../../../../../../../..\n",
        ),
        ("conf.d/1.conf", "@imageGCHighThresholdPercent: 96\n"),
        ("conf.d/2.conf", "@imageMinimumGCAge: 1\n"),
        (
            "null.d/1.conf",
            "@imageGCHighThresholdPercent: null\nimageServiceEndpoint: null\n",
        ),
    ]);
    let mut settings = Settings::default();
    for (key, value) in [
        ("image-gc-low-threshold", "5"),
        ("minimum-image-ttl-duration", "0s"),
        ("image-service-endpoint", "/run/own.sock"),
        ("pod-logs-dir", ""),
    ] {
        settings.set(key, value).expect(key);
    }
    let before = settings.config();
    let hooks = Hooks::default();
    for bad in ["bad", "conf.d"] {
        let refused = load(&path(&files, bad), &mut settings, &hooks).expect_err(bad);
        assert_eq!(refused.status, Status::Config, "{refused}");
        assert_eq!(settings.config(), before, "{bad}");
    }
    load(&path(&files, "good"), &mut settings, &hooks).expect("a good file");
    let is = |key: &str, settings: &Settings| settings.get(key).expect(key).to_owned();
    assert_eq!(is("image-gc-high-threshold", &settings), "90");
    assert_eq!(is("minimum-image-ttl-duration", &settings), "0s");
    assert_eq!(is("pod-logs-dir", &settings), "");
    load(&path(&files, "null.d"), &mut settings, &hooks).expect("a good directory");
    assert_eq!(is("image-gc-high-threshold", &settings), "85");
    assert_eq!(is("image-service-endpoint", &settings), "");
    assert_eq!(is("image-gc-low-threshold", &settings), "5");
    assert_eq!(is("minimum-image-ttl-duration", &settings), "0s");
}

/// Loads, and returns what is told up to a level.
fn told(path: &str, up_to: LogLevel) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    let hooks = Hooks {
        log: Some((
            up_to,
            Hook::new(Box::new(move |level: LogLevel, message: &str| {
                log.lock().unwrap().push(format!("{level:?} {message}"));
            })),
        )),
        ..Hooks::default()
    };
    load(path, &mut Settings::default(), &hooks).expect(path);
    lines.lock().unwrap().clone()
}

#[test]
fn what_is_left_out_is_told() {
    let files = folder(&[
        ("several", "@---\n@"),
        ("twice", "@imageMinimumGCAge: 1m\nimageMinimumGCAge: 2m\n"),
        ("case", "@imageMinimumGcAge: 1m\n"),
        ("one.d/10.conf", "@"),
        ("one.d/10.yaml", ""),
        ("one.d/..data/hidden", ""),
        ("one.d/.swp", ""),
        ("many.d/1", ""),
        ("many.d/2", ""),
        ("many.d/3/4", ""),
        ("many.d/3/5", ""),
        ("many.d/6", ""),
        ("many.d/7", ""),
        ("many.d/8", ""),
        ("none.d/1.conf", "@"),
    ]);
    std::os::unix::fs::symlink("one.d", files.path().join("link.d")).expect("writable");
    let cases = [
        (
            "several",
            "{} holds several documents; as for the kubelet, only the first counts",
        ),
        (
            "twice",
            "{}:4:20: imageMinimumGCAge is there twice; as for the kubelet, the last one counts",
        ),
        (
            "case",
            "{}:3:20: imageMinimumGcAge is ignored, as by the kubelet; the field is imageMinimumGCAge",
        ),
        (
            "one.d",
            "skipped, because the kubelet reads only names that end in .conf: {}/..data/hidden, {}/10.yaml",
        ),
        (
            "many.d",
            "skipped, because the kubelet reads only names that end in .conf: {}/1, {}/2, {}/3/4, {}/3/5, {}/6 and 2 more",
        ),
        (
            "link.d",
            "{} is a symbolic link to a directory; as for the kubelet, nothing behind it counts, unless the path ends in `/`",
        ),
        ("none.d", ""),
    ];
    for (name, message) in cases {
        let path = path(&files, name);
        let line = format!("Warn {}", message.replace("{}", &path));
        let wanted = Vec::from_iter((!message.is_empty()).then_some(line));
        assert_eq!(told(&path, LogLevel::Info), wanted);
        assert_eq!(told(&path, LogLevel::Error), Vec::<String>::new());
    }
    let behind = format!("{}/", path(&files, "link.d"));
    let skipped = told(&behind, LogLevel::Warn);
    assert!(skipped[0].contains("10.yaml"), "{skipped:?}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let files = folder(&[("large", ""), ("secret", "@"), ("sub/1.conf", "@")]);
    fs::write(files.path().join("large"), vec![b'#'; (1 << 20) + 1]).expect("writable");
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        files.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(files.path().join("socket"));
    let cases = [
        ("nothing", "No such file or directory"),
        ("large", "it is larger than 1048576 bytes"),
        ("pipe", "it is not a regular file"),
        ("socket", "No such device or address"),
        ("/dev/zero", "it is not a regular file"),
        ("secret/x", "Not a directory"),
    ];
    for (name, why) in cases {
        let path = shown(&files.path().join(name));
        let e = load(&path, &mut Settings::default(), &Hooks::default()).expect_err(name);
        assert_eq!(e.status, Status::Io, "{e}");
        assert!(
            e.message.contains(why) && e.message.contains(&path),
            "{name}: {e}"
        );
    }
    let e = load("", &mut Settings::default(), &Hooks::default()).expect_err("no path");
    assert_eq!(e.status, Status::InvalidArgument, "{e}");
}

#[test]
fn a_directory_with_too_many_names_is_refused() {
    let files = folder(&[("conf.d/sub/1.conf", "@")]);
    let sub = files.path().join("conf.d/sub");
    for n in 1..=9_999 {
        fs::write(sub.join(n.to_string()), "").expect("writable");
    }
    let path = path(&files, "conf.d");
    let e = load(&path, &mut Settings::default(), &Hooks::default()).expect_err("10,001 names");
    assert!(
        e.status == Status::Io && e.message.contains("it holds more than 10000 names"),
        "{e}"
    );
    fs::remove_file(sub.join("1")).expect("writable");
    load(&path, &mut Settings::default(), &Hooks::default()).expect("10,000 names");
}

/// The time and memory of a text that was made to take much of both is that of a text of its size.
#[test]
fn a_text_that_grows_is_refused() {
    // Each line names the one before nine times.
    let levels = |first: &str, begin: &str, end: &str| {
        let mut text = format!("{HEAD}x0: &x0 {first}\n");
        for n in 1..40 {
            let items = vec![format!("*x{}", n - 1); 9].join(", ");
            text += &format!("x{n}: &x{n} {begin}{items}{end}\n");
        }
        text
    };
    let many = format!(
        "{HEAD}x: &x {{imageMinimumGCAge: 1m}}\n<<: [{}]\n",
        vec!["*x"; 6_000].join(", ")
    );
    let cases = [
        // Go refuses the aliases of the first one; crigc does not follow them.
        (levels("[a]", "[", "]"), None),
        (levels("{imageMinimumGCAge: 1m}", "{<<: [", "]}"), None),
        (many, Some("its keys `<<` merge too much")),
        (
            format!("{HEAD}x: {}\n", "[".repeat(200)),
            Some("nested deeper than 100 levels"),
        ),
        (
            (0..200).fold(HEAD.to_owned(), |text, n| {
                format!("{text}{}k:\n", " ".repeat(n))
            }),
            Some("nested deeper than 100 levels"),
        ),
        (
            format!("{HEAD}x: {}\n", "[]".repeat(500_000)),
            Some("not YAML"),
        ),
        (format!("{HEAD}x: [{}]\n", "a,".repeat(500_000)), None),
        (format!("{HEAD}x: '{}'\n", "a ".repeat(500_000)), None),
        (
            format!("{HEAD}{}", "? ".repeat(500_000)),
            Some("nested deeper"),
        ),
        (format!("{HEAD}{}", "- ".repeat(500_000)), Some("not YAML")),
        (
            format!("{}{}", "{\"x\":".repeat(100_000), "}"),
            Some("not JSON"),
        ),
        (
            format!("{{{}}}", vec!["\"kind\":0"; 100_000].join(",")),
            Some("it has no apiVersion"),
        ),
        (
            format!(
                "{HEAD}x: &x \"{}\"\ny: [{}]\n",
                "a".repeat(4_000),
                vec!["{kind: *x}"; 1_000].join(", ")
            ),
            Some("its aliases repeat more than 1048576 bytes"),
        ),
        (
            format!("{HEAD}podLogsDir: /{}\n", "a".repeat(4_096)),
            Some("podLogsDir is longer than 4096 bytes"),
        ),
    ];
    let files = folder(&[]);
    for (text, refused) in cases {
        assert!(text.len() <= 1 << 20);
        let path = path(&files, "file");
        fs::write(&path, &text).expect("writable");
        let is = load(&path, &mut Settings::default(), &Hooks::default());
        let start: String = text.chars().skip(HEAD.len()).take(60).collect();
        match (refused, is) {
            (None, Ok(())) => {}
            (Some(why), Err(e)) if e.message.contains(why) => {}
            (_, is) => panic!("{start}: {refused:?}, but {is:?}"),
        }
    }
}

/// The kubelet resolves a relative path of its flag, and so does crigc.
#[test]
fn a_relative_path_begins_in_the_working_directory() {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(std::env::current_dir().expect("a directory"), here);
    // Another directory may be the one that Cargo builds in.
    fs::create_dir_all(here.join("target")).expect("writable");
    let files = tempfile::tempdir_in(here.join("target")).expect("a folder");
    let text = format!("{HEAD}podLogsDir: pods\n");
    fs::write(files.path().join("file"), text).expect("writable");
    let file = files.path().join("file");
    let relative = file.strip_prefix(&here).expect("below");
    let mut settings = Settings::default();
    load(&shown(relative), &mut settings, &Hooks::default()).expect("a file");
    assert_eq!(
        settings.get("pod-logs-dir"),
        Ok(shown(&files.path().join("pods")).as_str())
    );
}

/// The file of a host whose root is mounted below `host-root`: pod-logs-dir is a path of the host (S5.11).
#[test]
fn a_relative_path_below_host_root_becomes_one_of_the_host() {
    let files = folder(&[
        (
            "host/etc/kubelet/file",
            "@podLogsDir: ../pods
",
        ),
        ("hosted/file", "@podLogsDir: pods\n"),
    ]);
    let beside = path(&files, "hosted/pods");
    for (file, expected) in [
        ("host/etc/kubelet/file", "/etc/pods"),
        ("hosted/file", beside.as_str()),
    ] {
        let mut settings = Settings::default();
        let root = path(&files, "host");
        settings.set("host-root", &root).expect("a directory");
        load(&path(&files, file), &mut settings, &Hooks::default()).expect(file);
        assert_eq!(settings.get("pod-logs-dir"), Ok(expected), "{file}");
    }
}
