//! What `make install` and `make dist` leave: everything that people link with, found by pkg-config and CMake, and nothing after
//! `make uninstall`.

use ffi_tests::{check, has, root, skip, static_library};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Prints the version of the library that it runs with; fails if the header is of another one.
const PROGRAM: &str = "#include <crigc.h>
#include <stdio.h>
#include <string.h>
int main(void)
{
    puts(gc_version());
    return gc_abi() == GC_ABI && strcmp(gc_version(), GC_VERSION) == 0 ? 0 : 1;
}
";

fn make(target: &str, variables: &[(&str, &str)]) -> Output {
    // What `make install` installs.
    static_library();
    let mut command = Command::new("make");
    command
        .args(["--no-print-directory", "-C"])
        .arg(root())
        .arg(target)
        .args(
            variables
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
    command.output().expect("make")
}

fn must(output: &Output) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
}

/// Files and links below a folder, as paths from it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                let path = path.strip_prefix(folder).expect("below the folder");
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[test]
fn an_installation_has_everything_and_leaves_nothing() {
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let place = tmp.path().to_str().expect("UTF-8");
    let variables = [
        ("DESTDIR", place),
        ("PREFIX", "/opt/crigc"),
        ("LIBDIR", "/opt/crigc/lib64"),
    ];
    must(&make("install", &variables));
    let found = files(&tmp.path().join("opt/crigc"));
    // The Go package is here without its tests.
    let of_go = |path: &&String| path.starts_with("share/crigc/go/");
    let go: Vec<&str> = found
        .iter()
        .filter(of_go)
        .filter_map(|p| p.rsplit('/').next())
        .collect();
    assert!(
        ["go.mod", "LICENSE", "engine.go", "shim.c", "main.go"]
            .iter()
            .all(|name| go.contains(name)),
        "{go:?}"
    );
    assert!(!go.iter().any(|name| name.ends_with("_test.go")), "{go:?}");
    let found: BTreeSet<String> = found.iter().filter(|path| !of_go(path)).cloned().collect();
    let wanted = [
        "include/crigc.h",
        "include/crigc.hpp",
        "lib64/cmake/crigc/crigc-config-version.cmake",
        "lib64/cmake/crigc/crigc-config.cmake",
        "lib64/libcrigc.a",
        "lib64/libcrigc.so",
        "lib64/libcrigc.so.1",
        "lib64/pkgconfig/crigc-static.pc",
        "lib64/pkgconfig/crigc.pc",
        "share/crigc/python/crigc.py",
        "share/crigc/python/crigc_cffi.py",
        "share/doc/crigc/CHANGELOG.md",
        "share/doc/crigc/LICENSE",
        "share/doc/crigc/THIRD-PARTY-NOTICES",
        "share/doc/crigc/bill-of-materials.json",
        "share/doc/crigc/docs/compatibility.md",
        "share/doc/crigc/docs/configuration.md",
        "share/doc/crigc/docs/linking.md",
        "share/doc/crigc/docs/reasons.md",
        "share/doc/crigc/docs/metrics.md",
        "share/doc/crigc/docs/rules.md",
        "share/doc/crigc/examples-c/collect.c",
        "share/doc/crigc/examples-c/collect.cpp",
        "share/doc/crigc/python/examples/collect.py",
        "share/doc/crigc/python/examples/collect_cffi.py",
        "share/doc/crigc/examples-c/connect.c",
        "share/doc/crigc/examples-c/tour.c",
        "share/doc/crigc/valgrind.supp",
        "share/man/man3/crigc.3",
    ];
    assert_eq!(found, wanted.map(str::to_owned).into());
    // The pages that the header names are those that are installed.
    let header = fs::read_to_string(root().join("include/crigc.h")).expect("the header");
    for word in header
        .split([' ', ',', '.', '\n'])
        .filter(|word| word.starts_with("docs/"))
    {
        assert!(
            found.contains(&format!("share/doc/crigc/{word}.md")),
            "{word} is not installed"
        );
    }
    let bill = fs::read_to_string(
        tmp.path()
            .join("opt/crigc/share/doc/crigc/bill-of-materials.json"),
    )
    .expect("readable");
    assert!(bill.contains("rust-std") && !bill.contains("@RUST@"));
    // Each link of an installed page leads to an installed file, or to the project.
    let doc = tmp.path().join("opt/crigc/share/doc/crigc");
    for page in fs::read_dir(doc.join("docs")).expect("pages") {
        let page = page.expect("a page").path();
        let text = fs::read_to_string(&page).expect("a page");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next())
        {
            let is_there =
                link.is_empty() || link.contains("://") || doc.join("docs").join(link).exists();
            assert!(is_there, "{}: {link}", page.display());
        }
    }
    // Python and others leave files of their own.
    let python = tmp.path().join("opt/crigc/share/crigc/python");
    fs::create_dir(python.join("__pycache__")).expect("a folder");
    fs::write(python.join("__pycache__/crigc.cpython-311.pyc"), "").expect("writable");
    fs::write(tmp.path().join("opt/crigc/share/doc/other"), "").expect("writable");
    let uninstall = || {
        let output = make("uninstall", &variables);
        must(&output);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let told = uninstall();
    assert!(told.starts_with("removed "), "{told}");
    assert_eq!(
        files(tmp.path()),
        ["opt/crigc/share/doc/other".to_owned()].into()
    );
    let told = uninstall();
    assert!(told.starts_with("nothing found below "), "{told}");
    // Folders of crigc's own are gone; one that others may have made stays.
    let stays = |path: &str| tmp.path().join("opt/crigc").join(path).exists();
    assert!(!stays("share/doc/crigc") && !stays("share/crigc") && !stays("lib64/cmake/crigc"));
    assert!(stays("lib64") && stays("include"));
}

