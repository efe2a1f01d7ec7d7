//! Images that the module describes, built by the command itself from a system of a few files.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use storeboot_cpio::{Metadata, Writer};
use storeboot_tests::command::{Scratch, bz_image, have, on_a_pc, printed, storeboot};
use storeboot_tests::debian::{nix, static_binaries};

/// Why the images are built on a PC only.
const KERNEL: &str = "the kernel that these images are built around is a PC's";

/// Files such as NixOS makes: a kernel, its modules, a system with an `init`, and an initrd with a stage 1 of its own.
fn files() -> Scratch {
    let folder = Scratch::new();
    for name in ["kernel", "system", "initrd"] {
        fs::create_dir(folder.join(name)).expect("a folder");
    }
    fs::write(folder.join("kernel/bzImage"), bz_image("6.12.1")).expect("a kernel");
    let init = folder.join("system/init");
    fs::write(&init, "#!/bin/sh\n").expect("an init");
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).expect("its mode");
    // All that stage 1 wants is in the kernel. NixOS joins the modules of several packages by links.
    let modules = folder.join("modules/lib/modules/6.12.1");
    fs::create_dir_all(&modules).expect("a folder");
    let builtin = "kernel/drivers/block/loop.ko\nkernel/fs/squashfs/squashfs.ko\nkernel/fs/overlayfs/overlay.ko\n";
    fs::write(folder.join("modules/builtin"), builtin).expect("a list");
    symlink("../../../builtin", modules.join("modules.builtin")).expect("a link");
    let initrd = File::create(folder.join("initrd/initrd")).expect("an initrd");
    let mut archive = Writer::new(initrd);
    archive
        .file("init", &Metadata::executable(), 10, &b"#!/bin/sh\n"[..])
        .and_then(|()| archive.finish())
        .expect("an archive");
    folder
}

/// What `nix-build` makes of an attribute of `system.build`.
fn built(files: &Scratch, module: &str, attribute: &str) -> PathBuf {
    let link = files.join("result");
    let path = |name: &str| files.join(name).display().to_string();
    let expression = format!(
        r#"let
            package = name: path: {{ type = "derivation"; inherit name; outPath = builtins.path {{ inherit name path; }}; }};
            system = {{ config, lib, ... }}: {{
                system.modulesTree = lib.mkForce (package "modules" {modules});
                system.build = builtins.mapAttrs (_: lib.mkForce) {{
                    kernel = package "kernel" {kernel};
                    toplevel = package "system" {system};
                    initialRamdisk = package "initrd" {initrd};
                }};
                netboot = {{ package = (import ./. {{ binaries = {binaries}; }}).storeboot; compression = "zstd:1"; {module} }};
            }};
        in (import ./tests/nix/evaluate.nix {{ modules = [ system ]; system = builtins.currentSystem; }}).build.{attribute}"#,
        modules = path("modules"),
        kernel = path("kernel"),
        system = path("system"),
        initrd = path("initrd"),
        binaries = static_binaries().display(),
    );
    nix(
        "nix-build",
        [
            "--expr",
            &expression,
            "--out-link",
            link.to_str().expect("text"),
        ],
    );
    fs::read_link(&link).expect("nix-build leaves a link to what it built")
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn an_image_around_an_initrd_of_nixos_is_whole_in_every_layout() {
    if !have(&["nix-instantiate"]) || !on_a_pc(KERNEL) {
        return;
    }
    let files = files();
    for (layout, more, word) in [
        ("in-place", "", "retain_initrd"),
        ("file", "", "initramfs_options=size=95%"),
        (
            "direct",
            r#"archives = "per-path";"#,
            "initramfs_options=size=95%",
        ),
        (
            "fetch",
            r#"fetch.url = "http://10.0.2.2/a";"#,
            "storeboot.store=http://10.0.2.2/a",
        ),
    ] {
        let module = format!(r#"layout = "{layout}"; verify = true; {more}"#);
        let image = built(&files, &module, "netboot");
        printed(
            std::process::Command::new(storeboot())
                .arg("verify")
                .arg(&image),
        );
        let append = text(&image, "kernelAppend");
        let words: Vec<&str> = append.split_whitespace().collect();
        assert!(words[0].starts_with("init=/nix/store/"), "{append}");
        assert!(words[0].ends_with("-system/init"), "{append}");
        assert_eq!(words[1..], [word, "storeboot.verify"], "{layout}");
        let ipxe = text(&image, "netboot.ipxe");
        let network = match layout {
            "fetch" => " ${storeboot-place} ${storeboot-network}",
            _ => "",
        };
        let kernel = format!(
            "kernel bzImage {} initrd=initrd{network} ${{cmdline}} || goto failed",
            append.trim_end()
        );
        assert!(ipxe.lines().any(|line| line == kernel), "{ipxe}");
        // As nixos-images changes it.
        assert!(ipxe.contains("\ninitrd initrd "), "{ipxe}");

        let initrd = fs::read(image.join("initrd")).expect("the initrd");
        let ours = fs::read(files.join("initrd/initrd")).expect("NixOS's");
        assert!(initrd.starts_with(&ours), "NixOS's initrd comes first");
    }
}

#[test]
fn an_image_with_storeboots_stage_1_is_whole_and_its_layers_too() {
    if !have(&["nix-instantiate"]) || !on_a_pc(KERNEL) {
        return;
    }
    let files = files();
    let module = r#"stage1 = "storeboot"; readOnlyStore = true; layers = [ [ config.system.build.toplevel ] ]; blockSize = 4096;"#;
    let image = built(&files, module, "netboot");
    printed(
        std::process::Command::new(storeboot())
            .arg("verify")
            .arg(&image),
    );
    let append = text(&image, "kernelAppend");
    let words: Vec<&str> = append.split_whitespace().collect();
    assert_eq!(words[1..], ["retain_initrd", "storeboot.ro-store"]);
    let initrd = fs::read(image.join("initrd")).expect("the initrd");
    let nixos = fs::read(files.join("initrd/initrd")).expect("NixOS's");
    assert!(!initrd.starts_with(&nixos), "no initrd of NixOS's is in it");
}

#[test]
fn the_store_image_is_one() {
    if !have(&["nix-instantiate"]) || !on_a_pc(KERNEL) {
        return;
    }
    let files = files();
    let image = built(&files, "", "squashfsStore");
    printed(
        std::process::Command::new(storeboot())
            .arg("verify")
            .arg(&image),
    );
}
