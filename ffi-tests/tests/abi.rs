//! The binary interface is kept: what `ffi-tests/abi.txt` lists is in the header as it stands there. `make generate` adds what is new to
//! the list. A line that changes or goes breaks programs that are already built: that takes a new GC_ABI, and a list begun anew.

use ffi_tests::{check, compile, root, static_library};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// The header without comments and without lines of the preprocessor, and those lines.
fn code_and_macros() -> (String, Vec<String>) {
    let header = fs::read_to_string(root().join("include/crigc.h")).expect("the header");
    let mut code = String::new();
    let mut rest = header.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").expect("a comment ends").1;
    }
    code.push_str(rest);
    let lines = || {
        code.lines()
            .map(|line| line.split("//").next().unwrap_or_default())
    };
    let macros = lines().filter(|line| line.starts_with("#define GC_"));
    let plain = lines().filter(|line| !line.starts_with('#') && !line.starts_with("extern"));
    let plain: Vec<&str> = plain.collect();
    (plain.join(" "), macros.map(str::to_owned).collect())
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

/// A program that prints the size of each type, and the place and size of each field.
fn program_of_layouts(statements: &[String]) -> String {
    let mut lines = String::new();
    for statement in statements {
        let Some(definition) = statement.strip_prefix("typedef ") else {
            continue;
        };
        let Some((head, body)) = definition.split_once('{') else {
            let is_number =
                definition.starts_with("int32_t ") || definition.starts_with("uint32_t ");
            let is_number = is_number && !definition.contains('(');
            if let (true, Some(name)) = (is_number, definition.split(' ').nth(1)) {
                lines += &format!("    printf(\"size {name} %zu\\n\", sizeof({name}));\n");
            }
            continue;
        };
        let name = head.trim().strip_prefix("struct ").expect("a struct");
        let fields = body.split('}').next().unwrap_or_default().split(';');
        for field in fields
            .filter_map(|f| f.trim().rsplit([' ', '*']).next())
            .filter(|f| !f.is_empty())
        {
            lines += &format!(
                "    printf(\"field {name}.{field} at %zu size %zu\\n\", offsetof(struct {name}, {field}), sizeof(((struct {name} *)0)->{field}));\n"
            );
        }
    }
    format!(
        "#include <stddef.h>\n#include <stdio.h>\n#include \"crigc.h\"\nint main(void)\n{{\n{lines}    return 0;\n}}\n"
    )
}

/// The interface as it is, one line for each thing that programs rely on.
fn interface() -> BTreeSet<String> {
    let (code, macros) = code_and_macros();
    let statements = statements(&code);
    let source = root().join("target/ffi-tests/layouts.c");
    fs::create_dir_all(root().join("target/ffi-tests")).expect("a writable target folder");
    fs::write(&source, program_of_layouts(&statements)).expect("writable");
    let program = compile(
        "layouts",
        "cc",
        &["target/ffi-tests/layouts.c"],
        &["-std=c99"],
    );
    let layouts = check(&mut Command::new(program));
    let functions = statements.iter().filter(|s| s.contains('('));
    functions
        .map(|s| format!("declares {s}"))
        // The version is that of a release, not of the interface.
        .chain(
            macros
                .into_iter()
                .filter(|line| !line.contains("GC_VERSION")),
        )
        .chain(layouts.lines().map(str::to_owned))
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
        "#define GC_OK 0",
        "field gc_entry.id at 8",
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
    let (code, _) = code_and_macros();
    let declared: BTreeSet<String> = statements(&code)
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
