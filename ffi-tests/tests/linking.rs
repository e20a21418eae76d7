//! Ways to link a program with crigc: compilers, linkers, static and shared, beside another Rust library. No way needs more than the
//! library's name: no `-l` flag but that of the shared library.

use crisim::{Options, Server};
use ffi_tests::simulated::without_files;
use ffi_tests::{check, has, packed, panicking_library, root, run, skip, static_library};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Far above what a run takes.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A compiler, and a standard of its language that it is tried with.
const COMPILERS: [(&str, &[&str]); 4] = [
    ("gcc", &["c99", "c11", "c17", "c2x"]),
    ("clang", &["c99", "c11", "c17", "c2x"]),
    ("g++", &["c++11", "c++14", "c++17", "c++20", "c++2b"]),
    ("clang++", &["c++11", "c++14", "c++17", "c++20", "c++2b"]),
];

const LINKERS: [&str; 3] = ["bfd", "gold", "lld"];

/// What is tried with each compiler and linker, with and without `-Wl,--gc-sections`.
const MODES: [&[&str]; 8] = [
    &[],
    &["-static"],
    &["-static-pie"],
    &["-no-pie"],
    &["-flto"],
    &["-flto", "-static"],
    &["-O3", "-Wl,--no-as-needed"],
    &["-Wl,-z,defs", "-Wl,-z,now", "-Wl,--as-needed"],
];

/// `-flto` in a form that each linker can read.
fn lto_for_all_linkers(compiler: &str) -> &'static [&'static str] {
    if compiler.starts_with("clang") {
        &["-flto=thin"]
    } else {
        &["-flto", "-ffat-lto-objects"]
    }
}

/// Ways that fail for a program without crigc, too: gold 1.16 does not know `-static-pie`; lld cannot read the code that gcc writes with
/// `-flto` and without `-ffat-lto-objects`; gold drops a section that libstdc++.a needs.
const MAY_FAIL_WITHOUT: [(&str, &str, &[&str]); 4] = [
    ("", "gold", &["-static-pie"]),
    ("gcc", "lld", &["-flto"]),
    ("g++", "lld", &["-flto"]),
    ("", "gold", &["-flto", "-static", "-Wl,--gc-sections"]),
];

