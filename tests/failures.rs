//! Every failure ends in one sentence that names the cause, and leaves nothing behind.

#[path = "failures/attempt.rs"]
mod attempt;
#[path = "failures/caches.rs"]
mod caches;
#[path = "failures/closures.rs"]
mod closures;
#[path = "failures/directories.rs"]
mod directories;
#[path = "failures/faults.rs"]
mod faults;
#[path = "failures/outputs.rs"]
mod outputs;
#[path = "failures/signals.rs"]
mod signals;
#[path = "failures/stores.rs"]
mod stores;
#[path = "failures/system_calls.rs"]
mod system_calls;

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use attempt::{World, check, text};
use storeboot_cpio::{Metadata, Writer};
use storeboot_tests::command::{bz_image, ran, static_program};
use storeboot_tests::fixture::{INIT, SYSTEM};

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
fn an_init_that_is_not_a_program_of_the_closure_is_refused() {
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
    // A link is accepted: only the booted system can resolve it.
    let link = format!("{system}/link");
    world
        .build()
        .set("--init", link)
        .flag("--no-check")
        .succeeds();
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
fn a_stage_1_that_the_kernel_cannot_start_is_refused() {
    let world = World::new();
    let text_file = world.file("text", "stage 1");
    let mut foreign = static_program();
    foreign[18] = 183;
    let foreign = world.file("foreign", foreign);
    for (file, why) in [
        (&text_file, "it is no ELF program"),
        (&foreign, "it is a program for aarch64"),
        (&PathBuf::from("/bin/sh"), "it is linked dynamically"),
    ] {
        let words = [&*text(file), why, "for x86_64"].map(str::to_owned);
        world.build().set("--stage1", file).fails(words);
    }
}

#[test]
fn an_initrd_whose_init_the_kernel_cannot_start_is_refused() {
    let world = World::new();
    let mut foreign = static_program();
    foreign[18] = 183;
    for (name, content, why) in [
        ("text", &b"text"[..], "neither an ELF program nor a script"),
        ("foreign", &foreign, "a program for aarch64"),
    ] {
        let mut archive = Writer::new(Vec::new());
        let metadata = Metadata::executable();
        archive
            .file("init", &metadata, content.len() as u64, content)
            .expect("a member");
        let initrd = world.file(name, archive.finish().expect("an archive"));
        world
            .build()
            .set("--initrd", &initrd)
            .fails([&*text(&initrd), "/init", why]);
    }
}

#[test]
fn the_error_for_an_old_kernel_names_a_layout_that_works() {
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
fn hash_trees_are_for_images_that_all_have_one() {
    let world = World::new();
    let images = ["in-place", "file", "fetch"];
    for layout in images {
        let build = world.build().set("--layout", layout);
        build.flag("--verity").succeeds();
    }
    world
        .build()
        .set("--layout", "direct")
        .flag("--verity")
        .fails(["layout direct has none", "in-place, file or fetch"]);
    let layer = world.path("layer");
    let make = || world.layer().set("--output", &layer);
    make().succeeds();
    let build = || world.build().set("--layer", &layer).flag("--verity");
    build().fails([
        &*text(&layer),
        "has no hash tree of dm-verity",
        "(storeboot layer --verity makes layers with hash trees)",
    ]);
    make().flag("--verity").succeeds();
    build().succeeds();
}

#[test]
fn a_store_is_fetched_while_the_system_runs_only_where_that_can_be() {
    let world = World::new();
    let profile = world.file("boot.profile", "storeboot profile 1\nsystem/init\n");
    let fetch = || world.build().set("--layout", "fetch");
    let build = || fetch().set("--profile", &profile).flag("--stream");
    build().succeeds();
    build().flag("--verity").succeeds();
    let options =
        "(--stream needs --profile, and does not go with --initrd, --keep and --verify-at-boot)";
    let without = fetch().flag("--stream");
    without.fails(["there is no boot profile", options]);
    for (build, why) in [
        (build().set("--keep", "LABEL=store"), "a disk is to keep it"),
        (build().flag("--verify-at-boot"), "checked before the boot"),
        (
            build().set("--cmdline", "storeboot.verify"),
            "checked before the boot",
        ),
        (build().set("--initrd", &profile), "another stage 1"),
    ] {
        build.fails(["cannot be fetched while the system runs", why, options]);
    }
    for layout in ["file", "in-place", "direct"] {
        let why = format!("is for layout fetch, and the layout is {layout}");
        build().set("--layout", layout).fails([why]);
    }
    // So many files that none shares an image.
    for number in 0..17 {
        world.store_file(&format!("{SYSTEM}/share/{number}"), "text");
    }
    fetch().set("--image-limit", "1M").succeeds();
    build().set("--image-limit", "1M").fails([
        "more than 16 images, and stage 1 fetches no more",
        "(--image-limit sets",
    ]);
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
        ("a=${b}", "${…}, which iPXE"),
        ("a=\u{e4}", "ASCII"),
    ] {
        world
            .build()
            .set("--cmdline", line)
            .fails(["command line", why]);
    }
}

#[test]
fn the_arguments_that_ipxe_scripts_add_count_towards_the_command_line_limit() {
    let world = World::new();
    // `init=… retain_initrd` and this are less than 2047 bytes, and with the names of the kernel and the initrd more.
    let line = "x".repeat(2040 - "init= retain_initrd ".len() - INIT.len());
    world.build().set("--cmdline", &line).fails([
        "command line",
        "it has 2040 bytes",
        "netboot.ipxe",
        "2047",
    ]);
    // Each segment is named.
    let line = &line[..1980 - "init= retain_initrd ".len() - INIT.len()];
    world.build().set("--cmdline", line).succeeds();
    world
        .build()
        .set("--cmdline", line)
        .flag("--segments")
        .fails(["command line", "netboot-segments.ipxe", "3 files", "2047"]);
}

#[test]
fn a_missing_input_file_is_named() {
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
    // The default stage 1 is in the command's folder, and does not exist here.
    world
        .build()
        .without("--stage1")
        .fails([text(world.path("storeboot-init")), "--stage1".into()]);
}

#[test]
fn wrong_usage_has_another_exit_status_than_a_failure() {
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
fn the_builder_of_a_derivation_fails_in_the_same_way() {
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
    // Stage 1 knows no other store than /nix/store, and the output's folder is the store.
    for storeboot in [
        r#"{ "action": "build", "kernel": "/k", "init": "/gnu/store/i" }"#,
        r#"{ "action": "layer" }"#,
    ] {
        let file = attributes(storeboot, "/gnu/store/o-out".as_ref());
        check(&run(&file), ["/gnu/store cannot be booted", "/nix/store"]);
    }
    let pack = r#"{ "action": "pack", "format": "cpio" }"#;
    // A builder's closure is always in /nix/store, and this closure is not there.
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
