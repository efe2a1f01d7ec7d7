//! `services.storeboot-serve`: what each option does to the command, to the units and to the firewall, and what is
//! refused. The server may do nothing but what it is for.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use storeboot_tests::debian::repository;

use crate::evaluation::evaluated;

/// A system with the service and these settings of it, and what the tests look at.
fn served(settings: &str) -> Vec<Value> {
    evaluated(&format!(
        r#"let
            found = with_ {{ withNetboot = false; }} {{
                imports = [ ./nix/modules/serve.nix ];
                services.storeboot-serve = {{ enable = true; {settings} }};
            }};
            service = found.config.systemd.services.storeboot-serve;
        in {{
            command = service.serviceConfig.ExecStart;
            inherit (service) serviceConfig requires environment;
            path = map toString service.path;
            socket = found.config.systemd.sockets.storeboot-serve;
            inherit (found.config.networking) firewall;
            inherit (found) refused;
        }}"#
    ))
}

/// The arguments of the command behind `serve`, without those that are always there.
fn arguments(found: &Value) -> Vec<String> {
    let command = found["command"].as_str().expect("a command");
    let (program, arguments) = command.split_once("\"serve\"").expect("serve");
    assert!(program.ends_with("/bin/storeboot\" "), "{command}");
    let words = arguments.split_whitespace();
    words
        .map(|word| word.trim_matches('"').to_owned())
        .collect()
}

/// Whether the words stand in the list, one behind the other.
fn has(arguments: &[String], words: &[&str]) -> bool {
    arguments.windows(words.len()).any(|found| found == words)
}

