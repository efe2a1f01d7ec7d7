//! Helpers that the tests share.

pub mod debian;
pub mod qemu;
