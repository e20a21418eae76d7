//! The agent as a node runs it (`deploy/`): its image from an empty root, and its unit under a systemd that sets up the unit's sandbox.
//! Both collect a crisim whose files are where a real node has them.

use crisim::node::{Node, State, Word};
use ffi_tests::simulated::{Told, told};
use ffi_tests::{check, has, root, run, skip, static_library};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

/// Far above what any run takes.
const WATCHDOG: Duration = Duration::from_secs(180);

/// The most that the image may take, unpacked or packed.
const MOST_BYTES: u64 = 5_000_000;

/// Tenths of the exposure that `systemd-analyze security` may find; deploy/README.md names it.
const MOST_EXPOSURE: &str = "--threshold=10";

/// Why these tests cannot run here.
fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("a node in namespaces needs root");
    }
    let commands = "buildah systemd-analyze unshare setpriv capsh findmnt";
    let lacks = commands.split(' ').find(|command| !has(command));
    if lacks.is_some() {
        return lacks;
    }
    let works = |command: &mut Command| command.output().is_ok_and(|o| o.status.success());
    if !works(Command::new("unshare").args(["--mount", "true"])) {
        return Some("no mount namespaces here");
    }
    let tree = Command::new("findmnt")
        .args(["--types", "cgroup2"])
        .output();
    let found = tree.is_ok_and(|output| output.status.success());
    (!found).then_some("no cgroup2 is mounted here")
}

/// crisim as a program, built once.
fn crisim() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let mut cargo = Command::new(env!("CARGO"));
        check(
            cargo
                .args(["build", "-q", "-p", "crisim"])
                .current_dir(root()),
        );
        root().join("target/debug/crisim")
    };
    BUILT.get_or_init(build).clone()
}

/// `make image`, without a network; the program is beside the archive.
fn archive() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let archive = "target/deploy/crigc-agent.oci.tar";
        let mut make = Command::new("unshare");
        make.args(["--net", "make", "--silent", archive])
            .arg(format!("LIBRARY={}", static_library().display()))
            .current_dir(root());
        check(&mut make);
        root().join(archive)
    };
    BUILT.get_or_init(build).clone()
}

