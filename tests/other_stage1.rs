//! Another stage 1 than storeboot's, which gets at the store by `/storeboot/attach`: each layout, each way, with one
//! image and with several; and what is said when it cannot.

#[path = "ways_in/archive.rs"]
mod archive;
#[path = "other_stage1/machine.rs"]
mod machine;
#[path = "other_stage1/module.rs"]
mod module;
#[path = "other_stage1/systemd.rs"]
mod systemd;

use std::fs;

use machine::{Given, boots, build, initrd, run, says, system};
use storeboot_cpio::Metadata;
use storeboot_index::{LIST, Layout, PARTS_PATH, Part, PartedFile, UNFINISHED};
use storeboot_tests::command::{printed, ran, storeboot};
use storeboot_tests::small_system::fact;

#[test]
fn file_as_nixpkgs_mounts_it() {
    boots(Layout::File, "nixpkgs", Given::Plain);
}

#[test]
fn file_by_devices() {
    boots(Layout::File, "devices", Given::Plain);
}

#[test]
fn file_of_several_images_as_nixos_script_binds_it() {
    boots(Layout::File, "module", Given::SeveralImages);
}

#[test]
fn direct_as_nixos_script_attaches_it() {
    boots(Layout::Direct, "module", Given::Plain);
}

/// The network is the script's, and the words are those that storeboot's stage 1 reads.
#[test]
fn fetch_as_nixos_script_attaches_it() {
    machine::fetches();
}

/// As with `makeInitrdNG` and nixpkgs' `system.build.squashfsStore`.
#[test]
fn an_initrd_by_hand_with_the_script() {
    by_hand(Layout::File, "nix-store.squashfs");
}

/// As a virtual machine of nixpkgs mounts the builder's store.
#[test]
fn a_store_from_elsewhere_with_the_script() {
    by_hand(Layout::File, "nix-store-elsewhere.squashfs");
    by_hand(Layout::Direct, "nix-store-elsewhere.squashfs");
}

fn by_hand(layout: Layout, image: &str) {
    if system().is_some() {
        let initrd = initrd(layout, Given::Plain, &format!("{image}-{layout}"));
        machine::boots_by_hand(&initrd, image, "how=module");
    }
}

#[test]
fn in_place_by_devices() {
    boots(Layout::InPlace, "devices", Given::Plain);
}

#[test]
fn in_place_of_several_images_by_store_where_mounts_are_shared() {
    boots(Layout::InPlace, "store", Given::SeveralImages);
}

#[test]
fn in_place_by_root_and_verified() {
    let Some(boot) = boots(Layout::InPlace, "root", Given::Verified) else {
        return;
    };
    let checked = "the SHA-256 of no-such-directory/0.squashfs is right";
    assert!(boot.console.contains(checked), "{boot}");
    let protected = "dm-verity checks no-such-directory/0.squashfs on /dev/dm-0";
    assert!(boot.console.contains(protected), "{boot}");
    assert!(
        fact(&boot, "write").contains("Read-only file system"),
        "{boot}"
    );
}

#[test]
fn direct_by_root_where_mounts_are_shared() {
    boots(Layout::Direct, "root", Given::Shared);
}

#[test]
fn direct_by_store_with_a_file_in_parts() {
    let Some(boot) = run(Layout::Direct, "store", Given::Plain, "", data_in_parts) else {
        return;
    };
    let system = system().expect("it was booted");
    // Its file of data has the content that it should have.
    system.is_booted(&boot, Layout::Direct);
    let step = format!("put /storeboot/store/{DATA} together, 2097152 bytes of 2 parts");
    assert!(boot.console.contains(&step), "{boot}");
    assert!(!boot.console.contains("storeboot: warning"), "{boot}");
}

/// The small system's file of 2 MiB.
const DATA: &str = "22222222222222222222222222222222-data/data";

/// Puts that file into the initrd as if it were too large for a member: what was unpacked before is emptied.
fn data_in_parts(mut initrd: Vec<u8>) -> Vec<u8> {
    let system = system().expect("there is a kernel");
    let data = fs::read(system.store_root().join("nix/store").join(DATA)).expect("its data");
    let half = data.len() / 2;
    let part = |offset: usize| Part {
        offset: offset as u64,
        size: half as u64,
    };
    let file = PartedFile {
        path: DATA.into(),
        executable: false,
        size: data.len() as u64,
        parts: vec![part(0), part(half)],
    };
    let mut archive = archive::Archive::new();
    let unfinished = Metadata::mode(UNFINISHED.into());
    archive.file(&format!("storeboot/store/{DATA}"), &unfinished, b"");
    let list = file.to_string();
    for (name, content) in [
        (LIST, list.as_bytes()),
        ("0", &data[..half]),
        ("1", &data[half..]),
    ] {
        let name = format!("{PARTS_PATH}/data-0/{name}");
        archive.file(&name, &Metadata::file(), content);
    }
    initrd.extend(archive.finish());
    initrd
}

#[test]
fn direct_under_systemd() {
    systemd::boots(Layout::Direct);
}

#[test]
fn file_of_several_images_under_systemd() {
    systemd::boots(Layout::File);
}

/// As with `makeInitrdNG` and nixpkgs' `system.build.squashfsStore`.
#[test]
fn an_initrd_by_hand_under_systemd() {
    systemd::boots_by_hand(Layout::File, "nix-store.squashfs");
}

