//! The commands of docs/features.md show what the page says: each is run, over the simulated node that it makes, and prints the lines below
//! it.

use ffi_tests::simulated::compile_agent;
use ffi_tests::{has, root, run, skip};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Far above what a command takes.
const WATCHDOG: Duration = Duration::from_secs(120);

/// A block of commands: the heading above it, the commands, and the lines that they print.
struct Block {
    heading: String,
    commands: String,
    lines: Vec<String>,
}

/// The blocks of a page.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut heading = String::new();
    let mut fence = None;
    for line in page.lines() {
        match (fence, line.strip_prefix("```")) {
            (None, Some("sh")) => {
                blocks.push(Block {
                    heading: heading.clone(),
                    commands: String::new(),
                    lines: Vec::new(),
                });
                fence = Some("sh");
            }
            (None, Some(kind)) => fence = Some(kind),
            (Some(_), Some(_)) => fence = None,
            (Some("sh"), None) => blocks.last_mut().unwrap().commands += &format!("{line}\n"),
            (Some(_), None) => blocks.last_mut().unwrap().lines.push(line.to_owned()),
            (None, None) => {
                if let Some(name) = line.strip_prefix("### ") {
                    heading = name.to_owned();
                }
            }
        }
    }
    blocks
}

/// Whether a printed line is one of the page, where `...` stands for anything.
fn is_line(printed: &str, pattern: &str) -> bool {
    let mut parts = pattern.split("...");
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut open = false;
    for part in parts {
        open = true;
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        if !part.is_empty() {
            open = false;
        }
    }
    open || rest.is_empty()
}

#[test]
fn three_dots_stand_for_anything() {
    for (printed, pattern, is) in [
        ("removed 3 of 9", "removed 3 of 9", true),
        ("removed 3 of 9", "removed ... of 9", true),
        ("removed 3 of 9", "removed ...", true),
        ("removed 3 of 9", "removed 3", false),
        ("removed 3 of 9", "... of 8", false),
        ("removed 3 of 9", "kept ...", false),
    ] {
        assert_eq!(is_line(printed, pattern), is, "{pattern}");
    }
}

/// crisim, as the page builds it.
fn crisim() -> PathBuf {
    let built = Command::new("make")
        .args(["-s", "crisim"])
        .current_dir(root())
        .status();
    assert!(built.is_ok_and(|status| status.success()), "make crisim");
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root().join("target"), PathBuf::from);
    target.join("debug/crisim")
}

/// Runs the commands of a block in a folder, and returns what they print.
fn printed(block: &Block, folder: &Path, agent: &Path, crisim: &Path) -> String {
    let examples = format!("{}/examples-c/", root().display());
    let script = block.commands.replace("examples-c/", &examples);
    let output = run(
        Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{script}")])
            .current_dir(folder)
            .env("AGENT", agent)
            .env("CRISIM", crisim),
        WATCHDOG,
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a block says it prints, and does not.
fn lacks(block: &Block, agent: &Path, crisim: &Path) -> Option<String> {
    assert!(!block.lines.is_empty(), "{} prints nothing", block.heading);
    let folder = tempfile::tempdir().expect("a folder");
    let text = printed(block, folder.path(), agent, crisim);
    let mut rest = text.lines();
    let lacks = |line: &&String| !rest.any(|printed| is_line(printed, line));
    let line = block.lines.iter().find(lacks)?;
    Some(format!("{}: `{line}` is not in:\n{text}", block.heading))
}

#[test]
fn the_commands_of_the_features_show_them() {
    if !has("timeout") {
        return skip("timeout is not installed");
    }
    let page = fs::read_to_string(root().join("docs/features.md")).expect("a page");
    let (agent, crisim) = (compile_agent("agent", &[]), crisim());
    let blocks: Vec<Block> = blocks(&page)
        .into_iter()
        .filter(|block| !block.commands.starts_with("make "))
        .collect();
    assert!(blocks.len() >= 15, "{} blocks", blocks.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(lacks(block, &agent, &crisim));
        }
        wrong
    };
    // They wait more than they compute.
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        let found = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        found.flatten().collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
