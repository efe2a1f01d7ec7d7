//! Checks the documentation: every link has a target, and the pages explain every message.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use storeboot_tests::debian::repository;

/// The pages for users.
fn pages() -> Vec<PathBuf> {
    let root = repository();
    let mut pages = vec![root.join("README.md")];
    let folder = fs::read_dir(root.join("docs")).expect("a folder");
    let entries = folder.map(|entry| entry.expect("an entry").path());
    pages.extend(entries.filter(|path| path.extension().is_some_and(|end| end == "md")));
    pages.sort();
    pages
}

/// The pages for users and for contributors, and the pages of each crate.
fn all_pages() -> Vec<PathBuf> {
    let root = repository();
    let mut all = pages();
    all.extend(["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name)));
    let crates = fs::read_dir(root.join("crates")).expect("a folder");
    all.extend(crates.map(|entry| entry.expect("an entry").path().join("README.md")));
    all.sort();
    all
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of a page that are not code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The targets of a page's links.
fn links(text: &str) -> Vec<String> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

/// The anchors of a page's headings, as on GitHub, where the second heading of the same name gets a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let name: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let again = (1..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone())
            .chain(again)
            .find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

#[test]
fn every_link_has_a_target() {
    let mut broken = Vec::new();
    for page in all_pages() {
        let text = read(&page);
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.with_file_name("").join(file),
            };
            let there =
                target.exists() && (anchor.is_empty() || anchors(&read(&target)).contains(anchor));
            if !there {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The width of a line, in characters: `.editorconfig` says the same.
const WIDTH: usize = 120;

/// Pages that programs in `benches` write.
const GENERATED: &[&str] = &["docs/benchmarks-micro.md", "docs/benchmarks.md"];

/// Whether a line is too wide. Rows of tables and single long words, such as links, cannot be wrapped and may be wider.
fn too_wide(line: &str) -> bool {
    let line = line.trim_end();
    let table = line.starts_with('|');
    line.chars().count() > WIDTH && !table && line.trim_start().contains(' ')
}

#[test]
fn no_line_is_too_wide() {
    let root = repository();
    let mut wide = BTreeSet::new();
    for page in all_pages() {
        if prose(&read(&page)).any(too_wide) {
            let name = page.strip_prefix(root).expect("a page of the repository");
            wide.insert(name.display().to_string());
        }
    }
    wide.retain(|name| !GENERATED.contains(&name.as_str()));
    assert!(wide.is_empty(), "lines over {WIDTH} columns: {wide:?}");
    assert!(too_wide(&"word ".repeat(30)) && !too_wide(&"word".repeat(40)));
}

#[test]
fn every_page_is_in_the_contents() {
    let contents = links(&read(&repository().join("docs/README.md")));
    for page in pages() {
        let name = page
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let listed = name == "README.md" || contents.contains(&name);
        assert!(listed, "docs/README.md does not name {name}");
    }
}

/// Resolves escapes and continued lines of Rust's string literals.
fn literals(source: &str) -> String {
    let mut text = String::new();
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        match line.strip_suffix('\\') {
            Some(line) => {
                text.push_str(line);
                if let Some(next) = lines.peek_mut() {
                    *next = next.trim_start();
                }
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text.replace("\\\"", "\"")
}

/// Returns the sources of a crate as one text.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            text.push_str(&literals(&read(&path)));
        }
    }
    text
}

/// Returns the messages that a part of the page explains in headings of the third level. `…` stands for variable text.
fn explained(page: &str, part: &str) -> Vec<String> {
    prose(page)
        .skip_while(|line| *line != part)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| {
            Some(
                line.strip_prefix("### ")?
                    .trim_matches('`')
                    .trim()
                    .to_owned(),
            )
        })
        .collect()
}

/// Returns the messages that a part of the page explains in its lists: the code spans at the start of each item. `…`
/// stands for variable text.
fn listed(page: &str, part: &str) -> Vec<String> {
    let lines = prose(page)
        .skip_while(|line| *line != part)
        .skip(1)
        .take_while(|line| !line.starts_with("## "));
    let mut items: Vec<String> = Vec::new();
    for line in lines {
        match (line.strip_prefix("  "), items.last_mut()) {
            (Some(more), Some(item)) => {
                item.push(' ');
                item.push_str(more);
            }
            _ => items.extend(line.strip_prefix("- `").map(str::to_owned)),
        }
    }
    let mut messages = Vec::new();
    for item in &items {
        let mut rest = item.as_str();
        while let Some((message, behind)) = rest.split_once('`') {
            messages.push(message.to_owned());
            match behind.strip_prefix(", `") {
                Some(next) => rest = next,
                None => break,
            }
        }
    }
    messages
}

/// Returns the texts of `thiserror` errors, with `…` for variable text. Leaves out errors that print only another
/// error.
fn error_texts(source: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for rest in source.split("#[error(").skip(1) {
        let Some(text) = rest.trim_start().strip_prefix('"') else {
            assert!(rest.starts_with("transparent"), "{:.60}", rest);
            continue;
        };
        let mut text = text.split('"').next().unwrap_or_default();
        let mut plain = String::new();
        while let Some((before, inside)) = text.split_once('{') {
            plain.push_str(before);
            plain.push('…');
            text = inside.split_once('}').map_or("", |(_, behind)| behind);
        }
        plain.push_str(text);
        if plain.contains(char::is_alphabetic) {
            texts.push(plain);
        }
    }
    texts
}

/// Whether a message of the page matches this text. The command appends the cause after a colon, and the page has the
/// message as the command prints it.
fn explains(message: &str, text: &str) -> bool {
    stands_for(message, text) || stands_for(message, &format!("{text}: …"))
}

/// Whether a message of the page is this text, where `…` matches any text.
fn stands_for(message: &str, text: &str) -> bool {
    let mut pieces = message.split('…');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let mut last = "";
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
        last = piece;
    }
    rest.is_empty() || message.contains('…') && (last.is_empty() || text.ends_with(last))
}

/// Returns the constant pieces of a sentence that are long enough to search for.
fn pieces(sentence: &str) -> impl Iterator<Item = &str> {
    sentence
        .split('…')
        .map(str::trim)
        .filter(|piece| piece.len() > 3)
}

#[test]
fn every_explained_message_exists() {
    let root = repository();
    let page = read(&root.join("docs/troubleshooting.md"));
    // Stage 1 prints the sentences of a download, too.
    let init = ["init", "fetch"].map(|name| sources(&root.join("crates").join(name).join("src")));
    let init = init.concat();
    let command = command_sources();
    let mut unknown = Vec::new();
    for (part, source, sentences) in [
        ("## Stage 1", &init, explained(&page, "## Stage 1")),
        (
            "## Warnings of stage 1",
            &init,
            explained(&page, "## Warnings of stage 1"),
        ),
        (
            "## While building",
            &command,
            listed(&page, "## While building"),
        ),
    ] {
        assert!(sentences.len() > 2, "{part}: {sentences:?}");
        let texts = error_texts(source);
        for sentence in sentences {
            if texts.iter().any(|text| explains(&sentence, text)) {
                continue;
            }
            assert!(pieces(&sentence).count() > 0, "{sentence}");
            unknown.extend(
                pieces(&sentence)
                    .filter(|piece| !source.contains(piece))
                    .map(str::to_owned),
            );
        }
    }
    assert!(
        unknown.is_empty(),
        "the sources have no such messages: {unknown:#?}"
    );
}

/// Returns the sources of the command and of its libraries.
fn command_sources() -> String {
    let crates = repository().join("crates");
    [
        "storeboot",
        "closure",
        "cpio",
        "squashfs",
        "cache",
        "cli",
        "index",
    ]
    .map(|name| sources(&crates.join(name).join("src")))
    .concat()
}

/// Checks that the page has a message for each text.
fn all_explained(texts: &[String], messages: &[String]) {
    let missing: Vec<_> = texts
        .iter()
        .filter(|text| !messages.iter().any(|message| explains(message, text)))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/troubleshooting.md does not explain {missing:#?}"
    );
}

#[test]
fn every_error_of_the_command_is_explained() {
    let page = read(&repository().join("docs/troubleshooting.md"));
    let messages = listed(&page, "## While building");
    let texts = error_texts(&command_sources());
    assert!(texts.len() > 90, "only {} errors", texts.len());
    all_explained(&texts, &messages);
}

#[test]
fn every_error_of_the_server_is_explained() {
    let page = read(&repository().join("docs/troubleshooting.md"));
    let messages = listed(&page, "## While serving");
    // A code span on the page cannot have backticks in it.
    let source = sources(&repository().join("crates/serve/src")).replace('`', "");
    let texts = error_texts(&source);
    assert!(texts.len() > 14, "only {} errors", texts.len());
    all_explained(&texts, &messages);
    let unknown: Vec<_> = messages
        .iter()
        .filter(|message| !texts.iter().any(|text| explains(message, text)))
        .collect();
    assert!(
        unknown.is_empty(),
        "the server has no such messages: {unknown:#?}"
    );
}

#[test]
fn an_ellipsis_matches_any_text() {
    for (message, text) in [
        ("it is empty", "it is empty"),
        ("cannot read …: …", "cannot read the data of …: …"),
        ("… is not …; …", "`…` is not a number; write one"),
        ("… will not do", "… with … will not do"),
    ] {
        assert!(stands_for(message, text), "{message}");
    }
    for (message, text) in [
        ("it is empty", "it is empty, too"),
        ("cannot read …: …", "it cannot read …: …"),
        ("… will not do", "… will not do at all"),
        ("cannot read …: …", "cannot read …"),
    ] {
        assert!(!stands_for(message, text), "{message}");
    }
}

/// Returns the variants of an error, with the text of the match arms that print them.
fn variants(source: &str, name: &str) -> Vec<(String, String)> {
    let body = source
        .split_once(&format!("enum {name} {{"))
        .expect("the enum")
        .1;
    let body = body.split_once("\n}").expect("its end").0;
    let names = body.lines().filter_map(|line| {
        let line = line.strip_prefix("    ")?;
        let end = line
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(line.len());
        line.starts_with(|c: char| c.is_ascii_uppercase())
            .then(|| line[..end].to_owned())
    });
    let display = source
        .split_once(&format!("Display for {name}"))
        .expect("Display")
        .1;
    names
        .map(|variant| {
            let arm = display.split(&format!("Self::{variant}")).nth(1);
            let arm = arm.unwrap_or_else(|| panic!("{variant} says nothing"));
            let end = arm.find("\n            Self::").unwrap_or(arm.len());
            (variant, arm[..end].to_owned())
        })
        .collect()
}

#[test]
fn every_end_of_stage_1_is_explained() {
    let root = repository();
    let page = read(&root.join("docs/troubleshooting.md"));
    let source = literals(&read(&root.join("crates/init/src/error.rs")));
    let mut sentences = explained(&page, "## Stage 1");
    let variants = variants(&source, "Error");
    assert!(variants.len() > 25, "only {} variants", variants.len());
    // Another function or another error prints the sentences of these variants.
    let elsewhere = ["InitrdNotShown", "Network", "Fetch"];
    let missing: Vec<_> = variants
        .iter()
        .filter(|(variant, arm)| {
            let known = |sentence: &String| pieces(sentence).all(|piece| arm.contains(piece));
            !elsewhere.contains(&variant.as_str()) && !sentences.iter().any(known)
        })
        .map(|(variant, _)| variant)
        .collect();
    assert!(
        missing.is_empty(),
        "docs/troubleshooting.md does not explain {missing:?}"
    );
    sentences.retain(|sentence| {
        sentence.contains("show the initrd") || sentence.contains("retain_initrd")
    });
    assert_eq!(sentences.len(), 3, "{sentences:?}");
}

#[test]
fn every_end_of_the_network_and_of_a_download_is_explained() {
    let root = repository();
    let page = read(&root.join("docs/troubleshooting.md"));
    let ends = explained(&page, "## Stage 1");
    let warnings = explained(&page, "## Warnings of stage 1");
    for (file, name, sentences, passed_on) in [
        ("init/src/network/error.rs", "Error", &ends, &[][..]),
        (
            "init/src/layout/fetch/error.rs",
            "Error",
            &ends,
            &["Download"],
        ),
        (
            "init/src/layout/fetch/keep/trouble.rs",
            "Trouble",
            &warnings,
            &[],
        ),
        // The sentences of two are those of a URL's error and of the sink's; no one is told that stage 1 stops a download.
        (
            "fetch/src/download/error.rs",
            "Error<E>",
            &ends,
            &["Path", "Sink", "Stopped"],
        ),
    ] {
        let source = literals(&read(&root.join("crates").join(file)));
        let variants = variants(&source, name);
        assert!(variants.len() > 4, "only {} variants", variants.len());
        let missing: Vec<_> = variants
            .iter()
            .filter(|(variant, arm)| {
                let known = |sentence: &String| pieces(sentence).all(|piece| arm.contains(piece));
                !passed_on.contains(&variant.as_str()) && !sentences.iter().any(known)
            })
            .map(|(variant, _)| variant)
            .collect();
        assert!(
            missing.is_empty(),
            "docs/troubleshooting.md does not explain {missing:?} of {file}"
        );
    }
}
