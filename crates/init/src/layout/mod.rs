//! How the store gets from the initrd to `/nix/store`, one module for each
//! [`Layout`](storeboot_index::Layout).
//!
//! - `file`: the kernel unpacked the store images to files in rootfs.
//! - `in_place`: the store images lie in the initrd, which the kernel kept.
//! - `direct`: the kernel unpacked the store itself.
//!
//! The first two end in [loop devices](crate::sys::LoopInfo) that are mounted in a new, empty root; the third makes
//! rootfs a root like any other.
//!
//! Files that came in archives before or behind storeboot's own are in the booted system under their names, whatever
//! the layout: the first two copy them from rootfs to the new root before rootfs is emptied.

pub(crate) mod direct;
pub(crate) mod file;
pub(crate) mod in_place;
