//! A small store, its image, and initrds that carry it, made with other tools than storeboot's own where possible.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use storeboot::kernel::KernelImage;
use storeboot::modules::{DriverRequest, collect_drivers};
use storeboot_cpio::{Metadata, Writer};
use storeboot_index::{CHUNK_SIZE, Chunks, Image, Index, Layout};
use storeboot_tests::debian::static_binaries;
use storeboot_tests::qemu::Kernel;

/// What the tests start.
pub const INIT: &str = "/nix/store/22222222222222222222222222222222-system/init";

const BUSYBOX: &str = "00000000000000000000000000000000-busybox";
const DATA: &str = "11111111111111111111111111111111-data";
const SYSTEM: &str = "22222222222222222222222222222222-system";

/// The store and its images, made once for all tests.
pub struct Store {
    /// A folder with the content of `/nix/store`.
    pub folder: PathBuf,
    /// The SHA-256 of the data file, in hexadecimal.
    pub data_hash: String,
    /// The whole store as one image.
    pub image: Vec<u8>,
    /// The store as two images: the data, and the rest.
    pub halves: [Vec<u8>; 2],
    stage1: Vec<u8>,
}

/// Builds the store, or returns it.
pub fn store() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stage1");
        let _ = fs::remove_dir_all(&base);
        let folder = base.join("store");
        let busybox = folder.join(BUSYBOX).join("bin/busybox");
        fs::create_dir_all(busybox.parent().unwrap()).unwrap();
        fs::copy("/bin/busybox", &busybox).expect("busybox-static is installed");

        // Bytes that do not compress and differ in every block.
        let data: Vec<u8> = (0..65_536_u32)
            .flat_map(|i| Sha256::digest(i.to_le_bytes()))
            .collect();
        fs::create_dir(folder.join(DATA)).unwrap();
        fs::write(folder.join(DATA).join("data"), &data).unwrap();
        fs::write(folder.join(DATA).join("target"), "through a link").unwrap();
        symlink("target", folder.join(DATA).join("link")).unwrap();

        let system = folder.join(SYSTEM);
        fs::create_dir(&system).unwrap();
        let path = format!("/nix/store/{BUSYBOX}/bin/busybox");
        let script = format!("#!{path} sh\nbusybox={path}\n{}", include_str!("stage2.sh"));
        fs::write(system.join("script"), script).unwrap();
        fs::set_permissions(system.join("script"), PermissionsExt::from_mode(0o555)).unwrap();
        // NixOS's init may be a link, absolute and within the store.
        symlink(format!("/nix/store/{SYSTEM}/script"), system.join("init")).unwrap();
        symlink("/nix/store/gone", system.join("dangling")).unwrap();

        let all = [BUSYBOX, DATA, SYSTEM];
        Store {
            data_hash: hex(&Sha256::digest(&data)),
            image: squashfs(&folder, &all, &base.join("all.squashfs")),
            halves: [
                squashfs(&folder, &[DATA], &base.join("data.squashfs")),
                squashfs(&folder, &[BUSYBOX, SYSTEM], &base.join("rest.squashfs")),
            ],
            stage1: fs::read(static_binaries().join("storeboot-init")).unwrap(),
            folder,
        }
    })
}