#[test]
fn bad_folders_are_refused_before_anything_is_written() {
    for name in ["PREFIX", "LIBDIR", "INCLUDEDIR", "DATADIR"] {
        let tmp = tempfile::tempdir().expect("a temporary folder");
        let place = tmp.path().to_str().expect("UTF-8");
        let output = make("install", &[("DESTDIR", place), (name, "some/where")]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && error.contains("some/where is not an absolute path"),
            "{error}"
        );
        assert_eq!(files(tmp.path()), BTreeSet::new());
    }
}

/// An installation in a folder with this name.
fn installed(name: &str) -> (TempDir, PathBuf) {
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let prefix = tmp.path().join(name);
    must(&make(
        "install",
        &[("PREFIX", prefix.to_str().expect("UTF-8"))],
    ));
    fs::write(tmp.path().join("program.c"), PROGRAM).expect("writable");
    (tmp, prefix)
}

fn says_its_version(program: &Path, prefix: &Path) {
    let out = check(Command::new(program).env("LD_LIBRARY_PATH", prefix.join("lib")));
    assert_eq!(out.trim(), env!("CARGO_PKG_VERSION"));
}

/// The libraries that a program loads.
fn loads(program: &Path) -> String {
    let output = Command::new("readelf")
        .arg("-d")
        .arg(program)
        .output()
        .expect("readelf");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn pkg_config_finds_it_also_where_it_was_moved_to() {
    if !has("pkg-config") {
        return skip("pkg-config is not installed");
    }
    let (tmp, built) = installed("built");
    let prefix = tmp.path().join("moved");
    fs::rename(built, &prefix).expect("renamed");
    // What libcrigc.so itself is linked with is what a static program may need.
    let text = |path: PathBuf| fs::read_to_string(path).expect("a text");
    let description = text(prefix.join("lib/pkgconfig/crigc.pc"));
    let private = description
        .lines()
        .find_map(|line| line.strip_prefix("Libs.private: "))
        .expect("Libs.private");
    let built_by = text(root().join("packaging/library.sh"));
    assert!(
        private.starts_with("-l") && built_by.contains(&format!("-z,nodelete {private} -s")),
        "{private}"
    );
    // What pkg-config is asked for, more flags for the compiler, and whether the program loads libcrigc.so.
    let cases = [
        ("--cflags --libs crigc", "", true),
        ("--cflags --libs crigc-static", "", false),
        ("--static --cflags --libs crigc", "-static", false),
        ("--static --cflags --libs crigc", "-static-pie", false),
    ];
    for (asked, more, is_shared) in cases {
        let output = Command::new("pkg-config")
            .args(asked.split(' '))
            .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
            .output()
            .expect("pkg-config");
        must(&output);
        let flags = String::from_utf8(output.stdout).expect("UTF-8");
        let program = tmp.path().join("program");
        let output = Command::new("cc")
            .args(more.split_whitespace())
            .arg(tmp.path().join("program.c"))
            .args(flags.split_whitespace())
            .arg("-o")
            .arg(&program)
            .output()
            .expect("a C compiler");
        must(&output);
        assert_eq!(
            loads(&program).contains("libcrigc.so.1"),
            is_shared,
            "{asked} {more}"
        );
        says_its_version(&program, &prefix);
    }
}

#[test]
fn cmake_finds_it() {
    if !has("cmake") {
        return skip("cmake is not installed");
    }
    let (tmp, prefix) = installed("built");
    let project = "cmake_minimum_required(VERSION 3.10)
project(programs C)
find_package(crigc 0.1 CONFIG REQUIRED)
foreach(kind static shared crigc)
  add_executable(with_${kind} program.c)
  target_link_libraries(with_${kind} crigc::${kind})
endforeach()
";
    fs::write(tmp.path().join("CMakeLists.txt"), project).expect("writable");
    for (shared, is_shared) in [("OFF", false), ("ON", true)] {
        let build = tmp.path().join(shared);
        let mut configure = Command::new("cmake");
        configure
            .arg("-S")
            .arg(tmp.path())
            .arg("-B")
            .arg(&build)
            .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()))
            .arg(format!("-DBUILD_SHARED_LIBS={shared}"));
        check(&mut configure);
        check(Command::new("cmake").arg("--build").arg(&build));
        for (kind, loads_it) in [("static", false), ("shared", true), ("crigc", is_shared)] {
            let program = build.join(format!("with_{kind}"));
            assert_eq!(
                loads(&program).contains("libcrigc.so.1"),
                loads_it,
                "{kind} {shared}"
            );
            says_its_version(&program, &prefix);
        }
    }
    for (version, fits) in [
        ("0", true),
        ("0.1.0 EXACT", true),
        ("0.2", false),
        ("1", false),
    ] {
        let asks = project.replace("crigc 0.1", &format!("crigc {version}"));
        fs::write(tmp.path().join("CMakeLists.txt"), asks).expect("writable");
        let output = Command::new("cmake")
            .arg("-S")
            .arg(tmp.path())
            .arg("-B")
            .arg(tmp.path().join(version))
            .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()))
            .output()
            .expect("cmake");
        assert_eq!(output.status.success(), fits, "{version}");
    }
}

