//! What goes wrong ends in one sentence that names it, and leaves nothing behind.

#[path = "failures/attempt.rs"]
mod attempt;
#[path = "failures/closures.rs"]
mod closures;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use attempt::{World, check, text};
use serde_json::json;
use storeboot_tests::command::{as_nobody, bz_image, printed, ran, with_mounts};
use storeboot_tests::fixture::{FILE, SYSTEM};
use storeboot_tests::listing::Listing;

#[test]
fn without_a_fault_there_is_no_failure() {
    let world = World::new();
    for layout in ["file", "in-place", "direct"] {
        world.build().set("--layout", layout).succeeds();
    }
    for format in ["squashfs", "cpio"] {
        world.pack(format).succeeds();
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let world = World::new();
    for (stored, mode) in [("share/doc", 0o000), ("share", 0o000)] {
        let path = world.stored(SYSTEM).join(stored);
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
        for attempt in [
            world.pack("squashfs"),
            world.pack("cpio"),
            world.build().set("--layout", "direct"),
        ] {
            let Some(command) = as_nobody(&world.path("storeboot")) else {
                return;
            };
            let words = [text(&path), "Permission denied".into()];
            attempt.by(command).fails(words);
        }
    }
}

#[test]
fn a_store_path_that_cannot_be_hashed_is_named() {
    let world = World::new();
    let path = world.stored(FILE);
    fs::set_permissions(&path, Permissions::from_mode(0o000)).expect("a mode");
    let graph = world.file("graph", format!("/nix/store/{FILE}\n\n0\n"));
    let Some(command) = as_nobody(&world.path("storeboot")) else {
        return;
    };
    let attempt = world
        .pack("cpio")
        .without("--path-info")
        .set("--graph", graph);
    attempt
        .by(command)
        .fails([text(&path), "Permission denied".into()]);
}

#[test]
fn what_no_store_holds_is_refused() {
    for format in ["squashfs", "cpio"] {
        for kind in ["pipe", "socket"] {
            let world = World::new();
            let path = world.stored(SYSTEM).join("share").join(kind);
            match kind {
                "pipe" => drop(printed(Command::new("mkfifo").arg(&path))),
                _ => drop(UnixListener::bind(&path).expect("a socket")),
            }
            let words = [
                text(&path),
                "neither a file, a directory nor a symbolic link".into(),
            ];
            world.pack(format).fails(words);
            // And where its hash has to be computed first.
            let graph = world.file("graph", format!("/nix/store/{SYSTEM}\n\n0\n"));
            let attempt = world
                .pack(format)
                .without("--path-info")
                .set("--graph", graph);
            attempt.fails([text(&path), "no file, directory or symbolic link".into()]);
        }
    }
}

#[test]
fn a_file_over_4_gib_is_not_for_an_archive() {
    let world = World::new();
    let name = format!("{SYSTEM}/share/disk.img");
    let file = File::create(world.stored(&name)).expect("a file");
    file.set_len(u64::from(u32::MAX) + 1).expect("a long file");
    let words = ["share/disk.img", "4294967296", "4294967295"];
    world.pack("cpio").fails(words);
    world.build().set("--layout", "direct").fails(words);
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
    fs::write(world.stored(SYSTEM).join("share/noise"), noise).expect("a file");
    let small = world.path("small");
    fs::create_dir(&small).expect("a folder");
    // What is left behind is seen where the disk is, and is printed.
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
        // The list of what is left is on stdout, and has to be empty.
        check(&result, [text(&output), "No space left on device".into()]);
    }
}

/// What is too large for memory goes through temporary files.
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
            let hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
            json!({ "path": full[number], "narHash": hash, "narSize": 96, "references": full[..number] })
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
fn an_init_that_is_no_program_of_the_closure_is_refused() {
    let world = World::new();
    symlink("nowhere", world.stored(SYSTEM).join("link")).expect("a link");
    let other = "/nix/store/zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-other/init";
    let system = format!("/nix/store/{SYSTEM}");
    for (init, why) in [
        (other, "not in the closure"),
        ("/sbin/init", "/nix/store"),
        ("init", "/nix/store"),
        ("", "/nix/store"),
        (&format!("{system}/missing"), "No such file"),
        (&format!("{system}/not-a-program"), "not executable"),
        (&format!("{system}/share"), "not a file"),
        (&system, "not a file"),
        (&format!("{system}/../{SYSTEM}/init"), ".."),
    ] {
        world.build().set("--init", init).fails([init, why]);
    }
    // Where a link leads is found out in the booted system.
    let link = format!("{system}/link");
    world.build().set("--init", link).succeeds();
}

