//! Layers as derivations that real Nix builds.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use storeboot_tests::command::{have, names, printed};
use storeboot_tests::debian::{demo_system, evaluate, nix, nix_command, static_binaries};
use storeboot_tests::qemu::{LIMIT, Machine, QUIET};

/// The number of checks in the demo's stage 2.
const CHECKS: &str = "storeboot-demo: 8 checks passed, 0 failed";

/// The derivations of the layers, and of the netboot directory, for these contents of their roots.
fn derivations(kernel: &str, base: &str, top: &str, more: &str) -> Value {
    evaluate(&format!(
        r#"let
            lib = import ./nix/lib {{ storeboot = "/stand-in"; system = "x86_64-linux"; }};
            kernel = builtins.toFile "kernel" "{kernel}";
            base = builtins.toFile "base" "{base} ${{kernel}}";
            top = builtins.toFile "top" "{top} ${{base}}";
            layers = [ [ kernel ] [ base ] ];
            image = lib.makeNetboot {{ kernel = "k"; init = "i"; roots = [ top ]; inherit layers; {more} }};
        in {{
            layers = map (layer: layer.drvPath) image.layers;
            taken = image.drvAttrs.storeboot.layers;
            image = image.drvPath;
        }}"#
    ))
}

#[test]
fn a_layer_knows_its_roots_and_those_below_and_nothing_else() {
    let first = derivations("6.12", "glibc", "system", "");
    let layers = |found: &Value| (found["layers"][0].clone(), found["layers"][1].clone());

    let top = derivations("6.12", "glibc", "another system", "");
    assert_eq!(top["layers"], first["layers"]);
    assert_eq!(top["taken"], first["taken"]);
    assert_ne!(top["image"], first["image"]);

    let named = derivations(
        "6.12",
        "glibc",
        "system",
        r#"name = "n"; cmdline = "quiet"; layout = "file";"#,
    );
    assert_eq!(named["taken"], first["taken"]);

    let base = derivations("6.12", "musl", "system", "");
    assert_eq!(layers(&base).0, layers(&first).0);
    assert_ne!(layers(&base).1, layers(&first).1);

    let kernel = derivations("6.18", "glibc", "system", "");
    assert_ne!(layers(&kernel).0, layers(&first).0);
    assert_ne!(layers(&kernel).1, layers(&first).1);
}

#[test]
fn a_layers_derivation_has_the_arguments_of_the_layer() {
    let found = evaluate(
        r#"let lib = import ./nix/lib { storeboot = "/stand-in"; system = "x86_64-linux"; }; in
            map (layer: { inherit (layer.drvAttrs) name storeboot exportReferencesGraph; })
                (lib.makeLayers { layers = [ [ "/a" "/b" ] [ "/c" ] ]; compression = "zstd:3"; imageLimit = 4194304; verity = true; })"#,
    );
    let attributes = json!({ "action": "layer", "compression": "zstd:3", "imageLimit": 4_194_304, "verity": true });
    assert_eq!(
        found,
        json!([
            { "name": "store-layer", "storeboot": attributes, "exportReferencesGraph": { "closure": ["/a", "/b"] } },
            { "name": "store-layer", "storeboot": attributes, "exportReferencesGraph": { "closure": ["/c"], "below": ["/a", "/b"] } },
        ])
    );
}

#[test]
fn layout_direct_is_refused_before_anything_is_built() {
    let found = evaluate(
        r#"let lib = import ./nix/lib { storeboot = "/stand-in"; }; in
            map (layers: (builtins.tryEval (lib.makeNetboot {
                kernel = "k"; init = "i"; roots = [ ]; layout = "direct"; inherit layers;
            }).drvAttrs).success) [ [ ] [ [ "/a" ] ] ]"#,
    );
    assert_eq!(found, json!([true, false]));
}

#[test]
fn nixos_gets_layers_from_the_links_of_its_toplevel() {
    let layers = |config: &str| {
        evaluate(&format!(
            r#"(import ./nix/lib {{ storeboot = "/stand-in"; }}).nixosLayers ({{
                boot.kernel.enable = true;
                hardware.firmware = "firmware";
                nix = {{ enable = true; package = "nix"; }};
                systemd.package = "systemd";
                system = {{ path = "path"; modulesTree = "modules"; build.kernel = "kernel"; }} // ({config}).system or {{ }};
            }} // builtins.removeAttrs ({config}) [ "system" ])"#
        ))
    };
    assert_eq!(
        layers("{ }"),
        json!([
            ["kernel", "modules", "firmware"],
            ["systemd", "nix"],
            ["path"]
        ])
    );
    assert_eq!(
        layers("{ boot.kernel.enable = false; nix.enable = false; }"),
        json!([["systemd"], ["path"]])
    );
    // With replaced dependencies, the toplevel links to copies.
    assert_eq!(
        layers("{ system.replaceDependencies.replacements = [ 1 ]; }"),
        json!([])
    );
}

/// The layer of one text, which Nix builds, or finds, by these arguments.
fn nix_build_layer(text: &str, arguments: &[&str]) -> Command {
    let expression = format!(
        r#"(import ./. {{ binaries = {}; }}).lib.makeLayers {{
            layers = [ [ (builtins.toFile "text" "{text}") ] ];
            compression = "zstd:1";
        }}"#,
        static_binaries().display()
    );
    let mut command = nix_command("nix-build");
    command.args(["--no-out-link", "--expr", &expression]);
    command.args(arguments);
    command
}

