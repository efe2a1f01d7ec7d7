//! The Nix functions: the arguments that they pass to the command, and what Nix builds with them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use storeboot_tests::command::printed;
use storeboot_tests::debian::{
    demo_packages, demo_system, evaluate, nix, nix_command, repository, static_binaries,
};
use tempfile::TempDir;

/// Returns the arguments of the derivation that a call of `nix/lib.nix` makes.
fn arguments(call: &str) -> Value {
    evaluate(&format!(
        r#"(let lib = import ./nix/lib.nix {{ storeboot = "/stand-in"; system = "aarch64-linux"; }}; in lib.{call}).drvAttrs"#
    ))
}

#[test]
fn a_netboot_derivation_passes_only_the_given_arguments() {
    let mut drv = arguments(
        r#"makeNetboot { kernel = "/linux/bzImage"; init = "/system/init"; roots = [ "/system" ]; }"#,
    );
    drv.as_object_mut()
        .expect("an attribute set")
        .remove("unsafeDiscardReferences");
    assert_eq!(
        drv,
        json!({
            "__structuredAttrs": true,
            "name": "netboot",
            "system": "aarch64-linux",
            "builder": "/stand-in/bin/storeboot",
            "args": ["nix-builder", "--attributes", ".attrs.json"],
            "exportReferencesGraph": { "closure": ["/system"] },
            "storeboot": { "action": "build", "kernel": "/linux/bzImage", "init": "/system/init" },
        })
    );
}

#[test]
fn a_netboot_derivation_passes_every_argument() {
    let drv = arguments(
        r#"makeNetboot {
            name = "n"; kernel = "k"; init = "i"; roots = [ "a" "b" ]; modules = "m"; extraModules = [ "virtio_net" ];
            cmdline = "quiet"; layout = "file"; compression = "zstd:3"; blockSize = 4096; prepend = [ "p" ]; stage1 = "s";
            imgverify = true; verity = true;
        }"#,
    );
    assert_eq!(drv["name"], "n");
    assert_eq!(drv["exportReferencesGraph"]["closure"], json!(["a", "b"]));
    assert_eq!(
        drv["storeboot"],
        json!({
            "action": "build", "kernel": "k", "init": "i", "modules": "m", "extraModules": ["virtio_net"],
            "cmdline": "quiet", "layout": "file", "compression": "zstd:3", "blockSize": 4096, "prepend": ["p"], "stage1": "s",
            "imgverify": true, "verity": true,
        })
    );
}

/// The command takes lists. One URL and one word are lists of one.
#[test]
fn a_netboot_derivation_passes_what_layout_fetch_takes() {
    let of = |more: &str| {
        arguments(&format!(
            r#"makeNetboot {{ kernel = "k"; init = "i"; roots = [ ]; layout = "fetch"; {more} }}"#
        ))["storeboot"]
            .take()
    };
    assert_eq!(
        of(
            r#"storeUrl = "http://one"; keep = "LABEL=store"; networkModules = "common"; diskModules = "all"; firmware = "/f"; stream = false;"#
        ),
        json!({
            "action": "build", "kernel": "k", "init": "i", "layout": "fetch", "storeUrl": ["http://one"],
            "keep": "LABEL=store", "networkModules": ["common"], "diskModules": ["all"], "firmware": "/f",
            "stream": false,
        })
    );
    assert_eq!(
        of(
            r#"storeUrl = [ "http://one" "http://two" ]; networkModules = [ "e1000e" "igb" ]; diskModules = [ ];"#
        ),
        json!({
            "action": "build", "kernel": "k", "init": "i", "layout": "fetch", "storeUrl": ["http://one", "http://two"],
            "networkModules": ["e1000e", "igb"], "diskModules": [],
        })
    );
}