/// The oldest glibc that the shared library runs with is that of the page on compatibility.
#[test]
fn the_shared_library_needs_no_newer_system_than_the_page_says() {
    let library = static_library().with_file_name("libcrigc.so.1");
    let needed: BTreeSet<String> = loads(&library)
        .lines()
        .filter_map(|line| line.split("Shared library: [").nth(1))
        .map(|name| name.trim_end_matches(']').to_owned())
        .collect();
    let known = [
        "ld-linux-x86-64.so.2",
        "libc.so.6",
        "libgcc_s.so.1",
        "libm.so.6",
    ];
    let known: BTreeSet<String> = known.map(str::to_owned).into();
    assert!(needed.is_subset(&known), "{needed:?}");
    let output = Command::new("objdump")
        .arg("-T")
        .arg(&library)
        .output()
        .expect("objdump");
    let symbols = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = |version: &str| -> Option<Vec<u32>> {
        version.split('.').map(|n| n.parse().ok()).collect()
    };
    let newest = symbols
        .split("GLIBC_")
        .filter_map(|rest| {
            numbers(
                rest.split(|c: char| !c.is_ascii_digit() && c != '.')
                    .next()?,
            )
        })
        .max()
        .expect("symbols of glibc");
    let newest: Vec<String> = newest.iter().map(u32::to_string).collect();
    let page = fs::read_to_string(root().join("docs/compatibility.md")).expect("the page");
    let says = format!("glibc {} or later", newest.join("."));
    assert!(
        page.contains(&says),
        "docs/compatibility.md does not say: {says}"
    );
}