fn program() -> PathBuf {
    archive().with_file_name("crigc-agent")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// An unpacked OCI archive.
struct Image {
    layout: tempfile::TempDir,
    manifest: Value,
    config: Value,
}

impl Image {
    fn open(archive: &Path) -> Image {
        let layout = tempfile::tempdir().expect("a folder");
        let mut tar = Command::new("tar");
        check(tar.arg("-xf").arg(archive).arg("-C").arg(layout.path()));
        let json = |path: PathBuf| serde_json::from_str::<Value>(&read(path)).expect("JSON");
        let index = json(layout.path().join("index.json"));
        let manifest = json(blob(&layout, &index["manifests"][0]));
        let config = json(blob(&layout, &manifest["config"]));
        Image {
            layout,
            manifest,
            config,
        }
    }

    /// Its only layer.
    fn layer(&self) -> PathBuf {
        let layers = self.manifest["layers"].as_array().expect("layers");
        assert_eq!(layers.len(), 1, "{layers:?}");
        blob(&self.layout, &layers[0])
    }

    /// What a container of it runs.
    fn command(&self) -> Vec<String> {
        let parts = ["Entrypoint", "Cmd"].map(|key| self.config["config"][key].as_array());
        let words = parts.into_iter().flatten().flatten();
        words
            .map(|word| word.as_str().expect("text").to_owned())
            .collect()
    }
}

fn blob(layout: &tempfile::TempDir, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().expect("a digest");
    layout.path().join("blobs").join(digest.replace(':', "/"))
}

/// A node in a folder, in which `ffi-tests/deploy/node.sh` runs a command.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["bin", "default", "log", "lib/crigc-agent", "run/test/units"] {
            fs::create_dir_all(folder.path().join(name)).expect("a folder");
        }
        fs::copy(program(), folder.path().join("bin/crigc-agent")).expect("a program");
        Place { folder }
    }

    /// A path of the node.
    fn at(&self, path: &str) -> PathBuf {
        let path = path.strip_prefix("/var").unwrap_or(path);
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn run(&self, command: &[&str]) -> Told {
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--mount", "ffi-tests/deploy/node.sh"])
            .arg(self.folder.path())
            .arg(crisim())
            .args(command)
            .current_dir(root());
        told(run(&mut unshare, WATCHDOG))
    }

    /// The runtime's state, `before` or `after`.
    fn state(&self, name: &str) -> Node {
        serde_json::from_str(&read(self.at(&format!("/run/test/{name}.json")))).expect("a state")
    }

    /// The names in a directory of the node.
    fn names(&self, path: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(self.at(path)).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .map(|name| name.into_string().expect("UTF-8"))
            .collect()
    }

    /// The logs that are there, without rotated ones, by their paths on the node.
    fn logs(&self) -> BTreeSet<String> {
        let mut find = Command::new("find");
        find.arg(self.at("/var/log/pods")).args([
            "-type",
            "f",
            "-name",
            "*.log",
            "-printf",
            "/var/log/pods/%P\n",
        ]);
        check(&mut find).lines().map(str::to_owned).collect()
    }

    /// Where the links to logs lead.
    fn linked(&self) -> BTreeSet<String> {
        let names = self.names("/var/log/containers").into_iter();
        names
            .map(|name| self.at(&format!("/var/log/containers/{name}")))
            .map(|link| fs::read_link(link).expect("a link"))
            .map(|target| target.to_str().expect("UTF-8").to_owned())
            .collect()
    }
}

fn paths_of_logs(node: &Node) -> BTreeSet<String> {
    let paths = node.containers.iter().map(|c| c.log_path.to_string());
    paths.filter(|path| !path.is_empty()).collect()
}

fn nothing_changed(place: &Place, name: &str) {
    let before = place.state("before");
    assert_eq!(place.state("after"), before, "{name}");
    assert!(place.logs().is_superset(&paths_of_logs(&before)), "{name}");
    assert!(
        place.linked().is_superset(&paths_of_logs(&before)),
        "{name}"
    );
}

/// What pods left that are gone is removed, and all but the last dead container of each name in each pod, with their logs and links.
fn containers_are_collected(place: &Place, name: &str) {
    let (before, after) = (place.state("before"), place.state("after"));
    let live = place.names("/var/lib/kubelet/pods");
    let uids = |node: &Node| -> BTreeSet<String> {
        node.sandboxes.iter().map(|s| s.uid.to_string()).collect()
    };
    assert!(
        uids(&before).is_superset(&live) && uids(&before) != live,
        "{name}"
    );
    assert_eq!(uids(&after), live, "{name}");
    let runs = |node: &Node| -> BTreeSet<String> {
        let all = node.containers.iter();
        let running = all.filter(|c| c.state == State::Word(Word::Running));
        running.map(|c| c.id.to_string()).collect()
    };
    assert_eq!(runs(&after), runs(&before), "{name}");
    let mut units = BTreeSet::new();
    for container in &after.containers {
        let unit = (container.sandbox_id.clone(), container.name.clone());
        let is_dead = container.state != State::Word(Word::Running);
        assert!(!is_dead || units.insert(unit), "{name}: {container:?}");
    }
    assert_eq!(place.logs(), paths_of_logs(&after), "{name}");
    assert_eq!(place.linked(), paths_of_logs(&after), "{name}");
}

