//! C programs against the static library and the real header, under AddressSanitizer and under valgrind.

use crisim::fault::{Action, Fault};
use crisim::{Options, Server};
use ffi_tests::simulated::without_files;
use ffi_tests::{check, compile, has, panicking_library, root, skip, static_library};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const ASAN: [&str; 3] = ["-std=c99", "-fsanitize=address", "-fno-omit-frame-pointer"];

fn hanging() -> Server {
    without_files(Options {
        faults: vec![
            Fault::all("RemoveContainer", Action::Hang),
            Fault::all("StopContainer", Action::Hang),
            Fault::all("RemoveImage", Action::Hang),
        ],
        ..Options::default()
    })
}

/// Under AddressSanitizer: a leak or an error ends the program with a failure.
#[test]
fn arguments_are_checked() {
    check(&mut Command::new(compile(
        "arguments-asan",
        "cc",
        &["ffi-tests/c/arguments.c"],
        &ASAN,
    )));
}

#[test]
fn the_kubelets_files_are_loaded() {
    let program = compile("load-asan", "cc", &["ffi-tests/c/load.c"], &ASAN);
    let tmp = tempfile::tempdir().expect("a folder");
    let at = |name: &str| tmp.path().join(name);
    let text = |field: &str| {
        format!("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n{field}\n")
    };
    std::fs::create_dir(at("conf.d")).expect("a folder");
    for (name, field) in [
        ("kubelet.yaml", "imageGCHighThresholdPercent: 90"),
        ("conf.d/10.conf", "imageMinimumGCAge: 5m"),
        ("conf.d/20.yaml", "imageGCHighThresholdPercent: 70"),
        ("bad.yaml", "imageGCHighThresholdPercent: 101"),
    ] {
        std::fs::write(at(name), text(field)).expect("a file");
    }
    let out = check(Command::new(program).args([at("kubelet.yaml"), at("conf.d"), at("bad.yaml")]));
    let skipped = at("conf.d/20.yaml");
    assert_eq!(
        out,
        format!(
            "skipped, because the kubelet reads only names that end in .conf: {}\n90 5m\n",
            skipped.display()
        )
    );
}

#[test]
fn passes_keep_the_rules_of_the_interface() {
    let program = compile("passes-asan", "cc", &["ffi-tests/c/passes.c"], &ASAN);
    let (good, bad) = (without_files(Options::default()), hanging());
    let out = check(Command::new(program).args([good.endpoint(), bad.endpoint()]));
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(json["pass"], "images");
    let entries = json["entries"].as_array().expect("a list");
    let removed = entries.iter().filter(|e| e["outcome"] == "removed");
    assert_eq!(json["removed"]["image"], removed.clone().count());
    let bytes: u64 = removed.filter_map(|e| e["bytes"].as_u64()).sum();
    assert_eq!(json["bytes_freed"], bytes);
    assert_eq!(json["status"], "GC_OK");
    assert!(json["error"].is_null() && json["fs"]["available_before"].is_u64());
    assert!(
        entries
            .iter()
            .all(|e| e["error"].is_null() && e["reason"].is_string())
    );
}

/// With freed memory overwritten: closing, stopping and freeing from several threads.
#[test]
fn nothing_touches_a_freed_engine() {
    let program = compile("closing", "cc", &["ffi-tests/c/closing.c"], &["-std=c99"]);
    check(
        Command::new(program)
            .arg("2500")
            .env("MALLOC_PERTURB_", "85"),
    );
}

#[test]
fn valgrind_finds_nothing() {
    if !has("valgrind") {
        return skip("valgrind is not installed");
    }
    let (good, bad) = (without_files(Options::default()), hanging());
    let valgrind = || {
        let mut command = Command::new("valgrind");
        command.args([
            "-q",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite,possible",
            "--error-exitcode=9",
        ]);
        let known = root().join("packaging/valgrind.supp");
        command.arg(format!("--suppressions={}", known.display()));
        command
    };
    let arguments = compile(
        "arguments",
        "cc",
        &["ffi-tests/c/arguments.c"],
        &["-std=c99"],
    );
    check(valgrind().arg(arguments));
    let passes = compile("passes", "cc", &["ffi-tests/c/passes.c"], &["-std=c99"]);
    check(
        valgrind()
            .arg(passes)
            .args([good.endpoint(), bad.endpoint()]),
    );
}

