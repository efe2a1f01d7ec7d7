//! Outputs that cannot be written, or must not be.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use storeboot_tests::command::{have, names, printed, ran, skipped, unprivileged, with_mounts};
use storeboot_tests::fixture::{FILE, SYSTEM};
use storeboot_tests::listing::Listing;

use super::attempt::{Attempt, World, check, text};

/// Lists the folder of the outputs, without its own entry, whose time changes with every temporary file.
fn outputs(world: &World) -> Listing {
    Listing::of_folder(&world.out).filter(|path| !path.is_empty())
}

#[test]
fn a_full_disk_is_named() {
    let world = World::new();
    let noise = std::iter::successors(Some(1_u64), |state| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    });
    let noise: Vec<u8> = noise
        .take(3 << 20)
        .map(|state| (state >> 40) as u8)
        .collect();
    world.store_file(&format!("{SYSTEM}/share/noise"), noise);
    let small = world.path("small");
    fs::create_dir(&small).expect("a folder");
    // Only the script sees the small disk, so it prints the files that are left.
    let script = r#"
        mount -t tmpfs -o size=1m none "$SMALL"
        code=0
        "$0" "$@" || code=$?
        ls -A "$SMALL"
        exit "$code""#;
    for attempt in [
        world.pack("squashfs"),
        world.pack("cpio"),
        world.build().set("--layout", "file"),
        world.build().set("--layout", "in-place"),
        world.build().set("--layout", "direct"),
    ] {
        let Some(mut command) = with_mounts(script, &world.path("storeboot")) else {
            return;
        };
        command.env("SMALL", &small);
        let output = small.join("output");
        let result = attempt.set("--output", &output).by(command).run();
        // The list of files that are left is on stdout, and must be empty.
        check(&result, [text(&output), "No space left on device".into()]);
    }
}

/// A third more than the size of the initrd is enough, since no copied part exists twice.
#[test]
fn a_build_takes_the_disk_of_one_initrd() {
    const SIZE: u32 = 24 << 20;
    let world = World::new();
    let noise = (0..SIZE / 4).flat_map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes());
    let noise: Vec<u8> = noise.collect();
    world.store_file(&format!("{SYSTEM}/share/noise"), noise);
    let small = world.path("small");
    fs::create_dir(&small).expect("a folder");
    let script =
        r#"mount -t tmpfs -o size=32m none "$SMALL"; "$0" "$@"; du -b "$SMALL/output/initrd" >&2"#;
    for layout in ["file", "in-place", "direct"] {
        let Some(mut command) = with_mounts(script, &world.path("storeboot")) else {
            return;
        };
        command.env("SMALL", &small);
        let attempt = world
            .build()
            .set("--layout", layout)
            .set("--compression", "none");
        let result = attempt
            .set("--output", small.join("output"))
            .by(command)
            .run();
        let said = String::from_utf8_lossy(&result.stderr);
        assert!(result.status.success(), "{layout}: {said}");
        let size: u32 = said
            .split_whitespace()
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a size");
        assert!(size > SIZE, "{layout}: {said}");
    }
}

/// Data that is too large for memory is written to temporary files.
#[test]
fn a_full_folder_of_temporary_files_is_named() {
    let world = World::new();
    let small = world.path("small");
    fs::create_dir(&small).expect("a folder");
    // Each refers to all before it: a registration of 6 MB.
    let path = |number: u32| format!("{number:032}-{}", "n".repeat(100));
    let names: Vec<String> = (0..300).map(path).collect();
    let full: Vec<String> = names
        .iter()
        .map(|name| format!("/nix/store/{name}"))
        .collect();
    let closure: Vec<_> = (0..names.len())
        .map(|number| {
            fs::write(world.stored(&names[number]), "").expect("a file");
            let hash = "sha256-d6xi4mKdjkX2JFicDIv5niSzpyI0m/Hnm8GGAIU04kY=";
            json!({ "path": full[number], "narHash": hash, "narSize": 112, "references": full[..number] })
        })
        .collect();
    let closure = world.file("large.json", json!(closure).to_string());
    let script = r#"mount -t tmpfs -o size=1m none "$TMPDIR"; exec "$0" "$@""#;
    for format in ["squashfs", "cpio"] {
        let Some(mut command) = with_mounts(script, &world.path("storeboot")) else {
            return;
        };
        command.env("TMPDIR", &small);
        let attempt = world.pack(format).set("--path-info", &closure).by(command);
        attempt.fails([text(&small), "No space left on device".into()]);
    }
}

