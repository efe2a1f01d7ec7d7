//! Layout `fetch` without the command that builds it: the store goes into memory, or onto a disk that keeps it.

// Each test uses a part of what they share.
#[allow(dead_code)]
#[path = "stage1/fixture.rs"]
mod fixture;

#[allow(dead_code)]
#[path = "stage1/checks.rs"]
mod checks;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use checks::{fact, has_a_clean_root, has_overlay, shmem};
use fixture::{Archive, INIT, store};
use sha2::Digest;
use storeboot_tests::command::skip_for_want_of;
use storeboot_tests::debian::static_binaries;
use storeboot_tests::http::{Server, Site};
use storeboot_tests::qemu::{Boot, Kernel, LIMIT, Machine};

/// A folder of this test.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fetch-disk-{name}"))
}

/// A machine with a network card that fetches these images from a server.
fn machine(name: &str, kernel: &Kernel, images: &[&[u8]], words: &str) -> (Machine, Server) {
    let folder = scratch(name);
    let initrd = fixture::fetch(kernel, images, &folder);
    let server = Site::of(&folder).serve();
    let machine = fetching(&checks::machine(name, kernel, &initrd), &server, words);
    (machine, server)
}

/// The machine with a network card, and the words for this server.
fn fetching(machine: &Machine, server: &Server, words: &str) -> Machine {
    let url = server.url("");
    machine
        .clone()
        .append(&format!(
            "init={INIT} storeboot.store={} {words} fruit=apple -- one two",
            url.trim_end_matches('/')
        ))
        .argument("-netdev")
        .argument("user,id=net")
        .argument("-device")
        .argument("virtio-net-pci,netdev=net")
}

/// Checks that the machine reached stage 2 with the whole store.
fn is_booted(boot: &Boot) {
    assert!(boot.powered_off(), "{boot}");
    let data = format!(
        "{}  /nix/store/11111111111111111111111111111111-data/data",
        store().data_hash
    );
    assert_eq!(fact(boot, "data"), data, "{boot}");
    assert_eq!(fact(boot, "write"), "text", "{boot}");
}

#[test]
fn the_store_is_in_memory_and_nothing_else_is() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let [data, rest] = &store().halves;
    let (machine, server) = machine("memory", &kernel, &[data, rest], "storeboot.debug");
    let boot = machine.boot(LIMIT);
    is_booted(&boot);
    has_overlay(&boot, &["/nix/.ro-store0", "/nix/.ro-store1"]);
    has_a_clean_root(&boot);
    let size = (data.len() + rest.len()) as u32;
    assert!(shmem(&boot) < size / 1024 + 1024, "{boot}");
    assert_eq!(server.sent(), u64::from(size), "{boot}");
}

/// A disk with an ext4 file system that has these files of its own, and the label `store`.
struct Disk {
    image: PathBuf,
}

