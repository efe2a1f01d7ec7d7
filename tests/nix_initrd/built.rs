//! Initrds and images that real Nix builds.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot::compress::{Codec, SegmentReader};
use storeboot_cpio::{Metadata, Reader, Writer};
use storeboot_tests::command::{have, printed};
use storeboot_tests::debian::{demo_packages, demo_system, nix, nix_command, static_binaries};
use storeboot_tests::qemu::{LIMIT, Machine, QUIET};

/// An archive with one file, to be prepended.
fn prepended(folder: &Path) -> PathBuf {
    let mut archive = Writer::new(Vec::new());
    let text = b"yes";
    archive
        .file("prepended", &Metadata::file(), text.len() as u64, &text[..])
        .expect("written");
    let path = folder.join("prepended.cpio");
    fs::write(&path, archive.finish().expect("whole")).expect("written");
    path
}

/// Builds an attribute of a set of initrds and images of a small closure.
fn build(folder: &Path, attribute: &str) -> PathBuf {
    let expression = format!(
        r#"let
            debian = import ./nix/debian {{ debs = {debs}; }};
            lib = (import ./. {{ binaries = {binaries}; }}).lib;
            note = builtins.toFile "note" "a note";
            init = debian.run {{
                name = "init";
                script = ./tests/nix_initrd/init.sh;
                package = debian.packages.busybox-static;
            }};
            initrd = compressor: prepend: lib.makeInitrd {{
                contents = [
                    {{ source = "${{init}}/init"; target = "/init"; }}
                    {{ source = note; target = "/etc/note"; }}
                ];
                inherit compressor prepend;
            }};
        in {{
            gzip = initrd "gzip" [ ];
            xz = initrd "xz" [ ];
            zstd = initrd "zstd" [ ];
            lz4 = initrd "lz4" [ ];
            cat = initrd "cat" [ ];
            boots = initrd "zstd" [ {prepended} ];
            needed = lib.makeInitrd {{
                contents = [
                    {{
                        source = "${{init}}/init";
                        target = "/init";
                        dlopen = {{ usePriority = "recommended"; features = [ "some" ]; }};
                    }}
                ];
                wholeClosure = false;
                compressor = "cat";
            }};
            empty = lib.makeInitrd {{ contents = [ ]; compressor = "cat"; }};
            missing = lib.makeInitrd {{ contents = [ {{ source = "${{init}}/no-such-file"; target = "/init"; }} ]; }};
            twice = lib.makeInitrd {{
                contents = map (source: {{ inherit source; target = "/init"; }}) [ init note ];
            }};
            product = lib.makeStoreImage {{
                storeContents = [ init ]; comp = "zstd -Xcompression-level 1"; fileName = "nixos"; hydraBuildProduct = true;
            }};
        }}.{attribute}"#,
        debs = demo_packages().display(),
        binaries = static_binaries().display(),
        prepended = prepended(folder).display(),
    );
    let output = nix_command("nix-build")
        .args(["--no-out-link", "--expr", &expression])
        .output()
        .expect("nix-build runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{attribute}: {said}");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// Names in an archive, by GNU cpio.
fn listed(archive: &Path) -> Vec<String> {
    let mut cpio = Command::new("cpio");
    cpio.args(["--quiet", "-t", "-F"]).arg(archive);
    String::from_utf8(printed(&mut cpio))
        .expect("names that are text")
        .lines()
        .map(Into::into)
        .collect()
}

/// Everything below a store path, from the root on.
fn names_below(path: &Path, names: &mut BTreeSet<String>) {
    names.insert(path.to_str().expect("text").trim_start_matches('/').into());
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("readable") {
            names_below(&entry.expect("readable").path(), names);
        }
    }
}

/// What every initrd has, in the order of the archive.
const USUAL: [&str; 8] = [
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    "var",
    "var/empty",
    "var/run",
];

