//! systemd as stage 1: this machine's own, in an initrd with what `initrd.target` needs, and the NixOS module's units:
//! in layout `direct` they make the whole store, else what lies below NixOS's own mounts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot_cpio::Metadata;
use storeboot_index::Layout;
use storeboot_tests::command::{printed, skip_for_want_of};
use storeboot_tests::qemu::{LIMIT, Machine};
use storeboot_tests::small_system::SmallSystem;

use crate::archive::Archive;
use crate::machine::{folder, system};
use crate::module;

/// Debian's places, by their names behind its links `/lib` and `/bin`.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";
const UNITS: &str = "/usr/lib/systemd/system";
const PROGRAMS: [&str; 3] = [SYSTEMD, "/usr/bin/systemctl", "/usr/bin/mount"];
/// What starts the services since systemd 255.
const EXECUTOR: &str = "/usr/lib/systemd/systemd-executor";

/// What systemd says is worth a look where a boot fails.
const MESSAGES: &str = "rd.systemd.show_status=yes systemd.journald.forward_to_console=0";

/// Units of ours, under `/etc/systemd/system`, whatever the layout.
const OWN_UNITS: [(&str, &str); 5] = [
    (
        "sysroot.mount",
        "[Unit]\nDefaultDependencies=no\nBefore=initrd-root-fs.target\n\
         [Mount]\nWhat=tmpfs\nWhere=/sysroot\nType=tmpfs\nOptions=mode=0755\n",
    ),
    (
        "modules.service",
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/usr/bin/busybox insmod /modules/loop.ko\n\
         ExecStart=/usr/bin/busybox insmod /modules/squashfs.ko\n\
         ExecStart=/usr/bin/busybox insmod /modules/overlay.ko\n",
    ),
    // systemd switches to what looks like a system.
    (
        "system.service",
        "[Unit]\nDefaultDependencies=no\nRequiresMountsFor=/sysroot\nBefore=initrd-fs.target\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/busybox mkdir -p /sysroot/etc\n\
         ExecStart=/usr/bin/busybox touch /sysroot/etc/os-release\n",
    ),
    // Debian's looks for an fstab in the new root first.
    (
        "initrd-parse-etc.service",
        "[Unit]\nDefaultDependencies=no\nRequires=initrd-root-fs.target\nAfter=initrd-root-fs.target\n\
         [Service]\nType=oneshot\nExecStart=systemctl --no-block start initrd-cleanup.service\n",
    ),
    // Nobody is there to log in.
    (
        "emergency.service",
        "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/usr/bin/busybox poweroff -f\n",
    ),
];

/// Where the module's file systems have an overlay: the mounts that NixOS's fstab makes of them, and the folders that
/// are made for its overlay.
const OVERLAY: [(&str, &str); 4] = [
    (
        "sysroot-nix-.ro\\x2dstore.mount",
        "[Unit]\nDefaultDependencies=no\nAfter=modules.service\nBefore=initrd-fs.target\n\
         [Mount]\nWhat=../nix-store.squashfs\nWhere=/sysroot/nix/.ro-store\nType=squashfs\nOptions=loop\n",
    ),
    (
        "sysroot-nix-.rw\\x2dstore.mount",
        "[Unit]\nDefaultDependencies=no\nBefore=initrd-fs.target\n\
         [Mount]\nWhat=tmpfs\nWhere=/sysroot/nix/.rw-store\nType=tmpfs\nOptions=mode=0755\n",
    ),
    (
        "rw.service",
        "[Unit]\nDefaultDependencies=no\nRequiresMountsFor=/sysroot/nix/.rw-store\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/usr/bin/busybox mkdir -p /sysroot/nix/.rw-store/store /sysroot/nix/.rw-store/work\n",
    ),
    (
        "sysroot-nix-store.mount",
        "[Unit]\nDefaultDependencies=no\nBefore=initrd-fs.target\nRequires=rw.service\nAfter=rw.service\n\
         RequiresMountsFor=/sysroot/nix/.ro-store /sysroot/nix/.rw-store\n\
         [Mount]\nWhat=overlay\nWhere=/sysroot/nix/store\nType=overlay\n\
         Options=lowerdir=/sysroot/nix/.ro-store,upperdir=/sysroot/nix/.rw-store/store,\
         workdir=/sysroot/nix/.rw-store/work\n",
    ),
];