/// Images that nobody uses were removed, and the file of records knows those that stayed.
fn images_are_collected(place: &Place, name: &str) {
    let (before, after) = (place.state("before"), place.state("after"));
    let ids = |node: &Node| -> BTreeSet<String> {
        node.images
            .iter()
            .map(|image| image.id.to_string())
            .collect()
    };
    assert!(ids(&after).len() < ids(&before).len(), "{name}");
    let mut used = after.containers.iter().map(|c| c.image_id.to_string());
    assert!(used.all(|id| ids(&after).contains(&id)), "{name}");
    let records = read(place.at("/var/lib/crigc-agent/image-records"));
    let recorded = ids(&before).into_iter().filter(|id| records.contains(id));
    assert_eq!(recorded.collect::<BTreeSet<_>>(), ids(&after), "{name}");
}

#[test]
fn the_image_is_one_static_program_of_at_most_5_mb() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let image = Image::open(&archive());
    let listed = check(Command::new("tar").arg("-tzf").arg(image.layer()));
    assert_eq!(listed, "crigc-agent\n");
    let size = |path: &Path| fs::metadata(path).expect("a file").len();
    let (unpacked, packed) = (size(&program()), size(&archive()));
    println!("the image: {unpacked} bytes, {packed} packed");
    assert!(unpacked <= MOST_BYTES && packed <= MOST_BYTES);
    let headers = check(Command::new("readelf").args(["-lWd"]).arg(program()));
    assert!(headers.contains("LOAD"), "{headers}");
    assert!(
        !headers.contains("INTERP") && !headers.contains("NEEDED"),
        "{headers}"
    );

    let config = &image.config["config"];
    assert_eq!(config["Entrypoint"], serde_json::json!(["/crigc-agent"]));
    assert!(!image.command().iter().any(|word| word.contains("apply")));
    let version = &config["Labels"]["org.opencontainers.image.version"];
    let said = check(Command::new(program()).arg("--version"));
    assert!(
        said.contains(version.as_str().expect("a version")),
        "{said}"
    );

    // The same program gives the same image.
    let folder = tempfile::tempdir().expect("a folder");
    let again = folder.path().join("again.tar");
    let mut build = Command::new("unshare");
    build
        .args(["--net", "deploy/image.sh"])
        .arg(program())
        .arg(version.as_str().expect("a version"))
        .arg(&again)
        .env("TMPDIR", folder.path())
        .current_dir(root());
    check(&mut build);
    assert_eq!(Image::open(&again).manifest, image.manifest);
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 1, "files of buildah are left");
}

/// The mounts in deploy/README.md, as `PATH:ro` or `PATH:rw`.
fn documented_mounts() -> Vec<String> {
    let manual = read(root().join("deploy/README.md"));
    let rows = manual.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `/")?.split('|');
        let path = cells.next()?.trim().trim_end_matches('`');
        let access = cells.next()?.trim();
        ["ro", "rw"]
            .contains(&access)
            .then(|| format!("/{path}:{access}"))
    });
    rows.collect()
}

#[test]
fn the_image_collects_from_an_empty_root_through_its_documented_mounts() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let mounts = documented_mounts();
    assert_eq!(mounts.len(), 6, "{mounts:?}");
    let image = Image::open(&archive());
    type Check = fn(&Place, &str);
    type Row<'a> = (&'a str, &'a [&'a str], &'a str, i32, &'a str, Check);
    // Name, arguments besides those of the image, a mount that is left out, exit code, what is said, what is checked.
    let cases: [Row; 3] = [
        (
            "as delivered",
            &["--once"],
            "",
            0,
            "dry run",
            nothing_changed,
        ),
        (
            "--apply",
            &["--once", "--now", "--apply", "--all-unused", "--json"],
            "",
            0,
            r#""fs":{"capacity":"#,
            |place, name| {
                containers_are_collected(place, name);
                images_are_collected(place, name);
            },
        ),
        (
            "without the image filesystem",
            &["--once", "--now", "--apply"],
            "/var/lib/containerd:ro",
            1,
            "no figures of the image filesystem",
            containers_are_collected,
        ),
    ];
    for (name, arguments, without, code, part, check_place) in cases {
        let place = Place::new();
        let files = place.at("/run/test/root");
        fs::create_dir(&files).expect("a folder");
        let mut tar = Command::new("tar");
        check(tar.arg("-xzf").arg(image.layer()).arg("-C").arg(&files));
        let mounts = mounts.iter().filter(|mount| *mount != without);
        let own = image.command();
        let mut command = vec!["ffi-tests/deploy/in-image.sh", "/run/test/root"];
        command.extend(mounts.map(String::as_str));
        command.push("--");
        command.extend(own.iter().map(String::as_str));
        command.extend(arguments);
        let told = place.run(&command);
        let all = told.out + &told.error;
        assert_eq!(told.code, Some(code), "{name}: {all}");
        assert!(all.contains(part), "{name}: `{part}` is not in: {all}");
        check_place(&place, name);
    }
}

