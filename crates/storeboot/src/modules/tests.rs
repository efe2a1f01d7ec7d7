//! Trees of small modules made by hand.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::compress::{SegmentOptions, SegmentWriter};

pub(super) const RELEASE: &str = "6.12.107-test";

/// An ELF file with one section of this name.
fn elf(section: &[u8], data: &[u8]) -> Vec<u8> {
    let names = [b"\0", section, b"\0.shstrtab\0"].concat();
    let names_at = 64 + data.len();
    let headers_at = names_at + names.len();
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [1_u16, 62] {
        file.extend_from_slice(&half.to_le_bytes()); // relocatable, x86_64
    }
    file.extend_from_slice(&1_u32.to_le_bytes());
    for long in [0, 0, headers_at as u64] {
        file.extend_from_slice(&long.to_le_bytes());
    }
    file.extend_from_slice(&0_u32.to_le_bytes());
    for half in [64_u16, 0, 0, 64, 3, 2] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    file.extend_from_slice(data);
    file.extend_from_slice(&names);
    let mut header = |name: usize, kind: u32, offset: usize, size: usize| {
        file.extend_from_slice(&u32::try_from(name).expect("small").to_le_bytes());
        file.extend_from_slice(&kind.to_le_bytes());
        for long in [0, 0, offset as u64, size as u64] {
            file.extend_from_slice(&long.to_le_bytes());
        }
        file.extend_from_slice(&[0; 8]);
        for long in [1_u64, 0] {
            file.extend_from_slice(&long.to_le_bytes());
        }
    };
    header(0, 0, 0, 0);
    header(1, 1, 64, data.len());
    header(section.len() + 2, 3, names_at, names.len());
    file
}

fn modinfo(name: &str, release: &str, entries: &[&str]) -> Vec<u8> {
    let mut info = format!("license=GPL\0description=caf\0name={name}\0").into_bytes();
    info.extend_from_slice(b"author=M\xfcller\0"); // other tags may have any bytes
    for entry in entries {
        info.extend_from_slice(entry.as_bytes());
        info.push(0);
    }
    info.extend_from_slice(format!("vermagic={release} SMP mod_unload \0").as_bytes());
    info
}

/// A folder with modules for [`RELEASE`] under `lib/modules`.
pub(super) struct Fixture(TempDir);

impl Fixture {
    pub(super) fn new() -> Self {
        let fixture = Self(TempDir::new().expect("a folder"));
        fixture.write("modules.order", b"");
        fixture
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }

    fn folder(&self) -> PathBuf {
        self.root().join("lib/modules").join(RELEASE)
    }

    pub(super) fn write(&self, path: &str, data: &[u8]) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, data).expect("write");
    }

    /// A module in `kernel/` or a folder below it, packed as its name says.
    pub(super) fn module(self, file: &str, entries: &[&str]) -> Self {
        let (stem, ending) = file.split_once('.').expect("an ending");
        let name = stem.rsplit('/').next().expect("a name");
        let module = elf(
            b".modinfo",
            &modinfo(&name.replace('-', "_"), RELEASE, entries),
        );
        let form = match ending {
            "ko.xz" => "xz:1",
            "ko.zst" => "zstd:1",
            "ko.gz" => "gzip:1",
            _ => "none",
        };
        let options = SegmentOptions::new(form.parse().expect(form));
        let mut writer = SegmentWriter::new(Vec::new(), options).expect("set up");
        writer.write_all(&module).expect("write");
        self.write(&format!("kernel/{file}"), &writer.finish().expect("finish"));
        self
    }

    fn collect(&self, wanted: &[&str]) -> Result<Modules, ModulesError> {
        collect(self.root(), RELEASE, wanted.iter().copied())
    }

    fn error(&self, wanted: &[&str]) -> String {
        self.collect(wanted).expect_err("an error").to_string()
    }
}

fn names(modules: &Modules) -> Vec<&str> {
    modules.load.iter().map(|m| m.name.as_str()).collect()
}

