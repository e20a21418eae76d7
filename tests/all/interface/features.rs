//! docs/features.md is true: what crigc has names tests that are there, what it does not have a reason, and each feature a command to try it
//! (which ffi-tests run).

use crigc::config::keys::KEYS;
use std::fs;
use std::path::Path;

/// The keys that the kubelet has, too, as a flag or as a field of its configuration.
const OF_THE_KUBELET: [&str; 12] = [
    "container-runtime-endpoint",
    "image-service-endpoint",
    "runtime-request-timeout",
    "maximum-dead-containers-per-container",
    "maximum-dead-containers",
    "minimum-container-ttl-duration",
    "image-gc-high-threshold",
    "image-gc-low-threshold",
    "minimum-image-ttl-duration",
    "image-maximum-gc-age",
    "pod-infra-container-image",
    "pod-logs-dir",
];

/// A feature: its name, and the cell of each side.
struct Row<'p> {
    name: &'p str,
    ours: &'p str,
    kubelet: &'p str,
    others: &'p str,
}

const HEAD: &str = "| what | crigc | the kubelet | others |";

/// The cells of a line of the table.
fn cells(line: &str) -> Option<[&str; 4]> {
    let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
    line.split(" | ").collect::<Vec<_>>().try_into().ok()
}

fn rows(page: &str) -> Vec<Row<'_>> {
    let lines = page.lines().skip_while(|line| *line != HEAD).skip(2);
    let lines = lines.take_while(|line| line.starts_with('|'));
    let mut rows = Vec::new();
    for line in lines {
        let Some([name, ours, kubelet, others]) = cells(line) else {
            panic!("not four cells: {line}");
        };
        rows.push(Row {
            name,
            ours,
            kubelet,
            others,
        });
    }
    rows
}

/// The words between backticks.
fn words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The tests of a cell: the path of a file, and each name behind it.
fn tests(cell: &str) -> Vec<(&str, &str)> {
    let mut path = None;
    let mut tests = Vec::new();
    for word in words(cell) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if word.contains('/') && (word.ends_with(".rs") || word.ends_with(".go")) {
            path = Some(word);
        } else if let Some(path) = path.filter(|_| word.chars().all(is_name)) {
            tests.push((path, word));
        }
    }
    tests
}

fn is_there(root: &Path, (path, name): (&str, &str)) -> bool {
    let text = fs::read_to_string(root.join(path)).unwrap_or_default();
    let function = |word: &str| text.contains(&format!("\n{word} {name}("));
    function("fn") || function("func")
}

/// The section that shows a feature.
fn section<'p>(page: &'p str, name: &str) -> Option<&'p str> {
    let (_, rest) = page.split_once(&format!("\n### {name}\n"))?;
    rest.split("\n#").next()
}

/// What is wrong with a page.
fn problems(page: &str, root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let rows = rows(page);
    for row in &rows {
        let tests = tests(row.ours);
        let missing = tests.iter().filter(|test| !is_there(root, **test));
        found.extend(missing.map(|(path, name)| format!("{path} has no {name}")));
        let shown = section(page, row.name);
        let has = row.ours.starts_with("yes: ");
        if has && tests.is_empty() {
            found.push(format!("{} names no test", row.name));
        }
        let shows = |text: &str| text.contains("\n```sh\n") || text.contains("\nNot shown");
        if has && !shown.is_some_and(shows) {
            found.push(format!("{} is not shown", row.name));
        }
        for cell in [row.ours, row.kubelet, row.others] {
            let reason = cell.strip_prefix("no: ");
            let told = reason.or_else(|| cell.strip_prefix("yes: "));
            let told = told.or_else(|| cell.strip_prefix("in part: "));
            if told.is_none_or(|told| told.len() < 10) {
                found.push(format!("{} gives no reason: {cell}", row.name));
            }
        }
    }
    let own = KEYS.iter().map(|key| key.name);
    let own = own.filter(|key| !OF_THE_KUBELET.contains(key));
    let named = |key: &&str| {
        rows.iter()
            .any(|row| words(row.ours).any(|word| word == *key))
    };
    let unnamed = own.filter(|key| !named(key));
    found.extend(unnamed.map(|key| format!("{key} is in no row")));
    let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
    let strange = headings.filter(|heading| rows.iter().all(|row| row.name != *heading));
    found.extend(strange.map(|heading| format!("{heading} is no row")));
    found
}

fn page() -> (String, &'static Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/features.md")).expect("a page");
    (page, root)
}

#[test]
fn the_page_of_features_names_tests_that_are_there() {
    let (page, root) = page();
    assert!(rows(&page).len() >= 20, "the table is not found");
    let known = |key: &&str| KEYS.iter().any(|known| known.name == *key);
    assert!(OF_THE_KUBELET.iter().all(known));
    let found = problems(&page, root);
    assert!(found.is_empty(), "docs/features.md: {found:#?}");
}

#[test]
fn a_page_of_features_that_is_not_true_is_found() {
    let (page, root) = page();
    let test = "s5_8_shared_layers_count_once_where_the_filesystem_is_asked";
    let feature = rows(&page)[0].name.to_owned();
    // What is broken, how, and what is said.
    let broken: [(&str, &str, &str); 5] = [
        (test, "s5_8_no_such_test", "has no s5_8_no_such_test"),
        ("`image-gc-exempt`", "a key", "image-gc-exempt is in no row"),
        ("| no: ", "| no | ", "not four cells"),
        (
            &format!("\n### {feature}"),
            "\n### Other",
            "Other is no row",
        ),
        (
            &format!("\n### {feature}"),
            "\n### Other",
            &format!("{feature} is not shown"),
        ),
    ];
    for (right, wrong, said) in broken {
        assert!(page.contains(right), "{right}");
        let page = page.replace(right, wrong);
        let found = std::panic::catch_unwind(|| problems(&page, root));
        let told = match found {
            Ok(found) => found.join("\n"),
            Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
        };
        assert!(told.contains(said), "{said}: {told}");
    }
    let row = |ours: &str| {
        format!("{HEAD}\n|---|---|---|---|\n| a | {ours} | no: {ours} | no: {ours} |\n")
    };
    for (ours, said) in [
        ("yes: by magic, it says", "a names no test"),
        ("no: ", "a gives no reason"),
        ("perhaps, who knows", "a gives no reason"),
    ] {
        let found = problems(&row(ours), root).join("\n");
        assert!(found.contains(said), "{said}: {found}");
    }
}