#[test]
fn a_place_that_is_taken_is_left_as_it_is() {
    let world = World::new();
    let taken = world.out.join("taken");
    fs::create_dir(&taken).expect("a folder");
    fs::write(taken.join("mine"), "precious").expect("a file");
    let file = world.out.join("file");
    fs::write(&file, "precious").expect("a file");
    let before = outputs(&world);
    for output in [&taken, &file] {
        let words = [text(output), "is there already".into()];
        world.build().set("--output", output).fails(words);
    }
    let words = [text(&taken), "directory".into()];
    world.pack("cpio").set("--output", &taken).fails(words);
    outputs(&world).assert_is(&before, "the old content");
}

#[test]
fn an_old_output_stays_when_a_new_one_fails() {
    let world = World::new();
    world.build().succeeds();
    world.pack("squashfs").succeeds();
    let before = outputs(&world);
    fs::remove_file(world.stored(FILE)).expect("it was there");
    world.build().fails([FILE]);
    world.pack("squashfs").fails([FILE]);
    // The same for a build that fails late.
    world.store_file(FILE, "again");
    let pipe = world.stored(SYSTEM).join("zzz");
    printed(Command::new("mkfifo").arg(&pipe));
    world.build().fails([text(&pipe)]);
    world.pack("squashfs").fails([text(&pipe)]);
    outputs(&world).assert_is(&before, "the old output");
}

/// A folder that is seen through a file system in user space.
struct Fuse {
    program: PathBuf,
    /// What is in it.
    below: PathBuf,
    /// Where it is seen while a command runs.
    above: PathBuf,
}

impl Fuse {
    /// `None`, and a message, where there is no FUSE.
    fn new(world: &World) -> Option<Self> {
        if !have(&["bindfs"]) {
            return None;
        }
        let [below, above] = ["below", "above"].map(|name| world.path(name));
        for folder in [&below, &above] {
            fs::create_dir(folder).expect("a folder");
        }
        let program = world.path("storeboot");
        let fuse = Self {
            program,
            below,
            above,
        };
        if !ran(&mut fuse.command("true")?).status.success() {
            skipped("FUSE cannot be used here (/dev/fuse)");
            return None;
        }
        Some(fuse)
    }

    fn command(&self, script: &str) -> Option<Command> {
        // The daemon of the file system would keep the namespace with its mounts alive.
        let script = format!(r#"bindfs "$BELOW" "$ABOVE"; trap 'umount "$ABOVE"' EXIT; {script}"#);
        let mut command = with_mounts(&script, &self.program)?;
        command.env("BELOW", &self.below).env("ABOVE", &self.above);
        Some(command)
    }

    fn run<'a>(&self, attempt: Attempt<'a>) -> Attempt<'a> {
        let command = self.command(r#""$0" "$@""#);
        attempt.by(command.expect("it was possible before"))
    }
}

/// FUSE cannot exchange names or punch holes either, and knows locks only from what the kernel does for it.
#[test]
fn outputs_and_caches_on_fuse_have_the_same_bytes() {
    let world = World::new();
    let Some(fuse) = Fuse::new(&world) else {
        return;
    };
    let content = |folder: &Path| {
        let listing = Listing::of_folder(folder).filter(|path| !path.is_empty());
        listing.map(|_, entry| entry.mtime = 0)
    };
    let out = fuse.below.join("out");
    for number in 0..world.attempts().len() {
        let attempt = || world.attempts().swap_remove(number);
        let arguments = attempt().arguments();
        let plain = attempt().set("--output", world.out.join("output"));
        plain.succeeds();
        let expected = content(&world.out);
        world.clear_outputs();
        // Without and with what the cache has.
        for _ in 0..2 {
            fs::create_dir(&out).expect("a folder");
            let attempt = attempt().set("--output", fuse.above.join("out/output"));
            fuse.run(attempt.set("--cache", fuse.above.join("cache")))
                .succeeds();
            content(&out).assert_is(&expected, &format!("{arguments:?}"));
            fs::remove_dir_all(&out).expect("it was made here");
        }
    }
}

