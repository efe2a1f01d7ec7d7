//! Every option and every file is in docs/nixos.md, and every option tells what it is.

use std::collections::BTreeSet;
use std::fs;

use storeboot_tests::debian::repository;

use crate::evaluation::evaluated;

#[test]
fn every_option_says_what_it_takes_and_what_for() {
    for found in evaluated(
        r#"let inherit ((system { }).options) netboot; in
            builtins.mapAttrs (_: option: map (part: option ? ${part}) [ "type" "default" "example" "description" ])
                (removeAttrs netboot [ "fetch" ] // netboot.fetch)"#,
    ) {
        let options = found.as_object().expect("options by name");
        assert!(options.len() >= 19, "{options:?}");
        for (name, parts) in options {
            assert_eq!(
                *parts,
                serde_json::json!([true, true, true, true]),
                "netboot.{name}: type, default, example, description"
            );
        }
    }
}

/// The names of the module's options, and of those of the profile that has some: an expression.
const OPTIONS: &str = r#"(let
    names = module: builtins.attrNames (system module).options.netboot;
    appliance = { imports = [ ./nix/profiles/netboot-zfs-appliance.nix ]; };
in map (name: "netboot.${name}") (builtins.filter (name: name != "fetch") (names { }))
    ++ map (name: "netboot.fetch.${name}") (builtins.attrNames (system { }).options.netboot.fetch)
    ++ map (name: "netboot.persist.${name}") (builtins.attrNames (system appliance).options.netboot.persist))"#;

/// Who copies from the book or begins with an example is told of no option that there is not.
#[test]
fn every_option_that_is_mentioned_is_there() {
    let mut pages = vec![repository().join("README.md")];
    for folder in [
        "docs",
        "examples/minimal",
        "examples/appliance",
        "examples/installer",
        "examples/fleet",
    ] {
        let entries = fs::read_dir(repository().join(folder)).expect("a folder");
        pages.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    pages.retain(|page| {
        page.extension()
            .is_some_and(|end| end == "md" || end == "nix")
    });
    let texts: Vec<String> = pages
        .iter()
        .map(|page| fs::read_to_string(page).unwrap_or_else(|error| panic!("{page:?}: {error}")))
        .collect();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let mentioned: BTreeSet<&str> = texts
        .iter()
        .flat_map(|text| text.split(|c: char| !is_name(c)))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.starts_with("netboot."))
        // Files, and a project.
        .filter(|word| !["netboot.ipxe", "netboot.nix", "netboot.xyz"].contains(word))
        .collect();
    assert!(mentioned.len() > 14, "{mentioned:?}");
    for found in evaluated(OPTIONS) {
        let options: Vec<&str> = found
            .as_array()
            .expect("names")
            .iter()
            .filter_map(serde_json::Value::as_str)
            .collect();
        for word in &mentioned {
            assert!(options.contains(word), "there is no option {word}");
        }
    }
}

#[test]
fn every_name_is_in_the_book() {
    let book = fs::read_to_string(repository().join("docs/nixos.md")).expect("docs/nixos.md");
    for found in evaluated(&format!(
        r#"{OPTIONS} ++ map (name: "system.build.${{name}}")
            [ "squashfsStore" "netbootRamdisk" "netbootIpxeScript" "kexecScript" "kexecTree" "kexecTarball" "netboot" ]"#
    )) {
        for name in found.as_array().expect("names") {
            let name = name.as_str().map(|name| format!("`{name}`")).expect("text");
            assert!(book.contains(&name), "docs/nixos.md lacks {name}");
        }
    }
}

/// The table of what covers each option names tests that there are.
#[test]
fn the_tests_that_the_book_names_are_there() {
    let book = fs::read_to_string(repository().join("docs/nixos.md")).expect("docs/nixos.md");
    let sources: String = [
        "build",
        "fetch",
        "image",
        "stage1_nixos",
        "stage1_storeboot",
        "profiles",
        "outputs",
        "kexec_tree",
    ]
    .map(|name| {
        let path = repository().join(format!("tests/nix_module/{name}.rs"));
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
    })
    .concat();
    let named: Vec<&str> = book
        .split('`')
        .filter(|word| {
            [
                "build::",
                "fetch::",
                "image::",
                "stage1_",
                "profiles::",
                "outputs::",
                "kexec_tree::",
            ]
            .iter()
            .any(|start| word.starts_with(start))
                && word.contains("::")
        })
        .collect();
    assert!(named.len() >= 10, "{named:?}");
    for test in named {
        let name = test.rsplit("::").next().unwrap_or_default();
        assert!(sources.contains(&format!("fn {name}()")), "{test}");
    }
}
