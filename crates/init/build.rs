//! Tells the linker what stage 1 is: static, at a fixed address, without start files and without a libc.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");

    // Where a crate below asks for the C library by name (cpufeatures on aarch64 does, for one function that
    // `sys/bare` provides), it finds these empty ones: no C library is needed, not even to cross-build.
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR"));
    for library in ["libc.a", "libm.a", "libpthread.a", "librt.a"] {
        std::fs::write(out.join(library), b"!<arch>\n").expect("OUT_DIR can be written to");
    }
    println!("cargo:rustc-link-arg-bins=-L{}", out.display());

    for arg in ["-static", "-nostdlib", "-no-pie"] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
    if is_compiler_driver() {
        println!("cargo:rustc-link-arg-bins=-nostartfiles");
        println!("cargo:rustc-link-arg-bins=-Wl,--build-id=none");
    } else {
        println!("cargo:rustc-link-arg-bins=--build-id=none");
    }
}

/// Whether rustc links by way of a C compiler (its default) or calls a linker such as `rust-lld` itself.
fn is_compiler_driver() -> bool {
    let linker = env::var("RUSTC_LINKER").unwrap_or_default();
    let name = linker.rsplit('/').next().unwrap_or_default();
    !(name.contains("lld") || name == "ld" || name.ends_with("-ld") || name.starts_with("ld."))
}