fn squashfs(folder: &Path, names: &[&str], file: &Path) -> Vec<u8> {
    let mut mksquashfs = Command::new("mksquashfs");
    // A single directory would become the root of the image without this.
    mksquashfs.args(names).arg(file).args([
        "-keep-as-directory",
        "-all-root",
        "-quiet",
        "-no-progress",
    ]);
    mksquashfs
        .args(["-comp", "zstd", "-Xcompression-level", "1"])
        .current_dir(folder);
    let output = mksquashfs.output().expect("squashfs-tools is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::read(file).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An index for images of these bytes.
pub fn index(layout: Layout, images: &[&[u8]]) -> Index {
    let images = images.iter().enumerate().map(|(number, bytes)| Image {
        path: format!("storeboot/images/{number}.squashfs"),
        size: bytes.len() as u64,
        offset: None,
        sha256: Sha256::digest(bytes).into(),
        superblock: bytes[..96].try_into().unwrap(),
        verity: None,
        hot: None,
    });
    Index {
        layout,
        memory: 64 << 20,
        modules: Vec::new(),
        images: images.collect(),
    }
}

/// An initrd of one archive that is being written.
pub struct Archive(Writer<Vec<u8>>);

impl Archive {
    /// An archive with nothing in it.
    pub fn empty() -> Self {
        Self(Writer::new(Vec::new()))
    }

    /// An archive with what every layout has but the index: stage 1, a console, and rubbish that should be removed.
    pub fn with_stage1() -> Self {
        let mut archive = Self::empty();
        for folder in [
            "dev",
            "proc",
            "sys",
            "storeboot",
            "storeboot/modules",
            "storeboot/images",
            "storeboot/rubbish",
            "storeboot/rubbish/more",
        ] {
            archive.folder(folder);
        }
        archive
            .0
            .char_device("dev/console", &Metadata::mode(0o600), 5, 1)
            .unwrap();
        archive.stage1();
        archive.file("storeboot/rubbish/more/eight-megabytes", &vec![1; 8 << 20]);
        archive
    }

    /// Adds stage 1 as what the kernel starts.
    pub fn stage1(&mut self) {
        self.executable("init", &store().stage1);
    }

    /// Adds the modules that a store image needs, and names them in the index.
    pub fn modules(&mut self, kernel: &Kernel, index: &mut Index) {
        for (number, name) in ["loop", "squashfs", "overlay"].into_iter().enumerate() {
            let path = format!("storeboot/modules/{number:02}-{name}.ko");
            self.file(&path, &kernel.module(name));
            index.modules.push(path);
        }
    }

    pub fn folder(&mut self, name: &str) {
        self.0.directory(name, &Metadata::directory()).unwrap();
    }

    pub fn file(&mut self, name: &str, content: &[u8]) {
        self.0
            .file(name, &Metadata::file(), content.len() as u64, content)
            .unwrap();
    }

    pub fn executable(&mut self, name: &str, content: &[u8]) {
        self.0
            .file(name, &Metadata::executable(), content.len() as u64, content)
            .unwrap();
    }

    pub fn link(&mut self, name: &str, target: &str) {
        self.0.symlink(name, &Metadata::symlink(), target).unwrap();
    }

    /// Adds what the kernel will not unpack, since there is no such directory, and returns where it is.
    pub fn in_place(&mut self, name: &str, content: &[u8]) -> u64 {
        let name = format!("no-such-directory/{name}");
        self.0
            .aligned_file(name, &Metadata::file(), 4096, content.len() as u64, content)
            .unwrap()
    }

    /// The bytes, ended.
    pub fn finish(self) -> Vec<u8> {
        self.0.finish().unwrap()
    }
}

/// Layout `file` with the whole store; `change` may spoil the index.
pub fn file(kernel: &Kernel, change: impl FnOnce(&mut Index)) -> Vec<u8> {
    let image = &store().image;
    let mut index = index(Layout::File, &[image]);
    let mut archive = Archive::with_stage1();
    archive.modules(kernel, &mut index);
    change(&mut index);
    archive.file("storeboot/index", index.to_string().as_bytes());
    archive.file("storeboot/images/0.squashfs", image);
    archive.finish()
}

/// Layout `fetch` with these images, which get into a folder, and with the drivers of the cards and disks that QEMU's
/// machines have.
pub fn fetch(kernel: &Kernel, images: &[&[u8]], folder: &Path) -> Vec<u8> {
    let mut index = index(Layout::Fetch, images);
    fs::create_dir_all(folder.join("images")).unwrap();
    for (image, bytes) in index.images.iter_mut().zip(images) {
        image.path = format!("images/{}.squashfs", hex(&image.sha256));
        fs::write(folder.join(&image.path), bytes).unwrap();
    }
    let hashes = |bytes: &&[u8]| -> Vec<[u8; 32]> {
        let chunks = bytes.chunks(CHUNK_SIZE as usize);
        chunks.map(|chunk| Sha256::digest(chunk).into()).collect()
    };
    let chunks = Chunks::new(images.iter().map(hashes).collect());
    let release = KernelImage::read(kernel.image()).unwrap().version.release;
    let request = DriverRequest {
        network: &["virtio_net".to_owned()],
        disk: &["virtio_blk".to_owned()],
        firmware: None,
    };
    let found = collect_drivers(kernel.folder(), &release, &request).unwrap();
    let mut archive = Archive::with_stage1();
    archive.modules(kernel, &mut index);
    let mut drivers = found.drivers;
    // No driver of this kernel has firmware. A boot shows that it does not stay in the system.
    let firmware = "lib/firmware/card/firmware.bin";
    drivers.firmware.push(firmware.into());
    for folder in ["lib", "lib/firmware", "lib/firmware/card"] {
        archive.folder(folder);
    }
    archive.file(firmware, b"firmware");
    for (path, module) in drivers.files.iter().zip(&found.modules) {
        archive.folder(Path::new(path).parent().unwrap().to_str().unwrap());
        archive.file(path, &module.data);
    }
    archive.file("storeboot/drivers", drivers.to_string().as_bytes());
    archive.file("storeboot/index", index.to_string().as_bytes());
    archive.file("storeboot/chunks", &chunks.to_bytes());
    archive.finish()
}

/// Layout `in-place` with these images: an archive that is unpacked, one with the index, padded to a fixed size so
/// that the index can hold offsets behind itself, and one with the images.
pub fn in_place(kernel: &Kernel, images: &[&[u8]]) -> Vec<u8> {
    const ROOM: usize = 8192;
    let mut index = index(Layout::InPlace, images);
    let mut archive = Archive::with_stage1();
    archive.modules(kernel, &mut index);
    let mut initrd = archive.finish();

    let end = initrd.len() + ROOM;
    let mut tail = Archive(Writer::with_offset(Vec::new(), end as u64).unwrap());
    // Where a name cannot be padded as far as an image needs, which depends on the size of stage 1, a directory's can.
    tail.folder("storeboot");
    for (image, bytes) in index.images.iter_mut().zip(images) {
        image.offset = Some(tail.in_place(&image.path, bytes));
    }
    let mut middle = Archive::empty();
    middle.file("storeboot/index", index.to_string().as_bytes());
    initrd.extend(middle.finish());
    assert!(initrd.len() <= end, "the index is too long");
    initrd.resize(end, 0);
    initrd.extend(tail.finish());
    initrd
}

/// The initrd with a user's own archive before it, and a compressed one behind it. The length of the first moves every
/// part off its sector boundary.
pub fn with_own_archives(initrd: &[u8]) -> Vec<u8> {
    let mut first = Archive::empty();
    for folder in ["root", "root/.ssh"] {
        first.0.directory(folder, &Metadata::mode(0o700)).unwrap();
    }
    let key = "ssh-ed25519 of-the-user";
    let private = Metadata::mode(0o600);
    let name = "root/.ssh/authorized_keys";
    let size = key.len() as u64;
    first.0.file(name, &private, size, key.as_bytes()).unwrap();
    for (folder, mode) in [("run", 0o755), ("run/keys", 0o700)] {
        first.0.directory(folder, &Metadata::mode(mode)).unwrap();
    }
    let secret = Metadata::mode(0o400);
    first
        .0
        .file("run/keys/key", &secret, 6, &b"secret"[..])
        .unwrap();
    first.file("own", &[b'7'; 1000]);
    let mut all = first.finish();
    assert_ne!(all.len() % 512, 0);
    all.extend(initrd);

    let mut last = Archive::empty();
    for folder in ["etc", "etc/ssh", "etc/ssh/keys"] {
        last.folder(folder);
    }
    let of_a_group = Metadata {
        uid: 7,
        gid: 8,
        ..Metadata::mode(0o640)
    };
    let (name, key) = ("etc/ssh/keys/host", "key-of-the-host");
    let size = key.len() as u64;
    last.0
        .file(name, &of_a_group, size, key.as_bytes())
        .unwrap();
    last.link("etc/ssh/host", "keys/host");
    all.extend(gzip(&last.finish()));
    all
}

/// The initrd with an archive behind it that changes a file of a store path, and has a store path of its own.
pub fn with_a_changed_store(initrd: Vec<u8>) -> Vec<u8> {
    let new = "33333333333333333333333333333333-new";
    let mut archive = Archive::empty();
    for folder in [
        "nix",
        "nix/store",
        &format!("nix/store/{DATA}"),
        &format!("nix/store/{new}"),
    ] {
        archive.folder(folder);
    }
    archive.file(&format!("nix/store/{new}/file"), b"new");
    let (name, now) = (format!("nix/store/{DATA}/target"), 1_700_000_000);
    let as_made = Metadata {
        mtime: now,
        ..Metadata::mode(0o644)
    };
    archive.0.file(name, &as_made, 7, &b"changed"[..]).unwrap();
    [initrd, archive.finish()].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let output = Command::new("gzip").arg("-c").arg(file.path()).output();
    let output = output.expect("gzip is installed");
    assert!(output.status.success());
    output.stdout
}

/// Layout `direct` with the whole store, the index last.
pub fn direct(archive: Archive) -> Vec<u8> {
    let mut archive = archive;
    for folder in ["nix", "nix/store"] {
        archive.folder(folder);
    }
    unpacked(&mut archive, &store().folder, "nix/store");
    archive.file(
        "storeboot/index",
        index(Layout::Direct, &[]).to_string().as_bytes(),
    );
    archive.finish()
}

fn unpacked(archive: &mut Archive, folder: &Path, name: &str) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        let name = format!("{name}/{}", entry.file_name().to_str().unwrap());
        if kind.is_dir() {
            archive.folder(&name);
            unpacked(archive, &path, &name);
        } else if kind.is_symlink() {
            archive.link(&name, fs::read_link(&path).unwrap().to_str().unwrap());
        } else {
            archive.executable(&name, &fs::read(&path).unwrap());
        }
    }
}

/// Writes an initrd to a file of its own.
pub fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stage1-{name}.initrd"));
    fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    path
}