#[test]
fn dependencies_come_first_and_only_once() {
    let fixture = Fixture::new()
        .module("overlay.ko", &["depends="])
        .module("virtio-net.ko.xz", &["depends=net_failover,virtio-ring"])
        .module("net_failover.ko.zst", &["depends=failover"])
        .module("failover.ko.gz", &["depends="])
        .module("virtio_ring.ko", &["depends=virtio"])
        .module("virtio.ko", &["depends="]);
    let modules = fixture
        .collect(&["virtio", "virtio_net", "overlay", "virtio-net"])
        .expect("modules");
    let order = [
        "virtio",
        "failover",
        "net_failover",
        "virtio_ring",
        "virtio_net",
        "overlay",
    ];
    assert_eq!(names(&modules), order);
    for module in &modules.load {
        assert!(
            module.data.starts_with(b"\x7fELF"),
            "{} is unpacked",
            module.name
        );
    }
    assert!(modules.load[4].path.ends_with("kernel/virtio-net.ko.xz"));
}

#[test]
fn the_folder_may_be_any_of_several() {
    let fixture = Fixture::new().module("loop.ko", &["depends="]);
    let usr = TempDir::new().expect("a folder");
    fs::create_dir(usr.path().join("usr")).expect("usr");
    symlink(fixture.root().join("lib"), usr.path().join("usr/lib")).expect("a link");
    symlink("usr/lib", usr.path().join("lib")).expect("a link");
    let folders = [
        fixture.root().into(),
        fixture.root().join("lib/modules"),
        fixture.folder(),
        usr.path().into(),
    ];
    for folder in folders {
        let modules = collect(&folder, RELEASE, ["loop"]).expect("modules");
        assert_eq!(names(&modules), ["loop"]);
    }
}

#[test]
fn what_is_built_in_needs_no_file() {
    let fixture = Fixture::new().module("overlay.ko", &["depends=exportfs"]);
    fixture.write(
        "modules.builtin",
        b"kernel/fs/exportfs/exportfs.ko\nkernel/drivers/block/loop.ko\n",
    );
    let modules = fixture.collect(&["loop", "overlay"]).expect("modules");
    assert_eq!(names(&modules), ["overlay"]);
    assert_eq!(modules.builtin, ["exportfs", "loop"]);
}

#[test]
fn soft_dependencies_are_best_effort() {
    let fixture = Fixture::new()
        .module(
            "btrfs.ko",
            &[
                "softdep=pre: crypto-crc32c post: later",
                "softdep=pre: xxhash64 sha(256)",
                "depends=raid6",
            ],
        )
        .module("xxhash64.ko", &["depends="])
        .module("raid6.ko", &["depends=", "softdep=pre: wants_back"])
        .module("wants_back.ko", &["depends=helper,raid6"])
        .module("helper.ko", &["depends="]);
    let modules = fixture.collect(&["btrfs"]).expect("modules");
    assert_eq!(names(&modules), ["xxhash64", "helper", "raid6", "btrfs"]);
    assert_eq!(
        modules.unmet_soft,
        ["crypto_crc32c", "sha(256)", "wants_back"]
    );
}

#[test]
fn what_was_given_up_is_not_tried_by_each_that_wants_it() {
    // Each of a level wants both of the next one, and needs the module that all of it is for.
    const LEVELS: usize = 40;
    let mut fixture = Fixture::new().module("top.ko", &["softdep=pre: a00 b00"]);
    for level in 0..LEVELS {
        let next = level + 1;
        let wanted = format!("softdep=pre: a{next:02} b{next:02}");
        for letter in ["a", "b"] {
            let file = format!("{letter}{level:02}.ko");
            fixture = fixture.module(&file, &[&wanted, "depends=helper,top"]);
        }
    }
    let fixture = fixture.module("helper.ko", &["depends="]);
    let modules = fixture.collect(&["top"]).expect("modules");
    assert_eq!(names(&modules), ["helper", "top"]);
    // Those of the last level want two that are nowhere.
    assert_eq!(modules.unmet_soft.len(), 2 * LEVELS + 2);
}

#[test]
fn what_was_given_up_is_loaded_when_it_can_be() {
    let fixture = Fixture::new()
        .module("top.ko", &["depends=base,back,more"])
        .module("base.ko", &["softdep=pre: back more"])
        .module("back.ko.xz", &["depends=base", "softdep=pre: helper"])
        .module("helper.ko", &[])
        .module("more.ko", &["softdep=pre: helper", "depends=back"]);
    let modules = fixture.collect(&["top"]).expect("modules");
    assert_eq!(names(&modules), ["helper", "base", "back", "more", "top"]);
    assert_eq!(modules.unmet_soft, ["back", "more"]);
    for module in &modules.load {
        assert!(module.data.starts_with(b"\x7fELF"), "{}", module.name);
    }
}

