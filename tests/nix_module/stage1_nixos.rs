//! NixOS's own stage 1: file systems, units and commands.

use serde_json::{Value, json};

use crate::evaluation::evaluated;

/// File systems of a configuration: for each, the device, the type and what is mounted over what.
fn file_systems(module: &str) -> Vec<Value> {
    evaluated(&format!(
        "builtins.mapAttrs (_: fs: {{ inherit (fs) device fsType options; over = fs.overlay.lowerdir; }})
            (system {{ {module} }}).fileSystems"
    ))
}

fn root() -> Value {
    json!({ "device": null, "fsType": "tmpfs", "options": ["mode=0755"], "over": null })
}

fn overlay() -> Value {
    json!({ "device": null, "fsType": "overlay", "options": ["defaults"], "over": ["/nix/.ro-store"] })
}

/// What is written goes where nixpkgs' module has it go, and how much room it has may be said as ever.
#[test]
fn the_file_systems_have_the_names_of_nixpkgs() {
    // systemd mounts it where there is no program that does.
    let image = json!({
        "device": "../nix-store.squashfs",
        "fsType": "squashfs",
        "options": ["loop", "threads=multi"],
        "over": null,
    });
    let bound = json!({
        "device": "../storeboot/ro-store",
        "fsType": "none",
        "options": ["bind"],
        "over": null,
    });
    for module in [
        "",
        r#"netboot.layout = "file";"#,
        r#"netboot = { layout = "file"; imageLimit = 1073741824; };"#,
        r#"netboot = { layout = "file"; verify = true; };"#,
    ] {
        for found in file_systems(module) {
            assert_eq!(
                found,
                json!({ "/": root(), "/nix/.ro-store": image, "/nix/.rw-store": root(), "/nix/store": overlay() }),
                "{module}"
            );
        }
        let module = format!("{module} boot.initrd.systemd.enable = false;");
        for found in file_systems(&module) {
            assert_eq!(
                found,
                json!({ "/": root(), "/nix/.ro-store": bound, "/nix/.rw-store": root(), "/nix/store": overlay() }),
                "{module}"
            );
        }
    }
}

/// How many images there are is known when they are made, and the configuration is the same then.
#[test]
fn nobody_has_to_know_how_many_images_there_are() {
    for found in evaluated(
        r#"map (systemd: map (limit:
            let it = system { netboot = { layout = "file"; imageLimit = limit; }; boot.initrd.systemd.enable = systemd; };
            in { inherit (it) initrd fileSystems kernelParams; }
        ) [ null 1048576 ]) [ true false ]"#,
    ) {
        for pair in found.as_array().expect("two") {
            assert_eq!(pair[0], pair[1]);
        }
    }
}

#[test]
fn systemd_attaches_the_images_below_what_is_written() {
    for module in [
        "",
        r#"netboot.layout = "file";"#,
        r#"netboot = { layout = "file"; layers = "nixos"; };"#,
    ] {
        for found in evaluated(&format!("(system {{ {module} }}).initrd")) {
            let service = &found["services"]["storeboot-attach"];
            assert_eq!(
                service["serviceConfig"],
                json!({
                    "Type": "oneshot",
                    "RemainAfterExit": true,
                    "ExecStart": "/storeboot/attach --store /sysroot/nix/.ro-store",
                }),
                "{module}"
            );
            assert_eq!(service["before"], json!(["sysroot-nix-store.mount"]));
            assert_eq!(service["requiredBy"], json!(["sysroot-nix-store.mount"]));
            assert_eq!(service["after"], json!(["systemd-modules-load.service"]));
            assert_eq!(
                service["unitConfig"],
                json!({
                    "DefaultDependencies": false,
                    "RequiresMountsFor": "/sysroot/nix",
                    "ConditionPathExists": "/storeboot/attach",
                })
            );
            assert_eq!(
                found["units"],
                json!({ "sysroot-nix-.ro\\x2dstore.mount": {
                    "overrideStrategy": "asDropin",
                    "text": "[Unit]\nConditionPathExists=!/storeboot/attach\n",
                } })
            );
            assert_eq!(
                found["kernelModules"],
                json!(["loop", "overlay", "squashfs"])
            );
            assert_eq!(found["postDeviceCommands"], "");
            assert_eq!(found["postMountCommands"], "");
        }
    }
}

