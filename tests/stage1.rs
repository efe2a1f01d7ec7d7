//! Stage 1 in machines that QEMU emulates, with initrds that the tests make: every layout reaches stage 2, and every
//! fault ends with its message.

// Each test uses a part of what they share.
#[allow(dead_code)]
#[path = "stage1/fixture.rs"]
mod fixture;

#[path = "stage1/checks.rs"]
mod checks;

use checks::{
    fact, fails_with, has_a_clean_root, has_overlay, keeps_own_archives, machine, mounts,
    reaches_stage2, says_and_panics, shmem, tells_of_a_changed_store,
};
use fixture::{Archive, INIT, store};
use storeboot_index::Layout;
use storeboot_tests::qemu::{Kernel, QUIET};

#[test]
fn file_on_6_1() {
    let Some(kernel) = Kernel::debian("6.1") else {
        return;
    };
    let boot = reaches_stage2("file-6.1", &kernel, &fixture::file(&kernel, |_| ()), "");
    has_overlay(&boot, &["/nix/.ro-store"]);
    has_a_clean_root(&boot);
    // Only the image is left in memory: the loop device keeps it.
    assert!(
        shmem(&boot) < store().image.len() as u32 / 1024 + 1024,
        "{boot}"
    );
}

#[test]
fn file_on_6_12_prints_each_step_when_asked() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let initrd = fixture::with_own_archives(&fixture::file(&kernel, |_| ()));
    let boot = reaches_stage2(
        "file-6.12",
        &kernel,
        &initrd,
        "storeboot.debug storeboot.verify",
    );
    has_overlay(&boot, &["/nix/.ro-store"]);
    keeps_own_archives(&boot);
    for step in [
        "layout file",
        "loaded /storeboot/modules/00-loop.ko",
        "the SHA-256 of",
        "kept 5 files of other archives in the initrd",
        "removed the unpacked initrd",
    ] {
        let line = boot
            .lines_with("storeboot: ")
            .find(|line| line.contains(step));
        let line = line.unwrap_or_else(|| panic!("no step {step:?} in {boot}"));
        assert!(
            line.split_once(" s: ")
                .is_some_and(|(time, _)| time.parse::<f64>().is_ok()),
            "{line}"
        );
    }
}

#[test]
fn in_place_on_6_12() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let initrd = fixture::in_place(&kernel, &[&store().image]);
    let boot = reaches_stage2(
        "in-place",
        &kernel,
        &initrd,
        "retain_initrd storeboot.debug storeboot.verify",
    );
    has_overlay(&boot, &["/nix/.ro-store"]);
    assert!(
        boot.console.contains("of the initrd, as expected"),
        "{boot}"
    );
    assert!(
        boot.console
            .contains("the SHA-256 of storeboot/images/0.squashfs is right"),
        "{boot}"
    );
    has_a_clean_root(&boot);
    assert!(shmem(&boot) < 1024, "{boot}");
}

#[test]
fn in_place_finds_two_images_that_were_moved_to_an_odd_offset() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let [data, rest] = &store().halves;
    let initrd = fixture::with_own_archives(&fixture::in_place(&kernel, &[data, rest]));
    let boot = reaches_stage2("moved", &kernel, &initrd, "retain_initrd storeboot.debug");
    has_overlay(&boot, &["/nix/.ro-store0", "/nix/.ro-store1"]);
    keeps_own_archives(&boot);
    assert!(
        boot.console.contains("1.squashfs was found at byte"),
        "{boot}"
    );
}

#[test]
fn direct_on_6_12() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let boot = reaches_stage2(
        "direct",
        &kernel,
        &fixture::with_own_archives(&fixture::direct(Archive::with_stage1())),
        "",
    );
    assert_eq!(
        mounts(&boot),
        [
            "/=rootfs",
            "/dev=devtmpfs",
            "/proc=proc",
            "/run=tmpfs",
            "/sys=sysfs"
        ],
        "{boot}"
    );
    keeps_own_archives(&boot);
    assert_eq!(fact(&boot, "write"), "text", "{boot}");
}

#[test]
fn a_read_only_store_has_nothing_over_its_images() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let [data, rest] = &store().halves;
    let whole = fixture::file(&kernel, |_| ());
    let halves = fixture::in_place(&kernel, &[data, rest]);
    // What adds to the store needs a place for it, below a store that is read-only all the same.
    let mut more = Archive::empty();
    for folder in ["nix", "nix/store", "nix/store/added"] {
        more.folder(folder);
    }
    more.file("nix/store/added/file", b"new");
    let added = [whole.clone(), more.finish()].concat();
    for (name, initrd, expected) in [
        (
            "image-ro",
            whole,
            &["/nix/.ro-store=squashfs", "/nix/store=squashfs"][..],
        ),
        (
            "images-ro",
            halves,
            &[
                "/nix/.ro-store0=squashfs",
                "/nix/.ro-store1=squashfs",
                "/nix/.ro-store=overlay",
                "/nix/store=overlay",
            ],
        ),
        (
            "added-ro",
            added,
            &[
                "/nix/.ro-store=squashfs",
                "/nix/.rw-store=tmpfs",
                "/nix/store=overlay",
                "/nix/store=overlay",
            ],
        ),
    ] {
        let words = "retain_initrd storeboot.ro-store";
        let boot = reaches_stage2(name, &kernel, &initrd, words);
        let mut found = mounts(&boot);
        found.retain(|mount| mount.starts_with("/nix"));
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{boot}");
        assert!(
            fact(&boot, "write").contains("Read-only file system"),
            "{boot}"
        );
    }
}

