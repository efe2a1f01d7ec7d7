//! Layout `fetch`: what the builder is told, the network of NixOS's own stage 1, and what is refused.

use serde_json::{Value, json};

use crate::evaluation::evaluated;

const FETCH: &str = r#"netboot.layout = "fetch";"#;

#[test]
fn each_option_reaches_the_builder() {
    for (module, attribute, expected) in [
        ("", "storeUrl", Value::Null),
        (
            r#"fetch.url = "http://one/a";"#,
            "storeUrl",
            json!(["http://one/a"]),
        ),
        (
            r#"fetch.url = [ "http://one/a" "http://two" ];"#,
            "storeUrl",
            json!(["http://one/a", "http://two"]),
        ),
        (
            r#"fetch.keep = "LABEL=store";"#,
            "keep",
            json!("LABEL=store"),
        ),
        // The drivers and the firmware of NixOS's stage 1 are in NixOS's initrd.
        (r#"fetch.keep = "LABEL=store";"#, "diskModules", Value::Null),
        ("", "networkModules", Value::Null),
        ("", "firmware", Value::Null),
        (r#"stage1 = "storeboot";"#, "networkModules", json!(["all"])),
        (
            r#"stage1 = "storeboot"; fetch.networkModules = "common";"#,
            "networkModules",
            json!(["common"]),
        ),
        (
            r#"stage1 = "storeboot"; fetch.networkModules = [ "e1000e" "igb" ];"#,
            "networkModules",
            json!(["e1000e", "igb"]),
        ),
        (r#"stage1 = "storeboot";"#, "diskModules", Value::Null),
        (
            r#"stage1 = "storeboot"; fetch.keep = "/dev/sda1";"#,
            "diskModules",
            json!(["common"]),
        ),
        (
            r#"stage1 = "storeboot"; fetch.keep = "/dev/sda1"; fetch.diskModules = [ "nvme" ];"#,
            "diskModules",
            json!(["nvme"]),
        ),
        (
            r#"stage1 = "storeboot";"#,
            "firmware",
            json!("/stand-in/firmware"),
        ),
        (
            r#"stage1 = "storeboot"; fetch.firmware = null;"#,
            "firmware",
            Value::Null,
        ),
        (
            r#"stage1 = "storeboot"; profile = "/etc/boot.profile"; stream = true;"#,
            "stream",
            json!(true),
        ),
        (
            r#"stage1 = "storeboot"; profile = "/etc/boot.profile";"#,
            "stream",
            Value::Null,
        ),
    ] {
        let expression = format!(
            r#"let it = system {{ netboot = {{ layout = "fetch"; {module} }}; }}; in [ (it.netboot.{attribute} or null) it.refused ]"#
        );
        for found in evaluated(&expression) {
            assert_eq!(found, json!([expected, []]), "{module} {attribute}");
        }
    }
}

#[test]
fn streaming_is_for_a_store_that_may_come_later() {
    let sound = r#"layout = "fetch"; stage1 = "storeboot"; profile = "/etc/boot.profile";"#;
    let needs = "netboot.stream needs netboot.layout = \"fetch\"";
    let first = "netboot.verify and netboot.fetch.keep need all of";
    for (module, expected) in [
        (sound.to_owned(), None),
        (sound.replace("\"fetch\"", "\"file\""), Some(needs)),
        (sound.replace("\"storeboot\"", "\"nixos\""), Some(needs)),
        (sound.replace("\"/etc/boot.profile\"", "null"), Some(needs)),
        (format!("{sound} verify = true;"), Some(first)),
        (
            format!(r#"{sound} fetch.keep = "LABEL=store";"#),
            Some(first),
        ),
        (format!("{sound} verity = true;"), None),
    ] {
        for found in evaluated(&format!(
            "(system {{ netboot = {{ stream = true; {module} }}; }}).refused"
        )) {
            let refused: Vec<&str> = found
                .as_array()
                .expect("messages")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            let fitting = refused
                .iter()
                .filter(|message| expected.is_some_and(|words| message.contains(words)));
            assert_eq!(
                fitting.count(),
                usize::from(expected.is_some()),
                "{module}: {refused:?}"
            );
            assert_eq!(
                refused.len(),
                usize::from(expected.is_some()),
                "{module}: {refused:?}"
            );
        }
    }
}

/// The other layouts are as they were, whatever these options have as defaults.
#[test]
fn the_other_layouts_have_no_network() {
    for layout in ["in-place", "file", "direct"] {
        for stage1 in [
            r#"stage1 = "nixos";"#,
            r#"stage1 = "nixos"; }; boot.initrd = { systemd.enable = false;"#,
            r#"stage1 = "storeboot";"#,
        ] {
            let module = format!(r#"netboot = {{ layout = "{layout}"; {stage1} }};"#);
            for found in evaluated(&format!(
                r#"let it = system {{ {module} }}; in {{
                    builder = map (name: it.netboot ? ${{name}}) [ "storeUrl" "keep" "networkModules" "diskModules" "firmware" ];
                    network = it.initrd.network;
                    wants = it.initrd.services.storeboot-attach.wants or [ ];
                    drivers = builtins.elem "e1000e" it.initrd.availableKernelModules;
                    inherit (it) refused;
                }}"#
            )) {
                assert_eq!(
                    found,
                    json!({
                        "builder": [false, false, false, false, false],
                        "network": {
                            "enable": false,
                            "dhcp": false,
                            "systemd": { "enable": false, "networks": {}, "wait-online": { "anyInterface": false } },
                        },
                        "wants": [],
                        "drivers": false,
                        "refused": [],
                    }),
                    "{module}"
                );
            }
        }
    }
}

/// The builder adds the words by itself, and does not get them twice.
#[test]
fn the_command_line_says_where_the_images_are() {
    for (module, expected) in [
        ("", json!(["quiet"])),
        (
            r#"url = "http://one/a";"#,
            json!(["quiet", "storeboot.store=http://one/a"]),
        ),
        (
            r#"url = [ "http://one/a" "http://two" ]; keep = "LABEL=store";"#,
            json!([
                "quiet",
                "storeboot.keep=LABEL=store",
                "storeboot.store=http://one/a,http://two"
            ]),
        ),
    ] {
        for found in evaluated(&format!(
            r#"let it = system {{ boot.kernelParams = [ "quiet" ]; {FETCH} netboot.fetch = {{ {module} }}; }};
            in [ (builtins.sort builtins.lessThan it.kernelParams) it.netboot.cmdline ]"#
        )) {
            assert_eq!(found, json!([expected, "quiet"]), "{module}");
        }
    }
}

/// systemd has an address, and servers to ask for names, when the program starts.
#[test]
fn systemd_fetches_when_the_network_is_there() {
    for (module, disk) in [
        ("", None),
        (
            r#"netboot.fetch.keep = "LABEL=store";"#,
            Some("dev-disk-by\\x2dlabel-store.device"),
        ),
        // udev writes these in small letters.
        (
            r#"netboot.fetch.keep = "PARTUUID=AB-1";"#,
            Some("dev-disk-by\\x2dpartuuid-ab\\x2d1.device"),
        ),
        (
            r#"netboot.fetch.keep = "/dev/sda1";"#,
            Some("dev-sda1.device"),
        ),
    ] {
        for found in evaluated(&format!(
            r#"let it = system {{ {FETCH} {module} }}; in it.initrd // {{ inherit (it) refused; }}"#
        )) {
            assert_eq!(found["refused"], json!([]), "{module}");
            assert_eq!(
                found["network"],
                json!({
                    "enable": true,
                    "dhcp": false,
                    "systemd": {
                        "enable": true,
                        "wait-online": { "anyInterface": true },
                        "networks": { "99-boot": {
                            "matchConfig": { "Type": "ether", "Kind": "!*" },
                            "DHCP": "yes",
                            "dhcpV4Config": { "ClientIdentifier": "mac" },
                            "linkConfig": { "RequiredForOnline": "routable" },
                        } },
                    },
                }),
                "{module}"
            );
            let service = &found["services"]["storeboot-attach"];
            let mut wants = vec!["network-online.target"];
            wants.extend(disk);
            assert_eq!(service["wants"], json!(wants), "{module}");
            let mut after = wants;
            after.extend(["systemd-modules-load.service", "systemd-resolved.service"]);
            assert_eq!(
                sorted(&service["after"]),
                json!(in_order(after)),
                "{module}"
            );
            assert_eq!(
                service["serviceConfig"],
                json!({
                    "Type": "oneshot",
                    "RemainAfterExit": true,
                    "ExecStart": "/storeboot/attach --store /sysroot/nix/.ro-store",
                }),
                "{module}"
            );
        }
    }
}

#[test]
fn the_script_fetches_when_the_network_is_there() {
    for found in evaluated(&format!(
        r#"map (module: (system {{ imports = [ module ]; {FETCH} boot.initrd.systemd.enable = false; }}).initrd)
            [ {{ }} {{ netboot.readOnlyStore = true; boot.initrd.postMountCommands = "ip address flush dev eth0"; }} ]"#
    )) {
        for initrd in found.as_array().expect("two") {
            assert_eq!(initrd["network"]["enable"], true);
            assert_eq!(initrd["network"]["dhcp"], true);
            assert_eq!(initrd["services"], json!({}));
        }
        // NixOS has the network up by then.
        let early = found[0]["postDeviceCommands"].as_str().expect("commands");
        assert!(
            early.contains("/storeboot/attach --store /storeboot/ro-store || fail"),
            "{early}"
        );
        // And takes it down after the mounts.
        let late = found[1]["postMountCommands"].as_str().expect("commands");
        let place = |word: &str| late.find(word).unwrap_or_else(|| panic!("{word}: {late}"));
        assert!(place("/storeboot/attach --root") < place("ip address flush"));
    }
}

#[test]
fn nixos_initrd_has_the_drivers() {
    for (module, available, loaded) in [
        ("", json!([true, true, true, false, false]), false),
        (
            r#"netboot.fetch.networkModules = [ "r8169" ];"#,
            json!([false, false, true, false, false]),
            false,
        ),
        (
            r#"netboot.fetch.keep = "LABEL=store";"#,
            json!([true, true, true, true, true]),
            true,
        ),
        (
            r#"netboot.fetch.keep = "LABEL=store"; netboot.fetch.diskModules = [ "nvme" ];"#,
            json!([true, true, true, true, false]),
            true,
        ),
    ] {
        for found in evaluated(&format!(
            r#"let it = (system {{ {FETCH} {module} }}).initrd; in [
                (map (name: builtins.elem name it.availableKernelModules) [ "virtio_net" "e1000e" "r8169" "nvme" "virtio_blk" ])
                (map (name: builtins.elem name it.kernelModules) [ "ext4" "vfat" "xfs" "nls_cp437" ])
            ]"#
        )) {
            assert_eq!(
                found,
                json!([available, [loaded, loaded, loaded, loaded]]),
                "{module}"
            );
        }
    }
    // What a processor's kernel lacks would end the build of the initrd.
    for found in evaluated(&format!(
        r#"map (system: let it = (with_ {{ inherit system; }} {{ {FETCH} }}).initrd.availableKernelModules;
            in map (name: builtins.elem name it) [ "hv_netvsc" "genet" ]) [ "x86_64-linux" "aarch64-linux" ]"#
    )) {
        assert_eq!(found, json!([[true, false], [false, true]]));
    }
}

/// All of it gives way to what a configuration says.
#[test]
fn a_configuration_may_set_up_the_network_itself() {
    for found in evaluated(&format!(
        r#"let it = system {{
            {FETCH}
            boot.initrd.network.enable = false;
            boot.initrd.systemd.network = {{
                enable = true;
                networks."99-boot".DHCP = "ipv4";
                networks."10-lan".matchConfig.Name = "lan0";
            }};
        }}; in {{
            inherit (it) refused;
            inherit (it.initrd.network) enable;
            networks = builtins.mapAttrs (_: network: network.DHCP) it.initrd.network.systemd.networks;
        }}"#
    )) {
        assert_eq!(
            found,
            json!({ "refused": [], "enable": false, "networks": { "99-boot": "ipv4", "10-lan": null } })
        );
    }
}