#[test]
fn a_kernel_that_cannot_be_booted_is_refused() {
    let world = World::new();
    let missing = world.path("no-kernel");
    world
        .build()
        .set("--kernel", &missing)
        .fails([text(&missing), "No such file".into()]);
    let folder = world.path("root");
    world
        .build()
        .set("--kernel", &folder)
        .fails([text(&folder), "Is a directory".into()]);
    for (name, content, why) in [
        ("empty", &b""[..], "empty"),
        ("vmlinux", b"\x7fELF\x02\x01\x01", "vmlinux"),
        ("Image.gz", b"\x1f\x8b\x08", "gzip"),
        ("text", b"no kernel at all", "no Linux kernel"),
        ("cut-off", &bz_image("6.12.1")[..0x3000], "version"),
    ] {
        let kernel = world.file(name, content);
        world
            .build()
            .set("--kernel", &kernel)
            .fails([text(&kernel), why.into()]);
    }
}

#[test]
fn an_old_kernel_is_told_which_layout_would_do() {
    let world = World::new();
    let kernel = world.file("old", bz_image("6.1.170"));
    world
        .build()
        .set("--kernel", &kernel)
        .set("--layout", "in-place")
        .fails(["in-place", "6.8", "6.1.170", "layout file or direct"]);
    world.build().set("--kernel", &kernel).succeeds();
}

#[test]
fn a_command_line_that_the_kernel_would_misread_is_refused() {
    let world = World::new();
    let long = "x".repeat(2048);
    for (line, why) in [
        ("quiet init=/bin/sh", "init="),
        (&long, "2047"),
        ("a\nb", "\\n"),
        ("a\u{1b}[31mb", "\\u{1b}"),
    ] {
        world
            .build()
            .set("--cmdline", line)
            .fails(["command line", why]);
    }
}

#[test]
fn other_files_of_a_build_are_named() {
    let world = World::new();
    let missing = world.path("missing");
    let folder = world.path("root");
    for option in ["--stage1", "--prepend", "--modules"] {
        world
            .build()
            .set(option, &missing)
            .fails([text(&missing), "No such file".into()]);
    }
    for option in ["--stage1", "--prepend"] {
        world
            .build()
            .set(option, &folder)
            .fails([text(&folder), "Is a directory".into()]);
    }
    world
        .build()
        .set("--modules", &folder)
        .fails([text(&folder), "6.12.1".into()]);
    // The one beside the command, which is not there.
    world
        .build()
        .without("--stage1")
        .fails([text(world.path("storeboot-init")), "--stage1".into()]);
}

#[test]
fn a_place_that_is_taken_is_left_as_it_is() {
    let world = World::new();
    let taken = world.out.join("taken");
    fs::create_dir(&taken).expect("a folder");
    fs::write(taken.join("mine"), "precious").expect("a file");
    let file = world.out.join("file");
    fs::write(&file, "precious").expect("a file");
    let before = Listing::of_folder(&world.out);
    for output in [&taken, &file] {
        let words = [text(output), "is there already".into()];
        world.build().set("--output", output).fails(words);
    }
    let words = [text(&taken), "directory".into()];
    world.pack("cpio").set("--output", &taken).fails(words);
    Listing::of_folder(&world.out).assert_is(&before, "what was there");
}

#[test]
fn an_old_output_stays_when_a_new_one_fails() {
    let world = World::new();
    world.build().succeeds();
    world.pack("squashfs").succeeds();
    let before = Listing::of_folder(&world.out);
    fs::remove_file(world.stored(FILE)).expect("it was there");
    world.build().fails([FILE]);
    world.pack("squashfs").fails([FILE]);
    // And where it fails only late, when most is done.
    fs::write(world.stored(FILE), "again").expect("a file");
    let pipe = world.stored(SYSTEM).join("zzz");
    printed(Command::new("mkfifo").arg(&pipe));
    world.build().fails([text(&pipe)]);
    world.pack("squashfs").fails([text(&pipe)]);
    Listing::of_folder(&world.out).assert_is(&before, "the old output");
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
    let output = folder.join("output");
    for attempt in [world.build(), world.pack("squashfs")] {
        let Some(command) = as_nobody(&world.path("storeboot")) else {
            return;
        };
        let words = [text(&output), "Permission denied".into()];
        attempt.set("--output", &output).by(command).fails(words);
    }
}

