//! crigc.hpp in each standard from C++11 to C++23, under AddressSanitizer.

use crisim::fault::{Action, Fault};
use crisim::{Options, Server};
use ffi_tests::simulated::with_deleted_pods;
use ffi_tests::{check, compile, has, root, skip};
use std::process::Command;

const STANDARDS: [&str; 5] = ["c++11", "c++14", "c++17", "c++20", "c++2b"];

fn hanging() -> Server {
    let hangs = |method| Fault::all(method, Action::Hang);
    with_deleted_pods(Options {
        faults: ["RemoveContainer", "StopContainer", "RemoveImage"]
            .map(hangs)
            .into(),
        ..Options::default()
    })
}

/// Whether a compiler's AddressSanitizer is there; clang's is a package of its own.
fn has_sanitizer(compiler: &str) -> bool {
    let folder = root().join("target/ffi-tests");
    std::fs::create_dir_all(&folder).expect("a writable target folder");
    let program = folder.join(format!("sanitizer-{compiler}"));
    let linked = Command::new("sh")
        .args([
            "-c",
            r#"echo 'int main() {}' | "$1" -x c++ - -fsanitize=address -o "$2" 2>/dev/null"#,
            "sh",
        ])
        .arg(compiler)
        .arg(program)
        .status();
    linked.is_ok_and(|status| status.success())
}

fn classes_by(compiler: &str) {
    if !has(compiler) {
        return skip(&format!("{compiler} is not installed"));
    }
    let sanitizer = if has_sanitizer(compiler) {
        "-fsanitize=address"
    } else {
        skip(&format!("{compiler} has no AddressSanitizer"));
        "-g"
    };
    for standard in STANDARDS {
        let name = format!("classes-{compiler}-{standard}");
        let standard = format!("-std={standard}");
        let flags = [&standard, sanitizer, "-fno-omit-frame-pointer", "-Wshadow"];
        let program = compile(&name, compiler, &["ffi-tests/cpp/classes.cpp"], &flags);
        let (good, bad) = (with_deleted_pods(Options::default()), hanging());
        check(Command::new(&program).args([good.endpoint(), bad.endpoint()]));
        let mut leaving = Command::new(&program);
        leaving.env("ASAN_OPTIONS", "detect_leaks=0");
        check(leaving.args(["leaving", &good.endpoint()]));
    }
}

#[test]
fn classes_built_by_gxx() {
    classes_by("g++");
}

#[test]
fn classes_built_by_clangxx() {
    classes_by("clang++");
}

/// The example of C, too.
#[test]
fn the_c_example_collects() {
    collects(&compile(
        "collect-c",
        "cc",
        &["examples-c/collect.c"],
        &["-std=c99"],
    ));
}

/// What the program makes of a node, and of a word that it does not know.
fn collects(program: &std::path::Path) {
    let server = with_deleted_pods(Options::default());
    let node = [&*server.endpoint(), "pod-logs-dir=", "container-logs-dir="].map(str::to_owned);
    let run = |more: &str| {
        let told = Command::new(program)
            .args(&node)
            .args(more.split_whitespace())
            .output();
        let told = told.expect("it runs");
        let out = String::from_utf8_lossy(&told.stdout).into_owned();
        (
            told.status.code(),
            out,
            String::from_utf8_lossy(&told.stderr).into_owned(),
        )
    };
    let removed = |out: &str| {
        out.lines()
            .filter(|line| line.starts_with("removed "))
            .count()
    };
    let before = server.state().containers.len();
    let (code, dry, error) = run("maximum-dead-containers-per-container=0");
    assert!(
        code == Some(0) && removed(&dry) > 0,
        "{code:?} {dry} {error}"
    );
    assert_eq!(server.state().containers.len(), before);
    let (code, out, error) = run("--apply maximum-dead-containers-per-container=0");
    assert!(
        code == Some(0) && removed(&out) == removed(&dry),
        "{code:?} {out} {error}"
    );
    assert!(server.state().containers.len() < before);
    for (wrong, says) in [("--aply", "--aply"), ("no-such-key=1", "no-such-key")] {
        let (code, out, error) = run(wrong);
        assert!(
            code == Some(1) && error.contains(says),
            "{wrong}: {code:?} {out} {error}"
        );
    }
}

#[test]
fn the_example_and_programs_without_exceptions_compile() {
    for compiler in ["g++", "clang++"] {
        if !has(compiler) {
            skip(&format!("{compiler} is not installed"));
            continue;
        }
        for standard in STANDARDS.map(|standard| format!("-std={standard}")) {
            let example = ["examples-c/collect.cpp"];
            let program = compile("collect-cpp", compiler, &example, &[&standard]);
            collects(&program);
            let without = ["-fno-exceptions", "-fno-rtti", &standard];
            let program = compile(
                "no-exceptions",
                compiler,
                &["ffi-tests/cpp/no_exceptions.cpp"],
                &without,
            );
            let server = with_deleted_pods(Options::default());
            check(Command::new(program).arg(server.endpoint()));
        }
    }
}

#[test]
fn parts_with_and_without_exceptions_are_one_program() {
    for compiler in ["g++", "clang++"] {
        if !has(compiler) {
            skip(&format!("{compiler} is not installed"));
            continue;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        for order in [["without", "with"], ["with", "without"]] {
            for part in order {
                let exceptions = if part == "with" {
                    "-fexceptions"
                } else {
                    "-fno-exceptions"
                };
                check(
                    Command::new(compiler)
                        .args([
                            "-O0",
                            "-Wall",
                            "-Werror",
                            exceptions,
                            "-Iinclude",
                            "-Iffi-tests/c",
                        ])
                        .args(["-c", "ffi-tests/cpp/mixed.cpp", "-o"])
                        .arg(folder.path().join(format!("{part}.o")))
                        .current_dir(root()),
                );
            }
            let objects = order.map(|part| format!("{}/{part}.o", folder.path().display()));
            let program = compile("mixed", compiler, &[&objects[0], &objects[1]], &[]);
            let server = with_deleted_pods(Options::default());
            check(Command::new(program).arg(server.endpoint()));
        }
    }
}

#[test]
fn the_header_uses_every_function_of_c() {
    let text = |path: &str| std::fs::read_to_string(root().join(path)).expect("a header");
    let (c, cpp) = (text("include/crigc.h"), text("include/crigc.hpp"));
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        parts.map(str::to_owned).collect()
    };
    let declared: Vec<&str> = c
        .lines()
        .filter(|line| !line.starts_with([' ', '/', '#', 't', '}']))
        .filter_map(|line| line.split_once('('))
        .filter_map(|(before, _)| before.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("gc_"))
        .collect();
    assert!(declared.len() > 40, "the header is read wrongly");
    let constants = c.lines().filter_map(|line| line.strip_prefix("#define "));
    let constants = constants.filter_map(|line| line.split(' ').next());
    let constants = constants.filter(|name| name.starts_with("GC_") && !name.contains("VERSION"));
    let used = words(&cpp);
    for name in declared.into_iter().chain(constants) {
        assert!(
            used.iter().any(|word| word == name),
            "crigc.hpp does not use {name}"
        );
    }
}