impl Disk {
    fn of(name: &str, mib: u64, files: impl FnOnce(&Path)) -> Self {
        let folder = scratch(&format!("{name}-disk"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        files(&folder);
        let image = scratch(&format!("{name}.ext4"));
        File::create(&image).unwrap().set_len(mib << 20).unwrap();
        let mut mkfs = Command::new("/usr/sbin/mkfs.ext4");
        mkfs.args(["-q", "-F", "-L", "store", "-E", "lazy_itable_init=0", "-d"]);
        let made = mkfs.arg(&folder).arg(&image).output();
        let made = made.expect("e2fsprogs is installed");
        assert!(made.status.success(), "{made:?}");
        Self { image }
    }

    fn argument(&self, more: &str) -> String {
        format!("file={},if=virtio,format=raw{more}", self.image.display())
    }

    /// A file of the disk's.
    fn read(&self, path: &str) -> Vec<u8> {
        let mut debugfs = Command::new("/usr/sbin/debugfs");
        let output = debugfs
            .arg("-R")
            .arg(format!("cat {path}"))
            .arg(&self.image);
        output.output().expect("e2fsprogs is installed").stdout
    }

    /// Checks that the file system is whole and was left clean.
    fn is_clean(&self) {
        let checked = Command::new("/usr/sbin/e2fsck")
            .arg("-fn")
            .arg(&self.image)
            .output();
        let checked = checked.expect("e2fsprogs is installed");
        assert!(checked.status.success(), "{checked:?}");
    }
}

/// The path of an image on the disk.
fn kept_path(image: &[u8]) -> String {
    let hash = data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(image));
    format!("storeboot/images/{hash}.squashfs")
}

/// Checks what stage 1 said.
fn said(boot: &Boot, words: &[&str]) {
    let found = boot
        .lines_with("storeboot: ")
        .any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no sentence has all of {words:?}: {boot}");
}

/// Checks that the store is on the disk, which the system has, and that nothing of it is in memory.
fn is_on_disk(boot: &Boot) {
    is_at(boot, "/nix/.store-disk=ext4");
}

/// The same for a disk that is mounted elsewhere or has another file system.
fn is_at(boot: &Boot, mount: &str) {
    is_booted(boot);
    let on_disk = mount.to_owned();
    assert!(checks::mounts(boot).contains(&on_disk), "{boot}");
    assert!(shmem(boot) < 1024, "{boot}");
}

/// Checks that the store is in memory, and that the disk is not mounted.
fn is_in_memory(boot: &Boot) {
    is_booted(boot);
    has_overlay(boot, &["/nix/.ro-store"]);
    has_a_clean_root(boot);
}

/// A disk with an empty file system that another program makes; `None` if it is not installed.
fn empty_disk(kind: &str, mib: u64, arguments: &[&str]) -> Option<Disk> {
    let program = format!("/usr/sbin/mkfs.{kind}");
    if !Path::new(&program).exists() {
        skip_for_want_of(&program);
        return None;
    }
    let image = scratch(&format!("empty.{kind}"));
    File::create(&image).unwrap().set_len(mib << 20).unwrap();
    let made = Command::new(program).args(arguments).arg(&image).output();
    let made = made.expect("it is installed");
    assert!(made.status.success(), "{made:?}");
    Some(Disk { image })
}

const KEEP: &str = "storeboot.keep=LABEL=store storeboot.debug";

#[test]
fn a_disk_keeps_the_store_and_the_next_boot_needs_no_network() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let image = &store().image;
    let disk = Disk::of("fresh", 64, |_| ());
    let (machine, server) = machine("fresh", &kernel, &[image], KEEP);
    let machine = machine.argument("-drive").argument(disk.argument(""));
    let boot = machine.boot(LIMIT);
    is_on_disk(&boot);
    assert_eq!(server.sent(), image.len() as u64, "{boot}");
    assert_eq!(&disk.read(&kept_path(image)), image);
    disk.is_clean();

    let boot = machine.boot(LIMIT);
    is_on_disk(&boot);
    has_a_clean_root(&boot);
    said(&boot, &["the network is not needed"]);
    assert_eq!(server.sent(), image.len() as u64, "{boot}");

    // Nothing has to be written, so it need not be possible.
    let (machine, server) = self::machine("fresh", &kernel, &[image], KEEP);
    let boot = machine
        .argument("-drive")
        .argument(disk.argument(",readonly=on"))
        .boot(LIMIT);
    is_on_disk(&boot);
    assert_eq!(server.sent(), 0, "{boot}");
}

#[test]
fn only_wrong_chunks_are_fetched() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let image = &store().image;
    let disk = Disk::of("partly", 64, |folder| {
        let path = folder.join(kept_path(image));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // The second chunk has a wrong byte, and the last is not there.
        let end = (image.len() - 1) >> 20 << 20;
        fs::write(&path, &image[..end]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let wrong = [!image[(1 << 20) + 5]];
        file.write_all_at(&wrong, (1 << 20) + 5).unwrap();
    });
    let (machine, server) = machine("partly", &kernel, &[image], KEEP);
    let machine = machine.argument("-drive").argument(disk.argument(""));
    let boot = machine.boot(LIMIT);
    is_on_disk(&boot);
    let last = (image.len() - 1) % (1 << 20) + 1;
    assert_eq!(server.sent(), (1 << 20) + last as u64, "{boot}");
    assert_eq!(&disk.read(&kept_path(image)), image);
    disk.is_clean();
}

#[test]
fn images_of_other_builds_make_room() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let image = &store().image;
    let old = format!("storeboot/images/{}.squashfs", "0".repeat(64));
    let mine = "storeboot/images/mine.squashfs";
    let disk = Disk::of("others", 16, |folder| {
        fs::create_dir_all(folder.join("storeboot/images")).unwrap();
        fs::write(folder.join(&old), vec![1; 11 << 20]).unwrap();
        fs::write(folder.join(mine), "mine").unwrap();
    });
    let (machine, _server) = machine("others", &kernel, &[image], KEEP);
    let boot = machine
        .argument("-drive")
        .argument(disk.argument(""))
        .boot(LIMIT);
    is_on_disk(&boot);
    said(&boot, &["removed 0000", "of another build"]);
    assert_eq!(disk.read(mine), b"mine");
    assert_eq!(disk.read(&old), b"");
    disk.is_clean();
}

