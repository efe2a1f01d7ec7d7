//! storeboot's stage 1: what is left out of the system, and what it refuses.

use serde_json::{Value, json};

use crate::evaluation::evaluated;

#[test]
fn the_system_has_no_initrd_of_its_own() {
    for found in evaluated(
        r#"let it = system { netboot.stage1 = "storeboot"; }; in {
            inherit (it) refused;
            inherit (it.initrd) enable systemd services kernelModules;
            file_systems = builtins.mapAttrs (_: fs: fs.fsType) it.fileSystems;
            # NixOS before 26.05 links to them all the same.
            empty = it.build.initialRamdisk.asked;
            secrets = it.build.initialRamdiskSecretAppender.name;
        }"#,
    ) {
        assert_eq!(
            found,
            json!({
                "refused": [],
                "enable": false,
                "systemd": false,
                "services": {},
                "kernelModules": [],
                "file_systems": { "/": "tmpfs" },
                "empty": { "path": "initrd", "text": "" },
                "secrets": "append-initrd-secrets",
            })
        );
    }
}

#[test]
fn microcode_comes_first() {
    for found in evaluated(
        r#"map (stage1: (system { netboot = { inherit stage1; }; boot.initrd.prepend = [ "/microcode" ]; }).netboot.prepend) [ "storeboot" "nixos" ]"#,
    ) {
        // In NixOS's own initrd it is already.
        assert_eq!(found, json!([["/microcode"], []]));
    }
}

#[test]
fn what_needs_nixos_stage_1_is_refused_by_name() {
    for (module, word) in [
        (
            r#"boot.initrd.luks.devices.root = { device = "/dev/sda"; };"#,
            "boot.initrd.luks.devices",
        ),
        (
            "boot.initrd.network.enable = true;",
            "boot.initrd.network.enable",
        ),
        (
            r#"boot.initrd.secrets."/key" = "/key";"#,
            "boot.initrd.secrets",
        ),
        (r#"boot.resumeDevice = "/dev/sda2";"#, "boot.resumeDevice"),
        (
            r#"fileSystems."/var" = { device = "/dev/sda1"; };"#,
            "NixOS mounts /var in stage 1",
        ),
        (
            r#"fileSystems."/keys" = { device = "/dev/sda1"; neededForBoot = true; };"#,
            "NixOS mounts /keys in stage 1",
        ),
        (
            r#"boot.initrd.postDeviceCommands = "true";"#,
            "no use for boot.initrd.postDeviceCommands.",
        ),
        (
            r#"boot.initrd.preLVMCommands = "true"; boot.initrd.postMountCommands = "true";"#,
            "no use for boot.initrd.preLVMCommands, boot.initrd.postMountCommands.",
        ),
        (
            r#"boot.initrd.extraFiles.x = { };"#,
            "no use for boot.initrd.extraFiles.",
        ),
        (
            r#"boot.initrd.systemd.services.mine.script = "true";"#,
            "no use for boot.initrd.systemd.services.",
        ),
        (
            r#"boot.initrd.systemd.mounts = [ { where = "/sysroot/data"; } ];"#,
            "no use for boot.initrd.systemd.mounts.",
        ),
        (
            r#"boot.initrd.systemd.network.networks.a = { };"#,
            "no use for boot.initrd.systemd.network.networks.",
        ),
    ] {
        let refused = |stage1: &str| {
            evaluated(&format!(
                r#"(system {{ netboot.stage1 = "{stage1}"; {module} }}).refused"#
            ))
        };
        for found in refused("storeboot") {
            let messages = found.as_array().expect("messages");
            assert_eq!(messages.len(), 1, "{module}: {found}");
            let message = messages[0].as_str().expect("a message");
            assert!(message.contains(word), "{module}: {message}");
            assert!(message.contains(r#"netboot.stage1 = "nixos""#), "{message}");
        }
        for found in refused("nixos") {
            assert_eq!(found, json!([]), "{module}");
        }
    }
}

#[test]
fn what_is_turned_off_is_no_wish() {
    for found in evaluated(
        r#"(system { netboot.stage1 = "storeboot"; boot.initrd.systemd.repart.enable = false; }).refused"#,
    ) {
        assert_eq!(found, json!([]));
    }
}

/// Generated configurations have these, and machines boot without.
#[test]
fn what_stage_1_does_not_load_is_a_warning() {
    for (module, word) in [
        (
            r#"boot.initrd.kernelModules = [ "vfio_pci" ];"#,
            Some("boot.initrd.kernelModules"),
        ),
        (
            r#"netboot.layout = "fetch"; boot.blacklistedKernelModules = [ "r8169" ];"#,
            Some("boot.blacklistedKernelModules"),
        ),
        (r#"boot.blacklistedKernelModules = [ "r8169" ];"#, None),
        (
            r#"netboot.layout = "fetch"; netboot.fetch.networkModules = [ "r8168" ]; boot.blacklistedKernelModules = [ "r8169" ];"#,
            None,
        ),
        ("boot.initrd.kernelModules = [ ];", None),
    ] {
        let expression =
            format!(r#"(system {{ netboot.stage1 = "storeboot"; {module} }}).warnings"#);
        for found in evaluated(&expression) {
            let warnings = found.as_array().expect("warnings");
            assert_eq!(
                warnings.len(),
                usize::from(word.is_some()),
                "{module}: {found}"
            );
            if let Some(word) = word {
                assert!(
                    warnings[0].as_str().is_some_and(|said| said.contains(word)),
                    "{found}"
                );
            }
        }
    }
}

/// Modules of nixpkgs set some of these whether they are asked or not.
#[test]
fn what_nixpkgs_own_modules_set_is_no_wish() {
    for found in evaluated(
        r#"(system { imports = [ ./tests/nix/nixpkgs/nixos/modules/tasks/lvm.nix ]; netboot.stage1 = "storeboot"; }).refused"#,
    ) {
        assert_eq!(found, json!([]));
    }
}

#[test]
fn file_systems_that_stage_2_mounts_are_welcome() {
    for found in evaluated(
        r#"(system { netboot.stage1 = "storeboot"; fileSystems."/data" = { device = "/dev/sda1"; }; }).refused"#,
    ) {
        assert_eq!(found, Value::Array(Vec::new()));
    }
}