#[test]
fn systemd_gets_the_whole_store_where_nothing_is_written_over_it() {
    for module in [
        r#"netboot.layout = "direct";"#,
        "netboot.readOnlyStore = true;",
        r#"netboot = { layout = "file"; readOnlyStore = true; };"#,
    ] {
        for found in file_systems(module) {
            assert_eq!(found, json!({ "/": root() }), "{module}");
        }
        for found in evaluated(&format!("(system {{ {module} }}).initrd")) {
            let service = &found["services"]["storeboot-attach"];
            assert_eq!(found["units"], json!({}), "{module}");
            assert_eq!(
                service["unitConfig"]["ConditionPathExists"],
                "/storeboot/attach"
            );
            assert_eq!(
                service["serviceConfig"]["ExecStart"], "/storeboot/attach --root /sysroot",
                "{module}"
            );
            // Before anybody looks for the system in it.
            assert_eq!(
                service["before"],
                json!([
                    "initrd-fs.target",
                    "initrd-find-nixos-closure.service",
                    "initrd-find-etc.service"
                ])
            );
            assert_eq!(service["requiredBy"], json!(["initrd-fs.target"]));
        }
    }
}

#[test]
fn the_script_attaches_the_images_before_it_mounts() {
    for module in [
        "",
        r#"netboot.layout = "file";"#,
        r#"netboot = { layout = "file"; verify = true; };"#,
        r#"netboot = { layout = "file"; layers = "nixos"; };"#,
    ] {
        let module = format!("{module} boot.initrd.systemd.enable = false;");
        for found in evaluated(&format!("(system {{ {module} }}).initrd")) {
            assert_eq!(
                found["postDeviceCommands"],
                "if [ -e /storeboot/attach ]; then\n  \
                   /storeboot/attach --store /storeboot/ro-store || fail\n\
                 elif [ -e /nix-store.squashfs ]; then\n  \
                   mkdir -p /storeboot/ro-store\n  \
                   mount -t squashfs -o loop,ro /nix-store.squashfs /storeboot/ro-store || fail\n\
                 fi\n",
                "{module}"
            );
            assert_eq!(found["postMountCommands"], "", "{module}");
            assert_eq!(found["services"], json!({}));
            assert_eq!(
                found["kernelModules"],
                json!(["loop", "overlay", "squashfs"])
            );
        }
    }
}

#[test]
fn the_script_makes_the_whole_store_where_nothing_is_written_over_it() {
    for module in [
        r#"netboot.layout = "direct";"#,
        "netboot.readOnlyStore = true;",
        r#"netboot = { layout = "file"; readOnlyStore = true; };"#,
    ] {
        let module = format!("{module} boot.initrd.systemd.enable = false;");
        for found in file_systems(&module) {
            assert_eq!(found, json!({ "/": root() }), "{module}");
        }
        for found in evaluated(&format!("(system {{ {module} }}).initrd")) {
            assert_eq!(
                found["postMountCommands"],
                "if [ -e /storeboot/attach ]; then\n  /storeboot/attach --root $targetRoot || fail\nfi\n",
                "{module}"
            );
            assert_eq!(found["postDeviceCommands"], "", "{module}");
            assert_eq!(found["services"], json!({}));
        }
    }
}

/// As NixOS will be: its stage 1 is systemd, and the script's options are gone.
#[test]
fn a_nixos_without_the_script_has_no_options_of_it() {
    for found in evaluated(
        r#"map (stage1: (with_ { scripted = false; } { netboot = { inherit stage1; }; }).refused) [ "nixos" "storeboot" ]"#,
    ) {
        assert_eq!(found, json!([[], []]));
    }
    for found in evaluated(
        "builtins.attrNames (with_ { scripted = false; } { }).config.boot.initrd.systemd.services",
    ) {
        assert_eq!(found, json!(["storeboot-attach"]));
    }
}