/// The words behind a key in a manifest, one for each of its lines.
fn in_manifest(path: &str, key: &str) -> Vec<String> {
    let text = read(root().join("deploy/kubernetes").join(path));
    let lines = text.lines().map(|line| line.trim_start());
    let values = lines.filter_map(|line| line.strip_prefix(key));
    values.map(|value| value.trim().to_owned()).collect()
}

/// The DaemonSet for containerd: with the arguments, the mounts and the probe of the manifests. go/manifests decodes these strictly.
#[test]
fn the_agent_of_the_daemonset_needs_no_more_than_it_has() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let mut arguments: Vec<String> = in_manifest("base/daemonset.yaml", "- --");
    arguments.extend(in_manifest("containerd/kustomization.yaml", "value: --"));
    let arguments: Vec<String> = arguments.iter().map(|word| format!("--{word}")).collect();
    assert!(arguments.len() >= 5, "{arguments:?}");
    let own = in_manifest("base/daemonset.yaml", "mountPath:");
    let host = in_manifest("containerd/mounts.yaml", "mountPath:");
    let read_only = in_manifest("containerd/mounts.yaml", "readOnly: true");
    assert_eq!((own.len(), host.len(), read_only.len()), (2, 2, 2));
    let mounts: Vec<String> = own
        .iter()
        .map(|path| format!("{path}:rw"))
        .chain(host.iter().map(|path| format!("{path}:ro")))
        .collect();
    let probe = &in_manifest("base/daemonset.yaml", "command:")[0];
    let probe = probe.trim_matches(['[', ']']).split(", ");
    let probe: Vec<&str> = probe.collect();
    let image = Image::open(&archive());
    let node = || {
        let place = Place::new();
        fs::create_dir(place.at("/run/crigc-agent")).expect("a folder");
        place
    };
    let in_image = |place: &Place, command: &[&str]| {
        let files = place.at("/run/test/root");
        fs::create_dir(&files).expect("a folder");
        let mut tar = Command::new("tar");
        check(tar.arg("-xzf").arg(image.layer()).arg("-C").arg(&files));
        let mut all = vec!["ffi-tests/deploy/in-image.sh", "/run/test/root"];
        all.extend(mounts.iter().map(String::as_str));
        all.push("--");
        all.extend(command);
        let told = place.run(&all);
        assert_eq!(told.code, Some(0), "{}{}", told.out, told.error);
        told.out
    };
    // One pass in place of periodic ones, which would not end.
    let mut pass = vec!["/crigc-agent"];
    pass.extend(arguments.iter().map(String::as_str));
    pass.push("--once");
    let place = node();
    let out = in_image(&place, &pass);
    assert!(
        out.contains("images: ") && !out.contains("containers, "),
        "{out}"
    );
    nothing_changed(&place, "as delivered");
    pass.extend(["--now", "--apply", "--all-unused"]);
    let place = node();
    in_image(&place, &pass);
    images_are_collected(&place, "with --apply");
    let (metrics, place) = (place.at("/run/crigc-agent/crigc.prom"), node());
    fs::copy(metrics, place.at("/run/crigc-agent/crigc.prom")).expect("metrics");
    in_image(&place, &probe);
}