#[test]
fn a_store_image_is_named_for_its_format() {
    let drv = arguments(r#"makeStoreImage { roots = [ "a" ]; }"#);
    assert_eq!(drv["name"], "store.squashfs");
    assert_eq!(
        drv["storeboot"],
        json!({ "action": "pack", "format": "squashfs" })
    );

    let drv = arguments(
        r#"makeStoreImage { roots = [ "a" ]; format = "cpio"; compression = "xz"; blockSize = 8192; }"#,
    );
    assert_eq!(drv["name"], "store.cpio");
    assert_eq!(
        drv["storeboot"],
        json!({ "action": "pack", "format": "cpio", "compression": "xz", "blockSize": 8192 })
    );
}

#[test]
fn references_are_discarded_if_nix_supports_it() {
    for (version, discards) in [
        ("2.8.0", false),
        ("2.15.3", false),
        ("2.16.0", true),
        ("2.34.8", true),
        ("3.0", true),
    ] {
        let set = evaluate(&format!(
            r#"((builtins.scopedImport {{ builtins = builtins // {{ nixVersion = "{version}"; }}; }} ./nix/lib/derive.nix {{
                storeboot = "/s"; system = "x86_64-linux";
            }}).run {{ name = "image"; graphs = {{ }}; }} {{ }}).drvAttrs.unsafeDiscardReferences or null"#
        ));
        assert_eq!(
            set,
            if discards {
                json!({ "out": true })
            } else {
                Value::Null
            },
            "Nix {version}"
        );
    }
}

#[test]
fn default_nix_needs_no_nixpkgs_when_it_has_binaries() {
    let (_folder, binaries) = stand_in();
    let found = evaluate(&format!(
        r#"let all = import ./. {{ binaries = {}; pkgs = throw "nixpkgs was asked for"; }}; in {{
            names = builtins.attrNames all;
            builder = baseNameOf (all.lib.makeStoreImage {{ roots = [ ]; }}).builder;
            holds = builtins.attrNames (builtins.readDir all.storeboot);
        }}"#,
        binaries.display()
    ));
    assert_eq!(
        found,
        json!({
            "names": [
                "apps", "hydra", "lib", "netboot_demo", "netboot_minimal", "nixosModules", "overlays", "storeboot",
                "tests",
            ],
            "builder": "storeboot",
            "holds": ["storeboot", "storeboot-init"],
        })
    );
}

#[test]
fn nixpkgs_is_the_one_that_the_flake_is_locked_to() {
    let fetched = evaluate("builtins.scopedImport { fetchTarball = asked: asked; } ./nix/pin.nix");
    let lock: Value =
        serde_json::from_str(include_str!("../flake.lock")).expect("flake.lock is JSON");
    let locked = &lock["nodes"]["nixpkgs"]["locked"];
    assert_eq!(fetched["sha256"], locked["narHash"]);
    let revision = locked["rev"].as_str().expect("a revision");
    assert!(
        fetched["url"]
            .as_str()
            .is_some_and(|url| url.ends_with(&format!("NixOS/nixpkgs/archive/{revision}.tar.gz")))
    );
}

/// The flake follows a release branch, not master. The lock must name the same branch, or Nix would write a new lock at
/// each use.
#[test]
fn the_flake_follows_a_release_of_nixos() {
    let url = evaluate("(import ./flake.nix).inputs.nixpkgs.url");
    let branch = url
        .as_str()
        .and_then(|url| url.strip_prefix("github:NixOS/nixpkgs/nixos-"))
        .unwrap_or_else(|| panic!("{url} names no release branch of nixpkgs"));
    let (year, month) = branch.split_once('.').expect("a release such as 26.05");
    assert!(
        year.len() == 2 && year.bytes().all(|digit| digit.is_ascii_digit()),
        "{url}"
    );
    assert!(["05", "11"].contains(&month), "{url}");

    let lock: Value =
        serde_json::from_str(include_str!("../flake.lock")).expect("flake.lock is JSON");
    assert_eq!(
        lock["nodes"]["nixpkgs"]["original"],
        json!({ "type": "github", "owner": "NixOS", "repo": "nixpkgs", "ref": format!("nixos-{branch}") })
    );
    assert_eq!(
        lock["nodes"]["root"]["inputs"],
        json!({ "nixpkgs": "nixpkgs" })
    );
}

