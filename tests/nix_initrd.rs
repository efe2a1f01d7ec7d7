//! `makeInitrd`, `makeStoreImage` and the replacements of nixpkgs' builders: the arguments that they pass to the
//! command, the arguments that they refuse, and what real Nix builds with them.

#[path = "nix_initrd/built.rs"]
mod built;
#[path = "nix_initrd/needed.rs"]
mod needed;

use serde_json::{Value, json};
use storeboot_tests::debian::{evaluate, nix_command};

/// Returns the value of an expression that uses our functions as `lib`.
fn with_lib(expression: &str) -> Value {
    evaluate(&format!(
        r#"let lib = import ./nix/lib {{ storeboot = "/stand-in"; system = "x86_64-linux"; }}; in {expression}"#
    ))
}

/// Returns Nix's message for an expression that it cannot evaluate.
fn refused(expression: &str) -> String {
    let output = nix_command("nix-instantiate")
        .args(["--eval", "--strict", "--json", "--expr"])
        .arg(format!(
            r#"let lib = import ./nix/lib {{ storeboot = "/stand-in"; system = "x86_64-linux"; }}; in ({expression}).drvAttrs"#
        ))
        .output()
        .expect("nix-instantiate runs");
    assert!(!output.status.success(), "{expression}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn contents_are_taken_in_nixpkgs_words_of_all_times() {
    let found = with_lib(
        r#"let
            a = builtins.toFile "a" "a";
            b = builtins.toFile "b" "b";
            drv = (lib.makeInitrd {
                name = "initrd-linux";
                contents = [
                    { source = "${a}/bin/init"; target = "/init"; dlopen = null; }
                    { source = a; target = "/a"; dlopen = { usePriority = "recommended"; features = [ "x" ]; }; }
                    { source = b; enable = true; }
                    { source = "/etc/hosts"; target = "/etc/hosts"; enable = false; }
                    { object = b; symlink = "/b"; suffix = "/lib"; }
                    { object = a; symlink = null; }
                ];
                prepend = [ "${b}" ];
                compressor = "zstd"; compressorArgs = [ "-19" "-T0" ]; extension = ".zstd"; strip = true;
            }).drvAttrs;
        in { inherit a b; inherit (drv) name storeboot exportReferencesGraph; }"#,
    );
    let (a, b) = (
        found["a"].as_str().expect("text"),
        found["b"].as_str().expect("text"),
    );
    assert_eq!(found["name"], "initrd-linux");
    assert_eq!(
        found["exportReferencesGraph"],
        json!({ "closure": [a, a, b, b, a] })
    );
    assert_eq!(
        found["storeboot"],
        json!({
            "action": "initrd",
            "contents": [
                { "source": format!("{a}/bin/init"), "target": "/init" },
                { "source": a, "target": "/a", "dlopen": { "usePriority": "recommended", "features": ["x"] } },
                { "source": b },
                { "source": format!("{b}/lib"), "target": "/b" },
                { "source": a },
            ],
            "wholeClosure": true,
            "prepend": [b],
            "compression": "zstd:19",
            "extension": ".zstd",
        })
    );
}

#[test]
fn compressors_are_taken_in_nixpkgs_words() {
    let compression = |compressor: &str, arguments: &str| {
        with_lib(&format!(
            r#"let found = (lib.makeInitrd {{ contents = [ ]; compressor = {compressor}; compressorArgs = {arguments}; }}).drvAttrs.storeboot;
            in "${{found.compression}} ${{found.extension}}""#
        ))
    };
    for (compressor, arguments, expected) in [
        (r#""gzip""#, "null", "gzip:9 .gz"),
        (r#""gzip""#, r#"[ "-9n" ]"#, "gzip:9 .gz"),
        (r#""pigz""#, r#"[ "-n" "--fast" ]"#, "gzip:1 .gz"),
        (r#""zstd""#, "null", "zstd:10 .zst"),
        (r#""zstd""#, r#"[ "--ultra" "-22" "-T4" ]"#, "zstd:22 .zst"),
        (
            r#""/nix/store/x-zstd/bin/zstd""#,
            r#"[ "-3" ]"#,
            "zstd:3 .zst",
        ),
        (r#""zstd -7""#, "null", "zstd:7 .zst"),
        (r#""xz""#, r#"[ "--check=crc32" "-0" ]"#, "xz:0 .xz"),
        (r#""lz4""#, r#"[ "-l" ]"#, "lz4:1 .lz4"),
        (r#""lz4""#, r#"[ "-l" "-9" ]"#, "lz4:9 .lz4"),
        (r#""cat""#, "null", "none .cpio"),
    ] {
        assert_eq!(compression(compressor, arguments), expected, "{compressor}");
    }
}

#[test]
fn an_unsupported_argument_is_refused_with_a_message() {
    for (arguments, sentence) in [
        (
            r#"compressor = "bzip2";"#,
            "does not compress by bzip2; it knows cat gzip lz4",
        ),
        (r#"compressor = pkgs: "zstd";"#, "is to be a name"),
        (
            r#"compressorArgs = [ "--rsyncable" ];"#,
            "the argument --rsyncable of gzip cannot be honoured",
        ),
        (
            r#"compressor = "zstd"; compressorArgs = [ "--long=27" ];"#,
            "--long=27 of zstd cannot be honoured",
        ),
        (
            r#"compressor = "zstd"; compressorArgs = [ "-23" ];"#,
            "-23 of zstd cannot be honoured",
        ),
        (
            r#"compressor = "zstd"; compressorArgs = [ "-0" ];"#,
            "zstd has no level 0",
        ),
        (
            r#"compressor = "cat"; compressorArgs = [ "-1" ];"#,
            "-1 of cat cannot be honoured",
        ),
        ("makeUInitrd = true;", "run mkimage on the result"),
    ] {
        let said = refused(&format!("lib.makeInitrd {{ contents = [ ]; {arguments} }}"));
        assert!(said.contains(sentence), "no {sentence:?} in {said}");
    }
    let said = refused(
        r#"lib.makeInitrd { contents = [ { source = "/etc/hosts"; target = "/etc/hosts"; } ]; }"#,
    );
    assert!(said.contains("/etc/hosts is not in the store"), "{said}");

    for (arguments, sentence) in [
        (r#"comp = "lzo";"#, "cannot compress as `lzo` says"),
        (
            r#"comp = "xz -Xbcj x86";"#,
            "cannot compress as `xz -Xbcj x86` says",
        ),
        (
            r#"comp = "zstd"; compression = "zstd:3";"#,
            "give one of them",
        ),
        (
            r#"pseudoFiles = [ "/dev d 755 0 0" ];"#,
            "pseudoFiles cannot be honoured",
        ),
        ("noStrip = true;", "noStrip cannot be honoured"),
    ] {
        let said = refused(&format!(
            "lib.makeStoreImage {{ storeContents = [ ]; {arguments} }}"
        ));
        assert!(said.contains(sentence), "no {sentence:?} in {said}");
    }
}

#[test]
fn a_store_image_is_asked_for_as_make_squashfs_is() {
    let found = with_lib(
        r#"map (arguments: let drv = (lib.makeStoreImage ({ storeContents = [ "/a" ]; } // arguments)).drvAttrs; in {
            inherit (drv) name storeboot;
        }) [
            { comp = "zstd -Xcompression-level 6"; }
            { comp = "xz -Xdict-size 100%"; fileName = "nixos"; }
            { comp = null; }
            { fileName = "nixos"; hydraBuildProduct = true; }
        ]"#,
    );
    let pack = |more: Value| {
        let mut attributes = json!({ "action": "pack", "format": "squashfs" });
        let more = more.as_object().expect("a set").clone();
        attributes.as_object_mut().expect("a set").extend(more);
        attributes
    };
    assert_eq!(
        found,
        json!([
            { "name": "store.squashfs", "storeboot": pack(json!({ "compression": "zstd:6" })) },
            { "name": "nixos.img", "storeboot": pack(json!({ "compression": "xz:6" })) },
            { "name": "store.squashfs", "storeboot": pack(json!({ "compression": "none" })) },
            { "name": "nixos", "storeboot": pack(json!({ "product": "nixos.squashfs" })) },
        ])
    );
}

#[test]
fn the_replacements_have_the_attributes_that_nixpkgs_modules_use() {
    let found = with_lib(
        r#"let
            pkgs = { zstd = "/zstd"; gzip = "/gzip"; stdenv.hostPlatform = { }; };
            faces = lib.withPkgs pkgs;
            show = drv: {
                inherit (drv.drvAttrs.storeboot) compression wholeClosure;
                program = drv.compressorExecutableFunction pkgs;
                arguments = drv.compressorArgs;
            };
        in {
            names = builtins.attrNames faces;
            default = show (faces.makeInitrd { contents = [ ]; });
            named = show (faces.makeInitrdNG { contents = [ ]; compressor = "zstd"; compressorArgs = [ "-5" ]; });
            function = show (faces.makeInitrdNG { contents = [ ]; compressor = pkgs: "${pkgs.zstd}/bin/zstd"; });
        }"#,
    );
    assert_eq!(
        found,
        json!({
            "names": ["makeInitrd", "makeInitrdNG", "makeSquashfs"],
            "default": { "wholeClosure": true, "compression": "gzip:9", "program": "/gzip/bin/gzip", "arguments": ["-9n"] },
            "named": { "wholeClosure": false, "compression": "zstd:5", "program": "/zstd/bin/zstd", "arguments": ["-5"] },
            "function": { "wholeClosure": false, "compression": "zstd:10", "program": "/zstd/bin/zstd", "arguments": ["-10"] },
        })
    );
}
