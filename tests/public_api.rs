//! Compares the public API of the crates with the listings in `docs/public-api`, so that every change to it shows in a
//! diff.
//!
//! The listings come from the pages that `cargo doc` writes, so they need no other compiler than the one that builds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt::Write};

use storeboot_tests::command::printed;
use storeboot_tests::debian::repository;

/// The libraries: the name of the package, and of the folder with its documentation.
const CRATES: [(&str, &str); 10] = [
    ("storeboot", "storeboot"),
    ("storeboot-cache", "storeboot_cache"),
    ("storeboot-closure", "storeboot_closure"),
    ("storeboot-cpio", "storeboot_cpio"),
    ("storeboot-fetch", "storeboot_fetch"),
    ("storeboot-index", "storeboot_index"),
    ("storeboot-netconf", "storeboot_netconf"),
    ("storeboot-serve", "storeboot_serve"),
    ("storeboot-squashfs", "storeboot_squashfs"),
    ("storeboot-verity", "storeboot_verity"),
];

/// If this variable is set, the test writes the listings instead of comparing them.
const RENEW: &str = "RENEW_PUBLIC_API";

#[test]
fn the_listing_is_up_to_date() {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("public-api");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["doc", "--quiet", "--no-deps", "--target-dir"]);
    cargo.arg(&target).current_dir(repository());
    for (package, _) in CRATES {
        cargo.args(["--package", package]);
    }
    // Remove old documentation, which would stay among the new pages.
    let documentation = target.join("doc");
    let _ = fs::remove_dir_all(&documentation);
    printed(&mut cargo);

    let mut changes = String::new();
    for (package, folder) in CRATES {
        let now = listing(&documentation.join(folder), folder);
        let path = repository().join(format!("docs/public-api/{package}.txt"));
        if env::var_os(RENEW).is_some() {
            fs::write(&path, &now).expect("the listing can be written");
            continue;
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        compare(package, &kept, &now, &mut changes);
    }
    assert!(
        changes.is_empty(),
        "the public API is not the one in docs/public-api:\n{changes}\
         If that is meant, renew the listing, and look whether it needs another version of the crate:\n\
         {RENEW}=1 cargo test -p storeboot-tests --test public_api"
    );
}

/// Adds the lines that were added or removed.
fn compare(package: &str, kept: &str, now: &str, changes: &mut String) {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (kept, now) = (lines(kept), lines(now));
    for line in kept.difference(&now) {
        writeln!(changes, "{package}: - {line}").expect("it grows");
    }
    for line in now.difference(&kept) {
        writeln!(changes, "{package}: + {line}").expect("it grows");
    }
}

/// Returns all items of a crate, one a line, each after the name of its page.
fn listing(folder: &Path, name: &str) -> String {
    let mut lines = BTreeSet::new();
    pages(folder, name, &mut lines);
    assert!(lines.len() > 5, "{name} has only {lines:?}");
    lines
        .into_iter()
        .fold(String::new(), |text, line| text + &line + "\n")
}

fn pages(folder: &Path, module: &str, lines: &mut BTreeSet<String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for entry in entries {
        let path = entry.expect("a folder can be read").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            pages(&path, &format!("{module}::{name}"), lines);
        } else if name == "index.html" {
            lines.insert(format!("mod {module}"));
            for item in items(&read(&path), "<dt id=\"reexport.", "<code>", "</code>") {
                lines.insert(format!("{module}: {item}"));
            }
        } else if let Some((_, item)) = name
            .strip_suffix(".html")
            .and_then(|name| name.split_once('.'))
        {
            let page = read(&path);
            // Leave out blanket and auto trait implementations.
            let end = [
                "id=\"synthetic-implementations\"",
                "id=\"blanket-implementations\"",
            ]
            .iter()
            .filter_map(|mark| page.find(mark))
            .min();
            let page = &page[..end.unwrap_or(page.len())];
            for kind in [
                ("<pre class=\"rust item-decl\">", "<code>", "</code>"),
                ("<h3 class=\"code-header\">", "", "</h3>"),
                ("<h4 class=\"code-header\">", "", "</h4>"),
            ] {
                for found in items(page, kind.0, kind.1, kind.2) {
                    // Methods of a trait are listed with the trait, not with the types that implement it.
                    if !found.starts_with("fn ") && !found.contains("StructuralPartialEq") {
                        lines.insert(format!("{module}::{item}: {found}"));
                    }
                }
            }
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// Returns the text between `begin` and `end` after each `mark`, without markup, on one line.
fn items(page: &str, mark: &str, begin: &str, end: &str) -> Vec<String> {
    page.split(mark)
        .skip(1)
        .filter_map(|rest| {
            let rest = &rest[rest.find(begin)? + begin.len()..];
            Some(plain(&rest[..rest.find(end)?]))
        })
        .collect()
}

/// Returns the text without tags and entities, with single blanks, including folded parts.
fn plain(html: &str) -> String {
    let mut text = String::new();
    for (number, part) in html.split('<').enumerate() {
        text.push_str(if number == 0 {
            part
        } else {
            part.split_once('>').map_or("", |(_, text)| text)
        });
    }
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#39;", "'"),
        ("&quot;", "\""),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn markup_becomes_text() {
    assert_eq!(
        plain("pub fn <a href=\"x\">new</a>(\n    a: &amp;<b>T</b>) -&gt; Vec&lt;T&gt;"),
        "pub fn new( a: &T) -> Vec<T>"
    );
}
