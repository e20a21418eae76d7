//! The machine that measures, and what is on it, in the words of its own tools.

use std::path::Path;
use std::process::Command;

/// The first line that a command prints.
fn said(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}

/// What follows a name at the begin of a line of a file.
fn line(path: impl AsRef<Path>, name: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| line.trim().strip_prefix(name));
    let value = found
        .unwrap_or("unknown")
        .trim_matches(|c: char| c.is_whitespace() || c == ':' || c == '=' || c == '"');
    value.to_owned()
}

/// Processors and system, in a line.
pub fn in_short() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (processor, kernel) = (line("/proc/cpuinfo", "model name"), said("uname", &["-r"]));
    format!("{cores} cores of {processor}, Linux {kernel}")
}

/// The kind of filesystem that a path is on.
fn filesystem(path: &Path) -> String {
    said("stat", &["-f", "-c", "%T", &path.display().to_string()])
}

/// The description, as rows of a table. `nodes`: where nodes have their files.
pub fn described(nodes: &Path) -> Vec<(&'static str, String)> {
    let memory: u64 = line("/proc/meminfo", "MemTotal")
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or(0);
    vec![
        ("date", said("date", &["-u", "+%F"])),
        (
            "crigc",
            format!(
                "{} ({})",
                env!("CARGO_PKG_VERSION"),
                said("git", &["describe", "--always", "--dirty"])
            ),
        ),
        ("machine", in_short()),
        (
            "memory",
            format!("{:.1} GiB", memory as f64 / f64::from(1 << 20)),
        ),
        ("system", line("/etc/os-release", "PRETTY_NAME")),
        (
            "files of nodes",
            format!(
                "on {}; of rows that end in `-disk` on {}",
                filesystem(nodes),
                filesystem(Path::new("target"))
            ),
        ),
        (
            "built with",
            format!(
                "{}, {}",
                said("rustc", &["--version"]),
                said("go", &["version"])
            ),
        ),
        (
            "kubelet",
            format!(
                "its own code, Kubernetes {}",
                line("go/comparison/latest/go.mod", "k8s.io/kubernetes ")
            ),
        ),
        (
            "crictl",
            line(
                "ffi-tests/crictl/go.mod",
                "replace github.com/kubernetes-sigs/cri-tools => sigs.k8s.io/cri-tools ",
            ),
        ),
    ]
}