#[test]
fn names_in_messages_are_plain_text() {
    let world = World::new();
    let name = "two\nlines\u{1b}[31m";
    let pipe = world.stored(SYSTEM).join(name);
    printed(Command::new("mkfifo").arg(&pipe));
    for format in ["squashfs", "cpio"] {
        world.pack(format).fails(["two", "lines", "neither a file"]);
    }
}

#[test]
fn a_store_path_with_nothing_to_stand_for_it_is_named() {
    let world = World::new();
    fs::remove_file(world.stored(FILE)).expect("it was there");
    let words = || [text(world.stored(FILE)), "1 of the closure's 2".into()];
    world.build().fails(words());
    world.pack("squashfs").fails(words());
    world.pack("cpio").fails(words());
    let nowhere = world.path("nowhere");
    world
        .pack("cpio")
        .set("--store-root", &nowhere)
        .fails([text(&nowhere), "2 of the closure's 2".into()]);
}

#[test]
fn an_image_limit_that_is_too_low_is_explained() {
    let world = World::new();
    let big = vec![0x5a; 3 << 20];
    fs::write(world.stored(SYSTEM).join("share/big"), big).expect("a file");
    world
        .build()
        .set("--compression", "none")
        .set("--image-limit", "2M")
        .fails(["share/big", "--image-limit"]);
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let world = World::new();
    let build = || world.build();
    build().without("--path-info").refuses_usage("--path-info");
    build().set("--graph", "x").refuses_usage("--graph");
    build().without("--kernel").refuses_usage("--kernel");
    build().without("--init").refuses_usage("--init");
    build().without("--output").refuses_usage("--output");
    build()
        .set("--layout", "sideways")
        .refuses_usage("sideways");
    build().set("--module", "loop").refuses_usage("--modules");
    build().set("--image-limit", "much").refuses_usage("much");
    for compression in ["bzip2", "zstd:23", "zstd:0", "xz:10", "none:1", "lz4:", ""] {
        build()
            .set("--compression", compression)
            .refuses_usage("--compression");
    }
    for size in ["1000", "2M", "2K", "0", ""] {
        build().set("--block-size", size).refuses_usage("block");
    }
    for jobs in ["0", "many"] {
        build().set("--jobs", jobs).refuses_usage("--jobs");
    }
    world.pack("zip").refuses_usage("zip");
    for arguments in [&[][..], &["bake"], &["build", "--colour"]] {
        let output = ran(Command::new(world.path("storeboot")).args(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_builder_of_a_derivation_fails_likewise() {
    let world = World::new();
    let attributes = |storeboot: &str, out: &OsStr| {
        world.file(
            "attrs.json",
            format!(
                r#"{{ "outputs": {{ "out": {:?} }}, "closure": {}, "storeboot": {storeboot} }}"#,
                text(out),
                world.fixture.closure
            ),
        )
    };
    let run = |file: &std::path::Path| {
        ran(Command::new(world.path("storeboot"))
            .args(["nix-builder", "--quiet", "--attributes"])
            .arg(file))
    };
    let out = world.out.join("out");
    let missing = world.path("missing");
    check(&run(&missing), [text(&missing), "No such file".into()]);
    let pack = r#"{ "action": "pack", "format": "cpio" }"#;
    // The closure is in /nix/store, as always for a builder, and this one is not there.
    let file = attributes(pack, "/nix/store/o-out".as_ref());
    check(&run(&file), ["2 of the closure's 2"]);
    for (storeboot, word) in [
        (r#"{ "action": "bake" }"#, "bake"),
        (r#"{ "action": "pack", "format": "zip" }"#, "zip"),
        (r#"{ "action": "build", "kernel": "/k" }"#, "init"),
        ("[]", "attributes"),
    ] {
        check(&run(&attributes(storeboot, out.as_os_str())), [word]);
    }
    for text in ["{", "[]", "{}", "7"] {
        check(&run(&world.file("attrs.json", text)), ["attributes"]);
    }
    for outputs in ["7", "[]", "{}", r#"{ "out": 7 }"#, r#""out""#] {
        let text = format!(r#"{{ "outputs": {outputs}, "closure": [], "storeboot": {pack} }}"#);
        check(&run(&world.file("attrs.json", text)), ["attributes"]);
    }
}
