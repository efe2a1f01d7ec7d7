//! Stage 1 of a storeboot initrd. The library holds the logic and the documentation; this file makes it a program
//! without a standard library and without a libc.
// `cargo clippy --all-targets` checks every binary as a test too, and a test has a standard library.
#![cfg_attr(not(test), no_std, no_main)]

extern crate alloc;

#[cfg(not(test))]
#[path = "sys/bare/mod.rs"]
mod bare;
