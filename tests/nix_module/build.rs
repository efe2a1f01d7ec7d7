//! The image's derivation and what lies around it.

use serde_json::{Value, json};

use crate::evaluation::evaluated;

#[test]
fn without_a_word_the_image_is_of_the_system_with_nixos_own_stage_1() {
    for found in evaluated("{ inherit (system { }) netboot roots builder refused; }") {
        assert_eq!(
            found,
            json!({
                "netboot": {
                    "action": "build",
                    "kernel": "/stand-in/linux/bzImage",
                    "init": "/stand-in/system/init",
                    "initrd": "/stand-in/initrd/initrd",
                    "cmdline": "",
                    "layout": "in-place",
                    "compression": "zstd:19",
                    "prepend": [],
                },
                "roots": ["/stand-in/system"],
                "builder": "/stand-in/storeboot/bin/storeboot",
                "refused": [],
            })
        );
    }
}

#[test]
fn the_image_is_one_file_for_uefi_on_request() {
    let expression = r#"(system { environment.etc."os-release".source = "/etc-os-release"; }).uki"#;
    for found in evaluated(expression) {
        assert_eq!(
            found,
            json!({
                "action": "uki",
                "netboot": "@netboot@",
                "stub": "/stand-in/systemd/lib/systemd/boot/efi/linuxx64.efi.stub",
                "osRelease": "/etc-os-release",
            })
        );
    }
    for found in evaluated(
        r#"(system { environment.etc."os-release".source = "/o"; netboot.ukiStub = "/s"; }).uki.stub"#,
    ) {
        assert_eq!(found, "/s");
    }
}