#[test]
fn every_function_of_the_header_is_called() {
    let header = std::fs::read_to_string(root().join("include/crigc.h")).expect("the header");
    let code: String = header
        .lines()
        .filter(|line| !line.starts_with([' ', '/']))
        .collect::<Vec<_>>()
        .join("\n");
    let names: BTreeSet<&str> = code
        .match_indices("gc_")
        .map(|(at, _)| &code[at..])
        .filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
        .filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        .collect();
    assert!(names.len() >= 35, "the header is read wrongly: {names:?}");
    let folder = root().join("ffi-tests/c");
    let programs: String = std::fs::read_dir(folder)
        .expect("C programs")
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .collect();
    let tour = std::fs::read_to_string(root().join("examples-c/tour.c")).expect("the tour");
    for name in names {
        let call = format!("{name}(");
        assert!(programs.contains(&call), "no C program calls {name}");
        assert!(
            tour.contains(&call),
            "examples-c/tour.c does not show {name}"
        );
    }
}

#[test]
fn the_tour_of_the_header_runs() {
    let program = compile("tour-asan", "cc", &["examples-c/tour.c"], &ASAN);
    let node = without_files(Options::default());
    let refused = Command::new(&program).arg("").output();
    let refused = refused.expect("the tour");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stdout.is_empty(), "{refused:?}");
    let out = check(Command::new(program).arg(node.endpoint()));
    for words in [
        "image-gc-high-threshold=85",
        "removed container ",
        "kept sandbox ",
        "as JSON",
        "crigc_passes_total{engine=\"0\",pass=\"containers\",status=\"GC_OK\"} ",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
}

#[test]
fn the_header_is_clean() {
    let include = root().join("target/ffi-tests/include-only.c");
    std::fs::create_dir_all(root().join("target/ffi-tests")).expect("a writable target folder");
    std::fs::write(
        &include,
        "#include \"crigc.h\"\nint main(void) { return 0; }\n",
    )
    .expect("writable");
    let all = [
        ("cc", "c", "c99"),
        ("cc", "c", "c17"),
        ("c++", "c++", "c++11"),
        ("c++", "c++", "c++20"),
        ("clang", "c", "c99"),
        ("clang++", "c++", "c++11"),
    ];
    for (compiler, language, standard) in all {
        if !has(compiler) {
            skip(&format!("{compiler} is not installed"));
            continue;
        }
        let mut command = Command::new(compiler);
        command.args([
            "-x",
            language,
            &format!("-std={standard}"),
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Wconversion",
            "-Werror",
        ]);
        command
            .arg("-I")
            .arg(root().join("include"))
            .args(["-fsyntax-only"])
            .arg(&include);
        check(&mut command);
    }
}

/// Whether a library has the function that makes it panic, and the words of such a panic.
fn can_be_made_to_panic(library: &Path) -> (bool, bool) {
    // nm would hand bitcode to a plugin, which may be older than rustc.
    let symbols = Command::new("readelf")
        .arg("-sW")
        .arg(library)
        .output()
        .expect("readelf");
    let symbols = String::from_utf8_lossy(&symbols.stdout);
    let defines = symbols.lines().any(|line| line.ends_with(" gc_engine_new"));
    assert!(defines, "readelf does not read {library:?}");
    let words = b"a panic on purpose";
    let bytes = std::fs::read(library).expect("a library");
    let says = bytes.windows(words.len()).any(|at| at == words);
    (symbols.contains("gc_test_panic_at"), says)
}

#[test]
fn the_library_cannot_be_made_to_panic() {
    if !has("nm") {
        return skip("nm is not installed");
    }
    assert_eq!(can_be_made_to_panic(&panicking_library()), (true, true));
    assert_eq!(can_be_made_to_panic(&static_library()), (false, false));
}
