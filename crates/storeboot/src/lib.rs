//! Netboot directories: a kernel, an initrd that carries a whole Nix store, and the command line that joins them.
//!
//! A [`Store`] is a closure (see [`storeboot_closure`]) and the place of its files. It can be written by itself, as a
//! store image or an archive, or become part of a [`Netboot`] directory that a machine boots from.
//!
//! ```no_run
//! use storeboot::{Context, Netboot, Store};
//! use storeboot_closure::{Input, StoreDir, StoreRoot};
//!
//! let root = StoreRoot::system();
//! let system = "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-nixos-system";
//! let closure = Input::Roots(vec![system.into()]).read(&StoreDir::default(), &root)?;
//! let context = Context::new();
//! let store = Store::new(closure, root, &context)?;
//! let netboot = Netboot::new(
//!     format!("{system}/kernel"),
//!     format!("{system}/init"),
//!     "/usr/libexec/storeboot-init",
//! );
//! netboot.build(&store, "result".as_ref(), &context)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to call
//!
//! In the order in which a program needs it:
//!
//! 1. **The closure.** [`storeboot_closure::Input`] reads it: from Nix, or from a file that Nix wrote. A [`Store`] is
//!    the closure with the place of its files; [`Store::new`] checks that they are there.
//! 2. **What to make of it.**
//!    - [`Netboot`] makes a directory that a machine boots from. Its fields are the options of `storeboot build`; what
//!      is not set suits the kernel.
//!    - [`Pack`] writes a store image or an archive into what the caller has. [`write_file`] makes a file of it that
//!      appears whole or not at all.
//!    - [`Layer`] makes a part of a store that many netboot directories share; [`layer_paths`] tells what is in one.
//!    - [`Ramdisk`] makes an initrd of store paths and links to them, for another stage 1.
//!    - [`Uki`] makes one file of a netboot directory, which UEFI starts and Secure Boot checks.
//! 3. **With what.** A [`Context`] has the build's threads, its [`Cache`], its [`Progress`] and the [`Cancel`] that
//!    ends it early. The bytes are the same whatever is in it.
//! 4. **Whether it is right.** [`inspect()`] tells what is in a netboot directory, an initrd or an image; [`verify()`]
//!    compares it with its hashes. [`compare()`] tells how two netboot directories differ. [`sign()`] signs one with a
//!    key of Nix, and [`verify_signed`] wants such a signature. [`manifest::Manifest`] is what `manifest.json` says.
//!
//! A program that signals may end cancels its builds by [`Cancel`], which removes what is half written, and waits for
//! them to return. All errors are [`Error`]: a sentence with the file and the cause in it.
//!
//! [`kernel`], [`modules`] and [`compress`] are what the above is made of, for those who need a part: what a kernel's
//! file says of itself, which modules have to be loaded, and the compressions of an initrd. [`nix_builder`] is a whole
//! derivation's builder.
//!
//! # Examples
//!
//! `examples/` has whole programs: `pack_closure` (with a cache) and `netboot_directory` (from a running system). The
//! crate storeboot-serve serves what they make.

#![deny(missing_docs)]

mod cancel;
mod check;
pub mod compress;
mod context;
mod digest;
mod error;
mod folder;
mod initrd;
pub mod kernel;
mod layer;
mod layout;
pub mod manifest;
pub mod modules;
mod netboot;
pub mod nix_builder;
mod output;
mod pack;
mod package;
mod plain;
mod profile;
mod progress;
mod ramdisk;
mod sbom;
mod signature;
mod store;
mod uki;

/// Ways for the fuzzer into parsers that are private.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::modules::fuzz as modinfo;
    pub use crate::nix_builder::fuzz as attributes;
    pub use crate::pack::fuzz_recipe as recipe;
}

pub use cancel::Cancel;
pub use check::{
    Comparison, FileChange, Inspection, LayerImage, PackageChange, StorePathSize, Verified,
    compare, inspect, read_manifest, sign, verify, verify_signed,
};
pub use context::Context;
pub use error::Error;
pub use folder::Folder;
pub use initrd::segments::{ImageInfo, InitrdSegment, Member};
pub use layer::{Layer, layer_paths};
pub use manifest::Layout;
pub use netboot::{Netboot, machine_script};
pub use output::write_file;
pub use pack::{Archives, Format, Pack};
pub use plain::Plain;
pub use profile::{Profile, ProfileError};
pub use progress::Progress;
pub use ramdisk::{Dlopen, Needed, Priority, Ramdisk};
pub use signature::{KeyError, PublicKey, SecretKey};
pub use store::{REGISTRATION, Store};
pub use storeboot_cache as cache;
pub use storeboot_cache::{Cache, Stats as CacheStats};
pub use storeboot_closure as closure;
pub use storeboot_index::UnknownLayout;
pub use storeboot_squashfs::Compression;
pub use uki::Uki;