/// In the place of the module's file systems: a store that the module knows nothing of.
const ELSEWHERE: [(&str, &str); 1] = [(
    "sysroot-nix-store.mount",
    "[Unit]\nDefaultDependencies=no\nAfter=modules.service\nBefore=initrd-fs.target\n\
     [Mount]\nWhat=/nix-store-elsewhere.squashfs\nWhere=/sysroot/nix/store\nType=squashfs\nOptions=loop\n",
)];

/// The units of the store's mounts, and those that `initrd-fs.target` requires.
struct Mounts {
    units: &'static [(&'static str, &'static str)],
    required: &'static [&'static str],
}

impl Mounts {
    fn of(layout: Layout) -> Self {
        match layout {
            Layout::Direct => Self {
                units: &[],
                required: &[],
            },
            Layout::File | Layout::InPlace | Layout::Fetch => Self {
                units: &OVERLAY,
                required: &["sysroot-nix-.ro\\x2dstore.mount", "sysroot-nix-store.mount"],
            },
        }
    }

    fn elsewhere() -> Self {
        Self {
            units: &ELSEWHERE,
            required: &["sysroot-nix-store.mount"],
        }
    }
}

/// Whether systemd can be put into an initrd here.
fn available() -> bool {
    let found = PROGRAMS.iter().all(|program| Path::new(program).exists())
        && Path::new(UNITS).join("initrd.target").exists();
    if !found {
        skip_for_want_of("systemd is not installed, or has no units for an initrd");
    }
    found
}

/// Boots an initrd with a store image that is put beside it by hand, and without storeboot's program.
pub fn boots_by_hand(layout: Layout, image: &str) {
    if !available() {
        return;
    }
    let Some(system) = system() else { return };
    let mounts = match image {
        "nix-store.squashfs" => Mounts::of(layout),
        _ => Mounts::elsewhere(),
    };
    let initrd = initrd(
        system,
        layout,
        &mounts,
        &format!("{image}-systemd-{layout}"),
    );
    let boot = crate::machine::boots_by_hand(&initrd, image, MESSAGES).expect("a kernel");
    assert!(!boot.console.contains("emergency"), "{boot}");
}

/// Boots with systemd as stage 1 and checks that the system arrives with a whole store.
pub fn boots(layout: Layout) {
    if !available() {
        return;
    }
    let Some(system) = system() else { return };
    let name = format!("systemd-{layout}");
    let initrd = initrd(system, layout, &Mounts::of(layout), &name);
    let mut arguments: Vec<&Path> = vec!["--initrd".as_ref(), &initrd];
    if layout != Layout::Direct {
        arguments.extend(["--image-limit", "2200K"].map(Path::new));
    }
    let netboot = system.build(&name, layout, &arguments);
    let line = fs::read_to_string(netboot.join("kernelAppend")).expect("a command line");
    let machine = Machine::new()
        .kernel(netboot.join("bzImage"))
        .initrd(netboot.join("initrd"))
        .memory_mib(1024)
        .append(line.trim())
        .append(MESSAGES);
    let boot = machine.boot(LIMIT);
    system.is_booted(&boot, layout);
}

