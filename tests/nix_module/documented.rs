//! Every option and every file is in docs/nixos.md, and every option tells what it is.

use std::fs;

use storeboot_tests::debian::repository;

use crate::evaluation::evaluated;

#[test]
fn every_option_says_what_it_takes_and_what_for() {
    for found in evaluated(
        r#"builtins.mapAttrs (_: option: map (part: option ? ${part}) [ "type" "default" "example" "description" ])
            (system { }).options.netboot"#,
    ) {
        let options = found.as_object().expect("options by name");
        assert!(options.len() >= 14, "{options:?}");
        for (name, parts) in options {
            assert_eq!(
                *parts,
                serde_json::json!([true, true, true, true]),
                "netboot.{name}: type, default, example, description"
            );
        }
    }
}

#[test]
fn every_name_is_in_the_book() {
    let book = fs::read_to_string(repository().join("docs/nixos.md")).expect("docs/nixos.md");
    for found in evaluated(
        "let it = system { }; names = builtins.attrNames; in map (name: \"netboot.${name}\") (names it.options.netboot)
            ++ map (name: \"system.build.${name}\") [ \"squashfsStore\" \"netbootRamdisk\" \"netbootIpxeScript\" \"kexecScript\" \"kexecTree\" \"kexecTarball\" \"netboot\" ]",
    ) {
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
