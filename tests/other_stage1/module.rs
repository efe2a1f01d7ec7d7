//! What the NixOS module has another stage 1 do, evaluated: the script's commands and systemd's units. Machines that
//! boot with these boot with the module's own text.

use serde_json::Value;
use storeboot_index::Layout;
use storeboot_tests::debian::evaluate;

/// A part of a system in this layout, by the names of `tests/nix/evaluate.nix`.
fn evaluated(layout: Layout, module: &str, part: &str) -> Value {
    evaluate(&format!(
        r#"(import ./tests/nix/evaluate.nix {{ modules = [ {{ netboot.layout = "{layout}"; {module} }} ]; }}).{part}"#
    ))
}

/// The script's commands before it mounts, and after.
pub fn commands(layout: Layout) -> [String; 2] {
    ["postDeviceCommands", "postMountCommands"].map(|name| {
        let module = "boot.initrd.systemd.enable = false;";
        let text = evaluated(layout, module, &format!("initrd.{name}"));
        text.as_str().expect("commands").to_owned()
    })
}

/// A unit, or what is added to one.
pub struct Unit {
    /// Its place below `/etc/systemd/system`.
    pub file: String,
    pub text: String,
    pub required_by: Vec<String>,
}

/// systemd's units.
pub fn units(layout: Layout) -> Vec<Unit> {
    let initrd = evaluated(layout, "", "initrd");
    let of = |kind: &str| {
        initrd[kind]
            .as_object()
            .expect("units by name")
            .clone()
            .into_iter()
    };
    let services = of("services").map(|(name, service)| Unit {
        file: format!("{name}.service"),
        text: format!(
            "[Unit]\n{}{}{}[Service]\n{}",
            settings(&service["unitConfig"]),
            setting("After", &service["after"]),
            setting("Before", &service["before"]),
            settings(&service["serviceConfig"])
        ),
        required_by: words(&service["requiredBy"]),
    });
    let additions = of("units").map(|(name, unit)| {
        assert_eq!(unit["overrideStrategy"], "asDropin", "{name}");
        Unit {
            file: format!("{name}.d/overrides.conf"),
            text: unit["text"].as_str().expect("text").to_owned(),
            required_by: Vec::new(),
        }
    });
    services.chain(additions).collect()
}

fn words(value: &Value) -> Vec<String> {
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value {
        Value::Array(values) => values.iter().map(word).collect(),
        one => vec![word(one)],
    }
}

/// A line for each value.
fn setting(name: &str, value: &Value) -> String {
    let lines = words(value)
        .into_iter()
        .map(|word| format!("{name}={word}\n"));
    lines.collect()
}

fn settings(set: &Value) -> String {
    let set = set.as_object().expect("settings by name");
    set.iter()
        .map(|(name, value)| setting(name, value))
        .collect()
}
