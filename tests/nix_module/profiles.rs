//! Profiles, examples, and the machines of nixpkgs' test driver.

use serde_json::{Value, json};
use storeboot_tests::command::have;
use storeboot_tests::debian::{evaluate, nix_command, repository};

use crate::evaluation::evaluated;

/// Everything in default.nix, with stand-ins for packages.
fn default_nix(attribute: &str) -> Option<Value> {
    have(&["nix-instantiate"]).then(|| {
        evaluate(&format!(
            r#"let all = import ./. {{ system = "x86_64-linux"; pkgs = import ./tests/nix/stand-in/pkgs.nix {{ }}; }}; in {attribute}"#
        ))
    })
}

/// netboot-minimal.nix imports nixpkgs' netboot.nix, whose place ours takes: both at once would not evaluate.
#[test]
fn netboot_minimal_is_nixpkgs_profile_with_our_module_and_our_stage_1() {
    let Some(found) = default_nix(
        "{ inherit (all.netboot_minimal.drvAttrs) builder storeboot; inherit (all.netboot_minimal.config.system) stateVersion; kernelParams = builtins.sort builtins.lessThan all.netboot_minimal.config.boot.kernelParams; }",
    ) else {
        return;
    };
    assert_eq!(
        found,
        json!({
            "builder": "/stand-in/storeboot/bin/storeboot",
            "storeboot": {
                "action": "build",
                "kernel": "/stand-in/linux/bzImage",
                "modules": "/stand-in/modules",
                "extraModules": [],
                "init": "/stand-in/system/init",
                "cmdline": "minimal",
                "layout": "in-place",
                "compression": "zstd:19",
                "prepend": [],
            },
            "kernelParams": ["minimal", "retain_initrd"],
            // NixOS warns where it is not set.
            "stateVersion": "26.11",
        })
    );
}

