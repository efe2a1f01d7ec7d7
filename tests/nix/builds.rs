//! What Nix builds without nixpkgs: the demo, and outputs that are those of the command.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use storeboot_tests::command::{installed, printed};
use storeboot_tests::debian::{
    demo_packages, demo_system, evaluate, nix, nix_command, repository, static_binaries,
};

use super::text;

/// The netboot directory of the demo, in the store.
fn netboot_demo() -> PathBuf {
    let built = nix(
        "nix-build",
        [
            "--no-out-link",
            "--attr",
            "netboot_demo",
            "--arg",
            "debs",
            text(&demo_packages()),
            "--arg",
            "binaries",
            text(&static_binaries()),
        ],
    );
    built.trim().into()
}

#[test]
fn the_demo_is_a_netboot_directory() {
    let netboot = netboot_demo();
    for file in [
        "bzImage",
        "initrd",
        "kernelAppend",
        "netboot.ipxe",
        "kexec-boot",
        "manifest.json",
    ] {
        let metadata =
            fs::metadata(netboot.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(metadata.len() > 0, "{file} is empty");
    }
    let system = demo_system();
    let append = fs::read_to_string(netboot.join("kernelAppend")).expect("a command line");
    assert!(
        append
            .split_whitespace()
            .any(|word| word == format!("init={}/init", text(&system))),
        "{append}"
    );
    assert!(append.contains("console=ttyS0"), "{append}");
    let kernel = fs::read(system.join("kernel")).expect("the system's kernel");
    assert!(
        fs::read(netboot.join("bzImage")).expect("the kernel") == kernel,
        "bzImage is another kernel"
    );
}

/// Of a netboot directory in the store, Nix makes the UKI that the command makes.
#[test]
fn a_uki_is_the_one_of_the_command() {
    let Some(stub) = installed(&["/usr/lib/systemd/boot/efi/linuxx64.efi.stub"]) else {
        return;
    };
    let binaries = static_binaries();
    let folder = tempfile::tempdir().expect("a folder");
    let (built, made) = (folder.path().join("built"), folder.path().join("made.efi"));
    let release = folder.path().join("os-release");
    fs::write(&release, "ID=demo\nPRETTY_NAME=\"Demo\"\n").expect("a file");
    let expression = format!(
        r#"let
            storeboot = import ./. {{ debs = {}; binaries = {}; }};
        in storeboot.lib.makeUki {{
            netboot = storeboot.netboot_demo; stub = {}; osRelease = {}; cmdline = "more=words";
        }}"#,
        demo_packages().display(),
        binaries.display(),
        stub.display(),
        release.display()
    );
    nix(
        "nix-build",
        ["--expr", &expression, "--out-link", text(&built)],
    );
    assert_eq!(files_below(&built), ["uki.efi".to_owned()].into());

    let mut command = Command::new(binaries.join("storeboot"));
    command.args(["--quiet", "uki", "--cmdline", "more=words"]);
    command.arg(netboot_demo());
    command.arg("--stub").arg(&stub);
    command.arg("--os-release").arg(&release);
    printed(command.arg("--output").arg(&made));
    let same = fs::read(built.join("uki.efi")).expect("a UKI") == fs::read(&made).expect("a UKI");
    assert!(same, "the UKIs differ");
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
            verity = lib.makeNetboot {{
                kernel = "${{system}}/kernel"; modules = "${{system}}/kernel-modules"; init = "${{system}}/init"; roots = [ system ];
                inherit compression; verity = true;
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