#[test]
fn a_circle_is_shown_although_a_part_of_it_was_given_up() {
    let fixture = Fixture::new()
        .module("a.ko", &["softdep=pre: b", "depends=c"])
        .module("b.ko", &["depends=a"])
        .module("c.ko", &["depends=b"]);
    let text = fixture.error(&["a"]);
    assert!(text.contains("a -> c -> b -> a"), "{text}");
}

#[test]
fn soft_dependencies_may_name_algorithms() {
    let fixture = Fixture::new()
        .module("fs/ext4.ko", &["softdep=pre: crypto-crc32c sha256"])
        .module("fs/xfs.ko", &["softdep=pre: crypto-fast"])
        .module("crypto/crc32c_generic.ko.xz", &["alias=crypto-crc32c"])
        .module("arch/x86/crypto/crc32c-intel.ko", &["alias=crypto-crc32c"])
        .module("arch/x86/crypto/fast-b.ko", &["alias=crypto-fast"])
        .module("arch/x86/crypto/fast-a.ko", &["alias=crypto-fast"])
        .module("drivers/crypto/card.ko", &["alias=crypto-fast"]);
    fixture.write(
        "modules.builtin.modinfo",
        b"sha256.author=M\xfcller\0sha256.alias=sha256\0",
    );
    let modules = fixture.collect(&["ext4", "xfs"]).expect("modules");
    assert_eq!(
        names(&modules),
        ["crc32c_generic", "ext4", "fast_a", "fast_b", "xfs"]
    );
    assert!(modules.unmet_soft.is_empty(), "{:?}", modules.unmet_soft);
}

#[test]
fn links_are_followed_but_not_to_the_sources() {
    let fixture = Fixture::new().module("loop.ko", &["depends="]);
    let other = TempDir::new().expect("a folder");
    let module = elf(b".modinfo", &modinfo("zfs", RELEASE, &["depends="]));
    fs::write(other.path().join("zfs.ko"), module).expect("write");
    symlink(other.path(), fixture.folder().join("extra")).expect("a link");
    symlink("/no/such/sources", fixture.folder().join("build")).expect("a link");
    symlink("..", fixture.folder().join("source")).expect("a link");
    let modules = fixture.collect(&["zfs"]).expect("modules");
    assert_eq!(names(&modules), ["zfs"]);
    symlink(".", fixture.folder().join("kernel/again")).expect("a link");
    assert!(
        fixture.error(&["zfs"]).contains("again"),
        "a circle of links"
    );
}

#[test]
fn updates_go_before_what_came_with_the_kernel() {
    let fixture = Fixture::new().module("loop.ko", &["depends="]);
    let newer = elf(
        b".modinfo",
        &modinfo("loop", RELEASE, &["depends=", "alias=newer"]),
    );
    fixture.write("updates/dkms/loop.ko", &newer);
    let modules = fixture.collect(&["loop"]).expect("modules");
    assert_eq!(modules.load[0].data, newer);
}

#[test]
fn what_is_missing_is_named_with_the_folder_and_the_release() {
    let fixture = Fixture::new().module("overlay.ko", &["depends=exportfs"]);
    let folder = fixture.folder();
    let text = fixture.error(&["squashfs"]);
    assert!(
        text.contains("module squashfs") && text.contains(RELEASE),
        "{text}"
    );
    assert!(text.contains(&folder.display().to_string()), "{text}");
    let text = fixture.error(&["overlay"]);
    assert!(text.contains("module overlay needs exportfs"), "{text}");
    assert!(
        fixture
            .error(&["../loop"])
            .contains("\"../loop\" cannot be")
    );
}

#[test]
fn modules_of_another_kernel_are_refused() {
    let fixture = Fixture::new();
    let other = elf(b".modinfo", &modinfo("loop", "6.1.0-other", &["depends="]));
    fixture.write("kernel/loop.ko", &other);
    let text = fixture.error(&["loop"]);
    assert!(
        text.contains("6.1.0-other") && text.contains(RELEASE),
        "{text}"
    );
}