#[test]
fn an_initrd_holds_the_closure_and_the_links_with_every_compressor() {
    if !have(&["nix-build", "cpio", "gzip", "xz", "zstd"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let plain = build(folder.path(), "cat");
    assert_eq!(
        fs::read_link(plain.join("initrd.cpio")).expect("a link"),
        Path::new("initrd")
    );
    let archive = plain.join("initrd");
    let names = listed(&archive);

    let others = ["etc", "etc/note", "init", "nix", "nix/store"];
    let all = USUAL.into_iter().chain(others);
    let mut expected: BTreeSet<String> = all.map(Into::into).collect();
    let init = names
        .iter()
        .find_map(|name| name.strip_suffix("-init/init"))
        .expect("the init");
    let closure = nix(
        "nix-store",
        ["--query", "--requisites", &format!("/{init}-init")],
    );
    let note = names
        .iter()
        .find(|name| name.ends_with("-note") && name.starts_with("nix/"));
    for path in closure
        .lines()
        .chain([format!("/{}", note.expect("the note")).as_str()])
    {
        names_below(Path::new(path), &mut expected);
    }
    assert!(closure.lines().count() > 1, "more than the init itself");
    assert_eq!(names.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(names.len(), expected.len(), "a name is there twice");

    // Also read it with our own reader, which checks the targets of links, too.
    let mut reader = Reader::new(File::open(&archive).expect("there"));
    let mut links = Vec::new();
    while let Some(mut entry) = reader.next_entry().expect("sound") {
        let name = String::from_utf8_lossy(entry.name()).into_owned();
        if ["init", "etc/note"].contains(&name.as_str()) {
            let mut target = String::new();
            entry.read_to_string(&mut target).expect("text");
            links.push((name, target));
        }
    }
    let target = |name: &str| format!("/{name}");
    assert_eq!(
        links,
        [
            ("etc/note".into(), target(note.expect("the note"))),
            ("init".into(), target(&format!("{init}-init/init"))),
        ]
    );

    let bytes = fs::read(&archive).expect("there");
    for (compressor, extension) in [
        ("gzip", "gz"),
        ("xz", "xz"),
        ("zstd", "zst"),
        ("lz4", "lz4"),
    ] {
        let packed = build(folder.path(), compressor).join(format!("initrd.{extension}"));
        let unpacked = match compressor {
            "lz4" => {
                let mut all = Vec::new();
                let file = File::open(&packed).expect("there");
                SegmentReader::new(std::io::BufReader::new(file), Codec::Lz4)
                    .expect("lz4")
                    .read_to_end(&mut all)
                    .expect("sound");
                all
            }
            _ => {
                let mut command = Command::new(compressor);
                // gzip needs --force, since the file that Nix built has several links.
                command.args(["-dc", "--force"]).arg(&packed);
                printed(&mut command)
            }
        };
        assert!(unpacked == bytes, "{compressor}: another archive");
    }
}

/// As `makeInitrdNG` does: a script's text names busybox, and a script loads no libraries.
#[test]
fn an_initrd_may_hold_what_is_needed_and_not_the_closure() {
    if !have(&["nix-build", "cpio"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let names = listed(&build(folder.path(), "needed").join("initrd"));
    let (usual, store): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(String::as_str)
        .partition(|name| !name.starts_with("nix/store/"));
    assert_eq!(usual, [&USUAL[..], &["init", "nix", "nix/store"]].concat());
    let [path, init] = store[..] else {
        panic!("{store:?}")
    };
    assert!(path.ends_with("-init"), "{path}");
    assert_eq!(init, format!("{path}/init"));
}

#[test]
fn an_initrd_that_nix_built_is_started_by_the_kernel() {
    if !have(&["nix-build", "qemu-system-x86_64"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let initrd = build(folder.path(), "boots").join("initrd");
    let boot = Machine::new()
        .kernel(demo_system().join("kernel"))
        .initrd(initrd)
        .append(QUIET)
        .boot(LIMIT);
    assert!(boot.powered_off(), "{boot}");
    for said in [
        "INITRD started as /init",
        "INITRD note: a note",
        "INITRD prepended: yes",
    ] {
        assert!(boot.console.contains(said), "no {said:?} in {boot}");
    }
    let folders = boot
        .lines_with("INITRD folders: ")
        .next()
        .unwrap_or_else(|| panic!("{boot}"));
    for folder in ["dev", "etc", "nix", "proc", "run", "sys", "tmp", "var"] {
        assert!(
            folders.split_whitespace().any(|name| name == folder),
            "{boot}"
        );
    }
}

#[test]
fn an_initrd_may_be_empty_and_its_contents_must_exist() {
    if !have(&["nix-build", "cpio"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let empty = build(folder.path(), "empty").join("initrd");
    assert_eq!(listed(&empty), USUAL);
    for (attribute, sentence) in [
        ("missing", "no-such-file: No such file or directory"),
        (
            "twice",
            "the initrd cannot hold /init: it is to be a link to",
        ),
    ] {
        let attempt = std::panic::catch_unwind(|| build(folder.path(), attribute));
        let said = attempt.expect_err("it fails");
        let said = said.downcast_ref::<String>().expect("a message");
        assert!(said.contains(sentence), "no {sentence:?} in {said}");
    }
}

#[test]
fn a_hydra_finds_the_image_of_a_build() {
    if !have(&["nix-build"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = build(folder.path(), "product");
    let image = output.join("nixos.squashfs");
    let text = fs::read_to_string(output.join("nix-support/hydra-build-products")).expect("there");
    assert_eq!(text, format!("file squashfs-image {}\n", image.display()));
    storeboot::verify(&image, &storeboot::Context::new()).expect("as registered");
}
