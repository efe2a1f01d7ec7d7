//! Netboot directories whose stage 1 is a script, and machines that boot them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use storeboot_cpio::Metadata;
use storeboot_index::Layout;
use storeboot_tests::command::{printed, storeboot};
use storeboot_tests::fixture::INIT;
use storeboot_tests::http::Site;
use storeboot_tests::qemu::{Boot, Kernel, LIMIT, Machine, QUIET};
use storeboot_tests::small_system::SmallSystem;

use crate::archive::Archive;
use crate::module;

/// Where the script's programs are: in the store, as NixOS's are, but not in the booted one.
const BUSYBOX: &str = "nix/store/88888888888888888888888888888888-stage-1/bin/busybox";

/// What is special about a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// Nothing.
    Plain,
    /// The store is several images, and mounts are shared.
    SeveralImages,
    /// Mounts are shared, as systemd does.
    Shared,
    /// The images are checked, they have hash trees, and the store is read-only.
    Verified,
    /// It is tried too early first.
    Early,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("other-stage-1")
}

/// The system, or nothing where machines cannot be run.
pub fn system() -> Option<&'static SmallSystem> {
    static SYSTEM: OnceLock<Option<SmallSystem>> = OnceLock::new();
    let make = || Some(SmallSystem::in_folder(&folder(), Kernel::debian("6.12")?));
    SYSTEM.get_or_init(make).as_ref()
}

/// The initrd with the script, compressed as NixOS does it, in a file for the test of this name.
pub fn initrd(layout: Layout, given: Given, name: &str) -> PathBuf {
    let system = system().expect("there is a kernel");
    let mut archive = Archive::new();
    let program = Metadata::executable();
    let script = format!(
        "#!/{BUSYBOX} sh\nbusybox=/{BUSYBOX}\n{}",
        include_str!("init.sh")
    );
    archive.file("init", &program, script.as_bytes());
    let busybox = fs::read("/bin/busybox").expect("busybox-static is installed");
    archive.file(BUSYBOX, &program, &busybox);
    let network: &[&str] = match layout {
        Layout::Fetch => &["failover", "net_failover", "virtio_net"],
        _ => &[],
    };
    let verity: &[&str] = match given {
        Given::Verified => &["dm-mod", "dm-bufio", "reed_solomon", "dm-verity"],
        _ => &[],
    };
    let modules = ["loop", "squashfs", "overlay"].iter();
    for module in modules.chain(network).chain(verity) {
        let name = format!("lib/{module}.ko");
        archive.file(&name, &Metadata::file(), &system.kernel.module(module));
    }
    archive.link("bin", &format!("/{}", BUSYBOX.trim_end_matches("/busybox")));
    archive.file("etc/initrd-release", &Metadata::file(), b"ID=other\n");
    archive.file("dev/empty", &Metadata::file(), b"");
    if matches!(given, Given::Shared | Given::SeveralImages) {
        archive.file("shared", &Metadata::file(), b"");
    }
    let how = match given {
        Given::Early => "early",
        _ => "",
    };
    archive.file("how", &Metadata::file(), how.as_bytes());
    for (name, text) in ["before-mounts", "after-mounts"]
        .iter()
        .zip(module::commands(layout))
    {
        archive.file(name, &Metadata::file(), text.as_bytes());
    }
    let file = folder().join(format!("{name}.initrd"));
    fs::write(&file, archive.finish()).expect("an initrd");
    printed(
        Command::new("zstd")
            .args(["-q", "-f", "-1", "--rm"])
            .arg(&file),
    );
    file.with_extension("initrd.zst")
}

/// A netboot directory of this name.
pub fn build(system: &SmallSystem, layout: Layout, given: Given, name: &str) -> PathBuf {
    let name = format!("{name}-{layout}");
    let initrd = initrd(layout, given, &name);
    let mut arguments: Vec<&Path> = vec!["--initrd".as_ref(), &initrd];
    let more: &[&str] = match given {
        Given::SeveralImages => &["--image-limit", "2200K"],
        Given::Verified => &["--verify-at-boot", "--verity", "--read-only-store"],
        _ => &[],
    };
    arguments.extend(more.iter().map(Path::new));
    system.build(&name, layout, &arguments)
}

/// Boots a system whose stage 1 gets at the store in this way, and checks that it arrives with a whole store.
pub fn boots(layout: Layout, how: &str, given: Given) -> Option<Boot> {
    let boot = run(layout, how, given, "", |whole| whole)?;
    system()?.is_booted(&boot, layout);
    assert!(!boot.console.contains("storeboot: warning"), "{boot}");
    let attached = boot.console.matches("OTHER device ").count();
    match (layout, given) {
        (Layout::Direct, _) => assert_eq!(attached, 0, "{boot}"),
        (_, Given::SeveralImages) => assert!(attached > 1, "{boot}"),
        _ => assert_eq!(attached, 1, "{boot}"),
    }
    Some(boot)
}

