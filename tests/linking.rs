//! Stage 1 links with a C compiler and with plain linkers, even if rustc adds a C library's start file, as it does for
//! musl targets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use storeboot_tests::command::{Scratch, have, printed, ran, skipped};
use storeboot_tests::debian::repository;

/// A stand-in for musl's `rcrt1.o` and `crt1.o`, which define `_start` and need `main` and a C library.
const START_FILE: &str = "
    .text
    .globl _start
_start:
    .quad main
    .quad __libc_start_main
    .section .note.GNU-stack, \"\", %progbits
";

#[test]
fn every_linker_drops_the_start_file_of_a_c_library() {
    if !have(&["cc", "ld"]) {
        return;
    }
    let scratch = Scratch::new();
    let source = scratch.join("start.s");
    let start_file = scratch.join("start.o");
    fs::write(&source, START_FILE).expect("a file");
    let mut compiler = Command::new("cc");
    compiler.arg("-c").arg(&source).arg("-o").arg(&start_file);
    printed(&mut compiler);

    let mut linkers = vec!["cc".into(), "ld".into()];
    match lld() {
        Some(lld) => linkers.push(lld),
        None => skipped("this toolchain has no rust-lld, and there is no ld.lld"),
    }
    for linker in linkers {
        let alone = link(&linker, &[]);
        let with_start_file = link(&linker, &[&start_file]);
        assert!(
            alone == with_start_file,
            "{} leaves a part of the start file in the program",
            linker.display()
        );
    }
}

/// Links stage 1 with more object files, runs it, and returns the program. Cargo builds the dependencies only once, so
/// this also shows that they do not depend on the linker.
fn link(linker: &Path, objects: &[&Path]) -> Vec<u8> {
    let host = host();
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("linking");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["rustc", "--quiet", "--release", "--target", &host])
        .args(["--package", "storeboot-init", "--bin", "storeboot-init"])
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-C", "target-feature=+crt-static", "-C"])
        .arg(format!("linker={}", linker.display()))
        .current_dir(repository());
    for object in objects {
        cargo
            .arg("-C")
            .arg(format!("link-arg={}", object.display()));
    }
    printed(&mut cargo);
    let program = target.join(host).join("release/storeboot-init");
    prints_its_usage(&program);
    fs::read(program).expect("the program")
}

/// Checks that the program prints its usage text. If the name of the entry point is wrong, linkers only warn, and the
/// program does nothing.
fn prints_its_usage(program: &Path) {
    let output = ran(&mut Command::new(program));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("storeboot-init "), "{output:?}");
    assert!(said.contains("is stage 1 of an initrd"), "{output:?}");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// Returns LLVM's linker: the toolchain's own, or the system's.
fn lld() -> Option<PathBuf> {
    let libraries = printed(Command::new("rustc").args(["--print", "target-libdir"]));
    let libraries = PathBuf::from(String::from_utf8(libraries).expect("a path").trim());
    let own = libraries.with_file_name("bin").join("rust-lld");
    if own.is_file() {
        return Some(own);
    }
    let output = Command::new("ld.lld").arg("--version").output();
    output.is_ok().then(|| "ld.lld".into())
}

fn host() -> String {
    let text = printed(Command::new("rustc").arg("-vV"));
    let text = String::from_utf8(text).expect("text");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc tells its host").to_owned()
}