/// What the builder is told, by what a configuration says.
#[test]
fn each_option_reaches_the_builder() {
    for (module, attribute, expected) in [
        (r#"layout = "file""#, "layout", json!("file")),
        (r#"layout = "direct""#, "layout", json!("direct")),
        (r#"layout = "direct""#, "compression", Value::Null),
        (r#"compression = "zstd:3""#, "compression", json!("zstd:3")),
        (
            r#"layout = "direct"; compression = "zstd:12""#,
            "compression",
            json!("zstd:12"),
        ),
        (
            r#"squashfsCompression = "zstd -Xcompression-level 6""#,
            "compression",
            json!("zstd:6"),
        ),
        (r#"layout = "direct""#, "archives", json!("solid")),
        (
            r#"layout = "direct"; archives = "per-path""#,
            "archives",
            json!("per-path"),
        ),
        (r#"layout = "file""#, "archives", Value::Null),
        ("blockSize = 131072", "blockSize", json!(131_072)),
        ("imageLimit = 1073741824", "imageLimit", json!(1 << 30)),
        ("sbom = true", "sbom", json!(true)),
        ("verity = true", "verity", json!(true)),
        ("verity = false", "verity", Value::Null),
        ("noCheck = true", "noCheck", json!(true)),
        (
            r#"profile = "/etc/boot.profile""#,
            "profile",
            json!("/etc/boot.profile"),
        ),
        (r#"prepend = [ "/m" ]"#, "prepend", json!(["/m"])),
        (r#"stage1 = "storeboot""#, "initrd", Value::Null),
        (
            r#"stage1 = "storeboot""#,
            "modules",
            json!("/stand-in/modules"),
        ),
        (
            r#"stage1 = "storeboot"; extraModules = [ "virtio_net" ]"#,
            "extraModules",
            json!(["virtio_net"]),
        ),
    ] {
        let expression =
            format!("(system {{ netboot = {{ {module}; }}; }}).netboot.{attribute} or null");
        for found in evaluated(&expression) {
            assert_eq!(found, expected, "{module}");
        }
    }
}

/// Types are checked, and so are names; the stand-in would not be worth much otherwise.
#[test]
fn nonsense_is_refused() {
    for module in [
        r#"netboot.layout = "upside-down""#,
        r#"netboot.archives = "file""#,
        "netboot.blockSize = 0",
        "netboot.blockSize = 100000",
        r#"netboot.compression = "zstd -19""#,
        r#"netboot.imageLimit = "1G""#,
        r#"netboot.verify = "yes""#,
        r#"netboot.verity = "dm""#,
        "netboot.stream = 1",
        "netboot.compression = 19",
        r#"netboot.stage1 = "grub""#,
        r#"netboot.prepend = [ "relative" ]"#,
        r#"netboot.storeContents = "/one""#,
        r#"netboot.layers = "many""#,
        "netboot.extraModule = [ ]",
        "boot.initrd.nowhere = 1",
    ] {
        let expression = format!(
            "let tried = builtins.tryEval (let it = system {{ {module}; }}; in builtins.deepSeq it.config.netboot it.refused);
            in {{ inherit (tried) success; }}"
        );
        for found in evaluated(&expression) {
            assert_eq!(found, json!({ "success": false }), "{module}");
        }
    }
}

#[test]
fn what_comes_on_top_is_in_the_image_too() {
    for found in evaluated(r#"(system { netboot.storeContents = [ "/stand-in/more" ]; }).roots"#) {
        let mut roots: Vec<&str> = found.as_array().map_or_else(Vec::new, |roots| {
            roots.iter().filter_map(Value::as_str).collect()
        });
        roots.sort_unstable();
        assert_eq!(roots, ["/stand-in/more", "/stand-in/system"]);
    }
}

#[test]
fn layers_are_derivations_of_their_own() {
    for found in evaluated(
        r#"let
            count = layers: builtins.length ((system { netboot = { inherit layers; }; }).netboot.layers or [ ]);
        in {
            own = count [ [ "/stand-in/linux" ] [ "/stand-in/base" "/stand-in/more" ] ];
            nixos = count "nixos";
            none = count [ ];
            direct = map builtins.stringLength (system { netboot = { layers = "nixos"; layout = "direct"; }; }).refused != [ ];
        }"#,
    ) {
        assert_eq!(
            found,
            json!({ "own": 2, "nixos": 3, "none": 0, "direct": true })
        );
    }
}

/// The other layouts have images.
#[test]
fn archives_are_cut_for_layout_direct() {
    for (module, expected) in [
        (r#"layout = "direct"; archives = "per-path";"#, json!([])),
        (r#"layout = "direct"; archives = "solid";"#, json!([])),
        (r#"layout = "file"; archives = "solid";"#, json!([])),
        (r#"layout = "file"; archives = "per-path";"#, json!([true])),
        (r#"archives = "per-path";"#, json!([true])),
    ] {
        let expression = format!(
            r#"map (message: builtins.match "netboot.archives = .per-path. .*" (builtins.replaceStrings [ "\n" ] [ " " ] message) != null)
                (system {{ netboot = {{ {module} }}; }}).refused"#
        );
        for found in evaluated(&expression) {
            assert_eq!(found, expected, "{module}");
        }
    }
}

/// nixpkgs' `netboot.squashfsCompression` is in mksquashfs' words.
#[test]
fn mksquashfs_words_are_understood() {
    for (words, ours) in [
        ("zstd -Xcompression-level 19", "zstd:19"),
        ("zstd", "zstd:15"),
        ("xz -Xdict-size 100%", "xz:6"),
        ("xz -Xdict-size 100% -Xbcj x86", "xz:6"),
        ("gzip", "gzip:9"),
        ("gzip  -Xcompression-level 1 ", "gzip:1"),
        ("lz4 -Xhc", "lz4:12"),
        ("lz4", "lz4:1"),
    ] {
        let expression =
            format!("(system {{ netboot.squashfsCompression = {words:?}; }}).squashfs.storeboot");
        for found in evaluated(&expression) {
            let expected = json!({ "action": "pack", "format": "squashfs", "compression": ours });
            assert_eq!(found, expected, "{words}");
        }
    }
    for words in ["lzo", "lzma -Xx", "lz4 -Xfast"] {
        let expression = format!(
            "(builtins.tryEval (system {{ netboot.squashfsCompression = {words:?}; }}).netboot.compression).success"
        );
        for found in evaluated(&expression) {
            assert_eq!(found, false, "{words}");
        }
    }
}

#[test]
fn the_layout_suits_the_kernel() {
    let expression = r#"let
        kernel = version: { type = "derivation"; outPath = "/stand-in/linux"; inherit version; target = "bzImage"; kernelAtLeast = wanted: builtins.compareVersions version wanted >= 0; };
        on = version: more: system ({ boot.kernelPackages = { kernel = kernel version; }; } // more);
    in {
        new = (on "6.8" { }).netboot.layout;
        old = (on "6.1.140" { }).netboot.layout;
        refused = map (message: builtins.match ".*needs Linux 6.8 and this is 6.1.140.*" message != null)
            (on "6.1.140" { netboot.layout = "in-place"; }).refused;
    }"#;
    for found in evaluated(expression) {
        assert_eq!(
            found,
            json!({ "new": "in-place", "old": "file", "refused": [true] })
        );
    }
}

/// Who takes the command line from the system, such as nixos-images' kexec installer, gets what the layout needs; the
/// builder adds it by itself and so does not get it twice.
#[test]
fn the_command_line_has_what_the_layout_needs_once() {
    for (module, params, cmdline) in [
        ("", json!(["quiet", "retain_initrd"]), "quiet"),
        (
            r#"layout = "file";"#,
            json!(["initramfs_options=size=95%", "quiet"]),
            "quiet",
        ),
        (
            r#"layout = "direct";"#,
            json!(["initramfs_options=size=95%", "quiet"]),
            "quiet",
        ),
        (
            "verify = true;",
            json!(["quiet", "retain_initrd", "storeboot.verify"]),
            "quiet storeboot.verify",
        ),
        (
            "readOnlyStore = true;",
            json!(["quiet", "retain_initrd", "storeboot.ro-store"]),
            "quiet storeboot.ro-store",
        ),
    ] {
        let expression = format!(
            r#"let it = system {{ boot.kernelParams = [ "quiet" ]; netboot = {{ {module} }}; }};
                sorted = builtins.sort builtins.lessThan;
            in {{
                params = sorted it.kernelParams;
                cmdline = sorted (builtins.filter builtins.isString (builtins.split " " it.netboot.cmdline));
            }}"#
        );
        for found in evaluated(&expression) {
            assert_eq!(found["params"], params, "{module}");
            let words: Vec<&str> = cmdline.split(' ').collect();
            assert_eq!(found["cmdline"], json!(words), "{module}");
        }
    }
}

#[test]
fn the_files_have_the_names_of_nixpkgs_module() {
    for found in evaluated("(system { }).files") {
        assert_eq!(
            found["netbootRamdisk"],
            json!({ "entries": [{ "name": "initrd", "path": "@netboot@/initrd" }] })
        );
        assert_eq!(
            found["netbootIpxeScript"],
            json!({ "entries": [{ "name": "netboot.ipxe", "path": "@netboot@/netboot.ipxe" }] })
        );
        assert_eq!(
            found["kexecTree"]["entries"],
            json!([
                { "name": "initrd.gz", "path": "/stand-in/netboot-initrd/initrd" },
                { "name": "bzImage", "path": "/stand-in/linux/bzImage" },
                { "name": "kexec-boot", "path": "/stand-in/kexec-boot" },
            ])
        );
        assert_eq!(
            found["kexecTarball"],
            json!({
                "fileName": "nixos-image-26.11",
                "storeContents": [{ "object": "/stand-in/kexec-boot", "symlink": "/kexec_nixos" }],
                "contents": [],
            })
        );
    }
}

#[test]
fn the_store_image_is_nixpkgs_squashfs() {
    for found in evaluated("(system { netboot.blockSize = 65536; }).squashfs") {
        assert_eq!(found["name"], "squashfs.img");
        assert_eq!(
            found["exportReferencesGraph"]["closure"],
            json!(["/stand-in/system"])
        );
        assert_eq!(
            found["storeboot"],
            json!({ "action": "pack", "format": "squashfs", "compression": "zstd:19", "blockSize": 65536 })
        );
    }
    for (module, expected) in [
        (
            r#"compression = "xz:6"; noCheck = true;"#,
            json!({ "action": "pack", "format": "squashfs", "compression": "xz:6", "noCheck": true }),
        ),
        (
            r#"compression = "zstd:12"; layout = "direct";"#,
            json!({ "action": "pack", "format": "squashfs", "compression": "zstd:19" }),
        ),
    ] {
        let expression = format!("(system {{ netboot = {{ {module} }}; }}).squashfs.storeboot");
        for found in evaluated(&expression) {
            assert_eq!(found, expected, "{module}");
        }
    }
}

#[test]
fn what_checks_store_images_is_refused_where_there_are_none() {
    for (setting, expected) in [
        ("verify = true", "netboot.verify is for store images"),
        ("verity = true", "netboot.verity is for store images"),
        (
            "blockSize = 4096",
            "netboot.blockSize, netboot.imageLimit and",
        ),
        (
            "imageLimit = 4096",
            "netboot.blockSize, netboot.imageLimit and",
        ),
        (
            r#"profile = "/profile""#,
            "netboot.imageLimit and netboot.profile are for",
        ),
    ] {
        let expression =
            format!(r#"(system {{ netboot = {{ layout = "direct"; {setting}; }}; }}).refused"#);
        for found in evaluated(&expression) {
            let messages = found.as_array().expect("messages").iter();
            let mut messages = messages.filter_map(Value::as_str);
            assert!(messages.any(|said| said.contains(expected)), "{found}");
        }
    }
}

/// nixos-images' netboot installer has a `system.build.netboot` of its own, made of nixpkgs' names.
#[test]
fn what_a_configuration_calls_netboot_is_its_own() {
    for found in evaluated(
        r#"let it = (system ({ config, ... }: { system.build.netboot = { type = "derivation"; outPath = "/mine"; of = config.system.build.netbootRamdisk.asked.entries; }; })).build.netboot; in {
            path = it.outPath;
            ramdisk = builtins.match "/nix/store/.*-netboot/initrd" (builtins.head it.of).path != null;
        }"#,
    ) {
        assert_eq!(found, json!({ "path": "/mine", "ramdisk": true }));
    }
}

/// As its kexec installer does: units of its own in systemd's stage 1, and an archive behind the initrd that they read.
#[test]
fn what_nixos_images_asks_for_is_there() {
    for found in evaluated(
        r#"let it = system {
            imports = [ ./tests/nix/nixpkgs/nixos/modules/installer/netboot/netboot-minimal.nix ];
            boot.initrd.compressor = "xz";
            boot.initrd.systemd.enable = true;
            boot.initrd.systemd.services.restore-state-from-initrd = {
                wantedBy = [ "initrd.target" ];
                script = "cp -r ssh /sysroot/root/.ssh";
            };
        }; in {
            inherit (it) refused kernelParams;
            services = builtins.attrNames it.initrd.services;
            initrd = "${it.build.netbootRamdisk}/initrd";
            kernel = "${it.build.kernel}/${it.config.system.boot.loader.kernelFile}";
        }"#,
    ) {
        let params = found["kernelParams"].as_array().expect("words");
        assert!(params.contains(&json!("retain_initrd")), "{params:?}");
        assert_eq!(found["refused"], json!([]));
        assert_eq!(
            found["services"],
            json!(["restore-state-from-initrd", "storeboot-attach"])
        );
        assert_eq!(found["initrd"], "/stand-in/netboot-initrd/initrd");
        assert_eq!(found["kernel"], "/stand-in/linux/bzImage");
    }
}

#[test]
fn stage_1_may_be_that_of_another_package() {
    for found in evaluated(
        r#"let other = { type = "derivation"; name = "other"; outPath = "/other"; };
        in map (module: (system module).netboot.stage1 or null) [ { } { netboot.stage1Package = other; } ]"#,
    ) {
        assert_eq!(found, json!([null, "/other/bin/storeboot-init"]));
    }
}

/// storeboot runs on the builder, its stage 1 on the machine.
#[test]
fn an_image_for_another_processor_has_that_processors_stage_1() {
    for found in evaluated(
        r#"let it = with_ { system = "aarch64-linux"; buildSystem = "x86_64-linux"; } { netboot.stage1 = "storeboot"; };
        in { inherit (it) system; inherit (it.netboot) kernel stage1; host = it.config.netboot.package.asked.host; }"#,
    ) {
        assert_eq!(
            found,
            json!({
                "system": "x86_64-linux",
                "kernel": "/stand-in/linux/Image",
                "stage1": "/stand-in/storeboot/bin/storeboot-init",
                "host": "x86_64-linux",
            })
        );
    }
}

#[test]
fn before_25_05_the_tarball_has_another_name_and_no_image_options() {
    for found in evaluated(
        r#"let it = with_ { modulesPath = "/stand-in/old"; } { }; in {
            name = it.files.kexecTarball.fileName;
            tags = it.config.system.nixos.tags;
        }"#,
    ) {
        assert_eq!(
            found,
            json!({ "name": "nixos-kexec-26.11-x86_64-linux", "tags": [] })
        );
    }
}

/// A virtual machine has a disk and the builder's store, and nixpkgs registers it.
#[test]
fn a_virtual_machine_is_as_nixpkgs_makes_it() {
    for found in evaluated(
        r#"let
            vm = { lib, ... }: { options.virtualisation.directBoot.enable = lib.mkEnableOption "it"; };
            look = it: { inherit (it.netboot) stage1 registerDatabase; };
            of = modules: (system { imports = modules ++ [ { netboot.stage1 = "storeboot"; } ]; }).config;
        in {
            machine = look (of [ ]);
            node = look (of [ vm ]);
            units = (of [ vm ]).systemd.services ? register-nix-paths;
        }"#,
    ) {
        assert_eq!(
            found,
            json!({
                "machine": { "stage1": "storeboot", "registerDatabase": true },
                "node": { "stage1": "nixos", "registerDatabase": false },
                "units": false,
            })
        );
    }
}

/// Before nix-daemon and before any service; and no shell is needed for it.
#[test]
fn nix_is_told_of_the_store_at_boot_where_there_is_a_nix() {
    for (module, registers) in [
        ("", true),
        ("netboot.registerDatabase = false;", false),
        ("nix.enable = false;", false),
    ] {
        let expression = format!("(system {{ {module} }}).services.register-nix-paths or null");
        for found in evaluated(&expression) {
            if !registers {
                assert_eq!(found, Value::Null, "{module}");
                continue;
            }
            assert_eq!(
                found["serviceConfig"],
                json!({
                    "Type": "oneshot",
                    "RemainAfterExit": true,
                    "StandardInput": "file:/nix/store/nix-path-registration",
                    "ExecStart": [
                        "/stand-in/nix/bin/nix-store --load-db",
                        "-/stand-in/coreutils/bin/touch /etc/NIXOS",
                        "/stand-in/nix/bin/nix-env -p /nix/var/nix/profiles/system --set /run/current-system",
                    ],
                })
            );
            let mut before: Vec<&str> = found["before"]
                .as_array()
                .map(|units| units.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            before.sort_unstable();
            assert_eq!(
                before,
                [
                    "nix-daemon.service",
                    "nix-daemon.socket",
                    "shutdown.target",
                    "sysinit.target"
                ]
            );
            assert_eq!(found["wantedBy"], json!(["sysinit.target"]));
            // The same system may run from a disk.
            let unit = json!({
                "DefaultDependencies": false,
                "ConditionPathExists": "/nix/store/nix-path-registration",
            });
            assert_eq!(found["unitConfig"], unit);
            assert_eq!(found["environment"], json!({ "HOME": "/root" }));
            assert_eq!(found["restartIfChanged"], false);
        }
    }
}

/// After the users are there and before one of them can log in.
#[test]
fn a_unit_completes_the_boot_profile_where_one_is_recorded() {
    let of = |stage1: &str| {
        format!("(system {{ netboot.stage1 = \"{stage1}\"; }}).services.storeboot-profile or null")
    };
    for unit in evaluated(&of("storeboot")) {
        assert_eq!(
            unit["unitConfig"]["ConditionKernelCommandLine"],
            "storeboot.profile"
        );
        assert_eq!(unit["wantedBy"], json!(["multi-user.target"]));
    }
    for unit in evaluated(&of("nixos")) {
        assert_eq!(unit, Value::Null);
    }
}

#[test]
fn the_command_line_sets_roots_password() {
    for found in evaluated("(system { }).services.netboot-root-password") {
        assert_eq!(
            found["unitConfig"],
            json!({
                "DefaultDependencies": false,
                "ConditionKernelCommandLine": ["|live.nixos.password", "|live.nixos.passwordHash"],
            })
        );
        assert_eq!(
            found["after"],
            json!([
                "local-fs.target",
                "systemd-sysusers.service",
                "userborn.service"
            ])
        );
        assert_eq!(
            found["before"],
            json!(["sysinit.target", "shutdown.target"])
        );
        assert_eq!(found["wantedBy"], json!(["sysinit.target"]));
        let script = found["script"].as_str().expect("a script");
        // nixpkgs' boot test looks for these.
        for word in ["live.nixos.passwordHash=", "live.nixos.password="] {
            assert!(script.contains(word), "{script}");
        }
    }
    for found in
        evaluated("(system { environment.shell.enable = false; }).services ? netboot-root-password")
    {
        assert_eq!(found, false, "nobody logs in without a shell");
    }
}

/// `system.nixos-init.enable` starts the system without a script.
#[test]
fn a_system_without_boot_scripts_is_as_good() {
    for found in evaluated(
        r#"map (stage1: (system { netboot = { inherit stage1; }; system.nixos-init.enable = true; }).refused) [ "nixos" "storeboot" ]"#,
    ) {
        assert_eq!(found, json!([[], []]));
    }
}