#[test]
fn storeboots_stage_1_has_a_network_of_its_own() {
    for found in evaluated(&format!(
        r#"let it = system {{ {FETCH} netboot.stage1 = "storeboot"; netboot.fetch.keep = "LABEL=store"; }}; in {{
            inherit (it) refused;
            inherit (it.initrd) network services kernelModules availableKernelModules;
            inherit (it.netboot) modules;
        }}"#
    )) {
        assert_eq!(found["refused"], json!([]));
        assert_eq!(found["network"]["enable"], false);
        assert_eq!(found["network"]["systemd"]["networks"], json!({}));
        assert_eq!(found["services"], json!({}));
        assert_eq!(found["kernelModules"], json!([]));
        assert_eq!(found["availableKernelModules"], json!([]));
        assert_eq!(found["modules"], "/stand-in/modules");
    }
}

#[test]
fn what_cannot_work_is_refused_in_a_sentence() {
    for (module, word) in [
        (
            r#"netboot.layout = "file"; netboot.fetch.url = "http://one";"#,
            r#"are for netboot.layout = "fetch", and netboot.layout = "file" has"#,
        ),
        (
            r#"netboot.fetch.keep = "LABEL=store";"#,
            r#"are for netboot.layout = "fetch", and netboot.layout = "in-place" has"#,
        ),
        (
            r#"netboot.layout = "fetch"; netboot.fetch.url = "https://one";"#,
            "stage 1 has no TLS",
        ),
        (
            r#"netboot.layout = "fetch"; netboot.fetch.url = [ "http://one" "http://two,http://three" ];"#,
            "or a list of them",
        ),
        (
            r#"netboot.layout = "fetch"; netboot.fetch.keep = "ID=1-2";"#,
            r#"netboot.fetch.keep = "ID=1-2" names no file system"#,
        ),
        (
            r#"netboot.layout = "fetch"; netboot.fetch.keep = "LABEL=a b";"#,
            r#"netboot.fetch.keep = "LABEL=a b" names no file system"#,
        ),
        (
            r#"netboot.layout = "fetch"; netboot.fetch.networkModules = "all";"#,
            r#"netboot.fetch.networkModules = "all" needs netboot.stage1 = "storeboot""#,
        ),
        (
            r#"netboot.layout = "fetch"; netboot.fetch.keep = "/dev/sda1"; netboot.fetch.diskModules = "all";"#,
            r#"netboot.fetch.diskModules = "all" needs netboot.stage1 = "storeboot""#,
        ),
        (
            r#"netboot.layout = "fetch"; netboot.fetch.firmware = "/firmware";"#,
            r#"netboot.fetch.firmware needs netboot.stage1 = "storeboot""#,
        ),
        (
            r#"netboot.layout = "fetch"; boot.initrd.network.enable = false;"#,
            "needs a network in stage 1, and boot.initrd.systemd.network.enable is false",
        ),
        (
            r#"netboot.layout = "fetch"; boot.initrd.network.enable = false; boot.initrd.systemd.enable = false;"#,
            "needs a network in stage 1, and boot.initrd.network.enable is false",
        ),
        (
            r#"netboot.layout = "fetch"; netboot.stage1 = "storeboot"; boot.initrd.network.enable = true;"#,
            "has no use for boot.initrd.network.enable, since it sets up the network by itself",
        ),
    ] {
        for found in evaluated(&format!("(system {{ {module} }}).refused")) {
            let messages = found.as_array().expect("messages");
            assert_eq!(messages.len(), 1, "{module}: {found}");
            let message = messages[0].as_str().expect("a message").replace('\n', " ");
            assert!(message.contains(word), "{module}: {message}");
        }
    }
    for module in [
        "netboot.fetch.url = 1",
        r#"netboot.fetch.networkModules = "some""#,
        "netboot.fetch.keep = [ ]",
    ] {
        for found in evaluated(&format!(
            "(builtins.tryEval (let it = system {{ {FETCH} {module}; }}; in builtins.deepSeq it.config.netboot.fetch it.refused)).success"
        )) {
            assert_eq!(found, false, "{module}");
        }
    }
}