fn folder() -> PathBuf {
    let folder = root().join("target/ffi-tests/linking");
    std::fs::create_dir_all(&folder).expect("a writable target folder");
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Compiles and links sources of `ffi-tests/linking` into `target`; libraries follow the sources.
fn link(
    compiler: &str,
    flags: &[&str],
    sources: &[&str],
    libraries: &[&Path],
    target: &Path,
) -> Output {
    let language = if compiler.ends_with("++") { "c++" } else { "c" };
    let mut command = Command::new(compiler);
    command.args(["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]);
    command.arg(format!("-I{}", root().join("include").display()));
    command.args(flags).args(["-x", language]);
    for source in sources {
        command.arg(root().join("ffi-tests/linking").join(source));
    }
    command
        .args(["-x", "none"])
        .args(libraries)
        .arg("-o")
        .arg(target);
    run(&mut command, WATCHDOG * 3)
}

/// Runs a dry run of `dry.c`, or of what has it inside.
fn dry_run(program: &Path, server: &Server) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg(server.endpoint());
    command.env(
        "LD_LIBRARY_PATH",
        static_library().parent().expect("a folder"),
    );
    let ended = run(&mut command, WATCHDOG);
    if ended.status.success() && text(&ended.stdout) == "GC_OK with entries\n" {
        return Ok(());
    }
    Err(format!(
        "{}: {}{}",
        ended.status,
        text(&ended.stdout),
        text(&ended.stderr)
    ))
}

fn may_fail_without(compiler: &str, linker: &str, flags: &[&str]) -> bool {
    MAY_FAIL_WITHOUT.iter().any(|(c, l, needed)| {
        (c.is_empty() || *c == compiler)
            && *l == linker
            && needed.iter().all(|flag| flags.contains(flag))
            && !flags.contains(&"-ffat-lto-objects")
    })
}

/// Builds and runs one way; what is wrong with it, or whether it linked.
fn try_way(compiler: &str, linker: &str, flags: &[&str], server: &Server) -> Result<bool, String> {
    let name = format!("{compiler}-{linker}{}", flags.concat().replace(',', ""));
    let program = folder().join(&name);
    let by = format!("-fuse-ld={linker}");
    let flags = [&[by.as_str()], flags].concat();
    let linked = link(compiler, &flags, &["dry.c"], &[&static_library()], &program);
    if linked.status.success() {
        let told = dry_run(&program, server).map_err(|error| format!("{name}: {error}"));
        let _ = std::fs::remove_file(&program);
        return told.map(|()| true);
    }
    let without = link(compiler, &flags, &["without.c"], &[], &program);
    if may_fail_without(compiler, linker, &flags) && !without.status.success() {
        return Ok(false);
    }
    Err(format!("{name} does not link: {}", text(&linked.stderr)))
}

fn every_way_of(compiler: &str) {
    if !has(compiler) {
        return skip(&format!("{compiler} is not installed"));
    }
    let server = without_files(Options::default());
    let (mut failures, mut linked) = (Vec::new(), 0);
    for linker in LINKERS {
        if !has(&format!("ld.{linker}")) {
            skip(&format!("ld.{linker} is not installed"));
            continue;
        }
        for mode in MODES.into_iter().chain([lto_for_all_linkers(compiler)]) {
            for more in [&[][..], &["-Wl,--gc-sections"]] {
                match try_way(compiler, linker, &[mode, more].concat(), &server) {
                    Ok(links) => linked += i32::from(links),
                    Err(error) => failures.push(error),
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(linked > 12, "{compiler} links in {linked} ways only");
}

#[test]
fn gcc_links_in_every_way() {
    every_way_of("gcc");
}

#[test]
fn clang_links_in_every_way() {
    every_way_of("clang");
}

#[test]
fn gxx_links_in_every_way() {
    every_way_of("g++");
}

#[test]
fn clangxx_links_in_every_way() {
    every_way_of("clang++");
}

#[test]
fn every_standard_links() {
    let server = without_files(Options::default());
    let program = folder().join("standard");
    for (compiler, standards) in COMPILERS {
        if !has(compiler) {
            skip(&format!("{compiler} is not installed"));
            continue;
        }
        for standard in standards {
            let flag = format!("-std={standard}");
            let linked = link(
                compiler,
                &[&flag],
                &["dry.c"],
                &[&static_library()],
                &program,
            );
            assert!(
                linked.status.success(),
                "{compiler} {flag}: {}",
                text(&linked.stderr)
            );
            assert_eq!(dry_run(&program, &server), Ok(()), "{compiler} {flag}");
        }
    }
}

#[test]
fn the_shared_library_links() {
    let server = without_files(Options::default());
    let search = static_library();
    let search = format!("-L{}", search.parent().expect("a folder").display());
    let libraries = [Path::new(&search), Path::new("-lcrigc")];
    let program = folder().join("shared");
    for (compiler, linker) in installed(&["gcc", "clang", "g++", "clang++"]) {
        let by = format!("-fuse-ld={linker}");
        let linked = link(compiler, &[&by], &["dry.c"], &libraries, &program);
        assert!(
            linked.status.success(),
            "{compiler} {by}: {}",
            text(&linked.stderr)
        );
        assert_eq!(dry_run(&program, &server), Ok(()), "{compiler} {by}");
    }
}

#[test]
fn a_shared_library_of_the_host_has_crigc_inside() {
    let server = without_files(Options::default());
    let (program, plugin) = (folder().join("host"), folder().join("libplugin.so"));
    for (compiler, linker) in installed(&["gcc", "clang", "g++", "clang++"]) {
        let by = format!("-fuse-ld={linker}");
        let inside = [
            "-shared",
            "-fPIC",
            "-DIN_A_SHARED_LIBRARY",
            "-Wl,--exclude-libs,ALL",
        ];
        let flags = [&[by.as_str()], &inside[..]].concat();
        let linked = link(compiler, &flags, &["dry.c"], &[&static_library()], &plugin);
        assert!(
            linked.status.success(),
            "{compiler} {by}: {}",
            text(&linked.stderr)
        );
        assert_eq!(crigc_symbols(&["-D", "--defined-only"], &plugin).0, 0);
        let linked = link(compiler, &[&by], &["host.c"], &[&plugin], &program);
        assert!(
            linked.status.success(),
            "{compiler} {by}: {}",
            text(&linked.stderr)
        );
        assert_eq!(dry_run(&program, &server), Ok(()), "{compiler} {by}");
    }
}

/// How many symbols of a file are gc_*, and the others, less the one that bfd needs.
fn crigc_symbols(flags: &[&str], file: &Path) -> (usize, Vec<String>) {
    let symbols = Command::new("nm")
        .args(flags)
        .arg(file)
        .output()
        .expect("nm");
    assert!(symbols.status.success(), "{}", text(&symbols.stderr));
    let symbols = text(&symbols.stdout);
    let symbols = symbols.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        Some((words.next()?, words.next()?))
    });
    let (ours, others): (Vec<_>, Vec<_>) = symbols.partition(|(_, name)| name.starts_with("gc_"));
    let others = others
        .into_iter()
        .filter(|symbol| *symbol != ("V", "DW.ref.rust_eh_personality"));
    (
        ours.len(),
        others.map(|(_, name)| name.to_owned()).collect(),
    )
}

#[test]
fn only_the_functions_of_the_header_are_global() {
    if !has("nm") {
        return skip("nm is not installed");
    }
    let (archive, none) = (static_library(), Vec::<String>::new());
    let (count, others) = crigc_symbols(&["-g", "--defined-only"], &archive);
    assert_eq!(others, none);
    let visible = check(Command::new("readelf").arg("-sW").arg(&archive));
    let weak = visible
        .lines()
        .find(|line| line.ends_with(" DW.ref.rust_eh_personality"));
    assert!(
        weak.is_some_and(|line| line.contains(" HIDDEN ")),
        "{weak:?}"
    );
    let shared = archive.with_file_name("libcrigc.so");
    assert_eq!(
        crigc_symbols(&["-D", "-g", "--defined-only"], &shared),
        (count, none)
    );
    let header = std::fs::read_to_string(root().join("include/crigc.h")).expect("the header");
    let is_function = |line: &&str| {
        line.contains("gc_") && line.contains('(') && !line.starts_with([' ', '/', '#', 't', '}'])
    };
    assert_eq!(header.lines().filter(is_function).count(), count);
}

/// The static library of `other.rs`, built by a rustc.
fn other_library(rustc: &str, name: &str) -> PathBuf {
    let library = folder().join(format!("libother{name}.a"));
    let built = Command::new(rustc)
        .args(["--edition", "2021", "-O", "-o"])
        .arg(&library)
        .arg(root().join("ffi-tests/linking/other.rs"))
        .output()
        .expect("a rustc");
    assert!(built.status.success(), "{rustc}: {}", text(&built.stderr));
    library
}

/// The compilers and linkers of these that are installed.
fn installed(compilers: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    for compiler in compilers {
        for linker in LINKERS {
            if has(compiler) && has(&format!("ld.{linker}")) {
                found.push((*compiler, linker));
            } else {
                skip(&format!("{compiler} or ld.{linker} is not installed"));
            }
        }
    }
    found
}

/// crigc and another Rust library in one program, in both orders: each catches its own panics.
fn beside_another(rustc: &str, crigc: &Path, defines: &[&str]) {
    let server = without_files(Options::default());
    let name = format!("{}{}", rustc.replace('/', "-"), defines.concat());
    let other = other_library(rustc, &name);
    let program = folder().join(format!("two{name}"));
    let both_orders = [[crigc, &other], [&other, crigc]];
    for (compiler, linker) in installed(&["gcc", "clang"]) {
        // Unlike crigc's, the objects of the other library contain bitcode of rustc. With bfd and gold clang's plugin reads it, and fails.
        let lto = match (compiler, linker) {
            ("clang", "bfd" | "gold") => &[],
            _ => lto_for_all_linkers(compiler),
        };
        for mode in [&[][..], &["-static"], lto, &["-Wl,--gc-sections"]] {
            let by = format!("-fuse-ld={linker}");
            let flags = [&["-std=c99", by.as_str()], mode, defines].concat();
            for libraries in both_orders {
                let way = format!("{compiler} {flags:?} {libraries:?}");
                let linked = link(compiler, &flags, &["two_libraries.c"], &libraries, &program);
                assert!(linked.status.success(), "{way}: {}", text(&linked.stderr));
                let ended = run(Command::new(&program).arg(server.endpoint()), WATCHDOG);
                assert!(ended.status.success(), "{way}: {}", text(&ended.stderr));
                assert!(text(&ended.stdout).ends_with("both work\n"), "{way}");
            }
        }
    }
}

#[test]
fn another_rust_library_may_be_there() {
    beside_another("rustc", &static_library(), &[]);
}

#[test]
fn a_library_of_another_rust_may_be_there() {
    if !has("/usr/bin/rustc") {
        return skip("Debian's rustc is not installed");
    }
    beside_another("/usr/bin/rustc", &static_library(), &[]);
}

/// crigc with its panics, packed as the library for people is.
#[test]
fn panics_of_both_libraries_are_caught() {
    let crigc = packed(&panicking_library());
    for rustc in ["rustc", "/usr/bin/rustc"] {
        if !has(rustc) {
            skip("Debian's rustc is not installed");
            continue;
        }
        beside_another(rustc, &crigc, &["-DCRIGC_PANICS"]);
    }
}