/// As a virtual machine of nixpkgs mounts the builder's store.
#[test]
fn a_store_from_elsewhere_under_systemd() {
    systemd::boots_by_hand(Layout::File, "nix-store-elsewhere.squashfs");
    systemd::boots_by_hand(Layout::Direct, "nix-store-elsewhere.squashfs");
}

#[test]
fn direct_has_no_devices() {
    says(
        Layout::Direct,
        "devices",
        "",
        |whole| whole,
        "direct has no store images to make devices of",
    );
}

#[test]
fn the_initrd_is_cut_off() {
    let cut = |by: usize| move |whole: Vec<u8>| whole[..whole.len() - by].to_vec();
    let half = 1 << 20;
    says(
        Layout::InPlace,
        "root",
        "",
        cut(half),
        "the initrd is cut off: store image",
    );
    says(
        Layout::File,
        "root",
        "",
        cut(half),
        "bytes of store image /nix-store.squashfs are there",
    );
    says(
        Layout::Direct,
        "root",
        "",
        cut(half),
        "/storeboot/index is missing",
    );
}

#[test]
fn the_initrd_was_not_retained() {
    let append = "retain_initrd";
    says(
        Layout::InPlace,
        "devices",
        append,
        |whole| whole,
        "`retain_initrd` is missing",
    );
}

#[test]
fn an_image_is_damaged() {
    let damage = |mut whole: Vec<u8>| {
        let place = whole.len() - (1 << 20);
        whole[place] ^= 1;
        whole
    };
    says(
        Layout::InPlace,
        "store-verify",
        "",
        damage,
        "is damaged: its SHA-256 is ",
    );
}

#[test]
fn there_is_no_index() {
    let strip = |whole: Vec<u8>| {
        let name = b"storeboot/index\0";
        // The last one: stage 1's program, in front of the index, may have the name in it, too.
        let place = whole.windows(name.len()).rposition(|window| window == name);
        let mut whole = whole;
        whole[place.expect("an index") + 10] = b'x';
        whole
    };
    says(
        Layout::InPlace,
        "root",
        "",
        strip,
        "/storeboot/index is missing",
    );
}

#[test]
fn it_is_called_in_a_wrong_way() {
    let Some(boot) = run(Layout::File, "misused", Given::Early, "", |whole| whole) else {
        return;
    };
    for (said, status) in [
        (
            "storeboot: /proc is not mounted: mount /dev, /proc and /sys",
            "early: 1",
        ),
        (
            "usage: attach [--root DIR | --store DIR]",
            "misused, --root /: 2",
        ),
        (
            "storeboot: /etc is on the initrd's own file system",
            "misused, --root /etc: 1",
        ),
        (
            "usage: attach [--root DIR | --store DIR]",
            "misused, --store: 2",
        ),
        (
            "usage: attach [--root DIR | --store DIR]",
            "misused, --help: 2",
        ),
    ] {
        let status = format!("OTHER {status}\n");
        let (before, _) = boot
            .console
            .split_once(&status)
            .unwrap_or_else(|| panic!("no {status:?} in {boot}"));
        let last = before.lines().last().unwrap_or_default();
        assert!(
            last.contains(said),
            "{last:?} and not {said:?} before {status:?} in {boot}"
        );
    }
}

#[test]
fn modules_do_not_go_with_another_initrd() {
    let Some(system) = system() else { return };
    let output = machine::folder().join("with-modules");
    let initrd = initrd(Layout::File, Given::Plain, "plain");
    let mut command = std::process::Command::new(storeboot());
    command.args(["--quiet", "build", "--init", storeboot_tests::fixture::INIT]);
    command.arg("--path-info").arg(system.path_info());
    command.arg("--store-root").arg(system.store_root());
    command.arg("--kernel").arg(system.kernel.image());
    command.arg("--modules").arg(system.kernel.modules());
    command
        .arg("--initrd")
        .arg(&initrd)
        .arg("--output")
        .arg(&output);
    let refused = ran(&mut command);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("loads its own modules, and none can be added to it"),
        "{said}"
    );
    assert!(said.contains("--modules and --module"), "{said}");
    assert!(!output.exists());
}

#[test]
fn what_is_built_is_as_the_manifest_says_and_the_same_every_time() {
    let Some(system) = system() else { return };
    for layout in Layout::ALL {
        let [first, second] = ["a", "b"].map(|name| build(system, layout, Given::Plain, name));
        printed(
            std::process::Command::new(storeboot())
                .arg("verify")
                .arg(&first),
        );
        let [one, two] =
            [&first, &second].map(|folder| fs::read(folder.join("initrd")).expect("an initrd"));
        assert!(one == two, "{layout}");
        let manifest = fs::read(first.join("manifest.json")).expect("a manifest");
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("a manifest");
        let kinds: Vec<&str> = manifest["segments"]
            .as_array()
            .expect("segments")
            .iter()
            .map(|segment| segment["kind"].as_str().expect("a kind"))
            .collect();
        let expected: &[&str] = match layout {
            Layout::Direct => &["stage-1", "attach", "store", "index"],
            Layout::File | Layout::InPlace => &["stage-1", "attach", "index", "store"],
            Layout::Fetch => &["stage-1", "attach", "index"],
        };
        assert_eq!(kinds, expected, "{layout}");
    }
}