/// Overlays and configuration of the caller's packages hold for the system, too.
#[test]
fn the_system_is_made_of_the_packages_that_are_given() {
    if !have(&["nix-instantiate"]) {
        return;
    }
    let found = evaluate(
        r#"let
            pkgs = import ./tests/nix/stand-in/pkgs.nix { };
            kernel = pkgs.linuxPackages.kernel // { outPath = "/stand-in/other"; };
            all = import ./. { pkgs = pkgs // { linuxPackages = { inherit kernel; }; }; };
        in all.netboot_minimal.drvAttrs.storeboot.kernel"#,
    );
    assert_eq!(found, "/stand-in/other/bzImage");
}

#[test]
fn a_module_that_is_imported_after_nixpkgs_takes_its_place_all_the_same() {
    let minimal = "./tests/nix/nixpkgs/nixos/modules/installer/netboot/netboot-minimal.nix";
    for found in evaluated(&format!(
        "(system {{ imports = [ {minimal} ]; }}).netboot.cmdline"
    )) {
        assert_eq!(found, "minimal");
    }
}

#[test]
fn the_appliance_keeps_its_data_in_a_pool() {
    for found in evaluated(
        r#"let it = system { imports = [ ./nix/profiles/netboot-zfs-appliance.nix ]; netboot.persist.directories = [ "/var/lib/postgresql" ]; };
        in {
            inherit (it) refused kernelParams;
            inherit (it.netboot) cmdline;
            inherit (it.initrd) enable;
            registers = it.config.netboot.registerDatabase;
            fileSystems = builtins.mapAttrs (_: fs: { inherit (fs) device fsType options; }) it.fileSystems;
            keys = map (key: key.path) it.config.services.openssh.hostKeys;
            zfs = builtins.elem "zfs" it.config.boot.supportedFilesystems;
            root = it.config.boot.zfs.forceImportRoot;
            made = { inherit (it.config.systemd.services.persist-directories) before requiredBy serviceConfig; };
            host = it.config.networking.hostId;
        }"#,
    ) {
        assert_eq!(
            found,
            json!({
                "refused": [],
                "kernelParams": ["retain_initrd", "storeboot.ro-store"],
                "cmdline": "storeboot.ro-store",
                "enable": false,
                "registers": false,
                "fileSystems": {
                    "/": { "device": null, "fsType": "tmpfs", "options": ["mode=0755"] },
                    "/persist": { "device": "tank/persist", "fsType": "zfs", "options": ["defaults"] },
                    "/var/lib/postgresql": { "device": "/persist/var/lib/postgresql", "fsType": "none", "options": ["bind"] },
                },
                "keys": ["/persist/ssh/ssh_host_ed25519_key"],
                "zfs": true,
                "root": false,
                "made": {
                    "before": ["var-lib-postgresql.mount"],
                    "requiredBy": ["var-lib-postgresql.mount"],
                    "serviceConfig": {
                        "Type": "oneshot",
                        "RemainAfterExit": true,
                        "ExecStart": "\"/stand-in/coreutils/bin/mkdir\" \"-p\" \"/persist/var/lib/postgresql\"",
                    },
                },
                "host": "5704eb00",
            })
        );
    }
}

#[test]
fn the_examples_make_images() {
    for (name, attribute, expected) in [
        ("minimal", "default", r#"".*-netboot""#),
        ("fleet", "default", r#"".*-netboot""#),
        ("appliance", "default", r#"".*-netboot""#),
        ("installer", "default", r#"".*-netboot""#),
        ("installer", "kexec", r#""/stand-in/kexec-tree""#),
    ] {
        if !have(&["nix-instantiate"]) {
            return;
        }
        let found = evaluate(&format!(
            r#"let
                pkgs = import ./tests/nix/stand-in/pkgs.nix {{ }};
                nixosSystem = {{ system, modules }}: import ./tests/nix/evaluate.nix {{ inherit system modules; withNetboot = false; }};
                storeboot = (import ./flake.nix).outputs {{ self = storeboot; nixpkgs.legacyPackages = {{ x86_64-linux = pkgs; aarch64-linux = pkgs; }}; }};
                flake = (import ./examples/{name}/flake.nix).outputs {{ self = flake; nixpkgs.lib = {{ inherit nixosSystem; }}; inherit storeboot; }};
                machine = builtins.head (builtins.attrValues flake.nixosConfigurations);
            in {{
                made = builtins.match {expected} "${{flake.packages.x86_64-linux.{attribute}}}" != null;
                inherit (machine) refused;
                stage1 = machine.config.netboot.stage1;
            }}"#
        ));
        assert_eq!(
            found,
            json!({ "made": true, "refused": [], "stage1": "storeboot" }),
            "{name}"
        );
    }
}

#[test]
fn the_server_of_the_fleet_has_the_image() {
    if !have(&["nix-instantiate"]) {
        return;
    }
    let found = evaluate(
        r#"let
            served = import ./examples/fleet/server.nix { netboot = "/image"; };
        in builtins.mapAttrs (_: location: location.alias) served.services.nginx.virtualHosts.default.locations"#,
    );
    assert_eq!(
        found,
        json!({ "/node/": "/image/", "/node/images/": "/image/images/" })
    );
}

/// They cannot run here: that they evaluate, boot an image of ours, and hold to its system's own rules, can be seen.
#[test]
fn every_test_of_nixpkgs_driver_evaluates() {
    let Some(found) = default_nix(
        "builtins.mapAttrs (_: test: { inherit (test.asked) name testScript; }) all.tests",
    ) else {
        return;
    };
    let tests = found.as_object().expect("tests by name");
    for (name, test) in tests {
        assert_eq!(test["name"], format!("storeboot-{name}"));
        let script = test["testScript"].as_str().expect("a script");
        assert!(
            script.contains(r#"machine.wait_for_unit("multi-user.target")"#),
            "{script}"
        );
        let way = match name.as_str() {
            "kexec" => "/root/tree/kexec-boot",
            "fetch" => "-netdev vde,sock=$QEMU_VDE_SOCKET_1,id=net0",
            _ => "bootfile=",
        };
        assert!(script.contains(way), "{script}");
        python_reads(script);
    }
    let files = std::fs::read_dir(repository().join("nix/tests")).expect("nix/tests");
    let mut cases: Vec<String> = files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".nix").map(str::to_owned))
        .filter(|name| !["default", "boot"].contains(&name.as_str()))
        .collect();
    cases.sort();
    let names: Vec<&String> = tests.keys().collect();
    assert_eq!(cases.iter().collect::<Vec<_>>(), names, "a file a case");
}

/// Python's own opinion of a script.
fn python_reads(script: &str) {
    if !have(&["python3"]) {
        return;
    }
    let read = std::process::Command::new("python3")
        .args(["-c", "import ast, sys; ast.parse(sys.argv[1])", script])
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{said}\n{script}");
}

/// NixOS mounts the store read-only over what could be written to, so that alone would show nothing.
#[test]
fn the_test_of_a_read_only_store_looks_below_nixos_own_mount() {
    let Some(found) = default_nix("all.tests.read-only.asked.testScript") else {
        return;
    };
    let script = found.as_str().expect("a script");
    for line in [
        r#"machine.fail("findmnt --types overlay")"#,
        r#"machine.fail("test -e /nix/.rw-store")"#,
    ] {
        assert!(script.contains(line), "{script}");
    }
}

#[test]
fn uefi_machines_have_their_firmware_and_bios_machines_have_not() {
    let Some(found) = default_nix(
        "builtins.mapAttrs (_: test: test.asked.testScript) { inherit (all.tests) bios uefi; }",
    ) else {
        return;
    };
    let has = |name: &str, word: &str| found[name].as_str().is_some_and(|text| text.contains(word));
    assert!(has("uefi", "OVMF_CODE.fd") && has("uefi", "ipxe.efirom"));
    assert!(!has("bios", "OVMF"));
}

#[test]
fn every_nix_file_parses() {
    if !have(&["nix-instantiate"]) {
        return;
    }
    let listed = std::process::Command::new("find")
        .args([".", "-name", "*.nix", "-not", "-path", "./target/*"])
        .current_dir(repository())
        .output()
        .expect("find runs");
    let files = String::from_utf8(listed.stdout).expect("names");
    assert!(files.lines().count() > 40, "{files}");
    let parsed = nix_command("nix-instantiate")
        .arg("--parse")
        .args(files.lines())
        .output()
        .expect("nix-instantiate runs");
    assert!(
        parsed.status.success(),
        "{}",
        String::from_utf8_lossy(&parsed.stderr)
    );
}