/// Boots a system whose stage 1 sets up the network and has the store fetched, and checks that it arrives with a whole
/// store.
pub fn fetches() {
    let Some(system) = system() else { return };
    let netboot = build(system, Layout::Fetch, Given::SeveralImages, "fetches");
    let server = Site::of(&netboot).serve();
    let line = fs::read_to_string(netboot.join("kernelAppend")).expect("a command line");
    let boot = Machine::new()
        .kernel(netboot.join("bzImage"))
        .initrd(netboot.join("initrd"))
        .memory_mib(1024)
        .argument("-nic")
        .argument("user,model=virtio-net-pci")
        .append(line.trim())
        .append(&format!(
            "storeboot.store={} storeboot.verify how=module",
            server.url("")
        ))
        .boot(LIMIT);
    system.is_booted(&boot, Layout::Fetch);
    assert!(boot.console.contains("storeboot.verify: "), "{boot}");
    let asked = server.asked();
    assert!(!asked.is_empty(), "{boot}");
    assert!(
        asked.iter().all(|name| name.starts_with("images/")),
        "{asked:?}"
    );
    fs::remove_dir_all(netboot).expect("a folder of ours");
}

/// Boots an initrd that was put together by hand: another stage 1 and a store image under this name, and nothing of
/// storeboot's. Checks that the system arrives with a whole store.
pub fn boots_by_hand(initrd: &Path, image: &str, more: &str) -> Option<Boot> {
    let system = system()?;
    let file = initrd.with_extension("squashfs");
    let mut pack = Command::new(storeboot());
    pack.args(["--quiet", "pack", "--compression", "zstd:1", "--path-info"])
        .arg(system.path_info())
        .arg("--store-root")
        .arg(system.store_root())
        .args(["--format", "squashfs", "--output"])
        .arg(&file);
    printed(&mut pack);
    let mut archive = Archive::new();
    let content = fs::read(&file).expect("a store image");
    archive.file(image, &Metadata::file(), &content);
    let mut whole = fs::read(initrd).expect("an initrd");
    whole.resize(whole.len().next_multiple_of(4), 0);
    whole.extend(archive.finish());
    let by_hand = initrd.with_extension("by-hand");
    fs::write(&by_hand, whole).expect("an initrd");
    let boot = Machine::new()
        .kernel(system.kernel.image())
        .initrd(&by_hand)
        .memory_mib(1024)
        .append(&format!(
            "init={INIT} console=ttyS0 panic=-1 no_timer_check {QUIET} {more}"
        ))
        .boot(LIMIT);
    system.is_booted(&boot, Layout::File);
    Some(boot)
}

/// Boots what should not work and checks the one sentence that is said.
pub fn says(
    layout: Layout,
    how: &str,
    without: &str,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
    sentence: &str,
) {
    let (how, given) = match how.strip_suffix("-verify") {
        Some(how) => (how, Given::Verified),
        None => (how, Given::Plain),
    };
    let Some(boot) = run(layout, how, given, without, change) else {
        return;
    };
    assert!(boot.powered_off(), "{boot}");
    assert!(!boot.console.contains("STAGE2"), "{boot}");
    assert!(boot.console.contains("OTHER failed: attach: 1"), "{boot}");
    // Steps have their time before them, and what is worth a line in the log its own.
    let said: Vec<&str> = boot
        .console
        .lines()
        .filter_map(|line| line.strip_prefix("storeboot: "))
        .filter(|said| !said.starts_with(|c: char| c.is_ascii_digit()))
        .filter(|said| !said.starts_with("storeboot.verify: reading"))
        .collect();
    assert_eq!(said.len(), 1, "{boot}");
    assert!(said[0].contains(sentence), "no {sentence:?} in {boot}");
}

/// Boots the initrd as `change` leaves it, without a word of the command line.
pub fn run(
    layout: Layout,
    how: &str,
    given: Given,
    without: &str,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Option<Boot> {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let system = system()?;
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let netboot = build(system, layout, given, &format!("{how}-{number}"));
    let read = |name: &str| fs::read(netboot.join(name)).expect("a file of the netboot directory");
    let line = String::from_utf8(read("kernelAppend")).expect("text");
    let words = line.split_whitespace().filter(|word| *word != without);
    let line = words.collect::<Vec<_>>().join(" ");
    let initrd = netboot.join("changed");
    fs::write(&initrd, change(read("initrd"))).expect("an initrd");
    let machine = Machine::new()
        .kernel(netboot.join("bzImage"))
        .initrd(&initrd)
        .append(&line)
        .append(&format!("how={how}"));
    let boot = machine.boot(LIMIT);
    fs::remove_dir_all(netboot).expect("a folder of ours");
    Some(boot)
}