fn unit() -> String {
    read(root().join("deploy/crigc-agent.service"))
}

/// The words behind `KEY=` in the unit.
fn words_of(key: &str) -> Vec<String> {
    let unit = unit();
    let lines = unit
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let words: Vec<String> = lines
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect();
    assert!(!words.is_empty(), "the unit has no {key}");
    words
}

#[test]
fn systemd_finds_the_unit_valid_and_in_a_sandbox() {
    if let Some(why) = missing() {
        return skip(why);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().join("crigc-agent.service");
    let analyze = |verb: &str, more: &[&str], text: &str| -> Output {
        fs::write(&at, text).expect("a file");
        let mut command = Command::new("systemd-analyze");
        run(command.arg(verb).args(more).arg(&at), WATCHDOG)
    };
    let installed = "/usr/local/bin/crigc-agent";
    let text = unit().replace(installed, program().to_str().expect("UTF-8"));
    let verified = analyze("verify", &[], &text);
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
    // The check does see what is wrong.
    let wrong = analyze("verify", &[], &text.replace("Type=exec", "Type=exce"));
    assert!(!wrong.stderr.is_empty());

    let options = ["--offline=true", "--no-pager", MOST_EXPOSURE];
    let secure = analyze("security", &options, &text);
    let said = String::from_utf8_lossy(&secure.stdout);
    println!("{}", said.lines().last().unwrap_or_default());
    assert!(secure.status.success(), "{said}");
    let bare: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("Protect") && !line.starts_with("Capability"))
        .collect();
    assert!(
        !analyze("security", &options, &bare.join("\n"))
            .status
            .success()
    );
}

/// The unit under a systemd.
struct Case {
    name: &'static str,
    /// /etc/default/crigc-agent.
    settings: &'static str,
    /// A drop-in of the operator.
    drop_in: String,
    /// Shell commands beside systemd; one that fails fails the case.
    steps: &'static str,
    check: fn(&Place, &str),
}

/// What the steps use.
const FUNCTIONS: &str = r#"
show() { systemctl show --property="$1" --value crigc-agent; }
wait_for() { until grep -q "$1" /run/test/agent.out; do sleep 0.1; done; }
"#;

/// Output where the steps find it, a short wait before a restart, and a look at the sandbox from inside.
const TEST_DROP_IN: &str = "[Service]
StandardOutput=append:/run/test/agent.out
StandardError=append:/run/test/agent.err
RestartSec=100ms
ExecStartPre=/bin/sh -c 'cat /proc/self/status >%S/crigc-agent/status; cat /proc/self/mountinfo >%S/crigc-agent/mounts'
";

/// Runs the steps, and ends systemd with their exit code.
const TEST_UNIT: &str = "[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/sh -eux /run/test/steps
StandardOutput=append:/run/test/steps.out
StandardError=append:/run/test/steps.out
";

fn run_case(case: &Case) -> Place {
    let place = Place::new();
    fs::remove_dir(place.at("/var/lib/crigc-agent")).expect("an empty folder");
    let write = |name: &str, text: &str| place.write(&format!("/run/test/units/{name}"), text);
    for target in ["sysinit", "basic", "shutdown", "multi-user"] {
        write(
            &format!("{target}.target"),
            "[Unit]\nDefaultDependencies=no\n",
        );
    }
    write("crigc-agent.service", &unit());
    write("crigc-agent.service.d/override.conf", &case.drop_in);
    write("crigc-agent.service.d/test.conf", TEST_DROP_IN);
    write("test.service", TEST_UNIT);
    place.write("/run/test/steps", &format!("{FUNCTIONS}{}", case.steps));
    place.write("/run/test/agent.out", "");
    if !case.settings.is_empty() {
        place.write("/default/crigc-agent", case.settings);
    }
    let told = place.run(&["ffi-tests/deploy/systemd.sh"]);
    let said = ["steps.out", "agent.err", "agent.out", "console"]
        .map(|name| fs::read_to_string(place.at(&format!("/run/test/{name}"))).unwrap_or_default());
    let name = case.name;
    assert_eq!(
        told.code,
        Some(0),
        "{name}: {}\n{}",
        told.error,
        said.join("\n")
    );
    place
}

