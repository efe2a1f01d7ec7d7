//! The Nix functions: the arguments that they pass to the command, and what Nix builds with them.

#[path = "nix/builds.rs"]
mod builds;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use storeboot_tests::debian::{evaluate, nix};
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