#[test]
fn each_option_reaches_the_command() {
    for (settings, words) in [
        ("", &["/srv/netboot", "--listen", "[::]:8080"][..]),
        ("", &["--dhcp", "proxy", "--tftp", "on"]),
        ("", &["--ipxe", "/stand-in/ipxe"]),
        (
            r#"rulesFile = "/etc/rules.toml";"#,
            &["--rules", "/etc/rules.toml"],
        ),
        (
            r#"rules.default.append = "quiet";"#,
            &["--rules", "/stand-in/rules.toml"],
        ),
        (
            r#"rules.machine = [ { serial = "7"; } ];"#,
            &["--rules", "/stand-in/rules.toml"],
        ),
        (r#"listen = "192.0.2.1:80";"#, &["--listen", "192.0.2.1:80"]),
        (
            r#"interfaces = [ "eth0" "eth1" ];"#,
            &["--interface", "eth0", "--interface", "eth1"],
        ),
        (r#"dhcp = "off";"#, &["--dhcp", "off"]),
        ("tftp = false;", &["--tftp", "off"]),
        (r#"ipxe = "/srv/ipxe";"#, &["--ipxe", "/srv/ipxe"]),
        (
            r#"publicKeys = [ "a:AA==" "b:AA==" ];"#,
            &["--public-key", "a:AA==", "--public-key", "b:AA=="],
        ),
        ("rate = 100;", &["--rate", "100"]),
        ("json = true;", &["--json"]),
        (r#"extraArguments = [ "--quiet" ];"#, &["--quiet"]),
    ] {
        for found in served(&format!("directory = \"/srv/netboot\"; {settings}")) {
            let arguments = arguments(&found);
            assert!(has(&arguments, words), "{settings}: {arguments:?}");
            assert_eq!(found["refused"], json!([]), "{settings}");
        }
    }
}

#[test]
fn systems_are_built_when_a_machine_asks() {
    for (settings, words) in [
        (
            r#"flake = "path:/etc/nixos#machine";"#,
            &["--flake", "path:/etc/nixos#machine"][..],
        ),
        (
            r#"configurations = "/srv/c";"#,
            &["--configurations", "/srv/c"],
        ),
        (r#"profiles = "/srv/p";"#, &["--profiles", "/srv/p"]),
        (
            r#"hydras = [ "https://one" "https://two" ];"#,
            &["--hydra", "https://one", "--hydra", "https://two"],
        ),
        (
            r#"profiles = "/srv/p"; cacheSize = "1G";"#,
            &[
                "--cache",
                "/var/cache/storeboot-serve",
                "--cache-size",
                "1G",
            ],
        ),
    ] {
        for found in served(settings) {
            let arguments = arguments(&found);
            assert!(has(&arguments, words), "{settings}: {arguments:?}");
            assert_eq!(found["refused"], json!([]), "{settings}");
            // The user that comes with the service has no home.
            assert_eq!(found["environment"]["HOME"], "/var/cache/storeboot-serve");
            // NixOS says it to logins only, and configurations import <nixpkgs>.
            let path = found["environment"]["NIX_PATH"].as_str();
            assert!(
                path.is_some_and(|path| path.starts_with("nixpkgs=")),
                "{found}"
            );
            let curl = settings.contains("hydras").then_some("/stand-in/curl");
            let path: Vec<&str> = ["/stand-in/nix", "/stand-in/git"]
                .into_iter()
                .chain(curl)
                .collect();
            assert_eq!(found["path"], json!(path), "{settings}");
        }
    }
}

#[test]
fn what_is_not_asked_for_is_not_in_the_command() {
    for found in served(r#"directory = "/srv/netboot"; ipxe = null;"#) {
        let arguments = arguments(&found);
        for word in [
            "--rules",
            "--flake",
            "--cache",
            "--hydra",
            "--rate",
            "--json",
            "--ipxe",
            "--interface",
        ] {
            assert!(!has(&arguments, &[word]), "{arguments:?}");
        }
        // A server of a directory that is there needs no Nix.
        assert_eq!(found["path"], json!([]));
        assert_eq!(found["environment"], json!({}));
    }
}

#[test]
fn systemd_opens_the_port_of_http() {
    for found in served(r#"directory = "/srv/netboot"; listen = "192.0.2.1:80";"#) {
        assert_eq!(found["socket"]["listenStreams"], json!(["192.0.2.1:80"]));
        assert_eq!(found["socket"]["wantedBy"], json!(["sockets.target"]));
        assert_eq!(found["requires"], json!(["storeboot-serve.socket"]));
        assert_eq!(found["serviceConfig"]["Type"], "notify");
    }
}

#[test]
fn the_server_may_only_do_what_it_is_for() {
    for (settings, capabilities) in [
        ("", json!(["CAP_NET_BIND_SERVICE", "CAP_NET_RAW"])),
        (r#"dhcp = "off";"#, json!(["CAP_NET_BIND_SERVICE"])),
        (r#"dhcp = "off"; tftp = false;"#, json!([])),
    ] {
        for found in served(&format!("directory = \"/srv/netboot\"; {settings}")) {
            let config = &found["serviceConfig"];
            assert_eq!(config["AmbientCapabilities"], capabilities, "{settings}");
            let bound = match capabilities.as_array().is_some_and(Vec::is_empty) {
                true => json!(""),
                false => capabilities.clone(),
            };
            assert_eq!(config["CapabilityBoundingSet"], bound, "{settings}");
            for (key, value) in [
                ("DynamicUser", json!(true)),
                ("NoNewPrivileges", json!(true)),
                (
                    "RestrictAddressFamilies",
                    json!(["AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"]),
                ),
                ("ProtectSystem", json!("strict")),
                ("ProtectHome", json!(true)),
                ("MemoryDenyWriteExecute", json!(true)),
                ("RestrictNamespaces", json!(true)),
            ] {
                assert_eq!(config[key], value, "{key}");
            }
        }
    }
}

#[test]
fn archives_with_secrets_are_credentials() {
    for found in served(
        r#"directory = "/srv/netboot"; credentials = { web-1 = "/run/secrets/1"; web-2 = "/run/secrets/2"; };"#,
    ) {
        assert_eq!(
            found["serviceConfig"]["LoadCredential"],
            json!(["web-1:/run/secrets/1", "web-2:/run/secrets/2"])
        );
    }
}

#[test]
fn the_firewall_is_opened_where_it_is_asked_for() {
    for (settings, tcp, udp) in [
        ("", json!([]), json!([])),
        ("openFirewall = true;", json!([8080]), json!([67, 4011, 69])),
        (
            r#"openFirewall = true; dhcp = "off"; listen = "[::1]:80";"#,
            json!([80]),
            json!([69]),
        ),
        (
            r#"openFirewall = true; dhcp = "off"; tftp = false;"#,
            json!([8080]),
            json!([]),
        ),
    ] {
        for found in served(&format!("directory = \"/srv/netboot\"; {settings}")) {
            assert_eq!(found["firewall"]["allowedTCPPorts"], tcp, "{settings}");
            assert_eq!(found["firewall"]["allowedUDPPorts"], udp, "{settings}");
        }
    }
}

#[test]
fn what_cannot_be_served_is_refused() {
    for (settings, sentence) in [
        ("", "services.storeboot-serve has nothing to serve"),
        (
            r#"rules.machine = [ { serial = "7"; } ]; rulesFile = "/etc/rules.toml";"#,
            "services.storeboot-serve has rules and rulesFile",
        ),
        (
            r#"directory = "/srv/netboot"; flake = "path:/etc/nixos";"#,
            "services.storeboot-serve has directory and flake",
        ),
        (
            r#"directory = "/srv/netboot"; listen = "192.0.2.1";"#,
            "services.storeboot-serve.listen has no port",
        ),
    ] {
        for found in served(settings) {
            let refused = found["refused"].to_string();
            assert!(refused.contains(sentence), "{settings}: {refused}");
        }
    }
}

/// The options of the service, by their names: an expression.
const OPTIONS: &str = r#"(let
    found = with_ { withNetboot = false; } { imports = [ ./nix/modules/serve.nix ]; };
    options = found.options.services.storeboot-serve;
in removeAttrs options [ "rules" ] // {
    "rules.default" = options.rules.default;
    "rules.machine" = options.rules.machine;
})"#;

#[test]
fn every_option_is_described() {
    let book = fs::read_to_string(repository().join("docs/serve.md")).expect("docs/serve.md");
    for found in evaluated(&format!(
        r#"builtins.mapAttrs (_: option: map (part: option ? ${{part}}) [ "type" "default" "example" "description" ]) {OPTIONS}"#
    )) {
        let options = found.as_object().expect("options by name");
        assert!(options.len() >= 18, "{options:?}");
        for (name, parts) in options {
            assert_eq!(*parts, json!([true, true, true, true]), "{name}");
            assert!(
                book.contains(&format!("`{name}`")),
                "docs/serve.md lacks {name}"
            );
        }
    }
}

/// What a unit file says in its part `[Service]`, where a key that stands twice has both values.
fn service(unit: &str) -> BTreeMap<String, String> {
    let (_, service) = unit.split_once("\n[Service]\n").expect("a service");
    let mut found = BTreeMap::new();
    for line in service.lines().take_while(|line| !line.is_empty()) {
        let (key, value) = line.split_once('=').expect("a key and its value");
        found
            .entry(key.to_owned())
            .and_modify(|said: &mut String| *said += &format!(" {value}"))
            .or_insert_with(|| value.to_owned());
    }
    found
}

/// The unit that the book has for Debian, and that of NixOS, are one.
#[test]
fn the_unit_of_the_book_is_that_of_the_module() {
    let book = fs::read_to_string(repository().join("docs/serve.md")).expect("docs/serve.md");
    let unit = book
        .split("```ini\n")
        .find(|block| block.contains("[Service]"))
        .and_then(|block| block.split("```").next())
        .expect("a unit");
    for found in served(r#"directory = "/srv/netboot";"#) {
        let config = found["serviceConfig"].as_object().expect("keys");
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Array(list) => {
                let words = list.iter().filter_map(Value::as_str);
                words.collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        };
        let mut ours: BTreeMap<String, String> = config
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let mut books = service(unit);
        // The command is where the distribution has it.
        assert!(ours.remove("ExecStart").is_some() && books.remove("ExecStart").is_some());
        assert_eq!(books, ours);
    }
}