/// Unpacks an archive and does what its README says, except that no runtime is there.
fn follow_the_readme(archive: &str, folder: &str) {
    let tmp = tempfile::tempdir().expect("a temporary folder");
    check(
        Command::new("tar")
            .args(["-xf", archive, "-C"])
            .arg(tmp.path()),
    );
    let folder = tmp.path().join(folder);
    check(
        Command::new("sha256sum")
            .args(["--check", "--quiet", "SHA256SUMS"])
            .current_dir(&folder),
    );
    if !has("pkg-config") {
        return skip("pkg-config is not installed");
    }
    let readme = fs::read_to_string(folder.join("README")).expect("a README");
    for tool in ["go", "python3"] {
        if !has(tool) {
            return skip(&format!("{tool} is not installed"));
        }
    }
    let commands = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let commands = commands.map(|line| {
        // A program finds no runtime; all other commands have to succeed.
        let end = if line.contains(".sock") {
            "; test $? = 1"
        } else {
            ""
        };
        format!(
            "{}{end}",
            line.replace("/run/containerd/containerd.sock", "/nonexistent/x.sock")
        )
    });
    let script: Vec<String> = commands.collect();
    let programs = script.iter().filter(|line| line.contains(".sock")).count();
    assert_eq!((script.len(), programs), (6, 3), "{readme}");
    let output = Command::new("sh")
        .args(["-c", &script.join(" || exit 9\n")])
        .current_dir(&folder)
        .output()
        .expect("sh");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    assert!(
        error.matches("/nonexistent/x.sock").count() >= programs,
        "{error}"
    );
}

/// `make install` needs neither cargo nor doxygen nor a network.
#[test]
fn what_is_built_is_installed_with_little() {
    static_library();
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let tools = tmp.path().join("tools");
    fs::create_dir(&tools).expect("a folder");
    let needed = "sh make sed head install ln realpath dirname mktemp rm cat nproc";
    for tool in needed.split(' ') {
        let path = check(Command::new("sh").args(["-c", "command -v \"$0\"", tool]));
        std::os::unix::fs::symlink(path.trim(), tools.join(tool)).expect("a link");
    }
    let prefix = tmp.path().join("prefix");
    let mut command = if rustix::process::geteuid().is_root() && has("unshare") {
        let unshare = check(Command::new("sh").args(["-c", "command -v unshare"]));
        let mut command = Command::new(unshare.trim());
        command.arg("--net").arg(tools.join("make"));
        command
    } else {
        Command::new(tools.join("make"))
    };
    command
        .args(["--no-print-directory", "-C"])
        .arg(root())
        .arg("install")
        .arg(format!("PREFIX={}", prefix.display()))
        .env("PATH", &tools);
    must(&command.output().expect("make"));
    assert!(prefix.join("include/crigc.h").exists());
}

/// Nothing of whoever built them is in the libraries, and no debug information.
#[test]
fn the_libraries_say_nothing_of_their_builder() {
    let archive = static_library();
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    let sysroot = check(
        Command::new("rustc")
            .args(["--print", "sysroot"])
            .current_dir(root()),
    );
    for library in [archive.clone(), archive.with_file_name("libcrigc.so")] {
        let bytes = fs::read(&library).expect("a library");
        let text = String::from_utf8_lossy(&bytes);
        for place in [root().to_str().expect("UTF-8"), &cargo, sysroot.trim()] {
            assert!(!text.contains(place), "{} names {place}", library.display());
        }
        let sections = check(Command::new("readelf").arg("-SW").arg(&library));
        assert!(!sections.contains(" .debug_"), "{sections}");
    }
}