/// Systems choose a kernel that suits ZFS or bcachefs, and NixOS before 26.11 does so by itself. So the names and types
/// of the file systems are known before the kernel is.
#[test]
fn a_kernel_may_be_chosen_by_the_file_systems() {
    for module in [
        "",
        "boot.initrd.systemd.enable = false;",
        r#"netboot.layout = "direct";"#,
        r#"netboot.layout = "fetch";"#,
        "netboot.readOnlyStore = true;",
        r#"netboot.stage1 = "storeboot";"#,
    ] {
        for found in evaluated(&format!(
            r#"let
                kernel = version: {{ type = "derivation"; outPath = "/stand-in/${{version}}"; inherit version; target = "bzImage"; kernelAtLeast = wanted: builtins.compareVersions version wanted >= 0; }};
                by_file_systems = {{ config, ... }}: {{
                    boot.kernelPackages.kernel = kernel (if builtins.elem "bcachefs" config.boot.supportedFilesystems then "6.18" else "6.1");
                }};
                on = more: (system {{ imports = [ by_file_systems more {{ {module} }} ]; }}).netboot;
                data = {{ fileSystems."/data" = {{ device = "/dev/sda1"; fsType = "bcachefs"; }}; }};
            in map (more: {{ inherit (on more) kernel layout; }}) [ {{ }} data ]"#
        )) {
            let (old, new) = if module.contains("direct") {
                ("direct", "direct")
            } else if module.contains("fetch") {
                ("fetch", "fetch")
            } else {
                ("file", "in-place")
            };
            assert_eq!(
                found,
                json!([
                    { "kernel": "/stand-in/6.1/bzImage", "layout": old },
                    { "kernel": "/stand-in/6.18/bzImage", "layout": new },
                ]),
                "{module}"
            );
        }
    }
}

/// The kernel that a configuration chooses may be too old for an option of the store's mount.
#[test]
fn an_old_kernel_unpacks_on_one_processor() {
    for found in file_systems(
        r#"boot.kernelPackages.kernel = { version = "6.1"; kernelAtLeast = wanted: builtins.compareVersions "6.1" wanted >= 0; };"#,
    ) {
        assert_eq!(found["/nix/.ro-store"]["options"], json!(["loop"]));
    }
}

/// nixpkgs' virtual machines mount a disk and the builder's store in NixOS's stage 1.
#[test]
fn a_virtual_machine_of_the_system_has_nixos_stage_1() {
    for found in evaluated(
        r#"let
            vm = { lib, ... }: { options.virtualisation.directBoot.enable = lib.mkEnableOption "it"; };
            disk = { fileSystems."/var" = { device = "/dev/vda"; fsType = "ext4"; }; };
            look = stage1: let it = system { imports = [ vm disk { netboot.stage1 = stage1; } ]; }; in { inherit (it) refused; inherit (it.initrd) enable; };
        in map look [ "storeboot" "nixos" ]"#,
    ) {
        let whole = json!({ "refused": [], "enable": true });
        assert_eq!(found, json!([whole, whole]));
    }
}

#[test]
fn modules_that_are_asked_for_are_loaded() {
    for found in
        evaluated(r#"(system { netboot.extraModules = [ "virtio_net" ]; }).initrd.kernelModules"#)
    {
        assert_eq!(found, json!(["loop", "overlay", "squashfs", "virtio_net"]));
    }
}

#[test]
fn dm_verity_is_loaded_where_images_have_trees() {
    for found in evaluated("(system { netboot.verity = true; }).initrd.kernelModules") {
        let expected = json!(["loop", "overlay", "squashfs", "dm_mod", "dm_verity"]);
        assert_eq!(found, expected);
    }
}

#[test]
fn a_configuration_may_change_where_what_is_written_goes() {
    for script in ["", "boot.initrd.systemd.enable = false;"] {
        for found in file_systems(&format!(
            r#"imports = [ ({{ lib, ... }}: {{ fileSystems."/nix/.rw-store" = lib.mkForce {{ fsType = "tmpfs"; options = [ "size=80%" ]; neededForBoot = true; }}; }}) ]; {script}"#
        )) {
            assert_eq!(found["/nix/.rw-store"]["options"], json!(["size=80%"]));
        }
    }
}

#[test]
fn without_an_initrd_of_nixos_there_is_no_stage_1_of_nixos() {
    for found in evaluated("(system { boot.initrd.enable = false; }).refused") {
        let refused = found.as_array().expect("messages");
        assert_eq!(refused.len(), 1);
        assert!(
            refused[0]
                .as_str()
                .is_some_and(|message| message.contains("needs boot.initrd.enable"))
        );
    }
}