/// Each of the unit's ReadWritePaths is a writable mount of its own, and what is around it is read-only.
fn the_sandbox_is_in_force(place: &Place, name: &str) {
    let mounts = read(place.at("/var/lib/crigc-agent/mounts"));
    let options = |path: &str| {
        let mut lines = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        let last = lines.rfind(|fields| fields[4] == path);
        last.map(|fields| fields[5].split(',').next().unwrap_or_default().to_owned())
    };
    let mut writable = words_of("ReadWritePaths");
    assert_eq!(writable.len(), 2, "{name}");
    writable.extend(
        words_of("StateDirectory")
            .iter()
            .map(|d| format!("/var/lib/{d}")),
    );
    for path in writable {
        assert_eq!(
            options(&path).as_deref(),
            Some("rw"),
            "{name}: {path}\n{mounts}"
        );
    }
    for path in ["/", "/run", "/var/lib", "/var/log"] {
        assert_eq!(
            options(path).as_deref(),
            Some("ro"),
            "{name}: {path}\n{mounts}"
        );
    }
    let status = read(place.at("/var/lib/crigc-agent/status"));
    for line in [
        "CapPrm:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(status.contains(line), "{name}: {line}\n{status}");
    }
}

/// A drop-in that deploy/README.md shows: the first is for files of other users, the second for metrics.
fn documented_drop_in(at: usize) -> String {
    let manual = read(root().join("deploy/README.md"));
    let block = manual.split("```ini\n").nth(at).expect("a drop-in");
    let (block, _) = block.split_once("```").expect("its end");
    block
        .lines()
        .map(|line| line.trim().to_owned() + "\n")
        .collect()
}

