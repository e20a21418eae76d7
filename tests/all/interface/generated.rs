//! The generated files, `include/crigc.h`, `docs/configuration.md` and `docs/reasons.md`: stale ones fail here. `make generate` writes them.

use crigc::config::keys::KEYS;
use crigc::config::kubelet_file::fields::FIELDS;
use crigc::report::Reason;
use std::path::Path;

/// The files of the interface, in the order of the header.
const SOURCES: [&str; 9] = [
    "engine",
    "error",
    "config",
    "callbacks",
    "connect",
    "call",
    "report",
    "names",
    "explain",
];

/// Compares a file with what it should be, or writes it if CRIGC_GENERATE is set.
pub fn check(path: &str, want: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("CRIGC_GENERATE").is_some() {
        std::fs::write(&path, want).expect("writable tree");
    }
    let have = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        have == want,
        "{} is stale; run `make generate`",
        path.display()
    );
}

/// Leaves out the sections about Rust's unsafe code: the rest says all that a C programmer needs.
fn without_safety_sections(header: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    let mut lines = header.lines().peekable();
    while let Some(line) = lines.next() {
        let next_is_safety = lines.peek().is_some_and(|next| next.trim() == "* # Safety");
        if line.trim() == "*" && next_is_safety {
            inside = true;
        } else if line.trim() == "*/" {
            inside = false;
        }
        if !inside {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// `#define NAME 1` of flags becomes `1u`, and `-1` becomes `(-1)`.
fn with_c_literals(header: &str) -> String {
    const UNSIGNED: [&str; 7] = [
        "GC_ABI",
        "GC_DRY_RUN",
        "GC_ALL_UNUSED",
        "GC_NO_WAIT",
        "GC_POD_GONE",
        "GC_POD_CONTENT_REMOVABLE",
        "GC_POD_RUNTIME_REMOVABLE",
    ];
    let literal = |line: &str| {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("#define"), Some(name), Some(value)) if UNSIGNED.contains(&name) => {
                format!("#define {name} {value}u\n")
            }
            (Some("#define"), Some(name), Some(value)) if value.starts_with('-') => {
                format!("#define {name} ({value})\n")
            }
            _ => format!("{line}\n"),
        }
    };
    header.lines().map(literal).collect()
}

/// The version of Cargo.toml as macros.
fn versions() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "\n/**\n * The version of this header; gc_version returns that of the library.\n */\n#define GC_VERSION \"{version}\"\n"
    );
    let names = ["MAJOR", "MINOR", "PATCH"];
    for (at, (name, number)) in names.iter().zip(version.split('.')).enumerate() {
        let place = ["first", "second", "third"][at];
        text += &format!(
            "\n/**\n * The {place} number of GC_VERSION.\n */\n#define GC_VERSION_{name} {number}\n"
        );
    }
    text.trim_end().to_owned()
}

#[test]
fn header_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config =
        cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    config.after_includes = Some(versions());
    let builder = SOURCES
        .iter()
        .fold(cbindgen::Builder::new(), |builder, name| {
            builder.with_src(root.join(format!("src/ffi/{name}.rs")))
        });
    let mut text = Vec::new();
    builder
        .with_config(config)
        .generate()
        .expect("a header")
        .write(&mut text);
    let text = String::from_utf8(text).expect("UTF-8");
    check(
        "include/crigc.h",
        &with_c_literals(&without_safety_sections(&text)),
    );
}

#[test]
fn page_of_reasons_is_fresh() {
    let mut page = String::from(
        "# Reasons\n\nThe words of `gc_entry.reason`, with the sentence of `gc_reason_text`: why a pass removed an object, or kept it. Generated from\n`src/reason.rs` by `make generate`; do not edit.\n\n| reason | what it means |\n|---|---|\n",
    );
    for reason in Reason::ALL {
        let text = reason.c_text().to_str().expect("UTF-8");
        page += &format!("| `{}` | {text} |\n", reason.word());
    }
    check("docs/reasons.md", &page);
}

#[test]
fn configuration_page_is_fresh() {
    let mut page = String::from(
        "# Configuration\n\nThe keys of `gc_config_set`. They are named like the kubelet's flags, and values are written as on its command line, durations\nas in Go (`1h30m`, `2m0s`, `500ms`, `0`). `gc_config_set` refuses a bad key or value at once, and the error names it; `gc_engine_new`\nrefuses values that are wrong only together. Generated from `src/config/keys.rs` by `make generate`; do not edit.\n\n| key | default | takes | what it does | rule |\n|---|---|---|---|---|\n",
    );
    for key in KEYS {
        let default = key.default_text();
        page += &format!(
            "| `{}` | {default} | {} | {} | {} |\n",
            key.name,
            key.range(),
            key.doc,
            key.rule
        );
    }
    page += "\n## Keys in the kubelet's own files\n\n`gc_config_load` sets the keys that a KubeletConfiguration (kubelet.config.k8s.io/v1beta1) names, a file or a directory of drop-in files, YAML\nor JSON. Zero durations and empty texts are the default there, as in the kubelet. It ignores all other fields. crigc.h has\nthe rest.\n\n| field | key |\n|---|---|\n";
    for field in &FIELDS {
        page += &format!("| `{}` | `{}` |\n", field.name, field.key);
    }
    check("docs/configuration.md", &page);
}
