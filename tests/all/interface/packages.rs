//! What is packed with the library: `packaging/THIRD-PARTY-NOTICES` and `packaging/bill-of-materials.json` are those of the crates in
//! Cargo.lock. `make generate` writes them.

use super::generated::check;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A crate whose code is in the library.
struct Crate {
    name: String,
    version: String,
    licence: String,
    folder: PathBuf,
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .expect("cargo");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// All but those that only run while others are compiled.
fn crates() -> Vec<Crate> {
    let tree = cargo(&[
        "tree",
        "-p=crigc",
        "--edges=normal,no-proc-macro",
        "--target=x86_64-unknown-linux-gnu",
        "--prefix=none",
        "--format={p}",
    ]);
    let wanted: BTreeSet<String> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some(format!(
                "{} {}",
                words.next()?,
                words.next()?.strip_prefix('v')?
            ))
        })
        .collect();
    let metadata: Value = serde_json::from_str(&cargo(&[
        "metadata",
        "--format-version=1",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]))
    .expect("JSON");
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let mut crates: Vec<Crate> = metadata["packages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|package| Crate {
            name: text(package, "name"),
            version: text(package, "version"),
            licence: text(package, "license")
                .replace(" / ", " OR ")
                .replace('/', " OR "),
            folder: Path::new(&text(package, "manifest_path")).with_file_name(""),
        })
        .filter(|c| c.name != "crigc" && wanted.contains(&format!("{} {}", c.name, c.version)))
        .collect();
    assert_eq!(
        crates.len() + 1,
        wanted.len(),
        "crates are missing: {wanted:?}"
    );
    crates.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    crates
}

/// The names in a folder; none if there is no such folder.
fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect()
}

/// The licence of a crate and what else it asks to be told. Of several licences to choose from, MIT, which is the shortest.
fn notices_of(c: &Crate) -> Vec<String> {
    assert!(
        c.licence
            .split(" OR ")
            .any(|l| ["MIT", "Apache-2.0"].contains(&l)),
        "{}: read what {} asks for",
        c.name,
        c.licence
    );
    let mut names = names_in(&c.folder);
    // A folder of licences has one file for each owner and licence.
    let of_owners = names_in(&c.folder.join(".licenses")).into_iter();
    let of_owners = of_owners.filter(|name| name.ends_with("-MIT"));
    names.extend(of_owners.map(|name| format!(".licenses/{name}")));
    names.retain(|name| c.folder.join(name).is_file());
    names.sort();
    let of = |parts: &[&str]| -> Vec<String> {
        let has = |name: &&String| parts.iter().any(|part| name.to_uppercase().contains(part));
        names.iter().filter(has).cloned().collect()
    };
    let mut chosen = of(&["LICENSE-MIT"]);
    if chosen.is_empty() {
        chosen = of(&["LICENSE"]);
    }
    assert!(!chosen.is_empty(), "{}: no licence in {names:?}", c.name);
    chosen.extend(of(&["NOTICE", "COPYRIGHT", "THIRD-PARTY"]));
    chosen.sort();
    chosen.dedup();
    let read = |name: &String| fs::read_to_string(c.folder.join(name)).expect("a text");
    chosen.iter().map(read).collect()
}

/// A text without the differences that say nothing.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[test]
fn notices_are_fresh() {
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for c in crates() {
        for notice in notices_of(&c) {
            let owner = format!("{} {} ({})", c.name, c.version, c.licence);
            owners.entry(tidy(&notice)).or_default().push(owner);
        }
    }
    let mut parts: Vec<(Vec<String>, String)> = owners
        .into_iter()
        .map(|(text, names)| (names, text))
        .collect();
    parts.sort();
    let rust = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/rust-notices.txt");
    let mut page = String::from(
        "libcrigc contains code of others. These are their licences.\nGenerated from Cargo.lock by `make generate`; do not edit.\n",
    );
    for (names, text) in parts {
        let line = "=".repeat(names.iter().map(String::len).max().unwrap_or_default());
        page += &format!("\n\n{}\n{line}\n\n{text}\n", names.join("\n"));
    }
    page += &format!(
        "\n\n{}\n",
        tidy(&fs::read_to_string(rust).expect("the notices of Rust"))
    );
    check("packaging/THIRD-PARTY-NOTICES", &page);
}

/// The checksums in Cargo.lock, by name and version.
fn checksums() -> BTreeMap<(String, String), String> {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"))
        .expect("Cargo.lock");
    let value = |part: &str, key: &str| {
        let line = part
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key} = ")));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    lock.split("[[package]]")
        .map(|part| {
            (
                (value(part, "name"), value(part, "version")),
                value(part, "checksum"),
            )
        })
        .collect()
}

/// CycloneDX, without a date and a number of its own: what is packed from the same sources is the same.
#[test]
fn bill_of_materials_is_fresh() {
    let checksums = checksums();
    let component = |c: &Crate| {
        json!({
            "type": "library",
            "name": c.name,
            "version": c.version,
            "purl": format!("pkg:cargo/{}@{}", c.name, c.version),
            "licenses": [{"expression": c.licence}],
            "hashes": [{"alg": "SHA-256", "content": checksums[&(c.name.clone(), c.version.clone())]}],
        })
    };
    let mut components: Vec<Value> = crates().iter().map(component).collect();
    // Whoever installs the library fills in the version.
    components.push(json!({
        "type": "library",
        "name": "rust-std",
        "version": "@RUST@",
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
    }));
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {
            "type": "library",
            "name": "crigc",
            "version": env!("CARGO_PKG_VERSION"),
            "licenses": [{"expression": "Apache-2.0"}],
        }},
        "components": components,
    });
    let text = serde_json::to_string_pretty(&bill).expect("plain data");
    check("packaging/bill-of-materials.json", &format!("{text}\n"));
}

/// A Go module has to have its licence inside.
#[test]
fn the_go_module_has_the_licence() {
    let read = |path: &str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path);
    assert!(read("go/LICENSE") == read("LICENSE"));
}