#[test]
fn the_builder_gets_the_closure_and_the_attributes() {
    let (folder, binaries) = stand_in();
    let link = folder.path().join("result");
    let expression = format!(
        r#"let
            library = builtins.toFile "library" "nothing in it";
            program = builtins.toFile "program" "needs ${{library}}";
            kernel = builtins.toFile "kernel" "is not in the closure";
        in (import ./. {{ binaries = {}; }}).lib.makeNetboot {{
            inherit kernel; init = "${{program}}/init"; roots = [ program ]; extraModules = [ "virtio_net" ];
        }}"#,
        binaries.display()
    );
    nix(
        "nix-build",
        ["--expr", &expression, "--out-link", text(&link)],
    );
    let attributes: Value =
        serde_json::from_slice(&fs::read(&link).expect("what the stand-in copied")).expect("JSON");

    let closure = attributes["closure"]
        .as_array()
        .expect("a list of store paths");
    let named = |name: &str| {
        closure.iter().find(|info| {
            info["path"]
                .as_str()
                .is_some_and(|path| path.ends_with(name))
        })
    };
    assert_eq!(closure.len(), 2, "{closure:?}");
    let (library, program) = (
        named("-library").expect("the library"),
        named("-program").expect("the program"),
    );
    assert_eq!(program["references"], json!([library["path"]]));
    assert!(
        program["narHash"]
            .as_str()
            .is_some_and(|hash| hash.starts_with("sha256"))
    );
    assert!(program["narSize"].as_u64().is_some_and(|size| size > 0));

    assert_eq!(
        attributes["storeboot"]["init"],
        format!("{}/init", program["path"].as_str().expect("a path"))
    );
    assert_eq!(
        attributes["storeboot"]["extraModules"],
        json!(["virtio_net"])
    );
    let kernel = attributes["storeboot"]["kernel"].as_str().expect("a path");
    assert!(
        Path::new(kernel).exists(),
        "the kernel is one of the build's inputs"
    );
    assert_eq!(
        attributes["outputs"]["out"],
        text(&fs::read_link(&link).expect("a link"))
    );
}

#[test]
fn the_demo_is_a_netboot_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("result");
    nix(
        "nix-build",
        [
            "--attr",
            "netboot_demo",
            "--arg",
            "debs",
            text(&demo_packages()),
            "--arg",
            "binaries",
            text(&static_binaries()),
            "--out-link",
            text(&link),
        ],
    );
    for file in [
        "bzImage",
        "initrd",
        "kernelAppend",
        "netboot.ipxe",
        "kexec-boot",
        "manifest.json",
    ] {
        let metadata =
            fs::metadata(link.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(metadata.len() > 0, "{file} is empty");
    }
    let system = demo_system();
    let append = fs::read_to_string(link.join("kernelAppend")).expect("a command line");
    assert!(
        append
            .split_whitespace()
            .any(|word| word == format!("init={}/init", text(&system))),
        "{append}"
    );
    assert!(append.contains("console=ttyS0"), "{append}");
    let kernel = fs::read(system.join("kernel")).expect("the system's kernel");
    assert!(
        fs::read(link.join("bzImage")).expect("the kernel") == kernel,
        "bzImage is another kernel"
    );
}

#[test]
fn two_builds_give_the_same_bytes() {
    let system = demo_system();
    let expression = format!(
        r#"let
            system = builtins.storePath {};
            lib = (import ./. {{ binaries = {}; }}).lib;
            compression = "zstd:1";
        in {{
            netboot = lib.makeNetboot {{
                kernel = "${{system}}/kernel"; modules = "${{system}}/kernel-modules"; init = "${{system}}/init"; roots = [ system ];
                inherit compression;
            }};
            squashfs = lib.makeStoreImage {{ roots = [ system ]; inherit compression; }};
            cpio = lib.makeStoreImage {{ roots = [ system ]; inherit compression; format = "cpio"; }};
        }}"#,
        system.display(),
        static_binaries().display()
    );
    nix("nix-build", ["--no-out-link", "--expr", &expression]);
    let again = nix_command("nix-build")
        .args([
            "--no-out-link",
            "--check",
            "--option",
            "cores",
            "1",
            "--expr",
            &expression,
        ])
        .output()
        .expect("nix-build runs");
    assert!(
        again.status.success(),
        "{}",
        String::from_utf8_lossy(&again.stderr)
    );
}