#[test]
fn direct_with_a_read_only_store_and_no_console_in_the_initrd() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let mut archive = Archive::empty();
    archive.stage1();
    archive.folder("storeboot");
    let boot = reaches_stage2(
        "direct-ro",
        &kernel,
        &fixture::direct(archive),
        "storeboot.ro-store",
    );
    assert!(
        fact(&boot, "write").contains("Read-only file system"),
        "{boot}"
    );
    // The kernel's built-in initramfs has `/root`.
    assert_eq!(
        fact(&boot, "root"),
        "dev mnt nix proc root run sys",
        "{boot}"
    );
}

#[test]
fn in_place_on_a_kernel_that_is_too_old() {
    let Some(kernel) = Kernel::debian("6.1") else {
        return;
    };
    let initrd = fixture::in_place(&kernel, &[&store().image]);
    let append = format!("init={INIT} retain_initrd");
    fails_with(
        "too-old",
        &kernel,
        &initrd,
        &append,
        "boot Linux 6.8 or newer, or build with --layout file",
    );
}

#[test]
fn retain_initrd_was_forgotten() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let initrd = fixture::in_place(&kernel, &[&store().image]);
    let append = format!("init={INIT}");
    fails_with(
        "not-retained",
        &kernel,
        &initrd,
        &append,
        "`retain_initrd` is missing on the kernel command line",
    );
}

#[test]
fn init_is_missing_or_wrong() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let initrd = fixture::direct(Archive::with_stage1());
    let system = INIT.trim_end_matches("/init");
    // At this log level the kernel prints only its panic, so stage 1 must write to the console itself.
    fails_with(
        "no-init",
        &kernel,
        &initrd,
        "loglevel=1",
        "`init=` is missing on the kernel command line",
    );
    for (init, sentence) in [
        (
            "/nix/store/gone/init",
            "`init=/nix/store/gone/init` is not in this initrd's store",
        ),
        (
            &format!("{system}/dangling"),
            "is a symbolic link to `/nix/store/gone`, which is not",
        ),
        (system, &format!("did you mean `init={system}/init`?")),
    ] {
        fails_with(
            "wrong-init",
            &kernel,
            &initrd,
            &format!("init={init}"),
            sentence,
        );
    }
}

#[test]
fn the_kernel_lacks_a_driver_for_store_images() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let append = format!("init={INIT}");
    for (module, sentence) in [
        (
            "loop",
            "no loop devices (/dev/loop-control: no such file (ENOENT)): it needs CONFIG_BLK_DEV_LOOP",
        ),
        (
            "squashfs",
            "this kernel needs CONFIG_SQUASHFS and CONFIG_SQUASHFS_ZSTD, built in or as a module",
        ),
        ("overlay", "cannot mount the overlay at /nix/store"),
    ] {
        let initrd = fixture::file(&kernel, |index| {
            index.modules.retain(|path| !path.contains(module))
        });
        fails_with("no-module", &kernel, &initrd, &append, sentence);
    }
}

#[test]
fn the_store_is_changed_by_another_archive() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let changed = fixture::with_a_changed_store;
    let file = changed(fixture::file(&kernel, |_| ()));
    tells_of_a_changed_store("changed-file", &kernel, &file, "");
    let in_place = changed(fixture::in_place(&kernel, &[&store().image]));
    tells_of_a_changed_store("changed-in-place", &kernel, &in_place, "retain_initrd");
    let direct = changed(fixture::direct(Archive::with_stage1()));
    tells_of_a_changed_store("changed-direct", &kernel, &direct, "");
}

#[test]
fn the_initrd_is_cut_off() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let append = format!("init={INIT} retain_initrd");
    let image = &store().image;
    let whole = fixture::in_place(&kernel, &[image]);
    let cut = &whole[..whole.len() - image.len() / 2];
    let numbers = format!("but only {} bytes are there", cut.len());
    fails_with("cut-in-place", &kernel, cut, &append, &numbers);

    let whole = fixture::file(&kernel, |_| ());
    let cut = &whole[..whole.len() - image.len() / 2];
    let numbers = format!(
        "of the {} bytes of store image /storeboot/images/0.squashfs are there",
        image.len()
    );
    fails_with("cut-file", &kernel, cut, &append, &numbers);

    let whole = fixture::direct(Archive::with_stage1());
    let cut = &whole[..whole.len() / 2];
    fails_with(
        "cut-direct",
        &kernel,
        cut,
        &append,
        "/storeboot/index is missing",
    );
}

#[test]
fn the_image_is_not_the_expected_one() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let append = format!("init={INIT} storeboot.verify");
    let superblock = fixture::file(&kernel, |index| index.images[0].superblock[8] ^= 1);
    fails_with(
        "superblock",
        &kernel,
        &superblock,
        &append,
        "byte 8 of the superblock is 0x",
    );
    let size = fixture::file(&kernel, |index| index.images[0].size += 4096);
    let real = store().image.len();
    let numbers = format!("has {real} bytes, the index says {}", real + 4096);
    fails_with("size", &kernel, &size, &append, &numbers);
    let mut damaged = fixture::file(&kernel, |_| ());
    let place = damaged.len() - real / 2;
    damaged[place] ^= 1;
    fails_with(
        "damaged",
        &kernel,
        &damaged,
        &append,
        "0.squashfs is damaged: its SHA-256 is ",
    );
}

#[test]
fn the_store_does_not_fit_into_memory() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let image = vec![1; 160 << 20];
    let mut index = fixture::index(Layout::File, &[&image]);
    index.memory = 200 << 20;
    let mut archive = Archive::with_stage1();
    archive.file("storeboot/index", index.to_string().as_bytes());
    archive.file("storeboot/images/0.squashfs", &image);
    let machine = machine("too-large", &kernel, &archive.finish()).memory_mib(320);
    let append = format!("{QUIET} init={INIT}");
    says_and_panics(&machine.append(&append), "give the machine more memory");
}