fn initrd(system: &SmallSystem, layout: Layout, mounts: &Mounts, name: &str) -> PathBuf {
    let mut archive = Archive::new();
    for name in ["bin", "lib", "lib64", "sbin"] {
        archive.link(name, &format!("usr/{name}"));
    }
    archive.link("init", SYSTEMD);
    let executor = Path::new(EXECUTOR).exists().then_some(EXECUTOR);
    let mut files = BTreeSet::new();
    for program in PROGRAMS.into_iter().chain(executor) {
        files.insert(program.to_owned());
        files.extend(libraries(program));
    }
    for file in &files {
        let content = fs::read(file).expect("a file of systemd");
        archive.file(&file[1..], &Metadata::executable(), &content);
    }
    let busybox = fs::read("/bin/busybox").expect("busybox-static is installed");
    archive.file("usr/bin/busybox", &Metadata::executable(), &busybox);
    for module in ["loop", "squashfs", "overlay"] {
        let content = system.kernel.module(module);
        archive.file(&format!("modules/{module}.ko"), &Metadata::file(), &content);
    }
    for name in ["etc/initrd-release", "etc/os-release"] {
        archive.file(name, &Metadata::file(), b"ID=test\n");
    }
    for folder in ["dev", "proc", "sys", "run", "sysroot", "tmp"] {
        archive.file(&format!("{folder}/.keep"), &Metadata::file(), b"");
    }
    units(&mut archive, layout, mounts);
    let file = folder().join(format!("{name}.initrd"));
    fs::write(&file, archive.finish()).expect("an initrd");
    printed(Command::new("gzip").args(["-f", "-1"]).arg(&file));
    file.with_extension("initrd.gz")
}

/// Adds the targets, the services of an initrd and ours.
fn units(archive: &mut Archive, layout: Layout, mounts: &Mounts) {
    let own: BTreeSet<&str> = OWN_UNITS.iter().map(|(name, _)| *name).collect();
    let mut names: Vec<String> = fs::read_dir(UNITS)
        .expect("systemd's units")
        .map(|entry| entry.expect("systemd's units").file_name())
        .map(|name| name.to_str().expect("a name in text").to_owned())
        .filter(|name| !own.contains(name.as_str()))
        .filter(|name| {
            name.ends_with(".target") || name.starts_with("initrd-") && name.ends_with(".service")
        })
        // It has udev forget what there is none of.
        .filter(|name| name != "initrd-udevadm-cleanup-db.service")
        .collect();
    names.sort();
    for name in names {
        let path = Path::new(UNITS).join(&name);
        let name = format!("{}/{name}", &UNITS[1..]);
        match fs::read_link(&path) {
            Ok(target) => archive.link(&name, target.to_str().expect("a name in text")),
            Err(_) => archive.file(&name, &Metadata::file(), &fs::read(&path).expect("a unit")),
        }
    }
    const OWN: &str = "etc/systemd/system";
    for (name, text) in OWN_UNITS.iter().chain(mounts.units) {
        archive.file(&format!("{OWN}/{name}"), &Metadata::file(), text.as_bytes());
    }
    let mut required: Vec<(String, String)> = [
        ("initrd-root-fs.target", "sysroot.mount"),
        ("initrd-fs.target", "system.service"),
    ]
    .into_iter()
    .chain(
        mounts
            .required
            .iter()
            .map(|unit| ("initrd-fs.target", *unit)),
    )
    .map(|(target, unit)| (target.to_owned(), unit.to_owned()))
    .collect();
    for unit in module::units(layout) {
        let name = format!("{OWN}/{}", unit.file);
        archive.file(&name, &Metadata::file(), unit.text.as_bytes());
        // NixOS has it load the modules.
        if unit.file.ends_with(".service") {
            let name = format!("{name}.d/modules.conf");
            let text = b"[Unit]\nRequires=modules.service\nAfter=modules.service\n";
            archive.file(&name, &Metadata::file(), text);
        }
        let of_unit = |target| (target, unit.file.clone());
        required.extend(unit.required_by.into_iter().map(of_unit));
    }
    for (target, unit) in required {
        let name = format!("{OWN}/{target}.requires/{unit}");
        archive.link(&name, &format!("/{OWN}/{unit}"));
    }
}

/// The libraries that a program loads, behind Debian's link `/lib`.
fn libraries(program: &str) -> Vec<String> {
    let said = printed(Command::new("ldd").arg(program));
    let said = String::from_utf8(said).expect("paths in text");
    let paths = said.split_whitespace().filter(|word| word.starts_with('/'));
    paths
        .map(|path| match path.strip_prefix("/usr") {
            Some(_) => path.to_owned(),
            None => format!("/usr{path}"),
        })
        .collect()
}