/// A pod that is gone left a directory of another user with a file; the pass over containers has ended.
const FOREIGN: &str = r#"
for pod in /var/log/pods/*; do [ -d "/var/lib/kubelet/pods/${pod##*_}" ] || gone=$pod; done
mkdir "$gone/foreign"
touch "$gone/foreign/file"
chown -R 1000:1000 "$gone/foreign"
find "$gone" -exec touch -h -d '-1 hour' {} +
systemctl start crigc-agent
wait_for '"pass":"containers","status":"GC_OK"'
systemctl stop crigc-agent
"#;

fn case(
    name: &'static str,
    settings: &'static str,
    steps: &'static str,
    check: fn(&Place, &str),
) -> Case {
    let drop_in = String::new();
    Case {
        name,
        settings,
        drop_in,
        steps,
        check,
    }
}

fn cases() -> Vec<Case> {
    vec![
        case(
            "as delivered",
            "",
            "systemctl start crigc-agent
            wait_for containers,
            wait_for images:
            [ $(show MainPID) != 0 ]
            systemctl stop crigc-agent
            [ $(show Result) = success ]
            grep 'dry run' /run/test/agent.err",
            |place, name| {
                nothing_changed(place, name);
                the_sandbox_is_in_force(place, name);
            },
        ),
        case(
            "--apply in the file of settings, and a kill",
            "CRIGC_AGENT_ARGS=--apply --json --image-fs-file /run/test/fill --image-gc-period 200ms --minimum-image-ttl-duration 0s",
            r#"systemctl start crigc-agent
            wait_for '"pass":"containers","status":"GC_OK"'
            wait_for '"pass":"images","status":"GC_OK".*"removed":{[^}]*"image":[1-9]'
            kill -KILL $(show MainPID)
            until [ $(show NRestarts) = 1 ] && systemctl is-active crigc-agent; do sleep 0.1; done
            systemctl stop crigc-agent
            [ $(show Result) = success ]"#,
            |place, name| {
                containers_are_collected(place, name);
                images_are_collected(place, name);
                the_sandbox_is_in_force(place, name);
            },
        ),
        Case {
            drop_in: "[Service]\nEnvironment=\"CRIGC_AGENT_ARGS=--apply --containers --json\"\n"
                .to_owned(),
            ..case(
                "--apply in a drop-in, for containers alone",
                "CRIGC_AGENT_PODS=--live-pods /run/test/live",
                r#"ls /var/lib/kubelet/pods >/run/test/live
                systemctl start crigc-agent
                wait_for '"pass":"containers","status":"GC_OK"'
                systemctl stop crigc-agent"#,
                |place, name| {
                    containers_are_collected(place, name);
                    assert_eq!(
                        place.state("after").images,
                        place.state("before").images,
                        "{name}"
                    );
                },
            )
        },
        case(
            "a wrong argument that is corrected",
            "CRIGC_AGENT_ARGS=--aply",
            "systemctl start crigc-agent || true
            until [ $(show NRestarts) -gt 1 ]; do sleep 0.1; done
            grep -e --aply /run/test/agent.err
            rm /etc/default/crigc-agent
            wait_for containers,
            systemctl stop crigc-agent",
            nothing_changed,
        ),
        case(
            "a log directory that comes late",
            "",
            "mv /var/log/containers /var/log/late
            systemctl start crigc-agent || true
            until [ $(show NRestarts) -gt 1 ]; do sleep 0.1; done
            mv /var/log/late /var/log/containers
            wait_for containers,
            systemctl stop crigc-agent",
            nothing_changed,
        ),
        case(
            "files of another user",
            "CRIGC_AGENT_ARGS=--apply --containers --json",
            FOREIGN,
            |place, name| {
                let out = read(place.at("/run/test/agent.out"));
                assert!(
                    out.contains("foreign/file: Permission denied"),
                    "{name}: {out}"
                );
                assert_eq!(place.logs(), paths_of_logs(&place.state("after")), "{name}");
            },
        ),
        Case {
            drop_in: documented_drop_in(1),
            ..case(
                "files of another user, with the documented drop-in",
                "CRIGC_AGENT_ARGS=--apply --containers --json",
                FOREIGN,
                |place, name| {
                    let live = place.names("/var/lib/kubelet/pods");
                    let of_live = |pod: &String| live.iter().any(|uid| pod.ends_with(uid));
                    assert!(place.names("/var/log/pods").iter().all(of_live), "{name}");
                    containers_are_collected(place, name);
                },
            )
        },
        Case {
            drop_in: documented_drop_in(2),
            ..case(
                "metrics, with the documented drop-in",
                "",
                r#"file=/run/crigc-agent/crigc.prom
                systemctl start crigc-agent
                until grep 'crigc_passes_total.*"containers",status="GC_OK"} 1' "$file"; do sleep 0.1; done
                setpriv --reuid 65534 --clear-groups cat "$file" >/run/test/metrics
                /usr/local/bin/crigc-agent --healthy "$file"
                systemctl stop crigc-agent
                [ -e "$file" ]
                touch -d '-6 minutes' "$file"
                if /usr/local/bin/crigc-agent --healthy "$file"; then exit 1; fi"#,
                |place, name| {
                    nothing_changed(place, name);
                    let text = read(place.at("/run/test/metrics"));
                    assert!(text.contains("crigc_period_seconds"), "{name}: {text}");
                },
            )
        },
    ]
}

#[test]
fn the_unit_works_under_its_own_sandbox() {
    if let Some(why) = missing() {
        return skip(why);
    }
    for case in cases() {
        let place = run_case(&case);
        (case.check)(&place, case.name);
    }
}