#[test]
fn a_release_is_chosen_or_the_others_are_named() {
    let fixture = Fixture::new().module("loop.ko", &["depends="]);
    let others = fixture.root().join("lib/modules");
    for release in ["5.10.0", "6.1.0"] {
        fs::create_dir_all(others.join(release).join("kernel")).expect("folders");
    }
    assert_eq!(
        names(&fixture.collect(&["loop"]).expect("modules")),
        ["loop"]
    );
    let error = collect(fixture.root(), "7.0.0", ["loop"]).expect_err("none fits");
    let text = error.to_string();
    assert!(
        text.contains("5.10.0, 6.1.0, 6.12.107-test") && text.contains("7.0.0"),
        "{text}"
    );
    // With one release only, what its modules say is more to the point than the folder's name.
    let only = Fixture::new().module("loop.ko", &["depends="]);
    let error = collect(only.root(), "7.0.0", ["loop"]).expect_err("another kernel");
    assert!(matches!(error, ModulesError::OtherKernel { .. }), "{error}");
    let empty = TempDir::new().expect("a folder");
    let error = collect(empty.path(), RELEASE, ["loop"]).expect_err("empty");
    assert!(
        error.to_string().contains("holds no kernel modules"),
        "{error}"
    );
    let error = collect("/no/such/folder".as_ref(), RELEASE, ["loop"]).expect_err("missing");
    assert!(
        error.to_string().contains("cannot read /no/such/folder"),
        "{error}"
    );
}

#[test]
fn circles_are_shown() {
    let fixture = Fixture::new()
        .module("a.ko", &["depends=b"])
        .module("b.ko", &["depends=c"])
        .module("c.ko", &["depends=b"]);
    assert!(fixture.error(&["a"]).contains("b -> c -> b"));
}

#[test]
fn damaged_modules_are_named() {
    let fixture = Fixture::new();
    let file = |name: &str, data: &[u8]| fixture.write(&format!("kernel/{name}.ko"), data);
    file("text", b"no module");
    file("empty", b"");
    file("program", &elf(b".text", b"code"));
    file("unsaid", &elf(b".modinfo", b"name=unsaid\0"));
    file(
        "renamed",
        &elf(b".modinfo", &modinfo("other", RELEASE, &[])),
    );
    file(
        "odd",
        &elf(b".modinfo", &modinfo("odd", RELEASE, &["depends=../x"])),
    );
    file("cut", &[0x28, 0xb5, 0x2f, 0xfd, 0x24]);
    for (name, reason) in [
        ("text", "no ELF file"),
        ("empty", "no ELF file"),
        ("program", "no .modinfo"),
        ("unsaid", "does not name the kernel"),
        ("renamed", "the module other"),
        ("odd", "\"../x\" for depends"),
        ("cut", "does not unpack (zstd"),
    ] {
        let text = fixture.error(&[name]);
        assert!(
            text.contains(reason) && text.contains(&format!("/{name}.ko")),
            "{text}"
        );
    }
}

#[test]
fn a_bomb_is_stopped() {
    let mut writer = SegmentWriter::new(
        Vec::new(),
        SegmentOptions::new("zstd:1".parse().expect("zstd")),
    )
    .expect("set up");
    std::io::copy(&mut std::io::repeat(0).take(257 << 20), &mut writer).expect("write");
    let fixture = Fixture::new();
    fixture.write("kernel/bomb.ko.zst", &writer.finish().expect("finish"));
    assert!(
        fixture
            .error(&["bomb"])
            .contains("larger than 268435456 bytes")
    );
}

const VERITY: Besides = Besides {
    verity: true,
    stream: false,
};

/// The names of what is loaded with dm-verity.
fn with_verity(fixture: &Fixture) -> Result<Vec<String>, ModulesError> {
    let found = collect_with(VERITY, fixture.root(), RELEASE, ["loop"])?;
    Ok(found.load.into_iter().map(|module| module.name).collect())
}

