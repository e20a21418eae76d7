//! The metrics as the agent of `examples-c/` writes and serves them, and `--healthy`. promtool judges the format.

use crisim::fault::{Action, Fault};
use ffi_tests::process;
use ffi_tests::promtool::is_accepted;
use ffi_tests::simulated::{Bench, Told, WATCHDOG, agent, read_until, told};
use ffi_tests::{has, run, skip};
use rustix::fs::{FileType, Mode};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// The value of a sample by its name and a part of its labels; 0 = there is none.
fn value(text: &str, name: &str, labels: &str) -> f64 {
    let begin = format!("{name}{{");
    let mut samples = text
        .lines()
        .filter(|line| line.starts_with(&begin) && line.contains(labels));
    let value = samples
        .next()
        .and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or(0.0)
}

/// An agent that collects until it is told to end.
struct Running {
    child: process::Running,
    stderr: ChildStderr,
    error: String,
}

impl Running {
    fn start(bench: &Bench, more: &[&str]) -> Running {
        let mut child = bench
            .command(&agent(), more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the agent starts");
        let stderr = child.stderr.take().expect("piped");
        Running {
            child: process::Running(child),
            stderr,
            error: String::new(),
        }
    }

    /// Reads what it says until a line holds this; returns the line.
    fn line_with(&mut self, words: &str) -> String {
        let line = |text: &str| {
            text.lines()
                .find(|line| line.contains(words))
                .map(str::to_owned)
        };
        let is_there = |text: &str| line(text).is_some() && text.ends_with('\n');
        self.error += &read_until(&mut self.stderr, is_there);
        line(&self.error).expect("a line")
    }

    /// The address of its page.
    fn page(&mut self) -> String {
        let line = self.line_with("metrics are at http://");
        let (_, rest) = line.split_once("http://").expect("an address");
        rest.strip_suffix("/metrics").expect("the page").to_owned()
    }

    /// Ends it as a node does.
    fn end(mut self) {
        let id = i32::try_from(self.child.0.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(id.expect("an ID"), Signal::TERM).expect("my child");
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("readable");
        let status = self.child.0.wait().expect("it ends");
        // Also what AddressSanitizer has to say.
        assert_eq!(status.code(), Some(0), "{}{rest}", self.error);
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < WATCHDOG, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a request; the status line, the head and the body of the answer.
fn ask(page: &str, request: &str) -> (String, String, String) {
    let mut stream = TcpStream::connect(page).expect("a connection");
    stream.set_read_timeout(Some(WATCHDOG)).expect("a timeout");
    stream.write_all(request.as_bytes()).expect("writable");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let (status, head) = head.split_once("\r\n").expect("a status");
    (status.to_owned(), head.to_owned(), body.to_owned())
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: node\r\nAccept: */*\r\n\r\n";

#[test]
fn once_leaves_a_file_that_promtool_accepts() {
    let bench = Bench::new(Vec::new());
    let (file, kubelet) = (bench.at("crigc.prom"), bench.at("kubelet"));
    let told = bench.run(&[
        "--once",
        "--now",
        "--apply",
        "--json",
        "--kubelet-dir",
        &kubelet,
        "--metrics-file",
        &file,
    ]);
    assert_eq!(told.code, Some(0), "{}", told.error);
    let text = fs::read_to_string(&file).expect("a file");
    is_accepted(&text);
    let reports: Vec<serde_json::Value> = told
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    for report in &reports {
        let pass = format!(
            "pass=\"{}\",status=\"GC_OK\"",
            report["pass"].as_str().expect("text")
        );
        assert!(value(&text, "crigc_passes_total", &pass) >= 1.0, "{text}");
    }
    let removed = |kind: &str| -> f64 {
        let labels = format!("kind=\"{kind}\",outcome=\"removed\"");
        let lines = text
            .lines()
            .filter(|line| line.starts_with("crigc_removals_total") && line.contains(&labels));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    for (report, kind) in [
        (0, "container"),
        (0, "sandbox"),
        (0, "pod-logs"),
        (1, "image"),
    ] {
        let expected = reports[report]["removed"][kind].as_f64();
        assert_eq!(Some(removed(kind)), expected, "{kind}");
    }
    let freed = reports[1]["bytes_freed"].as_f64();
    assert_eq!(
        Some(value(&text, "crigc_image_freed_bytes_total", "")),
        freed
    );
    // Everybody may read it, also where the umask says otherwise; nothing else is left.
    assert_eq!(
        fs::metadata(&file).expect("a file").permissions().mode() & 0o7777,
        0o644
    );
    assert!(!Path::new(&bench.at("crigc.prom.new")).exists());
    // crisim is full of names; none is in the text.
    assert!(
        bench.live.iter().all(|uid| !text.contains(uid.as_str())),
        "{text}"
    );
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_anything_is_removed() {
    let bench = Bench::new(Vec::new());
    fs::create_dir(bench.at("folder.prom")).expect("a folder");
    fs::create_dir(bench.at("blocked.prom.new")).expect("a folder");
    mkfifo(bench.at("pipe.prom"));
    let before = bench.server.state();
    for (file, why) in [
        (
            "/nonexistent/crigc.prom".to_owned(),
            "No such file or directory",
        ),
        (bench.at("folder.prom"), "Is a directory"),
        (bench.at("pipe.prom"), "it is not a regular file"),
        (bench.at("blocked.prom"), "File exists"),
    ] {
        for more in [&["--once", "--now"][..], &[]] {
            let told = bench.run(&[more, &["--apply", "--metrics-file", &file]].concat());
            assert_eq!(told.code, Some(2), "{}", told.error);
            let message = format!("cannot write metrics to {file}: {why}");
            assert_eq!(told.error.matches(&message).count(), 1, "{}", told.error);
        }
    }
    assert_eq!(bench.server.state(), before);
    let type_of = |name: &str| fs::metadata(bench.at(name)).expect("it stays").file_type();
    assert!(type_of("folder.prom").is_dir() && type_of("pipe.prom").is_fifo());
}

fn mkfifo(path: String) {
    let (kind, mode) = (FileType::Fifo, Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("a pipe");
}

/// An agent that did not collect because a disk is full would never free it.
#[test]
fn without_room_for_the_file_it_collects_all_the_same() {
    let bench = Bench::new(Vec::new());
    let file = bench.at("crigc.prom");
    let before = bench.server.state().containers.len();
    let agent = bench.command(
        &agent(),
        &[
            "--once",
            "--now",
            "--apply",
            "--containers",
            "--metrics-file",
            &file,
        ],
    );
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -f 1; exec \"$@\"", "sh"])
        .arg(agent.get_program())
        .args(agent.get_args());
    let told = told(run(&mut limited, WATCHDOG));
    assert_eq!(told.code, Some(0), "{}", told.error);
    let message = format!("cannot write metrics to {file}: File too large");
    assert_eq!(told.error.matches(&message).count(), 1, "{}", told.error);
    assert!(bench.server.state().containers.len() < before);
    assert!(!Path::new(&file).exists());
}

/// Whoever owns the directory cannot make root write elsewhere.
#[test]
fn no_link_leads_the_file_elsewhere() {
    let bench = Bench::new(Vec::new());
    let (file, canary) = (bench.at("crigc.prom"), bench.at("canary"));
    fs::write(&canary, "keep").expect("a file");
    symlink(&canary, &file).expect("a link");
    symlink(&canary, bench.at("crigc.prom.new")).expect("a link");
    let told = bench.run(&["--once", "--containers", "--metrics-file", &file]);
    assert_eq!(told.code, Some(0), "{}", told.error);
    assert_eq!(fs::read_to_string(&canary).expect("a file"), "keep");
    assert!(fs::symlink_metadata(&file).expect("a file").is_file());
    is_accepted(&fs::read_to_string(&file).expect("a file"));
}

#[test]
fn another_name_is_written_and_remarked_on() {
    let bench = Bench::new(Vec::new());
    for (name, is_said) in [("crigc.prom", false), ("crigc.txt", true), ("crigc", true)] {
        let file = bench.at(name);
        let told = bench.run(&["--once", "--containers", "--metrics-file", &file]);
        assert_eq!(told.code, Some(0), "{}", told.error);
        assert_eq!(
            told.error.contains("names end in .prom"),
            is_said,
            "{}",
            told.error
        );
        assert!(Path::new(&file).exists());
    }
}

#[test]
fn the_file_is_written_anew_after_each_pass() {
    let bench = Bench::new(Vec::new());
    let file = bench.at("crigc.prom");
    let mut running = Running::start(
        &bench,
        &["--container-gc-period", "50ms", "--metrics-file", &file],
    );
    running.line_with("containers every 50ms");
    let passes = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        value(
            &text,
            "crigc_passes_total",
            "pass=\"containers\",status=\"GC_OK\"",
        )
    };
    wait_until("a pass", || passes() >= 1.0);
    let first = fs::File::open(&file).expect("a file");
    wait_until("three passes", || passes() >= 3.0);
    // Another one was renamed into its place.
    assert_eq!(first.metadata().expect("a file").nlink(), 0);
    let text = fs::read_to_string(&file).expect("a file");
    is_accepted(&text);
    assert_eq!(
        value(&text, "crigc_period_seconds", "pass=\"containers\""),
        0.05
    );
    assert_eq!(
        value(&text, "crigc_period_seconds", "pass=\"images\""),
        300.0
    );
    // A file that cannot be written for a while ends nothing, and is remarked on once.
    let folder = bench.at("crigc.prom.new");
    wait_until("a folder in its place", || fs::create_dir(&folder).is_ok());
    running.line_with("cannot write metrics");
    let before = passes();
    let calls = bench.server.trace().len();
    wait_until("more passes", || bench.server.trace().len() > calls + 10);
    fs::remove_dir(&folder).expect("empty");
    wait_until("it is written again", || passes() > before);
    let said = running.error.matches("cannot write metrics").count();
    assert_eq!(said, 1, "{}", running.error);
    running.end();
}

/// A pass that takes long gets on: its file shows that, although no pass has ended.
#[test]
fn the_file_is_looked_after_while_a_pass_runs() {
    let bench = Bench::new(vec![Fault {
        skip: 2,
        ..Fault::all("RemoveContainer", Action::Hang)
    }]);
    let file = bench.at("crigc.prom");
    let running = Running::start(
        &bench,
        &["--apply", "--containers", "--metrics-file", &file],
    );
    let in_flight = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        value(&text, "crigc_removals_in_flight", "") > 0.0
    };
    wait_until("a removal in flight", in_flight);
    let text = fs::read_to_string(&file).expect("a file");
    assert_eq!(
        value(
            &text,
            "crigc_passes_total",
            "pass=\"containers\",status=\"GC_OK\""
        ),
        0.0
    );
    running.end();
}

fn healthy(bench: &Bench, file: &str, more: &[&str]) -> Told {
    let told = bench.run(&[&["--healthy", file][..], more].concat());
    assert_eq!(told.out, "");
    told
}

#[test]
fn healthy_is_a_file_that_is_young_enough() {
    let bench = Bench::new(Vec::new());
    let file = bench.at("crigc.prom");
    let period = |seconds: f64| {
        format!("crigc_period_seconds{{engine=\"0\",pass=\"containers\"}} {seconds}\n")
    };
    let two = period(600.0) + &period(120.0);
    // What is in the file, how old it is, further options, the exit code, what is said.
    let cases: [(&str, i64, &[&str], i32, &str); 14] = [
        (&two, 0, &[], 0, ""),
        // Three periods, and the two minutes that a call of the runtime may take.
        (&two, 470, &[], 0, ""),
        (
            &two,
            490,
            &[],
            1,
            "may be 480 s old (3 periods and runtime-request-timeout)",
        ),
        (
            &two,
            390,
            &["--runtime-request-timeout", "10s"],
            1,
            "may be 370 s old",
        ),
        // What is configured here does not count where the file says it.
        (&two, 470, &["--container-gc-period", "1m"], 0, ""),
        // At least a minute for the periods.
        (&period(0.05), 170, &[], 0, ""),
        (&period(0.05), 190, &[], 1, "may be 180 s old"),
        // That of --once says nothing: the default is a minute.
        ("", 290, &[], 0, ""),
        ("", 310, &[], 1, "may be 300 s old"),
        ("", 310, &["--container-gc-period", "5m"], 0, ""),
        ("", 1010, &["--images"], 0, ""),
        ("garbage\0\n", 310, &[], 1, "may be 300 s old"),
        // A clock that was set back a little, or a lot.
        (&two, -470, &[], 0, ""),
        (&two, -490, &[], 1, "has the clock been set back?"),
    ];
    for (text, age, more, code, said) in cases {
        fs::write(&file, text).expect("writable");
        let now = SystemTime::now();
        let seconds = Duration::from_secs(age.unsigned_abs());
        let time = if age < 0 {
            now + seconds
        } else {
            now - seconds
        };
        fs::File::options()
            .write(true)
            .open(&file)
            .and_then(|f| f.set_modified(time))
            .expect("a time");
        let told = healthy(&bench, &file, more);
        assert_eq!(
            told.code,
            Some(code),
            "{text} {age} {more:?}: {}",
            told.error
        );
        assert_eq!(told.error.is_empty(), code == 0, "{}", told.error);
        assert!(
            told.error.contains(said) && told.error.lines().count() <= 1,
            "{}",
            told.error
        );
    }
    let told = healthy(&bench, "/nonexistent/crigc.prom", &[]);
    assert_eq!(told.code, Some(1));
    assert!(
        told.error
            .contains("cannot read /nonexistent/crigc.prom: No such file"),
        "{}",
        told.error
    );
    // What another user may have put there; the device would never end.
    let (folder, link) = (bench.at("folder.prom"), bench.at("link.prom"));
    fs::create_dir(&folder).expect("a folder");
    symlink("/dev/zero", &link).expect("a link");
    // Nor is a link followed that leads to a file of an agent.
    let to_file = bench.at("link-to-file.prom");
    symlink(&file, &to_file).expect("a link");
    for path in [folder, link, to_file] {
        let told = healthy(&bench, &path, &[]);
        assert_eq!(told.code, Some(1), "{}", told.error);
        let said = format!("cannot read {path}: ");
        assert!(told.error.contains(&said), "{}", told.error);
    }
    // It calls nobody.
    assert!(bench.server.trace().is_empty());
}

/// The probe of a node: an agent that runs, and one that has been killed for a while.
#[test]
fn an_agent_that_runs_is_healthy_from_its_start() {
    let bench = Bench::new(vec![Fault::all("*", Action::Hang)]);
    let file = bench.at("crigc.prom");
    let mut running = Running::start(&bench, &["--metrics-file", &file]);
    running.line_with("containers every");
    assert_eq!(healthy(&bench, &file, &[]).code, Some(0));
    is_accepted(&fs::read_to_string(&file).expect("a file"));
    running.end();
}

#[test]
fn the_page_of_metrics_is_served() {
    let bench = Bench::new(Vec::new());
    let mut running = Running::start(&bench, &["--metrics-listen", "127.0.0.1:0"]);
    let page = running.page();
    let get = |path: &str| format!("GET {path} HTTP/1.0\r\n\r\n");
    for request in [
        GET,
        &get("/metrics"),
        &get("/metrics?name=x"),
        "GET /metrics\n\n",
    ] {
        let (status, head, body) = ask(&page, request);
        assert_eq!(status, "HTTP/1.0 200 OK", "{request}");
        assert!(
            head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"),
            "{head}"
        );
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{head}"
        );
        is_accepted(&body);
        assert_eq!(value(&body, "crigc_build_info", "version"), 1.0, "{body}");
    }
    let long = format!("GET /{} HTTP/1.0\r\n\r\n", "x".repeat(5000));
    let much = format!("GET /{} HTTP/1.0\r\n\r\n", "x".repeat(1_000_000));
    for (request, code) in [
        (&*get("/"), "404"),
        (&get("/metricsx"), "404"),
        (&get("/metrics/x"), "404"),
        ("POST /metrics HTTP/1.0\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "405"),
        (&long[..4096], "431"),
        // Its answer arrives, though nobody reads all of it.
        (&much, "431"),
    ] {
        let (status, _, body) = ask(&page, request);
        assert!(
            status.starts_with(&format!("HTTP/1.0 {code} ")),
            "{request}: {status}"
        );
        assert!(!body.contains("crigc_"), "{body}");
    }
    running.end();
}

/// Passes change the figures all the time. Each of these requests would make a text of its own.
#[test]
fn requests_without_end_cost_five_texts_a_second() {
    let bench = Bench::new(Vec::new());
    let mut running = Running::start(
        &bench,
        &[
            "--containers",
            "--container-gc-period",
            "1ms",
            "--metrics-listen",
            "127.0.0.1:0",
        ],
    );
    let page = running.page();
    let begin = Instant::now();
    let mut texts: Vec<String> = Vec::new();
    let mut requests = 0;
    while begin.elapsed() < Duration::from_secs(1) {
        let (status, _, text) = ask(&page, GET);
        assert_eq!(status, "HTTP/1.0 200 OK");
        requests += 1;
        if texts.last() != Some(&text) {
            texts.push(text);
        }
    }
    // One that was made before, and one at the begin of each fifth of a second.
    let most = usize::try_from(begin.elapsed().as_millis() / 200).expect("seconds") + 2;
    let different = texts.len();
    assert!(
        different <= most,
        "{different} texts for {requests} requests, {most} at most"
    );
    // None is kept for longer.
    let passes = |text: &str| {
        let labels = "pass=\"containers\",status=\"GC_OK\"";
        value(text, "crigc_passes_total", labels)
    };
    let before = passes(&texts[different - 1]);
    wait_until("a new text", || passes(&ask(&page, GET).2) > before);
    running.end();
}

#[test]
fn the_page_is_served_while_a_pass_hangs_and_beside_clients_that_hang() {
    let bench = Bench::new(vec![Fault::all("RemoveContainer", Action::Hang)]);
    let mut running = Running::start(
        &bench,
        &["--apply", "--containers", "--metrics-listen", "127.0.0.1:0"],
    );
    let page = running.page();
    bench.wait_for_calls("RemoveContainer", 1);
    wait_until("it is in flight", || {
        value(&ask(&page, GET).2, "crigc_removals_in_flight", "") > 0.0
    });
    // They say nothing, or not enough; one hangs up. There are more than are let in at once: they are cut off after a while.
    let mut silent: Vec<TcpStream> = (0..11)
        .map(|_| TcpStream::connect(&page).expect("a connection"))
        .collect();
    silent[0].write_all(b"GET /metr").expect("writable");
    silent[10]
        .write_all(b"GET /metrics HTTP/1.0\r\n")
        .expect("writable");
    drop(silent.remove(5));
    assert_eq!(ask(&page, GET).0, "HTTP/1.0 200 OK");
    for mut stream in silent {
        stream.set_read_timeout(Some(WATCHDOG)).expect("a timeout");
        let mut rest = String::new();
        // It may be cut off before it has read what was sent.
        let _ = stream.read_to_string(&mut rest);
        assert_eq!(rest, "");
    }
    running.end();
}

#[test]
fn a_bad_address_is_refused() {
    let bench = Bench::new(Vec::new());
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|_| taken).expect("an address");
    let in_use = taken.local_addr().expect("an address").to_string();
    let form =
        "--metrics-listen takes an address and a port such as 127.0.0.1:9477 or [::1]:9477, not ";
    let cases = [
        ("9477", form),
        (":9477", form),
        ("127.0.0.1", form),
        ("127.0.0.1:", form),
        ("127.0.0.1:x", form),
        ("127.0.0.1:65536", form),
        ("127.0.0.1:-1", form),
        ("127.0.0.1:123456789012", form),
        ("localhost:9477", form),
        ("::1:9477", form),
        ("[::1]", form),
        ("[]:1", form),
        ("[127.0.0.1]:9477", form),
        ("1.2.3.4.5:1", form),
        ("", form),
        (&in_use, "Address already in use"),
        ("192.0.2.1:9477", "Cannot assign requested address"),
    ];
    for (address, said) in cases {
        let told = bench.run(&["--metrics-listen", address]);
        assert_eq!(told.code, Some(2), "{address}: {}", told.error);
        assert!(told.error.contains(said), "{address}: {}", told.error);
    }
    assert!(bench.server.trace().is_empty());
    for (arguments, said) in [
        (
            &["--once", "--metrics-listen", "127.0.0.1:0"][..],
            "only without --once: --metrics-listen",
        ),
        (
            &["--healthy", "x", "--once"],
            "--healthy collects nothing; leave out --once",
        ),
        (
            &["--healthy", "x", "--apply"],
            "--healthy collects nothing; leave out --apply",
        ),
        (&["--metrics-fil", "x"], "did you mean --metrics-file?"),
        (&["--helthy", "x"], "did you mean --healthy?"),
        (
            &["--metrics-file"],
            "a value is missing behind --metrics-file",
        ),
    ] {
        let told = bench.run(arguments);
        assert_eq!(told.code, Some(2), "{arguments:?}: {}", told.error);
        assert!(told.error.contains(said), "{arguments:?}: {}", told.error);
    }
}

#[test]
fn version_six_is_served_too() {
    if TcpListener::bind("[::1]:0").is_err() {
        return skip("no IPv6 here");
    }
    let bench = Bench::new(Vec::new());
    let mut running = Running::start(&bench, &["--metrics-listen", "[::1]:0"]);
    let page = running.page();
    assert!(page.starts_with("[::1]:"), "{page}");
    assert_eq!(ask(&page, GET).0, "HTTP/1.0 200 OK");
    running.end();
}

/// An agent that is started again takes over the port that clients of the last one used.
#[test]
fn a_new_agent_takes_over_the_port() {
    let bench = Bench::new(Vec::new());
    let mut first = Running::start(&bench, &["--metrics-listen", "127.0.0.1:0"]);
    let page = first.page();
    let open = TcpStream::connect(&page).expect("a connection");
    assert_eq!(ask(&page, GET).0, "HTTP/1.0 200 OK");
    first.end();
    let mut second = Running::start(&bench, &["--metrics-listen", &page]);
    assert_eq!(second.page(), page);
    assert_eq!(ask(&page, GET).0, "HTTP/1.0 200 OK");
    drop(open);
    second.end();
}

/// How many descriptors a process may have, as `ulimit -n` says it.
fn limit_descriptors(of: Pid, most: u64) {
    let limit = Rlimit {
        current: Some(most),
        ..getrlimit(Resource::Nofile)
    };
    let before = prlimit(Some(of), Resource::Nofile, limit).expect("my child");
    assert!(before.current.is_some_and(|before| before != most));
}

/// A client for whom there is no descriptor waits until there is one.
#[test]
fn a_client_is_answered_once_there_is_a_descriptor() {
    let bench = Bench::new(Vec::new());
    let mut running = Running::start(
        &bench,
        &[
            "--container-gc-period",
            "1h",
            "--metrics-listen",
            "127.0.0.1:0",
        ],
    );
    let page = running.page();
    // Between passes the agent opens nothing.
    for pass in ["containers", "images"] {
        let labels = format!("pass=\"{pass}\"");
        wait_until("a pass", || {
            value(
                &ask(&page, GET).2,
                "crigc_pass_duration_seconds_count",
                &labels,
            ) > 0.0
        });
    }
    // Standard streams, the socket that listens, and two pipes. The test may have handed on others, with higher numbers.
    let descriptors = PathBuf::from(format!("/proc/{}/fd", running.child.0.id()));
    let is_open = |number: u32| descriptors.join(number.to_string()).is_symlink();
    assert!((0..8).all(is_open));
    let id = i32::try_from(running.child.0.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("an ID");
    limit_descriptors(id, 8);
    let mut stream = TcpStream::connect(&page).expect("the queue of the socket");
    stream.write_all(GET.as_bytes()).expect("writable");
    stream
        .set_read_timeout(Some(Duration::from_millis(1500)))
        .expect("a timeout");
    let mut one = [0; 1];
    assert!(
        stream.read(&mut one).is_err(),
        "there is no descriptor for it"
    );
    limit_descriptors(id, 256);
    stream.set_read_timeout(Some(WATCHDOG)).expect("a timeout");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
    running.end();
}

#[test]
fn valgrind_finds_nothing_where_metrics_are_written_and_served() {
    if !has("valgrind") {
        return skip("valgrind is not installed");
    }
    let program = ffi_tests::simulated::compile_agent("agent", &[]);
    let bench = Bench::new(Vec::new());
    let file = bench.at("crigc.prom");
    let agent = bench.command(
        Path::new("agent"),
        &["--once", "--now", "--metrics-file", &file],
    );
    let mut command = Command::new("valgrind");
    command
        .args([
            "-q",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
            "--error-exitcode=9",
        ])
        .arg(program)
        .args(agent.get_args());
    let told = told(run(&mut command, WATCHDOG));
    assert_eq!(told.code, Some(0), "{}\n{}", told.out, told.error);
    is_accepted(&fs::read_to_string(&file).expect("a file"));
}
