//! The system of `nix/systemd`, which `tests/systemd.rs` boots, has the module's units of the booted system.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use storeboot_tests::debian::repository;

use crate::evaluation::evaluated;

/// A unit's settings, each word of a list by itself.
fn words_of_file(name: &str) -> BTreeSet<(String, String)> {
    let file = repository().join(format!("nix/systemd/etc/systemd/system/{name}.service"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let settings = text.lines().filter_map(|line| line.split_once('='));
    settings
        .flat_map(|(key, value)| {
            let whole = key.starts_with("Exec") || key == "Description";
            let words: Vec<&str> = if whole {
                vec![value]
            } else {
                value.split(' ').collect()
            };
            words
                .into_iter()
                .map(|word| (key.to_owned(), word.to_owned()))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn add(words: &mut BTreeSet<(String, String)>, key: &str, value: &Value) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| add(words, key, value)),
        Value::Bool(value) => {
            words.insert((key.into(), if *value { "yes" } else { "no" }.into()));
        }
        Value::String(text) => {
            // Debian's place of every program.
            let programs = ["nix", "coreutils"].map(|name| format!("/stand-in/{name}/bin/"));
            let text = programs
                .iter()
                .fold(text.clone(), |text, place| text.replace(place, "/usr/bin/"));
            words.insert((key.into(), text));
        }
        other => panic!("{key}: {other}"),
    }
}

fn words_of_module(service: &Value) -> BTreeSet<(String, String)> {
    let mut words = BTreeSet::new();
    for (key, name) in [
        ("Description", "description"),
        ("After", "after"),
        ("Before", "before"),
        ("Conflicts", "conflicts"),
    ] {
        add(&mut words, key, &service[name]);
    }
    for section in ["unitConfig", "serviceConfig"] {
        for (key, value) in service[section].as_object().expect("settings") {
            add(&mut words, key, value);
        }
    }
    for (name, value) in service["environment"].as_object().expect("variables") {
        let value = value.as_str().expect("text");
        words.insert(("Environment".into(), format!("{name}={value}")));
    }
    if service["script"] != "" {
        let program = "/bin/bash -e /run/current-system/root-password";
        words.insert(("ExecStart".into(), program.into()));
    }
    words
}

#[test]
fn the_booted_system_has_the_modules_units() {
    for name in ["register-nix-paths", "netboot-root-password"] {
        // What a system is built with, and not what it boots with.
        for found in evaluated(&format!(
            r#"builtins.removeAttrs (system {{ }}).services."{name}" [ "path" ]"#
        )) {
            assert_eq!(words_of_file(name), words_of_module(&found), "{name}");
        }
    }
}