/// FUSE stands for all file systems that cannot exchange two names (`RENAME_EXCHANGE`): NFS, 9p, older ZFS.
#[test]
fn an_old_output_is_replaced_where_names_cannot_be_exchanged() {
    let world = World::new();
    let Some(fuse) = Fuse::new(&world) else {
        return;
    };
    let build = |line: &str| {
        let attempt = world.build().set("--cmdline", line);
        fuse.run(attempt.set("--output", fuse.above.join("netboot")))
    };
    let below = &fuse.below;
    let line = || fs::read_to_string(below.join("netboot/kernelAppend")).expect("it is there");
    // An empty folder, a netboot directory, and one more, since the first replacement must leave nothing in the way.
    fs::create_dir(below.join("netboot")).expect("a folder");
    for word in ["first", "second", "third"] {
        build(word).succeeds();
        assert!(line().contains(word), "{}", line());
        assert_eq!(names(below), ["netboot"]);
    }
    // A build that fails late leaves the old one.
    let before = Listing::of_folder(&below.join("netboot"));
    let pipe = world.stored(SYSTEM).join("zzz");
    printed(Command::new("mkfifo").arg(&pipe));
    build("fourth").fails([text(&pipe)]);
    assert_eq!(names(below), ["netboot"]);
    Listing::of_folder(&below.join("netboot")).assert_is(&before, "the old output");
}

/// A rename cannot replace these, and that must not come to light after hours of packing.
#[test]
fn a_folder_that_cannot_be_replaced_is_refused_before_packing() {
    let world = World::new();
    // Packing would find this.
    let pipe = world.stored(SYSTEM).join("zzz");
    printed(Command::new("mkfifo").arg(&pipe));
    let small = world.path("small");
    fs::create_dir(&small).expect("a folder");
    let script = r#"mount -t tmpfs none "$SMALL"; cd "$SMALL"; exec "$0" "$@""#;
    let taken = world.path("root");
    for (attempt, output, why) in [
        (world.build(), &*small, "a mount point"),
        (world.build(), Path::new("."), "by its name"),
        (world.pack("cpio"), &taken, "s a directory"),
    ] {
        let Some(mut command) = with_mounts(script, &world.path("storeboot")) else {
            return;
        };
        command.env("SMALL", &small);
        let attempt = attempt.set("--output", output).by(command);
        attempt.fails([text(output), why.into()]);
    }
}

/// As when a later step of a container's build replaces what an earlier one made.
#[test]
fn an_old_output_in_a_lower_layer_of_an_overlay_is_refused_before_packing() {
    let world = World::new();
    world.build().succeeds();
    let pipe = world.stored(SYSTEM).join("zzz");
    printed(Command::new("mkfifo").arg(&pipe));
    let merged = world.path("merged");
    fs::create_dir(&merged).expect("a folder");
    let script = r#"
        mount -t tmpfs none /mnt
        mkdir /mnt/upper /mnt/work
        mount -t overlay -o "lowerdir=$LOWER,upperdir=/mnt/upper,workdir=/mnt/work,redirect_dir=off" none "$MERGED"
        exec "$0" "$@""#;
    let with_overlay = |program: &Path| {
        let mut command = with_mounts(script, program)?;
        command.env("LOWER", &world.out).env("MERGED", &merged);
        Some(command)
    };
    let Some(mut probe) = with_overlay("true".as_ref()) else {
        return;
    };
    if !ran(&mut probe).status.success() {
        return skipped("no overlay can be mounted here");
    }
    let output = merged.join("netboot");
    let command = with_overlay(&world.path("storeboot")).expect("as before");
    let attempt = world.build().set("--output", &output).by(command);
    attempt.fails([text(&output), "lower layer".into()]);
}

#[test]
fn an_output_without_a_folder_to_be_in_is_refused() {
    let world = World::new();
    let missing = world.out.join("no-such-folder/output");
    let words = || [text(&missing), "No such file".into()];
    world.build().set("--output", &missing).fails(words());
    world.pack("cpio").set("--output", &missing).fails(words());
    let inside = world.file("file", "").join("output");
    let words = || [text(&inside), "Not a directory".into()];
    world.build().set("--output", &inside).fails(words());
    world.pack("cpio").set("--output", &inside).fails(words());
    for output in ["/", ".", ".."] {
        world.build().set("--output", output).fails([""; 0]);
        world.pack("cpio").set("--output", output).fails([""; 0]);
    }
}

#[test]
fn a_folder_that_may_not_be_written_to_is_named() {
    let world = World::new();
    let folder = world.path("root");
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).expect("a mode");
    let output = folder.join("output");
    for attempt in [world.build(), world.pack("squashfs")] {
        let command = unprivileged(&world.path("storeboot"));
        let words = [text(&output), "Permission denied".into()];
        attempt.set("--output", &output).by(command).fails(words);
    }
}
