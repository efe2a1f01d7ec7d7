//! default.nix and flake.nix: everything in them that can be evaluated without nixpkgs.

use serde_json::{Value, json};
use storeboot_tests::command::have;
use storeboot_tests::debian::evaluate;

const FLAKE: &str = r#"
    nixpkgs.legacyPackages = builtins.listToAttrs (map (system: {
        name = system;
        value = import ./tests/nix/stand-in/pkgs.nix { inherit system; };
    }) [ "x86_64-linux" "aarch64-linux" ]);
    flake = (import ./flake.nix).outputs { self = flake; inherit nixpkgs; };
"#;

#[test]
fn every_output_of_the_flake_evaluates_on_both_systems() {
    if !have(&["nix-instantiate"]) {
        return;
    }
    let found = evaluate(&format!(
        r#"let {FLAKE}
            path = value: builtins.isString "${{value}}";
            all = builtins.mapAttrs (_: builtins.mapAttrs (_: path));
        in {{
            packages = builtins.mapAttrs (_: set: all {{ set = {{ inherit (set) storeboot netboot_minimal netboot_demo default; }}; }}) flake.packages;
            tests = builtins.mapAttrs (_: set: builtins.filter (name: path set.${{name}}) (builtins.attrNames set)) flake.hydraJobs.tests;
            modules = builtins.mapAttrs (_: builtins.pathExists) flake.nixosModules;
            apps = builtins.mapAttrs (_: builtins.mapAttrs (_: app: "${{app.type}} ${{app.program}}")) flake.apps;
            hydra = builtins.mapAttrs (_: product: builtins.match ".*hydra-build-products.*" (builtins.replaceStrings [ "\n" ] [ " " ] product.asked.script) != null) flake.hydraJobs.netboot_minimal;
            kernels = builtins.mapAttrs (_: set: set.netboot_minimal.drvAttrs.storeboot.kernel) flake.packages;
            checks = builtins.mapAttrs (_: builtins.attrNames) flake.checks;
            lib = builtins.mapAttrs (_: builtins.attrNames) flake.lib;
            initrd =
                let drv = (flake.overlays.initrd nixpkgs.legacyPackages.x86_64-linux {{ }}).makeInitrdNG {{
                    compressor = "zstd";
                    contents = [ {{ source = "/stand-in/init"; target = "/init"; }} ];
                }}; in {{ inherit (drv.drvAttrs) builder; inherit (drv.drvAttrs.storeboot) action; }};
            overlay = baseNameOf (flake.overlays.default {{ pkgsStatic.callPackage = file: _: file; }} {{ }}).storeboot;
        }}"#
    ));
    let both = |value: Value| json!({ "x86_64-linux": value, "aarch64-linux": value });
    let names = |value: &Value| -> Vec<String> {
        let list = value.as_array().expect("names").iter();
        list.filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    for system in ["x86_64-linux", "aarch64-linux"] {
        let mut expected = names(&found["tests"][system]);
        // A PC's firmware.
        assert_eq!(expected.contains(&"bios".into()), system == "x86_64-linux");
        assert!(expected.len() > 10, "{expected:?}");
        expected.extend(["netboot_demo", "storeboot"].map(str::to_owned));
        expected.sort();
        assert_eq!(names(&found["checks"][system]), expected);
    }
    assert_eq!(
        found["packages"],
        both(
            json!({ "set": { "storeboot": true, "netboot_minimal": true, "netboot_demo": true, "default": true } })
        )
    );
    assert_eq!(
        found["modules"],
        json!({
            "default": true, "netboot": true, "netboot-minimal": true, "netboot-zfs-appliance": true, "serve": true,
        })
    );
    assert_eq!(
        found["apps"],
        both(json!({
            "default": "app /stand-in/run-netboot-minimal/bin/run-netboot-minimal",
            "netboot_demo": "app /stand-in/run-netboot-demo/bin/run-netboot-demo",
            "netboot_minimal": "app /stand-in/run-netboot-minimal/bin/run-netboot-minimal",
        }))
    );
    assert_eq!(found["hydra"], both(json!(true)));
    assert_eq!(
        found["lib"],
        both(json!([
            "makeInitrd",
            "makeLayers",
            "makeNetboot",
            "makeStoreImage",
            "makeUki",
            "nixosLayers",
            "withPkgs"
        ]))
    );
    assert_eq!(found["overlay"], "package.nix");
    assert_eq!(
        found["initrd"],
        json!({ "builder": "/stand-in/storeboot/bin/storeboot", "action": "initrd" })
    );
    assert_eq!(
        found["kernels"],
        json!({ "x86_64-linux": "/stand-in/linux/bzImage", "aarch64-linux": "/stand-in/linux/Image" })
    );
}

/// `nix flake check` warns of apps that do not.
#[test]
fn every_app_says_what_it_is() {
    if !have(&["nix-instantiate"]) {
        return;
    }
    let said = evaluate(&format!(
        "let {FLAKE} in builtins.mapAttrs (_: builtins.mapAttrs (_: app: app.meta.description)) flake.apps"
    ));
    let apps = json!({
        "default": "Boots netboot_minimal in QEMU",
        "netboot_demo": "Boots netboot_demo in QEMU",
        "netboot_minimal": "Boots netboot_minimal in QEMU",
    });
    assert_eq!(said, json!({ "x86_64-linux": apps, "aarch64-linux": apps }));
}
