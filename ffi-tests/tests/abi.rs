//! The binary interface is kept: what `ffi-tests/abi.txt` lists is in the header as it stands there. `make generate` adds what is new to
//! the list. A line that changes or goes breaks programs that are already built: that takes a new GC_ABI, and a list begun anew.

use ffi_tests::{check, root, static_library};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// The header without comments and without lines of the preprocessor.
fn code() -> String {
    let header = fs::read_to_string(root().join("include/crigc.h")).expect("the header");
    let mut code = String::new();
    let mut rest = header.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").expect("a comment ends").1;
    }
    code.push_str(rest);
    let plain = |line: &&str| !line.starts_with('#') && !line.starts_with("extern");
    let lines = code.lines().filter_map(|line| line.split("//").next());
    let lines: Vec<&str> = lines.filter(plain).collect();
    lines.join(" ")
}

/// The statements of the header, each on one line with single spaces.
fn statements(code: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut depth = 0;
    for c in code.chars() {
        let last = all.last_mut().expect("there is one");
        match c {
            '{' => depth += 1,
            // The end of `extern "C" {`.
            '}' if depth == 0 => continue,
            '}' => depth -= 1,
            ';' if depth == 0 => {
                all.push(String::new());
                continue;
            }
            _ => {}
        }
        if !c.is_whitespace() {
            last.push(c);
        } else if !last.is_empty() && !last.ends_with([' ', '(']) {
            last.push(' ');
        }
    }
    all.retain(|statement| !statement.trim().is_empty());
    all.iter()
        .map(|statement| statement.trim().to_owned())
        .collect()
}

/// Constants, sizes of numbers, and the places of fields, as a compiler sees them. Structs may grow: their sizes are nobody's business.
fn layouts() -> Vec<String> {
    let program = root().join("target/ffi-tests/layout");
    fs::create_dir_all(root().join("target/ffi-tests")).expect("a writable target folder");
    let made =
        "awk -f ffi-tests/layout.awk include/crigc.h | cc -x c -Iinclude - -o \"$0\" && \"$0\"";
    let mut command = Command::new("sh");
    let printed = check(command.args(["-c", made]).arg(program).current_dir(root()));
    let structs: BTreeSet<String> = printed
        .lines()
        .filter_map(|line| line.strip_prefix("offsetof ")?.split('.').next())
        .map(|name| format!("sizeof {name} "))
        .collect();
    let is_kept = |line: &&str| {
        // The version is that of a release, not of the interface.
        !line.starts_with("function ")
            && !line.contains("GC_VERSION")
            && !structs.iter().any(|size| line.starts_with(size))
    };
    printed.lines().filter(is_kept).map(str::to_owned).collect()
}

/// The words of reasons, and the names of keys.
fn words() -> Vec<String> {
    let text = |path: &str| fs::read_to_string(root().join(path)).expect(path);
    let (reasons, keys) = (text("src/reason.rs"), text("docs/configuration.md"));
    let reasons = reasons.lines().filter_map(|line| {
        let (name, rest) = line.trim().split_once(" \"")?;
        let is_name = name.chars().all(char::is_alphanumeric);
        Some(format!("reason {}", rest.split('"').next()?)).filter(|_| is_name)
    });
    let keys = keys.lines().filter_map(|line| {
        let key = line.strip_prefix("| `")?.split('`').next()?;
        Some(format!("key {key}"))
    });
    reasons.chain(keys).collect()
}

/// The interface as it is, one line for each thing that programs rely on.
fn interface() -> BTreeSet<String> {
    let statements = statements(&code());
    let functions = statements.iter().filter(|s| s.contains('('));
    functions
        .map(|s| format!("declares {s}"))
        .chain(layouts())
        .chain(words())
        .collect()
}

#[test]
fn the_binary_interface_is_kept() {
    let path = root().join("ffi-tests/abi.txt");
    let listed = fs::read_to_string(&path).unwrap_or_default();
    let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    let now = interface();
    for word in [
        "declares gc_status gc_containers(",
        "constant GC_OK 0",
        "offsetof gc_entry.id 8",
        "reason unit-limit",
        "key dry-run",
    ] {
        assert!(
            now.iter().any(|line| line.starts_with(word)),
            "the header is read wrongly: {now:#?}"
        );
    }
    let broken: Vec<&String> = listed.difference(&now).collect();
    assert!(
        broken.is_empty(),
        "programs rely on these lines of ffi-tests/abi.txt, which are true no more: {broken:#?}"
    );
    let new: Vec<&String> = now.difference(&listed).collect();
    if std::env::var_os("CRIGC_GENERATE").is_some() {
        let lines: Vec<&str> = now.iter().map(String::as_str).collect();
        fs::write(&path, lines.join("\n") + "\n").expect("writable tree");
    } else {
        assert!(
            new.is_empty(),
            "ffi-tests/abi.txt lacks these lines; run `make generate`: {new:#?}"
        );
    }
}

/// Every declared function is in the library, and the other way round.
#[test]
fn header_and_library_have_the_same_functions() {
    let declared: BTreeSet<String> = statements(&code())
        .iter()
        .filter(|statement| !statement.starts_with("typedef"))
        .filter_map(|statement| statement.split('(').next()?.rsplit([' ', '*']).next())
        .map(str::to_owned)
        .collect();
    let symbols = Command::new("nm")
        .args(["-g", "--defined-only"])
        .arg(static_library())
        .output()
        .expect("nm");
    let symbols = String::from_utf8_lossy(&symbols.stdout).into_owned();
    let defined: BTreeSet<String> = symbols
        .lines()
        .filter_map(|line| line.split(" T ").nth(1))
        .map(str::to_owned)
        .collect();
    assert!(
        declared.len() >= 46,
        "the header is read wrongly: {declared:?}"
    );
    assert_eq!(declared, defined);
}
