//! Tells the linker what stage 1 is: static, at a fixed address, without start files and without a libc.
//!
//! A C compiler takes each of these options as a linker does, so it does not matter which of the two rustc calls. This
//! script could not know for sure: Cargo does not run it again when only the linker changes.

use std::env;
use std::path::PathBuf;

/// The symbol that `src/sys/bare/start.rs` defines.
///
/// It is not `_start`: for musl targets rustc links the C library's start file whatever is asked for, and that file
/// defines `_start` and needs a `main`. Nothing refers to it from here, so the linker drops it.
const ENTRY: &str = "storeboot_start";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");

    // Where a crate below asks for the C library by name (cpufeatures on aarch64 does, for one function that
    // `sys/bare` provides), it finds these empty ones: no C library is needed, not even to cross-build.
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR"));
    for library in ["libc.a", "libm.a", "libpthread.a", "librt.a"] {
        std::fs::write(out.join(library), b"!<arch>\n").expect("OUT_DIR can be written to");
    }
    println!("cargo:rustc-link-arg-bins=-L{}", out.display());

    for arg in ["-static", "-nostdlib", "-no-pie", "-e", ENTRY] {
        println!("cargo:rustc-link-arg-bins={arg}");
    }
}