/// In layout `fetch` the images are files of the output, under names that later builds share.
#[test]
fn the_files_of_layout_fetch_are_those_of_the_command() {
    let system = demo_system();
    let binaries = static_binaries();
    let folder = tempfile::tempdir().expect("a folder");
    let (built, made) = (folder.path().join("built"), folder.path().join("made"));
    let expression = format!(
        r#"let
            system = builtins.storePath {};
        in (import ./. {{ binaries = {}; }}).lib.makeNetboot {{
            kernel = "${{system}}/kernel"; modules = "${{system}}/kernel-modules"; init = "${{system}}/init"; roots = [ system ];
            layout = "fetch"; compression = "zstd:1"; storeUrl = [ "http://10.0.2.2/demo" "http://10.0.2.3" ];
            keep = "LABEL=store"; networkModules = [ "virtio_net" ]; diskModules = "common"; firmware = ./nix;
        }}"#,
        system.display(),
        binaries.display()
    );
    nix(
        "nix-build",
        ["--expr", &expression, "--out-link", text(&built)],
    );
    let mut command = Command::new(binaries.join("storeboot"));
    command.args(["--quiet", "build", "--layout", "fetch", "--root"]);
    command.arg(&system);
    for (option, name) in [
        ("--kernel", "kernel"),
        ("--modules", "kernel-modules"),
        ("--init", "init"),
    ] {
        command.arg(option).arg(system.join(name));
    }
    command.args(["--compression", "zstd:1", "--keep", "LABEL=store"]);
    command.args(["--store-url", "http://10.0.2.2/demo,http://10.0.2.3"]);
    command.args([
        "--network-modules",
        "virtio_net",
        "--disk-modules",
        "common",
    ]);
    command.arg("--firmware").arg(repository().join("nix"));
    printed(command.arg("--output").arg(&made));

    let files = files_below(&built);
    assert_eq!(files, files_below(&made));
    for file in &files {
        let read = |folder: &Path| fs::read(folder.join(file)).expect("a file");
        assert!(read(&built) == read(&made), "{file} differs");
    }
    printed(Command::new(binaries.join("storeboot")).args(["--quiet", "verify", text(&built)]));

    let manifest = fs::read(built.join("manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let images = manifest["images"].as_array().expect("a list");
    assert_eq!(images.len(), 1);
    let sha256 = images[0]["sha256"].as_str().expect("a hash");
    let image = format!("images/{sha256}.squashfs");
    assert!(files.contains(&image), "{files:?} without {image}");
    let append = fs::read_to_string(built.join("kernelAppend")).expect("a command line");
    for word in [
        "storeboot.store=http://10.0.2.2/demo,http://10.0.2.3",
        "storeboot.keep=LABEL=store",
    ] {
        assert!(
            append.split_whitespace().any(|given| given == word),
            "{append}"
        );
    }
    // Older versions of Nix find some in the image, whose small files may not be compressed.
    if evaluate(r#"builtins.compareVersions builtins.nixVersion "2.16" >= 0"#) == true {
        let references = nix("nix-store", ["--query", "--references", text(&built)]);
        assert_eq!(references, "");
    }
}

/// The names of all files below a folder, with the folders that they are in.
fn files_below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("it is below");
                found.insert(text(name).to_owned());
            }
        }
    }
    found
}

#[test]
fn an_empty_sandbox_is_enough() {
    let folder = demo_packages();
    let expression = |attribute: &str| {
        format!(
            r#"let
                debian = import ./nix/debian {{ debs = {}; }};
                lib = (import ./. {{ binaries = {}; }}).lib;
                busybox = debian.packages.busybox-static;
            in {{
                probe = debian.run {{
                    name = "probe"; script = builtins.toFile "probe.sh" "echo >$out"; now = builtins.currentTime;
                }};
                outputs = [
                    (lib.makeStoreImage {{ roots = [ busybox ]; }})
                    (lib.makeInitrd {{ contents = [ {{ source = busybox; target = "/busybox"; }} ]; }})
                ] ++ lib.makeLayers {{ layers = [ [ (builtins.toFile "below" "below") ] [ busybox ] ]; }};
            }}.{attribute}"#,
            folder.display(),
            static_binaries().display()
        )
    };
    let build = |attribute: &str| {
        nix_command("nix-build")
            .args(["--no-out-link", "--option", "sandbox", "true"])
            .args(["--option", "sandbox-fallback", "false"])
            .args(["--expr", &expression(attribute)])
            .output()
            .expect("nix-build runs")
    };
    // Some machines, above all containers, cannot make a sandbox. The booted demo builds in a sandbox in any case.
    if build("probe").status.success() {
        let outputs = build("outputs");
        assert!(
            outputs.status.success(),
            "{}",
            String::from_utf8_lossy(&outputs.stderr)
        );
    }
}

/// Makes a folder of binaries whose `storeboot` copies its attributes to its output. It uses only built-ins of the
/// shell, since a sandbox may have no other programs.
fn stand_in() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let binaries = folder.path().join("binaries");
    fs::create_dir(&binaries).expect("a folder");
    let script = r#"#!/bin/sh
set -eu
read -r attributes < .attrs.json || [ -n "$attributes" ]
out=${attributes#*'"outputs":{"out":"'}
printf '%s\n' "$attributes" > "${out%%'"'*}"
"#;
    for (name, content) in [
        ("storeboot", script),
        ("storeboot-init", ""),
        ("unrelated", ""),
    ] {
        let path = binaries.join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    (folder, binaries)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}