#[test]
fn dm_verity_comes_with_what_it_needs_and_with_its_hash() {
    let fixture = Fixture::new()
        .module("drivers/block/loop.ko", &[])
        .module("drivers/md/dm-mod.ko", &[])
        .module("drivers/md/dm-bufio.ko", &["depends=dm-mod"])
        .module("drivers/md/dm-verity.ko", &["depends=dm-bufio,dm-mod"])
        .module("crypto/sha256_generic.ko", &["alias=crypto-sha256"])
        .module(
            "arch/x86/crypto/sha256-ssse3.ko",
            &["alias=crypto-sha256", "depends="],
        );
    let expected = [
        "loop",
        "dm_mod",
        "dm_bufio",
        "dm_verity",
        "sha256_generic",
        "sha256_ssse3",
    ];
    assert_eq!(with_verity(&fixture).expect("found"), expected);
    // Nothing of it comes where it was not asked for.
    assert_eq!(names(&fixture.collect(&["loop"]).expect("found")), ["loop"]);
}

#[test]
fn a_kernel_that_has_dm_verity_and_its_hash_built_in_needs_no_module() {
    let fixture = Fixture::new().module("drivers/block/loop.ko", &[]);
    let builtin = ["drivers/md/dm-mod.ko", "drivers/md/dm-verity.ko"];
    let list = builtin.map(|name| format!("kernel/{name}\n")).concat();
    fixture.write("modules.builtin", list.as_bytes());
    fixture.write(
        "modules.builtin.modinfo",
        b"sha256_generic.alias=crypto-sha256\0",
    );
    assert_eq!(with_verity(&fixture).expect("found"), ["loop"]);
    // A kernel may have the hash without a name.
    fixture.write("modules.builtin.modinfo", b"");
    let found = collect_with(VERITY, fixture.root(), RELEASE, []).expect("found");
    assert_eq!(found.builtin, ["dm_verity"]);
    assert_eq!(found.unmet_soft, ["crypto_sha256"]);
}

#[test]
fn a_kernel_without_dm_verity_is_refused() {
    let fixture = Fixture::new().module("drivers/block/loop.ko", &[]);
    let error = with_verity(&fixture).expect_err("no dm-verity").to_string();
    assert!(error.contains("CONFIG_DM_VERITY"), "{error}");
    assert!(error.contains(RELEASE), "{error}");
    // What is there and cannot be loaded is another matter.
    let fixture = fixture.module("drivers/md/dm-verity.ko", &["depends=dm-bufio"]);
    let error = with_verity(&fixture).expect_err("no dm-bufio").to_string();
    assert!(error.contains("needs dm_bufio"), "{error}");
}

/// The names of what is loaded for a store that is fetched while the system runs.
fn with_stream(fixture: &Fixture, verity: bool) -> Result<Vec<String>, ModulesError> {
    let besides = Besides {
        verity,
        stream: true,
    };
    let found = collect_with(besides, fixture.root(), RELEASE, ["loop"])?;
    Ok(found.load.into_iter().map(|module| module.name).collect())
}

#[test]
fn streaming_takes_nbd_and_the_device_mapper_once() {
    let fixture = Fixture::new()
        .module("drivers/block/loop.ko", &[])
        .module("drivers/block/nbd.ko", &[])
        .module("drivers/md/dm-mod.ko", &[])
        .module("drivers/md/dm-verity.ko", &["depends=dm-mod"]);
    let expected = ["loop", "nbd", "dm_mod"];
    assert_eq!(with_stream(&fixture, false).expect("found"), expected);
    let expected = ["loop", "dm_mod", "dm_verity", "nbd"];
    assert_eq!(with_stream(&fixture, true).expect("found"), expected);
}

#[test]
fn a_kernel_without_what_streaming_needs_is_refused_by_its_option() {
    let fixture = Fixture::new().module("drivers/block/loop.ko", &[]);
    let error = with_stream(&fixture, false).expect_err("no nbd");
    let text = error.to_string();
    assert!(text.contains("no nbd (CONFIG_BLK_DEV_NBD)"), "{text}");
    assert!(text.contains(RELEASE), "{text}");
    assert!(error.path().is_some());
    let fixture = fixture.module("drivers/block/nbd.ko", &[]);
    let text = with_stream(&fixture, false)
        .expect_err("no dm-mod")
        .to_string();
    assert!(text.contains("no dm_mod (CONFIG_BLK_DEV_DM)"), "{text}");
    // Built in is as good.
    fixture.write("modules.builtin", b"kernel/drivers/md/dm-mod.ko\n");
    assert_eq!(
        with_stream(&fixture, false).expect("found"),
        ["loop", "nbd"]
    );
}
