//! Stage 1 of a storeboot initrd. All there is to say about it is in the library; this file makes a program of it
//! without a standard library and without a libc.
// `cargo clippy --all-targets` looks at every binary as a test too, and a test has a standard library.
#![cfg_attr(not(test), no_std, no_main)]

extern crate alloc;

#[cfg(not(test))]
#[path = "sys/bare/mod.rs"]
mod bare;