#[test]
fn a_layer_that_did_not_change_is_fetched_from_a_binary_cache() {
    if !have(&["nix-build"]) {
        return;
    }
    let text = "what does not change";
    let built = |arguments: &[&str]| {
        let printed = printed(&mut nix_build_layer(text, arguments));
        String::from_utf8(printed).expect("text").trim().to_owned()
    };
    let layer = built(&[]);
    let folder = tempfile::tempdir().expect("a folder");
    let cache = format!("file://{}", folder.path().join("cache").display());
    let features = ["--extra-experimental-features", "nix-command"];
    nix(
        "nix",
        [&features[..], &["copy", "--to", &cache, &layer]].concat(),
    );

    // An empty store, on a machine that may not build.
    let other = folder.path().join("other");
    let elsewhere = [
        "--store",
        other.to_str().expect("text"),
        "--max-jobs",
        "0",
        "--option",
        "substituters",
        &cache,
        "--option",
        "require-sigs",
        "false",
    ];
    assert_eq!(built(&elsewhere), layer);
    let there = other.join(layer.trim_start_matches('/'));
    for name in names(Path::new(&layer)) {
        let content = |folder: &Path| fs::read(folder.join(&name)).expect("a file");
        assert!(content(&there) == content(Path::new(&layer)), "{name:?}");
    }
    let changed = nix_build_layer("what is not in the cache", &elsewhere).output();
    assert!(!changed.expect("it runs").status.success());
}

/// A path of the demo's closure, by the package's name.
fn path_of<'a>(closure: &'a [&str], package: &str) -> &'a str {
    let found = closure.iter().find(|path| path.contains(package));
    found.unwrap_or_else(|| panic!("no {package} among {closure:?}"))
}

#[test]
fn a_system_with_layers_that_nix_built_boots() {
    if !have(&["qemu-system-x86_64", "nix-build"]) {
        return;
    }
    let system = demo_system();
    let system = system.to_str().expect("text");
    let closure = nix("nix-store", ["--query", "--requisites", system]);
    let closure: Vec<&str> = closure.lines().collect();
    let (kernel, base) = (
        path_of(&closure, "-linux-image-"),
        path_of(&closure, "-nix-bin-"),
    );
    let folder = tempfile::tempdir().expect("a folder");
    let build = |name: &str, extra: &str| {
        let expression = format!(
            r#"let
                lib = (import ./. {{ binaries = {}; }}).lib;
                system = builtins.storePath {system};
                extra = builtins.toFile "extra" "{extra}";
                layers = [ [ (builtins.storePath {kernel}) ] [ (builtins.storePath {base}) ] ];
                compression = "zstd:1";
            in {{
                netboot = lib.makeNetboot {{
                    kernel = "${{system}}/kernel"; modules = "${{system}}/kernel-modules"; init = "${{system}}/init";
                    roots = [ system extra ];
                    cmdline = "console=ttyS0 panic=-1 {QUIET}";
                    inherit layers compression;
                }};
                layers = lib.makeLayers {{ inherit layers compression; }};
            }}"#,
            static_binaries().display()
        );
        let out = folder.path().join(name);
        let link = out.to_str().expect("text");
        nix(
            "nix-build",
            [
                "--expr",
                &expression,
                "--attr",
                "netboot",
                "--out-link",
                link,
            ],
        );
        let layers = nix(
            "nix-build",
            ["--expr", &expression, "--attr", "layers", "--no-out-link"],
        );
        let layers: Vec<String> = layers.lines().map(Into::into).collect();
        (out, layers)
    };
    let images = |netboot: &Path| {
        let text = fs::read(netboot.join("manifest.json")).expect("there");
        let manifest: Value = serde_json::from_slice(&text).expect("JSON");
        let images = manifest["images"].as_array().expect("a list").clone();
        let hashes = images.iter().map(|image| image["sha256"].clone());
        hashes.collect::<Vec<_>>()
    };
    let (netboot, layers) = build("one", "one");
    let (other, same) = build("other", "another");
    assert_eq!(layers, same, "the layers were built again");
    // Nix discards references from 2.16 on. Older versions find none in the text, but may find some in an image.
    for layer in &layers {
        let text = fs::read_to_string(Path::new(layer).join("layer.json")).expect("there");
        for path in &closure {
            let hash = &path["/nix/store/".len()..][..32];
            assert!(!text.contains(hash), "{layer} names {path}");
        }
    }
    let (one, two) = (images(&netboot), images(&other));
    assert_eq!(one.len(), 3);
    assert_eq!(one[1..], two[1..], "the layers' images");
    assert_ne!(one[0], two[0], "the image on top");
    for output in [&netboot, &other] {
        storeboot::verify(output, &storeboot::Context::new()).expect("as registered");
    }

    let append = fs::read_to_string(netboot.join("kernelAppend")).expect("there");
    let boot = Machine::new()
        .kernel(netboot.join("bzImage"))
        .initrd(netboot.join("initrd"))
        .append(append.trim())
        .memory_mib(1024)
        .boot(LIMIT);
    assert!(boot.powered_off(), "{boot}");
    assert!(boot.console.contains(CHECKS), "{boot}");
}