#[test]
fn what_is_packed_twice_is_the_same() {
    static_library();
    let pack = || {
        let output = Command::new(root().join("packaging/dist.sh"))
            .output()
            .expect("dist.sh");
        must(&output);
        let path = String::from_utf8(output.stdout).expect("UTF-8");
        let list = check(Command::new("tar").args(["-tf", path.trim()]));
        let folder = list.lines().next().expect("a folder").to_owned();
        follow_the_readme(path.trim(), &folder);
        fs::read(path.trim()).expect("an archive")
    };
    let (first, second) = (pack(), pack());
    assert!(
        first.len() > 1_000_000 && first == second,
        "two archives differ"
    );
}

/// `make docs` renders the header without a warning, and the man page that is installed is up to date.
#[test]
fn the_man_page_is_that_of_the_header() {
    if !has("doxygen") {
        return skip("doxygen is not installed");
    }
    let version = check(Command::new("doxygen").arg("--version"));
    if !version.starts_with("1.9.4") {
        return skip("the man page is rendered by doxygen 1.9.4, that of Debian 12");
    }
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let page = tmp.path().join("crigc.3");
    check(
        Command::new(root().join("packaging/docs.sh"))
            .arg(&page)
            .env("CARGO_TARGET_DIR", tmp.path()),
    );
    assert!(tmp.path().join("docs/html/crigc_8h.html").exists());
    let (have, want) = (
        fs::read_to_string(root().join("packaging/crigc.3")).expect("the man page"),
        fs::read_to_string(page).expect("a man page"),
    );
    assert!(have == want, "packaging/crigc.3 is stale; run `make docs`");
}

/// What people link stays as small as docs/linking.md says.
#[test]
fn it_stays_small() {
    let library = static_library();
    let tmp = tempfile::tempdir().expect("a temporary folder");
    let program = |name: &str, flags: &[&str]| {
        let program = tmp.path().join(name);
        let mut command = Command::new("gcc");
        command
            .args(["-O2", "-s", "-Iinclude", "examples-c/collect.c"])
            .arg(&library)
            .args(flags)
            .arg("-o")
            .arg(&program)
            .current_dir(root());
        check(&mut command);
        program
    };
    let page = fs::read_to_string(root().join("docs/linking.md")).expect("the page");
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    for (row, file, most) in [
        (
            "with `-Wl,--gc-sections`",
            program("small", &["-Wl,--gc-sections"]),
            2_220_000,
        ),
        ("without it, as Go links", program("whole", &[]), 2_220_000),
        (
            "with `gc_config_load` and `gc_metrics`",
            program(
                "more",
                &["-Wl,--gc-sections,-u,gc_config_load,-u,gc_metrics"],
            ),
            2_920_000,
        ),
        ("`libcrigc.a`", library.clone(), 8_000_000),
        (
            "`libcrigc.so.1`",
            library.with_file_name("libcrigc.so.1"),
            2_920_000,
        ),
    ] {
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| {row} | ")));
        let digits: String = line
            .expect(row)
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        let told: u64 = digits.parse().expect("a number");
        let now = fs::metadata(&file).expect("a file").len();
        println!("{row}: {now} bytes, {told} in docs/linking.md");
        assert!(
            now * 100 <= told * 105,
            "{row}: {now} bytes; docs/linking.md says {told}"
        );
        assert!(now <= most, "{row}: {now} bytes of at most {most}");
        let rounded = format!("{:.2} MB", told as f64 / 1e6);
        assert!(
            row == "`libcrigc.so.1`" || row.contains("gc_config_load") || readme.contains(&rounded),
            "the README does not say {rounded} for {row}"
        );
    }
}