#[test]
fn a_disk_that_cannot_keep_the_store_does_not_stop_the_boot() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let image = &store().image;
    let full = Disk::of("full", 16, |folder| {
        fs::write(folder.join("own"), vec![1; 12 << 20]).unwrap();
    });
    let empty = Disk::of("empty", 16, |_| ());
    let garbage = Disk {
        image: scratch("garbage.disk"),
    };
    fs::write(&garbage.image, vec![0xa5; 8 << 20]).unwrap();
    // The superblock is as it was, and what it leads to is not.
    let damaged = Disk::of("damaged", 16, |_| ());
    let file = File::options().write(true).open(&damaged.image).unwrap();
    file.write_all_at(&vec![0xa5; 4 << 20], 2048).unwrap();
    for (name, disk, more, words, says) in [
        (
            "full",
            &full,
            "",
            KEEP,
            &["/dev/vda is too full", "MiB more"][..],
        ),
        (
            "read-only",
            &empty,
            ",readonly=on",
            KEEP,
            &["/dev/vda", "read-only file system (EROFS)"],
        ),
        (
            "garbage",
            &garbage,
            "",
            "storeboot.keep=/dev/vda",
            &["/dev/vda has no file system"],
        ),
        (
            "damaged",
            &damaged,
            "",
            KEEP,
            &["/dev/vda cannot be mounted as ext4", "fsck"],
        ),
        (
            "missing",
            &empty,
            "",
            "storeboot.keep=LABEL=gone",
            &["no disk is LABEL=gone"],
        ),
        (
            "word",
            &empty,
            "",
            "storeboot.keep=vda",
            &["`storeboot.keep=vda` does not name a disk"],
        ),
    ] {
        let (machine, server) = machine(name, &kernel, &[image], words);
        let boot = machine
            .argument("-drive")
            .argument(disk.argument(more))
            .boot(LIMIT);
        said(&boot, says);
        said(&boot, &["warning", "; the store goes into memory"]);
        is_in_memory(&boot);
        assert_eq!(server.sent(), image.len() as u64, "{name}: {boot}");
    }
    full.is_clean();
}

#[test]
fn other_file_systems_keep_the_store_too() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let image = &store().image;
    let disks = [
        ("vfat", 64, &["-F", "32", "-n", "STORE"][..], "LABEL=STORE"),
        ("xfs", 320, &["-q", "-L", "store"], "LABEL=store"),
    ];
    for (kind, mib, arguments, keep) in disks {
        let Some(disk) = empty_disk(kind, mib, arguments) else {
            continue;
        };
        let words = format!("storeboot.keep={keep} storeboot.debug");
        let (machine, server) = machine(kind, &kernel, &[image], &words);
        let machine = machine.argument("-drive").argument(disk.argument(""));
        let boots = [machine.boot(LIMIT), machine.boot(LIMIT)];
        for boot in &boots {
            is_at(boot, &format!("/nix/.store-disk={kind}"));
        }
        said(&boots[1], &["the network is not needed"]);
        assert_eq!(server.sent(), image.len() as u64, "{}", boots[0]);
    }
}

/// A stage 1 that has the network up, and gets the store by `/storeboot/attach`.
fn other_stage1() -> Vec<u8> {
    let mut archive = Archive::empty();
    archive.folder("bin");
    let busybox = fs::read("/bin/busybox").expect("busybox-static is installed");
    archive.executable("bin/busybox", &busybox);
    let stage1 = fs::read(static_binaries().join("storeboot-init")).unwrap();
    archive.executable("storeboot/attach", &stage1);
    archive.executable("init", include_bytes!("fetch_disk/init.sh"));
    archive.finish()
}

#[test]
fn another_stage_1_fetches_the_store_too() {
    let Some(kernel) = Kernel::debian("6.12") else {
        return;
    };
    let image = &store().image;
    let disk = Disk::of("other", 64, |_| ());
    for (words, place) in [
        ("", None),
        (KEEP, Some("/run/storeboot/disk=ext4")),
        ("how=devices", None),
    ] {
        let folder = scratch("other");
        let mut initrd = fixture::fetch(&kernel, &[image], &folder);
        initrd.extend(other_stage1());
        let server = Site::of(&folder).serve();
        let boot = fetching(&checks::machine("other", &kernel, &initrd), &server, words)
            .argument("-drive")
            .argument(disk.argument(""))
            .boot(LIMIT);
        is_booted(&boot);
        if let Some(place) = place {
            is_at(&boot, place);
        }
        assert!(boot.console.contains("ATTACHED"), "{boot}");
        // Devices are made once.
        assert_eq!(server.sent(), image.len() as u64, "{boot}");
    }
}