/// A boot folder that is joined of nixpkgs' names has the images, and a machine that is to boot by kexec gets none.
#[test]
fn the_images_are_where_the_machines_look() {
    for found in evaluated(&format!("(system {{ {FETCH} }}).files")) {
        assert_eq!(
            found["netbootRamdisk"],
            json!({ "entries": [{ "name": "initrd", "path": "@netboot@/initrd" }] })
        );
        assert_eq!(
            found["netbootIpxeScript"],
            json!({ "entries": [
                { "name": "netboot.ipxe", "path": "@netboot@/netboot.ipxe" },
                { "name": "images", "path": "@netboot@/images" },
            ] })
        );
        assert_eq!(
            found["kexecTree"]["entries"],
            json!([
                { "name": "initrd.gz", "path": "/stand-in/kexec-files/initrd" },
                { "name": "bzImage", "path": "/stand-in/linux/bzImage" },
                { "name": "kexec-boot", "path": "/stand-in/kexec-boot" },
            ])
        );
        let script = found["kexecScript"]["script"].as_str().expect("a script");
        assert!(script.contains("built=/stand-in/kexec-files|"), "{script}");
    }
}

fn in_order(mut units: Vec<&str>) -> Vec<&str> {
    units.sort_unstable();
    units
}

fn sorted(units: &Value) -> Value {
    json!(in_order(
        units
            .as_array()
            .map(|units| units.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    ))
}
