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

/// The description, as rows of a table.
pub fn described() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory: u64 = line("/proc/meminfo", "MemTotal")
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or(0);
    let kernel = said("uname", &["-r"]);
    let system = line("/etc/os-release", "PRETTY_NAME");
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
        (
            "CPU",
            format!("{}, {cores} cores", line("/proc/cpuinfo", "model name")),
        ),
        (
            "memory",
            format!("{:.1} GiB", memory as f64 / f64::from(1 << 20)),
        ),
        (
            "system",
            format!(
                "{system}, Linux {kernel}, logs on {}",
                said("stat", &["-f", "-c", "%T", "target"])
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
                line("go/check/latest/go.mod", "k8s.io/kubernetes ")
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
